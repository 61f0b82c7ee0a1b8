"""Rates as a feed: versions of a day, what a torn archive does, and what reports make of them."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from totesys_dagster.feeds.receive import receive as receive_body
from totesys_dagster.feeds.verify import verify_feed
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.rates import process
from totesys_dagster.rates.client import Client
from totesys_dagster.rates.process import EXCHANGE_RATES
from totesys_dagster.rates.receive import receive_days, receive_history
from totesys_dagster.warehouse.reporting import note_reporting_currency
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.landing import by_night
from totesys_dagster_tests.rates.conftest import NOON, body, dollars, history, load

QUOTED = "2024-11-08,1.0666,0.83"
# So much is a dollar in pounds, by the line above.
DOLLAR = Decimal("0.778173635852240765")


@pytest.fixture(autouse=True)
def _young_bank(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "BANK_SINCE", dt.date(2024, 11, 8))


def receive(platform: Platform, data: bytes, at: dt.datetime = NOON) -> None:
    assert receive_history(platform.ingestion, data, at, "test")


def receive_day(platform: Platform, day: str, data: bytes) -> None:
    receive_body(
        EXCHANGE_RATES,
        platform.ingestion,
        name=day,
        identity={"version": str(len(data))},
        body=data,
        observed_at=NOON,
        run_id="test",
    )


def test_rate_is_exact(made: Platform) -> None:
    receive(made, history(QUOTED))
    load(made)

    assert made.rows(
        "SELECT currency_code, rate_to_gbp, quoted_on, carried_days, source"
        " FROM current_fact_exchange_rate WHERE rate_date = '2024-11-09' ORDER BY 1"
    ) == [
        ("EUR", Decimal("0.83"), dt.date(2024, 11, 8), 1, "ECB"),
        ("USD", DOLLAR, dt.date(2024, 11, 8), 1, "ECB"),
    ]


def test_what_is_received_again_gives_no_version(made: Platform) -> None:
    receive(made, history(QUOTED))
    load(made)

    assert not receive_history(made.ingestion, history(QUOTED), NOON, "test")
    receive(made, history(QUOTED, ""))  # other bytes, the same quotations
    [again] = load(made)
    assert (again.inserted, again.updated, again.deleted) == (0, 0, 0)


def test_quotation_of_a_carried_day_is_a_new_version_of_that_day_and_those_after(
    made: Platform,
) -> None:
    receive(made, history(QUOTED))
    load(made)
    receive(made, history(QUOTED, "2024-11-14,1.0570,0.83"))
    load(made)

    assert dollars(made, "2024-11-13", "2024-11-15", "fact_exchange_rate") == [
        ("13", "ECB", 5),
        ("14", "ECB", 6),
        ("14", "ECB", 0),
        ("15", "ECB", 7),
        ("15", "ECB", 1),
    ]


def test_body_of_a_day_that_comes_again_replaces_the_first_unless_it_is_refused(
    made: Platform,
) -> None:
    receive(made, history(QUOTED))
    receive_day(made, "2024-11-09", body("2024-11-09", 1.2, 1.29))
    receive_day(made, "2024-11-09", body("2024-11-09", 1.2, 1.295))
    receive_day(made, "2024-11-09", body("2024-11-09", 1 / 1.2, 1 / 1.295))
    loads = load(made)

    assert "has moved by" in str(loads[-1].receipt.refused)
    assert made.rows(
        "SELECT round(1 / rate_to_gbp, 3), source FROM fact_exchange_rate"
        " WHERE rate_date = '2024-11-09' AND currency_code = 'USD'"
        " ORDER BY exchange_rate_record_id"
    ) == [
        (Decimal("1.285"), "ECB"),
        (Decimal("1.290"), "fawazahmed0"),
        (Decimal("1.295"), "fawazahmed0"),
    ]


def test_last_day_comes_where_no_address_answers_for_the_first(made: Platform) -> None:
    receive(made, history(QUOTED), dt.datetime(2024, 11, 8, tzinfo=dt.UTC))
    client = Client(["http://127.0.0.1:1/{date}"], sleep=lambda _: None)
    days = [dt.date(2024, 11, day) for day in (9, 10, 11)]
    asked = [*receive_days(made.ingestion, client, days, NOON, "test")]
    load(made)

    assert [one.came for one in asked] == [False] * 3
    assert [day for day, *_ in dollars(made, "2024-11-01", "2024-11-30")] == [
        "08",
        "09",
        "10",
        "11",
    ]


@pytest.mark.parametrize(
    "torn",
    by_night([b"", history(QUOTED)[:60], b"<html>", history("no,thing,here")], but=[0]),
    ids=["empty", "cut", "a page", "no day"],
)
def test_torn_history_is_refused_and_days_come_all_the_same(made: Platform, torn: bytes) -> None:
    receive(made, history(QUOTED))
    receive(made, torn, NOON + dt.timedelta(days=1))
    _, refused = load(made)

    assert refused.receipt.refused
    assert dollars(made, "2024-11-14", "2024-11-17") == [
        ("14", "ECB", 6),
        ("15", "ECB", 7),
        ("16", None, None),
    ]


@pytest.mark.long
def test_rates_are_rebuilt_and_verified(made: Platform) -> None:
    made.run()
    receive(made, history(QUOTED))
    receive_day(made, "2024-11-09", body("2024-11-09", 1.2, 1.29))
    receive_day(made, "2024-11-10", b"<html>")
    load(made)
    parts = (made.ingestion, made.processed)
    every = "SELECT * FROM fact_exchange_rate ORDER BY exchange_rate_record_id"
    before = made.rows(every)
    made.warehouse.execute("UPDATE fact_exchange_rate SET rate_to_gbp = 1 WHERE batch_seq = 2")

    assert not verify_feed(made.warehouse, made.names, EXCHANGE_RATES, *parts).passed
    rebuild(made.warehouse, made.names, *parts, quarantine_limit=100)

    assert verify_feed(made.warehouse, made.names, EXCHANGE_RATES, *parts).passed
    assert made.rows(every) == before


CONVERTED = """
SELECT reporting_currency, orders, revenue, orders_at_carried_rate, orders_without_rate
FROM reports.revenue_in_reporting_currency_by_month
"""


def with_orders(platform: Platform, monkeypatch: pytest.MonkeyPatch, line: str) -> None:
    """An order of 169,309.68 dollars on 2022-11-03, and one of 2,102.10 pounds a day later."""
    monkeypatch.setattr(process, "BANK_SINCE", dt.date(2022, 11, 1))
    platform.run()
    receive(platform, history(line))
    load(platform)


@pytest.mark.parametrize(
    ("currency", "revenue"),
    by_night([("GBP", "86756.94"), ("EUR", "108446.18"), ("USD", "173513.88")], but=[1]),
)
def test_reports_convert_into_the_reporting_currency(
    made: Platform, monkeypatch: pytest.MonkeyPatch, currency: str, revenue: str
) -> None:
    """A euro was 0.8 pounds and a dollar half a pound."""
    with_orders(made, monkeypatch, "2022-11-03,1.6,0.8")
    note_reporting_currency(made.warehouse, made.names, currency)

    assert made.rows(CONVERTED) == [(currency, 2, Decimal(revenue), 1, 0)]
    assert not note_reporting_currency(made.warehouse, made.names, currency)


@pytest.mark.long
@pytest.mark.parametrize(
    ("currency", "revenue", "without"),
    [("GBP", "2102.10", 1), ("USD", "169309.68", 1), ("EUR", None, 2)],
)
def test_order_whose_rate_is_too_old_is_counted_and_not_converted(
    made: Platform,
    monkeypatch: pytest.MonkeyPatch,
    currency: str,
    revenue: str | None,
    without: int,
) -> None:
    with_orders(made, monkeypatch, "2022-10-25,1.6,0.8")
    note_reporting_currency(made.warehouse, made.names, currency)

    amount = None if revenue is None else Decimal(revenue)
    assert made.rows(CONVERTED) == [(currency, 2, amount, 0, without)]


def test_rates_of_people_are_in_the_reporting_currency(
    made: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_orders(made, monkeypatch, "2022-11-03,1.6,0.8")
    note_reporting_currency(made.warehouse, made.names, "EUR")

    assert made.rows(
        "SELECT currency_code, reporting_currency, rate::float, carried_days, source"
        " FROM reports.exchange_rates WHERE rate_date = '2022-11-05' ORDER BY 1"
    ) == [("GBP", "EUR", 1.25, 2, "ECB"), ("USD", "EUR", 0.625, 2, "ECB")]
