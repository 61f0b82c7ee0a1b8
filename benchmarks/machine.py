"""What the machine says of a measurement: processor seconds, PostgreSQL's memory, other work."""

from __future__ import annotations

import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

# The clock's ticks that /proc counts processor time in.
TICKS = os.sysconf("SC_CLK_TCK")


def server_process(connection: psycopg.Connection[Any]) -> int:
    """The first process of the PostgreSQL server, which is on this machine."""
    status = Path(f"/proc/{connection.info.backend_pid}/status").read_text()
    [parent] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("PPid:")]
    return parent


class Processor:
    """Processor seconds of this process, of those that it started and that have ended, and of the
    PostgreSQL server, which is on this machine."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._server = server_process(connection)

    def seconds(self) -> float:
        return sum(os.times()[:4]) + self.seconds_of_server()

    def seconds_of_server(self) -> float:
        # A process that ends meanwhile may be missed, so what was found most is right.
        ticks = max(sum(map(self._ticks, Path("/proc").glob("[0-9]*"))) for _ in range(3))
        return ticks / TICKS

    def _ticks(self, process: Path) -> int:
        """Those of one of the server's processes; its first has those of the ended ones, too."""
        try:
            fields = (process / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            return 0
        if int(process.name) == self._server:
            return sum(map(int, fields[11:15]))
        return sum(map(int, fields[11:13])) if int(fields[1]) == self._server else 0


class PostgresMemory(threading.Thread):
    """The most memory of its own, in megabytes, that any process of the server has had while the
    block ran. They share their buffers besides, whose size is a setting of the server."""

    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self._server = server_process(connection)
        self._stopped = threading.Event()

    def __enter__(self) -> PostgresMemory:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self.join()

    def run(self) -> None:
        while not self._stopped.wait(0.2):
            self.peak = max([self.peak, *map(self._own, Path("/proc").glob("[0-9]*"))])

    def _own(self, entry: Path) -> int:
        try:
            lines = (entry / "status").read_text().splitlines()
        except OSError:
            return 0
        status = dict(line.split(":", 1) for line in lines if ":" in line)
        if int(status["PPid"]) != self._server or "RssAnon" not in status:
            return 0
        return int(status["RssAnon"].split()[0]) // 1024


@dataclass(frozen=True)
class Load:
    """What the machine was doing by a moment: its load average, and processor seconds since it
    started, of all cores: in all, idle, stolen by its host, and our own."""

    average: float
    total: float
    idle: float
    steal: float
    own: float

    @classmethod
    def now(cls, processor: Processor) -> Load:
        first = Path("/proc/stat").read_text().splitlines()[0]
        ticks = [int(number) / TICKS for number in first.split()[1:9]]
        return cls(
            os.getloadavg()[0], sum(ticks), ticks[3] + ticks[4], ticks[7], processor.seconds()
        )

    def since(self, before: Load) -> str:
        """A sentence for the time between two moments."""
        total = self.total - before.total
        idle, steal, own = (
            (getattr(self, name) - getattr(before, name)) / total
            for name in ("idle", "steal", "own")
        )
        others = max(0, 1 - idle - steal - own)
        return (
            f"load {before.average:.1f} before, {self.average:.1f} after; of the cores' time,"
            f" {idle:.0%} idle, {steal:.0%} steal, {others:.0%} others' work"
        )
