"""What the page says: the answers of the reports, all of them read in one snapshot.

Only what a reader may see is asked. A report that this warehouse does not have, or this role may
not read, leaves its section away; the page says so.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, TypeVar

from psycopg import errors, sql
from psycopg.rows import class_row

from totesys_dagster.errors import LoadError
from totesys_dagster.postgres.sessions import Connection, Names, begin, failures, leave, one

SNAPSHOT = "ISOLATION LEVEL REPEATABLE READ READ ONLY"
# How many of the deliveries that moved farthest are shown.
FARTHEST = 5

Row = TypeVar("Row")


@dataclass(frozen=True)
class Batch:
    """The last batch that the warehouse holds."""

    batch_seq: int
    observed_at: dt.datetime
    loaded_at: dt.datetime


@dataclass(frozen=True)
class Revenue:
    """What was sold in a currency."""

    currency_code: str
    orders: int
    units: int
    revenue: Decimal


@dataclass(frozen=True)
class Month:
    """What was sold in a month and currency."""

    month: dt.date
    currency_code: str
    orders: int
    units: int
    revenue: Decimal
    unfinished: bool


@dataclass(frozen=True)
class Converted:
    """What was sold in a month, in the reporting currency."""

    month: dt.date
    reporting_currency: str
    orders: int
    units: int
    revenue: Decimal | None
    orders_at_carried_rate: int
    orders_without_rate: int


@dataclass(frozen=True)
class Country:
    """Deliveries to a country; the code is None where the name is not known."""

    country: str
    country_code: str | None
    orders: int
    units: int


@dataclass(frozen=True)
class Staff:
    """Orders of a member of staff."""

    staff_id: int
    staff_name: str
    department_name: str
    orders: int
    units: int


@dataclass(frozen=True)
class Overdue:
    """Overdue payments of a direction and currency, for one reason."""

    direction: str
    currency_code: str
    payments: int
    amount: Decimal
    reason: str


@dataclass(frozen=True)
class Aged:
    """Overdue payments of a direction and currency, for so many days."""

    direction: str
    currency_code: str
    bucket: str
    payments: int
    amount: Decimal


@dataclass(frozen=True)
class Amended:
    """How often a column of sales orders was changed, and of how many orders."""

    changed: str
    changes: int
    orders: int
    last_seen: dt.datetime


@dataclass(frozen=True)
class Slipped:
    """A delivery that is agreed for another day than at first."""

    sales_order_id: int
    first_agreed: dt.date
    now_agreed: dt.date
    days: int


@dataclass(frozen=True)
class Slippage:
    """How many deliveries moved, and by how much in the middle."""

    later: int
    earlier: int
    median_days: float | None


@dataclass(frozen=True)
class Quality:
    """How far a table of the warehouse can be trusted."""

    table_name: str
    quarantined: int
    audited_in_batch: int | None
    state: str
    fresh_as_of: dt.datetime | None


@dataclass(frozen=True)
class Rate:
    """The latest rate of a currency, and since when it is carried."""

    currency_code: str
    rate_to_gbp: Decimal | None
    rate_date: dt.date
    quoted_on: dt.date | None
    carried_days: int | None
    source: str | None


@dataclass(frozen=True)
class Answers:
    """All that the page is made of. `as_of` is the day by which it is judged what is due, `seen`
    when each batch was read that an audit names; `missing` are reports that could not be asked."""

    made_at: dt.datetime
    as_of: dt.date
    batch: Batch
    schema: str
    seen: Mapping[int, dt.datetime] = field(default_factory=dict)
    revenue: Sequence[Revenue] = ()
    months: Sequence[Month] = ()
    converted: Sequence[Converted] = ()
    rates: Sequence[Rate] = ()
    countries: Sequence[Country] = ()
    staff: Sequence[Staff] = ()
    overdue: Sequence[Overdue] = ()
    ageing: Sequence[Aged] = ()
    amended: Sequence[Amended] = ()
    slippage: Slippage = Slippage(0, 0, None)
    slipped: Sequence[Slipped] = ()
    quality: Sequence[Quality] = ()
    missing: Sequence[str] = ()

    @property
    def orders(self) -> int:
        """How many orders there are, whatever their currencies."""
        return sum(row.orders for row in self.revenue)

    @property
    def overdue_payments(self) -> int:
        """How many payments are overdue, whatever their currencies."""
        return sum(row.payments for row in self.overdue)

    @property
    def unknown_countries(self) -> Sequence[Country]:
        """Those whose name means no country that is known."""
        return [row for row in self.countries if row.country_code is None]


def ask(connection: Connection, names: Names, as_of: dt.date | None = None) -> Answers:
    """The answers of a warehouse now. What is due is judged by `as_of`, today in London without.

    Raises LoadError when it holds no batch or cannot be read.
    """
    with failures(LoadError, "the reading of the reports"):
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
        """Whether the report is there and may be asked, be it a view or a function."""
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
        """The rows of a report, one field for each column; none where it cannot be asked."""
        if not self.has(report):
            self.missing.append(report)
            return []
        attributes: list[str] = [one.name for one in fields(kind)]  # type: ignore[arg-type]
        columns = sql.SQL(", ").join(map(sql.Identifier, attributes))
        return self.query(report, kind, columns, more, call)

    def query(
        self,
        report: str,
        kind: type[Row],
        columns: sql.SQL | sql.Composed,
        more: str = "",
        call: Sequence[Any] | None = None,
    ) -> list[Row]:
        place = self.names.report(report).as_string(None)
        arguments = f"({', '.join(['%s'] * len(call))})" if call is not None else ""
        query = sql.SQL("SELECT {} FROM {} ").format(
            columns, sql.SQL(place.replace("%", "%%") + arguments)
        ) + sql.SQL(more)
        with self.connection.cursor(row_factory=class_row(kind)) as cursor:
            return cursor.execute(query, call).fetchall()


def _ask(reports: _Reports, as_of: dt.date | None) -> Answers:
    now = one(reports.connection, "SELECT now(), (now() AT TIME ZONE 'Europe/London')::date")
    day = as_of or now[1]
    if day > now[1]:
        raise LoadError(
            f"{day} is yet to come, and what will be overdue then is not known: name a day up to"
            f" {now[1]}, which is today in London."
        )
    batches = reports.of("batches", Batch)
    if not batches:
        raise _nothing(reports)
    months = reports.of("revenue_by_month", Month, "ORDER BY month, currency_code")
    quality = reports.of("data_quality", Quality, "ORDER BY table_name")
    named = {row.audited_in_batch for row in quality}
    return Answers(
        made_at=now[0],
        as_of=day,
        batch=max(batches, key=lambda one: one.batch_seq),
        schema=reports.names.reports,
        seen={one.batch_seq: one.observed_at for one in batches if one.batch_seq in named},
        revenue=reports.of("revenue_by_currency", Revenue, "ORDER BY currency_code"),
        months=marked(months, day),
        converted=_converted(reports),
        rates=_rates(reports),
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


def _nothing(reports: _Reports) -> LoadError:
    if reports.missing:
        return LoadError(
            f"The warehouse has no schema {reports.names.reports} that this role may read: run"
            " `totesys migrate`, or set TOTESYS_WAREHOUSE_DSN to a role that reads reports."
        )
    return LoadError("The warehouse holds no batch yet: take one with `totesys run`.")


def marked(months: Sequence[Month], as_of: dt.date) -> list[Month]:
    """The months, the last one marked as unfinished where the day that counts lies in it."""
    last = max((one.month for one in months), default=None)
    day = as_of.replace(day=1)
    unfinished = {day} if last == day else set()
    return [
        Month(**{**vars(one), "unfinished": one.unfinished or one.month in unfinished})
        for one in months
    ]


def _converted(reports: _Reports) -> list[Converted]:
    """Revenue in the reporting currency, where there are exchange rates."""
    name = "revenue_in_reporting_currency_by_month"
    return reports.of(name, Converted, "ORDER BY month") if reports.has(name) else []


def _rates(reports: _Reports) -> list[Rate]:
    """The latest rate of each currency, where the warehouse has rates that may be read."""
    name = "current_fact_exchange_rate"
    query = sql.SQL(
        "SELECT DISTINCT ON (currency_code) currency_code, rate_to_gbp, rate_date, quoted_on,"
        " carried_days, source FROM {} ORDER BY currency_code, rate_date DESC"
    ).format(reports.names.table(name))
    try:
        with (
            reports.connection.transaction(),
            reports.connection.cursor(row_factory=class_row(Rate)) as cursor,
        ):
            return cursor.execute(query).fetchall()
    except (errors.UndefinedTable, errors.UndefinedColumn, errors.InsufficientPrivilege):
        return []


def _amended(reports: _Reports) -> list[Amended]:
    name = "order_amendments"
    if not reports.has(name):
        reports.missing.append(name)
        return []
    columns = sql.SQL(
        "changed, count(*) AS changes, count(DISTINCT sales_order_id) AS orders,"
        " max(observed_at) AS last_seen"
    )
    return reports.query(name, Amended, columns, "GROUP BY changed ORDER BY changes DESC, changed")


def _slippage(reports: _Reports) -> Slippage:
    name = "delivery_slippage"
    if not reports.has(name):
        return Slippage(0, 0, None)
    columns = sql.SQL(
        "count(*) FILTER (WHERE days > 0) AS later, count(*) FILTER (WHERE days < 0) AS earlier,"
        " percentile_cont(0.5) WITHIN GROUP (ORDER BY days) AS median_days"
    )
    [found] = reports.query(name, Slippage, columns)
    return found
