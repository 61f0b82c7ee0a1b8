"""Reports for people and for scripts: as tables on a terminal, and as plain data for JSON."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from totesys_dagster.catalogue import INGESTION, PROCESSED, WAREHOUSE
from totesys_dagster.characters import visible
from totesys_dagster.feeds.status import FeedStatus
from totesys_dagster.ingestion.drift import unknown_tables_note
from totesys_dagster.ingestion.identity import unknown
from totesys_dagster.json_output import Batch, Comparison, TableState
from totesys_dagster.json_output import Status as StatusData
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.operations.quarantine import Row
from totesys_dagster.operations.renew import Due
from totesys_dagster.operations.source_look import SourceLook
from totesys_dagster.orchestration.whole_path import BatchReport
from totesys_dagster.report_tables import new_table, show
from totesys_dagster.warehouse.standing import Audit
from totesys_dagster.warehouse.status import TableStatus, all_equal, conclusion
from totesys_dagster.words import counted

# How many rows in quarantine are printed for people.
SHOWN_ROWS = 500

STEPS = {
    "poll": "looking",
    INGESTION: "capture",
    PROCESSED: "process",
    WAREHOUSE: "load and audit",
}


def batch_data(report: BatchReport) -> Batch:
    """A batch's report as plain data."""
    manifest, loaded = report.manifest, report.loaded
    return {
        "batch": manifest.batch,
        "sequence": manifest.sequence,
        "observed_at": manifest.observed_at.isoformat(),
        "captured": {
            name: {
                "read": entry.read,
                "reason": entry.reason or None,
                "rows": entry.rows,
                "new": entry.inserted,
                "deleted": report.deleted[name],
            }
            for name, entry in manifest.tables.items()
            if entry.rows or entry.changed
        },
        "tables": {
            star: {
                "processed": receipt.rows,
                "quarantined": receipt.quarantined,
                "new": loaded.tables[star].inserted,
                "changed": loaded.tables[star].updated,
                "deleted": loaded.tables[star].deleted,
                "orphans": loaded.tables[star].orphans,
                "audit": audit_data(loaded.audits.get(star)),
            }
            for star, receipt in report.receipts.items()
        },
        "checks_passed": report.checks_passed,
        "checks_failed": report.checks_failed,
        "seconds": {step: round(seconds, 3) for step, seconds in report.seconds.items()},
    }


def audit_data(found: Audit | None) -> Comparison | None:
    """A comparison with the source as plain data: of the whole table or of the touched keys."""
    if found is None:
        return None
    return {
        "scope": found.scope,
        "sequence": found.sequence,
        "at": found.observed_at.isoformat(),
        "equal": found.equal,
        "quarantined": found.quarantined,
        "equal_without_quarantined": found.equal_without,
    }


def status_data(tables: Sequence[TableStatus]) -> dict[str, TableState]:
    """The warehouse's tables as plain data."""
    return {
        table.star: {
            "current": table.current,
            "versions": table.versions,
            "quarantined": table.quarantined,
            "equal": table.standing.equal,
            "proved": bool(table.standing.whole and table.standing.whole.equal),
            "whole": audit_data(table.standing.whole),
            "touched": audit_data(table.standing.touched),
        }
        for table in tables
    }


@dataclass(frozen=True)
class Status:
    """The state of lake and warehouse: the last batch of each (0 if the warehouse has none), the
    tables, those due to be rebuilt, the feeds, why the next batch is stopped, if it is, and what is
    known of the source now."""

    source: str
    head: Manifest | None
    loaded: int
    tables: Sequence[TableStatus]
    outdated: Due
    feeds: Sequence[FeedStatus] = ()
    stopped: str | None = None
    source_now: SourceLook = field(default_factory=SourceLook)

    @property
    def batches(self) -> int:
        """The number of batches in the lake."""
        return self.head.sequence if self.head else 0

    def data(self) -> StatusData:
        """The same as plain data."""
        head = self.head
        return {
            "source": self.source,
            "source_now": self.source_now.data(head),
            "lake": {
                "batches": self.batches,
                "last_batch": head.batch if head else None,
                "observed_at": head.observed_at.isoformat() if head else None,
                "unknown_tables": list(head.unknown_tables) if head else [],
                "source_identity": unknown(head.source) if head else None,
            },
            "warehouse": {
                "batches": self.loaded,
                "equal": all_equal(self.tables) if self.tables else None,
                "stopped": self.stopped,
                "outdated": [star.name for star in self.outdated.stars],
                "tables": status_data(self.tables),
            },
            "feeds": [feed.data() for feed in self.feeds],
        }

    def print(self, console: Console, *, declared: bool) -> None:
        """Print for people. `declared` means that the warehouse is what the catalogue declares."""
        head = self.head
        seen = f", the last one seen at {head.observed_at:%Y-%m-%d %H:%M:%S} UTC" if head else ""
        lake = f"The lake holds {counted(self.batches, 'batch')}{seen}"
        console.print(f"{lake}; the warehouse holds {self.loaded} of them.")
        style = "[yellow]" if self.source_now.wrong else ""
        console.print(f"{style}{escape(self.source_now.sentence(head))}")
        if self.stopped:
            console.print(f"[yellow]{escape(self.stopped)}")
        if head and head.unknown_tables:
            tables = unknown_tables_note(head.unknown_tables)
            console.print(f"In the last batch, {escape(tables)}.")
        if head and (note := unknown(head.source)):
            console.print(escape(note))
        if not declared:
            console.print(
                "The warehouse is not yet what the catalogue declares: the next `totesys run`"
                " migrates it, and `totesys migrate --print` shows how."
            )
        if self.tables:
            print_status(console, self.tables)
            if self.outdated.stars:
                due = self.outdated
                console.print(escape(due.question if due.is_asked_for else due.news))
            console.print(escape(conclusion(self.tables)))
        for feed in self.feeds:
            console.print(escape(feed.sentence))
            for sentence in filter(None, (feed.wrong, *feed.doubts)):
                console.print(f"[yellow]{escape(visible(sentence))}")
            for name, why in feed.refused.items():
                console.print(
                    f"[yellow]  {escape(visible(name))} was refused: {escape(visible(why))}"
                )


