"""Starts the embedded server, and waits until it answers or the reason for its failure is known."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from totesys_dagster import processes
from totesys_dagster.local import locks, postmaster, supervisor
from totesys_dagster.local import state as state_file
from totesys_dagster.local.programs import (
    EmbeddedServerError,
    find_account,
    find_binaries,
    reachable,
)
from totesys_dagster.local.state import State
from totesys_dagster.waiting import looks

SUPERUSER = "postgres"
# How long a start may take in total; most of it is for a server that recovers from a crash.
START_SECONDS = 120
# How long a server may stay stopped (SIGSTOP).
STOPPED_SECONDS = 20
CONNECT_SECONDS = 2
LAUNCHES = 3

FULL = "No space left on device"
PORT_TAKEN = "could not bind"


class Launch:
    """One start of the server of `home`, by a process that holds its start lock."""

    def __init__(self, home: Path, state: State) -> None:
        self.home = home
        self.state = state
        self.log = home / "postgres.log"
        self.supervisor: subprocess.Popen[bytes] | None = None
        self.launches = 0
        self.begun = self.log.stat().st_size if self.log.exists() else 0
        self.said = ""

    def run(self) -> State:
        """The state of the server that answers. Raises EmbeddedServerError or OSError."""
        stopped = 0
        for _ in looks(f"the embedded PostgreSQL server of {self.home}", START_SECONDS):
            pid = postmaster.find(self.state.data)
            if pid is None:
                self._launch_if_none_is_under_way()
            elif self._answers():
                self._require_supervisor()
                return self.state
            elif processes.state_and_start(pid)[0] in ("T", "t"):
                stopped += 1
                if stopped * CONNECT_SECONDS > STOPPED_SECONDS:
                    break
        raise EmbeddedServerError(self._late())

    def _answers(self) -> bool:
        """Whether our own server answers, not just any server on that port."""
        port = postmaster.port(self.state.data)
        if port is None:
            return False
        if port != self.state.port:
            self.state = replace(self.state, port=port)
            state_file.write(self.home, self.state)
        try:
            with psycopg.connect(self._dsn(port), connect_timeout=CONNECT_SECONDS) as connection:
                row = connection.execute("SHOW data_directory").fetchone()
        except psycopg.Error as error:
            self.said = " ".join(str(error).split())
            if "password authentication failed" in self.said:
                raise PasswordsLostError from None
            return False
        return row is not None and Path(row[0]).samefile(self.state.data)

    def _dsn(self, port: int) -> str:
        return make_conninfo(
            host="127.0.0.1",
            port=port,
            user=SUPERUSER,
            password=self.state.passwords[SUPERUSER],
            dbname="postgres",
        )

    def _require_supervisor(self) -> None:
        """Start a supervisor if the server has none; it adopts the server."""
        if _is_free(self.home / "supervisor.lock"):
            self._supervise()

    def _launch_if_none_is_under_way(self) -> None:
        """Start the server through a supervisor, unless one is starting or leaving."""
        if self.supervisor is not None and self.supervisor.poll() is None:
            return
        if not _is_free(self.home / "supervisor.lock"):
            return
        if self.launches:
            self._require_another_chance()
        self.launches += 1
        self.state = replace(self.state, port=free_port(self.state.port))
        state_file.write(self.home, self.state)
        self._supervise()

    def _require_another_chance(self) -> None:
        """Raise EmbeddedServerError if the last launch failed for good."""
        lines = self._lines()
        if PORT_TAKEN in " ".join(lines) and self.launches < LAUNCHES:
            return
        if self.launches < LAUNCHES and not lines:
            return
        raise EmbeddedServerError(self._failed(lines))

    def _supervise(self) -> None:
        """Start a supervisor; it starts the server unless it is running."""
        account, data = find_account(), self.state.data
        binaries = reachable(find_binaries(), account, data.parent)
        command = [
            str(binaries / "postgres"),
            *("-D", str(data), "-p", str(self.state.port)),
            *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
            *("-c", "max_prepared_transactions=20", "-c", "max_wal_size=256MB"),
        ]
        plan = {
            "home": str(self.home),
            "data": str(data),
            "command": command,
            "user": account.name,
            "group": account.group,
        }
        with self.log.open("ab") as log:
            self.begun = log.tell()
            self.supervisor = subprocess.Popen(  # nosec B603: the command is our own
                [sys.executable, "-m", supervisor.__name__, json.dumps(plan)],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                env={
                    **os.environ,
                    "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
                },
            )

    def _lines(self) -> list[str]:
        """What the server has logged about why it does not start."""
        with self.log.open("rb") as log:
            log.seek(self.begun)
            lines = log.read().decode(errors="replace").splitlines()
        words = ("FATAL:", "PANIC:", "ERROR:", FULL, "Error")
        return [line for line in lines if any(word in line for word in words)]

    def _failed(self, lines: list[str]) -> str:
        if any(FULL in line for line in lines):
            return (
                f"The embedded PostgreSQL server cannot start, because the disk of"
                f" {self.state.directory} is full: free some space, then run again; nothing is"
                " lost."
            )
        why = lines[0].partition("]")[2].strip() if lines else "it says nothing"
        return (
            f"The embedded PostgreSQL server of {self.home} does not start ({why or lines[0]}):"
            f" see {self.log}; its data is untouched."
        )

    def _late(self) -> str:
        pid = postmaster.find(self.state.data)
        if pid is None:
            why = "the supervisor of the previous server has not ended"
        elif processes.state_and_start(pid)[0] in ("T", "t"):
            return (
                f"The embedded PostgreSQL server of {self.home} is stopped"
                f" ({processes.describe(pid)}): let it continue with `kill -CONT {pid}`, then try"
                " again."
            )
        else:
            why = self.said or "it says nothing"
        return (
            f"The embedded PostgreSQL server of {self.home} did not answer within"
            f" {START_SECONDS} seconds ({why}): see {self.log}, then try again; its data is"
            " untouched."
        )


class PasswordsLostError(Exception):
    """The server does not accept the recorded passwords."""


def _is_free(path: Path) -> bool:
    if (lock := locks.acquire(path)) is None:
        return False
    os.close(lock)
    return True


def free_port(preferred: int | None) -> int:
    """A free port on loopback, the same as last time if possible."""
    for port in (preferred or 0, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise EmbeddedServerError("No port on 127.0.0.1 is free for the embedded PostgreSQL server.")
