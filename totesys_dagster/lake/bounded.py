"""Limits on reading an object, so that it cannot take more memory than its record implies.

An object is small until somebody changes it: 131 kB of zstd can contain 15 GB, and a Parquet file
of a kilobyte a billion rows. So everything is read up to a limit: stored bytes and rows up to the
recorded numbers, and expanded bytes up to `room`.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from totesys_dagster import settings

# Manifests, receipts and requests. That of a first load of 300 GB has as much.
MOST_DOCUMENT_BYTES = 16 * 1024 * 1024

# A character of a row becomes up to six in JSON (\u0001), and a byte of a quarantined row two.
TIMES_A_ROW = 12

# JSON Lines of one value after the other are compressed to a hundredth at most.
TIMES_COMPRESSED = 400

# What is expanded at a time.
PIECE = 4 * 1024 * 1024

# What a value takes in memory, be it there or not: an amount of money takes 16 bytes.
VALUE_BYTES = 16

# A Parquet file of ours has no dictionaries, by which few bytes stand for many.
_ENCODINGS = {"PLAIN", "RLE", "BIT_PACKED"}


class TooManyBytesError(Exception):
    """An object would take more memory than there is room for."""


class TooManyRowsError(Exception):
    """An object holds other rows than are recorded."""


def room(stored_bytes: int) -> int:
    """The most bytes that a part file of this size may expand to: the largest row, the largest
    part, and what compression saves."""
    part = 2 * settings.part_bytes()
    return TIMES_A_ROW * settings.row_bytes() + part + TIMES_COMPRESSED * stored_bytes


def decompress(
    data: bytes,
    most_bytes: int = MOST_DOCUMENT_BYTES,
    most_lines: int = MOST_DOCUMENT_BYTES,
) -> bytes:
    """The content of a zstd frame. Raises TooManyBytesError or TooManyRowsError as soon as it
    exceeds a limit, OSError if it is not such a frame."""
    pieces: list[bytes] = []
    size = lines = 0
    with pa.input_stream(pa.BufferReader(data), compression="zstd") as stream:
        while piece := stream.read(PIECE):
            size += len(piece)
            lines += count_lines(piece)
            if lines > most_lines:
                raise TooManyRowsError
            if size > most_bytes:
                raise TooManyBytesError
            pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def count_lines(data: bytes) -> int:
    """How many lines end in `data`, in a third of the time that `bytes.count` takes."""
    return int(np.count_nonzero(np.frombuffer(data, np.uint8) == ord("\n")))


def require_room(file: pq.ParquetFile, rows: int, most_bytes: int) -> None:
    """Raise TooManyRowsError unless a Parquet file says that it has this number of rows, and
    TooManyBytesError unless they fit. Even a NULL takes memory."""
    metadata = file.metadata
    groups = [metadata.row_group(number) for number in range(metadata.num_row_groups)]
    columns = [group.column(number) for group in groups for number in range(group.num_columns)]
    if not metadata.num_rows == sum(group.num_rows for group in groups) == rows:
        raise TooManyRowsError
    size = rows * VALUE_BYTES * metadata.num_columns
    size += sum(max(column.total_uncompressed_size, 0) for column in columns)
    if size > most_bytes or any(_has_dictionary(column) for column in columns):
        raise TooManyBytesError


def _has_dictionary(column: pq.ColumnChunkMetaData) -> bool:
    return bool(column.has_dictionary_page) or not _ENCODINGS.issuperset(column.encodings)
