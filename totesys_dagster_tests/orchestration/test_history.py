"""Dagster's list of batches: old ones go, and nothing else does."""

from __future__ import annotations

import dagster as dg
import pytest

from totesys_dagster import settings
from totesys_dagster.definitions import defs
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster_tests.orchestra import Orchestra
from totesys_dagster_tests.orchestration.test_sensors import edit_order

ORDERS = dg.AssetKey(["processed", "fact_sales_order"])


def take_batches(orchestra: Orchestra, count: int) -> list[str]:
    """Take so many batches the whole way; their keys."""
    for number in range(count):
        edit_order(orchestra.platform, 1 + number % 2)
        orchestra.tick_and_run("source_changes")
    return orchestra.partitions()


def archive(orchestra: Orchestra) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def("keep_history").execute_in_process(
        instance=orchestra.instance, raise_on_error=False
    )


def test_oldest_loaded_batches_are_taken_off() -> None:
    assert archivable(["c", "a", "b"], keep=1, last_loaded="c") == ["a", "b"]


def test_batches_that_wait_for_their_load_stay() -> None:
    assert archivable(["a", "b", "c"], keep=1, last_loaded="a") == ["a"]


@pytest.mark.parametrize("keep", [3, 4])
def test_short_list_stays_as_it_is(keep: int) -> None:
    assert archivable(["a", "b", "c"], keep=keep, last_loaded="c") == []


@pytest.mark.long
def test_history_stays_when_a_batch_is_taken_off(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.LISTED_BATCHES, "1")
    first, second, third = take_batches(orchestra, 3)
    orchestra.platform.rows("SELECT 1")

    assert archive(orchestra).success

    assert orchestra.partitions() == [third]
    records = orchestra.instance.fetch_materializations(ORDERS, limit=10).records
    assert {record.partition_key for record in records} == {first, second, third}
    assert orchestra.platform.rows("SELECT count(*) FROM batch") == [(3,)]


@pytest.mark.long
def test_sensors_go_on_after_batches_were_taken_off(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.LISTED_BATCHES, "1")
    take_batches(orchestra, 2)
    archive(orchestra)

    assert orchestra.tick("source_changes") == "Nothing changed in the source's tables."
    assert orchestra.tick("new_batches") == "The warehouse holds every committed batch."
    assert len(orchestra.partitions()) == 1
    take_batches(orchestra, 1)
    assert len(orchestra.partitions()) == 2
    assert orchestra.platform.rows("SELECT count(*) FROM batch") == [(3,)]


@pytest.mark.long
def test_batch_whose_key_is_added_again_can_be_processed_again(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.LISTED_BATCHES, "1")
    first, _ = take_batches(orchestra, 2)
    archive(orchestra)
    orchestra.instance.add_dynamic_partitions("batch", [first])

    assert orchestra.run(dg.RunRequest(partition_key=first), "process").success


def test_nothing_is_taken_off_while_the_warehouse_is_empty(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.LISTED_BATCHES, "1")
    orchestra.platform.capture()
    orchestra.instance.add_dynamic_partitions("batch", [batch_key(1), "2099-01-01T00-00-00Z"])

    assert archive(orchestra).success
    assert len(orchestra.partitions()) == 2


def test_warehouse_that_cannot_be_reached_fails_with_its_sentence(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.WAREHOUSE_DSN, "postgresql://nobody@127.0.0.1:1/warehouse")
    [failure] = [event for event in archive(orchestra).all_events if event.is_step_failure]

    data = failure.step_failure_data.user_failure_data
    assert data is not None
    assert "TOTESYS_WAREHOUSE_DSN points to a database" in (data.description or "")


def test_list_is_kept_short_each_night() -> None:
    schedule = defs.resolve_schedule_def("keep_history_schedule")
    assert schedule.cron_schedule == "0 4 * * *"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
