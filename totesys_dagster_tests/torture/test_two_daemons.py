"""Two daemons on one instance, which Dagster does not support: exact, and nobody is woken for it.

Their sensors ask for the same runs, and both launch what is queued.
"""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections import Counter
from pathlib import Path

import dagster as dg
import psycopg
import pytest
from psycopg import sql

from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster_tests.torture import oracle, world
from totesys_dagster_tests.torture.__main__ import NAMES, caught_up
from totesys_dagster_tests.torture.judge import judge
from totesys_dagster_tests.torture.oracle import Log
from totesys_dagster_tests.torture.world import PROJECT, World
from totesys_dagster_tests.torture.writers import Writer, finish, mend_all

WRITERS = 2
SECONDS = 15
CATCH_UP_SECONDS = 1000
# A busy machine may take longer for a run's start than the instance waits for it by default. It
# would be marked as failed, which this test would take for an alarm.
START_SECONDS = 300


def keep_history_in_postgres(tortured: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """As deploy/dagster.yaml does, in a database beside the warehouse."""
    server = tortured.warehouse.server
    with tortured.warehouse.connect(SUPERUSER, "postgres") as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE dagster OWNER {}").format(sql.Identifier(stack.ADMIN))
        )
    for name, value in {
        "HOST": "127.0.0.1",
        "PORT": str(server.port),
        "DB": "dagster",
        "USER": stack.ADMIN,
        "PASSWORD": server.passwords[stack.ADMIN],
    }.items():
        monkeypatch.setenv(f"DAGSTER_POSTGRES_{name}", value)
    deployed = (PROJECT / "deploy" / "dagster.yaml").read_text()
    (tortured.directory / "dagster.yaml").write_text(deployed)


def start_patiently(home: Path) -> None:
    """Let the instance in this directory wait for the start of a run."""
    instance = home / "dagster.yaml"
    patient, count = re.subn(
        r"(start_timeout_seconds:) \d+", rf"\1 {START_SECONDS}", instance.read_text()
    )
    assert count == 1
    instance.write_text(patient)


def write_for(seconds: float, dsn: str) -> None:
    """Let writers loose on the source."""
    quiet = threading.Event()
    writers = [Writer(dsn, number, 0.2, quiet) for number in range(WRITERS)]
    for writer in writers:
        writer.start()
    time.sleep(seconds)
    quiet.set()
    for writer in writers:
        writer.join()
    finish(dsn)
    mend_all(dsn)


def said(home: Path) -> str:
    """What the instance in this directory knows of its runs and of its sensors' last ticks."""
    with contextlib.chdir(home), dg.DagsterInstance.get() as instance:
        runs = [
            f"{record.dagster_run.job_name} {record.dagster_run.status.value}"
            f" {record.create_timestamp:%H:%M:%S} {record.start_time} {record.end_time}"
            f" {dict(record.dagster_run.tags)}"
            for record in instance.get_run_records()
        ]
        ticks = [
            f"{state.instigator_name} {tick.status.value} {tick.timestamp}"
            f" {tick.skip_reason or tick.error}"
            for state in instance.all_instigator_state()
            for tick in instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=5)
        ]
    return "\n".join([f"now {time.time()}", *runs, *ticks])


@pytest.mark.long
@pytest.mark.parametrize("storage", ["postgres", "sqlite"])
def test_two_daemons_are_exact_and_alarm_nobody(
    storage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with world.created(tmp_path, "local") as tortured:
        if storage == "postgres":
            keep_history_in_postgres(tortured, monkeypatch)
        start_patiently(tmp_path)
        for name, value in tortured.environment().items():
            monkeypatch.setenv(name, value)
        ingestion, processed = tortured.zones()
        log = ManifestLog(ingestion)
        for name in ("code server", "daemon", "second daemon"):
            tortured.start(name)
        world.wait_until(lambda: log.head() is not None, CATCH_UP_SECONDS, "the first batch")
        write_for(SECONDS, tortured.application_dsn)
        try:
            world.wait_until(lambda: caught_up(log), CATCH_UP_SECONDS, "the catching up")
        except TimeoutError as error:
            pytest.fail(f"{error}:\n{said(tmp_path)}")
        time.sleep(5)
        tortured.stop()

        with contextlib.chdir(tmp_path), dg.DagsterInstance.get() as instance:
            runs = [record.dagster_run for record in instance.get_run_records()]
            counts = Counter((run.job_name, run.status.value) for run in runs)
            failed = [
                entry.user_message
                for run in runs
                if run.status == dg.DagsterRunStatus.FAILURE
                for entry in instance.all_logs(run.run_id)
                if entry.is_dagster_event and entry.get_dagster_event().is_failure
            ]
        with psycopg.connect(tortured.application_dsn) as source:
            noted = Log(oracle.read_log(source))
        verdict = judge(noted, NAMES, ingestion, processed)
        head = log.head()
        assert head is not None
        print(f"{storage}: {head.sequence} batches, {dict(counts)}, {verdict.versions} versions")

        assert verdict.errors == 0, verdict.examples
        assert failed == []
