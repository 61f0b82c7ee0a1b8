"""The answers of a warehouse over a few rows, as its reader gets them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from decimal import Decimal

import psycopg
import pytest

from totesys_dagster.errors import LoadError
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster.page import questions
from totesys_dagster.page.answers import (
    Amended,
    Converted,
    Country,
    Rate,
    Revenue,
    Slippage,
    Staff,
)
from totesys_dagster.page.questions import ask
from totesys_dagster.page.render import page
from totesys_dagster.postgres.sessions import Connection
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1, new_sale

THE_DAY_AFTER = dt.date(2022, 11, 8)


@pytest.fixture
def first(platform: Platform) -> Platform:
    platform.first()
    return platform


@pytest.fixture
def reader(first: Platform) -> Iterator[Connection]:
    """The role that may only read."""
    dsn = first.server.dsn(stack.READER, first.warehouse_database)
    with psycopg.connect(dsn, autocommit=True, prepare_threshold=None) as connection:
        yield connection


def test_reader_gets_every_answer(first: Platform, reader: Connection) -> None:
    found = ask(reader, first.names, THE_DAY_AFTER)

    assert found.missing == []
    assert found.batch.batch_seq == 1
    assert found.revenue == [
        Revenue("GBP", 1, 1001, Decimal("2102.10")),
        Revenue("USD", 1, 42972, Decimal("169309.68")),
    ]
    assert found.staff == [Staff(1, "Jeremie O'Keefe", "Sales", 2, 43973)]
    assert found.countries == [
        Country("Democratic People's Republic of Korea", "KP", 1, 42972),
        Country("Turkey", "TR", 1, 1001),
    ]
    assert {row.state for row in found.quality} == {"equal"}


def test_day_decides_what_is_overdue(first: Platform, reader: Connection) -> None:
    """The three payments are due on the 4th, the 7th and the 8th."""
    days = {dt.date(2022, 11, 4): 0, dt.date(2022, 11, 5): 1, dt.date(2022, 11, 9): 3}

    assert {day: ask(reader, first.names, day).overdue_payments for day in days} == days
    assert sum(row.payments for row in ask(reader, first.names).ageing) == 3  # today


def test_day_to_come_is_refused(first: Platform, reader: Connection) -> None:
    with pytest.raises(LoadError, match="2200-01-01 is in the future"):
        ask(reader, first.names, dt.date(2200, 1, 1))


def test_what_was_amended_is_counted(first: Platform, reader: Connection) -> None:
    first.application.execute(EDIT_ORDER_1)
    first.application.execute(
        "UPDATE sales_order SET agreed_delivery_date = '2022-11-10' WHERE sales_order_id = 1"
    )
    first.run()
    found = ask(reader, first.names)

    assert found.batch.batch_seq == 2
    assert found.amended == [
        Amended("agreed_delivery_date", 1, 1, found.batch.observed_at),
        Amended("design_id", 1, 1, found.batch.observed_at),
    ]
    assert found.slippage == Slippage(later=1, earlier=0, median_days=3.0)
    assert [(row.sales_order_id, row.days) for row in found.slipped] == [(1, 3)]


@pytest.mark.long
def test_batch_that_is_loaded_meanwhile_is_in_no_answer(
    first: Platform, reader: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of them are of one snapshot; it comes between the first of them and the others."""

    def load_meanwhile(_: object) -> list[Converted]:
        first.application.execute(new_sale(4))
        first.run()
        return []

    monkeypatch.setattr(questions, "_converted", load_meanwhile)
    found = ask(reader, first.names)

    assert found.batch.batch_seq == 1
    assert sum(row.orders for row in found.countries) == 2
    assert reader.info.transaction_status == psycopg.pq.TransactionStatus.IDLE


