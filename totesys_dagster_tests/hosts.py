"""The platform spread over Celery workers: processes that stand for hosts."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from urllib.parse import quote

import psycopg
from psycopg import sql

from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER, Server, free_port
from totesys_dagster_tests.processes import end_group

PROJECT = Path(__file__).parent.parent
CELERY = PROJECT / "deploy" / "celery"
DATABASE = "dagster_on_hosts"
START_SECONDS = 120


def prepare(started: Server, directory: Path) -> dict[str, str]:
    """Make a Dagster instance as deploy/celery has it, in `directory`; its settings.

    Its database, on the server given, is also broker and results.
    """
    with psycopg.connect(started.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} OWNER {}").format(
                sql.Identifier(DATABASE), sql.Identifier(stack.ADMIN)
            )
        )
    shutil.copy(CELERY / "dagster.yaml", directory)
    shutil.copy(PROJECT / "deploy" / "workspace.yaml", directory)
    password = started.passwords[stack.ADMIN]
    place = f"{stack.ADMIN}:{quote(password, safe='')}@127.0.0.1:{started.port}/{DATABASE}"
    return {
        "DAGSTER_HOME": str(directory),
        "DAGSTER_POSTGRES_HOST": "127.0.0.1",
        "DAGSTER_POSTGRES_PORT": str(started.port),
        "DAGSTER_POSTGRES_DB": DATABASE,
        "DAGSTER_POSTGRES_USER": stack.ADMIN,
        "DAGSTER_POSTGRES_PASSWORD": password,
        "DAGSTER_CELERY_BROKER": f"sqla+postgresql+psycopg2://{place}",
        "DAGSTER_CELERY_BACKEND": f"db+postgresql+psycopg2://{place}",
        "DAGSTER_CELERY_RUNS": "2",
        "DAGSTER_CODE_HOST": "127.0.0.1",
        "DAGSTER_CODE_PORT": str(free_port(None)),
        "PYTHONPATH": os.pathsep.join([str(CELERY), str(PROJECT)]),
    }


@contextlib.contextmanager
def working(directory: Path, workers: int, *, core_each: bool = False) -> Iterator[None]:
    """Code server, daemon and so many workers for the time of a block.

    `directory` and this process's environment are as `prepare` made them. With `core_each`, a
    worker has one core, as on a host that has no more; the machine's cores are given out in turn.
    """
    environment = {**os.environ, "DAGSTER_CELERY_RUNS": str(2 * workers)}
    port = environment["DAGSTER_CODE_PORT"]
    dagster = [sys.executable, "-m", "dagster"]
    with contextlib.ExitStack() as exits:
        code = [*dagster, *("api", "grpc", "-h", "127.0.0.1", "-p", port)]
        code += ["-m", "totesys_dagster.definitions"]
        exits.enter_context(_process("code server", code, directory, environment))
        for number in range(workers):
            worker = [sys.executable, "-m", "celery", "-A", "celery_app", "worker"]
            worker += [
                "-Q",
                "dagster",
                "--concurrency",
                "1",
                "--prefetch-multiplier",
                "1",
                "-l",
                "INFO",
            ]
            worker += ["-n", f"host{number}@%h", "--without-gossip", "--without-mingle"]
            core = None
            if core_each:
                cores = sorted(os.sched_getaffinity(0))
                core = cores[number % len(cores)]
            exits.enter_context(_process(f"worker {number}", worker, directory, environment, core))
            # One after the other: the first makes the broker's tables.
            _wait_until_ready(log_of(directory, f"worker {number}"))
        daemon = [sys.executable, "-m", "dagster._daemon", "run", "-w", "workspace.yaml"]
        exits.enter_context(_process("daemon", daemon, directory, environment))
        yield


@contextlib.contextmanager
def _process(
    name: str,
    command: list[str],
    directory: Path,
    environment: Mapping[str, str],
    core: int | None = None,
) -> Iterator[None]:
    with log_of(directory, name).open("wb") as log:
        process = subprocess.Popen(
            command,
            cwd=directory,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    if core is not None:
        os.sched_setaffinity(process.pid, {core})  # what it starts from now on inherits it
    try:
        yield
    finally:
        end_group(process, signal.SIGTERM, 30)


def log_of(directory: Path, name: str) -> Path:
    return directory / f"{name.replace(' ', '-')}.log"


def _wait_until_ready(log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while " ready." not in log.read_text():
        if time.monotonic() > deadline:
            raise SystemExit(f"A worker did not start: {log.read_text()[-2000:]}")
        time.sleep(0.2)
