"""The history of dimensions: every version of a row, kept by the load, the same from the lake."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import Any

import psycopg
import pytest

from totesys_dagster.catalogue import STAR_TABLES, Kind
from totesys_dagster.local import stack
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.operations.verify import verify
from totesys_dagster.warehouse.status import table_status
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import new_design

ROOT = Path(__file__).parents[2]
Rows = list[tuple[Any, ...]]

DIMENSIONS = [star for star in STAR_TABLES.values() if star.kind is Kind.DIMENSION]
DELETE_DESIGN = "DELETE FROM design WHERE design_id = 9"


def edit(platform: Platform, *statements: str) -> None:
    """A batch for each of these edits."""
    for statement in statements:
        platform.application.execute(statement.encode())
        assert platform.run() is not None


def moved(department: int) -> str:
    return f"UPDATE staff SET department_id = {department} WHERE staff_id = 1"


def renamed(name: str) -> str:
    return f"UPDATE department SET department_name = '{name}' WHERE department_id = 1"


def history(platform: Platform, star: str) -> Rows:
    """All of a history, in order."""
    return platform.rows(f"SELECT * FROM history_{star} ORDER BY 1, version")


def all_histories(platform: Platform) -> dict[str, Rows]:
    return {star.name: history(platform, star.name) for star in DIMENSIONS}


def moments(platform: Platform) -> list[dt.datetime | None]:
    """When each batch was read, and None for the time after them."""
    return [m for (m,) in platform.rows("SELECT observed_at FROM batch ORDER BY sequence")] + [None]


def reader_of(platform: Platform) -> psycopg.Connection:
    dsn = platform.server.dsn(stack.READER, platform.warehouse_database)
    return psycopg.connect(dsn, autocommit=True)


def of_staff(platform: Platform) -> Rows:
    return platform.rows(
        "SELECT version, department_name, batch_seq, is_deleted, valid_from, valid_to"
        " FROM history_dim_staff WHERE staff_id = 1 ORDER BY version"
    )


def busy_week(platform: Platform) -> None:
    """Batches in which rows come, change, change back, go and come back."""

    def steps(platform: Platform) -> None:
        platform.run()
        edit(platform, moved(2), new_design(9), DELETE_DESIGN, renamed("Sales & Co"), moved(1))
        edit(platform, new_design(9), DELETE_DESIGN, renamed("Sales"), moved(2))

    platform.come_to("busy week", steps)


# What the load keeps


def test_first_versions_are_current_from_the_first_batch_on(platform: Platform) -> None:
    platform.first()
    then, _ = moments(platform)

    assert of_staff(platform) == [(1, "Sales", 1, False, then, None)]
    assert platform.rows("SELECT * FROM past_dim_staff") == []


def test_there_and_back_is_three_versions(platform: Platform) -> None:
    platform.first()
    edit(platform, moved(2), moved(1))
    first, second, third, _ = moments(platform)

    assert of_staff(platform) == [
        (1, "Sales", 1, False, first, second),
        (2, "Purchasing", 2, False, second, third),
        (3, "Sales", 3, False, third, None),
    ]


def test_change_of_a_row_that_is_joined_with_is_a_version(platform: Platform) -> None:
    platform.first()
    edit(platform, renamed("Trade"))

    assert [row[:3] for row in of_staff(platform)] == [(1, "Sales", 1), (2, "Trade", 2)]
    query = "SELECT DISTINCT version FROM history_dim_staff WHERE staff_id = 2"
    assert platform.rows(query) == [(1,)]


def test_deletion_closes_a_version_and_a_comeback_opens_one(platform: Platform) -> None:
    platform.first()
    edit(platform, new_design(9), DELETE_DESIGN, new_design(9).replace("Steel", "Iron"))
    _, second, third, fourth, _ = moments(platform)

    assert platform.rows(
        "SELECT version, design_name, is_deleted, valid_from, valid_to"
        " FROM history_dim_design WHERE design_id = 9 ORDER BY version"
    ) == [
        (1, "Steel", False, second, third),
        (2, "Steel", True, third, fourth),
        (3, "Iron", False, fourth, None),
    ]


@pytest.mark.long
def test_changes_of_one_batch_are_one_version(platform: Platform) -> None:
    platform.first()
    edit(platform, f"{moved(2)}; {moved(1)}; {renamed('Trade')}; {renamed('Shop')}")
    edit(platform, f"{moved(2)}; {moved(1)}")

    assert [row[:3] for row in of_staff(platform)] == [(1, "Sales", 1), (2, "Shop", 2)]


@pytest.mark.long
def test_row_that_goes_and_comes_back_in_one_batch_is_changed(platform: Platform) -> None:
    platform.first()
    edit(platform, new_design(9))
    edit(platform, f"{DELETE_DESIGN}; {new_design(9).replace('Steel', 'Iron')}")

    assert platform.rows(
        "SELECT version, design_name, batch_seq, is_deleted"
        " FROM history_dim_design WHERE design_id = 9 ORDER BY version"
    ) == [(1, "Steel", 2, False), (2, "Iron", 3, False)]


@pytest.mark.long
def test_same_row_again_is_no_version(platform: Platform) -> None:
    platform.first()
    before = all_histories(platform)
    platform.application.execute("UPDATE staff SET last_updated = now() WHERE staff_id = 1")
    platform.run(full=("staff", "department", "design"))

    assert all_histories(platform) == before


def test_who_was_in_which_department_then(platform: Platform) -> None:
    """The queries of docs/insights.md, by the reader."""
    platform.first()
    edit(platform, moved(2), moved(1))
    text = (ROOT / "docs" / "insights.md").read_text()
    section = text[text.index("## Query the past") : text.index("## Query the lake with DuckDB")]
    then, changed = re.findall(r"```sql\n(.*?)```", section, re.DOTALL)
    first, second, third, _ = moments(platform)
    assert then.count("now() - interval '1 day'") == 2
    with reader_of(platform) as reader:
        found = [
            reader.execute(then.replace("now() - interval '1 day'", f"'{m}'").encode()).fetchall()
            for m in (first, second, third)
        ]
        since = reader.execute(changed.encode()).fetchall()

    assert [{row[0]: row[3] for row in rows} for rows in found] == [
        {1: "Sales", 2: "Purchasing"},
        {1: "Purchasing", 2: "Purchasing"},
        {1: "Sales", 2: "Purchasing"},
    ]
    assert since == [(1, "Purchasing", "Sales", third)]


@pytest.mark.long
def test_past_versions_are_counted_with_their_dimension_and_are_no_table_of_their_own(
    platform: Platform,
) -> None:
    platform.first()
    edit(platform, moved(2), moved(1))
    [staff] = [s for s in table_status(platform.warehouse, platform.names) if s.star == "dim_staff"]
    tables = platform.rows("SELECT table_name FROM reports.data_quality ORDER BY 1")

    assert (staff.current, staff.versions) == (2, 4)
    assert tables == [(name,) for name in sorted(STAR_TABLES)]


@pytest.mark.parametrize("star", DIMENSIONS, ids=lambda star: star.name)
def test_open_versions_are_the_current_rows(platform: Platform, star: Any) -> None:
    """And so the audit of the dimension is that of its history's end."""
    busy_week(platform)
    columns = ", ".join([*star.column_names, "batch_seq"])

    assert platform.rows(
        f"SELECT {columns} FROM history_{star.name}"
        " WHERE valid_to IS NULL AND NOT is_deleted ORDER BY 1"
    ) == platform.rows(f"SELECT {columns} FROM current_{star.name} ORDER BY 1")


