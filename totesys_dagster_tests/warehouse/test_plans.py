"""No statement of any kind of batch may become quadratic, whatever PostgreSQL knows of its tables.

Its plan is looked at as it was run, see `plans.py`. "outdated" are the statistics of tables that
had a few rows when they were last looked at, as they are after a bulk of orders.
"""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.ingestion import changes
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.operations.verify import verify
from totesys_dagster.warehouse import healing
from totesys_dagster.warehouse.ledger import Loaded
from totesys_dagster.warehouse.status import table_status
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.landing import by_night
from totesys_dagster_tests.plans import (
    ALL_CHANGE,
    ALL_GO,
    CASES,
    EVERY_SECOND_GOES,
    LANDING,
    NEARLY_ALL_GO,
    ORDERS_OF_UNKNOWN_STAFF,
    SOME_CHANGE,
    STAFF_BECOMES_KNOWN,
    Plans,
    administrator,
    analyze,
    edit,
    examined,
    grow,
    watched,
)

ALL_TABLES = tuple(SOURCE_TABLES)
NO_LIMIT = 1_000_000

# Each kind of batch: what happens in the source, and the tables that are read in full.
BATCHES: dict[str, tuple[str, tuple[str, ...]]] = {
    "some change": (SOME_CHANGE, ()),
    "full read, nothing changed": ("", ALL_TABLES),
    "all change": (ALL_CHANGE, ()),
    "full read, all changed": (ALL_CHANGE, ALL_TABLES),
    "orders are orphans": (ORDERS_OF_UNKNOWN_STAFF, ()),
    "the late dimension": (STAFF_BECOMES_KNOWN, ()),
    "orders that were orphans": ("", ()),
    "all in quarantine": ("UPDATE payment SET payment_date = 'soon'", ()),
    "out of quarantine": ("UPDATE payment SET payment_date = '2024-01-01'", ()),
    "full read, one gone": ("DELETE FROM payment WHERE payment_id = 100", ALL_TABLES),
    "full read, every second gone": (EVERY_SECOND_GOES, ALL_TABLES),
    "full read, all gone": (ALL_GO, ALL_TABLES),
}
# What a landing does without: the statements are those of the other batches.
BY_NIGHT = {
    *("some change", "full read, nothing changed", "all change", "full read, one gone"),
    *("all in quarantine", "out of quarantine"),
}


def take(platform: Platform, *, full: tuple[str, ...] = ()) -> Loaded:
    """The next batch the whole way, and what is asked about the warehouse after it."""
    manifest = platform.capture(full=full)
    assert manifest is not None
    platform.process(manifest)
    loaded = platform.load(manifest, quarantine_limit=NO_LIMIT)
    healing.request_healing(platform.warehouse, platform.names, platform.ingestion)
    table_status(platform.warehouse, platform.names)
    return loaded


def rebuild_the_wrong_rows(platform: Platform) -> None:
    """Of every table, the ledger included, rows have to be replaced."""
    with administrator(platform, platform.warehouse_database) as admin:
        admin.execute(
            """
            UPDATE warehouse.fact_sales_order SET units_sold = 1;
            UPDATE warehouse.dim_transaction SET transaction_type = 'wrong';
            DELETE FROM warehouse_bookkeeping.audit WHERE sequence = 1
            """
        )
    rebuilt = rebuild(
        platform.warehouse,
        platform.names,
        platform.ingestion,
        platform.processed,
        quarantine_limit=NO_LIMIT,
    )
    assert rebuilt.different is not None
    assert rebuilt.different["fact_sales_order"] > 0


@pytest.mark.parametrize(("statistics", "rows"), CASES)
def test_no_statement_goes_through_rows_over_and_over(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, statistics: str, rows: int
) -> None:
    def renew_statistics() -> None:
        if statistics == "fresh":
            analyze(platform)

    loads: dict[str, Loaded] = {}
    left_out = BY_NIGHT if (statistics, rows) == LANDING else set()
    batches = {step: BATCHES[step] for step in BATCHES if step not in left_out}
    with watched(platform) as plans:
        if statistics == "outdated":
            platform.run()
            analyze(platform)
        grow(platform, rows)
        renew_statistics()
        plans.step = "the first rows"
        take(platform)
        for plans.step, (statements, full) in batches.items():
            edit(platform, statements)
            renew_statistics()
            loads[plans.step] = take(platform, full=full)
        if statistics == "outdated":
            analyze(platform)
        plans.step = "all come back"
        grow(platform, rows)
        take(platform)
        plans.step = "some of a large table change"
        analyze(platform)
        monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", 1000)
        edit(platform, SOME_CHANGE)
        take(platform)
        plans.step = "what is gone of it is found later"
        monkeypatch.undo()
        take(platform)
        plans.step = "an audit of all"
        platform.audit()
        plans.step = "nearly all go"
        edit(platform, NEARLY_ALL_GO)
        take(platform)
        plans.step = "verify"
        verify(platform.warehouse, platform.names, platform.ingestion, platform.processed)
        plans.step = "rebuild"
        rebuild_the_wrong_rows(platform)

    assert loads["orders are orphans"].tables["fact_sales_order"].orphans == rows
    assert loads["orders that were orphans"].tables["fact_sales_order"].updated == rows
    assert loads["full read, all gone"].tables["fact_sales_order"].deleted > rows
    assert plans.complaints() == []


