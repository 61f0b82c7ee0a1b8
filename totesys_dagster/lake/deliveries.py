"""The log of a feed: deliveries, in the order in which they were received."""

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

    `name` identifies it at its origin, such as a file name or a day; `identity` distinguishes
    things of the same name, for instance by ETag and size.
    """

    name: str
    identity: dict[str, str]
    body: Body


class DeliveryLog(Log[Delivery]):
    """The deliveries of a feed, numbered from 1 without gaps."""

    folder, kind = "deliveries", Delivery
