"""Dagster's own database: made by several processes at once, or by one that is killed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import dagster as dg
import pytest
import yaml

from totesys_dagster.local import storage
from totesys_dagster.local.storage import SqliteStorage
from totesys_dagster_tests import warm

PROJECT = Path(__file__).parent.parent.parent

# In each of four directories, four processes open the instance at the same moment and use each of
# its databases; then a fifth does. Prints how many could.
OPEN = """
import os, sys, time
from pathlib import Path
import dagster as dg

def use(moment):
    time.sleep(max(0, moment - time.time()))
    with dg.DagsterInstance.from_config(os.getcwd()) as instance:
        instance.get_run_records(limit=1)
        instance.get_dynamic_partitions("batch")
        instance.all_instigator_state()

def fork(moment):
    if child := os.fork():
        return child
    try:
        use(moment)
    except BaseException as error:
        print(error, file=sys.stderr)
        os._exit(1)
    os._exit(0)

text, could = Path("dagster.yaml").read_text(), 0
for number in range(4):
    Path(str(number)).mkdir()
    os.chdir(str(number))
    Path("dagster.yaml").write_text(text)
    moment = time.time() + 0.2
    for children in ([fork(moment) for _ in range(4)], [0]):
        for child in children:
            could += os.waitpid(child or fork(0), 0)[1] == 0
    os.chdir("..")
print(could)
"""


@pytest.mark.long
def test_processes_that_start_at_once_make_one_sound_database(tmp_path: Path) -> None:
    """With Dagster's own storage every second one is broken for good."""
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", OPEN], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert done.stdout == "20\n", done.stderr


def test_creation_that_was_killed_is_begun_again(tmp_path: Path) -> None:
    place = tmp_path / "storage"
    SqliteStorage(str(place)).dispose()
    half = tmp_path / "storage.new"
    place.rename(half)
    for database in half.rglob("*.db"):
        database.write_bytes(b"half made")

    history = SqliteStorage(str(place))

    assert history.run_storage.get_runs() == []
    assert history.schedule_storage.all_instigator_state() == []
    assert not half.exists()


def test_history_outlasts_the_process(tmp_path: Path) -> None:
    first = SqliteStorage(str(tmp_path / "storage"))
    first.event_log_storage.add_dynamic_partitions("batch", ["2026-01-01T00-00-00Z"])
    again = SqliteStorage(str(tmp_path / "storage"))

    assert again.event_log_storage.get_dynamic_partitions("batch") == ["2026-01-01T00-00-00Z"]


def test_project_keeps_its_history_there() -> None:
    config = yaml.safe_load((PROJECT / "dagster.yaml").read_text())["storage"]

    assert config["custom"]["class"] == SqliteStorage.__name__
    assert config["custom"]["config"] == {"base_dir": ".dagster/storage"}


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    """The project's instance, in a directory of its own."""
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


@dg.job
def nothing() -> None:
    """A run of it has events of its beginning and its end."""


def test_events_of_all_runs_are_in_one_file(instance: dg.DagsterInstance, tmp_path: Path) -> None:
    runs = [nothing.execute_in_process(instance=instance).run_id for _ in range(3)]

    assert all(instance.all_logs(run) for run in runs)
    files = {path.name for path in (tmp_path / ".dagster" / "storage").rglob("*.db")}
    assert files == {"runs.db", "event_log.db", "schedules.db"}


@pytest.mark.usefixtures("instance")
def test_pages_of_events_are_large_enough_to_be_filled(tmp_path: Path) -> None:
    database = tmp_path / ".dagster" / "storage" / storage.EVENTS / "event_log.db"
    with closing(sqlite3.connect(database)) as connection:
        assert connection.execute("PRAGMA page_size").fetchone() == (storage.PAGE_BYTES,)


def test_run_that_is_deleted_takes_its_events_along(instance: dg.DagsterInstance) -> None:
    deleted, kept = (nothing.execute_in_process(instance=instance).run_id for _ in range(2))
    instance.delete_run(deleted)

    assert instance.all_logs(deleted) == []
    assert instance.all_logs(kept)


@dg.op
def number() -> int:
    return 7


@dg.op
def twice(given: int) -> int:
    """Fails the first time."""
    if dg.OpExecutionContext.get().run.parent_run_id is None:
        raise dg.Failure("not yet")
    return 2 * given


@dg.job(executor_def=dg.in_process_executor)
def calculation() -> None:
    """What the first step gives is stored for the second one."""
    twice(number())


@pytest.mark.long
def test_passing_of_values_is_not_kept_and_a_failed_run_goes_on(
    instance: dg.DagsterInstance,
) -> None:
    job = dg.reconstructable(calculation)
    failed = dg.execute_job(job, instance)
    again = dg.ReexecutionOptions.from_failure(failed.run_id, instance)
    with dg.execute_job(job, instance, reexecution_options=again) as result:
        assert result.success
        assert result.output_for_node("twice") == 14

    kept = {
        entry.dagster_event_type
        for run in instance.get_runs()
        for entry in instance.all_logs(run.run_id)
    }
    assert dg.DagsterEventType.STEP_OUTPUT in kept
    assert kept.isdisjoint(storage.PASSING)


def test_event_of_another_process_arrives_at_once(instance: dg.DagsterInstance) -> None:
    """As the UI follows a run: the event is in the log of changes, and not yet in the file."""
    run = nothing.execute_in_process(instance=instance).dagster_run
    arrived: list[str] = []
    instance.watch_event_logs(run.run_id, None, lambda entry, _: arrived.append(entry.message))
    code = (
        "import os, sys, dagster as dg\n"
        "with dg.DagsterInstance.from_config(os.getcwd()) as instance:\n"
        "    run = instance.get_run_by_id(sys.argv[1])\n"
        "    instance.report_engine_event('from another process', run)\n"
    )
    assert warm.run(code, run.run_id).returncode == 0
    deadline = time.monotonic() + 10
    while (
        not any("from another process" in text for text in arrived) and time.monotonic() < deadline
    ):
        time.sleep(0.05)

    assert any("from another process" in text for text in arrived)


def test_fork_has_connections_of_its_own(instance: dg.DagsterInstance) -> None:
    instance.add_dynamic_partitions("batch", ["1"])
    child = os.fork()
    if child == 0:
        inherited = len(storage._engines)
        try:
            instance.add_dynamic_partitions("batch", ["2"])
        finally:
            os._exit(inherited)
    assert os.waitpid(child, 0)[1] == 0
    instance.add_dynamic_partitions("batch", ["3"])

    assert sorted(instance.get_dynamic_partitions("batch")) == ["1", "2", "3"]