@pytest.mark.long
def test_reporting_currency_is_shown_where_its_view_exists(
    first: Platform, reader: Connection
) -> None:
    with psycopg.connect(
        first.server.dsn(SUPERUSER, first.warehouse_database), autocommit=True
    ) as admin:
        admin.execute("""
            DROP VIEW IF EXISTS reports.revenue_in_reporting_currency_by_month CASCADE;
            CREATE VIEW reports.revenue_in_reporting_currency_by_month AS
            SELECT month, 'GBP' AS reporting_currency, orders, units, revenue * 0.8 AS revenue,
                   1::bigint AS orders_at_carried_rate, 0::bigint AS orders_without_rate,
                   FALSE AS unfinished
            FROM reports.revenue_by_month WHERE currency_code = 'USD';
            DROP VIEW IF EXISTS reports.exchange_rates CASCADE;
            CREATE VIEW reports.exchange_rates AS
            SELECT rate_date, 'USD' AS currency_code, 'GBP' AS reporting_currency,
                   CASE WHEN rate_date <> '2022-11-14' THEN 0.8 END AS rate,
                   DATE '2022-11-04' AS quoted_on, 2 AS carried_days, 'ecb' AS source
            FROM (VALUES (DATE '2022-11-05'), ('2022-11-06'), ('2022-11-14'), ('2100-01-01'))
                AS d (rate_date);
            GRANT SELECT ON reports.revenue_in_reporting_currency_by_month,
                reports.exchange_rates TO warehouse_reader;
        """)
    found = ask(reader, first.names)

    assert [(row.reporting_currency, row.revenue) for row in found.converted] == [
        ("GBP", Decimal("135447.744"))
    ]
    sunday, friday = dt.date(2022, 11, 6), dt.date(2022, 11, 4)
    assert found.rates == [Rate("USD", "GBP", Decimal("0.8"), sunday, friday, 2, "ecb")]
    assert "135,447.74" in page(found, staff_names=False)


@pytest.mark.long
def test_last_months_with_a_target_are_compared(first: Platform, reader: Connection) -> None:
    first.warehouse.execute("""
        INSERT INTO warehouse.fact_sales_target
            (month, office, currency_code, target_amount, file_name, batch_seq, observed_at)
        SELECT month, 'Manchester', 'USD', 1000, 'targets.csv', 1, now()
        FROM unnest(DATE '2022-01-01' || ARRAY[DATE '2022-09-01', '2022-10-01', '2022-11-01',
            '2022-12-01']) AS m (month)
    """)
    found = ask(reader, first.names, THE_DAY_AFTER).targets

    assert {row.month.month for row in found} == {9, 10, 11}
    assert [
        (row.currency_code, row.revenue, row.target_amount, row.unfinished)
        for row in found
        if row.month.month == 11
    ] == [
        ("GBP", Decimal("2102.10"), None, True),
        ("USD", Decimal("169309.68"), Decimal("1000.00"), True),
    ]


def test_report_that_may_not_be_read_leaves_its_section_away(
    first: Platform, reader: Connection
) -> None:
    first.warehouse.execute("REVOKE SELECT ON reports.orders_by_staff FROM warehouse_reader")
    first.warehouse.execute("DROP VIEW reports.delivery_slippage")
    found = ask(reader, first.names)
    said = page(found, staff_names=False)

    assert found.missing == ["delivery_slippage", "orders_by_staff"]
    assert "<code>delivery_slippage</code>, <code>orders_by_staff</code>" in said
    assert "Orders per member of staff" not in said
    assert "Revenue by month" in said


def test_warehouse_without_a_batch_is_one_sentence(platform: Platform) -> None:
    with pytest.raises(LoadError, match="holds no batch yet: take one with `totesys run`"):
        ask(platform.warehouse, platform.names)


@pytest.mark.long
def test_warehouse_without_reports_is_one_sentence(platform: Platform) -> None:
    platform.warehouse.execute("DROP SCHEMA reports CASCADE")

    with pytest.raises(LoadError, match="no schema reports that this role may read"):
        ask(platform.warehouse, platform.names)


@pytest.mark.long
def test_warehouse_may_have_any_name(first: Platform) -> None:
    names = type(first.names)("50 odd")
    with pytest.raises(LoadError, match="no schema 50 odd_reports"):
        ask(first.warehouse, names)
