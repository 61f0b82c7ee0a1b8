"""The page's numbers in a few lines: the body of its mail, and a table for Dagster's UI."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

from totesys_dagster.page.answers import Answers
from totesys_dagster.page.newest import newest_url
from totesys_dagster.page.verdict import day, moment, money, verdict
from totesys_dagster.words import counted


def subject(answers: Answers) -> str:
    """The subject of the mail."""
    return f"Terrific Totes, {day(answers.today)}: {verdict(answers).word}"


def text(answers: Answers) -> str:
    """The body of the mail: plain text, without names of staff."""
    return "\n".join(_lines(answers)) + "\n"


def _lines(answers: Answers) -> Iterator[str]:
    found, batch = verdict(answers), answers.batch
    yield f"{found.word}. {found.sentence}"
    yield f"Batch {batch.batch_seq}, ToteSys as it was on {moment(batch.observed_at)}."
    yield ""
    yield "Revenue so far (currencies are not added up)"
    for row in answers.revenue:
        yield f"  {row.currency_code} {money(row.revenue):>18}  {counted(row.orders, 'order'):>14}"
    yield from _month(answers)
    yield ""
    yield f"Overdue on {day(answers.as_of)}: {counted(answers.overdue_payments, 'payment')}"
    for direction, currency, payments, amount in overdue(answers):
        yield f"  {direction:<10} {currency} {amount:>18}  {counted(payments, 'payment'):>14}"
    yield ""
    yield "The page is attached: open it in a browser. It needs no network."
    if url := newest_url():
        yield f"The newest page: {url}"


def _month(answers: Answers) -> Iterator[str]:
    last = max((row.month for row in answers.months), default=None)
    rows = [row for row in answers.months if row.month == last]
    if last is not None:
        over = " (not over)" if any(row.unfinished for row in rows) else ""
        yield ""
        yield f"{last:%B %Y}{over}"
    for row in rows:
        yield f"  {row.currency_code} {money(row.revenue):>18}  {counted(row.orders, 'order'):>14}"


def overdue(answers: Answers) -> list[tuple[str, str, int, str]]:
    """Overdue payments by direction and currency: how many, and how much, as text."""
    keys = {(row.direction, row.currency_code) for row in answers.overdue}
    result = []
    for key in sorted(keys, key=lambda one: (one[0] != "receivable", one)):
        rows = [row for row in answers.overdue if (row.direction, row.currency_code) == key]
        amount = money(sum((row.amount for row in rows), start=Decimal()))
        result.append((*key, sum(row.payments for row in rows), amount))
    return result


def table(answers: Answers) -> str:
    """Revenue and overdue payments as a small Markdown table, for Dagster's UI."""
    lines = ["| | currency | number | amount |", "|---|---|---:|---:|"]
    lines += [
        f"| revenue | {_cell(row.currency_code)} | {row.orders:,} | {money(row.revenue)} |"
        for row in answers.revenue
    ]
    lines += [
        f"| overdue, {_cell(direction)} | {_cell(currency)} | {payments:,} | {amount} |"
        for direction, currency, payments, amount in overdue(answers)
    ]
    return "\n".join(lines)


def _cell(value: str) -> str:
    return value.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;")
