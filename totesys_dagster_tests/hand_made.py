"""Batches made by hand, for rows that no source would let through."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote, urlsplit

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.catalogue.currencies import currencies
from totesys_dagster.lake import references
from totesys_dagster.lake.key_sets import key_set
from totesys_dagster.lake.manifest import (
    Incarnation,
    KnownKeys,
    Manifest,
    ManifestLog,
    RecentRows,
    Snapshot,
    TableEntry,
    batch_key,
)
from totesys_dagster.lake.parts import part_stem, write_lines
from totesys_dagster.lake.schemas import Schema, schema_key
from totesys_dagster.lake.store import Store, sha256

OBSERVED_AT = dt.datetime(2026, 11, 23, 9, 15, tzinfo=dt.UTC)


def manifest(
    sequence: int = 1,
    tables: Mapping[str, TableEntry] | None = None,
    references: Mapping[str, str] | None = None,
) -> Manifest:
    """A manifest in which only what is given differs from a batch that holds nothing."""
    return Manifest(
        sequence=sequence,
        run_id="by hand",
        observed_at=OBSERVED_AT,
        source=Incarnation(
            system_identifier="7", timeline=1, database="totesys", database_oid=5, server_version=13
        ),
        snapshot=Snapshot(xmin=700, xmax=700, running=()),
        tables={
            name: entry(schema_sha256=sha256(schema(name).to_bytes())) for name in SOURCE_TABLES
        }
        | dict(tables or {}),
        stars={},
        references=dict(references or {}),
    )


def manifest_key(sequence: int) -> str:
    """Where the manifest of that number is."""
    return f"manifests/totesys/{sequence:010d}.json"


def marker_key(sequence: int) -> str:
    """Where its marker is."""
    return f"commits/totesys/{sequence:010d}.json"


def schema(table: str, columns: Collection[str] | None = None) -> Schema:
    """The registry's entry of a table that has the columns named: by default those declared."""
    names = SOURCE_TABLES[table].column_names if columns is None else columns
    return Schema(table=table, columns=tuple((name, "text", False) for name in names), shape={})


def entry(**fields: object) -> TableEntry:
    """A table of which the batch holds nothing, but for the fields given."""
    nothing = {
        "read": "none",
        "reason": "",
        "changed": False,
        "rows": 0,
        "objects": (),
        "reconcile": False,
        "inserted": 0,
        "schema_sha256": "",
        "storage": "",
        "last_full": 1,
        "last_changed": 1,
        "keys": known_keys(),
        "recent": RecentRows(rows=0, digest="0"),
    }
    return TableEntry.model_validate(nothing | fields)


def known_keys(*ranges: tuple[int, int]) -> KnownKeys:
    """The keys of a table, few enough to stand in the manifest."""
    keys = key_set("", ranges)
    return KnownKeys(**keys.model_dump(), sequence=1, observed_at=OBSERVED_AT, deletions=0)


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
    columns: Mapping[str, Collection[str]] | None = None,
    part_bytes: int = 1 << 20,
    sequence: int = 1,
) -> Manifest:
    """Commit a batch of these JSON Lines and deleted keys, per table, as a capture does.

    `columns` are those of the tables that did not have the declared ones then.
    """
    deleted = deleted or {}
    schemas = {name: schema(name, (columns or {}).get(name)) for name in SOURCE_TABLES}
    for name, one in schemas.items():
        store.put(schema_key(name, sha256(one.to_bytes())), one.to_bytes())
    tables = {}
    for name in {*rows, *deleted}:
        lines, keys = rows.get(name, b""), deleted.get(name, ())
        tables[name] = entry(
            read="delta",
            changed=True,
            rows=lines.count(b"\n"),
            # One chunk per row, as PostgreSQL sends them.
            objects=tuple(
                write_lines(
                    store,
                    part_stem("rows", name, batch_key(sequence)),
                    lines.splitlines(keepends=True),
                    part_bytes,
                )
            ),
            deleted_keys=key_set(name, [(key, key) for key in keys]) if keys else None,
            schema_sha256=sha256(schemas[name].to_bytes()),
        )
    known = references.put(store, references.CURRENCIES, currencies())
    return ManifestLog(store).commit(manifest(sequence, tables, {references.CURRENCIES: known}))
