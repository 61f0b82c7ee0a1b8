"""The page of the answers: one HTML file without scripts or network requests."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property
from importlib import resources

import jinja2
from markupsafe import Markup

from totesys_dagster.page import charts
from totesys_dagster.page.answers import Answers, Month, Rate
from totesys_dagster.page.newest import BY_NUMBER
from totesys_dagster.page.verdict import Verdict, day, moment, money, month_name, verdict
from totesys_dagster.warehouse.reports import Report, all_reports
from totesys_dagster.words import counted

BUCKETS = ("1-30", "31-60", "61-90", "91-365", "over 365")
# If ToteSys was last checked longer ago than this, the page says that it is out of date.
OLD = dt.timedelta(hours=36)
DIRECTIONS = {"receivable": "Owed to us", "payable": "Owed by us"}


def page(answers: Answers, *, staff_names: bool) -> str:
    """The page. Without `staff_names`, members of staff appear only by number."""
    return _template().render(page=_Page(answers, staff_names))


def _template() -> jinja2.Template:
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("totesys_dagster.page"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "counted": counted,
        "day": day,
        "money": money,
        "month": month_name,
        "moment": moment,
        "number": lambda number: f"{number:,}",
        "rate": lambda rate: "none" if rate is None else f"{rate:.6f}",
    }
    return environment.get_template("page.html")


@dataclass(frozen=True)
class _Aged:
    """A row of the ageing table: payments and amount by currency."""

    bucket: str
    cells: Sequence[tuple[int, Decimal | None]]


@dataclass(frozen=True)
class _Page:
    """What the template uses."""

    answers: Answers
    staff_names: bool
    by_number: str = BY_NUMBER

    @property
    def style(self) -> Markup:
        return Markup((resources.files(__package__) / "templates" / "page.css").read_text())  # nosec B704

    @property
    def verdict(self) -> Verdict:
        return verdict(self.answers)

    @property
    def is_old(self) -> bool:
        return self.answers.made_at - self.seen > OLD

    @property
    def seen(self) -> dt.datetime:
        """When ToteSys was last checked, as far as the warehouse is known to follow it."""
        looks = [row.fresh_as_of for row in self.answers.quality if row.fresh_as_of]
        return max([self.answers.batch.observed_at, *looks])

    @property
    def wide(self) -> Markup:
        return Markup(charts.by_month(self.answers.months, charts.WIDE))  # nosec B704

    @property
    def narrow(self) -> Markup:
        return Markup(charts.by_month(self.answers.months, charts.NARROW))  # nosec B704

    @property
    def world(self) -> Markup:
        return Markup(charts.world(self.answers.countries))  # nosec B704

    def finished(self, currency: str) -> Sequence[Month]:
        """The last two finished months of a currency, newest first."""
        found = [m for m in self.answers.months if m.currency_code == currency]
        return [m for m in reversed(found) if not m.unfinished][:2]

    @cached_property
    def currencies(self) -> Sequence[str]:
        return sorted({row.currency_code for row in self.answers.months})

    @property
    def months(self) -> Sequence[tuple[dt.date, bool, Sequence[Decimal | None]]]:
        """Newest first: the month, whether it is unfinished, and its revenue by currency."""
        found: dict[dt.date, dict[str, Month]] = {}
        for row in self.answers.months:
            found.setdefault(row.month, {})[row.currency_code] = row
        return [
            (
                month,
                any(row.unfinished for row in rows.values()),
                [rows[c].revenue if c in rows else None for c in self.currencies],
            )
            for month, rows in sorted(found.items(), reverse=True)
        ]

    @property
    def directions(self) -> Sequence[tuple[str, Sequence[str], Sequence[_Aged]]]:
        """The overdue payments: each direction's name, its currencies, and a row per age."""
        rows = self.answers.ageing
        result = []
        for direction in sorted({row.direction for row in rows}, reverse=True):
            cells = {
                (row.bucket, row.currency_code): (row.payments, row.amount)
                for row in rows
                if row.direction == direction
            }
            currencies = sorted({currency for _, currency in cells})
            ages = [
                _Aged(bucket, [cells.get((bucket, currency), (0, None)) for currency in currencies])
                for bucket in BUCKETS
            ]
            total = [
                (
                    sum(cells.get((bucket, currency), (0, None))[0] for bucket in BUCKETS),
                    sum((cells[k][1] for k in cells if k[1] == currency), Decimal()),
                )
                for currency in currencies
            ]
            result.append(
                (DIRECTIONS.get(direction, direction), currencies, [*ages, _Aged("all", total)])
            )
        return result

    @property
    def reasons(self) -> Sequence[tuple[str, int]]:
        """Why payments are overdue, and how many."""
        found: dict[str, int] = {}
        for row in self.answers.overdue:
            found[row.reason] = found.get(row.reason, 0) + row.payments
        return sorted(found.items(), key=lambda one: (-one[1], one[0]))

    @property
    def sources(self) -> Sequence[Report]:
        """The reports that were queried, each with its question and trap."""
        answers = self.answers
        optional = {
            "revenue_in_reporting_currency_by_month": answers.converted,
            "exchange_rates": answers.converted and answers.rates,
            "revenue_against_target": answers.targets,
        }
        left_away = {*answers.missing, *(name for name, rows in optional.items() if not rows)}
        reports = all_reports()
        return [reports[n] for n in SOURCES if n in reports and n not in left_away]

    @property
    def converted_total(self) -> Decimal:
        """The revenue of all months in the reporting currency."""
        return sum((row.revenue or Decimal() for row in self.answers.converted), Decimal())

    @property
    def carried(self) -> int:
        """The number of orders at an earlier day's rate."""
        return sum(row.orders_at_carried_rate for row in self.answers.converted)

    @property
    def without_rate(self) -> int:
        """The number of orders missing from the revenue in the reporting currency."""
        return sum(row.orders_without_rate for row in self.answers.converted)

    @property
    def unquoted(self) -> Sequence[str]:
        """The currencies of orders that no source quotes."""
        quoted = {
            code
            for r in self.answers.rates
            if r.rate is not None
            for code in (r.currency_code, r.reporting_currency)
        }
        return [
            row.currency_code for row in self.answers.revenue if row.currency_code not in quoted
        ]

    def age(self, rate: Rate) -> int:
        """Days from a rate's day to `as_of`."""
        return (self.answers.as_of - rate.rate_date).days

    def staff(self, staff_id: int, name: str) -> str:
        return name if self.staff_names else f"Staff {staff_id}"

    @staticmethod
    def share(value: int, values: Iterable[int]) -> str:
        """The width of a bar in per cent of the longest. Bars begin at zero."""
        return f"{100 * value / max(values):.1f}"


# The reports that the page is made of, in the order of its sections.
SOURCES = (
    "revenue_by_currency",
    "revenue_in_reporting_currency_by_month",
    "exchange_rates",
    "revenue_against_target",
    "revenue_by_month",
    "deliveries_by_country",
    "orders_by_staff",
    "ageing",
    "overdue",
    "order_amendments",
    "delivery_slippage",
    "data_quality",
    "batches",
)
