"""Identifies the process of a run, so that no other process can be mistaken for it."""

from __future__ import annotations

import socket
from dataclasses import dataclass

from totesys_dagster import processes


@dataclass(frozen=True)
class RunProcess:
    """A process by host, id and start time: ids are reused, after a container restart immediately.

    `started` is in the kernel's clock ticks since boot; empty if the system does not report it.
    """

    host: str
    pid: int
    started: str

    @classmethod
    def of(cls, pid: int) -> RunProcess:
        return cls(socket.gethostname(), pid, processes.state_and_start(pid)[1])

    @classmethod
    def parse(cls, text: str) -> RunProcess:
        """Parse what `str` returned. Raises ValueError for any other text."""
        host, pid, started = text.rsplit(":", 2)
        return cls(host, int(pid), started)

    def __str__(self) -> str:
        return f"{self.host}:{self.pid}:{self.started}"

    @property
    def is_elsewhere(self) -> bool:
        """Whether it is on another host, where we can neither look nor send signals."""
        return self.host != socket.gethostname()

    @property
    def is_alive(self) -> bool:
        if not processes.is_there(self.pid):
            return False
        state, started = processes.state_and_start(self.pid)
        # A zombie has ended, but has not been reaped yet.
        return state != "Z" and started == self.started

    def send(self, number: int) -> bool:
        """Send it a signal if the system proves that it is this process. Returns whether it was
        sent."""
        return processes.send(self.pid, number, lambda _: bool(self.started) and self.is_alive)
