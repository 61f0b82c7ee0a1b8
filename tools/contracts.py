"""The contracts with the warehouse's readers, by the Open Data Contract Standard: of each table the
views that they see, and of all reports together."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import yaml

from totesys_dagster.catalogue import WAREHOUSE_TABLES, Kind, StarColumn, StarTable, revision
from totesys_dagster.postgres.sessions import Names
from totesys_dagster.warehouse import ddl, reports
from totesys_dagster.warehouse.ddl import Attribute

_NAMES = Names("warehouse")
_LOGICAL = {
    "integer": "integer",
    "serial": "integer",
    "bigint": "integer",
    "text": "string",
    "character varying": "string",
    "numeric": "number",
    "boolean": "boolean",
    "date": "date",
    "time without time zone": "time",
    "timestamp without time zone": "timestamp",
    "timestamp with time zone": "timestamp",
}
_INDEX = """\
# Contracts

What the warehouse promises its readers, in the [Open Data Contract
Standard](https://bitol-io.github.io/open-data-contract-standard/) 3.1: a contract for each table,
about the views that readers see, and one for all reports. `make render` writes these files from the
catalogue. [data-dictionary.md](../data-dictionary.md) says the same to people.

| Contract | What it covers |
| --- | --- |
| [reports.odcs.yaml](reports.odcs.yaml) | All reports. |
"""
_TRAP = "Every version of a row is in the history: count and add up rows of current_* only."


def contract_of(star: StarTable) -> str:
    """The contract of a table, in YAML."""
    versions = star.kind is not Kind.CALENDAR
    return _contract(
        star.name,
        revision(star),
        {"purpose": star.description, **({"limitations": _TRAP} if versions else {})},
        list(_objects(star)),
    )


def contract_of_reports() -> str:
    """The contract of all reports, in YAML."""
    declared = reports.declared()
    said = "\n".join(f"{one.name}{one.signature}" for one in declared)
    version = hashlib.sha256(said.encode()).hexdigest()[:8]
    purpose = {"purpose": reports.SCHEMA_COMMENT}
    return _contract("reports", version, purpose, [_report(one) for one in declared])


def index() -> str:
    """What people find in the folder of the contracts, in Markdown."""
    rows = [
        f"| [{star.name}.odcs.yaml]({star.name}.odcs.yaml) | {star.description} |"
        for star in sorted(WAREHOUSE_TABLES.values(), key=lambda star: star.name)
    ]
    return _INDEX + "\n".join(rows) + "\n"


def _contract(
    name: str, version: str, description: dict[str, str], schema: list[dict[str, Any]]
) -> str:
    document = {
        "apiVersion": "v3.1.0",
        "kind": "DataContract",
        "id": f"totesys-warehouse-{name}",
        "name": name,
        "version": version,
        "status": "active",
        "description": description,
        "roles": [{"role": ddl.READER, "access": "read"}],
        "schema": schema,
    }
    text = yaml.safe_dump(document, sort_keys=False, allow_unicode=True, width=100)
    return f"# Written by `make render`.\n{text}"


def _objects(star: StarTable) -> Iterator[dict[str, Any]]:
    """The views of a table, or itself where it has none."""
    if not (views := ddl.views(_NAMES, star)):
        yield _object(star, star.name, "table", star.description, ddl.attributes(star))
    for view in views:
        yield _object(star, view.name, "view", view.comment, view.columns)


def _object(
    star: StarTable, name: str, kind: str, description: str, attributes: Iterable[Attribute]
) -> dict[str, Any]:
    history = name.startswith("history_")
    keys = (star.record_id,) if history else star.keys
    declared = {column.name: column for column in star.columns}
    return {
        "id": name,
        "name": name,
        "physicalName": f"warehouse.{name}",
        "physicalType": kind,
        "logicalType": "object",
        "description": description,
        "properties": [
            _property(attribute)
            | {"required": attribute.not_null}
            | _key(attribute.name, keys)
            | _carried(declared.get(attribute.name), refers=not history)
            for attribute in attributes
        ],
    }


def _key(name: str, keys: tuple[str | None, ...]) -> dict[str, Any]:
    """What a column is called as one of the keys, if it is."""
    if name not in keys:
        return {}
    if len(keys) > 1:
        return {"primaryKey": True, "primaryKeyPosition": keys.index(name) + 1}
    return {"id": name, "primaryKey": True, "unique": True}


def _property(attribute: Attribute) -> dict[str, Any]:
    return {
        "name": attribute.name,
        "logicalType": _LOGICAL[attribute.type.partition("(")[0]],
        "physicalType": "integer" if attribute.type == "serial" else attribute.type,
        "description": attribute.comment,
    }


def _carried(column: StarColumn | None, *, refers: bool) -> dict[str, Any]:
    """What is known of a column that is declared: whether it identifies a person, where it is from,
    and what it `refers` to: a version may refer to a row that the source deleted since."""
    if column is None:
        return {}
    found: dict[str, Any] = {"classification": "PII"} if column.pii else {}
    if column.takes:
        found["transformSourceObjects"] = [".".join(source) for source in column.takes]
    if column.references and refers:
        found["relationships"] = [{"to": _place(WAREHOUSE_TABLES[column.references])}]
    return found


def _place(dimension: StarTable) -> str:
    """Where the key of a dimension is in its contract."""
    name = next(_objects(dimension))["id"]
    return f"{dimension.name}.odcs.yaml#/schema/{name}/properties/{dimension.key}"


def _report(report: reports.Report) -> dict[str, Any]:
    parameters = [{"property": "parameters", "value": report.parameters}]
    return {
        "name": report.name,
        "physicalName": f"reports.{report.name}",
        "physicalType": "view" if report.parameters is None else "function",
        "logicalType": "object",
        "description": "{Question} Unit: {Unit} Trap: {Trap}".format(**report.terms),
        "dataGranularityDescription": report.terms["Grain"],
        **({} if report.parameters is None else {"customProperties": parameters}),
        "properties": [_property(column) for column in report.columns],
    }
