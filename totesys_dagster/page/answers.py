"""What the page says: one class for the rows of each report, with its columns as fields."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from zoneinfo import ZoneInfo

LONDON = ZoneInfo("Europe/London")


def day_in_london(moment: dt.datetime) -> dt.date:
    return moment.astimezone(LONDON).date()


@dataclass(frozen=True)
class Batch:
    """The warehouse's last batch."""

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
    unfinished: bool


@dataclass(frozen=True)
class Target:
    """What an office sold in a month and currency, and its target; None if missing."""

    month: dt.date
    office: str
    currency_code: str
    revenue: Decimal | None
    target_amount: Decimal | None
    percent_of_target: Decimal | None
    unfinished: bool


@dataclass(frozen=True)
class Country:
    """Deliveries to a country; the code is None if the name is unknown."""

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
    """Overdue payments of a direction and currency, by days overdue."""

    direction: str
    currency_code: str
    bucket: str
    payments: int
    amount: Decimal


@dataclass(frozen=True)
class Amended:
    """How often a column of sales orders was changed, and in how many orders."""

    changed: str
    changes: int
    orders: int
    last_seen: dt.datetime


@dataclass(frozen=True)
class Slipped:
    """A delivery whose agreed day has moved."""

    sales_order_id: int
    first_agreed: dt.date
    now_agreed: dt.date
    days: int


@dataclass(frozen=True)
class Slippage:
    """How many deliveries moved, and the median."""

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
    """The latest rate of a currency, None where it is missing, and since when it is carried."""

    currency_code: str
    reporting_currency: str
    rate: Decimal | None
    rate_date: dt.date
    quoted_on: dt.date | None
    carried_days: int | None
    source: str | None


@dataclass(frozen=True)
class Answers:
    """Everything on the page. `as_of` is the day that determines what is due and which month is
    over; `seen` says when each batch that an audit names was read; `missing` are the reports that
    could not be queried."""

    made_at: dt.datetime
    as_of: dt.date
    batch: Batch
    schema: str
    seen: Mapping[int, dt.datetime] = field(default_factory=dict)
    revenue: Sequence[Revenue] = ()
    months: Sequence[Month] = ()
    converted: Sequence[Converted] = ()
    rates: Sequence[Rate] = ()
    targets: Sequence[Target] = ()
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
    def today(self) -> dt.date:
        """The day in London on which the page is made."""
        return day_in_london(self.made_at)

    @property
    def orders(self) -> int:
        """The number of orders in all currencies."""
        return sum(row.orders for row in self.revenue)

    @property
    def overdue_payments(self) -> int:
        """The number of overdue payments in all currencies."""
        return sum(row.payments for row in self.overdue)

    @property
    def unknown_countries(self) -> Sequence[Country]:
        """The countries whose name is unknown."""
        return [row for row in self.countries if row.country_code is None]
