"""The foreground process of `totesys dev`: it starts Dagster and passes on its output.

Dagster's processes have a session of their own, so Ctrl-C in a terminal reaches this process only.
It interrupts them as a group and discards their output from then on, which consists of tracebacks
of the interruption; a run's events say how it ended. A code server can wait forever for a lock that
an interrupted run held, so processes that do not end in time are killed.
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

# Dagster needs four seconds, and an interrupted run one more.
END_SECONDS = 30.0
# How long the other processes may take once the command itself has ended.
REST_SECONDS = 10.0
POLL_SECONDS = 0.05
ENDING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
CHUNK = 1 << 16
# A terminal or pipe that accepts anything accepts this much without blocking.
CHUNK_AT_ONCE = select.PIPE_BUF
# How long to wait for a reader that has stopped, when this process has to end.
SAY_SECONDS = 1.0

_heard: list[int] = []


def hear() -> None:
    """Record the signals that end this process, including earlier ones."""
    for number in ENDING:
        # A shell starts background jobs with Ctrl-C ignored; only `nohup` intends it.
        if number != signal.SIGHUP or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _note)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, ENDING)


def _note(number: int, _frame: FrameType | None) -> None:
    _heard.append(number)


class Attended:
    """A command in its own session, whose output is passed on until it has to end."""

    def __init__(self, command: Sequence[str], inherited: Sequence[int] = ()) -> None:
        """`inherited` are descriptors that the command keeps open."""
        # The command reads this until end of file, which comes when this process is gone.
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
        """Pass on the command's output until it ends or has to end. Returns the exit status."""
        while self._process.poll() is None:
            self._listen()
            if _heard:
                return self._stop(_heard[0])
        deadline = time.monotonic() + REST_SECONDS
        while self._listen() and not _heard and time.monotonic() < deadline:  # its last output
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
        """Send a signal to the remaining processes. Returns whether there are any."""
        with suppress(ProcessLookupError, PermissionError):  # macOS raises the latter for zombies
            os.killpg(self._process.pid, number)
            return True
        return False

    def _listen(self, *, pass_on: bool = True) -> bool:
        """Read output, waiting a moment at most. Returns whether there was any."""
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
    """Write all of it, unless nobody reads and this process has to end."""
    with suppress(OSError):  # the reader is gone, with the terminal; services go on without it
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
