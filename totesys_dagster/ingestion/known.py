"""What the lake knows about the source."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.lake.audits import AuditLog, SourceAudit
from totesys_dagster.lake.manifest import Incarnation, Manifest, ManifestLog, StarEntry
from totesys_dagster.lake.requests import DigestRequest
from totesys_dagster.lake.store import Store


@dataclass(frozen=True)
class Known:
    """What the lake says about the source: the last batch, and the audit since then, if any."""

    head: Manifest | None
    audit: SourceAudit | None = None

    @classmethod
    def of(cls, store: Store) -> Known:
        """What the lake in `store` says. Raises LakeError."""
        head = ManifestLog(store).head()
        return cls(head, AuditLog(store).of_head(head))

    @property
    def incarnation(self) -> Incarnation | None:
        """The database that was read last."""
        newest = self.audit or self.head
        return newest.source if newest else None

    @property
    def stars(self) -> Mapping[str, StarEntry]:
        """The newest digest of each star table."""
        if self.head is None:
            return {}
        return {**self.head.stars, **(self.audit.stars if self.audit else {})}

    def answers(self, request: DigestRequest | None) -> bool:
        """Whether there are digests without exactly the keys that a request names.

        Stars that the catalogue no longer knows do not count.
        """
        stars = request.stars if request else {}
        return all(
            (entry.without.quarantined if entry.without else ()) == stars.get(star, ())
            for star, entry in self.stars.items()
            if star in STAR_TABLES
        )

    def storage(self, table: str) -> str | None:
        """The files that stored a table when it was last compared as a whole."""
        if self.head is None or table not in self.head.tables:
            return None
        carried = self.head.tables[table].storage
        return self.audit.storage.get(table, carried) if self.audit else carried

    def compared_at(self, table: str) -> dt.datetime:
        """When all keys of a table were last compared, by the source's clock."""
        assert self.head is not None
        at = self.head.tables[table].keys.observed_at
        return max(at, self.audit.observed_at) if self.audit else at
