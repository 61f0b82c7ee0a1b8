"""Dagster's own database: made by several processes at once, or by one that is killed."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from totesys_dagster.local.storage import SqliteStorage

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

    storage = SqliteStorage(str(place))

    assert storage.run_storage.get_runs() == []
    assert storage.schedule_storage.all_instigator_state() == []
    assert not half.exists()


def test_history_outlasts_the_process(tmp_path: Path) -> None:
    first = SqliteStorage(str(tmp_path / "storage"))
    first.event_log_storage.add_dynamic_partitions("batch", ["2026-01-01T00-00-00Z"])
    again = SqliteStorage(str(tmp_path / "storage"))

    assert again.event_log_storage.get_dynamic_partitions("batch") == ["2026-01-01T00-00-00Z"]


def test_project_keeps_its_history_there() -> None:
    storage = yaml.safe_load((PROJECT / "dagster.yaml").read_text())["storage"]

    assert storage["custom"]["class"] == SqliteStorage.__name__
    assert storage["custom"]["config"] == {"base_dir": ".dagster/storage"}
