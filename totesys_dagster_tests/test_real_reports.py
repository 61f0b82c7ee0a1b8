"""The right values of the business' questions over all rows of the real ToteSys, as of 2024-11-15.

They were computed apart from this project. The rows are where `test_real_rows.py` looks for them,
and the tests skip without them.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.local import stack
from totesys_dagster.local.server import Server
from totesys_dagster_tests import test_real_rows, two_sources
from totesys_dagster_tests.test_real_rows import Loaded, loaded  # noqa: F401

pytestmark = test_real_rows.pytestmark

Rows = list[tuple[Any, ...]]


class Reader:
    """A connection of the role that may only read."""

    def __init__(self, connection: psycopg.Connection) -> None:
        self.connection = connection

    def rows(self, query: str) -> Rows:
        return self.connection.execute(query).fetchall()  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def reader(loaded: Loaded, server: Server) -> Iterator[Reader]:  # noqa: F811
    dsn = server.dsn(stack.READER, loaded.warehouse.info.dbname)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET search_path TO reports, warehouse")
        yield Reader(connection)


def money(*amounts: str) -> list[Decimal]:
    return [Decimal(amount.replace(",", "")) for amount in amounts]


def test_orders_by_staff(reader: Reader) -> None:
    found = reader.rows("SELECT staff_name, orders FROM orders_by_staff ORDER BY 2 DESC")

    assert len(found) == 20
    assert found[:3] == [("Stan Lehner", 608), ("Brody Ratke", 599), ("Jeanette Erdman", 593)]
    assert found[-1] == ("Flavio Kulas", 514)


def test_deliveries_by_country(reader: Reader) -> None:
    found = reader.rows("SELECT country, country_code, orders FROM deliveries_by_country")
    found.sort(key=lambda row: -row[2])

    assert len(found) == 29
    assert sum(orders for _, _, orders in found) == 11_187
    assert found[:3] == [
        ("Republic of Korea", "KR", 723),
        ("Indonesia", "ID", 393),
        ("Austria", "AT", 388),
    ]
    assert found[-1] == ("Turkey", "TR", 321)


def test_every_country_of_the_real_rows_has_its_code(reader: Reader) -> None:
    codes = dict(reader.rows("SELECT country, country_code FROM deliveries_by_country"))

    assert None not in codes.values()
    assert len(set(codes.values())) == 29
    assert codes["Democratic People's Republic of Korea"] == "KP"
    assert codes["Congo"] == "CG"
    assert codes["Svalbard & Jan Mayen Islands"] == "SJ"


def test_revenue_by_currency(reader: Reader) -> None:
    found = reader.rows("SELECT currency_code, orders, revenue FROM revenue_by_currency ORDER BY 1")
    eur, gbp, usd = money("567,792,732.95", "543,550,705.50", "575,687,991.30")

    assert found == [("EUR", 3800, eur), ("GBP", 3599, gbp), ("USD", 3788, usd)]


def test_revenue_by_month(reader: Reader) -> None:
    assert reader.rows("SELECT count(*) FROM revenue_by_month") == [(73,)]
    found = reader.rows(
        "SELECT currency_code, revenue, unfinished FROM revenue_by_month"
        " WHERE month = '2024-10-01' ORDER BY 1"
    )
    eur, gbp, usd = money("26,137,468.05", "24,957,786.84", "26,964,434.60")
    assert found == [("EUR", eur, False), ("GBP", gbp, False), ("USD", usd, False)]
    assert reader.rows("SELECT min(month) FROM revenue_by_month WHERE currency_code = 'GBP'") == [
        (dt.date(2023, 1, 1),)
    ]


def test_revenue_by_week(reader: Reader) -> None:
    found = reader.rows(
        "SELECT revenue FROM revenue_by_week WHERE week = '2024-11-11' ORDER BY currency_code"
    )
    assert [revenue for (revenue,) in found] == money(
        "6,741,719.16", "3,876,465.08", "5,610,708.64"
    )


def test_revenue_by_design(reader: Reader) -> None:
    found = reader.rows(
        "SELECT design_name, sum(orders) FROM revenue_by_design GROUP BY 1 ORDER BY 2 DESC"
    )
    assert len(found) == 12
    assert found[:2] == [("Bronze", 1258), ("Granite", 1197)]
    assert found[-1] == ("Rubber", 613)
    assert reader.rows("SELECT count(*) FROM designs_never_sold") == [(15,)]
    assert reader.rows("SELECT count(*) FROM current_dim_design") == [(473,)]


def test_revenue_by_customer(reader: Reader) -> None:
    found = reader.rows(
        "SELECT counterparty_legal_name, sum(orders) FROM revenue_by_customer"
        " GROUP BY counterparty_id, 1 ORDER BY 2 DESC"
    )
    assert len(found) == 20
    assert (found[0], found[-1]) == (("Smith and Sons", 626), ("Mraz LLC", 521))


def test_revenue_by_office_counts_leds_as_leeds(reader: Reader) -> None:
    found = reader.rows("SELECT office, sum(orders) FROM revenue_by_office GROUP BY 1 ORDER BY 1")

    assert found == [("Leeds", 5538), ("Manchester", 5649)]
    assert reader.rows("SELECT count(*) FROM current_dim_staff WHERE location = 'Leds'") != [(0,)]


def test_purchases_by_month(reader: Reader) -> None:
    found = reader.rows(
        "SELECT currency_code, sum(orders), sum(amount) FROM purchases_by_month"
        " GROUP BY 1 ORDER BY 1"
    )
    eur, gbp, usd = money("414,678,122.42", "352,882,322.41", "411,670,775.22")

    assert found == [("EUR", 1621, eur), ("GBP", 1466, gbp), ("USD", 1562, usd)]


def test_sales_and_purchases_by_month_are_those_of_either(reader: Reader) -> None:
    found = reader.rows(
        "SELECT sum(sales_orders), sum(purchase_orders) FROM sales_and_purchases_by_month"
    )
    assert found == [(11_187, 4_649)]
    assert (
        reader.rows(
            "SELECT month, currency_code, orders, revenue FROM revenue_by_month EXCEPT"
            " SELECT month, currency_code, sales_orders, revenue FROM sales_and_purchases_by_month"
        )
        == []
    )


def test_overdue(reader: Reader) -> None:
    found = reader.rows(
        "SELECT direction, currency_code, sum(payments), sum(amount) FROM overdue('2024-11-15')"
        " GROUP BY 1, 2 ORDER BY 1, 2"
    )
    amounts = money("167,078,448.19", "132,310,880.21", "149,791,102.64")
    amounts += money("225,380,719.00", "199,890,417.55", "232,625,043.17")

    assert [row[:3] for row in found] == [
        ("payable", "EUR", 659),
        ("payable", "GBP", 557),
        ("payable", "USD", 593),
        ("receivable", "EUR", 1473),
        ("receivable", "GBP", 1320),
        ("receivable", "USD", 1504),
    ]
    assert [amount for *_, amount in found] == amounts


def test_why_payments_are_overdue(reader: Reader) -> None:
    found = reader.rows("SELECT reason, sum(payments) FROM overdue('2024-11-15') GROUP BY 1")

    assert dict(found) == {
        "due on a weekend": 4947,
        "due on the day it was made": 1158,
        "other": 1,
    }


def test_ageing(reader: Reader) -> None:
    found = reader.rows(
        "SELECT bucket, payments FROM ageing('2024-11-15')"
        " WHERE direction = 'receivable' AND currency_code = 'GBP' ORDER BY 1"
    )
    assert found == [
        ("1-30", 58),
        ("31-60", 51),
        ("61-90", 64),
        ("91-365", 540),
        ("over 365", 607),
    ]
    assert reader.rows("SELECT sum(payments), sum(amount) FROM ageing('2024-11-15')") == (
        reader.rows("SELECT sum(payments), sum(amount) FROM overdue('2024-11-15')")
    )


def test_payments_that_are_not_due_yet(reader: Reader) -> None:
    query = "SELECT sum(payments) FROM cash_next_days('2024-11-15', 3650)"
    assert reader.rows(query) == [(80,)]
    query = "SELECT count(*) FROM open_payments WHERE payment_date = '2024-11-15'"
    assert reader.rows(query) == [(2,)]


def test_orders_by_weekday(reader: Reader) -> None:
    found = reader.rows("SELECT day_name, orders FROM orders_by_weekday ORDER BY day_of_week")

    assert found == [
        ("Monday", 2291),
        ("Tuesday", 2221),
        ("Wednesday", 2303),
        ("Thursday", 2203),
        ("Friday", 2169),
    ]


def test_deliveries_in_the_days_after(reader: Reader) -> None:
    found = reader.rows(
        "SELECT agreed_delivery_date, orders FROM deliveries_next_days('2024-11-15', 7) ORDER BY 1"
    )
    assert found == [
        (dt.date(2024, 11, day), orders)
        for day, orders in ((16, 16), (17, 9), (18, 17), (19, 8), (20, 8))
    ]


def test_every_payment_is_its_orders(reader: Reader) -> None:
    query = """
        SELECT count(*), count(*) FILTER (WHERE payment_amount <> units_sold * unit_price)
        FROM current_fact_payment JOIN current_dim_transaction USING (transaction_id)
        JOIN current_fact_sales_order USING (sales_order_id)
    """
    assert reader.rows(query) == [(11_187, 0)]


def test_one_batch_has_no_amendments(reader: Reader) -> None:
    assert reader.rows("SELECT count(*) FROM order_amendments") == [(0,)]
    assert reader.rows("SELECT count(*) FROM delivery_slippage") == [(0,)]
    assert reader.rows("SELECT count(*) FROM orders_at(now())") == [(11_187,)]
    assert reader.rows("SELECT count(*) FROM orders_as_of(now())") == [(11_187,)]


def test_data_quality(reader: Reader) -> None:
    found = reader.rows("SELECT quarantined, audited_in_batch, state FROM data_quality")

    assert found == [(0, 1, "equal")] * len(STAR_TABLES)


def test_revenue_in_pounds_at_the_rates_of_the_bank(reader: Reader) -> None:
    """The revenue was computed apart from this project, at the last fixing before or on a day."""
    found = reader.rows(
        "SELECT sum(orders), sum(revenue), sum(orders_at_carried_rate), sum(orders_without_rate)"
        " FROM revenue_in_reporting_currency_by_month"
    )
    assert found == [(11_187, Decimal("1489654748.72"), 221, 0)]


def test_revenue_in_pounds_at_the_rates_of_both_sources(
    loaded: Loaded,  # noqa: F811
    tmp_path: Path,
) -> None:
    refused, found, expected = two_sources.with_two_sources(
        loaded.warehouse, loaded.source, tmp_path
    )

    assert refused == [*two_sources.WRONG]
    assert found == expected
    assert found == (11_187, Decimal("1489626304.00"), 221, 589)


def test_revenue_in_one_currency_is_that_of_all_whatever_it_is_by(reader: Reader) -> None:
    totals = [
        reader.rows(
            "SELECT sum(orders), sum(units), sum(revenue), sum(orders_at_carried_rate)"
            f" FROM revenue_in_reporting_currency_by_{what}"
        )
        for what in ("month", "customer", "design", "office")
    ]
    assert totals == [totals[0]] * 4
