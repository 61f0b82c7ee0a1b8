"""Contracts of files, read from ODCS (Open Data Contract Standard 3) into the catalogue's types.

Every scalar is read as text: YAML would take `no` for false and `1.10` for a number. Whatever is
not understood is refused, so that nobody trusts a rule that nothing holds to.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import yaml

from totesys_dagster.catalogue.assemble import require_sound
from totesys_dagster.catalogue.files import (
    ENCODINGS,
    FILE_TYPES,
    ISO_DATE,
    FileColumn,
    FileContract,
)
from totesys_dagster.catalogue.model import Digits, Kind, StarTable, Type
from totesys_dagster.catalogue.star_columns import given
from totesys_dagster.errors import DeclarationError

ENDING = ".odcs.yaml"
SUPPLIED = Path(__file__).parents[1] / "contracts"
# PostgreSQL takes 63 bytes, and the names of views and keys are longer than the table's.
LONGEST_NAME = 40

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NUMERIC = re.compile(r"(?:numeric|decimal)\(([0-9]+), ?([0-9]+)\)")
_NUMBER = re.compile(r"-?[0-9]+(\.[0-9]+)?")
_DATE_FORMAT = re.compile(r"(?=.*yyyy)(?=.*MM)(?:(?:yyyy|MM|dd)[-./ ]?)+")
_TYPES = {
    "string": Type.TEXT,
    "integer": Type.BIG_INTEGER,
    "number": Type.MONEY,
    "boolean": Type.BOOLEAN,
    "date": Type.DATE,
}
# Which rules a contract may give for the values of a type.
_OPTIONS = {
    Type.TEXT: {"pattern", "maxLength"},
    Type.BIG_INTEGER: {"minimum", "maximum"},
    Type.MONEY: {"minimum", "maximum"},
    Type.BOOLEAN: set[str](),
    Type.DATE: {"format"},
}
_CUSTOM = {
    "location",
    "fileTypes",
    "delimiter",
    "encoding",
    "header",
    "decimalSeparator",
    "fileNameColumn",
}
# What says what the data are for, and decides nothing.
_PROSE = {
    *("apiVersion", "kind", "id", "version", "status", "name", "domain", "dataProduct", "tenant"),
    *("description", "tags", "team", "roles", "support", "price", "slaProperties", "servers"),
    *("authoritativeDefinitions", "contractCreatedTs"),
}
_OF_SCHEMA = {
    *("name", "physicalName", "physicalType", "logicalType", "description", "businessName"),
    *("properties", "tags", "dataGranularityDescription", "authoritativeDefinitions"),
}
_OF_COLUMN = {
    *("name", "physicalName", "physicalType", "logicalType", "logicalTypeOptions", "description"),
    *("required", "primaryKey", "primaryKeyPosition", "businessName", "classification", "tags"),
    *("examples", "authoritativeDefinitions", "criticalDataElement"),
}


def read_contracts(*directories: Path) -> list[FileContract]:
    """The contracts of directories, each a file `<name>.odcs.yaml`, in the order of their names.

    Raises DeclarationError, which names the file, where one cannot be understood or has a table or
    a location that another has.
    """
    paths = [path for directory in directories for path in sorted(directory.glob(f"*{ENDING}"))]
    found: list[FileContract] = []
    for path in paths:
        contract = _read(path)
        for other in found:
            _require_apart(path, contract, other)
        found.append(contract)
    return found


def _read(path: Path) -> FileContract:
    try:
        # Of BaseLoader: it makes text, lists and mappings, and no objects.
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # nosec B506
        return _contract(_mapping(document, "the document"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError, DeclarationError) as error:
        says = " ".join(str(error).split()).removesuffix(".")
        raise DeclarationError(f"The contract {path.name} cannot be used: {says}.") from None


def _require_apart(path: Path, one: FileContract, other: FileContract) -> None:
    places = [f"{contract.location}/" for contract in (one, other)]
    if one.table.name == other.table.name:
        what = f"the table {one.table.name}"
    elif places[0].startswith(places[1]) or places[1].startswith(places[0]):
        what = f"the location {one.location}, or one within the other,"
    else:
        return
    raise DeclarationError(
        f"The contract {path.name} has {what} that {other.title} has already: give it another."
    )


class _Loader(getattr(yaml, "CBaseLoader", yaml.BaseLoader)):  # type: ignore[misc]
    """Scalars as text, and no key twice: of two, the last would count without a word."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        keys = [key.value for key, _ in node.value if isinstance(key, yaml.ScalarNode)]
        for key in keys:
            if keys.count(key) > 1:
                raise DeclarationError(f"it has {key} twice in one place")
        found: dict[Any, Any] = super().construct_mapping(node, deep)
        return found