@pytest.mark.long
def test_many_versions_of_a_fact_are_no_reason_to_go_through_them_over_and_over(
    platform: Platform,
) -> None:
    grow(platform, 500)
    with watched(platform) as plans:
        for version in range(20):
            plans.step = f"version {version}"
            take(platform)
            edit(platform, "UPDATE sales_order SET units_sold = units_sold + 1")
        plans.step = "full read"
        loaded = take(platform, full=("sales_order",))

    assert loaded.tables["fact_sales_order"].updated == 502
    assert plans.complaints() == []


def test_keys_that_were_deleted_before_are_not_looked_up_again(platform: Platform) -> None:
    grow(platform, 2000)
    platform.run()
    edit(platform, "DELETE FROM payment WHERE payment_id > 100")
    platform.run()
    with watched(platform) as plans:
        loaded = platform.run(full=("payment",))

    assert loaded is not None
    assert loaded.tables["fact_payment"].staged == 93
    looks = [
        examined(node)
        for plan in plans.seen()
        for node in plan.nodes()
        if "Index" in node["Node Type"] and node.get("Relation Name") == "fact_payment"
    ]
    assert max(looks) == 93


# What the plans are held to


@pytest.fixture
def run(platform: Platform) -> Callable[[str], Plans]:
    """Runs statements over a table of 2,000 rows, and over one of ten ranges."""

    def run_(statement: str) -> Plans:
        with watched(platform) as plans:
            platform.warehouse.execute(
                """
                CREATE TEMP TABLE fact AS SELECT n AS key FROM generate_series(1, 2000) AS n;
                CREATE TEMP TABLE present (low bigint, high bigint);
                INSERT INTO present
                SELECT 200 * n + 1, 200 * n + 200 FROM generate_series(0, 9) AS n;
                """
            )
            platform.warehouse.execute(statement)  # type: ignore[call-overload]
        return plans

    return run_


def test_subquery_that_is_gone_through_for_each_row_is_found(run: Callable[[str], Plans]) -> None:
    """Full reads were quadratic by this statement."""
    plans = run(
        """
        CREATE TEMP TABLE gone AS
        SELECT key FROM fact WHERE key NOT IN (SELECT generate_series(low, high) FROM present)
        """
    )
    [complaint] = plans.complaints()

    assert re.search(r"goes through 2,00\d,000 rows where 4,010 go in and out: CREATE", complaint)


def test_subquery_that_just_fits_into_memory_is_found(run: Callable[[str], Plans]) -> None:
    plans = run("SELECT count(*) FROM fact WHERE key NOT IN (SELECT key FROM fact)")
    [complaint] = plans.complaints()

    assert "looks rows up in a subquery of 2,000 rows that is kept in memory" in complaint


@pytest.mark.parametrize("condition", by_night(["a.key > b.key", "a.key = b.key"], but=[0]))
def test_pairs_of_rows_are_found(run: Callable[[str], Plans], condition: str) -> None:
    plans = run(
        "SET enable_hashjoin TO off; SET enable_mergejoin TO off;"
        f" SELECT count(*) FROM fact AS a JOIN fact AS b ON {condition}"
    )
    [complaint] = plans.complaints()

    assert "Nested Loop goes through" in complaint or "Materialize goes through" in complaint


def test_statement_for_each_row_is_found(run: Callable[[str], Plans]) -> None:
    plans = run(
        "DO $$ DECLARE n record; BEGIN"
        " FOR n IN SELECT key FROM fact, generate_series(1, 5) LOOP PERFORM n.key; END LOOP; END $$"
    )
    [complaint] = plans.complaints()

    assert re.fullmatch(r": 10\d\d\d statements", complaint)


def test_one_look_into_an_index_for_each_row_is_no_matter(run: Callable[[str], Plans]) -> None:
    plans = run(
        "CREATE INDEX ON fact (key);"
        " SELECT count(latest.key) FROM fact CROSS JOIN LATERAL"
        " (SELECT key FROM fact AS f WHERE f.key <= fact.key ORDER BY f.key DESC LIMIT 1) AS latest"
    )

    assert plans.seen()
    assert plans.complaints() == []
