"""What is damaged in the processed zone, made again from the ingestion zone.

That zone alone is the truth, and is never made again; all of the processed zone follows from it. So
an object that is not what was written may be written over here, with what it was or, made by
another version of pyarrow, with the same rows.
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
    """The same zone, in which what is written takes the place of what is there, if it differs."""

    def put(self, key: str, data: bytes) -> None:
        try:
            super().put(key, data)
        except ObjectConflictError:
            self.replace(key, data)


def repair(ingestion: Store, processed: Store, damaged: Iterable[tuple[int, str]]) -> None:
    """Make again what batches became in star tables, each named by its number and the star, and
    what deliveries became in the tables of feeds.

    Raises LakeError, also where the store refuses that an object is written over, or
    ProcessingError.
    """
    log, zone = ManifestLog(ingestion), _Repairing(processed.url, processed.setting)
    damaged = [*damaged]
    # The calendar is made of the facts.
    stars = ((number, STAR_TABLES[name]) for number, name in damaged if name in STAR_TABLES)
    for number, star in sorted(stars, key=lambda one: one[1].kind is Kind.CALENDAR):
        process_star(star, log.read(number), ingestion, zone, again=True)
    # A delivery is made of the one before it, too.
    for feed in FEEDS:
        for number in sorted(number for number, name in damaged if name == feed.table.name):
            process_again(feed, log_of(feed, ingestion).read(number), ingestion, zone)
