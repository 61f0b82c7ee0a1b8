"""File locks between processes, which the kernel releases when their holder dies."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from totesys_dagster import processes
from totesys_dagster.errors import TotesysError
from totesys_dagster.waiting import looks


class LockHeldError(TotesysError):
    """Another process holds a lock for longer than it should."""


def acquire(path: Path, *, shared: bool = False) -> int | None:
    """Lock `path` and return the descriptor that holds the lock; None if it is taken.

    Raises OSError if the file cannot be created.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor


def acquire_within(path: Path, seconds: float, what: str, *, shared: bool = False) -> int:
    """Lock `path` once `what` has happened, and return the descriptor that holds the lock.

    Raises LockHeldError if that takes longer than `seconds`, or OSError.
    """
    for _ in looks(what, seconds):
        if (descriptor := acquire(path, shared=shared)) is not None:
            return descriptor
    raise LockHeldError(
        f"{path} is locked by {_holders(path)}, and {what} did not come within {seconds:.0f}"
        " seconds: end that process, or let it go on, then try again."
    )


@contextmanager
def exclusive(path: Path, seconds: float, what: str) -> Iterator[None]:
    """Hold a lock on `path` during a block. Raises LockHeldError or OSError."""
    descriptor = acquire_within(path, seconds, what)
    try:
        yield
    finally:
        os.close(descriptor)


def _holders(path: Path) -> str:
    """The processes that hold a lock on `path`, as far as the system reports them."""
    try:
        inode = f":{path.stat().st_ino}"
        lines = [
            line.split() for line in Path("/proc/locks").read_text(encoding="utf-8").splitlines()
        ]
    except OSError:
        return "another process"
    # An inherited lock is listed with the process that took it, which may have ended.
    holders = {int(line[4]) for line in lines if line[1] == "FLOCK" and line[5].endswith(inode)}
    shown = [processes.describe(pid) for pid in sorted(holders) if processes.is_there(pid)]
    return " and ".join(shown) or "another process"
