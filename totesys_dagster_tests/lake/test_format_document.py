"""docs/lake-format.md names each object, document and member that the code can write."""

from __future__ import annotations

import datetime as dt
import inspect
import json
import re
import types
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pytest
from pydantic import BaseModel

from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.lake import (
    audits,
    deliveries,
    erasures,
    feed_receipt,
    key_sets,
    manifest,
    objects,
    receipt,
    references,
    requests,
    schemas,
)
from totesys_dagster.lake.log import Document, Entry, Record
from totesys_dagster_tests.lake.test_format import Told, told

__all__ = ["told"]

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "lake-format.md").read_text()
PLACEHOLDERS = {
    "<sequence>": r"\d{10}",
    "<number>": r"\d{10}",
    "<part>": r"\d{5}",
    "<h8>": "[0-9a-f]{8}",
    "<h16>": "[0-9a-f]{16}",
    "<revision>": r"v\d+-[0-9a-f]{8}",
    "<uuid>": "[0-9a-f-]{36}",
    "<day>": r"\d{4}-\d\d-\d\d",
    "<table>": "[a-z_]+",
    "<star>": "[a-z_]+",
    "<feed>": "[a-z_]+",
}
MODULES = [
    *(audits, deliveries, erasures, feed_receipt, key_sets, manifest),
    *(objects, receipt, references, requests, schemas),
]
# What others are made of, and is never stored on its own.
ABSTRACT = {"Record", "Document", "Entry", "Commit"}
# Who writes objects: a new one here is a new object in the document.
WRITERS = {
    *("lake/key_sets.py", "lake/log.py", "lake/manifest.py", "lake/parts.py", "lake/probe.py"),
    *("lake/references.py", "lake/requests.py", "lake/store.py", "feeds/process.py"),
    *("feeds/receive.py", "ingestion/capture.py", "page/published.py"),
    "processed/process.py",
}


def kinds() -> dict[str, type[BaseModel]]:
    """Everything that a document can consist of, by name."""
    found = {
        name: kind
        for module in MODULES
        for name, kind in inspect.getmembers(module, inspect.isclass)
        if issubclass(kind, Record) or kind is objects.ObjectEntry
    }
    return {name: kind for name, kind in found.items() if name not in ABSTRACT}


def section(name: str) -> str:
    found = re.search(rf"^### {name}$(.*?)(?=^##)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, f"no section {name}"
    return found[1]


def type_of(annotation: Any) -> str:
    """A type as the document says it."""
    origin, of = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_of(of[0])
    if origin in (Union, types.UnionType):
        return f"{type_of(of[0])}, optional"
    if origin is Literal:
        return ", ".join(f"`{value}`" for value in of)
    if origin is tuple:
        return f"list of {type_of(of[0])}" if of[-1] is ... else f"[{', '.join(map(type_of, of))}]"
    if origin is dict:
        return f"map of {type_of(of[1])}"
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    plain = {int: "integer", str: "string", bool: "boolean", dt.datetime: "time", Any: "any"}
    return plain[annotation]


def patterns() -> Iterator[tuple[str, str]]:
    """The zones and keys of the document's table of objects."""
    for zone, keys in re.findall(r"^\| (ingestion|processed|both) \| (.*?) \|", TEXT, re.MULTILINE):
        for key in re.findall(r"`([^`]+)`", keys):
            pattern = re.escape(key)
            for name, value in PLACEHOLDERS.items():
                pattern = pattern.replace(name, value)
            for one in ("ingestion", "processed") if zone == "both" else (zone,):
                yield one, pattern


def test_every_object_is_in_the_document_and_nothing_else(told: Told) -> None:
    there = [
        (zone.name, path.relative_to(zone).as_posix())
        for zone in (told.ingestion, told.processed)
        for path in zone.rglob("*")
        if path.is_file()
    ]
    listed = [*patterns()]
    matches = {
        (zone, key): [one for one in listed if one[0] == zone and re.fullmatch(one[1], key)]
        for zone, key in there
    }

    assert {of: found for of, found in matches.items() if len(found) != 1} == {}
    assert {*listed} == {one for found in matches.values() for one in found}


def test_every_kind_of_document_has_a_section() -> None:
    stored = {*re.findall(r"\[(\w+)\]\(#\w+\)", TEXT[: TEXT.index("## How to read a table of T")])}
    documents = {name for name, kind in kinds().items() if issubclass(kind, Document)}
    assert stored == documents
    headings = {*re.findall(r"^### (\w+)$", TEXT, re.MULTILINE)}
    assert headings == kinds().keys()


@pytest.mark.parametrize("name", sorted(kinds()))
def test_every_member_is_in_the_document_with_its_type(name: str) -> None:
    rows = re.findall(r"^\| `(\w+)` \| (.*?) \| (.+) \|$", section(name), re.MULTILINE)
    assert [(member, said) for member, said, _ in rows] == [
        (member, type_of(field.annotation)) for member, field in kinds()[name].model_fields.items()
    ]


@pytest.mark.parametrize(
    "name", sorted(name for name, kind in kinds().items() if issubclass(kind, Document))
)
def test_examples_are_documents(name: str) -> None:
    example = re.search(r"```json\n(.*?)```", section(name), re.DOTALL)
    assert example
    kind = kinds()[name]
    assert issubclass(kind, Document)
    document = kind.from_bytes(json.dumps(shortened(json.loads(example[1]))).encode(), "docs")
    assert not isinstance(document, Entry) or document.previous_sha256 or document.sequence == 1


def shortened(value: Any) -> Any:
    """The example without the members that stand for others."""
    if isinstance(value, dict):
        return {name: shortened(one) for name, one in value.items() if name != "…"}
    return [shortened(one) for one in value] if isinstance(value, list) else value


def test_every_star_is_listed_with_its_base_and_what_it_looks_up() -> None:
    listed = re.findall(
        r"^\| `((?:dim|fact)_\w+)` \| (\S+) \|(?: (\S.*) \|| \|)$", TEXT, re.MULTILINE
    )
    told = {star: (base.strip("`"), more.strip("`")) for star, base, more in listed}
    declared = {
        name: (star.base or "none", "`, `".join(star.sources[1:]) if star.base else "")
        for name, star in STAR_TABLES.items()
    }
    missing = "".join(
        f"\n| `{name}` | {f'`{base}`' if base != 'none' else base} |{f' `{more}`' * bool(more)} |"
        for name, (base, more) in declared.items()
        if told.get(name) != (base, more)
    )
    assert told == declared, (
        "docs/lake-format.md has another table under *How to read a table of the warehouse* than"
        f" the catalogue: make it there too.{missing}"
    )


def test_those_who_write_objects_are_known() -> None:
    """Whoever is new here has to be in the document, and in the story."""
    package = ROOT / "totesys_dagster"
    writes = re.compile(
        r"(?:store|_store|ingestion|processed|backend|_backend)\.(?:put|replace|create)\("
        r"|\bwrite_(?:lines|table|star)\(|references\.put\("
    )
    found = {
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if writes.search(path.read_text())
    }
    assert found - {"lake/receipt.py"} == WRITERS
