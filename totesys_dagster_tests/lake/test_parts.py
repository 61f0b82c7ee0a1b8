"""Part files: streams of lines cut to size, and read back only when they are what was written."""

from __future__ import annotations

import datetime as dt
import gzip
from collections.abc import Iterator
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from totesys_dagster.errors import LakeError, ObjectMissingError
from totesys_dagster.lake.bounded import decompress
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.parts import (
    compress,
    lines_in_parts,
    part_stem,
    read_lines,
    read_table,
    write_lines,
    write_table,
)
from totesys_dagster.lake.store import Store, sha256
from totesys_dagster_tests.hand_made import overwrite

unhurried = settings(deadline=None)  # a busy machine is no failure

# Characters at which Python's str.splitlines() would break a line, but JSON Lines does not.
OTHER_LINE_ENDS = "\u2028 \u2029 \x85 \x0b \x0c \r \x1c \x1d \x1e"

STREAMS = st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"") + b"\n")).map(
    b"".join
)


@st.composite
def chunked(draw: st.DrawFn) -> list[bytes]:
    """A stream of lines, cut into chunks anywhere (some of them empty)."""
    stream = draw(STREAMS)
    cuts = draw(st.lists(st.integers(min_value=0, max_value=len(stream))).map(sorted))
    return [stream[start:end] for start, end in zip([0, *cuts], [*cuts, len(stream)], strict=True)]


@unhurried
@given(chunked(), st.integers(min_value=1, max_value=60))
def test_parts_together_are_the_stream(chunks: list[bytes], part_bytes: int) -> None:
    assert b"".join(lines_in_parts(chunks, part_bytes)) == b"".join(chunks)


@unhurried
@given(chunked(), st.integers(min_value=1, max_value=60))
def test_every_part_ends_with_a_line(chunks: list[bytes], part_bytes: int) -> None:
    assert all(part.endswith(b"\n") for part in lines_in_parts(chunks, part_bytes))


@unhurried
@given(chunked(), st.integers(min_value=1, max_value=60))
def test_part_is_never_longer_than_its_size_a_line_and_a_chunk(
    chunks: list[bytes], part_bytes: int
) -> None:
    longest_line = max((len(line) for line in b"".join(chunks).split(b"\n")), default=0) + 1
    longest_chunk = max(len(chunk) for chunk in chunks)

    for part in lines_in_parts(chunks, part_bytes):
        assert len(part) < part_bytes + longest_line + longest_chunk


@unhurried
@given(STREAMS, st.integers(min_value=1, max_value=60))
def test_one_chunk_per_row_fills_every_part_but_the_last(stream: bytes, part_bytes: int) -> None:
    rows = [line + b"\n" for line in stream.split(b"\n")[:-1]]

    *full, _ = list(lines_in_parts(rows, part_bytes)) or [b""]

    assert all(len(part) >= part_bytes for part in full)


def test_lines_are_cut_at_the_size() -> None:
    assert list(lines_in_parts([b"aa\n", b"bb\n", b"cc\n"], 6)) == [b"aa\nbb\n", b"cc\n"]


def test_line_longer_than_a_part_stays_whole() -> None:
    assert list(lines_in_parts([b"a" * 9, b"b" * 9 + b"\n", b"c\n"], 4)) == [
        b"a" * 9 + b"b" * 9 + b"\n",
        b"c\n",
    ]


def test_nothing_gives_no_part() -> None:
    assert list(lines_in_parts([], 4)) == []
    assert list(lines_in_parts([b"", b""], 4)) == []


def test_parts_are_made_while_the_stream_is_read() -> None:
    """A table of any size passes through: no part waits for the end."""
    read: list[int] = []

    def chunks() -> Iterator[bytes]:
        for number in range(100):
            read.append(number)
            yield b"x" * 9 + b"\n"

    next(lines_in_parts(chunks(), 20))

    assert read == [0, 1]


@unhurried
@given(st.binary())
def test_compressed_bytes_come_back(data: bytes) -> None:
    assert decompress(compress(data)) == data


