"""How long a statement may be silent: as long as its server is working on it, but not forever.

None of PostgreSQL's time limits ends the statement of a stopped process, and TCP keepalives are
answered by the machine, not by the server. So a waiting connection checks two things: whether its
server process is stopped, if that is on this machine, and whether the server still answers anybody.
"""

from __future__ import annotations

import time
from typing import Any

import psycopg
from psycopg import errors, pq
from psycopg.conninfo import make_conninfo

from totesys_dagster import processes

LOOK_SECONDS = 10.0
# How long a server process on this machine may be stopped (SIGSTOP, or a debugger).
STOPPED_SECONDS = 20.0
# How long a server may be silent if it does not answer a new connection either.
MUTE_SECONDS = 60.0
PING_SECONDS = 10
# No statement of the largest rebuild took an hour.
STATEMENT_SECONDS = 4 * 3600.0

# Words of the errors raised here, for `failures.WORDS`.
STOPPED = "is stopped by a signal"
SILENT = "gave no answer for"


class PatientConnection(psycopg.Connection[tuple[Any, ...]]):
    """A connection that does not wait for a server that will not answer."""

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for the server's answer. Raises OperationalError if there will be none."""
        if timeout is not None:
            return super().wait(gen, interval=interval, timeout=timeout)
        begun = time.monotonic()
        while True:
            try:
                return super().wait(gen, interval=interval, timeout=LOOK_SECONDS)
            except errors._WaitTimeout:
                why = _why_in_vain(self, time.monotonic() - begun)
                if why:
                    self.close()
                    raise psycopg.OperationalError(why) from None


def _why_in_vain(connection: psycopg.Connection[Any], silent: float) -> str | None:
    pid = connection.info.backend_pid
    if silent >= STOPPED_SECONDS and _is_here(connection) and _is_stopped(pid):
        return f"the server's process {pid} {STOPPED}"
    if silent >= STATEMENT_SECONDS or (silent >= MUTE_SECONDS and not _answers(connection)):
        return f"the server {SILENT} {silent:.0f} seconds"
    return None


def _is_here(connection: psycopg.Connection[Any]) -> bool:
    return connection.info.host.startswith(("/", "@", "127.", "localhost", "::1"))


def _is_stopped(pid: int) -> bool:
    is_postgres = " ".join(processes.command(pid)).startswith("postgres:")
    return is_postgres and processes.state_and_start(pid)[0] in ("T", "t")


def _answers(connection: psycopg.Connection[Any]) -> bool:
    """Whether the server answers a new connection at all."""
    info = connection.info
    place = {"host": info.host, "hostaddr": info.hostaddr or None, "port": str(info.port)}
    conninfo = make_conninfo(info.dsn, **place, connect_timeout=PING_SECONDS)
    return pq.PGconn.ping(conninfo.encode()) != pq.Ping.NO_RESPONSE
