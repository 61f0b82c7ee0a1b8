"""Copies Arrow tables into PostgreSQL, with COPY in binary format.

Nothing is printed on one side and parsed on the other, which takes half the time of text.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
from pgpq import ArrowToPostgresBinaryEncoder
from psycopg import sql

from totesys_dagster.parallel import ahead
from totesys_dagster.postgres.sessions import Connection

# How many rows are encoded at a time; they take about ten megabytes.
ROWS_AT_ONCE = 64 * 1024


def copy_in(
    connection: Connection, target: sql.Composable, schema: pa.Schema, tables: Iterable[pa.Table]
) -> int:
    """Append tables of one schema to `target`, whose columns have the same names. Returns how many
    rows.

    The columns' types must match as in `catalogue`: int32 is integer, date32 date, time64 time,
    decimal128 numeric, string varchar or text. Raises psycopg.Error.
    """
    columns = sql.SQL(", ").join(map(sql.Identifier, schema.names))
    query = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT binary)").format(target, columns)
    encoder = ArrowToPostgresBinaryEncoder(schema)

    def encoded(table: pa.Table) -> list[bytes]:
        return [encoder.write_batch(batch) for batch in _batches(table, schema)]

    with connection.cursor() as cursor:
        with cursor.copy(query) as sink:
            sink.write(encoder.write_header())
            # One thread keeps the order, while PostgreSQL reads the previous part.
            for pieces in ahead(encoded, tables, threads=1):
                for piece in pieces:
                    sink.write(piece)
            sink.write(encoder.finish())
        return cursor.rowcount


def _batches(table: pa.Table, schema: pa.Schema) -> list[pa.RecordBatch]:
    batches: list[pa.RecordBatch] = table.cast(schema).to_batches(max_chunksize=ROWS_AT_ONCE)
    return batches
