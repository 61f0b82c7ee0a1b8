"""Batches and runs in Dagster's history, and what the UI shows of them."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from totesys_dagster.definitions import defs
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster.metadata import BATCH_TAG
from totesys_dagster.orchestration import listed
from totesys_dagster.runs.tags import LAST_BATCH_TAG
from totesys_dagster.runs.unfinished import PARTITION_TAG
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.orchestra import Orchestra
from totesys_dagster_tests.orchestration.test_sensors import edit_order

SUCCESS, AT_WORK = dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.STARTED


def take_batches(orchestra: Orchestra, count: int) -> list[str]:
    """Take so many batches the whole way; their keys."""
    for number in range(count):
        edit_order(orchestra.platform, 1 + number % 2)
        orchestra.tick_and_run("source_changes")
    return orchestra.partitions()


def load_by_hand(orchestra: Orchestra, count: int) -> list[str]:
    """Take so many batches without Dagster, which then lists them; their keys."""

    def steps(platform: Platform) -> None:
        for number in range(count):
            edit_order(platform, 1 + number % 2)
            assert platform.run()

    orchestra.platform.come_to(f"{count} batches by hand", steps)
    keys = [batch_key(1 + number) for number in range(count)]
    orchestra.instance.add_dynamic_partitions("batch", keys)
    return keys


@dg.op
def nothing() -> None:
    """What the runs do that tests make up."""


def launched(
    orchestra: Orchestra,
    batch: str | None,
    status: dg.DagsterRunStatus = SUCCESS,
    *,
    last: str | None = None,
) -> str:
    """The id of a run that is of a batch, of those from one to another, or of none."""
    tags = {BATCH_TAG: batch} if batch else {}
    tags |= {LAST_BATCH_TAG: last} if last else {PARTITION_TAG: batch} if batch else {}
    # Of no asset: it would be the last run that was to materialize it.
    job = dg.GraphDefinition("load_warehouse" if last else "process", node_defs=[nothing]).to_job()
    return orchestra.instance.create_run_for_job(job, status=status, tags=tags).run_id


def keep(orchestra: Orchestra) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def("keep_history").execute_in_process(
        instance=orchestra.instance, raise_on_error=False
    )


def known_runs(orchestra: Orchestra) -> list[dg.DagsterRun]:
    """The runs that Dagster knows, but for those of `keep_history`."""
    return [run for run in orchestra.instance.get_runs() if run.job_name != "keep_history"]


def runs(orchestra: Orchestra) -> set[str]:
    """Their ids."""
    return {run.run_id for run in known_runs(orchestra)}


def let_days_pass(monkeypatch: pytest.MonkeyPatch, days: int) -> None:
    monkeypatch.setattr(
        listed, "now", lambda _: dt.datetime.now(dt.UTC) + dt.timedelta(days=days, hours=1)
    )


def latest(instance: dg.DagsterInstance) -> dict[str, object]:
    """What the UI shows as the latest state of assets and checks, whose runs are all there."""
    shown: dict[str, object] = {}
    for record in instance.get_asset_records():
        entry = record.asset_entry
        shown[entry.asset_key.to_user_string()] = entry.last_materialization, entry.last_run_id
        assert instance.has_run(str(entry.last_run_id))
    checks = [*defs.get_repository_def().asset_graph.asset_check_keys]
    for key, one in instance.event_log_storage.get_asset_check_summary_records(checks).items():
        if one.last_check_execution_record:
            shown[str(key)] = one.last_check_execution_record
            assert instance.has_run(str(one.last_run_id))
    return shown
