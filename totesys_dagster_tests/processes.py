"""Processes that tests and benchmarks start beside themselves."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess


def end_group(process: subprocess.Popen[bytes], number: signal.Signals, seconds: float) -> None:
    """Ask the process's own group to end, wait so long for the process, and kill what is left.

    A code server whose run was interrupted at the wrong moment waits for it for ever.
    """
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, number)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(seconds)
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