def _contract(document: Mapping[str, Any]) -> FileContract:
    _require_known(document, {*_PROSE, "schema", "customProperties"}, "the contract")
    if document.get("kind") != "DataContract" or not _text(document, "apiVersion").startswith("v3"):
        raise DeclarationError("it is not `kind: DataContract` with an `apiVersion` of v3")
    schemas = document.get("schema")
    if not isinstance(schemas, list) or len(schemas) != 1:
        raise DeclarationError("its `schema` has to have one table, of which it is the contract")
    schema = _mapping(schemas[0], "schema")
    _require_known(schema, _OF_SCHEMA, "schema")
    properties = schema.get("properties")
    if not isinstance(properties, list) or not properties:
        raise DeclarationError("its schema has no `properties`")
    declared = [_mapping(one, "properties") for one in properties]
    columns = tuple(_column(one) for one in declared)
    custom = _custom(document)
    _require_format(custom)
    name_column = custom.get("fileNameColumn", "file_name")
    return FileContract(
        title=_text(document, "name"),
        table=_table(schema, declared, columns, name_column, custom),
        columns=columns,
        location=_location(custom.get("location", _text(schema, "name"))),
        name_column=name_column,
        file_types=tuple(custom.get("fileTypes", FILE_TYPES)),
        delimiter=custom.get("delimiter", ","),
        encoding=custom.get("encoding", "utf-8").lower(),
        header=_flag(custom, "header", default=True),
        decimal_separator=custom.get("decimalSeparator", "."),
    )


def _table(
    schema: Mapping[str, Any],
    declared: Sequence[Mapping[str, Any]],
    columns: Sequence[FileColumn],
    name_column: str,
    custom: Mapping[str, Any],
) -> StarTable:
    feed = _identifier(_text(schema, "name"))
    name = _text(schema, "physicalName") if "physicalName" in schema else f"fact_{feed}"
    if name != f"fact_{feed}":
        raise DeclarationError(f"its table is {name}: call it fact_{feed}, after the schema's name")
    keys = [one for one in declared if _flag(one, "primaryKey", default=False)]
    if not keys or any(not _flag(one, "required", default=False) for one in keys):
        raise DeclarationError("its `primaryKey` has to be one or more columns that are `required`")
    if all(_text(one, "primaryKeyPosition", "0").isdecimal() for one in keys):
        keys.sort(key=lambda one: int(_text(one, "primaryKeyPosition", "0")))
    terms = {"custom": dict(custom), "columns": [_terms(one) for one in declared]}
    table = StarTable(
        name,
        Kind.FACT,
        _text(schema, "description"),
        (
            *(column.column for column in columns),
            given(_identifier(name_column), Type.TEXT, "The file that the row came with."),
        ),
        feed=feed,
        key_columns=tuple(_text(one, "name") for one in keys),
        record_id=f"{feed}_record_id",
        terms=json.dumps(terms, sort_keys=True),
    )
    require_sound(table)
    return table


def _terms(declared: Mapping[str, Any]) -> dict[str, Any]:
    """What decides which rows a file gives; what a column means does not."""
    return {name: declared[name] for name in ("name", "logicalTypeOptions") if name in declared}


def _column(declared: Mapping[str, Any]) -> FileColumn:
    name = _identifier(_text(declared, "name"))
    _require_known(declared, _OF_COLUMN, name)
    logical = _text(declared, "logicalType")
    if logical not in _TYPES:
        raise DeclarationError(f"{name} is {logical!r}: its logicalType is one of {_list(_TYPES)}")
    type_ = _TYPES[logical]
    options = _mapping(declared.get("logicalTypeOptions", {}), name)
    _require_known(options, _OPTIONS[type_], f"the logicalTypeOptions of {name}")
    column = given(
        name,
        type_,
        _text(declared, "description"),
        nullable=not _flag(declared, "required", default=False),
        digits=_digits(name, declared) if type_ is Type.MONEY else (10, 2),
    )
    return FileColumn(
        column,
        pattern=_pattern(name, options),
        longest=int(_number(name, options, "maxLength")) if "maxLength" in options else None,
        minimum=_number(name, options, "minimum") if "minimum" in options else None,
        maximum=_number(name, options, "maximum") if "maximum" in options else None,
        date_format=_date_format(name, options),
    )


