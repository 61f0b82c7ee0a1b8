"""Reports on terminals of any width, and in pipes."""

from __future__ import annotations

import datetime as dt
import io
import re
from collections import Counter

import pytest
from rich.console import Console

from totesys_dagster import report
from totesys_dagster.commands import terminal
from totesys_dagster.operations.quarantine import Row
from totesys_dagster.warehouse.standing import Audit, Standing
from totesys_dagster.warehouse.status import TableStatus

AT = dt.datetime(2024, 11, 15, 9, 30, tzinfo=dt.UTC)


def audit(scope: str, *, equal_without: bool | None) -> Audit:
    equal = equal_without is None
    return Audit(12, "fact_sales_order", scope, 0, AT, False, 9, 9, equal, 1, equal_without)  # type: ignore[arg-type]


def words_of_status(width: int, *others: str) -> dict[str, int]:
    """What is printed for tables with a row in quarantine: each word, and how often."""
    standing = Standing(audit("whole", equal_without=True), audit("touched", equal_without=None))
    names = ("fact_sales_order", *others)
    tables = [TableStatus(name, 1, standing, 11_312, 11_355) for name in names]
    stream = io.StringIO()
    report.print_status(Console(file=stream, width=width, highlight=False), tables)
    return Counter(re.findall(r"[\w…]+", stream.getvalue()))


@pytest.mark.parametrize("width", [90, 110])
def test_status_with_a_quarantined_row_is_shown_in_full(width: int) -> None:
    assert words_of_status(width) == words_of_status(1000)


def test_narrow_terminal_shows_sentences_instead_of_a_table() -> None:
    """Headings are repeated for each row, and nothing is broken or left out."""
    wide = words_of_status(1000, "fact_payment")
    for width in (80, 60, 40):
        narrow = words_of_status(width, "fact_payment")
        assert {*narrow} == {*wide}
        assert narrow["quarantine"] > wide["quarantine"]


def test_quarantine_is_listed_in_whole_words() -> None:
    def listed(width: int) -> set[str]:
        stream = io.StringIO()
        row = Row(12, "fact_sales_order", "sales_order", 11_312, ("agreed_delivery_date is none",))
        report.print_quarantine(Console(file=stream, width=width, highlight=False), [row])
        return {*re.findall(r"[\w…]+", stream.getvalue())}

    assert listed(80) == listed(60) == listed(1000)
    assert listed(30) == listed(1000) - {"warehouse", "table"}  # the heading of names


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_error_is_wrapped_between_words_and_a_path_stays_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(terminal, "progress", Console(width=40))
    text = (
        "Error: the batch lacks s3://bucket/rows/sales_order/part-00000-cd748c55.jsonl: restore it."
    )
    shown = terminal.wrapped(text, Terminal())

    assert shown.split() == text.split()
    assert len(shown.splitlines()) == 3
    assert terminal.wrapped(text, io.StringIO()) == text


def test_what_is_piped_has_no_width() -> None:
    assert terminal._width(io.StringIO()) == terminal._width(None) == 100_000
