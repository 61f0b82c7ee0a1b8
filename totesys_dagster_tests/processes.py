"""Processes that tests and benchmarks start beside themselves."""

from __future__ import annotations

import contextlib
import functools
import os
import signal
import subprocess
import sys
import time

# A killed process lets go of its locks and files when the kernel comes round to it.
_KILLED_SECONDS = 10


def end_group(process: subprocess.Popen[bytes], number: signal.Signals, seconds: float) -> None:
    """Ask the process's own group to end, wait so long for the process, and kill what is left.

    It is gone then, with the locks that it held. A code server whose run was interrupted at the
    wrong moment waits for it for ever.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    deadline = time.monotonic() + _KILLED_SECONDS
    with contextlib.suppress(ProcessLookupError):
        while time.monotonic() < deadline:
            os.killpg(process.pid, 0)
            time.sleep(0.05)


@functools.cache
def imported_with(module: str) -> frozenset[str]:
    """All modules of a process that imports this one. A process with Dagster takes seconds."""
    code = f"import sys, {module}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return frozenset(done.stdout.split())
