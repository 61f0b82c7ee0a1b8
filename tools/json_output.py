"""The JSON Schemas of what commands print, and the tables of docs/json-output.md, from the types in
`totesys_dagster/json_output.py`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import TypeAdapter

from totesys_dagster.json_output import DOCUMENTS

DIALECT = "https://json-schema.org/draft/2020-12/schema"
BEGIN, END = "<!-- Members: written by `make render`. -->\n", "<!-- End of the members. -->\n"

Json = Mapping[str, Any]


def schema_of(name: str) -> dict[str, Any]:
    """The JSON Schema of what a command prints. It allows further members: see
    docs/json-output.md."""
    found = _untitled(TypeAdapter(DOCUMENTS[name]).json_schema(mode="serialization"))
    return {"$schema": DIALECT, **found}


def schema_text(name: str) -> str:
    """The same as a file."""
    return json.dumps(schema_of(name), indent=1) + "\n"


def _untitled(part: Any, *, named: bool = False) -> Any:
    """A schema without the titles that pydantic makes of names; `named` are the members of an
    object, which may be called `title` as well."""
    if isinstance(part, list):
        return [_untitled(one) for one in part]
    if not isinstance(part, dict):
        return part
    return {
        key: _untitled(value, named=key in ("properties", "$defs") and not named)
        for key, value in part.items()
        if named or key != "title"
    }


def members(document: str) -> str:
    """The document with the tables of all members."""
    before, _, rest = document.partition(BEGIN)
    return f"{before}{BEGIN}\n{_tables()}\n{END}{rest.partition(END)[2]}"


def _tables() -> str:
    commands: dict[str, list[str]] = {}
    for name, type_ in DOCUMENTS.items():
        commands.setdefault(type_.__name__, []).append(name)
    types: dict[str, Json] = {}
    for names in commands.values():
        whole = schema_of(names[0])
        types |= {DOCUMENTS[names[0]].__name__: whole} | whole.get("$defs", {})
    return "\n\n".join("\n".join(_table(name, found)) for name, found in types.items()) + "\n"


def _table(name: str, schema: Json) -> Iterator[str]:
    yield f"### {name}\n\n{schema['description']}\n"
    yield "| Member | Type | Meaning |"
    yield "| --- | --- | --- |"
    for member, found in schema["properties"].items():
        optional = "" if member in schema["required"] else ", may be absent"
        meaning = " ".join(found["description"].split())
        yield f"| `{member}` | {_type(found)}{optional} | {meaning} |"


def _type(found: Json) -> str:
    if ref := found.get("$ref"):
        name = ref.rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if either := found.get("anyOf"):
        return " or ".join(map(_type, either))
    if values := found.get("enum"):
        return ", ".join(f"`{value}`" for value in values)
    if found["type"] == "array":
        return f"list of {_type(found['items'])}"
    if found["type"] == "object":
        return f"{_type(found['additionalProperties'])} by name"
    return f"{found['type']}, {found['format']}" if "format" in found else str(found["type"])
