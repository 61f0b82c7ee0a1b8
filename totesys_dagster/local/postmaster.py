"""Finds the server process of a data directory, without trusting `postmaster.pid`.

That file survives a power failure or a removed container, and its process id may then belong to any
process. A server is recognized by its program and by its working directory, which is its data
directory; its command line distinguishes it from its child processes. This module imports little,
so that the supervisor stays small.
"""

from __future__ import annotations

import signal
from contextlib import suppress
from pathlib import Path

from totesys_dagster import processes
from totesys_dagster.waiting import looks

# How long processes without their server may take to notice.
ORPHAN_SECONDS = 5.0


def find(data: Path) -> int | None:
    """The process id of the server that runs on `data`, or None."""
    lines = _lines(data)
    if lines is None:
        return None
    try:
        pid = int(lines[0])
    except (ValueError, IndexError):  # empty or truncated: its writer may still be running
        return next((pid for pid in _of(data) if is_server(pid, data)), None)
    return pid if is_server(pid, data) else None


def port(data: Path) -> int | None:
    """The port that the server of `data` listens on; None while its file does not say."""
    try:
        return int((_lines(data) or [])[3])
    except (ValueError, IndexError):
        return None


def is_server(pid: int, data: Path) -> bool:
    """Whether a process is the server of `data`, not one of its child processes."""
    words = processes.command(pid)
    if not words or Path(words[0]).name != "postgres":
        return False
    if not Path("/proc/self").exists():
        return str(data) in words
    return _is_of(pid, data)


def clear(data: Path) -> None:
    """Prepare for a new server if none is running: end the last one's processes, and remove its
    `postmaster.pid`, which stops PostgreSQL if the id in it is another process's or no number.

    Call this with the supervisor's lock held.
    """
    for _ in looks(f"the processes that the last server of {data} left behind", ORPHAN_SECONDS):
        if not (orphans := _of(data)):
            break
    for pid in orphans:  # stopped or stuck: their memory no longer counts
        processes.send(pid, signal.SIGKILL, lambda pid: _is_of(pid, data))
    with suppress(FileNotFoundError):
        (data / "postmaster.pid").unlink()


def _lines(data: Path) -> list[str] | None:
    """The lines of `postmaster.pid`, or None if there is no such file."""
    try:
        return (data / "postmaster.pid").read_text(errors="replace").splitlines()
    except OSError:
        return None


def _of(data: Path) -> list[int]:
    """All processes of a server of `data`; none on a system without /proc."""
    return [
        int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _is_of(int(entry.name), data)
    ]


def _is_of(pid: int, data: Path) -> bool:
    process = Path("/proc", str(pid))
    try:
        program = (process / "exe").readlink().name.removesuffix(" (deleted)")
        return program == "postgres" and data.samefile(process / "cwd")
    except OSError:
        return False
