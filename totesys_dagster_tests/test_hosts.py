"""Runs spread over several hosts give what one process gives."""

from __future__ import annotations

import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from dagster._core.launcher import WorkerStatus
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from totesys_dagster import settings
from totesys_dagster.catalogue import WAREHOUSE_TABLES
from totesys_dagster.definitions import defs
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.receipt import read_receipt, touched_stars
from totesys_dagster.lake.store import Store
from totesys_dagster.launching import launcher
from totesys_dagster.local.server import Server
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster_tests import hosts
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.torture.world import wait_until
from totesys_simulator import simulator

WORKERS = 2
BATCHES = 6
CATCH_UP_SECONDS = 300


def capture_backlog(platform: Platform) -> None:
    """A first batch, and some of business days."""
    assert platform.capture() is not None
    for _ in range(1, BATCHES):
        simulator.business_day(platform.application)
        assert platform.capture() is not None


@pytest.mark.long
def test_backlog_on_two_workers_is_the_same_row_for_row(
    full_platform: Platform, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    capture_backlog(full_platform)
    home = tmp_path / "dagster"
    home.mkdir()
    for name, value in hosts.prepare(server, home).items():
        monkeypatch.setenv(name, value)

    with hosts.working(home, WORKERS):
        wait_until(
            lambda: full_platform.rows("SELECT count(*) FROM batch") == [(BATCHES,)],
            CATCH_UP_SECONDS,
            "the load of the last batch",
        )

    # Processed and loaded again, by this process alone and into a zone of its own.
    here = Store((tmp_path / "here").as_uri(), settings.PROCESSED_URL)
    again = rebuild(
        full_platform.warehouse,
        full_platform.names,
        full_platform.ingestion,
        here,
        quarantine_limit=100,
    )
    assert again.different == dict.fromkeys(WAREHOUSE_TABLES, 0)
    assert again.batches == BATCHES
    assert again.rows["fact_sales_order"] > 11_000
    assert receipts(full_platform.ingestion, full_platform.processed) == receipts(
        full_platform.ingestion, here
    )
    for number in range(WORKERS):
        assert "execute_job" in (home / f"worker-{number}.log").read_text().partition("ready.")[2]


def receipts(ingestion: Store, processed: Store) -> list[Any]:
    """What a zone holds of each batch: every object with its hash."""
    return [
        read_receipt(processed, star, manifest)
        for manifest in ManifestLog(ingestion).after(0)
        for star in touched_stars(manifest)
    ]


@pytest.fixture
def spread(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """The launcher of deploy/celery on an empty instance, with broker and results in memory."""
    monkeypatch.syspath_prepend(str(hosts.CELERY))
    from spread_launcher import SpreadRunLauncher  # type: ignore[import-not-found]

    with dg.DagsterInstance.ephemeral() as instance:
        made = SpreadRunLauncher("dagster", broker="memory://", backend="cache+memory://")
        made.register_instance(instance)
        yield made
    sys.modules.pop("spread_launcher")


def status_of(spread: Any, task_state: str | None) -> WorkerStatus:
    """What the launcher says of a run that has just told something, by the state of its task."""
    instance, task = spread._instance, uuid.uuid4().hex
    tags = {DAGSTER_CELERY_TASK_ID_TAG: task} if task_state else {}
    run = instance.create_run_for_job(
        defs.resolve_job_def("process"), status=dg.DagsterRunStatus.STARTED, tags=tags
    )
    if task_state:
        spread.celery.backend.store_result(task, 0, task_state)
    instance.report_engine_event("at work", run)
    return spread.check_run_worker_health(run).status


def test_run_at_work_is_alive(spread: Any) -> None:
    assert status_of(spread, "STARTED") == WorkerStatus.RUNNING


def test_task_that_ended_is_told(spread: Any) -> None:
    assert status_of(spread, "SUCCESS") == WorkerStatus.SUCCESS
    assert status_of(spread, "FAILURE") == WorkerStatus.FAILED


def test_run_of_a_host_that_fell_silent_is_given_up(
    spread: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(launcher, "SILENCE_SECONDS", -1)
    assert status_of(spread, "STARTED") == WorkerStatus.NOT_FOUND


def test_run_whose_result_was_lost_is_alive_while_it_tells_something(spread: Any) -> None:
    assert status_of(spread, "PENDING") == WorkerStatus.RUNNING


def test_run_of_the_command_line_has_no_task(spread: Any) -> None:
    assert status_of(spread, None) == WorkerStatus.RUNNING
