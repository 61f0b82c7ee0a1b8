"""Key ranges behave as Python's sets of the same keys do."""

from __future__ import annotations

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from totesys_dagster.lake import key_ranges

unhurried = settings(deadline=None)  # a busy machine is no failure

# Few different keys, so that two sets touch, overlap and contain each other often.
KEYS = st.sets(st.integers(min_value=-3, max_value=40))


def members(found: key_ranges.Ranges) -> list[int]:
    """Every key of the ranges, in order."""
    return [key for low, high in found for key in range(low, high + 1)]


def ranges(keys: set[int]) -> list[tuple[int, int]]:
    """The shortest list of ranges that holds these keys."""
    found: list[tuple[int, int]] = []
    for key in sorted(keys):
        if found and found[-1][1] == key - 1:
            found[-1] = (found[-1][0], key)
        else:
            found.append((key, key))
    return found


WORDS = st.sets(st.integers(min_value=-200, max_value=400)) | st.builds(
    lambda low, length, gaps: set(range(low, low + length)) - gaps,
    st.integers(min_value=-200, max_value=200),
    st.integers(min_value=0, max_value=400),
    st.sets(st.integers(min_value=-200, max_value=600), max_size=3),
)


def words(keys: set[int]) -> list[tuple[int, int, int]]:
    """The keys as PostgreSQL gives them: bits of 64-bit words with a sign, neighbours that are
    alike in one."""
    found: list[tuple[int, int, int]] = []
    for word in sorted({key >> 6 for key in keys}):
        bits = sum(1 << (key & 63) for key in keys if key >> 6 == word)
        bits -= (bits >> 63) << 64
        if found and found[-1][1:] == (word - 1, bits):
            found[-1] = (found[-1][0], word, bits)
        else:
            found.append((word, word, bits))
    return found


@unhurried
@given(WORDS)
def test_words_of_bits_are_the_ranges_of_their_keys(keys: set[int]) -> None:
    assert key_ranges.of_words(words(keys)) == ranges(keys)


def test_words_at_the_ends_of_bigint() -> None:
    least, greatest = -(2**63), 2**63 - 1
    assert key_ranges.of_words(
        [(least >> 6, least >> 6, 1), (greatest >> 6, greatest >> 6, least)]
    ) == [
        (least, least),
        (greatest, greatest),
    ]


def test_count_of_ranges_includes_both_ends() -> None:
    assert key_ranges.count([(1, 3), (7, 7)]) == 4


def test_keys_come_in_order() -> None:
    assert list(members([(1, 3), (7, 7)])) == [1, 2, 3, 7]


def test_subtracting_cuts_a_range_in_two() -> None:
    assert key_ranges.subtract([(1, 9)], [(4, 5)]) == [(1, 3), (6, 9)]


def test_subtracting_one_range_from_several() -> None:
    assert key_ranges.subtract([(1, 3), (5, 7), (9, 9)], [(2, 9)]) == [(1, 1)]


def test_subtracting_touches_no_neighbour() -> None:
    assert key_ranges.subtract([(1, 3), (7, 9)], [(4, 6)]) == [(1, 3), (7, 9)]


@unhurried
@given(KEYS, KEYS)
def test_subtract_is_the_difference_of_sets(left: set[int], right: set[int]) -> None:
    assert key_ranges.subtract(ranges(left), ranges(right)) == ranges(left - right)


@unhurried
@given(KEYS, KEYS, st.integers(min_value=-3, max_value=40))
def test_subtract_takes_ranges_that_touch(left: set[int], right: set[int], cut: int) -> None:
    """Ranges as another reader might cut them: (1, 4) as (1, 2), (3, 4)."""
    below, above = {key for key in right if key < cut}, {key for key in right if key >= cut}

    difference = key_ranges.subtract(ranges(left), ranges(below) + ranges(above))

    assert set(members(difference)) == left - right


@unhurried
@given(KEYS)
def test_count_is_the_size_of_the_set(keys: set[int]) -> None:
    assert key_ranges.count(ranges(keys)) == len(keys)


@unhurried
@given(st.sets(st.integers(min_value=-(2**31), max_value=2**31 - 1)))
def test_ranges_come_back_from_their_bytes(keys: set[int]) -> None:
    pairs = json.loads(key_ranges.to_bytes(ranges(keys)))

    assert key_ranges.checked(pairs) == ranges(keys)


def test_bytes_are_compact_json() -> None:
    assert key_ranges.to_bytes([(1, 3), (7, 7)]) == b"[[1,3],[7,7]]"


def test_equal_sets_have_equal_bytes_as_list_or_tuple() -> None:
    assert key_ranges.to_bytes([(1, 3)]) == key_ranges.to_bytes(((1, 3),))
