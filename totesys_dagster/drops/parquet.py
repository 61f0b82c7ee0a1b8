"""Parquet files: their types are checked against the contract before a row is read."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pyarrow.types as pt

from totesys_dagster.catalogue import FileColumn, FileContract, Type
from totesys_dagster.drops.record import Record, RefusedFileError

# The most that a file may unpack to: a page of a few bytes can contain any number of rows.
MOST_ROWS = 10_000_000
MOST_UNPACKED = 1 << 30

ROWS_AT_ONCE = 10_000


def read_parquet(contract: FileContract, body: bytes) -> Iterator[Record]:
    """The rows of a file, numbered from 1, their values in the order of the contract.

    Raises RefusedFileError if its columns are not the contract's, or it cannot be read.
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(body), page_checksum_verification=True)
        metadata, schema = file.metadata, file.schema_arrow
        groups = [metadata.row_group(n) for n in range(metadata.num_row_groups)]
        unpacked = sum(group.total_byte_size for group in groups)
        rows = metadata.num_rows
    except Exception:
        raise RefusedFileError(_DAMAGED) from None
    _require_columns(contract, schema)
    if not 0 <= unpacked <= MOST_UNPACKED or not 0 <= rows <= MOST_ROWS:
        raise RefusedFileError(
            f"says that it unpacks to more than {MOST_ROWS:,} rows or {MOST_UNPACKED:,} bytes:"
            " deliver it in parts"
        )
    yield from _rows(contract, body, rows)


# The footer can contain anything, and pyarrow can raise anything.
_DAMAGED = "is damaged, or no Parquet file: deliver it again in full"


def _rows(contract: FileContract, body: bytes, rows: int) -> Iterator[Record]:
    names = list(contract.column_names)
    # In a dictionary, a text of a million rows is stored once.
    texts = [column.name for column in contract.columns if column.type is Type.TEXT]
    number = 0
    try:
        file = pq.ParquetFile(
            pa.BufferReader(body), read_dictionary=texts, page_checksum_verification=True
        )
        batches = file.iter_batches(ROWS_AT_ONCE, columns=names, use_threads=False)
        while (batch := next(batches, None)) is not None:
            columns = [_values(batch.column(name)) for name in names]
            for values in zip(*columns, strict=True):
                number += 1
                yield Record(number, values, "")
    except GeneratorExit:
        raise
    except Exception:
        raise RefusedFileError(_DAMAGED) from None
    if number != rows:
        raise RefusedFileError(_DAMAGED)


def _values(column: pa.Array) -> list[Any]:
    if not isinstance(column, pa.DictionaryArray):
        return list(column.to_pylist())
    known = column.dictionary.to_pylist()
    return [None if index is None else known[index] for index in column.indices.to_pylist()]


def _require_columns(contract: FileContract, schema: pa.Schema) -> None:
    if sorted(schema.names) != sorted(contract.column_names):
        raise RefusedFileError(
            "does not have the columns that its contract declares, each once:"
            f" {', '.join(contract.column_names)}"
        )
    for column in contract.columns:
        _require_type(column, schema.field(column.name).type)


def _require_type(column: FileColumn, found: pa.DataType) -> None:
    if pt.is_dictionary(found):
        found = found.value_type
    if pt.is_floating(found) and column.type in (Type.MONEY, Type.BIG_INTEGER):
        raise RefusedFileError(
            f"has binary floats in {column.name}, which hold no exact amounts: write decimals"
        )
    if not any(is_type(found) for is_type in _TYPES[column.type]):
        raise RefusedFileError(
            f"has the type {found} in {column.name}, where its contract declares"
            f" {column.column.sql_type}: write that"
        )


_TEXT = (pt.is_string, pt.is_large_string, pt.is_string_view)
_TYPES = {
    Type.TEXT: _TEXT,
    Type.BIG_INTEGER: (pt.is_integer,),
    Type.MONEY: (pt.is_decimal, pt.is_integer, *_TEXT),
    Type.BOOLEAN: (pt.is_boolean,),
    Type.DATE: (pt.is_date32, *_TEXT),
}
