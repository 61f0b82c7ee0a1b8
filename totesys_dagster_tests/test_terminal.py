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
from totesys_dagster.warehouse.standing import Audit, Standing
from totesys_dagster.warehouse.status import TableStatus

AT = dt.datetime(2024, 11, 15, 9, 30, tzinfo=dt.UTC)


def audit(scope: str, *, equal_without: bool | None) -> Audit:
    equal = equal_without is None
    return Audit(12, "fact_sales_order", scope, 0, AT, False, 9, 9, equal, 1, equal_without)  # type: ignore[arg-type]


def letters_of_status(width: int) -> dict[str, int]:
    """What is printed for a table with a row in quarantine: each letter, and how often."""
    standing = Standing(audit("whole", equal_without=True), audit("touched", equal_without=None))
    table = TableStatus("fact_sales_order", 1, standing, 11_312, 11_355)
    stream = io.StringIO()
    report.print_status(Console(file=stream, width=width, highlight=False), [table])
    return Counter(re.findall(r"[\w…]", stream.getvalue()))


@pytest.mark.parametrize("width", [80, 110])
def test_status_with_a_quarantined_row_is_shown_in_full(width: int) -> None:
    assert letters_of_status(width) == letters_of_status(1000)
    assert letters_of_status(60) != letters_of_status(1000)


def test_what_is_piped_has_no_width() -> None:
    assert terminal._width(io.StringIO()) == terminal._width(None) == 100_000
