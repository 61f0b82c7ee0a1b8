"""Answers that were made up, with a row or more in every section of the page."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

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
)

NOON = dt.datetime(2024, 11, 15, 12, tzinfo=dt.UTC)
DAY = NOON.date()
NOVEMBER = DAY.replace(day=1)
# What somebody may write into any name.
MARKUP = "<script>alert(1)</script>"


def quality(
    table: str = "dim_staff", state: str = "equal", batch: int | None = 7, quarantined: int = 0
) -> Quality:
    return Quality(table, quarantined, batch, state, NOON)


def answers(**changed: Any) -> Answers:
    """A page's worth of answers, but for what is changed."""
    return replace(_ALL, **changed)


def months(count: int, currencies: Sequence[str] = ("EUR", "GBP", "USD")) -> list[Month]:
    """So many months up to November 2024, the last of them unfinished."""
    found = []
    for back in reversed(range(count)):
        years, month = divmod(10 - back, 12)
        first = dt.date(2024 + years, month + 1, 1)
        found += [
            Month(first, c, 150, 7_500_000, Decimal("21500000.25"), not back) for c in currencies
        ]
    return found


_ALL = Answers(
    made_at=NOON,
    as_of=DAY,
    batch=Batch(7, NOON, NOON),
    schema="reports",
    seen={7: NOON},
    revenue=[
        Revenue("EUR", 3800, 189_410_174, Decimal("567792732.95")),
        Revenue("GBP", 3599, 181_598_700, Decimal("543550705.50")),
    ],
    months=months(25),
    converted=[
        Converted(DAY.replace(day=1), "GBP", 320, 16_000_000, Decimal("62054321.07"), 9, 2, True)
    ],
    rates=[
        Rate("EUR", "GBP", Decimal("0.83421"), DAY, DAY - dt.timedelta(2), 2, "ecb"),
        Rate("USD", "GBP", Decimal("0.78"), DAY, DAY, 0, "ecb"),
        Rate("XAU", "GBP", None, DAY - dt.timedelta(9), None, None, None),
    ],
    targets=[
        Target(
            NOVEMBER,
            "Leeds",
            "GBP",
            Decimal("19500000.00"),
            Decimal("20000000.00"),
            Decimal("97.5"),
            True,
        ),
        Target(NOVEMBER, "Manchester", "USD", None, Decimal("30000000.00"), None, True),
    ],
    countries=[
        Country("Republic of Korea", "KR", 723, 9),
        Country("Democratic People's Republic of Korea", "KP", 383, 9),
        Country("Heard Island and McDonald Islands", "HM", 369, 9),
        Country("Atlantis", None, 3, 9),
    ],
    staff=[Staff(3, "Stan Lehner", "Dispatch", 608, 9), Staff(9, "Flavio Kulas", "HR", 514, 9)],
    overdue=[
        Overdue("receivable", "GBP", 1320, Decimal("199890417.55"), "due on a weekend"),
        Overdue("payable", "EUR", 1, Decimal("5.00"), "other"),
    ],
    ageing=[
        Aged("receivable", "GBP", "1-30", 713, Decimal("100000000.50")),
        Aged("receivable", "GBP", "over 365", 607, Decimal("99890417.05")),
        Aged("payable", "EUR", "31-60", 1, Decimal("5.00")),
    ],
    amended=[Amended("agreed_delivery_location_id", 12, 11, NOON)],
    slippage=Slippage(7, 1, 2.5),
    slipped=[Slipped(4711, DAY, DAY + dt.timedelta(649), 649)],
    quality=[quality(), quality("fact_purchase_order")],
)
