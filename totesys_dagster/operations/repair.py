"""Re-creates damaged objects of the processed zone from the ingestion zone.

The ingestion zone alone is the truth and is never re-created; the whole processed zone follows from
it. So here an object that is not what was written may be overwritten, with the original bytes or,
under another version of pyarrow, with the same rows.
"""

from __future__ import annotations

from collections.abc import Iterable

from totesys_dagster.catalogue import STAR_TABLES, Kind
from totesys_dagster.errors import ObjectConflictError
from totesys_dagster.feeds.process import process_again
from totesys_dagster.feeds.receive import log_of
from totesys_dagster.feeds.registry import FEEDS
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.store import Store
from totesys_dagster.processed.process import process_star


class _Repairing(Store):
    """The same zone, but a write replaces an existing object that differs."""

    def put(self, key: str, data: bytes) -> None:
        try:
            super().put(key, data)
        except ObjectConflictError:
            self.replace(key, data)


def repair(ingestion: Store, processed: Store, damaged: Iterable[tuple[int, str]]) -> None:
    """Process again damaged or outdated star tables of batches, each named by sequence and star,
    and tables of deliveries.

    Raises LakeError, also if the store refuses to overwrite an object, or ProcessingError.
    """
    log, zone = ManifestLog(ingestion), _Repairing(processed.url, processed.setting)
    damaged = [*damaged]
    # The calendar comes last: it is made from the facts.
    stars = ((number, STAR_TABLES[name]) for number, name in damaged if name in STAR_TABLES)
    for number, star in sorted(stars, key=lambda one: one[1].kind is Kind.CALENDAR):
        process_star(star, log.read(number), ingestion, zone, again=True)
    # In order: the result of a delivery depends on the previous one.
    for feed in FEEDS:
        for number in sorted(number for number, name in damaged if name == feed.table.name):
            process_again(feed, log_of(feed, ingestion).read(number), ingestion, zone)
