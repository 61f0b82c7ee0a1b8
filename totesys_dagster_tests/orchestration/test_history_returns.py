"""What returns to Dagster's history, where it was lost or a batch was taken off the list."""

from __future__ import annotations

from types import SimpleNamespace

import dagster as dg
import pytest

from totesys_dagster import settings
from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster.metadata import asset_key
from totesys_dagster.orchestration import returning
from totesys_dagster_tests.orchestra import Orchestra
from totesys_dagster_tests.orchestration.histories import (
    AT_WORK,
    keep,
    launched,
    let_days_pass,
    load_by_hand,
    take_batches,
)
from totesys_dagster_tests.orchestration.test_sensors import edit_order

ORDERS = asset_key("processed", "fact_sales_order")

Shown = dict[str, tuple[object, dict[str, object]]]


def shown(instance: dg.DagsterInstance) -> Shown:
    """The latest materialization of each asset: its batch, and what it says of the rows."""
    found: Shown = {}
    for key in instance.all_asset_keys():
        event = instance.get_latest_materialization_event(key)
        assert event is not None
        assert event.asset_materialization is not None
        metadata = {
            name: value.value for name, value in event.asset_materialization.metadata.items()
        }
        took = ("seconds of the load", "seconds from snapshot to load")  # nobody remembers that
        for one in ("preview", returning.REPORTED_FROM, *took):
            metadata.pop(one, None)
        found[key.to_user_string()] = event.asset_materialization.partition, metadata
    return found


def materialized(instance: dg.DagsterInstance) -> dict[str, set[str]]:
    """The batches of each asset that are materialized."""
    keys = instance.all_asset_keys()
    return {key.to_user_string(): set(instance.get_materialized_partitions(key)) for key in keys}


@pytest.mark.long
def test_history_that_was_lost_returns_as_it_was(orchestra: Orchestra) -> None:
    batches = take_batches(orchestra, 2)
    before = shown(orchestra.instance), materialized(orchestra.instance)
    assert len(before[0]) == len(SOURCE_TABLES) + 2 * len(STAR_TABLES)
    with dg.DagsterInstance.ephemeral() as anew:
        orchestra.instance = anew
        [run] = orchestra.tick_and_run("new_batches")

        assert (run.success, run.job_def.name) == (True, "keep_history")
        assert orchestra.partitions() == batches
        assert (shown(anew), materialized(anew)) == before
        event = anew.get_latest_materialization_event(ORDERS)
        assert event is not None
        assert event.asset_materialization is not None
        assert event.asset_materialization.metadata["reported from"].value == "the lake"
        assert orchestra.tick("new_batches") == "The warehouse holds every committed batch."
        assert keep(orchestra).success
        assert (shown(anew), materialized(anew)) == before


def test_batch_that_was_taken_off_by_hand_returns(orchestra: Orchestra) -> None:
    first, second = load_by_hand(orchestra, 2)
    assert keep(orchestra).success
    before = orchestra.instance.fetch_materializations(ORDERS, limit=9).records
    orchestra.instance.delete_dynamic_partition("batch", first)

    assert keep(orchestra).success

    # Dagster takes the key that was added last for the last batch.
    assert orchestra.partitions() == [first, second]
    # Its materializations were there, and are not reported again.
    assert orchestra.instance.fetch_materializations(ORDERS, limit=9).records == before


@pytest.mark.long
def test_run_that_was_deleted_by_hand_is_made_up_for(orchestra: Orchestra) -> None:
    first, second = take_batches(orchestra, 2)
    before = shown(orchestra.instance), materialized(orchestra.instance)
    [deleted] = orchestra.instance.get_runs(dg.RunsFilter(tags={"totesys/batch": first}))
    orchestra.instance.delete_run(deleted.run_id)
    assert orchestra.instance.get_materialized_partitions(ORDERS) == {second}

    assert keep(orchestra).success

    assert orchestra.partitions() == [first, second]
    assert materialized(orchestra.instance) == before[1]
    # An older batch was reported after a newer one, which stays what the UI shows.
    assert shown(orchestra.instance) == before[0]


@pytest.mark.long
def test_only_what_is_listed_returns(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    *_, third, fourth = load_by_hand(orchestra, 4)
    monkeypatch.setenv(settings.LISTED_BATCHES, "2")
    with dg.DagsterInstance.ephemeral() as anew:
        orchestra.instance = anew
        assert keep(orchestra).success
        assert orchestra.partitions() == [third, fourth]
        assert anew.get_materialized_partitions(ORDERS) == {third, fourth}

        let_days_pass(monkeypatch, 14)
        assert keep(orchestra).success
        assert orchestra.partitions() == []


@pytest.mark.long
def test_batch_that_waits_is_left_to_its_run(orchestra: Orchestra) -> None:
    load_by_hand(orchestra, 1)
    edit_order(orchestra.platform, 2)
    orchestra.platform.capture()
    with dg.DagsterInstance.ephemeral() as anew:
        orchestra.instance = anew
        assert keep(orchestra).success
        assert orchestra.partitions() == [batch_key(1)]


@pytest.mark.long
def test_batch_that_a_run_is_at_work_on_is_left_alone(orchestra: Orchestra) -> None:
    first, _ = load_by_hand(orchestra, 2)
    launched(orchestra, first, AT_WORK)

    assert keep(orchestra).success
    assert orchestra.instance.get_materialized_partitions(ORDERS) == {batch_key(2)}


@pytest.mark.long
def test_return_that_is_interrupted_goes_on_from_there(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_by_hand(orchestra, 3)
    assert keep(orchestra).success
    before = shown(orchestra.instance), materialized(orchestra.instance)
    log_event, logged = dg.OpExecutionContext.log_event, []

    def log_some(context: dg.OpExecutionContext, event: dg.AssetMaterialization) -> None:
        if len(logged) == 8:
            raise RuntimeError
        logged.append(event)
        log_event(context, event)

    with dg.DagsterInstance.ephemeral() as anew:
        orchestra.instance = anew
        with monkeypatch.context() as patch:
            patch.setattr(dg.OpExecutionContext, "log_event", log_some)
            assert not keep(orchestra).success
        # The newest first; the oldest, of all tables, was half reported.
        assert orchestra.partitions() == [batch_key(3), batch_key(2)]

        assert keep(orchestra).success
        assert (shown(anew), materialized(anew)) == before


@pytest.mark.long
def test_what_is_too_much_for_once_returns_the_next_time(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    load_by_hand(orchestra, 3)
    assert keep(orchestra).success
    before = shown(orchestra.instance)
    moments = iter([0, 1, 100, *[100] * 9])
    with dg.DagsterInstance.ephemeral() as anew:
        orchestra.instance = anew
        with monkeypatch.context() as patch:
            clock = SimpleNamespace(monotonic=lambda: next(moments))
            patch.setattr(returning, "time", clock)  # not the time of whatever else waits
            keep(orchestra)
        assert orchestra.partitions() == [batch_key(3)]
        keep(orchestra)
        assert shown(anew) == before
