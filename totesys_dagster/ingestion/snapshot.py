"""A consistent look at the eleven tables of ToteSys, and what changed since the last one.

Everything is read in one REPEATABLE READ, READ ONLY transaction. Changes are found by transaction
id: a row is recent when `xmin`, the transaction that wrote it, is not older than the oldest one
that was still running at the previous snapshot (the watermark). Timestamps play no part: ToteSys
edits rows without touching `last_updated`, and a row's timestamp says nothing about when its
transaction committed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import errors, sql
from psycopg.pq import TransactionStatus

from totesys_dagster.catalogue import OTHER_TABLES, SOURCE_TABLES, SourceTable
from totesys_dagster.errors import SourceError
from totesys_dagster.lake import key_ranges, schemas
from totesys_dagster.lake.key_ranges import Ranges
from totesys_dagster.lake.manifest import (
    Incarnation,
    KeySet,
    Manifest,
    RecentRows,
    Snapshot,
    TableEntry,
)
from totesys_dagster.lake.store import sha256
from totesys_dagster.postgres import Connection, failures

# Transaction ids are compared on a circle of 2^32; half of it, less a margin, is "recent".
LONGEST_GAP = 1_500_000_000
# Above this many rows, deletions and digests are looked for once in KEYS_EVERY only, or sooner when
# the server has counted deletions since.
LARGE_TABLE_ROWS = 100_000
KEYS_EVERY = dt.timedelta(hours=1)
KEYS_AFTER_DELETES = dt.timedelta(minutes=5)
# Up to this many changed rows are read by their place, which saves a second scan of the table.
PLACES = 10_000

# In the 4 MB that PostgreSQL gives by itself, the keys of 10 million rows were brought together by
# way of 130 MB of temporary files, which took a third longer.
# Tables are read whole: by outdated statistics, staff and departments were joined in a nested loop.
BEGIN = """
BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY;
SET LOCAL work_mem TO '32MB';
SET LOCAL enable_nestloop TO off
"""

# The whole snapshot is compared, not its xmax: when an older transaction commits after a younger
# one, xmin and the list of running ones move while xmax stands still.
PULSE = """
SELECT (SELECT system_identifier FROM pg_control_system()) || '/' || pg_current_snapshot()::text
"""

IDENTITY = """
SELECT (SELECT system_identifier::text FROM pg_control_system()),
       (SELECT timeline_id FROM pg_control_checkpoint()),
       current_database(),
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
       current_setting('server_version_num')::int,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
       ARRAY(SELECT pg_snapshot_xip(pg_current_snapshot())::text::bigint),
       clock_timestamp()
"""

SCHEMAS = """
SELECT c.relname,
       greatest(c.reltuples, 0)::bigint,
       pg_stat_get_tuples_deleted(c.oid),
       jsonb_agg(jsonb_build_array(a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull)
                 ORDER BY a.attnum)
FROM pg_class AS c
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(%s) AND c.relkind IN ('r', 'p')
GROUP BY c.oid, c.relname, c.reltuples
"""

# Any role may read pg_class, whatever it may read of the tables. Partitions belong to a table.
UNKNOWN_TABLES = """
SELECT relname
FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'f') AND NOT relispartition
  AND relname <> ALL (%s)
