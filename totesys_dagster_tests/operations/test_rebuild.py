"""The rebuild: the same warehouse again from the lake alone, whatever happened to the old one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from totesys_dagster import settings
from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.errors import LoadError
from totesys_dagster.lake.store import Store
from totesys_dagster.local import stack
from totesys_dagster.local.simulator import business_day
from totesys_dagster.operations.rebuild import Rebuilt, rebuild
from totesys_dagster.operations.verify import verify
from totesys_dagster.postgres import Connection, Names, connect
from totesys_dagster.warehouse import audit, schema
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import (
    DELETE_ORDER_1,
    EDIT_ORDER_1,
    EDIT_ORDER_1_BACK,
    new_sale,
)

Rows = dict[str, list[tuple[object, ...]]]


def rebuild_of(
    platform: Platform,
    connection: Connection | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
) -> Rebuilt:
    return rebuild(
        connection or platform.warehouse,
        platform.names,
        platform.ingestion,
        platform.processed,
        quarantine_limit=100,
        progress=progress,
    )


def three_batches(platform: Platform) -> None:
    """An order that is entered, edited and deleted."""
    platform.run()
    for statement in (EDIT_ORDER_1, DELETE_ORDER_1):
        platform.application.execute(statement)
        platform.run()


def everything(platform: Platform) -> Rows:
    """All rows of the warehouse and of its bookkeeping, but for when they were loaded."""
    rows = {name: platform.rows(f"SELECT * FROM {name} ORDER BY 1") for name in STAR_TABLES}
    ledger = "SELECT sequence, batch, manifest_sha256, observed_at, run_id FROM batch ORDER BY 1"
    rows["batch"] = platform.rows(ledger)
    for name in ("batch_table", "audit", "quarantine"):
        rows[name] = platform.rows(f"SELECT * FROM {name} ORDER BY 1, 2")
    return rows


def forget(platform: Platform) -> None:
    """Lose the warehouse."""
    platform.warehouse.execute("DROP SCHEMA warehouse, warehouse_bookkeeping CASCADE")


def by_hand(platform: Platform, edit: str) -> None:
    """Change the warehouse behind the platform's back."""
    platform.rows("SELECT 1")  # sets the search path
    platform.warehouse.execute(edit)  # type: ignore[call-overload]


def schemas(platform: Platform) -> list[tuple[object, ...]]:
    return platform.rows(
        "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'warehouse%' ORDER BY 1"
    )


BOTH = [("warehouse",), ("warehouse_bookkeeping",)]


@pytest.fixture
def other_connection(platform: Platform) -> Iterator[Connection]:  # noqa: ARG001
    """A second connection to the platform's warehouse."""
    with connect(settings.WAREHOUSE_DSN) as connection:
        yield connection


# The same again


def test_warehouse_that_is_lost_comes_back(platform: Platform) -> None:
    three_batches(platform)
    before = everything(platform)
    forget(platform)
    rebuilt = rebuild_of(platform)

    assert everything(platform) == before
    assert rebuilt.batches == 3
    assert rebuilt.different is None
    assert rebuilt.rows["fact_sales_order"] == 4


def test_rebuild_of_an_empty_lake_is_an_empty_warehouse(platform: Platform) -> None:
    forget(platform)
    rebuilt = rebuild_of(platform)

    assert rebuilt.batches == 0
    assert set(rebuilt.rows.values()) == {0}


def test_week_of_business_comes_back_row_for_row(full_platform: Platform) -> None:
    """Record ids included, and orders that were edited, paid and deleted."""
    full_platform.run()
    for _ in range(5):
        business_day(full_platform.application)
        full_platform.run()
    before = everything(full_platform)
    forget(full_platform)
    rebuild_of(full_platform)

    assert everything(full_platform) == before
    assert any(is_deleted for *_, is_deleted in before["fact_payment"])


def test_rebuild_that_finds_no_difference_leaves_every_row_as_it_is(platform: Platform) -> None:
    three_batches(platform)
    rows = "SELECT xmin::text FROM fact_sales_order UNION ALL SELECT xmin::text FROM batch"
    before = platform.rows(rows)
    rebuilt = rebuild_of(platform)

    assert rebuilt.different == dict.fromkeys(STAR_TABLES, 0)
    assert platform.rows(rows) == before
    assert schemas(platform) == BOTH


