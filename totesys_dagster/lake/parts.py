"""Part files: a table of a batch is stored in files of bounded size.

Their names contain the start of their content's hash, so a capture that is repeated after being
killed never collides with its own unfinished work.

    rows/sales_order/batch=0000000042/part-00000-5f0c1a9e.jsonl.zst
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from totesys_dagster.errors import LakeError, ObjectMissingError
from totesys_dagster.lake import bounded
from totesys_dagster.lake.bounded import count_lines, decompress
from totesys_dagster.lake.erasures import erasures
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.store import Store, sha256

ROW_GROUP_ROWS = 128 * 1024


def part_stem(kind: str, table: str, batch: str) -> str:
    """The start of the keys of a table's part files in a batch; `kind` is the top folder."""
    return f"{kind}/{table}/batch={batch}/part"


def compress(data: bytes) -> bytes:
    """One zstd frame."""
    return bytes(pa.compress(data, "zstd", asbytes=True))


def _store(store: Store, stem: str, suffix: str, data: bytes, rows: int) -> ObjectEntry:
    digest = sha256(data)
    key = f"{stem}-{digest[:8]}{suffix}"
    store.put(key, data)
    return ObjectEntry(key=key, rows=rows, bytes=len(data), sha256=digest)


def read_object(store: Store, entry: ObjectEntry) -> bytes:
    """The object that a manifest names, or its replacement if PII in it was erased.
    Raises LakeError if it is not what was written."""
    if store.is_derived:
        return checked(store, entry.key, entry.sha256, entry.bytes)
    current = erasures(store).current(entry)
    try:
        return checked(store, current.key, current.sha256, current.bytes)
    except ObjectMissingError:
        newest = erasures(store, now=True).current(current)
        if newest == current:
            raise
        return checked(store, newest.key, newest.sha256, newest.bytes)


def checked(store: Store, key: str, expected: str, stored_bytes: int) -> bytes:
    """The object `key`. Raises LakeError if it is larger than recorded, or its SHA-256 is not the
    `expected` one."""
    data = store.get(key, stored_bytes)
    if sha256(data) != expected:
        raise LakeError(
            f"{store.uri(key)} does not have the SHA-256 that its manifest records: it was"
            f" changed after it was written; {store.remedy}."
        )
    return data


def _unreadable(store: Store, entry: ObjectEntry, form: str) -> LakeError:
    return LakeError(
        f"{store.uri(entry.key)} has the SHA-256 that its manifest records, but is not {form}: it"
        " was written by something else than totesys_dagster, or by a defective version of it."
    )


def _too_large(store: Store, entry: ObjectEntry, most: int) -> LakeError:
    return LakeError(
        f"{store.uri(entry.key)} would take more than {most:,} bytes of memory, the most for an"
        f" object of {entry.bytes:,}, and was not read: if TOTESYS_ROW_BYTES or TOTESYS_PART_BYTES"
        " was larger when it was written, set it as it was; otherwise, it was written by something"
        " else than totesys_dagster."
    )


def lines_in_parts(chunks: Iterable[bytes], part_bytes: int) -> Iterator[bytes]:
    """Split a stream of JSON Lines into parts that end with a line, each about `part_bytes` long.

    A chunk can start and end anywhere; a line longer than `part_bytes` is kept whole.
    """
    whole: list[bytes] = []  # ends with a line
    begun: list[bytes] = []  # the start of the next one
    size = 0
    for chunk in chunks:
        end = chunk.rfind(b"\n") + 1
        if not end:
            begun.append(chunk)
            continue
        whole += [*begun, chunk[:end]]
        size += sum(map(len, begun)) + end
        begun = [chunk[end:]]
        if size >= part_bytes:
            yield b"".join(whole)
            whole, size = [], 0
    if rest := b"".join(whole + begun):
        yield rest


def write_lines(
    store: Store,
    stem: str,
    chunks: Iterable[bytes],
    part_bytes: int,
    numbers: Iterable[int] | None = None,
) -> list[ObjectEntry]:
    """Write a stream of JSON Lines as compressed part files `<stem>-00000-<hash>.jsonl.zst`.

    Streams that are written in parallel under one stem take the `numbers` of their parts from one
    counter.
    """
    entries = []
    parts = lines_in_parts(chunks, part_bytes)
    for part, number in zip(parts, numbers or itertools.count(), strict=False):
        entries.append(
            _store(store, f"{stem}-{number:05d}", ".jsonl.zst", compress(part), count_lines(part))
        )
    return entries


def read_lines(store: Store, entry: ObjectEntry) -> bytes:
    """The JSON Lines of one part, or of its replacement. Raises LakeError when it is not what was
    written."""
    return _lines(store, entry, read_object(store, entry))


def read_exactly(store: Store, entry: ObjectEntry) -> bytes:
    """The JSON Lines of one part, be it replaced or not. Raises ObjectMissingError or LakeError."""
    return _lines(store, entry, checked(store, entry.key, entry.sha256, entry.bytes))


def _lines(store: Store, entry: ObjectEntry, data: bytes) -> bytes:
    most = bounded.room(entry.bytes)
    try:
        lines = decompress(data, most, entry.rows)
    except OSError:
        raise _unreadable(store, entry, "one zstd frame") from None
    except bounded.TooManyBytesError:
        raise _too_large(store, entry, most) from None
    except bounded.TooManyRowsError:
        lines = b""
    if count_lines(lines) != entry.rows or not lines.endswith(b"\n"):
        raise LakeError(
            f"{store.uri(entry.key)} does not hold the {entry.rows} lines that its manifest"
            " records."
        )
    return lines


def write_instead(store: Store, entry: ObjectEntry, lines: bytes) -> ObjectEntry:
    """Write the part that replaces another one, under the other's name but for the hash."""
    stem, _, _ = entry.key.rpartition("-")
    return _store(store, stem, ".jsonl.zst", compress(lines), count_lines(lines))


def write_table(store: Store, stem: str, number: int, table: pa.Table) -> ObjectEntry:
    """Write one part of a table as Parquet: the same rows give the same bytes.

    No dictionaries, as zstd does better: the facts' files are a fifth smaller and written in a
    third of the time.
    """
    sink = pa.BufferOutputStream()
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=3,
        row_group_size=ROW_GROUP_ROWS,
        use_dictionary=False,
    )
    data = bytes(sink.getvalue())
    return _store(store, f"{stem}-{number:05d}", ".parquet", data, table.num_rows)


def read_table(store: Store, entry: ObjectEntry, columns: Sequence[str] | None = None) -> pa.Table:
    """One part of a table, or columns of it. Raises LakeError when it is not what was written."""
    data, most = read_object(store, entry), bounded.room(entry.bytes)
    try:
        # Not pq.read_table: what it needs for many files takes 0.2 s to import, in each run.
        with pq.ParquetFile(pa.BufferReader(data)) as file:
            bounded.require_room(file, entry.rows, most)
            return file.read(columns=columns, use_threads=False)
    except (pa.ArrowException, OSError):
        raise _unreadable(store, entry, "a Parquet file") from None
    except bounded.TooManyBytesError:
        raise _too_large(store, entry, most) from None
    except bounded.TooManyRowsError:
        raise LakeError(
            f"{store.uri(entry.key)} does not hold the {entry.rows} rows that its receipt records:"
            f" one of the two was changed after it was written; {store.remedy}."
        ) from None