def test_part_stem_names_table_and_batch() -> None:
    assert part_stem("rows", "sales_order", "2026-11-23T09-15-00Z") == (
        "rows/sales_order/batch=2026-11-23T09-15-00Z/part"
    )


def test_lines_come_back_from_the_store(store: Store) -> None:
    entries = write_lines(store, "rows/t/part", [b'{"a":1}\n{"a":2}\n', b'{"a":3}\n'], 10)

    assert [read_lines(store, entry) for entry in entries] == [b'{"a":1}\n{"a":2}\n', b'{"a":3}\n']
    assert [entry.rows for entry in entries] == [2, 1]


def test_entry_describes_the_stored_object(directory: Store) -> None:
    (entry,) = write_lines(directory, "rows/t/part", [b'{"a":1}\n'], 10)

    stored = directory.get(entry.key)
    assert entry == ObjectEntry(
        key=f"rows/t/part-00000-{sha256(stored)[:8]}.jsonl.zst",
        rows=1,
        bytes=len(stored),
        sha256=sha256(stored),
    )


def test_stored_lines_are_zstd(directory: Store) -> None:
    (entry,) = write_lines(directory, "rows/t/part", [b'{"a":1}\n'], 10)

    assert directory.get(entry.key).startswith(b"\x28\xb5\x2f\xfd")


def test_no_lines_are_no_object(directory: Store) -> None:
    assert write_lines(directory, "rows/t/part", [], 10) == []
    assert directory.list("") == []


def test_writing_the_same_lines_again_gives_the_same_entries(store: Store) -> None:
    first = write_lines(store, "rows/t/part", [b'{"a":1}\n', b'{"a":2}\n'], 1)
    again = write_lines(store, "rows/t/part", [b'{"a":1}\n', b'{"a":2}\n'], 1)

    assert again == first
    assert len(store.list("rows")) == 2


def test_half_done_work_of_a_killed_capture_is_no_conflict(store: Store) -> None:
    """The same batch and part, other rows: the source went on before the capture was repeated."""
    (before,) = write_lines(store, "rows/t/part", [b'{"a":1}\n'], 10)
    (after,) = write_lines(store, "rows/t/part", [b'{"a":2}\n'], 10)

    assert before.key != after.key
    assert read_lines(store, after) == b'{"a":2}\n'


def test_other_line_ends_are_no_line_ends(directory: Store) -> None:
    text = f'{{"a":"{OTHER_LINE_ENDS}"}}\n'.encode()
    (entry,) = write_lines(directory, "rows/t/part", [text], 10)

    assert entry.rows == 1
    assert read_lines(directory, entry) == text


def test_tampered_lines_are_found(directory: Store) -> None:
    (entry,) = write_lines(directory, "rows/t/part", [b'{"paid":false}\n'], 10)
    overwrite(directory, entry.key, compress(b'{"paid":true}\n'))

    with pytest.raises(LakeError, match="does not have the SHA-256 that its manifest records"):
        read_lines(directory, entry)


def test_single_changed_bit_is_found(directory: Store) -> None:
    (entry,) = write_lines(directory, "rows/t/part", [b'{"paid":false}\n'], 10)
    data = bytearray(directory.get(entry.key))
    data[-1] ^= 1
    overwrite(directory, entry.key, bytes(data))

    with pytest.raises(LakeError, match=entry.key):
        read_lines(directory, entry)


def test_removed_part_is_named(directory: Store) -> None:
    entry = ObjectEntry(key="rows/t/part-00000-aaaaaaaa.jsonl.zst", rows=1, bytes=1, sha256="")

    with pytest.raises(ObjectMissingError, match=r"part-00000-aaaaaaaa\.jsonl\.zst does not exist"):
        read_lines(directory, entry)


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_wrong_number_of_lines_is_found(directory: Store, rows: int) -> None:
    (entry,) = write_lines(directory, "rows/t/part", [b'{"a":1}\n{"a":2}\n'], 10)

    with pytest.raises(LakeError, match=f"does not hold the {rows} lines"):
        read_lines(directory, entry.model_copy(update={"rows": rows}))


