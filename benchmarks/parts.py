"""What the benchmarks share: a platform of any size on the embedded server, timing, and verdicts.

Timings are ratios between things that were measured in turn in one run, so that a slow or busy
machine slows both sides. Medians are printed; single runs mean nothing.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import itertools
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import psycopg
from psycopg import sql

from totesys_dagster import settings, zone_urls
from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES
from totesys_dagster.ingestion import capture
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.receipt import touched_stars
from totesys_dagster.lake.store import Store
from totesys_dagster.launching.fork_server import OF_RUNS
from totesys_dagster.local import server as postgres
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.postgres.sessions import Connection, Names, connect
from totesys_dagster.processed.process import process_star
from totesys_dagster.resources import Warehouse
from totesys_dagster.warehouse.ledger import Loaded
from totesys_dagster.warehouse.load import load_batch
from totesys_dagster.warehouse.tables import pasts
from totesys_simulator import simulator

LAST_DAY = dt.date(2024, 11, 15)

_numbers = itertools.count(1)

# Orders as ToteSys makes them, numbered on from the simulated ones.
ORDERS = """
INSERT INTO sales_order
SELECT number, moment, moment, 1 + number %% 10, 1 + number %% 20, 1 + number %% 20,
       1000 + number %% 99000, (200 + number %% 201)::numeric / 100, 1 + number %% 3,
       to_char(moment + '5 days'::interval, 'YYYY-MM-DD'),
       to_char(moment + '4 days'::interval, 'YYYY-MM-DD'), 1 + number %% 30
FROM (SELECT number, timestamp '2022-11-03' + (number %% 63000000) * '1 second'::interval AS moment
      FROM generate_series(%s::bigint, %s::bigint) AS numbers (number)) AS orders