def test_batches_that_are_not_loaded_yet_are_loaded(platform: Platform) -> None:
    platform.run()
    platform.application.execute(EDIT_ORDER_1)
    platform.capture()
    rebuilt = rebuild_of(platform)

    assert rebuilt.batches == 2
    assert platform.rows("SELECT count(*) FROM batch") == [(2,)]


def test_processed_zone_that_is_lost_is_processed_again(platform: Platform, tmp_path: Path) -> None:
    three_batches(platform)
    before, receipts = everything(platform), platform.processed.list("receipts")
    rows = platform.processed.list("rows")
    shutil.rmtree(tmp_path / "processed")
    forget(platform)
    platform.processed = Store(platform.processed.url, platform.processed.setting)
    rebuild_of(platform)

    assert everything(platform) == before
    assert platform.processed.list("receipts") == receipts
    assert platform.processed.list("rows") == rows


def test_progress_is_told(platform: Platform) -> None:
    three_batches(platform)
    told: list[tuple[int, int]] = []
    rebuild_of(platform, progress=lambda done, all_: told.append((done, all_)))

    assert told == [(1, 3), (2, 3), (3, 3)]


# A warehouse that differs


@pytest.mark.parametrize(
    ("edit", "different"),
    [
        ("UPDATE fact_sales_order SET units_sold = 1 WHERE sales_record_id = 1", 2),
        ("DELETE FROM fact_sales_order WHERE sales_record_id = 1", 1),
        ("UPDATE fact_sales_order SET sales_record_id = 99 WHERE sales_record_id = 1", 2),
        ("UPDATE fact_sales_order SET observed_at = now() WHERE sales_record_id = 1", 2),
    ],
)
def test_rows_edited_by_hand_are_replaced(platform: Platform, edit: str, different: int) -> None:
    three_batches(platform)
    before = everything(platform)
    by_hand(platform, edit)
    rebuilt = rebuild_of(platform)

    assert rebuilt.different == dict.fromkeys(STAR_TABLES, 0) | {"fact_sales_order": different}
    assert everything(platform) == before


def test_grants_and_views_on_the_tables_are_kept(platform: Platform) -> None:
    three_batches(platform)
    by_hand(
        platform,
        f"""
        CREATE VIEW public.sold AS SELECT sum(units_sold) AS units FROM current_fact_sales_order;
        GRANT SELECT ON fact_sales_order TO {stack.EXTRACTOR};
        DELETE FROM fact_sales_order
        """,
    )
    rebuild_of(platform)

    assert platform.rows("SELECT units FROM public.sold") == [(1001,)]
    assert platform.rows(
        f"SELECT has_table_privilege('{stack.EXTRACTOR}', 'fact_sales_order', 'SELECT')"
    ) == [(True,)]


def test_trace_of_an_edit_that_was_healed_is_gone(platform: Platform) -> None:
    """Healing adds a version to the history and leaves an audit that failed."""
    platform.run()
    by_hand(platform, "UPDATE fact_sales_order SET units_sold = 1 WHERE sales_order_id = 2")
    platform.application.execute(EDIT_ORDER_1)
    platform.run()
    audit.request_full_reads(platform.warehouse, platform.names, platform.ingestion)
    platform.run()
    rebuilt = rebuild_of(platform)

    assert rebuilt.different is not None
    assert rebuilt.different["fact_sales_order"] == 3  # the edited, the healed, the right one
    assert platform.rows("SELECT sales_order_id, units_sold FROM fact_sales_order ORDER BY 1") == [
        (1, 42972),
        (1, 42972),
        (2, 1001),
    ]
    assert platform.rows("SELECT count(*) FROM audit WHERE NOT equal") == [(0,)]


@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE batch SET manifest_sha256 = 'another' WHERE sequence = 3",
        "UPDATE audit SET equal = FALSE WHERE sequence = 2",
        "DELETE FROM batch_table WHERE sequence = 3",
    ],
)
def test_ledger_is_mended_though_no_row_differs(platform: Platform, edit: str) -> None:
    three_batches(platform)
    before = everything(platform)
    by_hand(platform, edit)
    rebuild_of(platform)

    assert everything(platform) == before


def test_warehouse_of_another_lake_becomes_that_of_this_one(
    platform: Platform, tmp_path: Path
) -> None:
    """The old one has more batches than the new lake: they are not waited for."""
    three_batches(platform)
    platform.ingestion = Store((tmp_path / "other").as_uri(), settings.INGESTION_URL)
    platform.processed = Store((tmp_path / "others").as_uri(), settings.PROCESSED_URL)
    platform.capture()
    rebuilt = rebuild_of(platform)

    assert rebuilt.batches == 1
    assert platform.rows("SELECT sales_order_id, batch_seq FROM fact_sales_order") == [(2, 1)]
    assert verify(platform.warehouse, platform.names, platform.ingestion, platform.processed).passed


