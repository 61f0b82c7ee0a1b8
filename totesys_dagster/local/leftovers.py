"""The process that ends what Ctrl-C can leave behind of `totesys dev`.

A run that is interrupted at the wrong moment dies holding a lock that it shares with Dagster's code
server. The code server then waits forever, and the embedded PostgreSQL server with it. This process
outlives `dagster dev` by some seconds and kills such code servers in its own process group. It
finds them in /proc; on a system without /proc, it does nothing.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from totesys_dagster import processes

GRACE_SECONDS = 10.0
POLL_SECONDS = 0.25
# In the environment of what one `totesys dev` has started.
MARK = "DEV_OF_TOTESYS"
CODE_SERVER = b"-m\0dagster\0api\0grpc\0"


def code_servers(group: int) -> list[int]:
    """The processes of a process group that are code servers of Dagster's."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            process = int(entry.name)
            if is_code_server(process, group):
                found.append(process)
    return found


def is_code_server(process: int, group: int) -> bool:
    """Whether a process is a code server of this `totesys dev`, and not of a `dagster dev` that a
    script has started beside it. Raises OSError."""
    place = Path(f"/proc/{process}")
    return (
        os.getpgid(process) == group
        and CODE_SERVER in (place / "cmdline").read_bytes()
        and f"{MARK}={os.environ.get(MARK, '')}".encode()
        in (place / "environ").read_bytes().split(b"\0")
    )


def main(dagster_dev: int, grace_seconds: float = GRACE_SECONDS) -> None:
    """Wait for the end of the process that started this one, then for its code servers'."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    while os.getppid() == dagster_dev:
        time.sleep(POLL_SECONDS)
    deadline = time.monotonic() + grace_seconds
    while (left := code_servers(os.getpgrp())) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    for process in left:
        with contextlib.suppress(OSError):
            processes.send(process, signal.SIGKILL, lambda pid: is_code_server(pid, os.getpgrp()))


if __name__ == "__main__":
    main(int(sys.argv[1]), *map(float, sys.argv[2:]))
