"""A set of keys: part of a document if it has few ranges, otherwise a separate object."""

from __future__ import annotations

from collections.abc import Sequence

from totesys_dagster.errors import LakeError, ObjectConflictError
from totesys_dagster.lake import key_ranges
from totesys_dagster.lake.key_ranges import Ranges
from totesys_dagster.lake.log import Document, Many, Record
from totesys_dagster.lake.store import Store, sha256

# Up to this many ranges are part of the document, which saves writing and reading an object. Keys
# come from sequences, so a table usually has a handful of ranges.
FEW_RANGES = 32

# Bytes that are read of an object without asking how many keys it is said to hold, those of a range
# of the longest keys as it is printed, and the most of all: ten million ranges.
FEW_BYTES = 1024 * 1024
RANGE_BYTES = 80
MOST_BYTES = 800 * FEW_BYTES


class KeyObject(Document):
    """The object that holds a set of many ranges, as pairs of the first and the last key."""

    ranges: Many[tuple[int, int]]


class KeySet(Record):
    """`count` keys, as inclusive ranges.

    `sha256` is that of the ranges (`key_ranges.to_bytes`), so two sets are equal if it is. Either
    `ranges` holds them or the object `key` does.
    """

    count: int
    sha256: str
    ranges: Many[tuple[int, int]] | None = None
    key: str | None = None

    def read(self, store: Store) -> list[tuple[int, int]]:
        """The ranges. Raises LakeError if they are not what was written."""
        try:
            ranges = key_ranges.checked(self._ranges(store))
        except ValueError:
            ranges = None
        if (
            ranges is None
            or key_ranges.count(ranges) != self.count
            or hash_of(ranges) != self.sha256
        ):
            where = store.uri(self.key) if self.key else f"A key set of a manifest in {store.url}"
            raise LakeError(
                f"{where} is not the set of {self.count} keys that its manifest records: it was"
                " changed after it was written; restore it from the bucket's older versions."
            )
        return ranges

    def _ranges(self, store: Store) -> Sequence[Sequence[int]]:
        if self.ranges is not None:
            return self.ranges
        assert self.key is not None
        most = FEW_BYTES + RANGE_BYTES * self.count  # no range holds less than a key
        data = store.get(self.key, max(0, min(most, MOST_BYTES)))
        return KeyObject.from_bytes(data, store.uri(self.key)).ranges


def hash_of(ranges: Ranges) -> str:
    """The SHA-256 by which sets of keys are compared."""
    return sha256(key_ranges.to_bytes(ranges))


def key_set(table: str, ranges: Ranges) -> KeySet:
    """The set of these keys of a table, not yet written."""
    few, hash_ = len(ranges) <= FEW_RANGES, hash_of(ranges)
    return KeySet(
        count=key_ranges.count(ranges),
        sha256=hash_,
        ranges=tuple(ranges) if few else None,
        key=None if few else f"keys/{table}/{hash_[:16]}.json",
    )


def write(store: Store, keys: KeySet, ranges: Ranges) -> None:
    """Write the object of a set that has one. Raises LakeError."""
    if keys.key is None:
        return
    try:
        store.put(keys.key, KeyObject(ranges=tuple(ranges)).to_bytes())
    except ObjectConflictError:
        keys.read(store)  # another release may write the same set in other bytes
