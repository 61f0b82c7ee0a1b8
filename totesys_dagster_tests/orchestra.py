"""The platform under a Dagster instance: ticks of sensors, and the runs that they ask for."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dagster as dg
import pytest

from totesys_dagster.definitions import defs
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster.lake.store import Store
from totesys_dagster.orchestration import planning, sensors
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.runs.unfinished import SENSOR_TAG
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

    def tick_cursor(self, name: str) -> str | None:
        """The cursor that a sensor leaves when it is ticked now."""
        context = self.context()
        defs.resolve_sensor_def(name)(context)
        return context.cursor

    def _apply(self, answer: dg.SensorResult) -> None:
        for request in answer.dynamic_partitions_requests or []:
            if isinstance(request, dg.AddDynamicPartitionsRequest):
                self.instance.add_dynamic_partitions(
                    request.partitions_def_name, list(request.partition_keys)
                )
            else:
                for key in request.partition_keys:
                    self.instance.delete_dynamic_partition(request.partitions_def_name, key)

    def run(
        self, request: dg.RunRequest, job: str | None = None, sensor: str | None = None
    ) -> dg.ExecuteInProcessResult:
        """Execute a run that a sensor asked for, in this process."""
        chosen = defs.resolve_job_def(request.job_name or job or "")
        if request.asset_selection:
            checks = request.asset_check_keys
            chosen = chosen.get_subset(
                asset_selection={*request.asset_selection},
                asset_check_selection=None if checks is None else {*checks},
            )
        return chosen.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            tags={**request.tags, **({SENSOR_TAG: sensor} if sensor else {})},
            raise_on_error=False,
        )

    def requests(self, name: str) -> list[dg.RunRequest]:
        """Tick a sensor; the runs that it asks for."""
        answer = self.tick(name)
        return [] if isinstance(answer, str) else [*(answer.run_requests or [])]

    def tick_and_run(self, name: str) -> list[dg.ExecuteInProcessResult]:
        """Tick a sensor and execute all that it asks for; nothing when it skips."""
        job = "capture" if name == "source_changes" else "load_warehouse"
        return [self.run(request, job, name) for request in self.requests(name)]

    def first(self) -> None:
        """Begin with the first batch in the warehouse, and its key in Dagster's list."""
        self.platform.first()
        self.instance.add_dynamic_partitions("batch", [batch_key(1)])

    def partitions(self) -> list[str]:
        return list(self.instance.get_dynamic_partitions("batch"))

    def verify(self) -> dg.ExecuteInProcessResult:
        """Execute the verification of the lake."""
        return defs.resolve_job_def("verify_lake").execute_in_process(
            instance=self.instance, raise_on_error=False
        )


@pytest.fixture
def orchestra(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Orchestra]:
    # Nobody ticks another sensor beside the one of a test, which therefore waits for none.
    monkeypatch.setattr(planning, "OPENING_SECONDS", 0)
    monkeypatch.setattr(sensors, "WAIT_SECONDS", 0)
    with dg.DagsterInstance.ephemeral() as instance:
        yield Orchestra(instance, platform)


@contextmanager
def damage(store: Store, key: str, data: bytes | None) -> Iterator[None]:
    """For the time of a block an object has other content, or with None is gone."""
    path = Path(unquote(urlsplit(store.url).path), key)
    before = path.read_bytes()
    path.unlink() if data is None else path.write_bytes(data)
    yield
    path.write_bytes(before)


def materialized(result: dg.ExecuteInProcessResult) -> set[tuple[str, str | None]]:
    """The assets that a run materialized, each with its batch."""
    return {
        (event.asset_key.to_user_string(), event.partition)
        for event in result.all_events
        if event.is_step_materialization and event.asset_key
    }
