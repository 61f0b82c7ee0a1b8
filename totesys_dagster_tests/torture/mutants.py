"""Mutants: the mistakes that change capture and loading are prone to, put into the code on purpose.

Each replaces a piece of the platform, in a test only. A torture that does not catch one of them has
no teeth.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from typing import Any

import pytest

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.ingestion import capture, changes, snapshot
from totesys_dagster.ingestion.changes import Known
from totesys_dagster.lake import probe
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.processed import process, transform
from totesys_dagster.processed.contracts import Accepted
from totesys_dagster.warehouse import load

Mutant = Callable[[pytest.MonkeyPatch], None]


def watermark_is_xmax(patch: pytest.MonkeyPatch) -> None:
    """The next batch begins where the last snapshot ended: late commits are lost."""
    examine = changes.examine

    def later(head: Manifest | None) -> Manifest | None:
        if head is None:
            return None
        moved = head.snapshot.model_copy(update={"xmin": head.snapshot.xmax})
        return head.model_copy(update={"snapshot": moved})

    def mutant(view: Any, known: Known, read_keys: Any, **options: Any) -> Any:
        return examine(view, Known(later(known.head), known.audit), read_keys, **options)

    patch.setattr(changes, "examine", mutant)
    patch.setattr(
        capture.Capture,
        "watermark",
        property(lambda self: later(self._head).snapshot.xmin if self._head else 3),
    )


def capture_reads_committed(patch: pytest.MonkeyPatch) -> None:
    """Every statement of a capture sees another state of the source."""
    patch.setattr(snapshot, "READING", "ISOLATION LEVEL READ COMMITTED, READ ONLY")


def manifest_is_overwritten(patch: pytest.MonkeyPatch) -> None:
    """Whoever writes a manifest last wins: in a directory that was spared the proof."""
    patch.setattr(os, "link", os.replace)
    patch.setattr(probe, "require", lambda _: None)


def dimensions_trust_last_updated(patch: pytest.MonkeyPatch) -> None:
    """A dimension's row is taken only when its `last_updated` has moved on."""
    newest: dict[tuple[str, int], Any] = {}
    accept = transform.accept

    def mutant(table: Any, data: bytes, *rest: Any) -> Accepted:
        accepted = accept(table, data, *rest)
        if table.name not in ("design", "address"):
            return accepted
        stale = []
        rows = data.split(b"\n")
        for line in accepted.frame.index:
            row = json.loads(rows[line])
            key = (table.name, row[table.key])
            if key in newest and row["last_updated"] <= newest[key]:
                stale.append(line)
            newest[key] = row["last_updated"]
        return Accepted(accepted.frame.drop(index=stale), accepted.rejected)

    patch.setattr(transform, "accept", mutant)


def contracts_ask_for_every_column(patch: pytest.MonkeyPatch) -> None:
    """A row is set aside for what the warehouse does not take of it."""
    for module in (process, transform):
        patch.setattr(module, "contract", lambda _star, source: SOURCE_TABLES[source])


def facts_are_keyed_by_last_updated(patch: pytest.MonkeyPatch) -> None:
    """A version of a fact is told from another by its key and `last_updated` alone."""
    query = load._TableLoad._query

    def mutant(self: Any, statement: str, *parameters: Any, **more: Any) -> Any:
        if self.star.record_id:
            statement = statement.replace(
                "ROW({current}) IS DISTINCT FROM ROW({staged})",
                "ROW(c.last_updated_date, c.last_updated_time)"
                " IS DISTINCT FROM ROW(s.last_updated_date, s.last_updated_time)",
            )
        return query(self, statement, *parameters, **more)

    patch.setattr(load._TableLoad, "_query", mutant)


def no_ledger(patch: pytest.MonkeyPatch) -> None:
    """A batch is loaded whenever somebody asks, whatever was loaded before."""

    def write(connection: Any, names: Any, manifest: Manifest) -> None:
        for table in ("audit", "quarantine", "batch_table", "batch"):
            connection.execute(
                f"DELETE FROM warehouse_bookkeeping.{table} WHERE sequence = {manifest.sequence}"
            )
        original(connection, names, manifest)

    original = load._write_ledger
    patch.setattr(load, "_in_ledger", lambda *_: False)
    patch.setattr(load, "_write_ledger", write)


def every_table_commits(patch: pytest.MonkeyPatch) -> None:
    """A load commits after each table."""
    run = load._TableLoad.run

    def mutant(self: Any, *arguments: Any) -> None:
        run(self, *arguments)
        self.connection.execute("COMMIT")
        self.connection.execute("BEGIN")

    patch.setattr(load._TableLoad, "run", mutant)


MUTANTS: list[Mutant] = [
    watermark_is_xmax,
    capture_reads_committed,
    manifest_is_overwritten,
    dimensions_trust_last_updated,
    contracts_ask_for_every_column,
    facts_are_keyed_by_last_updated,
    no_ledger,
    every_table_commits,
]
