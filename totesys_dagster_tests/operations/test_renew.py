"""Tables whose declaration has changed are rebuilt, unless a person is to decide."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.catalogue.star_columns import carry
from totesys_dagster.errors import LoadError
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.operations import rebuild as rebuild_module
from totesys_dagster.operations import renew as renew_module
from totesys_dagster.operations import replace as replace_module
from totesys_dagster.operations.renew import Due, due, outdated, renew
from totesys_dagster.rates.receive import receive_history
from totesys_dagster.warehouse import schema, state
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1, new_sale
from totesys_dagster_tests.landing import by_night
from totesys_dagster_tests.rates.conftest import NOON, history
from totesys_dagster_tests.rates.conftest import load as load_rates

STAFF = STAR_TABLES["dim_staff"]
WITH_BOSS = replace(STAFF, columns=(*STAFF.columns, carry("department.manager", "boss")))


@pytest.fixture
def changed(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Two batches are loaded, and `dim_staff` is declared with one more column since."""
    platform.come_to("two batches", two_batches)
    monkeypatch.setitem(STAR_TABLES, "dim_staff", WITH_BOSS)
    monkeypatch.setattr(schema, "_hash", schema._hash.__wrapped__)
    schema.migrate(platform.warehouse, platform.names)
    return platform


def two_batches(platform: Platform) -> None:
    platform.run()
    platform.application.execute(EDIT_ORDER_1)
    platform.run()


def renewed(platform: Platform) -> Due:
    return renew(
        platform.warehouse,
        platform.names,
        platform.ingestion,
        platform.processed,
        quarantine_limit=0,
    )


def test_what_is_due_is_told_with_what_it_takes(changed: Platform) -> None:
    found = due(changed.warehouse, changed.names, ManifestLog(changed.ingestion))

    assert [star.name for star in found.stars] == ["dim_staff"]
    assert (found.batches, found.loads, found.rows) == (2, 1, 4)
    assert not found.is_asked_for


def test_table_is_rebuilt_and_only_that(changed: Platform) -> None:
    before = changed.rows("SELECT star, receipt_sha256 FROM batch_table WHERE star <> 'dim_staff'")

    renewed(changed)

    assert outdated(changed.warehouse, changed.names) == []
    assert changed.rows("SELECT staff_id, boss FROM dim_staff ORDER BY 1") == [
        (1, "Richard Roma"),
        (2, None),
    ]
    query = "SELECT star, receipt_sha256 FROM batch_table WHERE star <> 'dim_staff'"
    assert changed.rows(query) == before
    [(revision,)] = changed.rows("SELECT revision FROM batch_table WHERE star = 'dim_staff'")
    assert revision.startswith("v1-")
    assert state.states(changed.warehouse, changed.names)["dim_staff"].sequence == 2


LOST = {
    "a fact": ("DROP TABLE {}.fact_payment CASCADE", "fact_payment"),
    "a dimension": ("DROP TABLE {}.dim_staff CASCADE", "dim_staff"),
    "past rows": ("DROP TABLE {}.past_dim_staff CASCADE", "dim_staff"),
    "the calendar": ("DROP TABLE {}.dim_date CASCADE", "dim_date"),
    "a view": ("DROP VIEW {}.current_fact_sales_order CASCADE", None),
}
SHOWN = [
    *("current_fact_payment", "history_fact_payment", "current_dim_staff", "history_dim_staff"),
    *("current_fact_sales_order", "dim_date"),
]


def rights(platform: Platform) -> list[tuple[Any, ...]]:
    """Who may read which views."""
    query = """
        SELECT rolname, name, has_table_privilege(rolname, %s || '.' || name, 'SELECT')
        FROM pg_roles, unnest(%s::text[]) AS views (name)
        WHERE rolname IN ('warehouse_loader', 'warehouse_reader') ORDER BY 1, 2
    """
    return platform.warehouse.execute(query, [platform.names.schema, SHOWN]).fetchall()


def drop(platform: Platform, statement: str) -> None:
    platform.warehouse.execute(sql.SQL(statement).format(sql.Identifier(platform.names.schema)))
    platform.warehouse.commit()


@pytest.mark.parametrize("lost", by_night(LOST, but=[0, 4]))
def test_what_somebody_dropped_is_made_again_and_filled(platform: Platform, lost: str) -> None:
    statement, star = LOST[lost]
    platform.come_to("two batches", two_batches)
    tables = [*SHOWN, "fact_payment", "dim_staff", "past_dim_staff"]
    before = [platform.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]
    granted = rights(platform)
    assert any(may for _, _, may in granted)
    drop(platform, statement)
    assert schema.migrate(platform.warehouse, platform.names) == []  # a load makes nothing empty

    assert schema.migrate(platform.warehouse, platform.names, restore=True)

    assert rights(platform) == granted
    assert [one.name for one in outdated(platform.warehouse, platform.names)] == [star] * bool(star)
    renewed(platform)
    assert [platform.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables] == before
    assert outdated(platform.warehouse, platform.names) == []
    assert schema.migrate(platform.warehouse, platform.names, restore=True) == []