def test_warehouse_is_not_emptied_by_a_lake_without_batches(
    platform: Platform, tmp_path: Path
) -> None:
    three_batches(platform)
    before = everything(platform)
    platform.ingestion = Store((tmp_path / "nothing").as_uri(), settings.INGESTION_URL)
    with pytest.raises(LoadError) as refused:
        rebuild_of(platform)

    assert str(refused.value) == (
        f"The warehouse holds batches, but the lake at {platform.ingestion.url} holds none: point"
        " TOTESYS_INGESTION_URL to the lake that it was loaded from."
    )
    assert everything(platform) == before


# Rebuilds that are disturbed


def test_second_rebuild_at_once_is_refused(
    platform: Platform, other_connection: Connection
) -> None:
    three_batches(platform)
    refusals = []

    def rebuild_too(_done: int, _all: int) -> None:
        with pytest.raises(LoadError) as refused:
            rebuild_of(platform, other_connection)
        refusals.append(str(refused.value))

    rebuild_of(platform, progress=rebuild_too)

    assert (
        refusals
        == ["Another rebuild of this warehouse is running: wait until it has finished, or stop it."]
        * 3
    )
    assert rebuild_of(platform, other_connection).different == dict.fromkeys(STAR_TABLES, 0)


def test_batch_that_is_loaded_meanwhile_is_not_lost(
    platform: Platform, other_connection: Connection
) -> None:
    three_batches(platform)
    by_hand(platform, "DELETE FROM fact_sales_order WHERE sales_record_id = 1")
    more = iter([new_sale(9), new_sale(10)])

    def business_goes_on(_done: int, all_: int) -> None:
        if statement := next(more, None):
            platform.application.execute(statement)  # type: ignore[call-overload]
            platform.run()
        assert all_ <= 5

    rebuilt = rebuild_of(platform, other_connection, business_goes_on)

    assert rebuilt.batches == 5
    assert platform.rows("SELECT sales_order_id FROM current_fact_sales_order ORDER BY 1") == [
        (2,),
        (9,),
        (10,),
    ]
    assert platform.rows("SELECT max(sequence), count(*) FROM batch") == [(5, 5)]


def test_rebuild_that_fails_leaves_no_trace(platform: Platform) -> None:
    three_batches(platform)
    by_hand(platform, "DELETE FROM fact_sales_order WHERE sales_record_id = 1")
    before = everything(platform)

    def stop(_done: int, _all: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild_of(platform, progress=stop)

    assert everything(platform) == before
    assert schemas(platform) == BOTH


def test_rebuild_that_is_killed_is_cleared_away_by_the_next(
    platform: Platform, other_connection: Connection
) -> None:
    three_batches(platform)
    by_hand(platform, "DELETE FROM fact_sales_order WHERE sales_record_id = 1")
    before = everything(platform)
    pid = other_connection.info.backend_pid

    def kill(_done: int, _all: int) -> None:
        platform.rows(f"SELECT pg_terminate_backend({pid}, 5000)")

    with pytest.raises(LoadError, match="PostgreSQL stopped"):
        rebuild_of(platform, other_connection, kill)
    after = everything(platform)
    rebuilt = rebuild_of(platform)

    assert after == before
    assert rebuilt.different is not None
    assert rebuilt.different["fact_sales_order"] == 1
    assert schemas(platform) == BOTH


def test_rebuild_leaves_the_schema_of_another_warehouse_alone(platform: Platform) -> None:
    three_batches(platform)
    other = Names("warehouse_two")
    schema.migrate(platform.warehouse, other)
    rebuild_of(platform)

    assert schema.pending(platform.warehouse, other) == []


def test_order_that_went_back_and_forth_keeps_its_three_versions(platform: Platform) -> None:
    platform.run()
    for statement in (EDIT_ORDER_1, EDIT_ORDER_1_BACK):
        platform.application.execute(statement)
        platform.run()
    forget(platform)
    rebuild_of(platform)

    assert platform.rows(
        "SELECT design_id FROM fact_sales_order WHERE sales_order_id = 1 ORDER BY batch_seq"
    ) == [(1,), (2,), (1,)]
