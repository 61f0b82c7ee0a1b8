"""The reports: what they answer over a few rows that everybody can add up, and their history."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from totesys_dagster.catalogue import STAR_TABLES, WAREHOUSE_TABLES, Kind
from totesys_dagster.local import stack
from totesys_dagster.local.server import Server
from totesys_dagster.postgres.sessions import Connection
from totesys_dagster.warehouse import reports
from totesys_dagster.warehouse.reports import Report
from totesys_dagster.warehouse.status import table_status
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import (
    DELETE_ORDER_1,
    EDIT_ORDER_1,
    EDIT_ORDER_1_BACK,
    new_sale,
)
from totesys_dagster_tests.landing import by_night
from totesys_dagster_tests.warehouse.conftest import bad_payment

Rows = list[tuple[Any, ...]]
README = Path(__file__).parents[2] / "README.md"
LINEAGE = {"batch_seq", "observed_at", "is_deleted"}

# What the functions are asked, where all of them are.
ARGUMENTS = {
    "as_of date": "('2022-11-30')",
    "as_of date, days integer": "('2022-11-03', 7)",
    "moment timestamp with time zone": "(now())",
    "sales_order_id integer": "(1)",
}


def call(report: Report) -> str:
    """The report as it stands in FROM."""
    return f"reports.{report.name}{ARGUMENTS[report.parameters] if report.parameters else ''}"


def rows(platform: Platform, query: str) -> Rows:
    return platform.warehouse.execute(query.encode()).fetchall()


@pytest.fixture
def loaded(platform: Platform) -> Platform:
    """The few rows, loaded."""
    platform.first()
    return platform


# What every report keeps to


@pytest.mark.parametrize("report", reports.declared(), ids=lambda report: report.name)
def test_report_says_question_unit_grain_and_trap(report: Report) -> None:
    assert report.terms["Question"].endswith("?")
    assert all(report.terms[term].endswith(".") for term in ("Unit", "Grain", "Trap"))


def test_reports_are_made_after_those_that_they_read() -> None:
    order = [report.name for report in reports.declared()]

    assert sorted(order) == sorted(reports.all_reports())
    for report in reports.declared():
        before = order[: order.index(report.name)]
        assert {*report.relations} & {*order} <= {*before}


READS = """
SELECT DISTINCT c.relname, a.attname
FROM pg_depend AS d
JOIN pg_class AS c ON d.refclassid = 'pg_class'::regclass AND c.oid = d.refobjid
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = d.refobjsubid
LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
LEFT JOIN pg_class AS view ON view.oid = r.ev_class
LEFT JOIN pg_proc AS f ON d.classid = 'pg_proc'::regclass AND f.oid = d.objid
WHERE coalesce(view.relname, f.proname) = %s
  AND coalesce(view.relnamespace, f.pronamespace) = 'reports'::regnamespace
  AND c.relnamespace = 'warehouse'::regnamespace
"""


def reads(platform: Platform, report: Report) -> dict[str, set[str]]:
    """The columns that a report reads, by table, as PostgreSQL knows it."""
    found: dict[str, set[str]] = {}
    for relation, name in platform.warehouse.execute(READS, [report.name]).fetchall():
        star = relation.removeprefix("current_").removeprefix("history_")
        found.setdefault(star, set()).add(name)
    return {star: names - LINEAGE for star, names in found.items()}


def test_reports_read_the_columns_that_they_say(platform: Platform) -> None:
    """A report is left out where one of them is no longer declared."""
    found = {report.name: reads(platform, report) for report in reports.declared()}

    assert found == {report.name: report.reads for report in reports.declared()}


def test_amounts_have_their_currency(loaded: Platform) -> None:
    """Of what a report gives, not of what it says: money without a currency was added up."""
    for report in reports.declared():
        cursor = loaded.warehouse.execute(f"SELECT * FROM {call(report)}".encode())
        found = {column.name: column.type_code for column in cursor.description or ()}
        money = [n for n, code in found.items() if code == psycopg.adapters.types["numeric"].oid]

        if money and not all(name.endswith(("_gbp", "_eur", "_usd")) for name in money):
            place = list(found).index(
                "currency_code" if "currency_code" in found else "reporting_currency"
            )
            assert all(row[place] in ("GBP", "USD", "EUR") for row in cursor), report.name
        assert list(found) == [column.name for column in report.columns], report.name


DOUBLED = """
    UPDATE sales_order SET unit_price = 2 * unit_price WHERE currency_id = 2;
    UPDATE purchase_order SET item_unit_price = 2 * item_unit_price WHERE currency_id = 2;
    UPDATE payment SET payment_amount = 2 * payment_amount WHERE currency_id = 2
