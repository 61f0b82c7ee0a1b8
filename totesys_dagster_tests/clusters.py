"""PostgreSQL servers that a test copies, kills, promotes and sets back as it pleases.

The embedded server is shared and serves for the whole session; these are a test's own. Every one of
them is killed and removed at the end of the block in which it was made.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

from totesys_dagster.local import postmaster, programs, stack, supervisor
from totesys_dagster.local import server as postgres
from totesys_dagster.local.programs import Account
from totesys_dagster.local.server import SUPERUSER, Server

SOURCE = "totesys"
SECONDS = 60
MEMORY = "/dev/shm"
ROOM = 4 << 30

# No checkpoint but those that are asked for, and nothing that opens transactions by itself.
CONFIGURATION = """
listen_addresses = '127.0.0.1'
unix_socket_directories = ''
fsync = off
autovacuum = off
checkpoint_timeout = 1h
max_wal_size = 4GB
wal_keep_size = 256MB
wal_level = logical
max_connections = 40
max_prepared_transactions = 10
shared_buffers = 16MB
wal_receiver_status_interval = 1s
wal_retrieve_retry_interval = 100ms
"""


def wait_for(what: Callable[[], Any], seconds: float = SECONDS) -> None:
    """Wait until something is so; an AssertionError when it takes too long."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline, "it takes too long"
        time.sleep(0.02)


