"""What Ctrl-C leaves behind is ended, and nothing else."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/cmdline").exists(), reason="looks for processes in /proc"
)

# A `dagster dev` that ends at once, with a code server that does not, and that of another
# one that a script has started beside it.
DEV = """
import os, subprocess, sys
from totesys_dagster.local.leftovers import MARK
os.environ[MARK] = "ours"
leftovers = [sys.executable, "-m", "totesys_dagster.local.leftovers", str(os.getpid()), sys.argv[1]]
subprocess.Popen(leftovers, stdout=subprocess.DEVNULL)
sleep = [sys.executable, "-c", "import time; time.sleep(60)"]
server = subprocess.Popen([*sleep, "-m", "dagster", "api", "grpc", "x"], stdout=subprocess.DEVNULL)
theirs = {**os.environ, MARK: "theirs"}
grpc = [*sleep, "-m", "dagster", "api", "grpc", "x"]
other = subprocess.Popen(grpc, stdout=subprocess.DEVNULL, env=theirs)
print(server.pid, other.pid)
"""


def dev_that_ended(grace_seconds: float) -> list[int]:
    """The processes of its code server and of the other one."""
    command = [sys.executable, "-c", DEV, str(grace_seconds)]
    done = subprocess.run(
        command, stdout=subprocess.PIPE, text=True, check=True, start_new_session=True
    )
    return [int(process) for process in done.stdout.split()]


def runs(process: int) -> bool:
    """Whether it does; one that was killed may still wait for its new parent."""
    try:
        return "(zombie)" not in Path(f"/proc/{process}/status").read_text()
    except FileNotFoundError:
        return False


def test_code_server_that_does_not_end_is_killed() -> None:
    server, other = dev_that_ended(grace_seconds=0.5)
    deadline = time.monotonic() + 20
    while runs(server) and time.monotonic() < deadline:
        time.sleep(0.1)
    ended, spared = not runs(server), runs(other)
    os.kill(other, signal.SIGKILL)

    assert ended
    assert spared


def test_code_server_is_given_time_to_end() -> None:
    server, other = dev_that_ended(grace_seconds=60)
    time.sleep(1)
    still_there = runs(server)
    for process in (server, other):
        os.kill(process, signal.SIGKILL)

    assert still_there