ORDER BY relname COLLATE "C"
"""


@dataclass(frozen=True)
class Column:
    """A column as the source declares it now; `type` as `format_type` prints it."""

    name: str
    type: str
    not_null: bool


@dataclass(frozen=True)
class TableSchema:
    """The columns of a source table now, in its order, and what the server counts about it.

    `deletions` have been counted since its statistics began, and a little late.
    """

    table: str
    columns: tuple[Column, ...]
    estimated_rows: int
    deletions: int

    def to_bytes(self) -> bytes:
        """The entry of the schema registry: equal bytes mean an equal schema."""
        return schemas.to_bytes(self.table, [(c.name, c.type, c.not_null) for c in self.columns])

    @property
    def sha256(self) -> str:
        return sha256(self.to_bytes())


@dataclass(frozen=True)
class SourceView:
    """An open snapshot of the source: valid while the transaction of `connection` lasts."""

    connection: Connection
    incarnation: Incarnation
    snapshot: Snapshot
    observed_at: dt.datetime
    schemas: Mapping[str, TableSchema]


def pulse(connection: Connection) -> str:
    """A text that changes whenever any transaction of the server begins or ends to be visible.

    While it stands still, nothing can have changed. Costs a fraction of a millisecond.
    """
    with failures(SourceError, "a look at the source"):
        row = connection.execute(PULSE).fetchone()
    assert row is not None
    return str(row[0])


@contextmanager
def open_view(connection: Connection) -> Iterator[SourceView]:
    """Open a snapshot over the eleven tables. Raises SourceError.

    The tables are locked before the snapshot is taken: otherwise a concurrent TRUNCATE or
    rewriting ALTER TABLE would make a table look empty. ACCESS SHARE is the lock of every SELECT.
    """
    tables = sql.SQL(", ").join(sql.Identifier("public", name) for name in SOURCE_TABLES)
    with failures(SourceError, "the reading of the source"):
        connection.execute(BEGIN)
        try:
            _lock(connection, tables)
            yield _look(connection)
        finally:
            _leave(connection)


def _leave(connection: Connection) -> None:
    """End the transaction. In the middle of a COPY the server would not listen: hang up on it."""
    if connection.info.transaction_status is TransactionStatus.ACTIVE:
        connection.close()
    elif not connection.closed:
        connection.execute("ROLLBACK")


def _lock(connection: Connection, tables: sql.Composable) -> None:
    try:
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(tables))
    except errors.UndefinedTable as error:
        raise SourceError(
            f"The source lacks a table of ToteSys ({error.diag.message_primary}):"
            " TOTESYS_SOURCE_DSN points to another database, or the table was renamed."
        ) from None
    except errors.InsufficientPrivilege as error:
        raise SourceError(
            f"The source's role may not read a table ({error.diag.message_primary}): grant it"
            " SELECT on the eleven tables of ToteSys and USAGE on the schema public."
        ) from None
    except errors.LockNotAvailable:
        raise SourceError(
            "A table of the source is locked by a migration or a maintenance job for over 10"
            " seconds: nothing was captured; the next poll tries again."
        ) from None


def _look(connection: Connection) -> SourceView:
    row = connection.execute(IDENTITY).fetchone()
    assert row is not None
    system_identifier, timeline, database, oid, version, xmin, xmax, running, observed_at = row
    found = {
        name: TableSchema(name, tuple(Column(*column) for column in columns), estimate, deletions)
        for name, estimate, deletions, columns in connection.execute(SCHEMAS, [list(SOURCE_TABLES)])
    }
    for table in SOURCE_TABLES.values():
        _require_table(table, found)
        _require_columns(table, found[table.name])
    return SourceView(
        connection,
        Incarnation(
            system_identifier=system_identifier,
            timeline=timeline,
            database=database,
            database_oid=oid,
            server_version=version,
        ),
        Snapshot(xmin=xmin, xmax=xmax, running=tuple(running)),
        observed_at,
        found,
    )


def _require_table(table: SourceTable, found: Mapping[str, TableSchema]) -> None:
    if table.name not in found:
        raise SourceError(
            f"The source's {table.name} is not a table: a view or foreign table has no transaction"
            " ids, by which changes are found; let TOTESYS_SOURCE_DSN point to the database that"
            " holds the tables."
        )


def _require_columns(table: SourceTable, schema: TableSchema) -> None:
    present = {column.name for column in schema.columns}
    missing = [name for name in table.column_names if name not in present]
    if missing:
        raise SourceError(
            f"The source's table {table.name} has no column {', '.join(missing)} any more: nothing"
            f" was captured; restore it, or change {table.name} in the catalogue."
        )


def differences(table: SourceTable, schema: TableSchema) -> list[str]:
    """How the source's table differs from the catalogue's, one phrase for each difference."""
    declared = {column.name: column for column in table.columns}
    found = []
    for column in schema.columns:
        expected = declared.get(column.name)
        if expected is None:
            found.append(f"{column.name} {column.type} is new (archived, not processed)")
        elif column.type != expected.sql_type:
            found.append(f"{column.name} is {column.type} instead of {expected.sql_type}")
        elif column.not_null == expected.nullable:
            found.append(f"{column.name} {'is' if column.not_null else 'is no longer'} NOT NULL")
    return found


def unknown_tables(view: SourceView) -> tuple[str, ...]:
    """The source's tables that the catalogue does not know. Raises SourceError."""
    known = [*SOURCE_TABLES, *OTHER_TABLES]
    with failures(SourceError, "a look at the source's tables"):
        return tuple(name for (name,) in view.connection.execute(UNKNOWN_TABLES, [known]))


