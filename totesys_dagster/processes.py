"""Other processes: their identity, and signals that reach only the intended one.

Process ids are reused: after a restart of a machine or container, an id in a file can belong to any
process. So a signal is sent only to a process that was just proved to be the intended one, and
through a process descriptor if the system has them, since an id could be reused in between.
"""

from __future__ import annotations

import errno
import os
import signal
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

PS_SECONDS = 5


def state_and_start(pid: int) -> tuple[str, str]:
    """The state of a process as one letter, and its start in the kernel's clock ticks since boot,
    which no change of the clock affects. Two empty strings if they cannot be read."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")
    except OSError:
        return "", ""
    # The name in front may contain blanks and brackets; proc_pid_stat(5) lists the fields after it.
    fields = text.rpartition(")")[2].split()
    return fields[0], fields[19]


def is_there(pid: int) -> bool:
    """Whether a process has this id, whoever owns it."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        pass
    return True


def command(pid: int) -> list[str]:
    """The command line of a process; empty if it cannot be read."""
    if Path("/proc/self").exists():
        try:
            words = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0").split(b"\0")
        except OSError:
            return []
        return [os.fsdecode(word) for word in words]
    done = subprocess.run(  # nosec B603 B607
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        check=False,
        timeout=PS_SECONDS,
    )
    return done.stdout.split()


def describe(pid: int) -> str:
    """Describe a process for people: its id, its program, and whether it is stopped."""
    words = command(pid)
    shown = " ".join([Path(words[0]).name, *words[1:]])[:60] if words else ""
    stopped = ", which is stopped" if state_and_start(pid)[0] in ("T", "t") else ""
    return f"process {pid}{f' ({shown})' if shown else ''}{stopped}"


def _descriptor(pid: int) -> int | None:
    """A descriptor of the process, or None if the system has no such descriptors. Raises
    ProcessLookupError."""
    try:
        return os.pidfd_open(pid) if hasattr(os, "pidfd_open") else None
    except OSError as error:
        if error.errno in (errno.ENOSYS, errno.EPERM):  # an old kernel, or a filter of system calls
            return None
        raise


def send(pid: int, number: int, is_meant: Callable[[int], bool]) -> bool:
    """Send a signal to a process if it `is_meant`. Returns whether it was sent."""
    with suppress(ProcessLookupError):
        descriptor = _descriptor(pid)
        if descriptor is None:
            started = state_and_start(pid)[1]
            if is_meant(pid) and state_and_start(pid)[1] == started:
                os.kill(pid, number)
                return True
            return False
        try:
            if is_meant(pid):  # if it ends now, the signal reaches nobody
                signal.pidfd_send_signal(descriptor, number)
                return True
        finally:
            os.close(descriptor)
    return False
