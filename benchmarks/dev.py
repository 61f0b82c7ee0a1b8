"""The platform under `dagster dev`, in a directory of its own, to be watched at work."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg

from benchmarks.machine import TICKS
from totesys_dagster import settings
from totesys_dagster.local import server as postgres
from totesys_dagster.local import stack
from totesys_dagster_tests.processes import end_group

PROJECT = Path(__file__).parent.parent
START_SECONDS = 180
# The run launcher of dagster.yaml.
LAUNCHER = "ForkingRunLauncher"


@contextlib.contextmanager
def embedded() -> Iterator[Path]:
    """A directory with the embedded default in `home`, which this process uses too; gone after."""
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as directory:
        home = Path(directory, "home")
        os.environ[settings.HOME] = str(home)
        try:
            stack.start()
            yield Path(directory)
        finally:
            postgres.remove(home)


@contextlib.contextmanager
def running(
    directory: Path, module: str, launcher: str = LAUNCHER
) -> Iterator[subprocess.Popen[bytes]]:
    """`dagster dev` with the project's own settings; stopped as by Ctrl-C after the block."""
    instance = (PROJECT / "dagster.yaml").read_text()
    assert LAUNCHER in instance
    (directory / "dagster.yaml").write_text(instance.replace(LAUNCHER, launcher))
    command = [sys.executable, "-m", "dagster", "dev", "-h", "127.0.0.1", "-p", "0", "-m", module]
    with (directory / "dev.log").open("ab") as log:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env={**os.environ, "GRPC_VERBOSITY": "ERROR"},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        end_group(process, signal.SIGINT, 60)


def loaded_batches(connection: psycopg.Connection) -> int:
    """The number of the last batch that other sessions see in the warehouse."""
    row = connection.execute(
        "SELECT coalesce(max(sequence), 0) FROM warehouse_bookkeeping.batch"
    ).fetchone()
    assert row is not None
    return int(row[0])


def wait_for_batch(connection: psycopg.Connection, number: int) -> None:
    deadline = time.monotonic() + START_SECONDS
    while loaded_batches(connection) < number:
        if time.monotonic() > deadline:
            raise SystemExit(f"Batch {number} was not loaded within {START_SECONDS} seconds.")
        time.sleep(0.1)


def processes(group: int) -> list[Path]:
    """The entries in /proc of all descendants of a process, itself included."""
    parents: dict[int, list[int]] = {}
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            parents.setdefault(parent, []).append(int(entry.name))
    found, rest = [], [group]
    while rest:
        process = rest.pop()
        found.append(Path("/proc", str(process)))
        rest += parents.get(process, [])
    return found


def cpu_seconds(group: int) -> float:
    """Processor time of a process and its descendants, those that have ended included."""
    total = 0
    for entry in processes(group):
        with contextlib.suppress(OSError):
            fields = (entry / "stat").read_text().rpartition(")")[2].split()
            total += sum(map(int, fields[11:15]))
    return total / TICKS


def memory_megabytes(group: int) -> float:
    """Memory of a process and its descendants; what they share is counted once."""
    total = 0
    for entry in processes(group):
        with contextlib.suppress(OSError):
            for line in (entry / "smaps_rollup").read_text().splitlines():
                if line.startswith("Pss:"):
                    total += int(line.split()[1])
    return total / 1024