def test_nothing_is_loaded_while_a_dropped_table_is_empty(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its facts would be orphans."""
    platform.come_to("two batches", two_batches)
    drop(platform, "DROP TABLE {}.dim_staff CASCADE")
    schema.migrate(platform.warehouse, platform.names, restore=True)
    platform.application.execute(new_sale(9))

    with pytest.raises(
        LoadError, match=r"^dim_staff: dropped, made again and still empty, so batch"
    ):
        platform.run()
    assert platform.rows("SELECT count(*) FROM warehouse_bookkeeping.quarantine") == [(0,)]
    monkeypatch.setattr(renew_module, "LOADS_A_SECOND", 1 / 900)
    assert renewed(platform).question == (
        "dim_staff was dropped, and is empty, and rebuilding it from 2 batches takes about 15"
        " minutes: run `totesys rebuild`; until then, nothing is loaded."
    )
    monkeypatch.undo()
    renewed(platform)
    head = ManifestLog(platform.ingestion).head()
    assert head is not None
    assert all(audit.equal for audit in platform.load(head).audits.values())


@pytest.mark.long
def test_dropped_table_of_a_feed_is_filled_by_its_next_run(platform: Platform) -> None:
    platform.first()
    receive_history(platform.ingestion, history("2024-11-14,1.0666,0.83"), NOON, "test")
    load_rates(platform)
    query = "SELECT * FROM fact_exchange_rate ORDER BY 1, 2"
    before = platform.rows(query)
    drop(platform, "DROP TABLE {}.fact_exchange_rate CASCADE")

    schema.migrate(platform.warehouse, platform.names, restore=True)
    load_rates(platform)

    assert before
    assert platform.rows(query) == before


def test_renamed_table_is_not_made_again(platform: Platform) -> None:
    platform.come_to("two batches", two_batches)
    drop(platform, "ALTER TABLE {}.fact_payment RENAME TO fact_payment_old")

    with pytest.raises(LoadError, match=r"fact_payment is gone, but the view current_fact_payment"):
        schema.migrate(platform.warehouse, platform.names, restore=True)
    drop(platform, "ALTER TABLE {}.fact_payment_old RENAME TO fact_payment")
    assert schema.migrate(platform.warehouse, platform.names, restore=True) == []


@pytest.mark.long
def test_what_takes_long_is_asked_for(changed: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renew_module, "LOADS_A_SECOND", 1 / 900)

    found = renewed(changed)

    assert found.question == (
        "The declaration of dim_staff has changed, and rebuilding it from 2 batches takes about"
        " 15 minutes: run `totesys rebuild` when convenient; until then, batches are loaded but not"
        " compared."
    )
    assert outdated(changed.warehouse, changed.names) == [WITH_BOSS]


@pytest.mark.long
def test_killed_renewal_leaves_the_table_as_it_was_and_is_done_again(
    changed: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(BaseException):
        """The process ends here."""

    def die(*_: object) -> None:
        raise KilledError

    before = changed.rows("SELECT staff_id, first_name, batch_seq FROM dim_staff ORDER BY 1")
    with monkeypatch.context() as patch:
        patch.setattr(replace_module, "_replace_ledger_of", die)
        with pytest.raises(KilledError):
            renewed(changed)

    query = "SELECT staff_id, first_name, batch_seq FROM dim_staff ORDER BY 1"
    assert changed.rows(query) == before
    renewed(changed)
    assert outdated(changed.warehouse, changed.names) == []


def test_warehouse_without_a_batch_has_nothing_to_rebuild(platform: Platform) -> None:
    assert outdated(platform.warehouse, platform.names) == []


@pytest.mark.long
def test_rebuild_of_another_process_is_waited_for(changed: Platform) -> None:
    """As when two commands are started at once after a change."""
    other = rebuild_module.only_one(changed.warehouse, changed.names, "rebuild")
    other.__enter__()
    said: list[str] = []

    def progress(text: str) -> None:
        said.append(text)
        if text.startswith("Waiting"):
            other.__exit__(None, None, None)

    renew(
        changed.warehouse,
        changed.names,
        changed.ingestion,
        changed.processed,
        quarantine_limit=0,
        progress=progress,
    )
    assert said == [
        "Rebuilding dim_staff from 2 batches",
        "Waiting for the rebuild that another process has started",
    ]
    assert outdated(changed.warehouse, changed.names) == []
