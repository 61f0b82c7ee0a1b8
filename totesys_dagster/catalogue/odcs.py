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

from totesys_dagster.catalogue import odcs_values as values
from totesys_dagster.catalogue.assemble import require_sound
from totesys_dagster.catalogue.files import FILE_TYPES, FileColumn, FileContract
from totesys_dagster.catalogue.model import Kind, StarTable, Type
from totesys_dagster.catalogue.odcs_values import flag, identifier, mapping, require_known, text
from totesys_dagster.catalogue.star_columns import given
from totesys_dagster.characters import visible
from totesys_dagster.errors import DeclarationError

ENDING = ".odcs.yaml"
SUPPLIED = Path(__file__).parents[1] / "contracts"

_LIKE = (".yaml", ".yml")
_VERSION = re.compile(r"v3\.[0-9]{1,3}\.[0-9]{1,3}")
# A whole number that a column of the warehouse holds is less than this.
_INTEGERS = Decimal(2**63)
_TYPES = {
    "string": Type.TEXT,
    "integer": Type.BIG_INTEGER,
    "number": Type.MONEY,
    "boolean": Type.BOOLEAN,
    "date": Type.DATE,
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
    *("examples", "authoritativeDefinitions", "criticalDataElement", "customProperties"),
}


def read_contracts(*directories: Path) -> list[FileContract]:
    """The contracts of directories, each a file `<name>.odcs.yaml`, in the order of their names.

    Raises DeclarationError, which names the file, where one cannot be understood, has a table or a
    location that another has, or looks like a contract and has another ending.
    """
    paths = [path for directory in directories for path in _paths(directory)]
    found: list[FileContract] = []
    for path in paths:
        contract = _read(path)
        for other in found:
            _require_apart(path, contract, other)
        found.append(contract)
    return found


