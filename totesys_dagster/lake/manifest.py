"""The manifest of a batch and the log that manifests form.

A batch exists when its manifest exists: the manifest is written last, put-if-absent, under the
next sequence number. Each one names the SHA-256 of the one before, so the log is a hash chain.
Readers start from manifests and follow the names in them; they never list objects.

Beside each manifest lies its seal, which names its hash. The chain tells of every manifest but the
last: with that one removed, the log would only look shorter, and the next capture would give its
number to another batch. The seal tells that the number was taken.
"""

from __future__ import annotations

import bisect
import contextlib
import datetime as dt
import json
from collections.abc import Iterator
from typing import Literal

from pydantic import BaseModel, ConfigDict, PrivateAttr, ValidationError

from totesys_dagster.errors import (
    CommitConflictError,
    LakeError,
    ObjectConflictError,
    ObjectMissingError,
)
from totesys_dagster.lake import key_ranges
from totesys_dagster.lake.parts import ObjectEntry
from totesys_dagster.lake.store import Store, sha256

FORMAT = 1

# Where each log ended when this process last looked. Logs only grow, so the next look, which is
# that of another log object, starts there: with 10,000 batches that is 4 requests instead of 30.
_ends: dict[str, int] = {}


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Incarnation(_Record):
    """Which database was read. Transaction ids of different incarnations cannot be compared."""

    system_identifier: str
    timeline: int
    database: str
    database_oid: int
    server_version: int


class Snapshot(_Record):
    """The snapshot that a batch was read in. `xmin` is the watermark of the next batch.

    Exactly the transactions before `xmax` that were not `running` are in it, so the record tells
    of any transaction whether the batch could see it.
    """

    xmin: int
    xmax: int
    running: tuple[int, ...]

    def covers(self, other: Snapshot) -> bool:
        """Whether every transaction that `other` could see is in this snapshot too."""
        return self.xmax >= other.xmax and all(
            xid >= other.xmax or xid in other.running for xid in self.running
        )


class KeySet(_Record):
    """The keys that a table held in batch `sequence`, as an object of inclusive ranges.

    `deletions` is how many the source had counted by then (None in older manifests).
    """

    key: str
    sha256: str
    count: int
    sequence: int
    observed_at: dt.datetime
    deletions: int | None = None

    def read(self, store: Store) -> list[tuple[int, int]]:
        """The ranges. Raises LakeError when they are not what was written."""
        data = store.get(self.key)
        if sha256(data) != self.sha256:
            raise LakeError(
                f"{store.uri(self.key)} does not have the SHA-256 that its manifest records: it"
                " was changed after it was written; restore it from the bucket's older versions."
            )
        try:
            ranges = key_ranges.from_bytes(data)
        except ValueError:
            ranges = None
        if ranges is None or key_ranges.count(ranges) != self.count:
            raise LakeError(
                f"{store.uri(self.key)} is not the set of {self.count} keys that its manifest"
                " records, though its SHA-256 is right: it was not written by a capture; restore"
                " the lake from the bucket's older versions."
            )
        return ranges


class RecentRows(_Record):
    """The row versions that the next batch will meet again: those at or after its watermark."""

    rows: int
    digest: str


class TableEntry(_Record):
    """A source table in a batch. The last five fields are carried on when it is not read.

    `read` says which rows the objects hold: `full` all rows of the table, `delta` the changed ones,
    `none` nothing; rows that a changed row is joined with come on top of a delta. `changed` is
    false when the objects hold joined rows only. `deleted` are objects of the keys that are gone;
    when `reconcile` is set they are not listed, and every key that is not in `keys` is gone.
    `inserted` is None when the keys were not read.
    """

    read: Literal["full", "delta", "none"]
    changed: bool
    rows: int
    objects: tuple[ObjectEntry, ...]
    deleted: tuple[ObjectEntry, ...]
    reconcile: bool
    inserted: int | None
    schema_sha256: str
    last_full: int
    last_changed: int
    keys: KeySet
    recent: RecentRows

    @property
    def deleted_rows(self) -> int:
        return sum(entry.rows for entry in self.deleted)


# The ways in which a digest is made, see `digest.py`.
DigestVersion = Literal[1, 2, 3, 4]


class StarDigest(_Record):
    """What the current rows of a star table must equal: their count and digest in the source.

    `sequence` is the batch in whose snapshot they were taken. `version` says how the digest is made
    (`digest.py`); manifests were once written without the field, when there was only the first.
    """

    rows: int
    digest: str
    sequence: int
    version: DigestVersion = 1


class Manifest(_Record):
    """A batch: what was read, in which snapshot, and where it is. `observed_at` is in UTC.

    `unknown_tables` are the source's tables that were left out because the catalogue does not know
    them. Manifests were once written without the field, and are where there is nothing to say.
    """

    format: Literal[1] = 1
    sequence: int
    batch: str
    run_id: str
    previous_sha256: str | None
    observed_at: dt.datetime
    source: Incarnation
    snapshot: Snapshot
    tables: dict[str, TableEntry]
    stars: dict[str, StarDigest]
    unknown_tables: tuple[str, ...] = ()

    _sha256: str = PrivateAttr(default="")

    @property
    def sha256(self) -> str:
        """The SHA-256 of the stored manifest."""
        return self._sha256

    def to_bytes(self) -> bytes:
        nothing = set() if self.unknown_tables else {"unknown_tables"}
        return (json.dumps(self.model_dump(mode="json", exclude=nothing), indent=1) + "\n").encode()

    @classmethod
    def from_bytes(cls, data: bytes, where: str) -> Manifest:
        """Read a manifest. Raises LakeError when it is none or of an unknown format."""
        try:
            manifest = cls.model_validate_json(data)
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(step) for step in first["loc"]) or "its JSON"
            raise LakeError(
                f"{where} is not a manifest of format {FORMAT} ({field}: {first['msg']}): it was"
                " damaged, or written by a newer version of totesys_dagster; restore it or upgrade."
            ) from None
        manifest._sha256 = sha256(data)
        return manifest


