"""What the page says: a class for the rows of each report, whose fields are columns of it."""

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
    unfinished: bool


@dataclass(frozen=True)
class Target:
    """What an office has sold in a month and currency, and its target. What is missing is None."""

    month: dt.date
    office: str
    currency_code: str
    revenue: Decimal | None
    target_amount: Decimal | None
    percent_of_target: Decimal | None
    unfinished: bool


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
    """All that the page is made of. By the day `as_of` it is judged what is due and which month is
    over; `seen` is when each batch was read that an audit names; `missing` are reports that could
    not be asked."""

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
        """The day in London on which it is made."""
        return day_in_london(self.made_at)

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
