"""The ledger: which batches the warehouse holds, and what each did to the tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

from psycopg import errors, sql

from totesys_dagster import settings
from totesys_dagster.errors import LoadError, OtherLakeError, SequenceGapError
from totesys_dagster.lake.log import TOTESYS, Log
from totesys_dagster.lake.manifest import Commit, Manifest
from totesys_dagster.postgres.sessions import Connection, Names, failures, one, transaction
from totesys_dagster.waiting import looks
from totesys_dagster.warehouse import standing
from totesys_dagster.warehouse.migrations import require_usable
from totesys_dagster.words import counted

# In PostgreSQL's default of 4 MB, comparing a million rows spilled both sides to disk.
WORK_MEMORY = "32MB"

# How long to wait for another load, migration or replacement of tables.
LOCK_SECONDS = 600
LOCK = "SELECT pg_try_advisory_xact_lock(hashtextextended('totesys_dagster ' || %s, 0))"
HOLDER = """
    SELECT l.pid, a.usename, coalesce(a.xact_start, a.backend_start) AT TIME ZONE 'UTC'
    FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid),
         hashtextextended('totesys_dagster ' || %s, 0) AS key (number)
    WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())
      AND (l.classid::bigint << 32) + l.objid::bigint = number
"""


AnyCommit = TypeVar("AnyCommit", bound=Commit)


@dataclass(frozen=True)
class TableLoad:
    """What a batch did to a table. `updated` counts new versions of known keys."""

    star: str
    staged: int
    inserted: int
    updated: int
    deleted: int
    orphans: int


@dataclass(frozen=True)
class Loaded:
    """The outcome of a load. `already` means that the batch was already in the ledger."""

    batch: str
    sequence: int
    already: bool
    tables: Mapping[str, TableLoad]
    audits: Mapping[str, standing.Audit]


@dataclass(frozen=True)
class LoadedReceipt:
    """A receipt that was loaded: its SHA-256, and the revision by which it was made."""

    sha256: str
    revision: str


@contextmanager
def exclusive(connection: Connection, names: Names) -> Iterator[None]:
    """A READ COMMITTED transaction under the warehouse's lock: one load or migration at a time.

    READ COMMITTED, because a transaction that waited for the lock must see what the previous one
    committed; under REPEATABLE READ it would see the old ledger.
    """
    with transaction(connection):
        connection.execute(sql.SQL("SET LOCAL work_mem TO {}").format(WORK_MEMORY))
        _lock(connection, names)
        # What follows may have to wait for readers of a table, as long as others wait for this.
        connection.execute(sql.SQL("SET LOCAL lock_timeout TO {}").format(f"{LOCK_SECONDS}s"))
        yield


def _lock(connection: Connection, names: Names) -> None:
    """Take the warehouse's lock. Raises LoadError if another session holds it for too long."""
    for _ in looks(f"the load or migration at work in {names.schema}", LOCK_SECONDS, pause=0.2):
        if one(connection, LOCK, [names.schema]) == (True,):
            return
    found = connection.execute(HOLDER, [names.schema]).fetchone()
    who = (
        f"server process {found[0]} of {found[1]}, since {found[2]:%H:%M:%S} UTC"
        if found
        else "it has ended"
    )
    raise LoadError(
        f"Another load or migration of {names.schema} has been running for over {LOCK_SECONDS}"
        f" seconds ({who}): nothing was written; the next attempt tries again, and"
        " `SELECT pg_terminate_backend(…)` ends one that is stuck."
    )


def head(connection: Connection, names: Names, log: str = TOTESYS) -> int:
    """The sequence of a log's last batch in the ledger, 0 if there is none.

    Raises LoadError, also if this release cannot use the warehouse: every command comes by here.
    """
    query = sql.SQL("SELECT coalesce(max(sequence), 0) FROM {} WHERE log = {}").format(
        names.ledger("batch"), sql.Literal(log)
    )
    with failures(LoadError, "a read of the ledger"):
        try:
            with transaction(connection):
                require_usable(connection, names)
                row = one(connection, query)
        except (errors.UndefinedTable, errors.InvalidSchemaName):
            return 0  # the first load creates it
    return int(row[0])


