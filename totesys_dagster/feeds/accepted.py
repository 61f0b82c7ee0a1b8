"""What counts for each name in a feed that replaces: its last accepted delivery."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from totesys_dagster.feeds.feed import Feed
from totesys_dagster.feeds.receive import log_of
from totesys_dagster.lake.deliveries import Delivery
from totesys_dagster.lake.feed_receipt import FeedReceipt, read_feed_receipt
from totesys_dagster.lake.store import Store


@dataclass(frozen=True)
class Accepted:
    """An accepted delivery. Repeating the same bytes under the same name does not make it newer."""

    delivery: Delivery
    receipt: FeedReceipt


@dataclass
class AcceptedDeliveries:
    """The log of a feed, walked once, however often it is queried."""

    feed: Feed
    ingestion: Store
    processed: Store
    _last: int = 0
    _found: dict[str, Accepted] = field(default_factory=dict)

    def before(self, sequence: int) -> Mapping[str, Accepted]:
        """What counts for each name before a delivery; all earlier ones must be processed. Call it
        in the order of deliveries. Raises LakeError."""
        for delivery in log_of(self.feed, self.ingestion).after(self._last):
            if delivery.sequence >= sequence:
                break
            self._last = delivery.sequence
            receipt = read_feed_receipt(self.processed, self.feed.table, delivery)
            if receipt and receipt.refused is None and not is_repeated(self._found, delivery):
                self._found[delivery.name] = Accepted(delivery, receipt)
        return self._found


def is_repeated(known: Mapping[str, Accepted], delivery: Delivery) -> bool:
    """Whether a delivery has the bytes that already count for its name."""
    before = known.get(delivery.name)
    return before is not None and before.delivery.body.sha256 == delivery.body.sha256
