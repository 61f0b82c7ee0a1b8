"""Puts deliveries into the lake: the body first, the document that commits it last."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from totesys_dagster.errors import ObjectConflictError
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.lake.deliveries import Body, Delivery, DeliveryLog
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster.lake.parts import checked
from totesys_dagster.lake.store import Store, sha256


def log_of(feed: Feed, ingestion: Store) -> DeliveryLog:
    return DeliveryLog(ingestion, feed.name)


def receive(
    feed: Feed,
    ingestion: Store,
    *,
    name: str,
    identity: Mapping[str, str],
    body: bytes,
    observed_at: dt.datetime,
    run_id: str,
) -> Delivery | None:
    """Append a delivery to the feed's log; None if the log has one of that name and identity.

    Concurrent deliveries take different sequences, so none is lost, and none of the same name and
    identity is in the log twice. Raises LakeError.
    """
    log = log_of(feed, ingestion)
    while True:
        head = log.head()
        end = head.sequence if head else 0
        if what(name, identity) in received(feed, ingestion):
            return None
        delivery = Delivery(
            log=feed.name,
            sequence=end + 1,
            previous_sha256=head.sha256 if head else None,
            run_id=run_id,
            observed_at=observed_at,
            name=name,
            identity=dict(identity),
            body=_store(feed, ingestion, end + 1, body),
        )
        try:
            return log.append(delivery)
        except ObjectConflictError:
            continue


# Name and identity of a thing that was or might be delivered.
What = tuple[str, frozenset[tuple[str, str]]]


def what(name: str, identity: Mapping[str, str]) -> What:
    return name, frozenset(identity.items())


@dataclass
class _Received:
    """What this process has read of a log, up to the delivery `last`. A log only grows."""

    last: Delivery | None
    things: frozenset[What]


_received: dict[tuple[str, str], _Received] = {}


def received(feed: Feed, ingestion: Store) -> frozenset[What]:
    """Everything that was delivered. Reads only what was appended since the last call.

    Raises LakeError.
    """
    log = log_of(feed, ingestion)
    place = (ingestion.url, feed.name)
    known = _received.get(place)
    # There may be another lake at that place by now.
    if known is None or (known.last and not holds(log, known.last)):
        known = _Received(None, frozenset())
    last, new = known.last, set()
    for delivery in log.after(last.sequence if last else 0):
        new.add(what(delivery.name, delivery.identity))
        last = delivery
    if new:  # once this is said, others of this process may look
        known = _received[place] = _Received(last, known.things | new)
    return known.things


def holds(log: DeliveryLog, delivery: Delivery) -> bool:
    """Whether a log has exactly this delivery. Raises LakeError."""
    return delivery.sequence <= log.end() and log.read(delivery.sequence).sha256 == delivery.sha256


def read_body(ingestion: Store, delivery: Delivery) -> bytes:
    """The body of a delivery. Raises LakeError if it is not what was received."""
    body = delivery.body
    return checked(ingestion, body.key, body.sha256, body.bytes)


def _store(feed: Feed, ingestion: Store, sequence: int, body: bytes) -> Body:
    digest = sha256(body)
    key = f"rows/{feed.name}/batch={batch_key(sequence)}/body-{digest[:8]}"
    ingestion.put(key, body)
    return Body(key=key, bytes=len(body), sha256=digest)
