"""A feed of CSV with the columns of exchange rates, as small as a feed can be."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from decimal import Decimal

import pyarrow as pa
import pytest

from totesys_dagster.catalogue import FEED_TABLES
from totesys_dagster.feeds import load, receive, registry, verify
from totesys_dagster.feeds.feed import Faulty, Feed, Outcome
from totesys_dagster.feeds.load import FeedLoad
from totesys_dagster.lake.deliveries import Delivery
from totesys_dagster.lake.verification import Verification
from totesys_dagster.operations import filling, rebuild, repair
from totesys_dagster.operations import replace as replacing
from totesys_dagster.operations import verify as verify_all
from totesys_dagster.warehouse import schema
from totesys_dagster_tests.conftest import Platform

TABLE = FEED_TABLES["fact_exchange_rate"]
NOON = dt.datetime(2024, 11, 15, 12, tzinfo=dt.UTC)


def read_csv(delivery: Delivery, body: bytes, state: pa.Table | None) -> Outcome:
    """Lines as `2024-11-15,USD,0.79`. One that has no rate refuses all of them. The state counts
    the deliveries."""
    lines = [line.split(",") for line in body.decode().splitlines()]
    faulty = [
        Faulty(number, ("no rate",), ",".join(line))
        for number, line in enumerate(lines, start=1)
        if len(line) != 3
    ]
    before = state["count"][0].as_py() if state else 0
    rows = [
        {
            "rate_date": dt.date.fromisoformat(day),
            "currency_code": currency,
            "rate_to_gbp": Decimal(rate),
            "quoted_on": None,
            "carried_days": before,
            "source": delivery.name,
        }
        for day, currency, rate in ([] if faulty else lines)
    ]
    return Outcome(
        pa.Table.from_pylist(rows, TABLE.arrow_schema),
        "a line has no rate" if faulty else None,
        faulty,
        pa.table({"count": [before + 1 if before < 0 else 0]}),
    )


FEED = Feed("Rates", TABLE, read_csv, replaces="source")


@dataclass
class Feeding:
    """A feed of a platform: what it is given, and what becomes of it."""

    platform: Platform
    feed: Feed = FEED

    def receive(self, text: str, name: str = "a.csv", version: str = "1") -> Delivery | None:
        return receive.receive(
            self.feed,
            self.platform.ingestion,
            name=name,
            identity={"version": version},
            body=text.encode(),
            observed_at=NOON,
            run_id="test",
        )

    def load(self) -> list[FeedLoad]:
        platform = self.platform
        return [
            *load.load_all(
                platform.warehouse,
                platform.names,
                self.feed,
                platform.ingestion,
                platform.processed,
            )
        ]

    def verify(self) -> Verification:
        platform = self.platform
        return verify.verify_feed(
            platform.warehouse, platform.names, self.feed, platform.ingestion, platform.processed
        )

    def versions(self) -> list[tuple[str, str, str | None, int, bool]]:
        return self.platform.rows(
            "SELECT to_char(rate_date, 'DD'), currency_code, trim_scale(rate_to_gbp)::text,"
            " batch_seq, is_deleted FROM fact_exchange_rate ORDER BY exchange_rate_record_id"
        )


@pytest.fixture
def feeding(platform: Platform) -> Feeding:
    schema.migrate(platform.warehouse, platform.names)
    return Feeding(platform)


@pytest.fixture
def registered(feeding: Feeding, monkeypatch: pytest.MonkeyPatch) -> Feeding:
    """The feed as one of the platform's, for what goes through all of them."""
    for module in (registry, filling, rebuild, repair, replacing, verify_all):
        monkeypatch.setattr(module, "FEEDS", (FEED,))
    return feeding


def without_scope(feeding: Feeding) -> Feeding:
    return replace(feeding, feed=replace(FEED, replaces=None))
