"""The warehouse made anew from the lake alone.

The new one grows beside the old one and is compared with it row for row. Where they differ, the
old one's rows are replaced in one transaction: its tables stay, and with them the grants and the
views that others have built on them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass

from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.errors import LoadError
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.receipt import touched_stars
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres import (
    READ_COMMITTED,
    Connection,
    Names,
    begin,
    beside,
    failures,
    transaction,
)
from totesys_dagster.processed.process import process_star
from totesys_dagster.warehouse import load, schema

LEDGER_TABLES = ("batch", "batch_table", "quarantine", "audit")


@dataclass(frozen=True)
class Rebuilt:
    """The outcome: the batches loaded, and per table the rows and how many the old one had else.

    `different` counts rows that only one of the two warehouses had; it is None when the old one
    was empty, and so was filled directly.
    """

    batches: int
    rows: dict[str, int]
    different: dict[str, int] | None


def rebuild(
    connection: Connection,
    names: Names,
    ingestion: Store,
    processed: Store,
    *,
    quarantine_limit: int,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Rebuilt:
    """Load every batch of the lake anew, and replace the warehouse where the result differs.

    `progress` is told the batches done and their number. Raises LoadError (also when another
    rebuild is running, or when the lake is empty and the warehouse is not) or LakeError; the old
    warehouse is untouched then.
    """
    log = ManifestLog(ingestion)

    def fill(target: Names) -> None:
        last = log.head()
        for manifest in log.after(load.head(connection, target)):
            for star in touched_stars(manifest):
                process_star(star, manifest, ingestion, processed)
            load.load_batch(
                connection,
                target,
                manifest,
                ingestion,
                processed,
                quarantine_limit=quarantine_limit,
            )
            progress(manifest.sequence, last.sequence if last else 0)

    with failures(LoadError, "the rebuild"), _only_one(connection, names):
        schema.migrate(connection, names)
        if load.head(connection, names) == 0:
            fill(names)
            return Rebuilt(load.head(connection, names), _rows(connection, names), None)
        if log.head() is None:
            raise LoadError(
                f"The warehouse holds batches, but the lake at {ingestion.url} holds none: point"
                f" {ingestion.setting} to the lake that it was loaded from."
            )
        with _beside(connection, names) as fresh:
            different = None
            while different is None:
                fill(fresh)
                different = _replace(connection, names, fresh, log)
            return Rebuilt(load.head(connection, names), _rows(connection, names), different)


@contextmanager
def _only_one(connection: Connection, names: Names) -> Iterator[None]:
    """Hold the lock of rebuilds, by a transaction of a connection of its own.

    A lock of the session would stay where a pooler keeps the session for others. Between two
    statements the transaction has no snapshot, and so holds back no VACUUM.
    """
    lock = "SELECT pg_try_advisory_xact_lock(hashtextextended('totesys_dagster ' || %s, 1))"
    with closing(beside(connection)) as other:
        begin(other, READ_COMMITTED)
        other.execute("SET LOCAL idle_in_transaction_session_timeout TO 0")
        if other.execute(lock, [names.schema]).fetchone() != (True,):
            raise LoadError(
                "Another rebuild of this warehouse is running: wait until it has finished, or stop"
                " it."
            )
        yield


@contextmanager
def _beside(connection: Connection, names: Names) -> Iterator[Names]:
    """An empty warehouse for the time of the rebuild; what a killed one left is dropped first."""
    fresh = Names(names.schema + "_rebuild")
    _drop(connection, fresh)
    schema.migrate(connection, fresh)
    try:
        yield fresh
    finally:
        if not connection.closed:
            _drop(connection, fresh)


def _drop(connection: Connection, names: Names) -> None:
    with transaction(connection):
        for name in (names.schema, names.bookkeeping):
            drop = sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE")
            connection.execute(drop.format(sql.Identifier(name)))


def _replace(
    connection: Connection, names: Names, fresh: Names, log: ManifestLog
) -> dict[str, int] | None:
    """Put the fresh rows in the place of the old ones where they differ.

    Returns the differences, or None when a batch was loaded meanwhile that `fresh` lacks. Batches
    that the lake does not have (the warehouse was loaded from another one) are not waited for.
    """
    with schema.exclusive(connection, names):
        last = log.head()
        held = min(load.head(connection, names), last.sequence if last else 0)
        if held > load.head(connection, fresh):
            return None
        different = {star: _differences(connection, names, fresh, star) for star in STAR_TABLES}
        for star, count in different.items():
            if count:
                _copy(connection, names.table(star), fresh.table(star))
        if not _same_ledger(connection, names, fresh):
            for table in reversed(LEDGER_TABLES):
                connection.execute(sql.SQL("DELETE FROM {}").format(names.ledger(table)))
            for table in LEDGER_TABLES:
                _insert(connection, names.ledger(table), fresh.ledger(table))
    return different


def _differences(connection: Connection, names: Names, fresh: Names, star: str) -> int:
    query = sql.SQL(
        "SELECT count(*) FROM ((TABLE {old} EXCEPT TABLE {new}) UNION ALL"
        " (TABLE {new} EXCEPT TABLE {old})) AS different"
    ).format(old=names.table(star), new=fresh.table(star))
    row = connection.execute(query).fetchone()
    assert row is not None
    return int(row[0])


def _same_ledger(connection: Connection, names: Names, fresh: Names) -> bool:
    """Whether the bookkeeping of the two is the same but for the time at which they were loaded."""
    query = sql.SQL(
        """
        SELECT NOT EXISTS (
            (SELECT to_jsonb(o) - 'loaded_at' FROM {old} AS o
             EXCEPT SELECT to_jsonb(n) - 'loaded_at' FROM {new} AS n)
            UNION ALL
            (SELECT to_jsonb(n) - 'loaded_at' FROM {new} AS n
             EXCEPT SELECT to_jsonb(o) - 'loaded_at' FROM {old} AS o)
        )
        """
    )
    return all(
        connection.execute(
            query.format(old=names.ledger(table), new=fresh.ledger(table))
        ).fetchone()
        == (True,)
        for table in LEDGER_TABLES
    )


def _copy(connection: Connection, old: sql.Identifier, new: sql.Identifier) -> None:
    connection.execute(sql.SQL("DELETE FROM {}").format(old))
    _insert(connection, old, new)


def _insert(connection: Connection, old: sql.Identifier, new: sql.Identifier) -> None:
    connection.execute(sql.SQL("INSERT INTO {} TABLE {}").format(old, new))


def _rows(connection: Connection, names: Names) -> dict[str, int]:
    rows = {}
    with transaction(connection):
        for star in STAR_TABLES:
            query = sql.SQL("SELECT count(*) FROM {}").format(names.table(star))
            row = connection.execute(query).fetchone()
            assert row is not None
            rows[star] = int(row[0])
    return rows
