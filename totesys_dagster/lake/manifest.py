"""The manifest of a batch, and the log that manifests form.

A batch exists once its manifest exists: the manifest is written last, put-if-absent, under the next
number. Readers start from manifests and follow the names in them; they never list objects.

Each manifest has a commit marker with its hash. The hash chain protects every manifest except the
newest: without it, the log would merely look shorter, and the next capture would give its sequence
to another batch. The marker shows that the sequence is taken.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import re
from typing import Literal

from totesys_dagster.errors import (
    CommitConflictError,
    LakeError,
    ObjectConflictError,
    ObjectMissingError,
)
from totesys_dagster.lake.key_sets import KeySet
from totesys_dagster.lake.log import Document, Entry, Log, Many, Record, start_anew
from totesys_dagster.lake.objects import ObjectEntry

BATCH_KEY = re.compile(r"\d{10}")


def batch_key(sequence: int) -> str:
    """The key of batch `sequence`: its digits, so it depends on no clock."""
    return f"{sequence:010d}"


class Incarnation(Record):
    """Which database was read. Transaction ids of different incarnations cannot be compared.

    `system_identifier` and `timeline` are None if the source's role may not query them; a replica
    may report an earlier timeline. `servers` are the servers that were compared with the lake as a
    whole in this history, each by its start and the last reset of its statistics, which a recovery
    from a crash causes. The last one is the server that was read.
    """

    database: str
    database_oid: int
    server_version: int
    system_identifier: str | None = None
    timeline: int | None = None
    servers: Many[str] = ()


class Snapshot(Record):
    """The snapshot that a batch was read in. `xmin` is the watermark of the next batch.

    It contains exactly the transactions before `xmax` that were not `running`, so the record shows
    for any transaction whether the batch could see it. A replica does not list running ones. `lsn`
    is the position of the server's write-ahead log, `replica` whether it was in recovery.
    """

    xmin: int
    xmax: int
    running: Many[int]
    lsn: str | None = None
    replica: bool = False

    def covers(self, other: Snapshot) -> bool:
        """Whether every transaction that `other` could see is in this snapshot too.

        A replica does not list running transactions, so all from `xmin` on may be running. Then
        this cannot be certain: see `lsn`.
        """
        if self.xmax < other.xmax:
            return False
        if other.replica:
            return self.xmin >= other.xmin
        if self.replica:  # the oldest that runs there ran when a primary listed all of them
            return self.xmin >= other.xmax or self.xmin in other.running
        return all(xid >= other.xmax or xid in other.running for xid in self.running)


class KnownKeys(KeySet):
    """The keys of a table in batch `sequence`, whose snapshot was taken at `observed_at`.

    `deletions` is how many deletions the source had counted by then.
    """

    sequence: int
    observed_at: dt.datetime
    deletions: int


class RecentRows(Record):
    """The row versions that the next batch will see again: those at or after its watermark."""

    rows: int
    digest: str


class TableEntry(Record):
    """A source table in a batch.

    `read` says which rows the objects contain: `full` all rows of the table, `delta` the changed
    ones and those that they are joined with, `none` nothing. `reason` says why a table was read in
    full. `changed` is false if the objects contain only joined rows. `deleted_keys` are the keys
    that the source no longer has, if any; if `reconcile` is set, they are not listed, and every key
    that is not in `keys` was deleted. `inserted` is None if the keys were not read.

    `schema_sha256` names the entry of the schema registry, `storage` the files that store the rows.
    All fields from there on are carried from batch to batch until they change.
    """

    read: Literal["full", "delta", "none"]
    reason: str
    changed: bool
    rows: int
    objects: Many[ObjectEntry]
    reconcile: bool
    deleted_keys: KeySet | None = None
    inserted: int | None = None
    schema_sha256: str
    storage: str
    last_full: int
    last_changed: int
    keys: KnownKeys
    recent: RecentRows

    @property
    def deleted(self) -> int:
        """How many keys are listed as deleted."""
        return self.deleted_keys.count if self.deleted_keys else 0


# How rows are hashed, see `digest.py`.
DigestMethod = Literal["postgres-1", "md5-1"]


class Digest(Record):
    """Count and digest of rows of a star table, over the columns named, in this order."""

    method: DigestMethod
    columns: Many[str]
    rows: int
    digest: str


class WholeDigest(Digest):
    """The digest of all rows of the source, in the snapshot of batch `sequence` or, if nothing has
    changed since, in a later one, taken at `observed_at`."""

    sequence: int
    observed_at: dt.datetime


class PartialDigest(Digest):
    """The digest of all rows except those with the keys `quarantined`, as requested."""

    quarantined: Many[int]


class StarEntry(Record):
    """What the current rows of a star table must equal.

    `whole` is carried from batch to batch until it is taken again. `touched` is of the rows that
    this batch holds, for a table that is too large to be digested as a whole in each batch.
    `without` is of the snapshot of `whole`.
    """

    whole: WholeDigest
    touched: Digest | None = None
    without: PartialDigest | None = None


class Commit(Entry):
    """What a log commits: read at `observed_at`, in UTC, by the run `run_id`."""

    run_id: str
    observed_at: dt.datetime

    @property
    def batch(self) -> str:
        """The batch's key, by which Dagster knows it as a partition."""
        return batch_key(self.sequence)


