"""No statement that reads the source may become quadratic, whatever the source knows of its tables.

Its plan is looked at as it was run, see `plans.py`.
"""

from __future__ import annotations

import datetime as dt

import pytest

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.ingestion import blocks
from totesys_dagster.ingestion.poll import PollCursor, poll
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.plans import (
    ALL_CHANGE,
    ALL_GO,
    CASES,
    EVERY_SECOND_GOES,
    NEARLY_ALL_GO,
    SOME_CHANGE,
    Plans,
    analyze,
    edit,
    grow,
    watched,
)

ALL_TABLES = tuple(SOURCE_TABLES)

# Each kind of batch: what happens in the source, and the tables that are read in full.
BATCHES: dict[str, tuple[str, tuple[str, ...]]] = {
    "some change": (SOME_CHANGE, ()),
    "departments change": ("UPDATE department SET location = location || '4'", ()),
    "departments and some staff change": (
        """
        UPDATE department SET location = location || '4';
        UPDATE staff SET last_name = last_name || '4' WHERE staff_id % 100 = 7
        """,
        (),
    ),
    "staff and some departments change": (
        """
        UPDATE staff SET last_name = last_name || '4';
        UPDATE department SET location = location || '4' WHERE department_id % 100 = 7
        """,
        (),
    ),
    "all change": (ALL_CHANGE, ()),
    "full read": ("", ALL_TABLES),
    "full read of the parents": (SOME_CHANGE, ("department", "address")),
    "every second gone": (EVERY_SECOND_GOES, ()),
    "all gone": (ALL_GO, ()),
}


def take(platform: Platform, *, full: tuple[str, ...] = ()) -> None:
    """A poll, then the next batch as far as the lake."""
    poll(platform.source, platform.ingestion, PollCursor(), dt.datetime.now(dt.UTC))
    assert platform.capture(full=full) is not None


@pytest.mark.parametrize(("statistics", "rows"), CASES)
def test_no_statement_goes_through_rows_over_and_over(
    platform: Platform, statistics: str, rows: int
) -> None:
    def renew_statistics() -> None:
        if statistics == "fresh":
            analyze(platform)

    with watched(platform) as plans:
        if statistics == "outdated":
            take(platform)
            analyze(platform)
        grow(platform, rows)
        renew_statistics()
        plans.step = "the first rows"
        take(platform)
        for plans.step, (statements, full) in BATCHES.items():
            edit(platform, statements)
            renew_statistics()
            take(platform, full=full)
        if statistics == "outdated":
            analyze(platform)
        plans.step = "all come back"
        grow(platform, rows)
        take(platform)
        plans.step = "nearly all go"
        edit(platform, NEARLY_ALL_GO)
        take(platform)

    assert _reads(plans, "departments change", "staff") > rows / 10
    assert plans.complaints() == []


def test_table_that_is_read_by_blocks_is_read_once(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "LARGE_BLOCKS", 1)
    grow(platform, 10_000)
    with watched(platform) as plans:
        take(platform)

    scans = [n for plan in plans.seen() for n in plan.nodes() if n["Node Type"] == "Tid Range Scan"]
    assert sum(n["Actual Loops"] for n in scans if n["Relation Name"] == "payment") > 10
    assert plans.complaints() == []


def _reads(plans: Plans, step: str, table: str) -> float:
    """The rows of a table that the COPY of a step gave."""
    return max(
        plan.rows_out
        for plan in plans.seen(step)
        if plan.statement.startswith("COPY") and table in plan.read
    )
