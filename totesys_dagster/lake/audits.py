"""Audit objects: digests of the source at a moment when no batch was due.

A manifest contains digests of the source in the snapshot of its batch. If nothing changes for an
hour, there is no batch, but the source is digested anyway, to find rows that changed without a
transaction id, and a warehouse that was changed by hand. The result is compared with the warehouse
while its last batch is `head`.
"""

from __future__ import annotations

import datetime as dt

from totesys_dagster.errors import CommitConflictError, ObjectConflictError
from totesys_dagster.lake.log import Entry, Log, Record
from totesys_dagster.lake.manifest import Incarnation, Manifest, Snapshot, StarEntry


class Head(Record):
    """The last batch at the time."""

    sequence: int
    manifest_sha256: str


class SourceAudit(Entry):
    """The digests of all rows of the source, which had no change that `head` lacks.

    `storage` is that of each source table (see `TableEntry`), so that a merely rewritten table is
    not digested again.
    """

    run_id: str
    head: Head
    observed_at: dt.datetime
    source: Incarnation
    snapshot: Snapshot
    storage: dict[str, str]
    stars: dict[str, StarEntry]


class AuditLog(Log[SourceAudit]):
    """The audit objects, numbered from 1 without gaps."""

    folder, kind = "audits", SourceAudit

    def of_head(self, head: Manifest | None) -> SourceAudit | None:
        """The newest one, if it was taken after batch `head` and no batch came since."""
        last = self.head() if head is not None else None
        if last is None or head is None or last.head.manifest_sha256 != head.sha256:
            return None
        return last

    def write(self, audit: SourceAudit) -> SourceAudit:
        """Append one. Raises CommitConflictError if another process did so first."""
        try:
            return self.append(audit)
        except ObjectConflictError:
            raise CommitConflictError(
                f"Audit {audit.sequence} of the source was not written because another process"
                " wrote that number first: nothing is lost, its result counts."
            ) from None
