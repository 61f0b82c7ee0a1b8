"""A consistent view of ToteSys: one REPEATABLE READ, READ ONLY transaction over all its tables."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from psycopg import errors, sql

from totesys_dagster.catalogue import SOURCE_TABLES, SourceTable, needed_columns
from totesys_dagster.errors import SchemaChangedError, SourceError
from totesys_dagster.ingestion import fingerprint, identity
from totesys_dagster.ingestion.fingerprint import TableSchema
from totesys_dagster.ingestion.identity import Identity
from totesys_dagster.lake.manifest import Incarnation, Snapshot
from totesys_dagster.postgres.sessions import Connection, begin, failures, leave

READING = "ISOLATION LEVEL REPEATABLE READ, READ ONLY"

# With PostgreSQL's default of 4 MB, aggregating the keys of 10 million rows wrote 130 MB of
# temporary files and took a third longer.
WORK_MEM = "SET LOCAL work_mem TO '32MB'"

# Tables are read whole: with outdated statistics, staff and departments were joined in a nested
# loop.
NO_NESTED_LOOP = "SET LOCAL enable_nestloop TO off"


@dataclass(frozen=True)
class SourceView:
    """An open snapshot of the source: valid while the transaction of `connection` lasts."""

    connection: Connection
    identity: Identity
    schemas: Mapping[str, TableSchema]

    @property
    def incarnation(self) -> Incarnation:
        """The database that answers."""
        return self.identity.incarnation

    @property
    def snapshot(self) -> Snapshot:
        return self.identity.snapshot

    @property
    def observed_at(self) -> dt.datetime:
        """The time by the source's own clock, in UTC."""
        return self.identity.observed_at


@contextmanager
def open_view(connection: Connection) -> Iterator[SourceView]:
    """Open a snapshot over the tables of ToteSys. Raises SourceError.

    The tables are locked before the snapshot is taken: otherwise a concurrent TRUNCATE or
    rewriting ALTER TABLE would make a table look empty. ACCESS SHARE is the lock of every SELECT.
    """
    tables = sql.SQL(", ").join(sql.Identifier("public", name) for name in SOURCE_TABLES)
    with failures(SourceError, "the read of the source"):
        try:
            replayed = identity.replayed(connection)
            deletions = fingerprint.deletions(connection)
            begin_reading(connection)
            _lock(connection, tables)
            yield _view(connection, replayed, deletions)
        finally:
            leave(connection)


def begin_reading(connection: Connection) -> None:
    """Begin a transaction that sees one snapshot, taken by its first query."""
    begin(connection, READING)
    connection.execute(WORK_MEM)
    connection.execute(NO_NESTED_LOOP)


def _lock(connection: Connection, tables: sql.Composable) -> None:
    try:
        connection.execute(sql.SQL("LOCK TABLE {} IN ACCESS SHARE MODE").format(tables))
    except errors.UndefinedTable as error:
        raise SchemaChangedError(
            f"The source lacks a table of ToteSys ({error.diag.message_primary}):"
            " TOTESYS_SOURCE_DSN points to another database, or the table was renamed, or is not"
            " made yet."
        ) from None
    except errors.WrongObjectType as error:
        raise SchemaChangedError(
            f"The source has something else in the place of a table ({_what(error)}):"
            " only a table's rows have transaction ids, by which changes are found; let"
            " TOTESYS_SOURCE_DSN point to the database that holds the tables."
        ) from None
    except errors.InsufficientPrivilege as error:
        raise SourceError(
            f"The source's role may not read a table ({error.diag.message_primary}): grant it"
            " SELECT on the tables of ToteSys and USAGE on the schema public."
        ) from None
    except errors.LockNotAvailable:
        raise SourceError(
            "A table of the source has been locked by a migration or a maintenance job for over 10"
            " seconds: nothing was captured; the next poll tries again."
        ) from None


def _what(error: errors.WrongObjectType) -> str:
    """What PostgreSQL says about the relation: its detail, if there is one."""
    said = (error.diag.message_primary, (error.diag.message_detail or "").rstrip("."))
    return ": ".join(filter(None, said))


def _view(connection: Connection, replayed: str | None, deletions: Mapping[str, int]) -> SourceView:
    who = identity.identify(connection, replayed)
    schemas = fingerprint.read_schemas(connection, deletions)
    for table in SOURCE_TABLES.values():
        _require_columns(table, schemas[table.name])
    return SourceView(connection, who, schemas)


def _require_columns(table: SourceTable, schema: TableSchema) -> None:
    needed = needed_columns(table.name)
    missing = [n for n in table.column_names if n in needed and n not in schema.types]
    if missing:
        raise SchemaChangedError(
            f"The source's table {table.name} has no column {', '.join(missing)}, which the"
            " catalogue carries: nothing was captured; restore it in the source, or change"
            f" {table.name} in the catalogue."
        )
