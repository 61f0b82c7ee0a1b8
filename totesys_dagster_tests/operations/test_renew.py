"""Tables whose declaration has changed are rebuilt, unless a person is to decide."""

from __future__ import annotations

from dataclasses import replace

import pytest
from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.catalogue.star_columns import carry
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.operations import rebuild as rebuild_module
from totesys_dagster.operations import renew as renew_module
from totesys_dagster.operations import replace as replace_module
from totesys_dagster.operations.renew import Due, due, outdated, renew
from totesys_dagster.warehouse import schema, state
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1

STAFF = STAR_TABLES["dim_staff"]
WITH_MANAGER = replace(STAFF, columns=(*STAFF.columns, carry("department.manager")))


@pytest.fixture
def changed(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Two batches are loaded, and `dim_staff` is declared with one more column since."""
    platform.come_to("two batches", two_batches)
    monkeypatch.setitem(STAR_TABLES, "dim_staff", WITH_MANAGER)
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
    assert changed.rows("SELECT staff_id, manager FROM dim_staff ORDER BY 1") == [
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
    "a view": ("DROP VIEW {}.current_fact_sales_order CASCADE", None),
}


@pytest.mark.parametrize("lost", LOST)
def test_what_somebody_dropped_is_made_again_and_filled(platform: Platform, lost: str) -> None:
    statement, star = LOST[lost]
    platform.come_to("two batches", two_batches)
    tables = ["fact_payment", "dim_staff", "past_dim_staff", "current_fact_sales_order"]
    before = [platform.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]
    assert schema.migrate(platform.warehouse, platform.names) == []
    schema_ = sql.Identifier(platform.names.schema)
    platform.warehouse.execute(sql.SQL(statement).format(schema_))
    platform.warehouse.commit()

    assert schema.migrate(platform.warehouse, platform.names)

    assert [one.name for one in outdated(platform.warehouse, platform.names)] == [star] * bool(star)
    renewed(platform)
    assert [platform.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables] == before
    assert outdated(platform.warehouse, platform.names) == []
    assert schema.migrate(platform.warehouse, platform.names) == []


def test_what_takes_long_is_asked_for(changed: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(renew_module, "LOADS_A_SECOND", 1 / 900)

    found = renewed(changed)

    assert found.question == (
        "The declaration of dim_staff has changed, and rebuilding it from 2 batches takes about"
        " 15 minutes: run `totesys rebuild` when convenient; until then, batches are loaded but not"
        " compared."
    )
    assert outdated(changed.warehouse, changed.names) == [WITH_MANAGER]


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
    other = rebuild_module._only_one(changed.warehouse, changed.names)
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
