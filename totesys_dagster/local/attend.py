"""The process that a person sees of `totesys dev`: it starts Dagster and passes on what it says.

Dagster's processes have a session of their own, so Ctrl-C in a terminal reaches this process only.
It interrupts them as a group and leaves out what they say then, which is tracebacks of what was
asked for: the events of a run say what became of it. A code server can wait forever for a lock that
an interrupted run held, so what does not end in time is killed.
"""

from __future__ import annotations

import os
import select
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from contextlib import suppress
from types import FrameType

# Dagster needs four seconds, and a run that is interrupted one more.
END_SECONDS = 30.0
# How long the others may take once the command itself has ended.
REST_SECONDS = 10.0
POLL_SECONDS = 0.05
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CHUNK = 1 << 16
# A terminal or pipe that takes anything takes so much at once, without a wait.
CHUNK_AT_ONCE = select.PIPE_BUF
# How long a reader that has stopped is waited for, when this process is to end.
SAY_SECONDS = 1.0

_heard: list[int] = []


def hear() -> None:
    """Take note of the signals that end this process, also of those that came before."""
    for number in ENDING:
        # A shell starts background jobs with Ctrl-C ignored; only `nohup` means it.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def _note(number: int, _frame: FrameType | None) -> None:
    _heard.append(number)


class Attended:
    """A command in a session of its own, whose output is passed on until it is to end."""

    def __init__(self, command: Sequence[str], inherited: Sequence[int] = ()) -> None:
        """`inherited` are descriptors that the command keeps open."""
        # The command reads this one to its end, which comes when this process has gone.
        life, self._life = os.pipe()
        self._process = subprocess.Popen(  # nosec B603: the command is our own
            [*command, str(life)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=[life, *inherited],
            start_new_session=True,
        )
        os.close(life)
        assert self._process.stdout
        assert self._process.stderr
        self._pipes = selectors.DefaultSelector()
        for pipe, to in ((self._process.stdout, 1), (self._process.stderr, 2)):
            self._pipes.register(pipe.fileno(), selectors.EVENT_READ, to)

    def attend(self) -> int:
        """Pass on what the command says until it ends, or is to end. Returns the exit status."""
        while self._process.poll() is None:
            self._listen()
            if _heard:
                return self._stop(_heard[0])
        deadline = time.monotonic() + REST_SECONDS
        while self._listen() and not _heard and time.monotonic() < deadline:  # its last words
            pass
        self._end(signal.SIGTERM)
        return self._process.returncode

    def _stop(self, number: int) -> int:
        _say("\nStopping the UI, the sensors and what they run …")
        _say("Stopped." if self._end(signal.SIGINT) else "Killed what did not end.")
        return 128 + number

    def _end(self, number: int) -> bool:
        """End all processes of the command. Returns whether none had to be killed."""
        self._send(number)
        signals, deadline = len(_heard), time.monotonic() + END_SECONDS
        running = True
        while self._send(0) and time.monotonic() < deadline and len(_heard) == signals:
            self._listen(pass_on=False)
            if running and self._process.poll() is not None:
                running, deadline = False, time.monotonic() + REST_SECONDS
        killed = self._send(signal.SIGKILL)
        with suppress(subprocess.TimeoutExpired):  # it cannot be killed: its disk does not answer
            self._process.wait(REST_SECONDS)
        return not killed

    def _send(self, number: int) -> bool:
        """Send a signal to the processes that are left; whether there are any."""
        with suppress(ProcessLookupError, PermissionError):  # macOS says the latter of zombies
            os.killpg(self._process.pid, number)
            return True
        return False

    def _listen(self, *, pass_on: bool = True) -> bool:
        """Read what was said, for a moment at most; whether there was anything."""
        found = self._pipes.select(POLL_SECONDS)
        for key, _ in found:
            if not (text := os.read(key.fd, CHUNK)):
                self._pipes.unregister(key.fd)
            elif pass_on:
                _write(key.data, text)
        return bool(found)


def _say(text: str) -> None:
    _write(2, f"{text}\n".encode())


def _write(descriptor: int, text: bytes) -> None:
    """Write all of it, unless nobody reads and this process is to end."""
    with suppress(OSError):  # who read it has gone, with the terminal; services do not end for it
        while text:
            _, ready, _ = select.select([], [descriptor], [], SAY_SECONDS)
            if ready:
                text = text[os.write(descriptor, text[:CHUNK_AT_ONCE]) :]
            elif _heard:
                return


def main() -> None:
    """Attend `dagster dev`. Arguments: the descriptor of its lock, then its options."""
    hear()
    lock, *options = sys.argv[1:]
    quiet = ["-W", "ignore:Function `dev_command` is superseded"]
    command = [sys.executable, *quiet, "-m", "totesys_dagster.local.dev", *options]
    sys.exit(Attended(command, [int(lock)]).attend())


if __name__ == "__main__":
    main()
