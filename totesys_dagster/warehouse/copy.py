"""Copies Arrow tables into PostgreSQL, with COPY in binary format where pgpq is installed.

Nothing is then printed on one side and parsed on the other, which takes a third of the time of CSV.
On Linux on ARM64, for which pgpq has no wheel, rows go in as CSV and become the same values.
"""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
from psycopg import sql
from pyarrow import csv

from totesys_dagster.parallel import ahead
from totesys_dagster.postgres.sessions import Connection

try:
    from pgpq import ArrowToPostgresBinaryEncoder
except ModuleNotFoundError:
    FORMAT = "csv"
else:
    FORMAT = "binary"

# How many rows are encoded at a time; they take about ten megabytes.
ROWS_AT_ONCE = 64 * 1024


class CsvEncoder:
    """Encodes rows as CSV, with the methods of pgpq's encoder.

    Arrow quotes every text, so that an empty one is not NULL. It prints decimals and times with all
    of their digits, and moments with their zone.
    """

    def write_header(self) -> bytes:
        return b""

    def write_batch(self, batch: pa.RecordBatch) -> bytes:
        sink = pa.BufferOutputStream()
        csv.write_csv(batch, sink, csv.WriteOptions(include_header=False))
        encoded: bytes = sink.getvalue().to_pybytes()
        return encoded

    def finish(self) -> bytes:
        return b""


def copy_in(
    connection: Connection, target: sql.Composable, schema: pa.Schema, tables: Iterable[pa.Table]
) -> int:
    """Append tables of one schema to `target`, whose columns have the same names. Returns how many
    rows.

    The columns' types must match as in `catalogue`: int32 is integer, date32 date, time64 time,
    decimal128 numeric, string varchar or text. Raises psycopg.Error.
    """
    columns = sql.SQL(", ").join(map(sql.Identifier, schema.names))
    query = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT {})")
    encoder: ArrowToPostgresBinaryEncoder | CsvEncoder = (
        CsvEncoder() if FORMAT == "csv" else ArrowToPostgresBinaryEncoder(schema)
    )

    def encoded(table: pa.Table) -> list[bytes]:
        return [encoder.write_batch(batch) for batch in _batches(table, schema)]

    with connection.cursor() as cursor:
        with cursor.copy(query.format(target, columns, sql.SQL(FORMAT))) as sink:
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
