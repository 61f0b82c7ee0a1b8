"""The UI's descriptions of tables, in Markdown, from the catalogue and the heads of reports."""

from __future__ import annotations

from functools import cache

from totesys_dagster import settings
from totesys_dagster.catalogue import (
    INGESTION,
    PROCESSED,
    WAREHOUSE,
    Component,
    Kind,
    SourceTable,
    StarTable,
    revision,
)
from totesys_dagster.metadata import asset_key, link
from totesys_dagster.warehouse.reports import Report, all_reports, declared

# How many columns an example query shows, and how many questions are listed.
COLUMNS = 5
QUESTIONS = 6

MISSING = (
    "A batch that did not touch this table shows as *missing* here. That is expected: there is"
    " nothing to do."
)


def raw(table: SourceTable) -> str:
    """Describe a table in the ingestion zone."""
    return _paragraphs(
        table.description,
        "Contains the rows that each batch found changed, as they were.",
        f"**Where it is**: ToteSys `public.{table.name}` → ingestion zone"
        f" `rows/{table.name}/batch=<batch>/*.jsonl.zst`.",
        MISSING,
    )


def processed(star: StarTable) -> str:
    """Describe a star table in the processed zone."""
    place = f"rows/{star.name}/{revision(star)}/batch=<batch>"
    everywhere = f"rows/{star.name}/{revision(star)}/*/*.parquet"
    return _paragraphs(
        star.description,
        "Contains the rows that each batch brings.",
        f"**Where it is**: {_origin(star)} → processed zone `{place}/*.parquet` →"
        f" {_asset(WAREHOUSE, star.name)}.",
        _sql(f"-- DuckDB\nSELECT * FROM read_parquet('<processed zone>/{everywhere}');"),  # nosec B608
        MISSING,
    )


def warehouse(star: StarTable) -> str:
    """Describe a star table in the warehouse."""
    schema = settings.warehouse_schema()
    plain = (c for c in star.columns if not c.pii and c.component is not Component.TIME)
    shown = [column.name for column in plain][:COLUMNS]
    question = (
        f"SELECT {', '.join(shown)}\nFROM {schema}.current_{star.name}"  # nosec B608
        f"\nORDER BY {star.key} DESC LIMIT 10;"
    )
    return _paragraphs(
        star.description,
        f"**Query** `current_{star.name}`, one row per key that the source has{_versions(star)}:",
        _sql(question),
        _questions(star),
        f"**Where it comes from**: {_origin(star)} → {_asset(PROCESSED, star.feed or star.name)} →"
        f" `{schema}.{star.name}`.",
    )


def _versions(star: StarTable) -> str:
    if star.kind is Kind.CALENDAR:
        return ""
    return f"; `history_{star.name}` has every version, with its period"


def _questions(star: StarTable) -> str:
    """The questions of the reports that read a table, each as a link."""
    found = [report for report in declared() if star.name in _tables(report.name)]
    lines = [f"* {link(asset_key(settings.REPORTS, one.name), _question(one))}" for one in found]
    if not lines:
        return ""
    more = [f"* and {len(lines) - QUESTIONS} more"] if len(lines) > QUESTIONS else []
    return "\n".join(["**Questions that it answers**\n", *lines[:QUESTIONS], *more])


def _question(report: Report) -> str:
    return report.terms["Question"]


@cache
def _tables(report: str) -> frozenset[str]:
    """The tables that a report reads, directly or through other reports."""
    found: set[str] = set()
    for relation in all_reports()[report].relations:
        if relation in all_reports():
            found |= _tables(relation)
        else:
            found.add(relation.removeprefix("current_").removeprefix("history_"))
    return frozenset(found)


def _origin(star: StarTable) -> str:
    if star.feed:
        return _asset(INGESTION, star.feed)
    if not star.sources:
        return "the days of the facts"
    return ", ".join(_asset(INGESTION, name) for name in star.sources)


def _asset(zone: str, name: str) -> str:
    return link(asset_key(zone, name), f"{zone}/{name}")


def _sql(query: str) -> str:
    return f"```sql\n{query}\n```"


def _paragraphs(*texts: str) -> str:
    return "\n\n".join(text for text in texts if text)