"""

# Where fewer are wanted than there are.
FEWER = """
WITH orders AS (
    DELETE FROM sales_order WHERE sales_order_id IN (
        SELECT sales_order_id FROM sales_order ORDER BY sales_order_id OFFSET %(orders)s
    ) RETURNING sales_order_id
), transactions AS (
    DELETE FROM transaction WHERE sales_order_id IN (SELECT sales_order_id FROM orders)
    RETURNING transaction_id
)
DELETE FROM payment WHERE transaction_id IN (SELECT transaction_id FROM transactions)
"""


@dataclass
class Platform:
    """A source, a lake and a warehouse, without Dagster: its own time is measured apart."""

    application: psycopg.Connection
    source: Connection
    warehouse: Connection
    names: Names
    ingestion: Store
    processed: Store
    part_bytes: int = field(default_factory=settings.part_bytes)

    def capture(self, full: Sequence[str] = ()) -> Manifest | None:
        """The next batch, None when nothing changed; `full` names tables to be read in full."""
        with capture.open_capture(
            self.source,
            self.ingestion,
            run_id="benchmark",
            part_bytes=self.part_bytes,
            full=full,
        ) as batch:
            if not batch.changed:
                return None
            for read in batch.reads():
                read.write(self.ingestion)
            return batch.commit()

    def process(self, manifest: Manifest) -> None:
        for star in touched_stars(manifest):
            process_star(star, manifest, self.ingestion, self.processed)

    def load(self, manifest: Manifest, *, quarantine_limit: int = 0) -> Loaded:
        return load_batch(
            self.warehouse,
            self.names,
            manifest,
            self.ingestion,
            self.processed,
            quarantine_limit=quarantine_limit,
        )

    def rebuild_beside(self) -> None:
        """All batches again, beside the warehouse, and compared with it row for row."""
        with Warehouse().connect_as_admin() as administrator:
            rebuilt = rebuild(
                administrator,
                self.names,
                self.ingestion,
                self.processed,
                quarantine_limit=0,
            )
        assert rebuilt.different is not None
        assert not any(rebuilt.different.values())


def import_as_runs_do() -> None:
    """Have in memory what the process of a run has before it begins, which is a fork."""
    for module in ("totesys_dagster.definitions", *OF_RUNS):
        importlib.import_module(module)


@contextlib.contextmanager
def server() -> Iterator[tuple[Server, Path]]:
    """The embedded server in a directory of its own; both are gone after the block."""
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as directory:
        home = Path(directory, "server")
        started = postgres.start(home, stack.ROLES)
        with psycopg.connect(started.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
            stack.create_roles(connection, started)
        try:
            yield started, Path(directory)
        finally:
            postgres.remove(home)


@contextlib.contextmanager
def platform(started: Server, directory: Path, orders: int) -> Iterator[Platform]:
    """A platform whose source has `orders` sales orders, and nothing captured yet."""
    number = next(_numbers)
    source, warehouse = f"source_{number}", f"warehouse_{number}"
    with psycopg.connect(started.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
        stack._create_database(admin, source, stack.APPLICATION)
        stack._create_warehouse(admin, started, warehouse)
    _fill(started, source, orders)
    os.environ[settings.SOURCE_DSN] = started.dsn(stack.EXTRACTOR, source)
    os.environ[settings.WAREHOUSE_DSN] = started.dsn(stack.LOADER, warehouse)
    os.environ[settings.WAREHOUSE_ADMIN_DSN] = started.dsn(stack.ADMIN, warehouse)
    os.environ[settings.INGESTION_URL] = str(directory / f"lake_{number}" / "ingestion")
    os.environ[settings.PROCESSED_URL] = str(directory / f"lake_{number}" / "processed")
    with opened(started.dsn(stack.APPLICATION, source)) as built:
        yield built


@contextlib.contextmanager
def opened(application_dsn: str) -> Iterator[Platform]:
    """The platform of the settings, and a connection to its source by which to edit it."""
    with (
        psycopg.connect(application_dsn, autocommit=True) as application,
        connect(settings.SOURCE_DSN) as extractor,
        connect(settings.WAREHOUSE_DSN) as loader,
    ):
        yield Platform(
            application,
            extractor,
            loader,
            Names(settings.warehouse_schema()),
            Store(zone_urls.zone_url(settings.INGESTION_URL), settings.INGESTION_URL),
            Store(zone_urls.zone_url(settings.PROCESSED_URL), settings.PROCESSED_URL),
        )


def empty_again(started: Server, built: Platform) -> None:
    """Take back what the platform has captured and loaded."""
    for store in (built.ingestion, built.processed):
        shutil.rmtree(urlsplit(store.url).path, ignore_errors=True)
    dsn = started.dsn(SUPERUSER, built.warehouse.info.dbname)
    with psycopg.connect(dsn, autocommit=True) as admin:
        for table in [*STAR_TABLES, *pasts()]:
            admin.execute(sql.SQL("TRUNCATE {} CASCADE").format(built.names.table(table)))
        admin.execute(sql.SQL("TRUNCATE {} CASCADE").format(built.names.ledger("batch")))
        admin.execute("CHECKPOINT")


def _fill(started: Server, source: str, orders: int) -> None:
    with psycopg.connect(started.dsn(stack.APPLICATION, source), autocommit=True) as application:
        simulator.create_source(application)
        simulator.fill_history(application, last_day=LAST_DAY)
    with psycopg.connect(started.dsn(SUPERUSER, source), autocommit=True) as admin:
        stack.grant_extractor(admin)
        row = admin.execute("SELECT count(*), max(sales_order_id) FROM sales_order").fetchone()
        assert row is not None
        count, last = row
        # The rows keep the foreign keys; to check ten million of them is not what is measured.
        admin.execute("SET session_replication_role TO replica")
        admin.execute(FEWER, {"orders": orders})
        admin.execute(ORDERS, [last + 1, last + orders - count])
        admin.execute("SELECT setval('sales_order_sales_order_id_seq', %s)", [last + orders])
        for table in SOURCE_TABLES:
            admin.execute(sql.SQL("VACUUM ANALYZE {}").format(sql.Identifier(table)))


def environment(directory: Path, *packages: str) -> Path:
    """A Python environment of packages that the project does not need otherwise; its Python."""
    python = directory / "environment" / "bin" / "python"
    uv = Path(sys.executable).parent / "uv"
    subprocess.run([uv, "venv", "--quiet", python.parent.parent], check=True)
    install = ("pip", "install", "--quiet", "--compile-bytecode", "--python")
    subprocess.run([uv, *install, python, *packages], check=True)
    return python


@contextlib.contextmanager
def temporary_environment(*packages: str) -> Iterator[Path]:
    """The Python of such an environment, which is gone after the block."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as directory:
        yield environment(Path(directory), *packages)


def in_process(module: str, *arguments: str) -> tuple[dict[str, float], int]:
    """Run a module in a new process: the figures that it prints as JSON, and its peak in MB."""
    command = [sys.executable, "-m", module, *arguments]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        output = process.stdout.read()
        _, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{module} failed.")
    figures: dict[str, float] = json.loads(output)
    return figures, usage.ru_maxrss // 1024


def seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def median(values: Sequence[float]) -> float:
    return statistics.median(values)


def spread(values: Sequence[float]) -> str:
    """The median, and the range of more than one value."""
    span = f" ({min(values):.2f} to {max(values):.2f})" if len(values) > 1 else ""
    return f"{median(values):.2f}{span}"


@dataclass
class Verdicts:
    """The lines that a benchmark ends with, one for each target."""

    lines: list[str] = field(default_factory=list)
    missed: int = 0

    def at_most(self, what: str, value: float, target: float, unit: str = "") -> None:
        met = value <= target
        self.missed += not met
        verdict = "met" if met else "MISSED"
        self.lines.append(f"ratio {what}: {value:.2f}{unit}, at most {target:g}{unit}: {verdict}")

    def at_least(self, what: str, value: float, target: float, unit: str = "") -> None:
        met = value >= target
        self.missed += not met
        verdict = "met" if met else "MISSED"
        self.lines.append(f"ratio {what}: {value:.2f}{unit}, at least {target:g}{unit}: {verdict}")

    def finish(self) -> int:
        """Print the lines; the exit status."""
        print("\n".join(self.lines))
        return int(self.missed > 0)