"""


def money(platform: Platform) -> dict[tuple[str, str], Decimal]:
    """All money of each report that shows no history and converts none, by report and currency."""
    found: dict[tuple[str, str], Decimal] = {}
    for report in reports.declared():
        if report.name in ("order_versions", "order_history", "pounds_for_currencies"):
            continue
        if any(column.name == "reporting_currency" for column in report.columns):
            continue
        cursor = platform.warehouse.execute(f"SELECT * FROM {call(report)}".encode())
        names = [column.name for column in cursor.description or ()]
        for row in cursor:
            named = dict(zip(names, row, strict=True))
            amounts = [value for value in row if isinstance(value, Decimal)]
            if amounts:
                place = report.name, named["currency_code"]
                found[place] = found.get(place, Decimal()) + sum(amounts)
    return found


def test_money_of_a_currency_is_of_no_other_one(loaded: Platform) -> None:
    """When all dollars are doubled, each answer in dollars doubles and no other one moves. A total
    of two currencies under the name of one would do neither."""
    before = money(loaded)
    loaded.application.execute(DOUBLED)
    loaded.run()

    assert len({report for report, _ in before}) == 16
    assert money(loaded) == {
        (report, code): amount * (2 if code == "USD" else 1)
        for (report, code), amount in before.items()
    }


def test_every_report_and_column_is_explained(platform: Platform) -> None:
    query = """
        SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON attrelid = c.oid
        WHERE relnamespace = 'reports'::regnamespace AND attnum > 0
          AND (col_description(c.oid, attnum) IS NULL OR obj_description(c.oid) IS NULL)
        UNION ALL
        SELECT proname, NULL FROM pg_proc
        WHERE pronamespace = 'reports'::regnamespace AND obj_description(oid) IS NULL
    """
    assert rows(platform, query) == []
    query = "SELECT obj_description('reports.overdue(date)'::regprocedure)"
    [(comment,)] = rows(platform, query)
    assert comment.startswith("Which payments are overdue on a given day, and why? Unit: payments,")
    assert "currency_code: " in comment


def test_amendments_cover_every_column_of_an_order() -> None:
    declared = set(STAR_TABLES["fact_sales_order"].column_names) - {"sales_order_id"}

    assert declared <= reports.all_reports()["order_amendments"].reads["fact_sales_order"]


# Answers over a few rows


def test_revenue_counts_each_order_once_in_its_currency(loaded: Platform) -> None:
    assert rows(loaded, "SELECT * FROM reports.revenue_by_currency ORDER BY 1") == [
        ("GBP", 1, 1001, Decimal("2102.10")),
        ("USD", 1, 42972, Decimal("169309.68")),
    ]
    loaded.application.execute("UPDATE sales_order SET units_sold = 1000, unit_price = 2")
    loaded.run()
    assert rows(loaded, "SELECT * FROM reports.revenue_by_currency ORDER BY 1") == [
        ("GBP", 1, 1000, Decimal("2000.00")),
        ("USD", 1, 1000, Decimal("2000.00")),
    ]


def test_revenue_of_each_report_is_that_of_all(loaded: Platform) -> None:
    loaded.application.execute(new_sale(9))
    loaded.application.execute(EDIT_ORDER_1)
    loaded.run()
    total = "SELECT currency_code, sum(orders), sum(units), sum(revenue) FROM reports.{} GROUP BY 1"
    expected = sorted(rows(loaded, total.format("revenue_by_currency")))

    assert [row[1] for row in expected] == [2, 1]
    for what in ("month", "week", "design", "customer", "office"):
        assert sorted(rows(loaded, total.format(f"revenue_by_{what}"))) == expected


def test_office_that_is_misspelt_is_one_office(loaded: Platform) -> None:
    loaded.application.execute("UPDATE sales_order SET staff_id = 2 WHERE sales_order_id = 2")
    loaded.application.execute("UPDATE department SET location = 'Leeds' WHERE department_id = 1")
    loaded.run()

    query = "SELECT office, sum(orders) FROM reports.revenue_by_office GROUP BY 1"
    assert rows(loaded, query) == [("Leeds", 2)]
    query = "SELECT location FROM warehouse.current_dim_staff ORDER BY staff_id"
    assert rows(loaded, query) == [("Leeds",), ("Leds",)]


def test_people_of_one_name_are_two(loaded: Platform) -> None:
    loaded.application.execute(
        "UPDATE staff SET first_name = 'Jo', last_name = 'Lee';"
        " UPDATE sales_order SET staff_id = 2 WHERE sales_order_id = 2"
    )
    loaded.run()

    assert rows(loaded, "SELECT * FROM reports.orders_by_staff ORDER BY 1") == [
        (1, "Jo Lee", "Sales", 1, 42972),
        (2, "Jo Lee", "Purchasing", 1, 1001),
    ]


@pytest.mark.parametrize(
    ("name", "code"),
    by_night(
        [
            ("Republic of Korea", "KR"),
            ("Democratic People's Republic of Korea", "KP"),
            ("TURKEY", "TR"),
            ("Bouvet Island (Bouvetoya)", "BV"),
            ("Svalbard & Jan Mayen Islands", "SJ"),
            ("Congo", "CG"),
            ("Korea", None),
            ("Narnia", None),
        ],
        but=[1],
    ),
)
def test_country_has_its_code_or_none(loaded: Platform, name: str, code: str | None) -> None:
    loaded.application.execute("UPDATE address SET country = %s WHERE address_id = 1", [name])
    loaded.run()

    query = "SELECT country_code, orders FROM reports.deliveries_by_country WHERE country = '{}'"
    assert rows(loaded, query.format(name.replace("'", "''")))[0][0] == code
    assert rows(loaded, "SELECT sum(orders) FROM reports.deliveries_by_country") == [(2,)]


def test_name_of_a_country_is_in_the_list_once(platform: Platform) -> None:
    query = "SELECT count(*), count(DISTINCT lower(country_name)) FROM reports.country_names"
    [(count, distinct)] = rows(platform, query)
    assert count == distinct > 400


def test_month_that_is_not_over_is_unfinished(loaded: Platform) -> None:
    loaded.application.execute(new_sale(9))
    loaded.application.execute(
        "UPDATE sales_order SET created_at = now() AT TIME ZONE 'Europe/London'"
        " WHERE sales_order_id = 9"
    )
    loaded.run()

    for report in ("revenue_by_month", "revenue_by_week", "sales_and_purchases_by_month"):
        query = f"SELECT 1, unfinished FROM reports.{report} ORDER BY 2"
        assert rows(loaded, query)[-2:] == [(1, False), (1, True)]


def test_sales_and_purchases_stand_side_by_side(loaded: Platform) -> None:
    month = dt.date(2022, 11, 1)
    assert rows(loaded, "SELECT * FROM reports.sales_and_purchases_by_month ORDER BY 2") == [
        (month, "EUR", None, None, 1, Decimal("134075.69"), False),
        (month, "GBP", 1, Decimal("2102.10"), None, None, False),
        (month, "USD", 1, Decimal("169309.68"), None, None, False),
    ]


def test_overdue_is_what_was_due_before_the_day(loaded: Platform) -> None:
    """Payment 3 was made on the day that it is due, a Friday; 2 is due on the 7th, 1 on the 8th."""
    query = "SELECT * FROM reports.overdue('2022-11-08') ORDER BY 1"

    assert rows(loaded, query) == [
        ("payable", "EUR", 1, Decimal("134075.69"), "other"),
        ("receivable", "GBP", 1, Decimal("2102.10"), "due on the day it was made"),
    ]
    loaded.application.execute("UPDATE payment SET paid = TRUE WHERE payment_id = 2")
    loaded.application.execute(
        "UPDATE payment SET payment_date = '2022-11-05' WHERE payment_id = 3"
    )
    loaded.run()
    assert rows(loaded, query) == [("receivable", "GBP", 1, Decimal("2102.10"), "due on a weekend")]


@pytest.mark.parametrize("zone", by_night(["Pacific/Kiritimati", "Pacific/Pago_Pago"], but=[1]))
def test_today_is_londons_wherever_the_session_is(loaded: Platform, zone: str) -> None:
    today = rows(loaded, "SELECT (now() AT TIME ZONE 'Europe/London')::date")[0][0]
    yesterday = today - dt.timedelta(days=1)
    loaded.application.execute(
        f"UPDATE payment SET payment_date = '{today}' WHERE payment_id = 1;"
        f" UPDATE payment SET payment_date = '{yesterday}' WHERE payment_id = 2"
    )
    loaded.run()
    with loaded.warehouse.transaction():
        loaded.warehouse.execute(f"SET LOCAL timezone TO '{zone}'".encode())
        found = rows(loaded, "SELECT sum(payments) FROM reports.overdue_today")

    assert found == [(2,)]


@pytest.mark.parametrize(
    ("days", "bucket"),
    by_night(
        [
            (1, "1-30"),
            (30, "1-30"),
            (31, "31-60"),
            (60, "31-60"),
            (61, "61-90"),
            (90, "61-90"),
            (91, "91-365"),
            (365, "91-365"),
            (366, "over 365"),
            (0, None),
        ],
        but=[0, 4, 8, 9],
    ),
)
def test_bucket_counts_days_since_the_payment_was_due(
    loaded: Platform, days: int, bucket: str | None
) -> None:
    as_of = dt.date(2022, 11, 8) + dt.timedelta(days=days)  # payment 1 is due on the 8th
    query = f"SELECT bucket FROM reports.ageing('{as_of}') WHERE currency_code = 'USD'"

    assert rows(loaded, query) == ([(bucket,)] if bucket else [])


def test_next_days_begin_on_the_day_after(loaded: Platform) -> None:
    assert rows(loaded, "SELECT * FROM reports.cash_next_days('2022-11-07', 1)") == [
        (dt.date(2022, 11, 8), "receivable", "USD", 1, Decimal("169309.68"))
    ]
    assert rows(loaded, "SELECT * FROM reports.deliveries_next_days('2022-11-04', 3)") == [
        (dt.date(2022, 11, 5), 1, 1001),
        (dt.date(2022, 11, 7), 1, 42972),
    ]
    assert rows(loaded, "SELECT * FROM reports.deliveries_next_days('2022-11-05', 1)") == []


def test_design_that_nobody_ordered_is_named(loaded: Platform) -> None:
    assert rows(loaded, "SELECT * FROM reports.designs_never_sold") == []
    loaded.application.execute(EDIT_ORDER_1)
    loaded.run()

    query = "SELECT design_id, design_name FROM reports.designs_never_sold"
    assert rows(loaded, query) == [(1, "Wooden")]


def test_weekday_has_its_name(loaded: Platform) -> None:
    assert rows(loaded, "SELECT * FROM reports.orders_by_weekday ORDER BY 1") == [
        (4, "Thursday", 1, 1, 42972),
        (5, "Friday", 1, 1, 1001),
    ]


# History

AGAIN = """
    INSERT INTO sales_order VALUES
        (1, '2022-11-03 14:20:52.186', '2022-11-03 14:20:52.186', 1, 1, 1, 42972, 3.94, 2,
         '2022-11-07', '2022-11-08', 2)
