"""Queries the reports for the page, all of them in one snapshot.

The queries use only what a reader may see. If this warehouse lacks a report, or this role may not
read it, its section is missing and the page says so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, TypeVar

from psycopg import errors, sql
from psycopg.rows import class_row

from totesys_dagster.errors import LoadError
from totesys_dagster.page.answers import (
    Aged,
    Amended,
    Answers,
    Batch,
    Converted,
    Country,
    Month,
    Overdue,
    Quality,
    Rate,
    Revenue,
    Slippage,
    Slipped,
    Staff,
    Target,
    day_in_london,
)
from totesys_dagster.postgres.sessions import Connection, Names, begin, failures, leave, one

SNAPSHOT = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
# How many deliveries that moved farthest are shown.
FARTHEST = 5

# How many months are compared with their targets.
TARGETED_MONTHS = 3

Row = TypeVar("Row")
ByMonth = TypeVar("ByMonth", Month, Converted, Target)


def ask(connection: Connection, names: Names, as_of: dt.date | None = None) -> Answers:
    """The current answers of a warehouse. `as_of` determines what is due; default: London's today.

    Raises LoadError if the warehouse holds no batch or cannot be read.
    """
    with failures(LoadError, "the read of the reports"):
        begin(connection, SNAPSHOT)
        try:
            return _ask(_Reports(connection, names), as_of)
        finally:
            leave(connection)


@dataclass(frozen=True)
class _Reports:
    connection: Connection
    names: Names
    missing: list[str] = field(default_factory=list)

    def has(self, report: str) -> bool:
        """Whether the report, a view or a function, exists and may be queried."""
        query = """
            SELECT EXISTS (
                SELECT FROM pg_class WHERE relname = %(name)s AND relkind = 'v'
                AND relnamespace = to_regnamespace(quote_ident(%(schema)s))
                AND has_table_privilege(oid, 'SELECT')
            ) OR EXISTS (
                SELECT FROM pg_proc WHERE proname = %(name)s
                AND pronamespace = to_regnamespace(quote_ident(%(schema)s))
                AND has_function_privilege(oid, 'EXECUTE')
            )
        """
        schema = self.names.reports
        row = one(self.connection, query, {"name": report, "schema": schema})
        return bool(row[0])

    def of(
        self, report: str, kind: type[Row], more: str = "", *, call: Sequence[Any] | None = None
    ) -> list[Row]:
        """The rows of a report, one field per column; none if it cannot be queried."""
        if not self.has(report):
            self.missing.append(report)
            return []
        return self.query(report, kind, _columns(kind), sql.SQL(more), call)

    def query(
        self,
        report: str,
        kind: type[Row],
        columns: sql.Composable,
        more: sql.Composable,
        call: Sequence[Any] | None = None,
    ) -> list[Row]:
        arguments = sql.SQL("({})").format(sql.SQL(", ").join(map(sql.Literal, call or ())))
        query = sql.SQL("SELECT {} FROM {}{} {}").format(
            columns, self.names.report(report), sql.SQL("") if call is None else arguments, more
        )
        with self.connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(query).fetchall()


def _columns(kind: type[Any]) -> sql.Composed:
    return sql.SQL(", ").join(sql.Identifier(column.name) for column in fields(kind))


def _ask(reports: _Reports, as_of: dt.date | None) -> Answers:
    [now] = one(reports.connection, "SELECT now()")
    day = as_of or day_in_london(now)
    _require_past(day, day_in_london(now))
    batches = reports.of("batches", Batch)
    if not batches:
        raise _nothing(reports)
    months = reports.of("revenue_by_month", Month, "ORDER BY month, currency_code")
    quality = reports.of("data_quality", Quality, "ORDER BY table_name")
    named = {row.audited_in_batch for row in quality}
    return Answers(
        made_at=now,
        as_of=day,
        batch=max(batches, key=lambda one: one.batch_seq),
        schema=reports.names.reports,
        seen={one.batch_seq: one.observed_at for one in batches if one.batch_seq in named},
        revenue=reports.of("revenue_by_currency", Revenue, "ORDER BY currency_code"),
        months=marked(months, day),
        converted=marked(_converted(reports), day),
        rates=_rates(reports, day),
        targets=_targets(reports, day),
        countries=reports.of(
            "deliveries_by_country", Country, "ORDER BY orders DESC, country, country_code"
        ),
        staff=reports.of("orders_by_staff", Staff, "ORDER BY orders DESC, staff_id"),
        overdue=reports.of("overdue", Overdue, call=[day]),
        ageing=reports.of("ageing", Aged, call=[day]),
        amended=_amended(reports),
        slippage=_slippage(reports),
        slipped=reports.of(
            "delivery_slippage",
            Slipped,
            f"ORDER BY abs(days) DESC, sales_order_id LIMIT {FARTHEST}",
        ),
        quality=quality,
        missing=sorted({*reports.missing}),
    )


def _require_past(day: dt.date, today: dt.date) -> None:
    if day > today:
        raise LoadError(
            f"{day} is in the future, so what will be overdue is not known: name a day up to"
            f" {today}, which is today in London."
        )


def _nothing(reports: _Reports) -> LoadError:
    if reports.missing:
        return LoadError(
            f"The warehouse has no schema {reports.names.reports} that this role may read: run"
            " `totesys migrate`, or set TOTESYS_WAREHOUSE_DSN to a role that reads reports."
        )
    return LoadError("The warehouse holds no batch yet: take one with `totesys run`.")


def marked(months: Sequence[ByMonth], as_of: dt.date) -> list[ByMonth]:
    """The rows, with the last month marked as unfinished if it contains `as_of`."""
    last = max((one.month for one in months), default=None)
    day = as_of.replace(day=1)
    unfinished = {day} if last == day else set()
    return [replace(one, unfinished=one.unfinished or one.month in unfinished) for one in months]


def _converted(reports: _Reports) -> list[Converted]:
    """Revenue in the reporting currency, if there are exchange rates."""
    name = "revenue_in_reporting_currency_by_month"
    return reports.of(name, Converted, "ORDER BY month") if reports.has(name) else []


def _rates(reports: _Reports, as_of: dt.date) -> list[Rate]:
    """The latest known rate of each currency on a day, if there are exchange rates."""
    name = "exchange_rates"
    if not reports.has(name):
        return []
    columns = sql.SQL("DISTINCT ON (currency_code) ") + _columns(Rate)
    # After seven days without a quotation, a day has a row without a rate.
    more = sql.SQL("WHERE rate_date <= {} ORDER BY currency_code, rate IS NULL, rate_date DESC")
    return reports.query(name, Rate, columns, more.format(sql.Literal(as_of)))


def _targets(reports: _Reports, as_of: dt.date) -> list[Target]:
    """The last months up to a day that have a target, with every office that sold in them."""
    name = "revenue_against_target"
    order = "ORDER BY month DESC, office, currency_code"
    asked = reports.has(name) and _has_target(reports)
    rows = reports.of(name, Target, order) if asked else []
    with_target = {r.month for r in rows if r.target_amount is not None and r.month <= as_of}
    months = sorted(with_target)[-TARGETED_MONTHS:]
    return marked([row for row in rows if months and months[0] <= row.month <= as_of], as_of)


def _has_target(reports: _Reports) -> bool:
    """Whether there can be a target: without one, the report would still scan all orders."""
    name = reports.names.table("current_fact_sales_target")
    try:
        with reports.connection.transaction():
            query = sql.SQL("SELECT EXISTS (SELECT FROM {})").format(name)
            return bool(one(reports.connection, query)[0])
    except (errors.UndefinedTable, errors.InsufficientPrivilege):
        return True


def _amended(reports: _Reports) -> list[Amended]:
    name = "order_amendments"
    if not reports.has(name):
        reports.missing.append(name)
        return []
    columns = sql.SQL(
        "changed, count(*) AS changes, count(DISTINCT sales_order_id) AS orders,"
        " max(observed_at) AS last_seen"
    )
    more = sql.SQL("GROUP BY changed ORDER BY changes DESC, changed")
    return reports.query(name, Amended, columns, more)


def _slippage(reports: _Reports) -> Slippage:
    name = "delivery_slippage"
    if not reports.has(name):
        return Slippage(0, 0, None)
    columns = sql.SQL(
        "count(*) FILTER (WHERE days > 0) AS later, count(*) FILTER (WHERE days < 0) AS earlier,"
        " percentile_cont(0.5) WITHIN GROUP (ORDER BY days) AS median_days"
    )
    [found] = reports.query(name, Slippage, columns, sql.SQL(""))
    return found
