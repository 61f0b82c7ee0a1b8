"""What a person sees of `totesys dev`: its output, then two lines, and nothing is left."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest

# Services of which one prints a traceback when it is interrupted, and one does not hear it.
SERVICES = """
import os, signal, subprocess, sys, time
from totesys_dagster.local.dev import end_with
end_with(int(sys.argv[-1]))
deaf = "import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(60)"
if "deaf" in sys.argv:
    subprocess.Popen([sys.executable, "-c", deaf])
print("serving", os.getpid(), flush=True)
if "ends" not in sys.argv:
    time.sleep(60)
print("the last word", file=sys.stderr)
sys.exit(3)
"""
ATTEND = """
import sys
from totesys_dagster.local import attend
attend.REST_SECONDS = 0.3
attend.hear()
sys.exit(attend.Attended([sys.executable, "-c", *sys.argv[1:]]).attend())
"""


def attended(*words: str) -> tuple[subprocess.Popen[str], int]:
    """The process that attends to the services, and the group that these are."""
    process = subprocess.Popen(
        [sys.executable, "-c", ATTEND, SERVICES, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    serving, pid = process.stdout.readline().split()
    assert serving == "serving"
    return process, int(pid)


def is_left(group: int) -> bool:
    deadline = time.monotonic() + 10
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(group, 0)
            time.sleep(0.02)
        os.killpg(group, signal.SIGKILL)
        return True
    return False


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_signal_ends_services_in_two_lines(number: int, status: int) -> None:
    process, group = attended()
    process.send_signal(number)
    _, errors = process.communicate(timeout=30)

    assert process.returncode == status
    assert errors == "\nStopping the UI, the sensors and what they run …\nStopped.\n"
    assert not is_left(group)


def test_service_that_does_not_end_is_killed() -> None:
    process, group = attended("deaf")
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)

    assert errors.splitlines()[-1] == "Killed what did not end."
    assert not is_left(group)


def test_services_that_end_have_the_last_word() -> None:
    process, group = attended("ends")
    _, errors = process.communicate(timeout=30)

    assert (process.returncode, errors) == (3, "the last word\n")
    assert not is_left(group)


def test_services_end_with_the_process_that_attends_to_them() -> None:
    process, group = attended()
    process.kill()
    process.communicate(timeout=30)

    assert not is_left(group)
