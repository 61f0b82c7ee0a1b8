"""Reports for people and for scripts: as tables on a terminal, and as plain data for JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from totesys_dagster.catalogue import INGESTION, PROCESSED, STAR_TABLES, WAREHOUSE
from totesys_dagster.operations.path import BatchReport
from totesys_dagster.warehouse.status import TableStatus

STEPS = {
    "poll": "looking",
    INGESTION: "capture",
    PROCESSED: "process",
    WAREHOUSE: "load and audit",
}


def batch_data(report: BatchReport) -> dict[str, Any]:
    """A batch's report as plain data."""
    manifest, loaded = report.manifest, report.loaded
    return {
        "batch": manifest.batch,
        "sequence": manifest.sequence,
        "observed_at": manifest.observed_at.isoformat(),
        "ingested": {
            name: {"read": entry.read, "rows": entry.rows, "deleted": entry.deleted_rows}
            for name, entry in manifest.tables.items()
            if entry.rows or entry.deleted or entry.changed
        },
        "tables": {
            star: {
                "processed": receipt.rows,
                "quarantined": receipt.quarantined,
                "new": loaded.tables[star].inserted,
                "changed": loaded.tables[star].updated,
                "deleted": loaded.tables[star].deleted,
                "held_back": loaded.tables[star].held_back,
                "audit_equal": loaded.audits[star].equal if star in loaded.audits else None,
            }
            for star, receipt in report.receipts.items()
        },
        "checks_passed": report.checks_passed,
        "checks_failed": report.checks_failed,
        "seconds": {step: round(seconds, 3) for step, seconds in report.seconds.items()},
    }


def status_data(tables: Sequence[TableStatus]) -> dict[str, Any]:
    """The warehouse's tables as plain data."""
    return {
        table.star: {
            "current": table.current,
            "versions": table.versions,
            "kept_out": table.outstanding,
            "audited_batch": table.audited_batch,
            "audit_equal": table.equal,
        }
        for table in tables
    }


def _table(title: str, first: str, numbers: Sequence[str], last: str) -> Table:
    """A table with a name, numbers and a word in each row; names are never cut."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column(first, no_wrap=True)
    for heading in numbers:
        table.add_column(heading, justify="right")
    table.add_column(last, no_wrap=True)
    return table


def print_batch(console: Console, report: BatchReport) -> None:
    """What was ingested in a batch, and what became of it."""
    manifest = report.manifest
    title = f"Batch {manifest.sequence} · {manifest.batch}"
    ingested = _table(f"{title} · ingested", "source table", ("rows", "new", "deleted"), "read")
    for name, entry in manifest.tables.items():
        if entry.rows or entry.deleted:
            new = "" if entry.inserted is None else f"{entry.inserted:,}"
            ingested.add_row(name, f"{entry.rows:,}", new, f"{entry.deleted_rows:,}", entry.read)
    console.print(ingested)
    console.print(_loaded_table(report, f"{title} · processed and loaded"))
    for check in report.checks_failed:
        console.print(f"[yellow]Check failed: {escape(check)}")
    steps = ", ".join(f"{STEPS[step]} {seconds:.2f} s" for step, seconds in report.seconds.items())
    failed = f", {len(report.checks_failed)} failed" if report.checks_failed else ""
    console.print(f"{report.checks_passed} checks passed{failed}; {steps}.\n")


def _loaded_table(report: BatchReport, title: str) -> Table:
    numbers = ("processed", "quarantined", "new", "changed", "deleted")
    table = _table(title, "warehouse table", numbers, "audit")
    for star, receipt in report.receipts.items():
        done = report.loaded.tables[star]
        found = report.loaded.audits.get(star)
        table.add_row(
            star,
            f"{receipt.rows:,}",
            f"{receipt.quarantined + done.held_back:,}",
            f"{done.inserted:,}",
            f"{done.updated:,}",
            f"{done.deleted:,}",
            _verdict(found.equal if found else None),
        )
    return table


def _verdict(equal: bool | None) -> str:
    if equal is None:
        return "not due"
    return "[green]equal" if equal else "[red]differs"


def print_status(console: Console, tables: Sequence[TableStatus]) -> None:
    """The warehouse's tables: rows now, versions, rows kept out, and the last audit."""
    numbers = ("current", "versions", "kept out", "audited in")
    table = _table("The warehouse now", "warehouse table", numbers, "equals the source")
    assert len(tables) == len(STAR_TABLES)
    for row in tables:
        table.add_row(
            row.star,
            f"{row.current:,}",
            f"{row.versions:,}",
            f"{row.outstanding:,}",
            "" if row.audited_batch is None else f"batch {row.audited_batch}",
            _verdict(row.equal) if row.audited_batch else "",
        )
    console.print(table)