def _digits(name: str, declared: Mapping[str, Any]) -> Digits:
    match = _NUMERIC.fullmatch(_text(declared, "physicalType", ""))
    if not match or not 0 <= int(match[2]) <= int(match[1]) <= 38 or match[1] == "0":
        raise DeclarationError(f"{name} is a number: give its digits by `physicalType`, such as"
                               " numeric(14,2), of 38 at most")  # fmt: skip
    return int(match[1]), int(match[2])


def _number(name: str, options: Mapping[str, Any], option: str) -> Decimal:
    text = _text(options, option)
    if not _NUMBER.fullmatch(text) or (option == "maxLength" and not text.isdecimal()):
        raise DeclarationError(f"the {option} of {name} is no number")
    return Decimal(text)


def _pattern(name: str, options: Mapping[str, Any]) -> str | None:
    if "pattern" not in options:
        return None
    pattern = _text(options, "pattern")
    try:
        re.compile(pattern)
    except re.error as error:
        raise DeclarationError(
            f"the pattern of {name} is no regular expression ({error})"
        ) from None
    return pattern


def _date_format(name: str, options: Mapping[str, Any]) -> str:
    form = _text(options, "format", ISO_DATE)
    if not _DATE_FORMAT.fullmatch(form) or any(form.count(p) > 1 for p in ("yyyy", "MM", "dd")):
        raise DeclarationError(
            f"the format of {name} is {form!r}: write yyyy, MM and, unless it is a month, dd, such"
            " as dd/MM/yyyy"
        )
    return form


def _custom(document: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for one in document.get("customProperties", []):
        name = _text(_mapping(one, "customProperties"), "property")
        if name in found:
            raise DeclarationError(f"it has the custom property {name} twice")
        found[name] = one.get("value") if name == "fileTypes" else _text(one, "value")
    _require_known(found, _CUSTOM, "customProperties")
    return found


def _require_format(custom: Mapping[str, Any]) -> None:
    """Raise DeclarationError unless files can be written as the custom properties say."""
    types = custom.get("fileTypes", FILE_TYPES)
    if isinstance(types, str) or not types or not {*types} <= {*FILE_TYPES}:
        raise DeclarationError(f"its fileTypes are a list of {_list(FILE_TYPES)}")
    delimiter, separator = custom.get("delimiter", ","), custom.get("decimalSeparator", ".")
    if len(delimiter) != 1 or delimiter in '"\r\n' or delimiter.isalnum():
        raise DeclarationError("its delimiter is one character such as , or ; or a tab")
    if separator not in (".", ","):
        raise DeclarationError("its decimalSeparator is . or ,")
    if custom.get("encoding", "utf-8").lower() not in ENCODINGS:
        raise DeclarationError(f"its encoding is one of {_list(ENCODINGS)}")


def _location(text: str) -> str:
    location = text.strip("/")
    if not location or not {"", ".", ".."}.isdisjoint(location.split("/")) or "\\" in location:
        raise DeclarationError("its location is a folder's name, such as sales_target")
    return location


def _mapping(value: Any, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise DeclarationError(f"{what} is not a list of names with values")
    return value


def _text(values: Mapping[str, Any], name: str, default: str | None = None) -> str:
    value = values.get(name, default)
    if not isinstance(value, str) or (not value and default is None):
        raise DeclarationError(f"`{name}` is missing, or is no text")
    return value


def _flag(values: Mapping[str, Any], name: str, *, default: bool) -> bool:
    text = _text(values, name, str(default)).lower()
    if text not in ("true", "false"):
        raise DeclarationError(f"`{name}` is true or false")
    return text == "true"


def _identifier(text: str) -> str:
    if not _NAME.fullmatch(text) or len(text) > LONGEST_NAME:
        raise DeclarationError(
            f"{text!r} is no name for a table or column here: write up to {LONGEST_NAME} lower-case"
            " letters, digits and underscores"
        )
    return text


def _require_known(values: Mapping[str, Any], known: set[str], what: str) -> None:
    unknown = sorted(str(name) for name in values if name not in known)
    if unknown:
        raise DeclarationError(
            f"{what} has {unknown[0]!r}, which nothing here holds to: take it out"
            + (f", or use one of {_list(sorted(known))}" if len(known) < 9 else "")
        )


def _list(names: Any) -> str:
    return ", ".join(names)
