"""Sets of integer keys as inclusive ranges. Keys come from sequences, so the ranges are few."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence

Ranges = Sequence[tuple[int, int]]

# A word of bits, a key each, as PostgreSQL's bigint holds it; all ones are -1.
WORD = 64
_ALL = -1

_GREATEST = 2**63 - 1  # of PostgreSQL's bigint; the least is one more, negated


def of_words(words: Iterable[tuple[int, int, int]]) -> list[tuple[int, int]]:
    """The ranges of the keys whose bits are set.

    `words` are the first and the last of neighbouring words and the bits that all of them have,
    in order; bit b of word w is the key 64 w + b.
    """
    ranges: list[tuple[int, int]] = []
    for low, high in _runs(words):
        if ranges and ranges[-1][1] == low - 1:
            ranges[-1] = (ranges[-1][0], high)
        else:
            ranges.append((low, high))
    return ranges


def _runs(words: Iterable[tuple[int, int, int]]) -> Iterator[tuple[int, int]]:
    for first, last, bits in words:
        if bits == _ALL:
            yield first * WORD, last * WORD + WORD - 1
            continue
        runs = list(_runs_of_ones(bits % 2**WORD))
        for word in range(first, last + 1):
            for low, high in runs:
                yield word * WORD + low, word * WORD + high


def _runs_of_ones(bits: int) -> Iterator[tuple[int, int]]:
    """The first and the last place of each run of ones, from the lowest bit on."""
    place = 0
    while bits:
        zeros = (bits & -bits).bit_length() - 1
        bits >>= zeros
        ones = (~bits & bits + 1).bit_length() - 1
        bits >>= ones
        place += zeros + ones
        yield place - ones, place - 1


def count(ranges: Ranges) -> int:
    """How many keys the ranges hold."""
    return sum(high - low + 1 for low, high in ranges)


def subtract(left: Ranges, right: Ranges) -> list[tuple[int, int]]:
    """The keys of `left` that are not in `right`. Both sorted, without overlaps."""
    result = []
    position = 0
    for start, end in left:
        low = start
        while position < len(right) and right[position][1] < low:
            position += 1
        here = position
        while here < len(right) and right[here][0] <= end:
            if right[here][0] > low:
                result.append((low, right[here][0] - 1))
            low = right[here][1] + 1
            here += 1
        if low <= end:
            result.append((low, end))
    return result


def to_bytes(ranges: Ranges) -> bytes:
    """The ranges as a JSON list of pairs; equal sets give equal bytes."""
    return json.dumps([list(pair) for pair in ranges], separators=(",", ":")).encode()


def checked(pairs: Sequence[Sequence[int]]) -> list[tuple[int, int]]:
    """The pairs as ranges. Raises ValueError if they are not those of a set.

    Comparing sets and enumerating ranges relies on this: one range too many, or an endless one,
    would delete or fill a table.
    """
    last = -_GREATEST - 3
    for low, high in pairs:
        # Neighbours would be one range: equal sets have equal bytes.
        if not last + 1 < low <= high <= _GREATEST:
            raise ValueError("not ranges in order")
        last = high
    return [(low, high) for low, high in pairs]
