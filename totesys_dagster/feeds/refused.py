"""What a feed has refused, until it is replaced under its name or removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from totesys_dagster.catalogue import revision
from totesys_dagster.errors import TotesysError
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.feeds.receive import holds, log_of
from totesys_dagster.lake.deliveries import Delivery
from totesys_dagster.lake.feed_receipt import read_feed_receipt
from totesys_dagster.lake.store import Store


def refused(
    feed: Feed, ingestion: Store, processed: Store, loaded_by: Mapping[int, str] | None = None
) -> dict[str, str]:
    """Why deliveries are refused, by name: those neither replaced by a later delivery of the name
    nor removed. `loaded_by` are the revisions by which deliveries were loaded, for those that the
    present revision has not processed.

    Raises LakeError.
    """
    known = _processed(feed, ingestion, processed)
    found = dict(known.refused)
    for delivery in log_of(feed, ingestion).after(known.last.sequence if known.last else 0):
        by = (loaded_by or {}).get(delivery.sequence)
        receipt = read_feed_receipt(processed, feed.table, delivery, by) if by else None
        _note(found, delivery, receipt.refused if receipt else None)
    lying = _lying(feed) if found else None
    return {name: why for name, why in found.items() if lying is None or name in lying}


@dataclass
class _Processed:
    """What this process has read of a log, up to the delivery `last`. A log only grows."""

    last: Delivery | None = None
    refused: dict[str, str] = field(default_factory=dict)


_known: dict[tuple[str, str, str, str], _Processed] = {}


def _processed(feed: Feed, ingestion: Store, processed: Store) -> _Processed:
    """What the present declaration refuses, as far as it has processed everything."""
    log = log_of(feed, ingestion)
    place = (ingestion.url, processed.url, feed.name, revision(feed.table))
    known = _known.get(place, _Processed())
    # Another lake may be at that place by now.
    if known.last and not holds(log, known.last):
        known = _Processed()
    last, found = known.last, dict(known.refused)
    for delivery in log.after(last.sequence if last else 0):
        receipt = read_feed_receipt(processed, feed.table, delivery)
        if receipt is None:
            break
        last = delivery
        _note(found, delivery, receipt.refused)
    _known[place] = _Processed(last, found)
    return _known[place]


def _note(found: dict[str, str], delivery: Delivery, why: str | None) -> None:
    found.pop(delivery.name, None)
    if why is not None:
        found[delivery.name] = why


def _lying(feed: Feed) -> frozenset[str] | None:
    """The names that can still be delivered; None if they cannot be listed."""
    try:
        return feed.lying() if feed.lying else None
    except TotesysError:
        return None
