"""The reports as assets: what each answers, what it reads, and its columns, from the head of its
file. They are views and functions, created by `totesys migrate` and by no run."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from typing import Any

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.catalogue import WAREHOUSE, WAREHOUSE_TABLES
from totesys_dagster.metadata import OWNERS, asset_key
from totesys_dagster.warehouse.reports import Report, all_reports, declared

_SCHEMA = settings.reports_schema(settings.warehouse_schema())
# The relations of a table of the warehouse.
_OF_TABLE = re.compile(r"^(?:current_|history_|past_)?(.*)$")
# Example arguments of a function, by the type of the parameter.
_ARGUMENTS = {
    "date": "current_date",
    "integer": "7",
    "timestamp with time zone": "now()",
    "timestamptz": "now()",
}


def table_of(relation: str) -> str | None:
    """The table of the warehouse behind a relation in a report's query; None for a report or the
    ledger."""
    found = _OF_TABLE.fullmatch(relation)
    assert found is not None
    return found[1] if found[1] in WAREHOUSE_TABLES else None


def example(report: Report) -> str:
    """An example query of the report."""
    name = f"{_SCHEMA}.{report.name}"
    if report.parameters is None:
        return f"SELECT * FROM {name} LIMIT 10;"  # nosec B608
    types = [one.partition(" ")[2] for one in report.parameters.split(", ")]
    arguments = ", ".join(_ARGUMENTS.get(type_, "1") for type_ in types)
    return f"SELECT * FROM {name}({arguments}) LIMIT 10;"  # nosec B608


def _description(report: Report) -> str:
    terms = "\n".join(f"* **{term}**: {report.terms[term]}" for term in ("Unit", "Grain", "Trap"))
    parameters = f"\n* **Parameters**: `{report.parameters}`" if report.parameters else ""
    return f"{report.terms['Question']}\n\n{terms}{parameters}\n\n```sql\n{example(report)}\n```"


def _deps(report: Report) -> Iterator[dg.AssetKey]:
    for relation in report.relations:
        if relation in all_reports():
            yield asset_key(settings.REPORTS, relation)
        elif table := table_of(relation):
            yield asset_key(WAREHOUSE, table)


def _metadata(report: Report) -> dict[str, Any]:
    columns = [dg.TableColumn(c.name, c.type, description=c.comment) for c in report.columns]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/table_name": f"{_SCHEMA}.{report.name}",
    }


def _spec(report: Report) -> dg.AssetSpec:
    return dg.AssetSpec(
        asset_key(settings.REPORTS, report.name),
        deps=[*dict.fromkeys(_deps(report))],
        description=_description(report),
        group_name=settings.REPORTS,
        kinds={"postgres", "view" if report.parameters is None else "sql"},
        owners=OWNERS,
        tags={"zone": settings.REPORTS, "kind": "report"},
        metadata=_metadata(report),
    )


REPORT_SPECS = [_spec(report) for report in declared()]
# Identifies the present declarations of all reports.
DEFINITIONS = hashlib.sha256(
    "\n".join(f"{report.signature} {report.query}" for report in declared()).encode()
).hexdigest()


def materializations() -> Iterator[dg.AssetMaterialization]:
    """The materializations that say that the warehouse has the reports."""
    for report in declared():
        digest = hashlib.sha256(report.query.encode()).hexdigest()
        metadata: dict[str, Any] = {"SHA-256 of the query": digest, "columns": len(report.columns)}
        key = asset_key(settings.REPORTS, report.name)
        yield dg.AssetMaterialization(key, metadata=metadata)
