"""What must be proved about a rebuilt warehouse before its rows replace others.

There are two independent proofs:

* **Its origin.** Each manifest names the hash of the previous one and is the one in the ledger, and
  so is each receipt. A receipt that is not in the ledger is processed again from the rows of its
  batch, which must give the same result.
* **Its content.** The newest digest of the source over a table's present columns equals the digest
  of the rebuilt rows as of the same batch. Keys in quarantine are named, not compared.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

from totesys_dagster.catalogue import STAR_TABLES, Kind, StarTable, revision
from totesys_dagster.errors import LakeError, LoadError, NotProvedError, OtherLakeError
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.feeds.process import process_again
from totesys_dagster.feeds.receive import log_of
from totesys_dagster.ingestion.known import Known
from totesys_dagster.lake.audits import AuditLog
from totesys_dagster.lake.digest import digested_columns
from totesys_dagster.lake.erasures import erasures
from totesys_dagster.lake.feed_receipt import read_feed_receipt
from totesys_dagster.lake.manifest import Manifest, ManifestLog, StarEntry, broken_link
from totesys_dagster.lake.receipt import sound_receipt, touched_stars
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres.sessions import Connection, Names, failures, transaction
from totesys_dagster.processed.process import FACTS, process_star
from totesys_dagster.warehouse import audit, ledger
from totesys_dagster.warehouse.ledger import LoadedReceipt
from totesys_dagster.warehouse.standing import Audit
from totesys_dagster.words import counted

LOSE = "`totesys rebuild --lose-loaded-batches`"


def require_all_batches(loaded: Mapping[int, str], log: ManifestLog) -> None:
    """Raise OtherLakeError if the ledger has batches beyond the end of the log."""
    head, end = max(loaded, default=0), log.end()
    if head > end:
        raise OtherLakeError(
            f"The warehouse holds {counted(head, 'batch')}, but the lake at {log.store.url} holds"
            f" {end}: restore its manifests from the bucket's older versions, or point"
            f" {log.store.setting} to the lake that the warehouse was loaded from; {LOSE} gives up"
            " what the others brought."
        )


@dataclass
class Chain:
    """The manifests of a rebuild, checked against each other and against the ledger.

    A batch for which the ledger has another hash is a stranger, unless a later one matches the
    ledger: then the chain proves the batch, and the ledger's row is wrong.
    """

    log: ManifestLog
    loaded: Mapping[int, str]
    strangers: list[int] = field(default_factory=list)
    _last: Manifest | None = None

    def follow(self, manifest: Manifest) -> None:
        """Take the next manifest. Raises LakeError if it does not follow from the previous one."""
        number = manifest.sequence
        if number == 1:
            self.strangers.clear()
        before = self._last if self._last and self._last.sequence == number - 1 else None
        if number > 1 and before is None:
            before = self.log.read(number - 1)
        self._last = manifest
        if broken := broken_link(before, manifest):
            raise LakeError(
                f"{broken[:-1]}; `totesys verify` tells which, restore it from the bucket's older"
                " versions."
            )
        known = self.loaded.get(number)
        if known == manifest.sha256:
            self.strangers.clear()
        elif known is not None:
            self.strangers.append(number)

    def require_ours(self) -> None:
        """Raise OtherLakeError if batches differ from those of the ledger."""
        if self.strangers:
            raise OtherLakeError(
                f"The warehouse holds another batch {self.strangers[0]} than the lake at"
                f" {self.log.store.url}: its manifest was changed after it was written, and has to"
                " be restored from the bucket's older versions, or"
                f" {self.log.store.setting} points to another lake; {LOSE} gives up what the"
                " warehouse's batches brought."
            )


def process(
    stars: Iterable[StarTable],
    manifest: Manifest,
    ingestion: Store,
    processed: Store,
    loaded: Mapping[str, LoadedReceipt],
) -> None:
    """Process those tables of a batch that are not processed. Process again those whose receipt is
    not the loaded one; the result must be the same. `loaded` are the loaded receipts, by star.

    Raises LakeError or ProcessingError.
    """

    def is_loaded(star: StarTable) -> bool:
        receipt, known = sound_receipt(processed, star, manifest), loaded.get(star.name)
        return receipt is not None and known == LoadedReceipt(receipt.sha256, revision(star))

    due = {star.name: star for star in stars if not is_loaded(star)}
    if any(star.kind is Kind.CALENDAR for star in due.values()):  # it is made from the facts
        touched = {star.name for star in touched_stars(manifest)}
        facts = [fact for fact in FACTS if fact.name in touched and not is_loaded(fact)]
        due |= {fact.name: fact for fact in facts}
    for star in sorted(due.values(), key=lambda star: star.kind is Kind.CALENDAR):
        process_star(star, manifest, ingestion, processed, again=True)


def process_feed(
    feed: Feed,
    ingestion: Store,
    processed: Store,
    loaded: Mapping[int, tuple[str, str | None]],
) -> None:
    """Check the deliveries of a feed against each other and against the ledger. Process those that
    are not processed, and again those whose receipt is not the loaded one.

    `loaded` are the hashes of the loaded deliveries and of their receipts. Raises LakeError,
    OtherLakeError or ProcessingError.
    """
    previous: str | None = None
    for delivery in log_of(feed, ingestion).after(0):
        number = delivery.sequence
        if delivery.previous_sha256 != previous:
            raise LakeError(
                f"Delivery {number} of {feed.title} does not follow from the previous one: one of"
                " the two was changed after it was written, and must be restored from the bucket's"
                " older versions."
            )
        previous = delivery.sha256
        sha256, known = loaded.get(number, (previous, None))
        if sha256 != previous:
            raise OtherLakeError(
                f"The warehouse holds another delivery {number} of {feed.title} than the lake at"
                f" {ingestion.url}: it was changed after it was written and must be restored"
                f" from the bucket's older versions, or {ingestion.setting} points to another lake."
            )
        receipt = read_feed_receipt(processed, feed.table, delivery)
        if receipt is None or receipt.sha256 != known:
            process_again(feed, delivery, ingestion, processed)


@dataclass
class Digests:
    """The newest digests of the source. Each is compared with a rebuilt warehouse once that has
    reached the digest's batch."""

    found: dict[str, Audit] = field(default_factory=dict)
    _due: dict[int, dict[str, StarEntry]] = field(default_factory=dict)

    def expect(self, ingestion: Store, end: Manifest | None) -> None:
        """Expect the digests that the lake has up to batch `end`. Raises LakeError."""
        self._due.clear()
        stars = Known(end, AuditLog(ingestion).of_head(end)).stars
        erased = erasures(ingestion)
        for name, entry in stars.items():
            star = STAR_TABLES.get(name)
            if name in erased.not_comparable(entry.whole.sequence):
                continue
            # A digest without types can be one of other types, and would prove nothing.
            if star is not None and entry.whole.columns == digested_columns(star):
                self._due.setdefault(entry.whole.sequence, {})[name] = entry

    def compare(
        self, connection: Connection, fresh: Names, sequence: int, only: Collection[str] | None
    ) -> None:
        """Compare what is due once the warehouse has that batch. Raises LoadError."""
        due = self._due.get(sequence, {})
        with failures(LoadError, "the proof of a rebuild"), transaction(connection):
            for name, entry in due.items():
                if only is None or name in only:
                    found = audit.compare(connection, fresh, STAR_TABLES[name], entry, sequence)
                    if found is not None:
                        self.found[name] = found

    def require(self, connection: Connection, fresh: Names, different: Mapping[str, int]) -> None:
        """Raise NotProvedError if a table that differs from the warehouse also differs from the
        source by more than its quarantine. In a transaction. Raises psycopg.Error."""
        head = ledger.head(connection, fresh)
        for name in (name for name, rows in different.items() if rows and name in STAR_TABLES):
            star = STAR_TABLES[name]
            found = self.found.get(name)
            if star.base is None:
                found = audit.compare(connection, fresh, star, None, head)
            if found is not None and not (found.equal or found.explained):
                raise NotProvedError(_unequal(found, "the warehouse was left as it is"))

    def require_filled(self) -> None:
        """Raise NotProvedError if a table of a formerly empty warehouse differs from the source by
        more than its quarantine."""
        for found in self.found.values():
            if not (found.equal or found.explained):
                raise NotProvedError(_unequal(found, "the warehouse was filled with them"))


def _unequal(found: Audit, outcome: str) -> str:
    if STAR_TABLES[found.star].base is None:
        return (
            f"The lake gives {found.star} with gaps or wrong days, and {outcome}: run `totesys"
            " verify` to see which object is damaged."
        )
    return (
        f"The lake gives {found.star} with other rows than the source held as of batch"
        f" {found.sequence} ({found.expected_rows} rows expected, {found.found_rows} found), and"
        f" {outcome}: run `totesys verify` to see which object is damaged; if none is, `totesys"
        " audit` reads the table again, then run `totesys rebuild` again."
    )
