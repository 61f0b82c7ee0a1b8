"""The rows of a batch in quarantine, from the processed zone."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from totesys_dagster import settings
from totesys_dagster.catalogue import SOURCE_TABLES, StarTable
from totesys_dagster.lake.parts import read_lines
from totesys_dagster.lake.receipt import Receipt
from totesys_dagster.lake.store import Store
from totesys_dagster.words import counted


@dataclass(frozen=True)
class Quarantined:
    """A row in quarantine: its source table, its key (None if it has no usable one), and the
    reasons, one sentence each, which quote no value of the row."""

    table: str
    key: int | None
    reasons: tuple[str, ...]


def read_quarantine(store: Store, receipt: Receipt) -> Iterator[Quarantined]:
    """The rows that a batch has in quarantine for a star. Raises LakeError."""
    for entry in receipt.quarantine:
        for line in read_lines(store, entry).removesuffix(b"\n").split(b"\n"):
            found = json.loads(line)
            table = found["table"]
            yield Quarantined(table, _key(table, found["row"]), tuple(found["reasons"]))


def key_in(star: StarTable, row: Quarantined) -> int | None:
    """The key of the star's row, where it is of its base."""
    return row.key if row.table == star.base else None


def _key(table: str, row: str) -> int | None:
    source = SOURCE_TABLES.get(table)
    try:
        value = json.loads(row).get(source.key) if source else None
    except (ValueError, AttributeError, RecursionError):
        return None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if -(2**63) <= value < 2**63 else None


def too_many(sequence: int, stars: Mapping[str, int], limit: int) -> str:
    """Why a batch with this many rows in quarantine, by star, is not loaded, and what to do."""
    over = {star: rows for star, rows in stars.items() if rows > limit}
    counts = ", ".join(f"{counted(rows, 'row')} of {star}" for star, rows in over.items())
    return (
        f"Batch {sequence} is not loaded, as it has {counts} in quarantine, more than"
        f" {settings.QUARANTINE_LIMIT} ({limit}) allows: `totesys quarantine --batch {sequence}`"
        " lists them; correct them in ToteSys, and run"
        f" `{settings.QUARANTINE_LIMIT}={max(over.values())} totesys run` once to load the batch"
        " without them."
    )
