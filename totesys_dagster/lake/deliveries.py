"""The log of a feed: what was delivered, in the order in which it was received."""

from __future__ import annotations

from totesys_dagster.lake.log import Log, Record
from totesys_dagster.lake.manifest import Commit


class Body(Record):
    """What was delivered, byte for byte: the object of the lake that holds it."""

    key: str
    bytes: int
    sha256: str


class Delivery(Commit):
    """What a feed received.

    `name` says what it is where it comes from, as the name of a file or a day; `identity` which of
    the things of that name it is, as an ETag and a size.
    """

    name: str
    identity: dict[str, str]
    body: Body


class DeliveryLog(Log[Delivery]):
    """The deliveries of a feed, numbered from 1 without gaps."""

    folder, kind = "deliveries", Delivery