def manifests(connection: Connection, names: Names) -> dict[int, str]:
    """The batches that the warehouse holds, each with the SHA-256 of its manifest.

    Raises LoadError.
    """
    if head(connection, names) == 0:
        return {}
    query = sql.SQL("SELECT sequence, manifest_sha256 FROM {} WHERE log = {} ORDER BY 1").format(
        names.ledger("batch"), sql.Literal(TOTESYS)
    )
    with failures(LoadError, "a read of the ledger"), transaction(connection):
        return dict(connection.execute(query).fetchall())


def newest(connection: Connection, names: Names) -> tuple[int, dt.datetime, dt.datetime] | None:
    """The last batch of ToteSys: its sequence, the moment of its snapshot, and when it was loaded.

    Raises LoadError.
    """
    query = sql.SQL(
        "SELECT sequence, observed_at, loaded_at FROM {} WHERE log = %s"
        " ORDER BY sequence DESC LIMIT 1"
    ).format(names.ledger("batch"))
    with failures(LoadError, "a read of the ledger"), transaction(connection):
        return connection.execute(query, [TOTESYS]).fetchone()


def deliveries(connection: Connection, names: Names, log: str) -> dict[int, tuple[str, str | None]]:
    """The deliveries of a feed's log that the warehouse holds, each with the SHA-256 of its
    document and that of its receipt.

    Raises LoadError.
    """
    query = sql.SQL(
        "SELECT b.sequence, b.manifest_sha256, t.receipt_sha256 FROM {} AS b"
        " LEFT JOIN {} AS t USING (log, sequence) WHERE b.log = {}"
    ).format(names.ledger("batch"), names.ledger("batch_table"), sql.Literal(log))
    with failures(LoadError, "a read of the ledger"), transaction(connection):
        rows = connection.execute(query)
        return {sequence: (delivery, receipt) for sequence, delivery, receipt in rows}


def revisions(connection: Connection, names: Names, log: str, star: str) -> dict[int, str]:
    """The revision by which each delivery in the warehouse was processed, by sequence.

    Raises LoadError.
    """
    query = sql.SQL("SELECT sequence, revision FROM {} WHERE (log, star) = (%s, %s)").format(
        names.ledger("batch_table")
    )
    with failures(LoadError, "a read of the ledger"), transaction(connection):
        return dict(connection.execute(query, [log, star]).fetchall())


def receipts(
    connection: Connection, names: Names, first: int, last: int
) -> dict[int, dict[str, LoadedReceipt]]:
    """The loaded receipts, by batch (from the first to the last) and star.

    Raises LoadError.
    """
    query = sql.SQL(
        "SELECT sequence, star, receipt_sha256, revision FROM {}"
        " WHERE log = %s AND sequence BETWEEN %s AND %s"
    ).format(names.ledger("batch_table"))
    with failures(LoadError, "a read of the ledger"), transaction(connection):
        rows = connection.execute(query, [TOTESYS, first, last]).fetchall()
    found: dict[int, dict[str, LoadedReceipt]] = {}
    for sequence, star, *loaded in rows:
        found.setdefault(sequence, {})[star] = LoadedReceipt(*loaded)
    return found


def check_log(
    connection: Connection, names: Names, log: Log[AnyCommit], feed: str | None = None
) -> int:
    """The sequence of the last batch in the ledger, or of the last delivery of the feed `feed`; 0
    if there is none.

    Raises OtherLakeError unless the log has that very one: a capture on a truncated log would give
    a sequence in the ledger to another batch. Raises LoadError if the ledger cannot be read.
    """
    last = head(connection, names, log.name)
    if not last:
        return 0
    held = log.end()
    if held < last:
        what = counted(last, "batch") if feed is None else f"{counted(last, 'delivery')} of {feed}"
        raise OtherLakeError(
            f"The warehouse holds {what}, but the lake at {log.store.url} holds {held}:"
            f" restore {'its manifests' if feed is None else 'them'} from the bucket's older"
            f" versions, or point {log.store.setting} to the lake that the warehouse was loaded"
            " from."
        )
    with failures(LoadError, "a read of the ledger"), transaction(connection):
        in_ledger(connection, names, log.read(last))
    return last


