"""What leaves Dagster's history, and what stays."""

from __future__ import annotations

import datetime as dt
from types import SimpleNamespace

import dagster as dg
import pytest

from totesys_dagster import settings
from totesys_dagster.alerting import ended_runs
from totesys_dagster.definitions import defs
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster.metadata import BATCH_TAG, asset_key
from totesys_dagster.orchestration import leaving, listed
from totesys_dagster.orchestration.listed import Listed
from totesys_dagster.warehouse import ledger
from totesys_dagster_tests.orchestra import Orchestra
from totesys_dagster_tests.orchestration.histories import (
    AT_WORK,
    keep,
    known_runs,
    latest,
    launched,
    let_days_pass,
    load_by_hand,
    runs,
    take_batches,
)
from totesys_dagster_tests.orchestration.test_sensors import edit_order

ORDERS, STAFF = asset_key("processed", "fact_sales_order"), asset_key("processed", "dim_staff")
STAFF_CHECK = dg.AssetCheckKey(STAFF, "contract")
NOW = dt.datetime(2026, 11, 30, tzinfo=dt.UTC)


@pytest.mark.parametrize(
    ("batch", "old"),
    [(batch_key(2), True), (batch_key(3), False), (batch_key(5), False), ("2099-01-01", False)],
)
def test_loaded_batch_is_old_unless_it_is_young(batch: str, old: bool) -> None:
    """Batches up to the fourth are loaded, and the third and fourth are young."""
    assert Listed(4, 1, NOW, frozenset({3, 4})).is_old(batch) is old


@pytest.mark.long
def test_batch_that_is_not_of_the_newest_leaves_with_its_runs_and_materializations(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.LISTED_BATCHES, "1")
    orchestra.platform.first()
    orchestra.platform.application.execute("UPDATE department SET location = 'Leeds'")
    second, _, fourth = take_batches(orchestra, 3)
    before = latest(orchestra.instance)

    assert keep(orchestra).success

    assert orchestra.partitions() == [fourth]
    # No later batch has touched the staff.
    assert {run.tags[BATCH_TAG] for run in known_runs(orchestra)} == {second, fourth}
    assert orchestra.instance.get_materialized_partitions(STAFF) == {second}
    assert orchestra.instance.get_materialized_partitions(ORDERS) == {second, fourth}
    assert before.items() <= latest(orchestra.instance).items()
    assert {str(STAFF_CHECK), STAFF.to_user_string()} < set(before)
    assert orchestra.platform.rows("SELECT count(*) FROM batch") == [(4,)]