@dataclass
class Cluster:
    """A server with its files. It is started and stopped by hand."""

    binaries: Path
    data: Path
    server: Server
    _process: subprocess.Popen[bytes] | None = None

    def dsn(self, role: str = SUPERUSER, database: str = SOURCE) -> str:
        return self.server.dsn(role, database)

    def execute(self, *statements: str, database: str = SOURCE) -> list[tuple[Any, ...]]:
        """Execute statements as superuser, each by itself; the rows of the last one."""
        with psycopg.connect(self.dsn(database=database), autocommit=True) as connection:
            for statement in statements:
                cursor = connection.execute(statement)  # type: ignore[call-overload]
            return cursor.fetchall() if cursor.description else []

    def value(self, query: str) -> Any:
        return self.execute(query)[0][0]

    def write(self, *statements: str) -> None:
        """Write as the application does, each statement in a transaction of its own."""
        with psycopg.connect(self.dsn(stack.APPLICATION), autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)  # type: ignore[call-overload]

    def configure(self, **settings: str) -> None:
        """Set settings for the next start, or for the next `reload`."""
        with (self.data / "postgresql.conf").open("a") as file:
            file.writelines(f"{name} = '{value}'\n" for name, value in settings.items())

    def reload(self, **settings: str) -> None:
        """Set settings now."""
        self.configure(**settings)
        loaded = "SELECT pg_conf_load_time()"
        before = self.value(loaded)
        self.execute("SELECT pg_reload_conf()")
        wait_for(lambda: self.value(loaded) != before)

    def start(self) -> None:
        with (self.data.parent / f"{self.data.name}.log").open("ab") as log:
            account = programs.find_account()
            self._process = subprocess.Popen(
                [self.binaries / "postgres", "-D", self.data, "-p", str(self.server.port)],
                cwd="/",
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
                user=account.name,
                group=account.group,
                extra_groups=None if account.name is None else [],
            )
        wait_for(self._is_up)

    def _is_up(self) -> bool:
        assert self._process is not None
        assert self._process.poll() is None, self.log()
        try:
            psycopg.connect(self.dsn(database="postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def log(self) -> str:
        return (self.data.parent / f"{self.data.name}.log").read_text(errors="replace")[-3000:]

    def stop(self) -> None:
        """A proper shutdown, as for maintenance."""
        supervisor.stop(self.data, self._process)
        self._process = None

    def restart(self) -> None:
        self.stop()
        self.start()

    def crash(self) -> None:
        """Kill every process of the server at once, as a power cut does."""
        pid = postmaster.find(self.data)
        if pid is None:
            return
        processes = [pid, *self.children()]
        for process in processes:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        if self._process is not None:
            self._process.wait(SECONDS)
            self._process = None
        wait_for(lambda: not any(Path(f"/proc/{process}/exe").exists() for process in processes))

    def children(self) -> list[int]:
        """The processes that the server's first one has started."""
        pid = postmaster.find(self.data)
        listed = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        return [int(child) for child in listed.split()]

    def program(self, name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        """Run one of the server's programs as the user that the server runs as."""
        account = programs.find_account()
        done = subprocess.run(
            [self.binaries / name, *arguments],
            cwd=self.data.parent,
            capture_output=True,
            text=True,
            check=False,
            user=account.name,
            group=account.group,
            extra_groups=None if account.name is None else [],
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done

    def position(self) -> str:
        """How far the write-ahead log has come; all of it is on its way to the standbys."""
        self.execute("SELECT pg_logical_emit_message(true, 'test', 'flush')")
        return str(self.value("SELECT pg_current_wal_flush_lsn()"))

    def wait_for_replay(self, position: str) -> None:
        """Wait until a standby has come so far."""
        wait_for(lambda: self.value(f"SELECT pg_last_wal_replay_lsn() >= '{position}'"))

    def promote(self) -> None:
        assert self.value("SELECT pg_promote()")

    def hold(self, *kinds: str) -> list[int]:
        """Let processes of these kinds do nothing until `let_go`, and return their ids."""
        wanted = ", ".join(f"'{kind}'" for kind in kinds)
        query = f"SELECT pid FROM pg_stat_activity WHERE backend_type IN ({wanted})"
        found = [pid for (pid,) in self.execute(query)]
        assert len(found) == len(kinds)
        for pid in found:
            os.kill(pid, signal.SIGSTOP)
        return found

    def let_go(self, processes: list[int]) -> None:
        for pid in processes:
            os.kill(pid, signal.SIGCONT)

    def cut_off(self) -> None:
        """Let a standby receive nothing any more; what it has received, it replays."""
        self.reload(primary_conninfo="host=127.0.0.1 port=1")
        wait_for(lambda: not self.value("SELECT count(*) FROM pg_stat_wal_receiver"))

    def pause(self) -> None:
        """Let a standby receive, and replay nothing."""
        self.execute("SELECT pg_wal_replay_pause()")
        wait_for(lambda: self.value("SELECT pg_get_wal_replay_pause_state()") == "paused")

    def resume(self) -> None:
        self.execute("SELECT pg_wal_replay_resume()")


@dataclass
class Clusters:
    """Makes clusters in a directory of their own."""

    binaries: Path
    directory: Path
    made: list[Cluster] = field(default_factory=list)
    _numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))

    def _next(self, name: str) -> Cluster:
        data = self.directory / f"{name}-{next(self._numbers)}"
        passwords = dict.fromkeys((SUPERUSER, *stack.ROLES), "secret")
        made = Cluster(self.binaries, data, Server(postgres.free_port(None), passwords))
        self.made.append(made)
        return made

    def new(self, *options: str) -> Cluster:
        """An empty cluster, which is not started; `options` are further ones of initdb."""
        made = self._next("new")
        made.program(
            "initdb",
            *("--pgdata", made.data, "--username", SUPERUSER, "--auth", "trust", "--no-sync"),
            *("--encoding", "UTF8", "--locale", "C", "--wal-segsize", "4", *options),
        )
        with (made.data / "postgresql.conf").open("a") as file:
            file.write(CONFIGURATION)
        return made

    def copy(self, of: Cluster, name: str = "copy") -> Cluster:
        """A copy of a cluster's files, as of a disk; the cluster is stopped, or crashed."""
        made = self._next(name)
        subprocess.run(["cp", "-a", of.data, made.data], check=True)
        (made.data / "postmaster.pid").unlink(missing_ok=True)
        return made

    def standby(self, of: Cluster, name: str = "standby", **settings: str) -> Cluster:
        """A running standby that streams from a running cluster."""
        made = self._next(name)
        made.program(
            "pg_basebackup",
            *("--pgdata", made.data, "--checkpoint", "fast", "--no-sync", "--wal-method", "stream"),
            *("--dbname", make_conninfo(of.dsn(database="postgres"), dbname=None)),
        )
        (made.data / "standby.signal").touch()
        made.configure(primary_conninfo=self.conninfo(of), **settings)
        made.start()
        return made

    def conninfo(self, primary: Cluster) -> str:
        """How a standby reaches its primary."""
        return f"host=127.0.0.1 port={primary.server.port} user={SUPERUSER}"


def roomy() -> bool:
    """Whether there is plenty of memory for files."""
    return Path(MEMORY).is_dir() and shutil.disk_usage(MEMORY).free > ROOM


def place(binaries: Path, account: Account) -> str:
    """Where files are copied fastest: in memory, where there is plenty of it.

    Programs that have to be copied, too, may not be run there.
    """
    return MEMORY if roomy() and account.can_enter(binaries / "postgres") else "/var/tmp"


@contextmanager
def clusters(binaries: Path) -> Iterator[Clusters]:
    """Makes clusters for the time of a block."""
    account = programs.find_account()
    # The account that servers run as cannot enter a directory of pytest's.
    directory = Path(tempfile.mkdtemp(prefix="totesys-clusters-", dir=place(binaries, account)))
    if account.name is not None:
        shutil.chown(directory, account.name, account.group)
    made = Clusters(programs.reachable(binaries, account, directory), directory)
    try:
        yield made
    finally:
        for cluster in made.made:
            cluster.crash()
        shutil.rmtree(directory)
