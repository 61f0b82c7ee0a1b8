"""What an audit asks of the next capture, as objects that are written once.

    requests/full-read/0000000042/payment.json     read this table in full after batch 42
    requests/leave-out/0000000042-0000000007.json  digest these stars without these keys, too

A request for a full read is answered by any later batch that did so, which its manifest says. A
request to leave keys out holds until there is a later one: a digest of all rows cannot equal the
warehouse's while some of them are kept out of it, so the rest is digested beside it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.lake.log import TOTESYS, Document
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.store import Store

_PREFIX = "requests"
_FULL_READ = re.compile(rf"{_PREFIX}/full-read/(\d+)/(\w+)\.json")
_LEAVE_OUT = re.compile(rf"{_PREFIX}/leave-out/\d+-\d+\.json")


class FullRead(Document):
    """Read `table` in full in a batch after number `after`."""

    log: str = TOTESYS
    table: str
    after: int


class LeaveOut(Document):
    """Digest these stars without the rows of these keys, which the warehouse of batch `after`
    keeps out."""

    log: str = TOTESYS
    after: int
    audit: int
    stars: dict[str, tuple[int, ...]]


class Requests:
    """The requests in the lake, listed once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys = store.list(_PREFIX)

    def __str__(self) -> str:
        """A text that changes when there is another request."""
        return f"{len(self._keys)} {self._keys[-1] if self._keys else 'none'}"

    def full_reads(self, head: Manifest | None) -> Collection[str]:
        """The tables whose full read was asked for and has not happened."""
        if head is None:
            return set()
        found = (_FULL_READ.fullmatch(key) for key in self._keys)
        return {
            match[2]
            for match in found
            if match
            and match[2] in SOURCE_TABLES
            and (entry := head.tables.get(match[2])) is not None
            and entry.last_full <= int(match[1])
        }

    def leave_out(self) -> LeaveOut | None:
        """The newest request to leave keys out, None when there never was one. Raises LakeError."""
        keys = [key for key in self._keys if _LEAVE_OUT.fullmatch(key)]
        if not keys:
            return None
        return LeaveOut.from_bytes(self._store.get(keys[-1]), self._store.uri(keys[-1]))


def put_full_read(store: Store, table: str, after: int) -> None:
    """Ask for a full read of a table. Raises LakeError."""
    request = FullRead(table=table, after=after)
    store.put(f"{_PREFIX}/full-read/{after:010d}/{table}.json", request.to_bytes())


def put_leave_out(
    store: Store, stars: Mapping[str, tuple[int, ...]], after: int, audit: int
) -> None:
    """Ask for digests without these keys, which are in ascending order. Raises LakeError.

    `audit` is the number of the audit object that found the tables different, 0 for the batch's
    own digests.
    """
    request = LeaveOut(after=after, audit=audit, stars=dict(stars))
    store.put(f"{_PREFIX}/leave-out/{after:010d}-{audit:010d}.json", request.to_bytes())
