"""What the UI shows of loads: numbers that can be plotted, and no key without a value."""

from __future__ import annotations

import datetime as dt

from totesys_dagster.warehouse.ledger import Loaded, TableLoad
from totesys_dagster.warehouse.loads import Loads, Timing
from totesys_dagster.warehouse.standing import Audit, Scope

STAR = "fact_payment"


def loaded(sequence: int, *rows: int, scope: Scope = "whole") -> Loaded:
    """A batch that staged, inserted, updated, deleted so many rows, and left so many orphans."""
    at = dt.datetime(2026, 11, 23, tzinfo=dt.UTC)
    found = Audit(
        sequence, STAR, scope, 0, at, full_read=False, expected_rows=70, found_rows=70,
        equal=True, quarantined=0, equal_without=None,
    )  # fmt: skip
    table = TableLoad(STAR, *rows)
    return Loaded(f"{sequence:010}", sequence, False, {STAR: table}, {STAR: found})


def shown(*batches: tuple[Loaded, Timing | None]) -> dict[str, object]:
    loads = Loads(last=0)
    for one, timing in batches:
        loads.add(one, timing)
    return loads.tables[STAR].metadata(STAR)


def test_load_tells_rows_and_seconds_as_numbers() -> None:
    assert shown((loaded(2, 5, 3, 2, 0, 0), Timing(0.25, 4.5))) == {
        "batches": "0000000002",
        "sequence": 2,
        "dagster/row_count": 70,
        "rows loaded": 5,
        "new rows": 3,
        "new versions": 2,
        "seconds of the load": 0.25,
        "seconds from snapshot to load": 4.5,
    }


def test_deletions_and_orphans_are_told_where_there_are_any() -> None:
    said = shown((loaded(2, 5, 1, 1, 2, 1), None))
    assert (said["deletions"], said["orphans"]) == (2, 1)


def test_several_batches_are_summed_and_the_last_one_is_the_latest() -> None:
    said = shown(
        (loaded(2, 5, 3, 2, 0, 0), Timing(0.25, 9.0)), (loaded(3, 1, 1, 0, 0, 0), Timing(0.5, 4.0))
    )
    assert said["batches"] == "0000000002 to 0000000003"
    assert (said["rows loaded"], said["new rows"]) == (6, 4)
    assert (said["seconds of the load"], said["seconds from snapshot to load"]) == (0.75, 4.0)


def test_first_load_is_text_so_that_it_flattens_no_plot() -> None:
    said = shown((loaded(1, 11_187, 11_187, 0, 0, 0), Timing(9.0, 60.0)))

    assert said["first load"] == "11,187 rows loaded, 11,187 new rows"
    numbers = {name for name, value in said.items() if isinstance(value, (int, float))}
    assert numbers == {"sequence", "dagster/row_count"}


def test_rows_of_a_table_are_not_told_where_only_some_were_compared() -> None:
    said = shown((loaded(2, 5, 3, 2, 0, 0, scope="touched"), None))
    assert "dagster/row_count" not in said