class ManifestLog:
    """The committed batches, numbered from 1 without gaps."""

    def __init__(self, store: Store) -> None:
        self.store = store
        self._read: dict[int, Manifest] = {}  # manifests never change
        self._seen = 0

    @staticmethod
    def key(sequence: int) -> str:
        return f"manifests/{sequence:010d}.json"

    @staticmethod
    def seal_key(sequence: int) -> str:
        return f"seals/{sequence:010d}.json"

    def read(self, sequence: int) -> Manifest:
        """The manifest of that number. Raises ObjectMissingError or LakeError."""
        if sequence not in self._read:
            self._read[sequence] = self._fetch(sequence)
        return self._read[sequence]

    def _fetch(self, sequence: int) -> Manifest:
        key = self.key(sequence)
        manifest = Manifest.from_bytes(self.store.get(key), self.store.uri(key))
        if manifest.sequence != sequence:
            raise LakeError(
                f"{self.store.uri(key)} says that it is batch {manifest.sequence}: it was"
                " moved; restore the log from the bucket's older versions."
            )
        return manifest

    def head(self) -> Manifest | None:
        """The last committed batch, None when there is none.

        Raises LakeError, also when the log ends early because a manifest was removed.
        """
        end = self._end(self._seen or self._end_seen_before())
        self._require_end(end)
        self._seen = _ends[self.store.url] = end
        return self.read(end) if end else None

    def _end_seen_before(self) -> int:
        """Where this process last saw the log end, 0 when there is no such batch any more.

        It was removed then, or another lake is at that place now.
        """
        end = _ends.get(self.store.url, 0)
        return end if end and self.store.exists(self.key(end)) else 0

    def _end(self, start: int) -> int:
        """The number of the last batch, looked for from number `start` on, which exists."""
        step = 1
        while self.store.exists(self.key(start + step)):
            start += step
            step *= 2
        # The last one lies before start + step: numbers have no gaps, so halve the distance.
        return start + bisect.bisect_left(
            range(1, step), True, key=lambda n: not self.store.exists(self.key(start + n))
        )

    def _require_end(self, sequence: int) -> None:
        after = sequence + 1
        # The manifest is looked for once more: it may have been committed since.
        if self.store.exists(self.seal_key(after)) and not self.store.exists(self.key(after)):
            raise LakeError(
                f"{self.store.uri(self.key(after))} does not exist, but was written, as"
                f" {self.seal_key(after)} tells: it was removed; restore it from the bucket's older"
                " versions, for no other batch can take its number."
            )

    def seal(self, manifest: Manifest) -> None:
        """Note the manifest's hash, once. Raises LakeError when another one is noted."""
        names = {"batch": manifest.batch, "manifest_sha256": manifest.sha256}
        data = (json.dumps({"sequence": manifest.sequence, **names}, indent=1) + "\n").encode()
        try:
            self.store.put(self.seal_key(manifest.sequence), data)
        except ObjectConflictError:
            raise LakeError(
                f"{self.store.uri(self.key(manifest.sequence))} is not what was committed, as"
                f" {self.seal_key(manifest.sequence)} tells: one of the two was changed after it"
                " was written; restore it from the bucket's older versions."
            ) from None

    def find(self, batch: str) -> Manifest:
        """The manifest of a batch by its key, or ObjectMissingError when it is not committed."""
        head = self.head()
        if head is not None and batch == head.batch:
            return head
        if head is not None and batch < head.batch:
            manifest = self.read(self._first_from(batch, head.sequence))
            if manifest.batch == batch:
                return manifest
        raise ObjectMissingError(
            f"Batch {batch} is not in the lake at {self.store.url}: it was never committed, or"
            f" {self.store.setting} points to another lake."
        )

    def _first_from(self, batch: str, last: int) -> int:
        """The number of the first batch whose key is not before `batch`; `last` is one of those.

        Keys grow with numbers, as a capture takes no other key. The search goes back from the end,
        since it is nearly always one of the newest that is asked for.
        """
        step = 1
        while last - step > 0 and self.read(last - step).batch >= batch:
            last -= step
            step *= 2
        first = max(last - step, 0) + 1
        return first + bisect.bisect_left(
            range(first, last), batch, key=lambda n: self.read(n).batch
        )

    def after(self, sequence: int) -> Iterator[Manifest]:
        """The committed batches after number `sequence`, in order.

        None is kept: ten thousand would take half a gigabyte.
        """
        head = self.head()
        for number in range(sequence + 1, head.sequence + 1 if head else 0):
            yield self._read.get(number) or self._fetch(number)

    def commit(self, manifest: Manifest) -> Manifest:
        """Append a batch. Raises CommitConflictError when another batch took its number."""
        data = manifest.to_bytes()
        try:
            self.store.put(self.key(manifest.sequence), data)
        except ObjectConflictError:
            raise CommitConflictError(
                f"Batch {manifest.batch} was not committed because another capture took number"
                f" {manifest.sequence} first: nothing is lost, the next capture goes on from there."
            ) from None
        committed = self.read(manifest.sequence)
        # The batch is committed whether or not its seal can be written: the next capture seals it.
        with contextlib.suppress(LakeError):
            self.seal(committed)
        return committed


__all__ = [
    "Incarnation",
    "KeySet",
    "Manifest",
    "ManifestLog",
    "ObjectMissingError",
    "RecentRows",
    "Snapshot",
    "StarDigest",
    "TableEntry",
]
