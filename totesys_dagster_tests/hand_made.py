"""Batches made by hand, for rows that no source would let through."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.lake import key_ranges
from totesys_dagster.lake.manifest import (
    Incarnation,
    KeySet,
    Manifest,
    ManifestLog,
    RecentRows,
    Snapshot,
    TableEntry,
)
from totesys_dagster.lake.parts import part_stem, write_lines
from totesys_dagster.lake.store import Store, sha256

OBSERVED_AT = dt.datetime(2026, 11, 23, 9, 15, tzinfo=dt.UTC)


def batch_key(sequence: int) -> str:
    """The key of the batch of that number, one minute after the one before."""
    return (OBSERVED_AT + dt.timedelta(minutes=sequence)).strftime("%Y-%m-%dT%H-%M-%SZ")


def manifest(sequence: int = 1, tables: Mapping[str, TableEntry] | None = None) -> Manifest:
    """A manifest in which only what is given differs from a batch that holds nothing."""
    return Manifest(
        sequence=sequence,
        batch=batch_key(sequence),
        run_id="by hand",
        previous_sha256=None,
        observed_at=OBSERVED_AT,
        source=Incarnation(
            system_identifier="7", timeline=1, database="totesys", database_oid=5, server_version=13
        ),
        snapshot=Snapshot(xmin=700, xmax=700, running=()),
        tables={name: entry() for name in SOURCE_TABLES} | dict(tables or {}),
        stars={},
    )


def entry(**fields: object) -> TableEntry:
    """A table of which the batch holds nothing, but for the fields given."""
    nothing = {
        "read": "none",
        "changed": False,
        "rows": 0,
        "objects": (),
        "deleted": (),
        "reconcile": False,
        "inserted": 0,
        "schema_sha256": "",
        "last_full": 1,
        "last_changed": 1,
        "keys": KeySet(key="", sha256="", count=0, sequence=1, observed_at=OBSERVED_AT),
        "recent": RecentRows(rows=0, digest="0"),
    }
    return TableEntry.model_validate(nothing | fields)


def key_set(store: Store, *ranges: tuple[int, int]) -> KeySet:
    """A set of keys, written as a capture does."""
    data = key_ranges.to_bytes(ranges)
    store.put("keys/by-hand.json", data)
    return KeySet(
        key="keys/by-hand.json",
        sha256=sha256(data),
        count=key_ranges.count(ranges),
        sequence=1,
        observed_at=OBSERVED_AT,
    )


def overwrite(store: Store, key: str, data: bytes) -> None:
    """Change an object of a directory behind the platform's back."""
    path = Path(unquote(urlsplit(store.url).path), key)
    assert path.exists()
    path.write_bytes(data)


def batch(
    store: Store,
    rows: Mapping[str, bytes],
    *,
    deleted: Mapping[str, Sequence[int]] | None = None,
    part_bytes: int = 1 << 20,
    sequence: int = 1,
) -> Manifest:
    """Commit a batch of these JSON Lines and deleted keys, per table, as a capture does."""
    deleted = deleted or {}
    tables = {}
    for name in {*rows, *deleted}:
        key = batch_key(sequence)
        lines, keys = rows.get(name, b""), deleted.get(name, ())
        gone = b"".join(
            json.dumps({SOURCE_TABLES[name].key: value}).encode() + b"\n" for value in keys
        )
        tables[name] = entry(
            read="delta",
            changed=True,
            rows=lines.count(b"\n"),
            # One chunk per row, as PostgreSQL sends them.
            objects=write_lines(
                store, part_stem("rows", name, key), lines.splitlines(keepends=True), part_bytes
            ),
            deleted=write_lines(store, part_stem("deleted", name, key), [gone], part_bytes),
        )
    return ManifestLog(store).commit(manifest(sequence, tables))
