"""What an audit requests from the next capture, and what a person allowed: objects written once.

    requests/full-read/0000000042/payment.json     read this table in full after batch 42
    requests/without/0000000003.json               digest these stars without these keys, too
    requests/accepted/0000000042/0000000180.json   load batch 42 with up to 180 rows of a table in
                                                   quarantine

Any later batch that reads the table in full, as its manifest says, fulfils a request for a full
read. A request for digests without some keys is valid until the next one: a digest of all rows
cannot equal the warehouse's while some of them are in quarantine, so the rest is digested, too. If
a batch was loaded with rows in quarantine, that is recorded, so that a rebuild loads it again
whatever the limit is by then.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from functools import partial

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.errors import LakeError, ObjectConflictError
from totesys_dagster.lake.log import TOTESYS, Document, Many
from totesys_dagster.lake.manifest import Manifest, batch_key
from totesys_dagster.lake.store import Store
from totesys_dagster.words import counted

_PREFIX = "requests"
_FULL_READ = re.compile(rf"{_PREFIX}/full-read/(\d{{10}})/(\w+)\.json")
_WITHOUT = re.compile(rf"{_PREFIX}/without/(\d{{10}})\.json")
_ACCEPTED = re.compile(rf"{_PREFIX}/accepted/(\d{{10}})/(\d{{10}})\.json")


class FullReadRequest(Document):
    """Read `table` in full in a batch after `after`; `reason` is a phrase for people."""

    log: str = TOTESYS
    table: str
    after: int
    reason: str


class DigestRequest(Document):
    """Digest these stars without the rows of these keys (in ascending order), which the warehouse
    lacks. Requests are numbered from 1; the one with the highest number counts."""

    log: str = TOTESYS
    number: int
    stars: dict[str, Many[int]]


class Acceptance(Document):
    """Batch `sequence` was loaded with these numbers of rows in quarantine, by star, at most `rows`
    of one, while `limit` was the limit of each."""

    log: str = TOTESYS
    sequence: int
    manifest_sha256: str
    rows: int
    stars: dict[str, int]
    limit: int
    accepted_at: dt.datetime


class Requests:
    """The requests in the lake, listed once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._keys = store.list(_PREFIX)

    def __str__(self) -> str:
        """A text that changes with each new request."""
        return f"{len(self._keys)} {self._keys[-1] if self._keys else 'none'}"

    def full_reads(self, head: Manifest | None) -> dict[str, str]:
        """The tables whose full read was requested and has not happened, each with the reason.

        Raises LakeError.
        """
        reasons: dict[str, str] = {}
        for key in self._keys:
            match = _FULL_READ.fullmatch(key)
            if head is None or match is None or match[2] not in SOURCE_TABLES:
                continue
            entry = head.tables.get(match[2])
            if entry is not None and entry.last_full <= int(match[1]):
                reasons[match[2]] = self.full_read(key).reason
        return reasons

    def reads(self) -> Iterator[Callable[[], object]]:
        """Functions that each read one request, and raise LakeError if it was changed."""
        for key in self._keys:
            if _FULL_READ.fullmatch(key):
                yield partial(self.full_read, key)
            elif _WITHOUT.fullmatch(key):
                yield partial(self._without_keys, key)
            elif _ACCEPTED.fullmatch(key):
                yield partial(_acceptance, self._store, key)

    def full_read(self, key: str) -> FullReadRequest:
        """A request as written. Raises LakeError if it is not what its key says."""
        request = FullReadRequest.from_bytes(self._store.get(key), self._store.uri(key))
        if key != full_read_key(request.table, request.after):
            asks = f"asks for {request.table} after batch {request.after}"
            raise self._moved(key, asks)
        return request

    def without(self) -> DigestRequest | None:
        """The newest request for digests without some keys; None if there never was one.

        Raises LakeError.
        """
        keys = self._without()
        return self._without_keys(keys[-1]) if keys else None

    def _without_keys(self, key: str) -> DigestRequest:
        request = DigestRequest.from_bytes(self._store.get(key), self._store.uri(key))
        if key != _without_key(request.number):
            raise self._moved(key, f"says that it is number {request.number}")
        return request

    def _moved(self, key: str, says: str) -> LakeError:
        return LakeError(
            f"{self._store.uri(key)} {says}: it was moved; restore it from the bucket's older"
            " versions."
        )

    def put_without(self, stars: Mapping[str, tuple[int, ...]]) -> None:
        """Request digests without these keys from now on. Raises LakeError.

        If another process does so at the same moment, its request counts, and is compared next.
        """
        keys = self._without()
        match = _WITHOUT.fullmatch(keys[-1]) if keys else None
        number = int(match[1]) + 1 if match else 1
        with suppress(ObjectConflictError):
            request = DigestRequest(number=number, stars=dict(stars))
            self._store.put(_without_key(number), request.to_bytes())

    def _without(self) -> list[str]:
        return [key for key in self._keys if _WITHOUT.fullmatch(key)]


def _without_key(number: int) -> str:
    return f"{_PREFIX}/without/{number:010d}.json"


def full_read_key(table: str, after: int) -> str:
    """The key of the request to read `table` in full after batch `after`."""
    return f"{_PREFIX}/full-read/{after:010d}/{table}.json"


def put_full_read(store: Store, table: str, after: int, reason: str) -> None:
    """Request a full read of a table, once: the first reason counts. Raises LakeError."""
    with suppress(ObjectConflictError):
        request = FullReadRequest(table=table, after=after, reason=reason)
        store.put(full_read_key(table, after), request.to_bytes())


def accepted_rows(store: Store, manifest: Manifest) -> int:
    """The most rows of a table in quarantine with which the batch was loaded before; 0 if it had
    none, or was never loaded. Raises LakeError."""
    keys = store.list(_accepted_folder(manifest))
    found = (_acceptance(store, key) for key in reversed(keys) if _ACCEPTED.fullmatch(key))
    return next((one.rows for one in found if one.manifest_sha256 == manifest.sha256), 0)


def accept(store: Store, manifest: Manifest, stars: Mapping[str, int], limit: int) -> None:
    """Record that the batch is loaded with these numbers of rows in quarantine, by star.

    Raises LakeError.
    """
    most = max(stars.values())
    acceptance = Acceptance(
        sequence=manifest.sequence,
        manifest_sha256=manifest.sha256,
        rows=most,
        stars=dict(stars),
        limit=limit,
        accepted_at=dt.datetime.now(dt.UTC),
    )
    with suppress(ObjectConflictError):
        store.put(f"{_accepted_folder(manifest)}/{most:010d}.json", acceptance.to_bytes())


def _accepted_folder(manifest: Manifest) -> str:
    return f"{_PREFIX}/accepted/{manifest.batch}"


def _acceptance(store: Store, key: str) -> Acceptance:
    found = Acceptance.from_bytes(store.get(key), store.uri(key))
    if key != f"{_PREFIX}/accepted/{batch_key(found.sequence)}/{found.rows:010d}.json":
        raise LakeError(
            f"{store.uri(key)} is of batch {found.sequence} and {counted(found.rows, 'row')}: it"
            " was moved; restore it from the bucket's older versions."
        )
    return found