def _paths(directory: Path) -> list[Path]:
    try:
        paths = sorted(path for path in directory.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DeclarationError(
            f"The contracts in {directory} cannot be read ({error.strerror}): let this user read"
            " that directory."
        ) from None
    for path in paths:
        name = path.name.lower()
        if not path.name.endswith(ENDING) and (name.endswith(_LIKE) or ".odcs." in name):
            raise DeclarationError(
                f"The file {visible(path.name)} lies with the contracts, and its name does not end"
                f" in {ENDING}, so that nobody reads it: rename it, or put it elsewhere."
            )
    return [path for path in paths if path.name.endswith(ENDING)]


def _read(path: Path) -> FileContract:
    try:
        # Of BaseLoader: it makes text, lists and mappings, and no objects.
        document = yaml.load(path.read_text(encoding="utf-8"), _Loader)  # nosec B506
        return _contract(mapping(document, "the document"))
    except RecursionError:
        says = "it is nested too deeply"
    except (OSError, ValueError, yaml.YAMLError, DeclarationError) as error:
        says = " ".join(str(error).split()).removesuffix(".")
    raise DeclarationError(
        f"The contract {visible(path.name)} cannot be used: {visible(says)}."
    ) from None


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
    require_known(document, {*_PROSE, "schema", "customProperties"}, "the contract")
    if document.get("kind") != "DataContract" or not _VERSION.fullmatch(
        text(document, "apiVersion")
    ):
        raise DeclarationError(
            "it is not `kind: DataContract` with an `apiVersion` of v3, such as v3.0.2"
        )
    schema = mapping(_one(document.get("schema")), "schema")
    require_known(schema, _OF_SCHEMA, "schema")
    properties = schema.get("properties")
    if not isinstance(properties, list) or not properties:
        raise DeclarationError("its schema has no `properties`")
    declared = [mapping(one, "properties") for one in properties]
    columns = tuple(_column(one) for one in declared)
    custom = _custom(document, _CUSTOM)
    values.require_format(custom)
    name_column = custom.get("fileNameColumn", "file_name")
    return FileContract(
        title=_title(document),
        table=_table(schema, declared, columns, name_column, custom),
        columns=columns,
        location=values.location(custom.get("location", text(schema, "name"))),
        name_column=name_column,
        file_types=tuple(custom.get("fileTypes", FILE_TYPES)),
        delimiter=custom.get("delimiter", ","),
        encoding=custom.get("encoding", "utf-8").lower(),
        header=flag(custom, "header", default=True),
        decimal_separator=custom.get("decimalSeparator", "."),
    )


def _one(schemas: Any) -> Any:
    if not isinstance(schemas, list) or len(schemas) != 1:
        raise DeclarationError("its `schema` has to have one table, of which it is the contract")
    return schemas[0]


def _title(document: Mapping[str, Any]) -> str:
    """On one line of a message or report."""
    title = " ".join(text(document, "name").split())
    if not title:
        raise DeclarationError("`name` is missing, or is no text")
    return title


def _table(
    schema: Mapping[str, Any],
    declared: Sequence[Mapping[str, Any]],
    columns: Sequence[FileColumn],
    name_column: str,
    custom: Mapping[str, Any],
) -> StarTable:
    feed = identifier(text(schema, "name"))
    name = text(schema, "physicalName") if "physicalName" in schema else f"fact_{feed}"
    if name != f"fact_{feed}":
        raise DeclarationError(f"its table is {name}: call it fact_{feed}, after the schema's name")
    keys = [one for one in declared if flag(one, "primaryKey", default=False)]
    if not keys or any(not flag(one, "required", default=False) for one in keys):
        raise DeclarationError("its `primaryKey` has to be one or more columns that are `required`")
    keys = values.in_order(keys)
    terms = {"custom": dict(custom), "columns": [_terms(one) for one in declared]}
    table = StarTable(
        name,
        Kind.FACT,
        text(schema, "description"),
        (
            *(column.column for column in columns),
            given(identifier(name_column), Type.TEXT, "The file that the row came from."),
        ),
        feed=feed,
        key_columns=tuple(text(one, "name") for one in keys),
        record_id=f"{feed}_record_id",
        terms=json.dumps(terms, sort_keys=True),
    )
    require_sound(table)
    return table


def _terms(declared: Mapping[str, Any]) -> dict[str, Any]:
    """What decides which rows a file gives; what a column means does not."""
    return {name: declared[name] for name in ("name", "logicalTypeOptions") if name in declared}


def _column(declared: Mapping[str, Any]) -> FileColumn:
    name = identifier(text(declared, "name"))
    require_known(declared, _OF_COLUMN, name)
    logical = text(declared, "logicalType")
    if logical not in _TYPES:
        raise DeclarationError(
            f"{name} is {logical!r}: its logicalType is one of {values.listed(_TYPES)}"
        )
    type_ = _TYPES[logical]
    options = mapping(declared.get("logicalTypeOptions", {}), name)
    require_known(options, values.OPTIONS[type_], f"the logicalTypeOptions of {name}")
    column = given(
        name,
        type_,
        text(declared, "description"),
        nullable=not flag(declared, "required", default=False),
        digits=values.digits(name, declared) if type_ is Type.MONEY else (10, 2),
    )
    precision, scale = column.digits
    greatest = Decimal(10) ** (precision - scale) if type_ is Type.MONEY else _INTEGERS
    minimum, maximum = values.bounds(name, options, greatest)
    return FileColumn(
        column,
        pattern=values.pattern(name, options),
        longest=values.longest(name, options),
        minimum=minimum,
        maximum=maximum,
        date_format=values.date_format(name, options),
        listed_in=values.listed_in(name, type_, _custom(declared, {"listedIn"})),
    )


def _custom(document: Mapping[str, Any], known: set[str]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    properties = document.get("customProperties", [])
    if not isinstance(properties, list):
        raise DeclarationError("its `customProperties` are not a list")
    for one in properties:
        declared = mapping(one, "customProperties")
        require_known(declared, {"property", "value", "description"}, "customProperties")
        name = text(declared, "property")
        if name in found:
            raise DeclarationError(f"it has the custom property {name} twice")
        found[name] = declared.get("value") if name == "fileTypes" else text(declared, "value")
    require_known(found, known, "customProperties")
    return found
