"""A real PgBouncer in front of a server: it lends each transaction any of its few sessions."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
from psycopg.conninfo import make_conninfo

from totesys_dagster.local import programs
from totesys_dagster.local import server as postgres
from totesys_dagster.local.server import SUPERUSER, Server

# It lies beside what only an administrator runs.
PROGRAM = shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")
START_SECONDS = 20

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server}

[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = scram-sha-256
auth_file = {directory}/users.txt
pool_mode = transaction
default_pool_size = {sessions}
query_wait_timeout = {patience}
"""


@contextmanager
def pooler(server: Server, sessions: int, patience: int = 20) -> Iterator[int]:
    """The port of a PgBouncer in transaction mode, with so many sessions for a role and database.

    Who waits longer than `patience` seconds for a session is refused.
    """
    assert PROGRAM is not None
    account, port = programs.find_account(), postgres.free_port(None)
    # The account that it runs as cannot enter a directory of pytest's.
    directory = Path(tempfile.mkdtemp(prefix="totesys-pooler-", dir="/var/tmp"))
    configuration = CONFIGURATION.format(
        server=server.port, port=port, directory=directory, sessions=sessions, patience=patience
    )
    users = "".join(f'"{role}" "{secret}"\n' for role, secret in server.passwords.items())
    (directory / "pooler.ini").write_text(configuration)
    (directory / "users.txt").write_text(users)
    if account.name is not None:
        for path in (directory, *directory.iterdir()):
            shutil.chown(path, account.name, account.group)
    process = subprocess.Popen(
        [PROGRAM, "--quiet", directory / "pooler.ini"],
        cwd="/",
        stdin=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        user=account.name,
        group=account.group,
        extra_groups=None if account.name is None else [],
    )
    try:
        _wait(make_conninfo(server.dsn(SUPERUSER, "postgres"), port=port))
        yield port
    finally:
        process.terminate()
        process.wait(START_SECONDS)
        shutil.rmtree(directory)


def _wait(dsn: str) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(dsn, connect_timeout=2).close()
        except psycopg.OperationalError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        else:
            return
