"""Loads batches into the warehouse that a rebuild makes, and proves each of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from totesys_dagster.catalogue import StarTable
from totesys_dagster.feeds.load import load_all
from totesys_dagster.feeds.registry import FEEDS
from totesys_dagster.lake.audits import AuditLog
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.receipt import touched_stars
from totesys_dagster.lake.store import Store
from totesys_dagster.operations import proof
from totesys_dagster.operations.proof import Chain, Digests
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.warehouse import audit, ledger, load


@dataclass
class Filling:
    """Loads batches into a warehouse or one beside it. `loaded` are the batches that the warehouse
    of `names` had at the start, each with the hash of its manifest."""

    connection: Connection
    names: Names
    log: ManifestLog
    processed: Store
    quarantine_limit: int
    progress: Callable[[int, int], None]
    loaded: dict[int, str]
    digests: Digests = field(default_factory=Digests)
    chain: Chain = field(init=False)

    def __post_init__(self) -> None:
        self.chain = Chain(self.log, self.loaded)

    def fill(self, target: Names, only: Sequence[StarTable] | None) -> None:
        """Load what the target lacks: all batches, or for some tables only, the batches that the
        warehouse has. Raises LoadError, LakeError or ProcessingError."""
        last = self.log.head()
        end = last.sequence if last else 0
        if only is not None:
            end = min(end, ledger.head(self.connection, self.names))
        self.digests.expect(self.log.store, self.log.read(end) if end else None)
        needed = None if only is None else with_dimensions(only)
        if last is not None:
            self.log.check_marker(last)  # no later one names its hash
        for manifest in self.log.after(ledger.head(self.connection, target)):
            if manifest.sequence > end:
                break
            self.chain.follow(manifest)
            self._load(target, manifest, needed)
            self.digests.compare(self.connection, target, manifest.sequence, needed)
            self.progress(manifest.sequence, last.sequence if last else 0)
        newest = AuditLog(self.log.store).of_head(last)
        if newest is not None and only is None:
            with ledger.exclusive(self.connection, target):
                audit.audit_source(self.connection, target, newest)
        for feed in FEEDS if only is None else ():
            known = ledger.deliveries(self.connection, self.names, feed.name)
            proof.process_feed(feed, self.log.store, self.processed, known)
            for _ in load_all(self.connection, target, feed, self.log.store, self.processed):
                pass

    def _load(self, target: Names, manifest: Manifest, needed: set[str] | None) -> None:
        ingestion = self.log.store
        stars = [s for s in touched_stars(manifest) if needed is None or s.name in needed]
        number = manifest.sequence
        loaded = ledger.receipts(self.connection, self.names, number, number) if self.loaded else {}
        proof.process(stars, manifest, ingestion, self.processed, loaded.get(number, {}))
        load.load_batch(
            self.connection,
            target,
            manifest,
            ingestion,
            self.processed,
            quarantine_limit=self.quarantine_limit,
            only=needed,
        )


def with_dimensions(stars: Sequence[StarTable]) -> set[str]:
    """The names of the tables and of those that they refer to."""
    return {s.name for s in stars} | {to for s in stars for _, to in s.references}