class Manifest(Commit):
    """A batch: what was read, in which snapshot, and where it is.

    `references` names the lists that apply to its rows, by hash: see `lake/references.py`.
    `unknown_tables` are the source's tables that were left out because the catalogue does not know
    them.
    """

    source: Incarnation
    snapshot: Snapshot
    tables: dict[str, TableEntry]
    stars: dict[str, StarEntry]
    references: dict[str, str]
    unknown_tables: Many[str] = ()

    @property
    def bytes(self) -> int:
        """The size of its part files in the ingestion zone."""
        return sum(one.bytes for table in self.tables.values() for one in table.objects)


def broken_link(before: Manifest | None, manifest: Manifest) -> str | None:
    """The finding if a manifest does not name the hash of the previous one, otherwise None."""
    if manifest.previous_sha256 == (before.sha256 if before else None):
        return None
    return (
        f"Batch {manifest.sequence} ({manifest.batch}) does not follow from the batch before it:"
        " one of the two manifests was changed after it was written."
    )


class CommitMarker(Document):
    """What was committed under a sequence."""

    log: str
    sequence: int
    manifest_sha256: str


class ManifestLog(Log[Manifest]):
    """The committed batches, numbered from 1 without gaps."""

    folder, kind = "manifests", Manifest

    def marker_key(self, sequence: int) -> str:
        return f"commits/{self.name}/{sequence:010d}.json"

    def end(self) -> int:
        """The sequence of the last batch; 0 if there is none.

        Raises LakeError, also if the log ends early because a manifest was removed, or if the zone
        contains a lake of an earlier form.
        """
        end = super().end()
        self._require_end(end)
        return end

    def _require_end(self, sequence: int) -> None:
        after = sequence + 1
        # Check for the manifest again: it may have been committed since.
        if self.store.exists(self.marker_key(after)) and not self.store.exists(self.key(after)):
            raise LakeError(
                f"{self.store.uri(self.key(after))} does not exist, but was written, as"
                f" {self.marker_key(after)} tells: it was removed; restore it from the bucket's"
                " older versions, for no other batch can take its sequence."
            )
        if sequence:
            return
        # A bucket that does not exist has no manifest either.
        self.store.check()
        if self.store.exists(f"{self.folder}/{1:010d}.json"):
            raise LakeError(start_anew(f"The lake at {self.store.url}", 1))

    def deleted(self, manifest: Manifest, table: str) -> int:
        """How many keys of a table a batch found missing in the source, listed or not.

        0 if there are no keys to compare with. Rows that came and went between two reads of a large
        table's keys do not count. Raises LakeError.
        """
        entry = manifest.tables.get(table)
        if entry is None:  # of a table that was declared later
            return 0
        if not entry.reconcile or entry.inserted is None or manifest.sequence == 1:
            return entry.deleted
        before = self.read(manifest.sequence - 1).tables.get(table)
        return before.keys.count + entry.inserted - entry.keys.count if before else 0

    def put_marker(self, manifest: Manifest) -> None:
        """Record the manifest's hash, once. Raises LakeError if another one is recorded."""
        marker = CommitMarker(
            log=self.name, sequence=manifest.sequence, manifest_sha256=manifest.sha256
        )
        try:
            self.store.put(self.marker_key(manifest.sequence), marker.to_bytes())
        except ObjectConflictError:
            raise self._other_commit(manifest) from None

    def check_marker(self, manifest: Manifest) -> None:
        """Raise LakeError unless the manifest's marker, if it has one, records its hash."""
        key = self.marker_key(manifest.sequence)
        try:
            marker = CommitMarker.from_bytes(self.store.get(key), self.store.uri(key))
        except ObjectMissingError:
            return  # the next capture writes it
        if marker.manifest_sha256 != manifest.sha256:
            raise self._other_commit(manifest)

    def _other_commit(self, manifest: Manifest) -> LakeError:
        return LakeError(
            f"{self.store.uri(self.key(manifest.sequence))} is not what was committed, as"
            f" {self.marker_key(manifest.sequence)} tells: one of the two was changed after it was"
            " written; restore it from the bucket's older versions."
        )

    def holds(self, batch: str) -> bool:
        """Whether the key is that of a committed batch."""
        return bool(BATCH_KEY.fullmatch(batch)) and 0 < int(batch) <= self.end()

    def find(self, batch: str) -> Manifest:
        """The manifest of a batch by its key. Raises ObjectMissingError if it is not committed."""
        if self.holds(batch):
            return self.read(int(batch))
        raise ObjectMissingError(
            f"Batch {batch} is not in the lake at {self.store.url}: it was never committed, or"
            f" {self.store.setting} points to another lake."
        )

    def commit(self, manifest: Manifest) -> Manifest:
        """Append a batch. Raises CommitConflictError if another batch took its sequence."""
        try:
            committed = self.append(manifest)
        except ObjectConflictError:
            raise CommitConflictError(
                f"Batch {manifest.batch} was not committed because another capture took sequence"
                f" {manifest.sequence} first: nothing is lost, the next capture goes on from there."
            ) from None
        # The batch is committed, its marker written or not: the next capture writes it.
        with contextlib.suppress(LakeError):
            self.put_marker(committed)
        return committed
