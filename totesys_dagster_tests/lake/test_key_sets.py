"""Sets of keys as documents hold them: written out, or as an object of many ranges."""

from __future__ import annotations

import json
from collections.abc import Sequence

import pytest

from totesys_dagster.errors import LakeError
from totesys_dagster.lake import key_sets
from totesys_dagster.lake.key_sets import FEW_RANGES, KeySet, key_set
from totesys_dagster.lake.store import Store
from totesys_dagster_tests.hand_made import overwrite

MANY = [(key, key) for key in range(0, 4 * FEW_RANGES, 2)]


def written(store: Store, ranges: Sequence[tuple[int, int]]) -> KeySet:
    keys = key_set("staff", ranges)
    key_sets.write(store, keys, ranges)
    return keys


def test_few_ranges_stand_in_the_document(store: Store) -> None:
    keys = written(store, [(1, 3), (7, 7)])

    assert (keys.count, keys.ranges, keys.key) == (4, ((1, 3), (7, 7)), None)
    assert keys.read(store) == [(1, 3), (7, 7)]
    assert store.list("keys") == []


def test_set_that_is_there_in_other_bytes_counts_as_written(store: Store) -> None:
    keys = key_set("staff", MANY)
    assert keys.key is not None
    store.put(keys.key, json.dumps({"ranges": MANY, "format": 3}, indent=1).encode())
    key_sets.write(store, keys, MANY)

    assert keys.read(store) == MANY


def test_damaged_set_is_not_written_over(directory: Store) -> None:
    keys = written(directory, MANY)
    assert keys.key is not None
    overwrite(directory, keys.key, json.dumps({"ranges": MANY[1:], "format": 3}).encode())

    with pytest.raises(LakeError, match=rf"{keys.key} is not the set of {len(MANY)} keys"):
        key_sets.write(directory, keys, MANY)


def test_many_ranges_are_an_object(store: Store) -> None:
    keys = written(store, MANY)

    assert (keys.count, keys.ranges) == (len(MANY), None)
    assert keys.read(store) == MANY
    assert store.list("keys") == [keys.key]


def test_equal_sets_have_equal_hashes() -> None:
    assert key_set("staff", [(1, 3)]).sha256 == key_set("design", ((1, 3),)).sha256
    assert key_set("staff", [(1, 3)]).sha256 != key_set("staff", [(1, 4)]).sha256


def test_tampered_object_is_found(directory: Store) -> None:
    keys = written(directory, MANY)
    assert keys.key is not None
    overwrite(directory, keys.key, directory.get(keys.key).replace(b"2", b"3", 1))

    with pytest.raises(LakeError, match=r"is not the set of|is not a key object of format"):
        keys.read(directory)


@pytest.mark.parametrize(
    ("data", "count"),
    [
        (b"", 0),
        (b"no JSON", 0),
        (b'\xff{"format": 3, "ranges": [[1,3]]}', 3),
        (b"null", 0),
        (b"{}", 0),
        (b"[[1,3]]", 3),
        (b'{"format": 3, "ranges": [[1,3]', 3),
        (b"[" * 100_000, 0),
        *(
            (json.dumps({"format": 3, "ranges": ranges}).encode(), count)
            for ranges, count in [
                ([1, 3], 3),
                ([[1, 3, 5]], 3),
                ([[1]], 1),
                ([["1", "3"]], 3),
                ([[1.0, 3.0]], 3),
                ([[1, None]], 1),
                ([[False, True]], 2),
                ([[3, 1]], -1),
                ([[7, 7], [1, 3]], 4),
                ([[1, 3], [2, 5]], 7),
                ([[1, 3], [3, 3]], 4),
                ([[1, 3], [4, 7]], 7),
                ([[1, 9223372036854775808]], 9223372036854775808),
                ([[-9223372036854775809, -9223372036854775809]], 1),
                ([[1, 9223372036854775807]], 3),
                ([[1, 3]], 4),
                ([[1, 4]], 4),
                ([], 3),
            ]
        ),
    ],
)
def test_set_that_no_capture_writes_is_refused(data: bytes, count: int, directory: Store) -> None:
    directory.put("keys/odd.json", data)
    keys = key_set("staff", [(1, 3)]).model_copy(
        update={"key": "keys/odd.json", "ranges": None, "count": count}
    )

    with pytest.raises(LakeError) as error:
        keys.read(directory)
    assert "odd.json is not " in str(error.value)
    assert "\n" not in str(error.value)


def test_set_in_a_manifest_is_held_to_its_hash(directory: Store) -> None:
    keys = key_set("staff", [(1, 3)]).model_copy(update={"ranges": ((2, 4),)})

    with pytest.raises(LakeError, match=r"A key set of a manifest in .* is not the set of 3 keys"):
        keys.read(directory)


@pytest.mark.parametrize("keys", [[], [(-5, -2), (0, 0)], [(-(2**63), -7), (5, 2**63 - 1)]])
def test_set_of_any_whole_numbers_is_read(keys: list[tuple[int, int]], directory: Store) -> None:
    assert written(directory, keys).read(directory) == keys