def unknown_tables_note(names: Collection[str]) -> str:
    """What is said of them to people."""
    return (
        "the source has tables that the catalogue does not know, and that are not archived:"
        f" {', '.join(names)}"
    )


def recent(table: str, watermark: int) -> sql.Composed:
    """The condition for rows of `table` written at or after `watermark` (a 64-bit xid).

    Ages are compared, never ids, which wrap around. The lower bound keeps out frozen rows whose id
    is so old that it looks like one of the future. It comes second, and the watermark's age is
    computed once, as most rows of a large table have to fail one comparison only.
    """
    return sql.SQL(
        "age({table}.xmin) <= (SELECT age({watermark}::xid)) AND age({table}.xmin) >= 0"
    ).format(table=sql.Identifier(table), watermark=sql.Literal(str(watermark % 2**32)))


@dataclass(frozen=True)
class TableState:
    """What a look at one table found.

    `places` has the ctid of each changed row, None when there are too many. `ranges` is None when
    the table's keys were not read this time. `deleted` is empty when `reconcile` is set: then every
    key that is not in `ranges` is gone.
    """

    table: str
    full: bool
    rows_changed: bool
    places: tuple[str, ...] | None
    ranges: Ranges | None
    inserted: int | None
    deleted: Ranges
    reconcile: bool
    recent: RecentRows

    @property
    def changed(self) -> bool:
        return self.reconcile or self.rows_changed or bool(self.deleted)


def comparable(view: SourceView, head: Manifest) -> bool:
    """Whether the transaction ids of `head` mean something in this view.

    They do not in another incarnation (another server, a restored one, another database), nor
    after so many transactions that ages are ambiguous. An upgrade in place keeps them.
    """
    ignore = {"server_version": 0}
    return (
        view.incarnation.model_copy(update=ignore) == head.source.model_copy(update=ignore)
        and view.snapshot.xmax >= head.snapshot.xmax
        and view.snapshot.xmax - head.snapshot.xmin <= LONGEST_GAP
    )


def examine(
    view: SourceView,
    head: Manifest | None,
    known_keys: Callable[[KeySet], Ranges],
    *,
    full: Collection[str] = (),
    leave_out: Collection[str] = (),
    keys_seen: Mapping[str, dt.datetime] | None = None,
) -> dict[str, TableState]:
    """Compare every table with what batch `head` left behind.

    `known_keys` reads a key set of the lake; `full` names tables to be read in full whatever
    changed. For a mere poll, `leave_out` names tables not to look at if nothing else asks for it,
    and `keys_seen` says when the keys of a table were last found unchanged. Raises SourceError.
    """
    if head is None or not comparable(view, head):
        return {name: _first_look(view, name) for name in SOURCE_TABLES}
    wanted = {
        name
        for name in SOURCE_TABLES
        if name in full or view.schemas[name].sha256 != head.tables[name].schema_sha256
    }
    return {
        name: _compare(
            view,
            name,
            head.tables[name],
            head.snapshot.xmin,
            known_keys,
            full=name in wanted,
            keys_seen=(keys_seen or {}).get(name),
        )
        for name in SOURCE_TABLES
        if name in wanted or name not in leave_out
    }


def _first_look(view: SourceView, table: str) -> TableState:
    _, left, _ = _recent_rows(view, table, view.snapshot.xmin)
    ranges = _key_ranges(view, table)
    return TableState(
        table,
        full=True,
        rows_changed=True,
        places=None,
        ranges=ranges,
        inserted=key_ranges.count(ranges),
        deleted=(),
        reconcile=True,
        recent=left,
    )