# The same from the lake


def rebuild_of(platform: Platform) -> Any:
    return rebuild(
        platform.warehouse,
        platform.names,
        platform.ingestion,
        platform.processed,
        quarantine_limit=100,
    )


@pytest.mark.long
def test_warehouse_that_is_lost_comes_back_with_its_history(platform: Platform) -> None:
    busy_week(platform)
    before = all_histories(platform)
    assert len(before["dim_design"]) == 2 + 4
    platform.warehouse.execute("DROP SCHEMA warehouse, warehouse_bookkeeping, reports CASCADE")
    rebuild_of(platform)

    assert all_histories(platform) == before


def verify_of(platform: Platform) -> list[str]:
    return verify(
        platform.warehouse, platform.names, platform.ingestion, platform.processed
    ).findings


@pytest.mark.parametrize(
    ("star", "harm", "rows"),
    [
        ("dim_staff", "DELETE FROM past_dim_staff WHERE staff_id = 1 AND batch_seq = 1", 1),
        pytest.param(
            "dim_staff",
            "UPDATE past_dim_staff SET first_name = 'X' WHERE batch_seq = 2",
            2,
            marks=pytest.mark.long,
        ),
        pytest.param(
            "dim_staff",
            "UPDATE past_dim_staff SET location = NULL WHERE batch_seq = 1",
            2,
            marks=pytest.mark.long,
        ),
        pytest.param(
            "dim_staff",
            "UPDATE past_dim_staff SET batch_seq = 8 WHERE batch_seq = 2",
            2,
            marks=pytest.mark.long,
        ),
        pytest.param(
            "dim_staff",
            "INSERT INTO past_dim_staff SELECT * FROM dim_staff WHERE staff_id = 2",
            1,
            marks=pytest.mark.long,
        ),
        pytest.param(
            "dim_design",
            "UPDATE past_dim_design SET design_name = 'X' WHERE is_deleted",
            2,
            marks=pytest.mark.long,
        ),
        pytest.param(
            "dim_design",
            "UPDATE past_dim_design SET is_deleted = NOT is_deleted",
            6,
            marks=pytest.mark.long,
        ),
    ],
)
def test_history_that_was_changed_by_hand_is_found_and_rebuilt(
    platform: Platform, star: str, harm: str, rows: int
) -> None:
    busy_week(platform)
    before = all_histories(platform)
    assert verify_of(platform) == []
    platform.rows("SELECT 1")  # sets the search path
    platform.warehouse.execute(harm.encode())
    assert all_histories(platform) != before

    [finding] = verify_of(platform)
    assert finding.startswith(f"The history of {star} is not what the lake gives, in versions of")
    assert finding.endswith("`totesys rebuild` replaces them with the lake's rows.")
    different = rebuild_of(platform).different
    assert {star: count for star, count in different.items() if count} == {star: rows}
    assert all_histories(platform) == before
    assert verify_of(platform) == []


# Who may do what


def test_reader_sees_histories_and_no_table_of_past_versions(platform: Platform) -> None:
    platform.first()
    with reader_of(platform) as connection:
        for star in DIMENSIONS:
            connection.execute(f"SELECT FROM warehouse.history_{star.name}".encode())
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(f"SELECT FROM warehouse.past_{star.name}".encode())


def test_every_column_of_a_history_is_explained(platform: Platform) -> None:
    query = """
        SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON attrelid = c.oid
        WHERE relnamespace = 'warehouse'::regnamespace AND attnum > 0
          AND relname ~ '^(past|history)_dim' AND relkind IN ('r', 'v')
          AND (col_description(c.oid, attnum) IS NULL OR obj_description(c.oid) IS NULL)
    """
    assert platform.rows(query) == []
