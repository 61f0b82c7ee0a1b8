"""Rows of some keys in JSON Lines, and the same lines with other values in some of their columns.

Everything else in a line stays as it is written, byte for byte.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import zip_longest

from totesys_dagster.catalogue.blanks import NULL
from totesys_dagster.lake.json_members import Member, members

EMPTY = '""'


@dataclass(frozen=True)
class Found:
    """A row: the number of its line, its key, and the line with its members."""

    number: int
    key: int
    text: str
    members: tuple[Member, ...]

    @property
    def values(self) -> dict[str, str]:
        """The JSON of each value, by column."""
        return _values(self.text, self.members)

    def has_any(self, values: Mapping[str, str]) -> bool:
        """Whether the row has one of these values."""
        mine = self.values
        return any(mine.get(name) == value for name, value in values.items())

    def with_values(self, values: Mapping[str, str]) -> bytes:
        """The line with other values in some columns."""
        pieces, at = [], 0
        for one in self.members:
            if one.name in values:
                pieces += [self.text[at : one.value], values[one.name]]
                at = one.end
        return "".join([*pieces, self.text[at:]]).encode(errors="surrogateescape")


def find(lines: bytes, column: str, keys: Collection[int] | None = None) -> Iterator[Found]:
    """The rows with these keys in the column, or all that have any. Raises ValueError if one of
    them cannot be read."""
    name = re.escape(json.dumps(column).encode())
    some = b"|".join(str(key).encode() for key in keys) if keys is not None else rb"-?\d+"
    may_be = re.compile(name + rb'\s*:\s*"?(?:' + some + rb")(?!\d)")
    for number, line in enumerate(lines.split(b"\n")):
        if not may_be.search(line):
            continue
        text = line.decode(errors="surrogateescape")
        found = members(text)
        if found is None:
            raise ValueError(f"line {number + 1} is not a JSON object")
        key = _key(column, text, found)
        if key is not None and (keys is None or key in keys):
            yield Found(number, key, text, tuple(found))


def _key(column: str, text: str, found: Collection[Member]) -> int | None:
    for one in found:
        if one.name == column:
            try:
                return int(text[one.value : one.end].strip('"'))
            except ValueError:
                return None
    return None


def _values(text: str, of: Iterable[Member]) -> dict[str, str]:
    return {one.name: text[one.value : one.end] for one in of}


def says_nothing(value: str | None, blank: str) -> bool:
    """Whether a value (JSON) is missing, empty, or the blank."""
    return value in (None, NULL, EMPTY, blank)


def differences(
    before: bytes, after: bytes, column: str, keys: Collection[int], blanks: Mapping[str, str]
) -> str | None:
    """How `after` differs from `before` otherwise than by blanks in the rows of these keys, as a
    phrase; None if it does not."""
    allowed = {one.number: one for one in find(before, column, keys)}
    for number, (old, new) in enumerate(zip_longest(before.split(b"\n"), after.split(b"\n"))):
        if old == new:
            continue
        row = allowed.get(number)
        if row is None or new is None:
            return f"changes line {number + 1}, which is of none of its keys"
        if new != row.with_values(_blanks_in(new, blanks)):
            return f"changes more than PII in line {number + 1}"
    return None


def _blanks_in(line: bytes, blanks: Mapping[str, str]) -> dict[str, str]:
    """The columns in which a line has a blank."""
    text = line.decode(errors="surrogateescape")
    found = _values(text, members(text) or ())
    return {name: blank for name, blank in blanks.items() if found.get(name) == blank}
