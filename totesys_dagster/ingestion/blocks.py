"""Reads a large table in full, by blocks, over several connections that share one snapshot.

PostgreSQL makes JSON on one core per connection and returns rows one by one, which costs the reader
as much again. So each connection reads every nth run of blocks, and gets the lines of a run as one
value.
"""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
from psycopg import sql

from totesys_dagster.ingestion import json_lines
from totesys_dagster.ingestion.fingerprint import TableSchema
from totesys_dagster.ingestion.identity import Identity, identify
from totesys_dagster.ingestion.source_view import SourceView, begin_reading
from totesys_dagster.parallel import AT_ONCE
from totesys_dagster.postgres.sessions import Connection, beside, one

# How many connections to use at a time, including the view's.
READERS = AT_ONCE
# The size from which it pays (32 MB), and how many blocks are read at a time.
LARGE_BLOCKS = 4096
RUN_OF_BLOCKS = 8
# Earlier servers scan the whole table for each range of blocks.
RANGES_SINCE = 140000

# The lines of a run are joined in memory, so no row may be large: if the TOAST table is empty, no
# stored row exceeds a block. The blocks of a partitioned table are elsewhere.
BLOCKS = """
SELECT CASE WHEN relkind = 'r' AND NOT relhassubclass
                 AND coalesce(pg_relation_size(nullif(reltoastrelid, 0)), 0) = 0
            THEN pg_relation_size(oid) / current_setting('block_size')::int
            ELSE 0 END
FROM pg_class WHERE oid = %s::regclass
"""


class Readers:
    """The connections that see a view's snapshot. More than its own are opened when needed."""

    def __init__(self, view: SourceView) -> None:
        self._view = view
        self._opened: list[Connection] | None = None

    def connections(self) -> list[Connection]:
        """As many connections as the server has room for. Raises psycopg.Error."""
        if self._opened is None:
            self._opened = []
            for connection in self._open():
                self._opened.append(connection)
        return [self._view.connection, *self._opened]

    def _open(self) -> Iterator[Connection]:
        row = one(self._view.connection, "SELECT pg_export_snapshot()")
        share = sql.SQL("SET TRANSACTION SNAPSHOT {}").format(sql.Literal(row[0]))
        for _ in range(READERS - 1):
            connection = self._beside(share)
            if connection is None:
                return
            yield connection

    def _beside(self, share: sql.Composed) -> Connection | None:
        """One more connection that sees the view's snapshot; None if that is not possible.

        An address shared by several servers may lead to another one. That server does not know the
        snapshot, or has one of the same name: names are numbers of sessions and transactions.
        """
        try:
            connection = beside(self._view.connection)
        except psycopg.OperationalError:
            return None
        try:
            begin_reading(connection)
            connection.execute(share)
            if self._is_shared(identify(connection)):
                return connection
        except psycopg.Error:
            pass
        connection.close()
        return None

    def _is_shared(self, seen: Identity) -> bool:
        ours = self._view.identity
        return seen.incarnation == ours.incarnation and all(
            getattr(seen.snapshot, part) == getattr(ours.snapshot, part)
            for part in ("xmin", "xmax", "running", "replica")
        )

    def close(self) -> None:
        for connection in self._opened or ():
            connection.close()


def blocks(view: SourceView, table: str) -> int:
    """How many blocks a table has; 0 if it is not read by blocks."""
    if view.incarnation.server_version < RANGES_SINCE:
        return 0
    name = sql.Identifier("public", table).as_string(view.connection)
    row = view.connection.execute(BLOCKS, [name]).fetchone()
    count = int(row[0]) if row else 0
    return count if count >= LARGE_BLOCKS else 0


def copy_queries(schema: TableSchema, blocks: int, readers: int) -> list[sql.Composed]:
    """A COPY for each reader; together they return every row of the table once.

    Nothing visible to the snapshot lies beyond the blocks, as the table has only grown since.
    """
    query = sql.SQL(
        """
        COPY (
            SELECT lines
            FROM generate_series({first}, {last}, {stride}) AS runs (block), LATERAL (
                SELECT string_agg({line}, '') AS lines
                FROM (SELECT {columns} FROM public.{table}
                      WHERE ctid >= format('(%s,0)', block)::tid
                        AND ctid < format('(%s,0)', block + {run})::tid) AS r
            ) AS run
            WHERE lines IS NOT NULL
        ) TO STDOUT (FORMAT binary)
        """
    )
    return [
        query.format(
            first=sql.Literal(number * RUN_OF_BLOCKS),
            last=sql.Literal(blocks),
            stride=sql.Literal(readers * RUN_OF_BLOCKS),
            run=sql.Literal(RUN_OF_BLOCKS),
            line=json_lines.line(schema),
            columns=sql.SQL(", ").join(sql.Identifier(c.name) for c in schema.columns),
            table=sql.Identifier(schema.table),
        )
        for number in range(readers)
    ]
