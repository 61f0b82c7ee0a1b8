"""Revenue in pounds at the rates of both sources: by a warehouse, and by SQL written apart from it.

The bank's quotations are those that are installed, the daily source's are made up beside them.
"""

from __future__ import annotations

import csv
import datetime as dt
import io
import zipfile
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg

from totesys_dagster.feeds.load import load_all
from totesys_dagster.feeds.receive import receive
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.rates.process import EXCHANGE_RATES
from totesys_dagster.rates.receive import packaged_history, receive_history
from totesys_dagster.warehouse import schema
from totesys_dagster_tests.rates.conftest import body

FIRST, LAST = dt.date(2024, 10, 1), dt.date(2024, 11, 14)
SOLD_SINCE = dt.date(2022, 10, 20)
NOW = dt.datetime(2024, 11, 15, 12, tzinfo=dt.UTC)
# Inverted on a Wednesday and on a Saturday, and a tenth too high on a Tuesday.
WRONG = ("2024-10-09", "2024-10-12", "2024-10-22")
NAMES = Names("two")

# Day, source, and euros and dollars for one pound.
Quoted = tuple[dt.date, str, Decimal, Decimal]


def of_bank() -> Iterator[Quoted]:
    with zipfile.ZipFile(io.BytesIO(packaged_history())) as archive:
        text = archive.read(archive.namelist()[0]).decode()
    for line in csv.DictReader(io.StringIO(text)):
        day = dt.date.fromisoformat(line["Date"])
        if day >= SOLD_SINCE:
            pound, dollar = Decimal(line["GBP"]), Decimal(line["USD"])
            yield day, "ECB", 1 / pound, dollar / pound


def of_daily(bank: list[Quoted]) -> Iterator[Quoted]:
    """Each day but each tenth, up to four thousandths beside the bank's last quotation."""
    for number in range((LAST - FIRST).days + 1):
        day = FIRST + dt.timedelta(days=number)
        _, _, euros, dollars = max(one for one in bank if one[0] <= day)
        factor = 1 + Decimal(number % 9 - 4) / 1000
        if number % 10:
            yield day, "fawazahmed0", round(euros * factor, 8), round(dollars * factor, 8)


EXPECTED = """
WITH pounds AS (
    SELECT day, source, 'EUR' AS code, round(1 / euros, 18) AS rate FROM quoted
    UNION ALL
    SELECT day, source, 'USD', round(1 / dollars, 18) FROM quoted
), sold AS (
    SELECT s.created_at::date AS day, c.currency_code AS code, s.units_sold * s.unit_price AS amount
    FROM sales_order AS s JOIN currency AS c USING (currency_id)
), found AS (
    SELECT sold.*, best.day AS quoted_on, best.source,
        CASE code WHEN 'GBP' THEN 1 ELSE rate END AS pounds
    FROM sold, LATERAL (
        SELECT p.day, p.source, p.rate FROM pounds AS p
        WHERE p.code = CASE sold.code WHEN 'GBP' THEN 'EUR' ELSE sold.code END
            AND (p.day = sold.day OR p.source = 'ECB' AND p.day BETWEEN sold.day - 7 AND sold.day)
        ORDER BY (p.source = 'ECB'), p.day DESC LIMIT 1
    ) AS best
)
SELECT count(*), sum(round(amount * found.pounds, 2)), count(*) FILTER (WHERE quoted_on < day),
    count(*) FILTER (WHERE source <> 'ECB')
FROM found
"""
FOUND = """
SELECT sum(orders), sum(revenue), sum(orders_at_carried_rate), (
    SELECT count(*) FROM two.current_fact_sales_order AS o
    JOIN two.current_fact_exchange_rate AS r
        ON r.rate_date = o.created_date AND r.currency_code = 'EUR' AND r.source <> 'ECB'
)
FROM two_reports.revenue_in_reporting_currency_by_month
"""


def expected(source: psycopg.Connection, quoted: list[Quoted]) -> tuple[object, ...]:
    """What the source's own orders come to at the quotations that hold."""
    source.execute(
        "CREATE TEMP TABLE quoted (day date, source text, euros numeric, dollars numeric)"
    )
    with source.cursor() as cursor:
        cursor.executemany("INSERT INTO quoted VALUES (%s, %s, %s, %s)", quoted)
        [found] = cursor.execute(EXPECTED).fetchall()
    return found


def wrong(day: dt.date, euros: Decimal, dollars: Decimal) -> tuple[float, float]:
    if day.isoformat() not in WRONG:
        return float(euros), float(dollars)
    if day.weekday() == 1:
        return float(euros) * 1.1, float(dollars) * 1.1
    return 1 / float(euros), 1 / float(dollars)


def deliver(zone: Store, daily: list[Quoted]) -> None:
    receive_history(zone, packaged_history(), NOW, "test")
    for day, _, euros, dollars in daily:
        receive(
            EXCHANGE_RATES,
            zone,
            name=day.isoformat(),
            identity={"version": "1"},
            body=body(day.isoformat(), *wrong(day, euros, dollars)),
            observed_at=NOW,
            run_id="test",
        )


def with_two_sources(
    warehouse: Connection, source: psycopg.Connection, lake: Path
) -> tuple[list[str], tuple[object, ...], tuple[object, ...]]:
    """What was refused; and the number of orders, their revenue, how many have a carried rate, and
    how many one of the daily source, as a second warehouse in the same database finds them, with
    the same orders; and as they are found over the source's own orders."""
    schema.migrate(warehouse, NAMES)
    for table in ("dim_date", "dim_currency", "fact_sales_order"):
        warehouse.execute(
            f"INSERT INTO two.{table} OVERRIDING SYSTEM VALUE"  # type: ignore[arg-type]
            f" SELECT * FROM warehouse.{table}"
        )
    zones = [Store((lake / zone).as_uri(), zone) for zone in ("ingestion", "processed")]
    bank = [*of_bank()]
    daily = [*of_daily(bank)]
    deliver(zones[0], daily)
    loads = load_all(warehouse, NAMES, EXCHANGE_RATES, *zones)
    refused = [one.delivery.name for one in loads if one.receipt.refused]
    [found] = warehouse.execute(FOUND).fetchall()
    right = [one for one in daily if one[0].isoformat() not in WRONG]
    return refused, found, expected(source, bank + right)