def test_batch_that_is_older_than_the_history_leaves(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = load_by_hand(orchestra, 2)
    launched(orchestra, keys[0])
    launched(orchestra, None)
    let_days_pass(monkeypatch, 13)
    assert keep(orchestra).success
    assert (orchestra.partitions(), len(runs(orchestra))) == (keys, 2)

    let_days_pass(monkeypatch, 14)
    assert keep(orchestra).success

    assert (orchestra.partitions(), runs(orchestra)) == ([], set())


@pytest.mark.long
def test_run_that_evaluated_a_check_last_stays_however_old(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The verification of the lake materializes nothing."""
    load_by_hand(orchestra, 1)
    _, last = (orchestra.verify().run_id for _ in range(2))
    let_days_pass(monkeypatch, 100)

    assert keep(orchestra).success

    assert runs(orchestra) == {last}


@pytest.mark.long
def test_batch_that_waits_for_its_load_stays_with_its_runs(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.LISTED_BATCHES, "1")
    let_days_pass(monkeypatch, 100)
    load_by_hand(orchestra, 1)
    edit_order(orchestra.platform, 2)
    orchestra.platform.capture()
    waiting = [batch_key(2), batch_key(3)]
    orchestra.instance.add_dynamic_partitions("batch", waiting)
    stays = {launched(orchestra, key) for key in waiting}
    stays.add(launched(orchestra, batch_key(1), last=batch_key(2)))
    launched(orchestra, batch_key(1))

    assert keep(orchestra).success

    assert (orchestra.partitions(), runs(orchestra)) == (waiting, stays)


@pytest.mark.long
def test_batch_that_a_run_is_at_work_on_stays(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.LISTED_BATCHES, "1")
    let_days_pass(monkeypatch, 100)
    first, second, third, _ = load_by_hand(orchestra, 4)
    at_work = launched(orchestra, first, AT_WORK)
    queued = launched(orchestra, second, dg.DagsterRunStatus.STARTING, last=third)
    ended = launched(orchestra, None, AT_WORK)

    assert keep(orchestra).success

    assert orchestra.partitions() == [first, second, third]
    assert runs(orchestra) == {at_work, queued, ended}


@pytest.mark.long
def test_run_that_loaded_several_batches_leaves_with_the_last(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = load_by_hand(orchestra, 3)
    launched(orchestra, first, last=second)
    later = launched(orchestra, second, last=third)
    monkeypatch.setenv(settings.LISTED_BATCHES, "1")

    assert keep(orchestra).success

    assert (orchestra.partitions(), runs(orchestra)) == ([third], {later})


@pytest.mark.long
def test_old_batch_that_was_processed_again_stays_for_as_long_as_that_run(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, _ = load_by_hand(orchestra, 2)
    again = launched(orchestra, first)
    monkeypatch.setattr(ledger, "observed_since", lambda *_, **__: frozenset())

    assert keep(orchestra).success

    assert (orchestra.partitions(), runs(orchestra)) == ([first], {again})
    let_days_pass(monkeypatch, 14)
    assert keep(orchestra).success
    assert (orchestra.partitions(), runs(orchestra)) == ([], set())


@pytest.mark.long
def test_clock_that_jumped_ahead_makes_nothing_old(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The warehouse's does not agree."""

    class Ahead(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> Ahead:
            return cls(2099, 1, 1, tzinfo=tz)

    keys = load_by_hand(orchestra, 2)
    run = launched(orchestra, keys[0])
    clock = SimpleNamespace(datetime=Ahead, timedelta=dt.timedelta, UTC=dt.UTC)
    monkeypatch.setattr(listed, "dt", clock)

    assert keep(orchestra).success
    assert (orchestra.partitions(), runs(orchestra)) == (keys, {run})


@pytest.mark.long
def test_deletion_that_is_interrupted_goes_on_from_there(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    *old, last = load_by_hand(orchestra, 3)
    for key in old:
        launched(orchestra, key)
        launched(orchestra, key)
    stays = launched(orchestra, last)
    monkeypatch.setenv(settings.LISTED_BATCHES, "1")
    monkeypatch.setattr(leaving, "KEYS_AT_ONCE", 1)
    delete, deleted = orchestra.instance.run_storage.delete_run, []

    def delete_three(run_id: str) -> None:
        if len(deleted) == 3:
            raise RuntimeError
        deleted.append(run_id)
        delete(run_id)

    with monkeypatch.context() as patch:
        patch.setattr(orchestra.instance.run_storage, "delete_run", delete_three)
        assert not keep(orchestra).success
    assert orchestra.partitions() == [old[1], last]
    assert len(runs(orchestra)) == 2

    assert keep(orchestra).success
    assert (orchestra.partitions(), runs(orchestra)) == ([last], {stays})


@pytest.mark.long
def test_what_is_too_much_for_once_leaves_the_next_time(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    *old, last = load_by_hand(orchestra, 4)
    for key in (*old, last):
        launched(orchestra, key)
    monkeypatch.setenv(settings.LISTED_BATCHES, "1")
    monkeypatch.setattr(leaving, "KEYS_AT_ONCE", 1)
    monkeypatch.setattr(leaving, "MOST_RUNS", 2)

    keep(orchestra)
    assert orchestra.partitions() == [old[2], last]
    keep(orchestra)
    assert orchestra.partitions() == [last]


@pytest.mark.long
def test_many_runs_that_stay_hide_none_that_is_to_leave(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_by_hand(orchestra, 1)
    stay = {launched(orchestra, batch_key(2)) for _ in range(3)}
    for _ in range(3):
        launched(orchestra, None)
    monkeypatch.setattr(leaving, "RUNS_AT_ONCE", 2)
    let_days_pass(monkeypatch, 14)

    assert keep(orchestra).success

    assert runs(orchestra) == stay


@pytest.mark.long
def test_alerts_are_not_misled_by_runs_that_left(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second = load_by_hand(orchestra, 2)
    launched(orchestra, first, dg.DagsterRunStatus.FAILURE)
    now = dt.datetime.now(dt.UTC)
    found, seen = ended_runs.look(orchestra.instance, ended_runs.SeenRuns(), now)
    monkeypatch.setenv(settings.LISTED_BATCHES, "1")
    assert keep(orchestra).success
    assert not runs(orchestra)

    [failed] = [record.dagster_run for record in found]
    assert list(ended_runs.observations(orchestra.instance, failed, second)) == []
    later, _ = ended_runs.look(orchestra.instance, seen, now)
    assert [record.dagster_run.job_name for record in later] == ["keep_history"]


@pytest.mark.long
def test_sensors_go_on_after_batches_have_left(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.LISTED_BATCHES, "1")
    take_batches(orchestra, 2)
    keep(orchestra)

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
    keep(orchestra)
    orchestra.instance.add_dynamic_partitions("batch", [first])

    assert orchestra.run(dg.RunRequest(partition_key=first), "process").success


def test_nothing_leaves_while_the_warehouse_is_empty(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.LISTED_BATCHES, "1")
    orchestra.platform.capture()
    orchestra.instance.add_dynamic_partitions("batch", [batch_key(1), "2099-01-01T00-00-00Z"])

    assert keep(orchestra).success
    assert len(orchestra.partitions()) == 2


def test_warehouse_that_cannot_be_reached_fails_with_its_sentence(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.WAREHOUSE_DSN, "postgresql://nobody@127.0.0.1:1/warehouse")
    [failure] = [event for event in keep(orchestra).all_events if event.is_step_failure]

    data = failure.step_failure_data.user_failure_data
    assert data is not None
    assert "TOTESYS_WAREHOUSE_DSN points to a database" in (data.description or "")


def test_history_is_kept_hourly() -> None:
    schedule = defs.resolve_schedule_def("keep_history_schedule")
    assert schedule.cron_schedule == "7 * * * *"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
