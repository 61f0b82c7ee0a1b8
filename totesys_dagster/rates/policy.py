"""Which quotation is refused, and which rate a day has. Pure: no clock, no lake, no network.

The daily source has every day, including weekends, from March 2024 on; once, a whole file of it was
wrong. The bank has quoted on every day on which its payment system works since 1999. If both have a
day, each cross-checks the other. If only one does, it is refused only for a move that no market has
made: the largest real one is 7.8 %, on 2016-06-24; an inverted rate of the dollar moves by about
40 %, one of the euro by 30 %. So a wrong quotation within 15 % of the previous one, on a day that
no other source has, is accepted.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import NamedTuple

from totesys_dagster.rates.quotations import CURRENCIES, Quotation

DAILY, BANK = "fawazahmed0", "ECB"
# The first day of each source.
DAILY_SINCE = dt.date(2024, 3, 2)
BANK_SINCE = dt.date(1999, 1, 4)

# For how many days a quotation is valid.
CARRIED_DAYS = 7

WARN_DIFFERENCE = Decimal("0.01")
REFUSE_DIFFERENCE = Decimal("0.03")
REFUSE_MOVE = Decimal("0.05")  # if both sources have the day, and the other one moves differently
REFUSE_MOVE_ALONE = Decimal("0.15")
# Moves are not measured against quotations older than this.
LONGEST_MOVE = dt.timedelta(days=366)

# The quotations of a source, by day.
Quotations = Mapping[dt.date, Quotation]


@dataclass
class Judgement:
    """The accepted quotations, by source and day; why the others were refused; and days on which
    both are accepted but differ more than usual."""

    accepted: dict[str, dict[dt.date, Quotation]] = field(
        default_factory=lambda: {DAILY: {}, BANK: {}}
    )
    refused: dict[tuple[str, dt.date], str] = field(default_factory=dict)
    warnings: dict[dt.date, str] = field(default_factory=dict)


class Rate(NamedTuple):
    """The rate of a currency on a day: pounds sterling for one unit, the day of the quotation, and
    who quoted it; None if no quotation is valid."""

    day: dt.date
    currency: str
    to_gbp: Decimal | None
    quoted_on: dt.date | None
    source: str | None

    @property
    def carried_days(self) -> int | None:
        return None if self.quoted_on is None else (self.day - self.quoted_on).days


def judge(quotations: Mapping[str, Quotations]) -> Judgement:
    """Judge all quotations in order of day, each by those of its day and of earlier days."""
    found = Judgement()
    last: dict[str, dt.date] = {}
    for day in sorted({day for of_source in quotations.values() for day in of_source}):
        given = {name: of[day] for name, of in quotations.items() if day in of}
        moves = {name: _moves(found, last, name, day, given[name]) for name in given}
        reasons = _reasons(given, moves)
        for name, quotation in given.items():
            if name in reasons:
                found.refused[name, day] = reasons[name]
            else:
                found.accepted[name][day], last[name] = quotation, day
        if len(given) == 2 and not reasons:
            code, difference = _difference(given)
            if difference > WARN_DIFFERENCE:
                found.warnings[day] = f"the sources differ by {difference:.1%} in {code}"
    return found


# By how much each currency has moved, as a share, if that is known.
Moves = Mapping[str, Decimal]


def _moves(
    found: Judgement, last: Mapping[str, dt.date], name: str, day: dt.date, quotation: Quotation
) -> Moves:
    """The moves since the source's own last quotation or, if that is old, since any source's."""
    own = last.get(name)
    if own is None or (day - own).days > CARRIED_DAYS:
        own = max(last.values(), default=None)
    if own is None or day - own > LONGEST_MOVE:
        return {}
    before = next(of[own] for of in (found.accepted[name], *found.accepted.values()) if own in of)
    return {code: quotation[code] / before[code] - 1 for code in CURRENCIES}


def _reasons(given: Mapping[str, Quotation], moves: Mapping[str, Moves]) -> dict[str, str]:
    """Why quotations of a day are refused, by source."""
    if len(given) < 2:
        return {name: why for name in given if (why := _alone(moves[name]))}
    reasons = {name: why for name in given if (why := _beside(moves[name], _other(moves, name)))}
    if reasons:
        left = given.keys() - reasons.keys()
        return reasons | {name: why for name in left if (why := _alone(moves[name]))}
    code, difference = _difference(given)
    if difference > REFUSE_DIFFERENCE:
        return {DAILY: f"{code} differs by {difference:.1%} from the rate of {BANK} (limit 3 %)"}
    return {}


def _other(moves: Mapping[str, Moves], name: str) -> Moves:
    return next(of for other, of in moves.items() if other != name)


def _alone(moves: Moves) -> str | None:
    for code, move in moves.items():
        if abs(move) > REFUSE_MOVE_ALONE:
            return f"{code} has moved by {move:+.1%}, and no other source has the day (limit 15 %)"
    return None


def _beside(moves: Moves, other: Moves) -> str | None:
    for code, move in moves.items():
        alike = abs(move - other.get(code, Decimal(0))) <= REFUSE_DIFFERENCE
        if abs(move) > REFUSE_MOVE and not alike:
            return f"{code} has moved by {move:+.1%}, and the other source's has not (limit 5 %)"
    return None


def _difference(given: Mapping[str, Quotation]) -> tuple[str, Decimal]:
    """The currency in which the sources differ most, and by which share."""
    daily, bank = given[DAILY], given[BANK]
    return max(((c, abs(daily[c] / bank[c] - 1)) for c in CURRENCIES), key=lambda one: one[1])


def rates(accepted: Mapping[str, Quotations], first: dt.date, last: dt.date) -> Iterator[Rate]:
    """The rates of each day from the first to the last.

    A day has the daily source's quotation if there is one; otherwise the bank's last one or, if the
    bank has none of the last seven days, the daily source's last one.
    """
    day = first - dt.timedelta(days=CARRIED_DAYS)
    latest: dict[str, dt.date] = {}
    while day <= last:
        latest |= {name: day for name, of in accepted.items() if day in of}
        if day >= first:
            yield from _of_day(accepted, latest, day)
        day += dt.timedelta(days=1)


def _of_day(
    accepted: Mapping[str, Quotations], latest: Mapping[str, dt.date], day: dt.date
) -> Iterator[Rate]:
    held = {name: on for name, on in latest.items() if (day - on).days <= CARRIED_DAYS}
    source = DAILY if held.get(DAILY) == day or BANK not in held else BANK
    if source in held:
        quotation = accepted[source][held[source]]
        yield from (Rate(day, code, quotation[code], held[source], source) for code in CURRENCIES)
    else:
        yield from (Rate(day, code, None, None, None) for code in CURRENCIES)
