"""From a commit in the source to the commit in the warehouse, while business goes on.

    python -m benchmarks.freshness [--changes 100] [--busy 8] [--launcher WatchedRunLauncher]

The platform runs under `dagster dev` with its default settings and the simulated business. Beside
it, an order is edited silently at random moments; the time from that commit until another session
sees the new version in the warehouse is the freshness. With `--busy`, so many endless loops run
beside it. Processor seconds are those of all of Dagster's processes, divided by the batches; what
an idle minute takes is in them. `WatchedRunLauncher` starts a new Python for each run, as Dagster's
own launcher does.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import psycopg

from benchmarks import dev
from benchmarks.parts import Verdicts
from totesys_dagster import settings
from totesys_dagster.local import stack

TARGETS = {"p50": 4.0, "p95": 7.0}
BUSY_TARGETS = {"p95": 20.0}
# Seconds between two edits; a random time, so that polls and edits do not fall into step.
BETWEEN = (1.0, 9.0)
# What the start leaves to do is no part of what is measured.
SETTLES = 15.0


class Watcher(threading.Thread):
    """Notes when each batch is first seen in the warehouse."""

    def __init__(self, connection: psycopg.Connection) -> None:
        super().__init__(daemon=True)
        self.connection = connection
        self.seen: dict[int, float] = {}
        self.stop = threading.Event()

    def run(self) -> None:
        while not self.stop.wait(0.05):
            last = dev.loaded_batches(self.connection)
            for number in range(max(self.seen, default=0) + 1, last + 1):
                self.seen[number] = time.time()


def edit(application: psycopg.Connection, order: int) -> float:
    """Edit an order that nobody else edits; the time of the commit."""
    application.execute(
        "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id = %s", [order]
    )
    return time.time()


@contextlib.contextmanager
def busy(loops: int) -> Iterator[None]:
    """So many processes that compute for ever."""
    # Each in a session of its own: Linux may share the processors by session.
    processes = [
        subprocess.Popen([sys.executable, "-c", "while True: pass"], start_new_session=True)
        for _ in range(loops)
    ]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def measure(changes: int, loops: int, launcher: str) -> tuple[list[float], float]:
    """The ages of the changes when they arrive, and Dagster's processor seconds for each batch."""
    with (
        dev.embedded() as directory,
        dev.running(directory, "totesys_dagster.local.definitions", launcher) as process,
        psycopg.connect(os.environ[settings.WAREHOUSE_DSN], autocommit=True) as warehouse,
        stack.application(settings.home()) as application,
    ):
        dev.wait_for_batch(warehouse, 1)
        time.sleep(SETTLES)
        first, spent = dev.loaded_batches(warehouse), dev.cpu_seconds(process.pid)
        with busy(loops):
            ages = watch(application, warehouse, changes)
        batches = dev.loaded_batches(warehouse) - first
        return ages, (dev.cpu_seconds(process.pid) - spent) / batches


def watch(
    application: psycopg.Connection, warehouse: psycopg.Connection, changes: int
) -> list[float]:
    rng = random.Random(1)
    orders = rng.sample(range(1, 5000), changes)
    watcher = Watcher(warehouse)
    watcher.start()
    committed = {}
    for order in orders:
        time.sleep(rng.uniform(*BETWEEN))
        committed[order] = edit(application, order)
    deadline = time.monotonic() + 120
    versions: dict[int, int] = {}
    while not seen_all(versions, watcher, changes) and time.monotonic() < deadline:
        time.sleep(1)
        versions = arrived(warehouse, list(committed))
    watcher.stop.set()
    watcher.join()
    return [watcher.seen[versions[order]] - moment for order, moment in committed.items()]


def seen_all(versions: dict[int, int], watcher: Watcher, changes: int) -> bool:
    """Whether all edits have arrived; the watcher may see a batch a moment later than this."""
    return len(versions) == changes and watcher.seen.keys() >= set(versions.values())


def arrived(warehouse: psycopg.Connection, orders: list[int]) -> dict[int, int]:
    """The batch of the second version of each order."""
    rows = warehouse.execute(
        "SELECT sales_order_id, batch_seq FROM ("
        " SELECT sales_order_id, batch_seq,"
        " row_number() OVER (PARTITION BY sales_order_id ORDER BY batch_seq) AS version"
        " FROM warehouse.fact_sales_order WHERE sales_order_id = ANY(%s)) AS versions"
        " WHERE version = 2",
        [orders],
    )
    return dict(rows.fetchall())


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-freshness", description=__doc__)
    parser.add_argument("--changes", type=int, default=100)
    parser.add_argument("--busy", type=int, default=0, metavar="LOOPS")
    parser.add_argument("--launcher", default=dev.LAUNCHER)
    options = parser.parse_args()
    ages, cpu = measure(options.changes, options.busy, options.launcher)
    found = {"p50": statistics.median(ages), "p95": statistics.quantiles(ages, n=20)[-1]}
    print("| changes | p50 | p95 | longest | processor seconds a batch |")
    print("| ---: | ---: | ---: | ---: | ---: |")
    cells = " | ".join(f"{value:.1f} s" for value in (*found.values(), max(ages)))
    print(f"| {len(ages)} | {cells} | {cpu:.1f} |")
    verdicts = Verdicts()
    for what, target in (BUSY_TARGETS if options.busy else TARGETS).items():
        verdicts.at_most(f"freshness, {what}", found[what], target, unit=" s")
    return verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