def print_batch(console: Console, report: BatchReport) -> None:
    """Print what a batch captured and what became of it."""
    manifest = report.manifest
    title = f"Batch {manifest.sequence} · {manifest.batch}"
    captured = new_table(f"{title} · captured", "source table", ("rows", "new", "deleted"), "read")
    for name, entry in manifest.tables.items():
        if entry.rows or entry.changed:
            new = "" if entry.inserted is None else f"{entry.inserted:,}"
            gone = f"{report.deleted[name]:,}"
            captured.add_row(name, f"{entry.rows:,}", new, gone, entry.read)
    show(console, captured)
    for reason in _reasons(report):
        console.print(escape(reason))
    show(console, _loaded_table(report, f"{title} · processed and loaded"))
    for check in report.checks_failed:
        console.print(f"[yellow]Check failed: {escape(check)}")
    steps = ", ".join(f"{STEPS[step]} {seconds:.2f} s" for step, seconds in report.seconds.items())
    failed = f", {len(report.checks_failed)} failed" if report.checks_failed else ""
    console.print(f"{counted(report.checks_passed, 'check')} passed{failed}; {steps}.\n")


def _loaded_table(report: BatchReport, title: str) -> Table:
    numbers = ("processed", "quarantined", "new", "changed", "deleted")
    table = new_table(title, "warehouse table", numbers, "audit")
    for star, receipt in report.receipts.items():
        done = report.loaded.tables[star]
        found = report.loaded.audits.get(star)
        table.add_row(
            star,
            f"{receipt.rows:,}",
            f"{receipt.quarantined + done.orphans:,}",
            f"{done.inserted:,}",
            f"{done.updated:,}",
            f"{done.deleted:,}",
            "" if found is None else _verdict(found),
        )
    return table


def _reasons(report: BatchReport) -> Iterator[str]:
    """Why tables were read in full, except in the first batch."""
    tables: dict[str, list[str]] = {}
    for name, entry in report.manifest.tables.items():
        if entry.reason and report.manifest.sequence > 1:
            tables.setdefault(entry.reason, []).append(name)
    for reason, names in tables.items():
        yield f"Read in full, because {reason}: {', '.join(names)}."


def _verdict(found: Audit) -> str:
    what = "" if found.scope == "whole" else " in the touched keys"
    if found.equal:
        return f"[green]equal{what}"
    if found.equal_without:
        return f"[yellow]equal but for {found.quarantined} in quarantine"
    return f"[red]differs{what}"


def print_status(console: Console, tables: Sequence[TableStatus]) -> None:
    """Print the warehouse's tables: current rows, versions, rows in quarantine, and audits."""
    table = new_table(
        "The warehouse now",
        "warehouse table",
        ("current", "versions", "in quarantine"),
        "whole table",
    )
    touched = {
        row.star: [_as_of(found) for found in row.standing.audits if found.scope == "touched"]
        for row in tables
    }
    if any(touched.values()):
        table.add_column("since then", overflow="fold")
    for row in tables:
        whole = row.standing.whole
        table.add_row(
            row.star,
            f"{row.current:,}",
            f"{row.versions:,}",
            f"{row.quarantined:,}",
            "" if whole is None else _as_of(whole),
            *touched[row.star],
        )
    show(console, table)


def print_quarantine(console: Console, rows: Sequence[Row]) -> None:
    """Print rows in quarantine, one per line."""
    table = new_table("In quarantine", "warehouse table", ("batch", "key"), "why")
    for row in rows[:SHOWN_ROWS]:
        key = "?" if row.key is None else str(row.key)
        table.add_row(row.star, f"{row.batch}", key, escape("; ".join(row.reasons)))
    show(console, table)
    if len(rows) > SHOWN_ROWS:
        console.print(f"… and {len(rows) - SHOWN_ROWS:,} more: `--json` lists all.")
    for where in dict.fromkeys(row.object for row in rows if row.object):
        console.print(escape(f"Their values: {where}"))


def _as_of(found: Audit) -> str:
    """A verdict with its batch and the source's time that it applies to."""
    return f"{_verdict(found)}[/], batch {found.sequence}, {found.observed_at:%d %b %H:%M}"
