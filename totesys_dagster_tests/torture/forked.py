"""The torture without Dagster, much faster: processes that do all the work, and die.

Each is forked off one that has imported the code and opened nothing, and takes batches the whole
way until it is killed. Two of them at once get in each other's way.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import signal
import threading
import time
from multiprocessing.context import ForkServerProcess

import psycopg

from totesys_dagster import settings, zone_urls
from totesys_dagster.errors import TotesysError
from totesys_dagster.ingestion import capture
from totesys_dagster.ingestion.poll import changed_tables
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.receipt import touched_stars
from totesys_dagster.lake.store import Store
from totesys_dagster.orchestration import audits
from totesys_dagster.postgres.sessions import Connection, Names, connect
from totesys_dagster.processed.process import process_star
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.warehouse import assets as warehouse_assets
from totesys_dagster.warehouse import ledger
from totesys_dagster.warehouse.healing import request_healing
from totesys_dagster_tests.torture import steps
from totesys_dagster_tests.torture.killer import Killer
from totesys_dagster_tests.torture.world import World

PROCESSES = 2
# How long a process lives in the mean, unless it comes to a step that it is to die at; and while
# the writers rest, for the audit comes last.
MEAN_SECONDS, MEAN_SECONDS_OF_REST = 2.0, 10.0
# How likely it is at each look that a database is stopped.
STOPPED_DATABASES = 0.005
NAMES = Names("warehouse")


def work() -> None:
    """Take batches the whole way until this process dies."""
    # At its exit, Python ends its processes by this; a shell may have made them ignore it.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    steps.arm()
    while True:
        with contextlib.suppress(TotesysError, psycopg.Error):
            _take_batches()
        time.sleep(0.05)


def _take_batches() -> None:
    """Process and load all that the warehouse lacks, then capture what changed and load that, or
    audit where nothing did."""
    ingestion = Store(zone_urls.zone_url(settings.INGESTION_URL), settings.INGESTION_URL)
    processed = Store(zone_urls.zone_url(settings.PROCESSED_URL), settings.PROCESSED_URL)
    log = ManifestLog(ingestion)
    with connect(settings.SOURCE_DSN) as source, connect(settings.WAREHOUSE_DSN) as warehouse:
        _load(warehouse, log, processed)
        if _capture(source, log):
            _load(warehouse, log, processed)
        elif changed_tables(source, ingestion).audit_due:
            audits.audit_all(SourceDatabase(), Lake(), Warehouse(), "forked")


def _load(warehouse: Connection, log: ManifestLog, processed: Store) -> None:
    last = ledger.head(warehouse, NAMES)
    if last:
        request_healing(warehouse, NAMES, log.store)
    for manifest in log.after(last):
        for star in touched_stars(manifest):
            process_star(star, manifest, log.store, processed)
        # The name that is armed.
        warehouse_assets.load_batch(  # type: ignore[attr-defined]
            warehouse,
            NAMES,
            manifest,
            log.store,
            processed,
            quarantine_limit=settings.quarantine_limit(),
        )
        request_healing(warehouse, NAMES, log.store, manifest.stars)


def _capture(source: Connection, log: ManifestLog) -> bool:
    """Capture a batch; False where nothing changed."""
    with capture.open_capture(
        source,
        log.store,
        run_id="forked",
        part_bytes=1 << 20,
    ) as batch:
        if batch.changed:
            for read in batch.reads():
                read.write(log.store)
            batch.commit()
        return bool(batch.changed)


class ProcessKiller(Killer):
    """Forks processes, kills them, and keeps count."""

    # Without Dagster nothing is recorded after the load.
    steps = tuple(step for step in steps.STEPS if step != "load: before it is recorded")

    busy_seconds, rewrite_seconds = 2.0, 1.0

    def __init__(
        self, tortured: World, seed: int, stop: threading.Event, rest: threading.Event
    ) -> None:
        super().__init__(tortured, seed, stop, rest)
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload([__name__])
        self.processes: dict[ForkServerProcess, float] = {}

    def kill_each_server(self) -> None:
        self.stop_source()
        self.stop_warehouse()

    def run(self) -> None:
        while not self.stop.wait(self.rng.uniform(0.05, 0.2)):
            self.order_deaths()
            self.bring_about()
            self._kill_processes()
            if self.may_kill() and self.rng.random() < STOPPED_DATABASES:
                self.rng.choice([self.stop_source, self.stop_warehouse])()
            self.restart()

    def restart(self) -> None:
        """Fork as many processes as have died; each is told when to die at the latest."""
        for process in [one for one in self.processes if not one.is_alive()]:
            del self.processes[process]
        while len(self.processes) < PROCESSES:
            process = self.context.Process(target=work, daemon=True)
            process.start()
            mean = MEAN_SECONDS_OF_REST if self.rest.is_set() else MEAN_SECONDS
            self.processes[process] = time.monotonic() + self.rng.expovariate(1 / mean)

    def _kill_processes(self) -> None:
        for process, latest in self.processes.items():
            if latest < time.monotonic() and process.is_alive():
                process.kill()
                self.note("a process")