def in_ledger(connection: Connection, names: Names, manifest: Commit) -> bool:
    """Whether the batch is loaded. Raises LoadError if it must not be loaded now."""
    query = sql.SQL(
        "SELECT (SELECT max(sequence) FROM {ledger} WHERE log = %(log)s),"
        " (SELECT manifest_sha256 FROM {ledger} WHERE log = %(log)s AND sequence = %(sequence)s)"
    ).format(ledger=names.ledger("batch"))
    row = one(connection, query, manifest.model_dump(include={"log", "sequence"}))
    last, known_sha256 = row[0] or 0, row[1]
    kind, rest = ("batch", "") if manifest.log == TOTESYS else ("delivery", f" of {manifest.log}")
    what = f"{kind} {manifest.sequence}{rest}"
    if known_sha256 is not None and known_sha256 != manifest.sha256:
        raise OtherLakeError(
            f"The warehouse holds another {what} than the lake: it was changed after it was"
            " written and must be restored from the bucket's older versions, or"
            f" {settings.INGESTION_URL} points to another lake."
        )
    if known_sha256 is None and manifest.sequence != last + 1:
        raise SequenceGapError(
            f"{what[0].upper()}{what[1:]} does not come next, as the warehouse has loaded up to"
            f" number {last}: load {kind} {last + 1} first."
        )
    return known_sha256 is not None


def write_ledger(connection: Connection, names: Names, manifest: Commit) -> None:
    """Note a batch, in the transaction that loads it. Raises psycopg.Error."""
    query = sql.SQL(
        "INSERT INTO {} (log, sequence, manifest_sha256, observed_at, run_id)"
        " VALUES (%s, %s, %s, %s, %s)"
    ).format(names.ledger("batch"))
    connection.execute(
        query,
        [
            manifest.log,
            manifest.sequence,
            manifest.sha256,
            manifest.observed_at,
            manifest.run_id,
        ],
    )


def observed_since(
    connection: Connection, names: Names, since: dt.datetime, *, first: int
) -> frozenset[int]:
    """The loaded batches from `first` on with a snapshot since then. Raises LoadError."""
    query = sql.SQL(
        "SELECT sequence FROM {} WHERE log = %s AND sequence >= %s AND observed_at >= %s"
    ).format(names.ledger("batch"))
    with failures(LoadError, "a read of the ledger"), transaction(connection):
        rows = connection.execute(query, [TOTESYS, first, since])
        return frozenset(sequence for (sequence,) in rows)


def last_touched(connection: Connection, names: Names) -> dict[str, int]:
    """The last batch that touched each table, by table. Raises LoadError."""
    query = sql.SQL("SELECT star, max(sequence) FROM {} WHERE log = %s GROUP BY star").format(
        names.ledger("batch_table")
    )
    with failures(LoadError, "a read of the ledger"), transaction(connection):
        return dict(connection.execute(query, [TOTESYS]).fetchall())


def outcome(
    connection: Connection, names: Names, manifest: Manifest, *, already: bool = False
) -> Loaded:
    """What the load of a batch did, from the ledger. Raises psycopg.Error."""
    query = sql.SQL(
        "SELECT star, staged, inserted, updated, deleted, orphans FROM {}"
        " WHERE log = %s AND sequence = %s"
    ).format(names.ledger("batch_table"))
    with transaction(connection):
        rows = connection.execute(query, [manifest.log, manifest.sequence])
        tables = [TableLoad(*row) for row in rows]
    return Loaded(
        manifest.batch,
        manifest.sequence,
        already,
        {table.star: table for table in tables},
        standing.of_batch(connection, names, manifest.sequence),
    )
