"""Takes from the place of the drops into their feed's log exactly what the log does not have yet.

There is no cursor: the files in the place are compared with everything that was ever delivered, so
nothing is lost, whatever its name and whenever it came.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from totesys_dagster import settings
from totesys_dagster.catalogue import FileContract
from totesys_dagster.drops.place import Drop, Drops, Read
from totesys_dagster.errors import DropsError
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.feeds.receive import receive, received, what
from totesys_dagster.lake.deliveries import Delivery
from totesys_dagster.lake.store import Store

VERSION = "version"
# Drops that may not be read are known in no time. Once failed reads have taken this long in total,
# the place itself counts as unreadable.
UNREADABLE_SECONDS = 30.0


@dataclass
class Delivered:
    """The result of taking drops: deliveries, the names of drops that were replaced while they were
    read (the next run finds them), and those of files and directories that cannot be read, with the
    reason."""

    deliveries: list[Delivery] = field(default_factory=list)
    replaced: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)


def missing(feed: Feed, contract: FileContract, drops: Drops, ingestion: Store) -> Sequence[Drop]:
    """The drops that the log does not have, in the order in which they came.

    Raises DropsError or LakeError.
    """
    listed = drops.listed(contract.location)
    known = {(name, _compared(identity)) for name, identity in received(feed, ingestion)}
    return [drop for drop in listed if what(drop.name, drop.identity) not in known]


def _compared(identity: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    return frozenset(item for item in identity if item[0] != VERSION)


def deliver(
    feed: Feed, contract: FileContract, drops: Drops, ingestion: Store, run_id: str
) -> Delivered:
    """Take missing drops into the log, one after another.

    Raises DropsError, LakeError or SettingError; earlier deliveries stay.
    """
    most, done, lost = settings.drop_bytes(), Delivered(), 0.0
    for drop in missing(feed, contract, drops, ingestion):
        begun = time.monotonic()
        try:
            # A drop that is too large is not read, and the log says so.
            read = drops.read(drop) if drop.size <= most else Read(b"")
        except DropsError as error:
            done.unreadable[drop.name] = str(error)
            lost += time.monotonic() - begun
            if lost >= UNREADABLE_SECONDS:
                raise
            continue
        if read is None:
            done.replaced.append(drop.name)
            continue
        delivery = receive(
            feed,
            ingestion,
            name=drop.name,
            identity=_identity(drop.identity, read.version),
            body=read.body,
            observed_at=dt.datetime.now(dt.UTC),
            run_id=run_id,
        )
        if delivery is not None:
            done.deliveries.append(delivery)
    return done


def _identity(listed: Mapping[str, str], version: str | None) -> dict[str, str]:
    return {**listed, VERSION: version} if version else dict(listed)
