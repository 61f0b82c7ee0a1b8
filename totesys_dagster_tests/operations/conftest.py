"""The platform under a Dagster instance: ticks of sensors, and the runs that they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import dagster as dg
import pytest

from totesys_dagster.definitions import defs
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster_tests.conftest import Platform


@dataclass
class Orchestra:
    """A Dagster instance that holds nothing yet, and a platform over a few rows."""

    instance: dg.DagsterInstance
    platform: Platform

    def context(self, cursor: str | None = None) -> dg.SensorEvaluationContext:
        return dg.build_sensor_context(
            instance=self.instance,
            cursor=cursor,
            resources={"source": SourceDatabase(), "lake": Lake(), "warehouse": Warehouse()},
        )

    def tick(self, name: str, cursor: str | None = None) -> dg.SensorResult | str:
        """What a sensor answers now: a result, or the reason why it skips."""
        context = self.context(cursor)
        answer = defs.resolve_sensor_def(name)(context)
        if isinstance(answer, dg.SkipReason):
            return answer.skip_message or ""
        assert isinstance(answer, dg.SensorResult)
        self._apply(answer)
        return answer

    def _apply(self, answer: dg.SensorResult) -> None:
        for request in answer.dynamic_partitions_requests or []:
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                self.instance.add_dynamic_partitions(
                    request.partitions_def_name, list(request.partition_keys)
                )
            else:
                for key in request.partition_keys:
                    self.instance.delete_dynamic_partition(request.partitions_def_name, key)

    def run(self, request: dg.RunRequest, job: str | None = None) -> dg.ExecuteInProcessResult:
        """Execute a run that a sensor asked for, in this process."""
        return defs.resolve_job_def(request.job_name or job or "").execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            asset_selection=list(request.asset_selection) if request.asset_selection else None,
            tags=dict(request.tags),
            raise_on_error=False,
        )

    def tick_and_run(self, name: str) -> list[dg.ExecuteInProcessResult]:
        """Tick a sensor and execute all that it asks for; nothing when it skips."""
        answer = self.tick(name)
        if isinstance(answer, str):
            return []
        job = "ingest" if name == "source_changes" else "load_warehouse"
        return [self.run(request, job) for request in answer.run_requests or []]

    def partitions(self) -> list[str]:
        return list(self.instance.get_dynamic_partitions("batch"))


@pytest.fixture
def orchestra(platform: Platform) -> Iterator[Orchestra]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield Orchestra(instance, platform)


def materialized(result: dg.ExecuteInProcessResult) -> set[tuple[str, str | None]]:
    """The assets that a run materialized, each with its batch."""
    return {
        (event.asset_key.to_user_string(), event.partition)
        for event in result.all_events
        if event.is_step_materialization and event.asset_key
    }
