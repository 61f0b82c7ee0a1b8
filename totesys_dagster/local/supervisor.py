"""The process that keeps the embedded server for as long as somebody uses it.

Each user of the server holds a shared lock on one file. The supervisor tries to get that file for
itself alone; when it does, the last user has gone, be it by Ctrl-C or by SIGKILL, and the server is
stopped. It imports little, so that it starts in a blink and stays small.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from totesys_dagster.local import locks

STOP_SECONDS = 30
POLL_SECONDS = 0.25


def server_process(data: Path) -> int | None:
    """The process id of the server that runs on `data`, None when none does."""
    try:
        pid = int((data / "postmaster.pid").read_text().splitlines()[0])
        os.kill(pid, 0)
    except (OSError, ValueError, IndexError):
        return None
    return pid


def _in_use(home: Path) -> bool:
    """Whether somebody uses the server; if not, the lock is this process's until it ends.

    A directory that was removed is used by nobody.
    """
    try:
        return locks.acquire(home / "in-use.lock", wait=False) is None
    except FileNotFoundError:
        return False


def _alive(data: Path, child: subprocess.Popen[bytes] | None) -> bool:
    """Whether there is still a server to keep. One just started may not have its file yet."""
    if child is not None:
        return child.poll() is None
    return server_process(data) is not None


def stop(data: Path, child: subprocess.Popen[bytes] | None, *, at_once: bool = False) -> None:
    """A fast shutdown, and an immediate one if that takes too long (it recovers at next start)."""
    for number in (signal.SIGQUIT,) if at_once else (signal.SIGINT, signal.SIGQUIT):
        pid = server_process(data)
        if pid is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if child is not None:
                child.poll()  # reaps it
            if server_process(data) is None:
                return
            time.sleep(0.02)


def _remove_if_orphaned(directory: int, home: Path, data: Path) -> None:
    """Remove the server's files if its home was removed, for then nobody can find them any more.

    A directory that was removed has no link left; one that was only renamed has.
    """
    if os.fstat(directory).st_nlink == 0 and home not in data.parents:
        shutil.rmtree(data.parent, ignore_errors=True)


def main() -> None:
    """Start the server that the JSON on the command line describes, unless it runs; then wait."""
    plan = json.loads(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    home, data = Path(plan["home"]), Path(plan["data"])
    directory = os.open(home, os.O_RDONLY)
    with locks.exclusive(home / "supervisor.lock"):
        child = None
        if server_process(data) is None:
            child = subprocess.Popen(  # nosec B603: the command is our own
                plan["command"],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                stderr=sys.stderr,
                start_new_session=True,
                user=plan["user"],
                group=plan["group"],
                extra_groups=None if plan["user"] is None else [],
            )
        while _in_use(home) and _alive(data, child):
            time.sleep(POLL_SECONDS)
        stop(data, child)
        _remove_if_orphaned(directory, home, data)


if __name__ == "__main__":
    main()
