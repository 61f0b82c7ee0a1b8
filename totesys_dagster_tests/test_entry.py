"""The command from its first moment to its last: signals, locales, and databases that break off."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest

from totesys_dagster.interrupted import broken_off
from totesys_dagster.local.storage import SqliteStorage
from totesys_dagster.postgres import patience
from totesys_dagster_tests.conftest import Platform

WAITING = """
import sys, time
from totesys_dagster import entry
entry._run = lambda: (print("begun", flush=True), time.sleep(60))
entry.main()
"""
REPLACED = """
import os, signal, sys
from totesys_dagster import entry
replace = os.execv
os.execv = lambda *command: (os.kill(os.getpid(), signal.SIGINT), replace(*command))
guarded = "entry.guard(lambda: print('went on') or 0)"
next = f"print('begun'); from totesys_dagster import entry; {guarded}"
entry.guard(lambda: entry.become([sys.executable, "-c", next]))
"""
SHOWING = """
import sys
from totesys_dagster import entry
entry._run = lambda: print("M\\u00fcller", sys.flags.utf8_mode) or 0
entry.main()
"""


@pytest.mark.parametrize(
    ("number", "status", "said"),
    [(signal.SIGINT, 130, "Interrupted."), (signal.SIGTERM, 143, "Terminated.")],
)
def test_signal_ends_a_command_in_a_word(number: int, status: int, said: str) -> None:
    command = subprocess.Popen(
        [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert command.stdout is not None
    assert command.stdout.readline() == "begun\n"
    command.send_signal(number)

    _, errors = command.communicate(timeout=20)
    assert (command.returncode, errors.strip()) == (status, said)


def test_signal_that_comes_while_a_program_is_replaced_ends_the_next_one() -> None:
    done = subprocess.run(
        [sys.executable, "-c", REPLACED], capture_output=True, text=True, check=False
    )

    assert (done.returncode, done.stdout, done.stderr) == (130, "begun\n", "\nInterrupted.\n")


def test_values_are_printed_in_any_locale() -> None:
    done = subprocess.run(
        [sys.executable, "-c", SHOWING],
        env={**os.environ, "LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
        capture_output=True,
        check=True,
    )
    assert done.stdout.decode() == "Müller 1\n"


def test_history_is_made_in_a_directory_of_any_name(tmp_path: Path) -> None:
    place = tmp_path / "a%20b?c#d ü'e" / "storage"
    storage = SqliteStorage(str(place))
    storage.event_log_storage.add_dynamic_partitions("batches", ["1"])

    assert list(storage.event_log_storage.get_dynamic_partitions("batches")) == ["1"]
    assert [path.name for path in tmp_path.iterdir()] == ["a%20b?c#d ü'e"]
    storage.dispose()


def test_history_on_a_full_disk_is_one_sentence() -> None:
    error = sqlite3.OperationalError("database or disk is full")

    assert broken_off(error) == (
        "Dagster's history cannot be used (database or disk is full): make room on its disk, then"
        " run again."
    )
    assert broken_off(ValueError("anything else")) is None


def test_stopped_server_process_is_not_waited_for(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "LOOK_SECONDS", 0.2)
    monkeypatch.setattr(patience, "STOPPED_SECONDS", 0.3)
    backend = platform.source.info.backend_pid
    assert platform.source.execute("SELECT pg_sleep(0.5) IS NULL, 42").fetchone() == (False, 42)
    os.kill(backend, signal.SIGSTOP)
    try:
        with pytest.raises(psycopg.OperationalError, match=f"process {backend} is stopped by a"):
            platform.source.execute("SELECT 1")
    finally:
        os.kill(backend, signal.SIGCONT)
