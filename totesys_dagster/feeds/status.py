"""The status of each feed, and what was refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from totesys_dagster.catalogue import revision
from totesys_dagster.characters import visible
from totesys_dagster.errors import LoadError
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.feeds.receive import log_of
from totesys_dagster.feeds.refused import refused
from totesys_dagster.json_output import FeedState
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres.sessions import Connection, Names, failures, one, transaction
from totesys_dagster.warehouse import ledger, schema
from totesys_dagster.words import counted


@dataclass(frozen=True)
class FeedStatus:
    """A feed: its deliveries, how many of them are loaded, the last one received, the current rows,
    what was refused and not replaced since, by name, what a person must do about the table, if
    anything, and what is doubtful about its rows."""

    feed: str
    title: str
    deliveries: int
    loaded: int
    last: str | None
    received_at: dt.datetime | None
    rows: int
    refused: dict[str, str]
    wrong: str | None = None
    doubts: Sequence[str] = ()

    def data(self) -> FeedState:
        """The same as plain data."""
        return {
            "feed": self.feed,
            "title": self.title,
            "deliveries": self.deliveries,
            "loaded": self.loaded,
            "last": self.last,
            "received_at": self.received_at.isoformat() if self.received_at else None,
            "rows": self.rows,
            "refused": self.refused,
            "wrong": self.wrong,
            "doubts": [*self.doubts],
        }

    @property
    def sentence(self) -> str:
        """For people."""
        if self.received_at is None:
            return f"{self.title}: nothing has been delivered yet."
        last = visible(self.last or "")
        return (
            f"{self.title}: {counted(self.deliveries, 'delivery')}, of which the warehouse holds"
            f" {self.loaded}; {counted(self.rows, 'row')}; the last one ({last}) arrived"
            f" {self.received_at:%Y-%m-%d %H:%M:%S} UTC."
        )


def feed_status(
    connection: Connection, names: Names, feed: Feed, ingestion: Store, processed: Store
) -> FeedStatus:
    """The status of a feed. Raises LoadError, OtherLakeError or LakeError."""
    log = log_of(feed, ingestion)
    loaded = ledger.check_log(connection, names, log, feed.title)
    head = log.head()
    query = sql.SQL("SELECT count(*) FROM {}").format(names.table(f"current_{feed.table.name}"))
    with failures(LoadError, f"a read of {feed.table.name}"), transaction(connection):
        rows = int(one(connection, query)[0])
        unfit = schema.unfit(connection, names, feed.table)
        doubts = feed.doubts(connection, names) if feed.doubts and not unfit else []
    loaded_by = ledger.revisions(connection, names, feed.name, feed.table.name)
    return FeedStatus(
        feed.name,
        feed.title,
        deliveries=log.end(),
        loaded=loaded,
        last=head.name if head else None,
        received_at=head.observed_at if head else None,
        rows=rows,
        refused=refused(feed, ingestion, processed, loaded_by),
        wrong=_unfit(feed, unfit) if unfit else _changed(feed, loaded_by),
        doubts=doubts,
    )


def _unfit(feed: Feed, why: str) -> str:
    return f"{feed.title}: loading has stopped, because {why}"


def _changed(feed: Feed, loaded_by: Mapping[int, str]) -> str | None:
    before = sum(by != revision(feed.table) for by in loaded_by.values())
    if not before:
        return None
    return (
        f"{feed.title}: its declaration has changed since {counted(before, 'delivery')} were"
        " loaded, and their rows are still the old ones: `totesys rebuild` reads again all that"
        " was delivered."
    )
