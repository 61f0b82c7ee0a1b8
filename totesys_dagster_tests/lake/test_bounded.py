"""Small objects that would take much memory, put into the lake with the right hashes."""

from __future__ import annotations

import contextlib
import io
import json
import resource
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from totesys_dagster.errors import LakeError
from totesys_dagster.lake import bounded, log
from totesys_dagster.lake.key_sets import key_set
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.parts import ObjectEntry, compress, read_lines, read_table, write_lines
from totesys_dagster.lake.store import Store, sha256
from totesys_dagster_tests.hand_made import manifest, manifest_key, overwrite
from totesys_dagster_tests.landing import by_night

MIB = 1024 * 1024


def put(store: Store, data: bytes, rows: int) -> ObjectEntry:
    """An object that is just what names it."""
    store.put("object", data)
    return ObjectEntry(key="object", rows=rows, bytes=len(data), sha256=sha256(data))


def bomb(mib: int, piece: bytes = b"\0") -> bytes:
    """A zstd frame that expands to so many MiB."""
    sink = pa.BufferOutputStream()
    with pa.output_stream(sink, compression="zstd") as stream:
        for _ in range(mib):
            stream.write(piece * (MIB // len(piece)))
    return bytes(sink.getvalue())


def memory(do: Callable[[], object]) -> int:
    """By how many MiB the most memory of this process grows, from what it takes now."""
    with contextlib.suppress(OSError):  # Linux forgets the most that it has ever taken
        Path("/proc/self/clear_refs").write_text("5")
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    do()
    return (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024


@pytest.mark.parametrize(
    ("piece", "said"),
    by_night(
        [(b"\0", "would take more than"), (b"\n", "does not hold the 3 lines that its manifest")],
        but=[0],
    ),
)
def test_part_that_expands_beyond_its_manifest_is_not_read(
    directory: Store, piece: bytes, said: str
) -> None:
    entry = put(directory, bomb(1000, piece), rows=3)

    def read() -> None:
        with pytest.raises(LakeError, match=said) as refused:
            read_lines(directory, entry)
        assert "\n" not in str(refused.value)

    assert entry.bytes < MIB
    assert memory(read) < 400


def test_largest_row_that_there_may_be_is_read(directory: Store) -> None:
    """Each of its characters is six in JSON, and all are alike."""
    line = b'{"a":"' + b"\\u0001" * (16 * MIB) + b'"}\n'
    [entry] = write_lines(directory, "rows/t/part", [line], 4 * MIB)

    assert entry.bytes < 100_000
    assert len(read_lines(directory, entry)) == len(line)


def test_object_that_has_grown_is_not_read_to_its_end(store: Store) -> None:
    data = compress(b'{"a":1}\n')
    entry = put(store, data + b"x" * MIB, 1).model_copy(update={"bytes": len(data)})

    with pytest.raises(LakeError, match=r"is larger than the \d+ bytes that it may have"):
        read_lines(store, entry)


def parquet(table: pa.Table, **options: object) -> bytes:
    sink = io.BytesIO()
    pq.write_table(table, sink, compression="zstd", **options)
    return sink.getvalue()


def nulls(rows: int) -> pa.Table:
    return pa.table({f"c{n}": pa.nulls(rows, pa.int64()) for n in range(20)})


def repeated(value: str, rows: int) -> pa.Table:
    """A column that takes little memory here, and much where it is read as text."""
    return pa.table({"a": pa.DictionaryArray.from_arrays(pa.array([0] * rows), [value])})


# Each is made by the test that reads it.
HOSTILE: dict[str, tuple[Callable[[], bytes], int]] = {
    "values that are not there": (
        lambda: parquet(nulls(2_000_000), use_dictionary=False),
        2_000_000,
    ),
    "a dictionary": (lambda: parquet(repeated("x" * MIB, 1000), store_schema=False), 1000),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_parquet_that_expands_beyond_its_size_is_not_read(directory: Store, name: str) -> None:
    make, rows = HOSTILE[name]
    entry = put(directory, make(), rows)

    def read() -> None:
        with pytest.raises(LakeError, match="would take more than"):
            read_table(directory, entry)

    assert memory(read) < 50


@pytest.mark.parametrize("rows", [1, 3])
def test_parquet_with_other_rows_than_its_receipt_says_is_found(
    directory: Store, rows: int
) -> None:
    entry = put(directory, parquet(pa.table({"a": [1, 2]}), use_dictionary=False), rows)

    with pytest.raises(LakeError, match=f"does not hold the {rows} rows that its receipt records"):
        read_table(directory, entry)


def test_footer_that_says_fewer_rows_than_its_groups_is_found(directory: Store) -> None:
    data = parquet(pa.table({"a": list(range(300))}), use_dictionary=False)
    metadata = data.rindex(b"\xd8\x04")  # 300, as Thrift writes it
    forged = data[:metadata] + b"\xd8\x05" + data[metadata + 2 :]
    entry = put(directory, forged, 300)

    with pytest.raises(LakeError):
        read_table(directory, entry)


def test_document_that_is_too_large_is_not_read(
    directory: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    ManifestLog(directory).commit(manifest(1))
    monkeypatch.setattr(log, "_ends", {})
    path = manifest_key(1)
    overwrite(directory, path, b" " * (bounded.MOST_DOCUMENT_BYTES + 1))

    with pytest.raises(LakeError, match=f"{path} is larger than the 16,777,216 bytes"):
        ManifestLog(directory).head()


@pytest.mark.long
def test_set_of_few_keys_is_no_reason_to_read_many(directory: Store) -> None:
    ranges = [[number, number] for number in range(0, 400_000, 2)]
    directory.put("keys/odd.json", json.dumps({"format": 3, "ranges": ranges}).encode())
    keys = key_set("staff", [(1, 3)]).model_copy(update={"key": "keys/odd.json", "ranges": None})

    with pytest.raises(LakeError, match="larger than the 1,048,816 bytes"):
        keys.read(directory)


HEAD = b'{"format": 3, "log": "totesys", "sequence": 1, "tables": ['
BOMBS: dict[str, Callable[[], bytes]] = {
    "zeros": lambda: HEAD + b"0," * 5_000_000 + b"0]}",
    "members": lambda: b"{" + b",".join(b'"a%d": 0' % n for n in range(500_000)) + b"}",
    "no end": lambda: b"[" * 10_000_000,
}


@pytest.mark.parametrize("name", by_night(BOMBS, but=[0]))
def test_document_that_is_none_takes_no_more_than_its_size_allows(
    directory: Store, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To list what is wrong with each of its values would take gigabytes."""
    monkeypatch.setattr(log, "_ends", {})
    directory.put(manifest_key(1), BOMBS[name]())

    def read() -> None:
        with pytest.raises(LakeError, match="is not a manifest of format 3"):
            ManifestLog(directory).head()

    assert memory(read) < 250