def test_last_line_without_an_end_is_found(directory: Store) -> None:
    (entry,) = write_lines(directory, "rows/t/part", [b'{"a":1}\n', b'{"a":2'], 100)

    with pytest.raises(LakeError, match="does not hold the 1 lines"):
        read_lines(directory, entry)


MONEY = pa.table(
    {
        "id": pa.array([1, None], pa.int32()),
        "amount": pa.array([Decimal("2.10"), Decimal("981451.44")], pa.decimal128(10, 2)),
        "day": pa.array([dt.date(2024, 2, 29), None], pa.date32()),
        "at": pa.array([dt.time(14, 20, 52, 186000), dt.time(0)], pa.time64("us")),
        "text": pa.array(["O'Keefe, \u2028 \U0001f45c", None], pa.string()),
    }
)


def test_table_comes_back_with_its_types_and_values(store: Store) -> None:
    entry = write_table(store, "rows/t/part", 3, MONEY)

    assert entry.key.startswith("rows/t/part-00003-")
    assert entry.key.endswith(".parquet")
    assert entry.rows == 2
    assert read_table(store, entry).equals(MONEY)


def test_same_table_has_the_same_bytes(directory: Store) -> None:
    first = write_table(directory, "rows/t/part", 0, MONEY)
    again = write_table(directory, "rows/t/part", 0, MONEY.slice(0))

    assert again == first


def test_table_is_compressed_parquet(directory: Store) -> None:
    entry = write_table(directory, "rows/t/part", 0, MONEY)

    metadata = pq.read_metadata(pa.BufferReader(directory.get(entry.key)))
    assert metadata.row_group(0).column(0).compression == "ZSTD"


def test_tampered_table_is_found(directory: Store) -> None:
    entry = write_table(directory, "rows/t/part", 0, MONEY)
    overwrite(directory, entry.key, b"PAR1")

    with pytest.raises(LakeError, match="does not have the SHA-256"):
        read_table(directory, entry)


FRAME = compress(b'{"a":1}\n' * 1000)
NO_FRAME = "is not one zstd frame"
NO_LINES = "does not hold the 1000 lines"


NO_PARTS = {
    "empty": (b"", NO_LINES),
    "not compressed": (b'{"a":1}\n' * 1000, NO_FRAME),
    "last byte lost": (FRAME[:-1], NO_FRAME),
    "half": (FRAME[: len(FRAME) // 2], NO_FRAME),
    "byte too many": (FRAME + b"x", NO_FRAME),
    "two frames": (FRAME + FRAME, NO_LINES),
    "gzip": (gzip.compress(b'{"a":1}\n' * 1000), NO_FRAME),
    "last line without an end": (compress(b'{"a":1}\n' * 999 + b'{"a":1}'), NO_LINES),
    "other line ends": (compress(b'{"a":1}\r' * 1000), NO_LINES),
}


@pytest.mark.parametrize("name", NO_PARTS)
def test_object_with_the_right_hash_that_holds_no_lines_is_a_sentence(
    directory: Store, name: str
) -> None:
    data, said = NO_PARTS[name]
    directory.put("part", data)
    entry = ObjectEntry(key="part", rows=1000, bytes=len(data), sha256=sha256(data))

    with pytest.raises(LakeError) as error:
        read_lines(directory, entry)
    assert said in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("data", [b"", b"PAR1", b"PAR1PAR1", b"PAR1\xff\xff\xff\x7fPAR1", FRAME])
def test_object_with_the_right_hash_that_is_no_parquet_is_a_sentence(
    directory: Store, data: bytes
) -> None:
    directory.put("part", data)
    entry = ObjectEntry(key="part", rows=1000, bytes=len(data), sha256=sha256(data))

    with pytest.raises(LakeError, match="is not a Parquet file"):
        read_table(directory, entry)
