"""Keeps the embedded server running as long as somebody uses it.

Each user of the server holds a shared lock on one file. The supervisor tries to lock that file
exclusively; once it succeeds, the last user is gone, whether by Ctrl-C or by SIGKILL, and the
supervisor stops the server. It imports little, so it starts fast and stays small.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

from totesys_dagster import processes
from totesys_dagster.local import locks, postmaster

STOP_SECONDS = 30
LOCK_SECONDS = 2 * STOP_SECONDS + 5
POLL_SECONDS = 0.25


def _in_use(home: Path) -> bool:
    """Whether somebody uses the server. If not, this process keeps the lock until it ends.

    Nobody uses a removed directory.
    """
    try:
        return locks.acquire(home / "in-use.lock") is None
    except FileNotFoundError:
        return False


def _alive(data: Path, child: subprocess.Popen[bytes] | None) -> bool:
    """Whether there is still a server to keep running. A new one may not have its file yet."""
    if child is not None:
        return child.poll() is None
    return postmaster.find(data) is not None


def stop(data: Path, child: subprocess.Popen[bytes] | None, *, at_once: bool = False) -> bool:
    """Shut the server down fast, or immediately if that takes too long (then it recovers at its
    next start). Returns whether no server is left.
    """
    for number in (signal.SIGQUIT,) if at_once else (signal.SIGINT, signal.SIGQUIT):
        if (pid := postmaster.find(data)) is None:
            return True
        # A stopped process (SIGSTOP) would get it when it continues.
        for each in (number, signal.SIGCONT):
            processes.send(pid, each, lambda pid: postmaster.is_server(pid, data))
        deadline = time.monotonic() + STOP_SECONDS
        while time.monotonic() < deadline:
            if child is not None:
                child.poll()  # this reaps it
            if postmaster.find(data) is None:
                return True
            time.sleep(0.02)
    return False


def _remove_if_orphaned(directory: int, home: Path, data: Path) -> None:
    """Remove the server's files if its home was removed, since nobody can find them any more.

    A removed directory has no links left; a renamed one still has.
    """
    if os.fstat(directory).st_nlink == 0 and home not in data.parents:
        shutil.rmtree(data.parent, ignore_errors=True)


def main() -> None:
    """Start the server that the JSON on the command line describes, unless it is running; then
    wait."""
    plan = json.loads(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    home, data = Path(plan["home"]), Path(plan["data"])
    directory = os.open(home, os.O_RDONLY)
    # The process that started this one has seen the lock free.
    with locks.exclusive(home / "supervisor.lock", LOCK_SECONDS, "the end of another supervisor"):
        child = None
        if postmaster.find(data) is None:
            postmaster.clear(data)
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
