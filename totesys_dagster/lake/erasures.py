"""The log of erasures: objects with PII erased on request, and what replaces them.

    erasures/totesys/0000000001.json

Manifests never change, so they go on naming the object that was removed. Readers look its entry up
here and read the replacement: the same rows, with the PII of some keys blanked. A
replacement can itself be replaced by a later erasure.
"""

from __future__ import annotations

import datetime as dt
import re
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.errors import CommitConflictError, LakeError, ObjectConflictError
from totesys_dagster.lake.log import Entry, Log, Many, Record
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.store import Store

# Seconds for which a process trusts what it has read of the log.
FRESH_SECONDS = 5.0

_PART = re.compile(r"(rows/\w+/batch=(\d{10})/part-\d{5})-[0-9a-f]{8}\.jsonl\.zst")


class Erased(Record):
    """An object that was removed, and its replacement."""

    removed: ObjectEntry
    replacement: ObjectEntry

    @property
    def sequence(self) -> int:
        """The batch that the object belongs to. Raises ValueError if its key is not a part's."""
        found = _PART.fullmatch(self.removed.key)
        if found is None:
            raise ValueError(self.removed.key)
        return int(found[2])

    @property
    def is_sound(self) -> bool:
        """Whether the replacement can be one: a part of the same batch with as many rows."""
        before = _PART.fullmatch(self.removed.key)
        after = _PART.fullmatch(self.replacement.key)
        return (
            before is not None
            and after is not None
            and before[1] == after[1]
            and self.replacement.key.endswith(f"-{self.replacement.sha256[:8]}.jsonl.zst")
            and self.removed.rows == self.replacement.rows
        )


class Erasure(Entry):
    """What was erased: the values in `columns` (each with the JSON that stands in its place) of the
    rows of `table` with these `keys`.

    `superseded_by` is the first batch after which none of these values was current: the source's
    digests of earlier ones include them.
    """

    erased_at: dt.datetime
    table: str
    keys: Many[int]
    columns: dict[str, str]
    superseded_by: int
    objects: Many[Erased]


class ErasureLog(Log[Erasure]):
    """The erasures, numbered from 1 without gaps."""

    folder, kind = "erasures", Erasure

    def write(self, erasure: Erasure) -> Erasure:
        """Append one. Raises CommitConflictError if another process did so first."""
        try:
            return self.append(erasure)
        except ObjectConflictError:
            raise CommitConflictError(
                f"Erasure {erasure.sequence} was not recorded because another process recorded one"
                " first: nothing was erased; run the command again."
            ) from None


@dataclass
class Erasures:
    """The erasures of a lake, in order."""

    records: list[Erasure] = field(default_factory=list)
    _by_key: dict[str, Erased] = field(default_factory=dict)

    def add(self, records: Iterable[Erasure]) -> None:
        for record in records:
            self.records.append(record)
            self._by_key.update((one.removed.key, one) for one in record.objects)

    def of(self, table: str) -> list[Erasure]:
        """The erasures in a table."""
        return [record for record in self.records if record.table == table]

    def removed(self, table: str) -> Iterator[Erased]:
        """All that was replaced in a table."""
        for record in self.of(table):
            yield from record.objects

    def not_comparable(self, sequence: int) -> set[str]:
        """The stars that had erased values as of that batch, so the source's digests of it are of
        other rows than a rebuild gives."""
        return {
            star.name
            for record in self.records
            if sequence < record.superseded_by
            for star in STAR_TABLES.values()
            if not star.takes(record.table).isdisjoint(record.columns)
        }

    def current(self, entry: ObjectEntry) -> ObjectEntry:
        """What is to be read for an object that a manifest names. Raises LakeError if replacements
        go in a circle."""
        for _ in range(len(self._by_key) + 1):
            found = self._by_key.get(entry.key)
            if found is None or found.removed != entry:
                return entry
            entry = found.replacement
        raise LakeError(
            f"The log of erasures replaces {entry.key} by itself: it was changed after it was"
            " written; restore it from the bucket's older versions."
        )


# What this process has read of each lake's log, and when.
_known: dict[str, tuple[float, Erasures]] = {}


def erasures(store: Store, *, now: bool = False) -> Erasures:
    """The erasures of a lake, as of a few seconds ago or, with `now`, of this moment.

    Raises LakeError.
    """
    read_at, known = _known.get(store.url, (-FRESH_SECONDS, Erasures()))
    if not now and time.monotonic() - read_at < FRESH_SECONDS:
        return known
    log = ErasureLog(store)
    before = known.records if log.end() >= len(known.records) else []  # another lake is there
    newest = Erasures()  # another thread may be reading the known ones
    newest.add([*before, *log.after(len(before))])
    _known[store.url] = time.monotonic(), newest
    return newest