"""


@pytest.fixture
def lived(loaded: Platform) -> Platform:
    """Order 1 has design 1, then 2, then 1 again; it is deleted, and comes back as it was."""
    for statement in (EDIT_ORDER_1, EDIT_ORDER_1_BACK, DELETE_ORDER_1, AGAIN):
        loaded.application.execute(statement)
        loaded.run()
    return loaded


def test_history_of_an_order_has_every_version(lived: Platform) -> None:
    found = rows(
        lived,
        "SELECT version, batch_seq, design_id, is_deleted, valid_to IS NULL, currency_code, revenue"
        " FROM reports.order_history(1)",
    )
    revenue = Decimal("169309.68")
    assert found == [
        (1, 1, 1, False, False, "USD", revenue),
        (2, 2, 2, False, False, "USD", revenue),
        (3, 3, 1, False, False, "USD", revenue),
        (4, 4, 1, True, False, "USD", revenue),
        (5, 5, 1, False, True, "USD", revenue),
    ]
    query = """
        SELECT version, valid_from, valid_to, is_deleted
        FROM {} ORDER BY 1
    """
    of_view = "warehouse.history_fact_sales_order WHERE sales_order_id = 1"
    assert rows(lived, query.format("reports.order_history(1)")) == rows(
        lived, query.format(of_view)
    )
    assert rows(lived, "SELECT * FROM reports.order_history(77)") == []


def test_amendments_say_what_was_changed_and_back(lived: Platform) -> None:
    query = "SELECT sales_order_id, changed, from_value, to_value, batch_seq"
    assert rows(lived, f"{query} FROM reports.order_amendments ORDER BY batch_seq") == [
        (1, "design_id", "1", "2", 2),
        (1, "design_id", "2", "1", 3),
        (1, "is_deleted", "false", "true", 4),
        (1, "is_deleted", "true", "false", 5),
    ]


@pytest.mark.long
def test_delivery_that_was_moved_and_moved_back_has_not_slipped(loaded: Platform) -> None:
    move = "UPDATE sales_order SET agreed_delivery_date = '{}' WHERE sales_order_id = 1"
    found = []
    for day in ("2022-11-10", "2022-11-07", "2022-11-01"):
        loaded.application.execute(move.format(day).encode())
        loaded.run()
        found.append(rows(loaded, "SELECT * FROM reports.delivery_slippage"))

    first = dt.date(2022, 11, 7)
    assert found == [
        [(1, first, dt.date(2022, 11, 10), 3)],
        [],
        [(1, first, dt.date(2022, 11, 1), -6)],
    ]
    loaded.application.execute(DELETE_ORDER_1)
    loaded.run()
    assert rows(loaded, "SELECT * FROM reports.delivery_slippage") == []


def test_orders_at_a_moment_are_those_of_the_last_batch_before(lived: Platform) -> None:
    """With the moment of each batch, a moment before the first, and now."""
    found = {
        batch: rows(
            lived,
            "SELECT sales_order_id, design_id FROM reports.orders_at((SELECT observed_at"
            f" FROM reports.batches WHERE batch_seq = {batch})) ORDER BY 1",
        )
        for batch in (1, 2, 3, 4, 5)
    }
    assert found == {
        1: [(1, 1), (2, 2)],
        2: [(1, 2), (2, 2)],
        3: [(1, 1), (2, 2)],
        4: [(2, 2)],
        5: [(1, 1), (2, 2)],
    }
    assert rows(lived, "SELECT * FROM reports.orders_at('2022-01-01')") == []
    assert len(rows(lived, "SELECT * FROM reports.orders_at(now())")) == 2


@pytest.mark.long
def test_warehouse_believed_what_it_had_loaded(loaded: Platform) -> None:
    """The second batch was read before the moment, and loaded after it."""
    loaded.application.execute(EDIT_ORDER_1)
    manifest = loaded.capture()
    assert manifest is not None
    [(moment,)] = rows(loaded, "SELECT clock_timestamp()")
    loaded.process(manifest)
    loaded.load(manifest)

    def design(report: str) -> Rows:
        query = f"SELECT design_id FROM reports.{report}('{moment}') WHERE sales_order_id = 1"
        return rows(loaded, query)

    assert design("orders_as_of") == [(1,)]
    assert design("orders_at") == [(2,)]
    assert rows(loaded, "SELECT * FROM reports.orders_as_of('2022-01-01')") == []


def test_orders_now_are_the_current_ones(lived: Platform) -> None:
    lived.application.execute(new_sale(9))
    lived.run()
    current = rows(
        lived,
        "SELECT sales_order_id, units_sold, unit_price, batch_seq"
        " FROM warehouse.current_fact_sales_order ORDER BY 1",
    )
    for report in ("orders_at", "orders_as_of"):
        query = "SELECT sales_order_id, units_sold, unit_price, batch_seq FROM reports.{}({}) {}"
        assert rows(lived, query.format(report, "now()", "ORDER BY 1")) == current


# The state of the tables


def test_quality_tells_what_is_in_quarantine(loaded: Platform) -> None:
    query = (
        "SELECT quarantined, audited_in_batch, state FROM reports.data_quality"
        " WHERE table_name = 'fact_payment'"
    )
    assert rows(loaded, query) == [(0, 1, "equal")]
    loaded.application.execute(bad_payment(1).encode())
    loaded.run()
    assert rows(loaded, query) == [(1, 2, "different, perhaps by quarantine alone")]
    loaded.audit()  # asks for a digest without the row
    loaded.audit()
    assert rows(loaded, query) == [(1, 2, "equal but for quarantine")]


def test_quality_tells_a_difference_and_what_is_behind(loaded: Platform) -> None:
    loaded.warehouse.execute("UPDATE warehouse.dim_staff SET first_name = 'X' WHERE staff_id = 1")
    loaded.audit()
    loaded.warehouse.execute(
        "UPDATE warehouse_bookkeeping.star SET sequence = 0 WHERE star = 'dim_design'"
    )
    found = dict(rows(loaded, "SELECT table_name, state FROM reports.data_quality"))

    assert found.pop("dim_staff") == "different"
    assert found.pop("dim_design") == "behind"
    assert set(found.values()) == {"equal"}


@pytest.mark.long
def test_quality_counts_the_quarantine_as_the_status_does(loaded: Platform) -> None:
    for key in (1, 2):
        loaded.application.execute(bad_payment(key).encode())
        loaded.run()
    expected = {t.star: t.quarantined for t in table_status(loaded.warehouse, loaded.names)}
    found = rows(loaded, "SELECT table_name, quarantined FROM reports.data_quality")

    assert dict(found) == expected
    assert expected["fact_payment"] == 2


def test_table_that_was_looked_at_since_is_fresh_as_of_then(loaded: Platform) -> None:
    query = "SELECT DISTINCT fresh_as_of FROM reports.data_quality"
    [(before,)] = rows(loaded, query)
    loaded.audit()

    [(after,)] = rows(loaded, query)
    assert after > before


# Readers


@pytest.fixture
def reader(loaded: Platform, server: Server) -> Iterator[psycopg.Connection]:
    dsn = server.dsn(stack.READER, loaded.warehouse_database)
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def test_reader_may_ask_every_report(reader: Connection) -> None:
    for report in reports.declared():
        reader.execute(f"SELECT * FROM {call(report)}".encode())


def test_reader_sees_views_and_no_table_but_the_calendar(reader: Connection) -> None:
    for star in WAREHOUSE_TABLES.values():
        allowed = star.kind is Kind.CALENDAR
        query = "SELECT has_table_privilege(%s, 'SELECT')"
        assert reader.execute(query, [f"warehouse.{star.name}"]).fetchone() == (allowed,)
    viewed = [star.name for star in WAREHOUSE_TABLES.values() if star.kind is not Kind.CALENDAR]
    views = reader.execute(
        "SELECT viewname, has_table_privilege('warehouse.' || viewname, 'SELECT') FROM pg_views"
        " WHERE schemaname = 'warehouse'"
    ).fetchall()
    assert dict(views) == {f"{of}_{name}": True for of in ("current", "history") for name in viewed}
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute("SELECT * FROM warehouse_bookkeeping.quarantine")


def test_queries_of_the_readme_run_as_the_reader(loaded: Platform, reader: Connection) -> None:
    loaded.application.execute(
        "UPDATE sales_order SET agreed_delivery_date = '2022-11-10' WHERE sales_order_id = 1"
    )
    loaded.run()
    text = README.read_text()
    section = text[text.index("## Answers") : text.index("## What it promises")]
    [block] = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    queries = [query for query in block.split(";") if query.strip()]

    found = [reader.execute(query.encode()).fetchall() for query in queries]

    assert [len(answer) for answer in found] == [2, 3, 2, 2]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE VIEW reports.mine AS SELECT 1",
        "DROP VIEW reports.overdue_today",
        "CREATE OR REPLACE FUNCTION reports.overdue(date) RETURNS integer RETURN 1",
    ],
)
def test_reader_may_not_change_a_report(reader: psycopg.Connection, statement: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        reader.execute(statement.encode())
