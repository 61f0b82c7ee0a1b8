"""What tells a run that goes on from one whose process has died."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus

from totesys_dagster.definitions import defs
from totesys_dagster.launching import launcher
from totesys_dagster.runs import unfinished as runs
from totesys_dagster.runs.tags import PROCESS_TAG


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        yield instance


def launched(instance: dg.DagsterInstance, times: int) -> str:
    """A run that so many daemons have taken from the queue."""
    run = instance.create_run_for_job(defs.resolve_job_def("capture"))
    for _ in range(times):
        event = dg.DagsterEvent(dg.DagsterEventType.RUN_STARTING.value, run.job_name)
        instance.report_dagster_event(event, run_id=run.run_id)
    return run.run_id


def test_run_that_two_daemons_launched_is_known_as_such(instance: dg.DagsterInstance) -> None:
    assert not runs.launched_twice(instance, launched(instance, 1))
    assert runs.launched_twice(instance, launched(instance, 2))


def test_run_shows_life_until_it_has_been_silent_for_long(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id = launched(instance, 2)
    assert launcher.shows_life(instance, run_id)

    monkeypatch.setattr(launcher, "SILENCE_SECONDS", 0.05)
    time.sleep(0.1)
    assert not launcher.shows_life(instance, run_id)


def test_run_that_never_told_anything_shows_no_life(instance: dg.DagsterInstance) -> None:
    run = instance.create_run_for_job(defs.resolve_job_def("whole_path"))

    assert not launcher.shows_life(instance, run.run_id)


def health(instance: dg.DagsterInstance, run_id: str, process: str) -> WorkerStatus:
    """What the launcher says of a run that is tagged with this process."""
    watched = launcher.WatchedRunLauncher()
    watched.register_instance(instance)
    instance.add_run_tags(run_id, {PROCESS_TAG: process})
    run = instance.get_run_by_id(run_id)
    assert run is not None
    return watched.check_run_worker_health(run).status


def test_process_on_another_host_counts_as_alive_and_cannot_be_ended(
    instance: dg.DagsterInstance,
) -> None:
    run_id = launched(instance, 1)

    assert health(instance, run_id, "another.example.com:1:1") is WorkerStatus.RUNNING
    watched = launcher.WatchedRunLauncher()
    watched.register_instance(instance)
    assert not watched.terminate(run_id)


@pytest.mark.parametrize(
    ("times", "status"), [(1, WorkerStatus.NOT_FOUND), (2, WorkerStatus.RUNNING)]
)
def test_dead_process_of_a_run_that_was_launched_twice_is_not_its_only_one(
    instance: dg.DagsterInstance, times: int, status: WorkerStatus
) -> None:
    dead = f"{socket.gethostname()}:{os.getpid()}:1"

    assert health(instance, launched(instance, times), dead) is status
