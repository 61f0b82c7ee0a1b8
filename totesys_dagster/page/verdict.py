"""Whether the numbers are right, in a sentence; and the format of numbers and days."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from totesys_dagster.page.answers import Answers, Quality
from totesys_dagster.words import counted

EQUAL = ("equal", "equal but for quarantine")


def money(amount: Decimal | None) -> str:
    """`543,550,705.50`; a dash for None."""
    return "–" if amount is None else f"{amount:,.2f}"


def day(date: dt.date | None) -> str:
    """`15 Nov 2024`."""
    return "–" if date is None else f"{date.day} {date:%b %Y}"


def month_name(date: dt.date) -> str:
    """`November 2024`."""
    return f"{date:%B %Y}"


def moment(time: dt.datetime | None) -> str:
    """`15 Nov 2024 07:55 UTC`."""
    return "–" if time is None else f"{day(time)} {time.astimezone(dt.UTC):%H:%M} UTC"


@dataclass(frozen=True)
class Verdict:
    """Whether the numbers are right, in a word and a sentence; `grade` is `proved`, `partly` or
    `different`."""

    grade: str
    word: str
    sentence: str


def verdict(answers: Answers) -> Verdict:
    """Whether the warehouse equals the source and as of when, or which tables are not proved."""
    quality = answers.quality
    different = [row for row in quality if row.state.startswith("different")]
    unproved = [row for row in quality if row.state not in EQUAL or row.audited_in_batch is None]
    quarantined = sum(row.quarantined for row in quality)
    if not quality:
        return Verdict("partly", "Not proved", "No comparison with ToteSys can be read.")
    if different:
        return Verdict(
            "different", "Differs from ToteSys", f"{_tables(answers, different)}: not equal."
        )
    if unproved:
        rest = "" if len(unproved) == len(quality) else " The other tables equal ToteSys."
        return Verdict("partly", "Not proved", f"{_tables(answers, unproved)}: not proved.{rest}")
    oldest = min(row.audited_in_batch or 0 for row in quality)
    seen = answers.seen.get(oldest)
    since = f"as of batch {oldest} or later" + (f", {moment(seen)}" if seen else "")
    if quarantined:
        return Verdict(
            "partly",
            "Equals ToteSys but for quarantine",
            f"{counted(quarantined, 'row')} in quarantine; the rest is proved {since}.",
        )
    return Verdict("proved", "Equals ToteSys", f"Every table is proved {since}.")


def _tables(answers: Answers, rows: Sequence[Quality]) -> str:
    """The tables, each with the last batch in which it was compared as a whole."""
    return ", ".join(f"{row.table_name} ({_compared(answers, row)})" for row in rows)


def _compared(answers: Answers, row: Quality) -> str:
    if row.audited_in_batch is None:
        return f"{row.state}, never compared as a whole"
    seen = answers.seen.get(row.audited_in_batch)
    when = f", {moment(seen)}" if seen else ""
    return f"{row.state}, last compared in batch {row.audited_in_batch}{when}"