def _compare(
    view: SourceView,
    table: str,
    entry: TableEntry,
    watermark: int,
    known_keys: Callable[[KeySet], Ranges],
    *,
    full: bool,
    keys_seen: dt.datetime | None,
) -> TableState:
    met, left, places = _recent_rows(view, table, watermark)
    due = full or _keys_due(view, table, entry.keys, keys_seen)
    ranges = _key_ranges(view, table) if due else None
    inserted, deleted = None if ranges is None else 0, []
    if ranges is not None and sha256(key_ranges.to_bytes(ranges)) != entry.keys.sha256:
        known = known_keys(entry.keys)
        inserted = key_ranges.count(key_ranges.subtract(ranges, known))
        deleted = key_ranges.subtract(known, ranges)
    # Between two readings of a large table's keys a row can come and go, and be in neither. That
    # the table is large still does not matter: a TRUNCATE makes its estimated size nothing.
    missed = ranges is not None and entry.last_changed > entry.keys.sequence
    reconcile = full or missed
    return TableState(
        table,
        full=full,
        rows_changed=met.rows > 0 and met != entry.recent,
        places=places,
        ranges=ranges,
        inserted=inserted,
        deleted=() if reconcile else deleted,
        reconcile=reconcile,
        recent=left,
    )


def _keys_due(view: SourceView, table: str, known: KeySet, seen: dt.datetime | None) -> bool:
    """Whether the keys of a table have to be read: of a small one always."""
    schema = view.schemas[table]
    if schema.estimated_rows <= LARGE_TABLE_ROWS:
        return True
    age = view.observed_at - max(known.observed_at, seen or known.observed_at)
    counted = known.deletions is not None and known.deletions != schema.deletions
    return age >= (KEYS_AFTER_DELETES if counted else KEYS_EVERY)


def _recent_rows(
    view: SourceView, table: str, watermark: int
) -> tuple[RecentRows, RecentRows, tuple[str, ...] | None]:
    """The row versions since `watermark`, those that the next batch meets again, and the places.

    A version is its key and its transaction: one transaction leaves at most one version of a row.
    """
    query = sql.SQL(
        """
        WITH versions AS MATERIALIZED (
            SELECT hashtextextended({table}.{key}::text || ':' || {table}.xmin::text, 0) AS version,
                   {again} AS again,
                   {table}.ctid AS place
            FROM public.{table}
            WHERE {since}
        )
        SELECT count(*), coalesce(sum(version), 0)::text,
               count(*) FILTER (WHERE again), coalesce(sum(version) FILTER (WHERE again), 0)::text,
               CASE WHEN count(*) <= {places} THEN ARRAY(SELECT place::text FROM versions) END
        FROM versions
        """
    ).format(
        table=sql.Identifier(table),
        key=sql.Identifier(SOURCE_TABLES[table].key),
        again=recent(table, view.snapshot.xmin),
        since=recent(table, watermark),
        places=sql.Literal(PLACES),
    )
    row = view.connection.execute(query).fetchone()
    assert row is not None
    met = RecentRows(rows=row[0], digest=row[1])
    left = RecentRows(rows=row[2], digest=row[3])
    return met, left, None if row[4] is None else tuple(row[4])


def _key_ranges(view: SourceView, table: str) -> list[tuple[int, int]]:
    """The table's keys as ranges.

    Sixty-four neighbours are a word of bits. To bring words together takes a third of the time that
    sorting the keys would take, and all cores may help; of words, which are few, neighbours that
    are alike come as one row.
    """
    query = sql.SQL(
        """
        WITH words AS (
            SELECT {key}::bigint >> 6 AS word,
                   bit_or(1::bigint << ({key}::bigint & 63)::integer) AS bits
            FROM public.{table} WHERE {key} IS NOT NULL GROUP BY 1
        ), alike AS (
            SELECT word, bits, word - row_number() OVER (PARTITION BY bits ORDER BY word) AS island
            FROM words
        )
        SELECT min(word), max(word), bits FROM alike GROUP BY bits, island ORDER BY 1
        """
    ).format(table=sql.Identifier(table), key=sql.Identifier(SOURCE_TABLES[table].key))
    return key_ranges.of_words(view.connection.execute(query))
