"""A backlog processed by Celery workers that stand for hosts: 1, 2 and 4 of them.

    python -m benchmarks.distributed [--batches 16] [--orders 300000] [--rounds 3]

Each batch holds all orders. The sensor asks for a run for each, the daemon hands the runs to the
workers, and the time is that from the start of the first run to the end of the last. Each round
processes the same batches anew, into a zone of its own, with 1, 2 and 4 workers in turn. A worker
has one core: by itself it would use more.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import dagster as dg

from benchmarks.parts import Platform, Verdicts, median, platform, server
from totesys_dagster import settings
from totesys_dagster.lake import requests
from totesys_dagster_tests import hosts

WORKERS = (1, 2, 4)
LONGEST_SECONDS = 1200
SPEED_UP_TARGET = 1.4


def fill(large: Platform, batches: int) -> None:
    """Capture batches that hold every order each."""
    for number in range(batches):
        if number:
            requests.put_full_read(large.ingestion, "sales_order", number, "it was asked for")
        manifest = large.capture()
        assert manifest is not None
        assert manifest.sequence == number + 1


def backfill(instance: dg.DagsterInstance, directory: Path, workers: int, batches: int) -> float:
    """Seconds in which so many workers process the batches into an empty zone."""
    began = dt.datetime.now(dt.UTC)
    os.environ[settings.PROCESSED_URL] = str(directory / f"processed-{began:%H%M%S}")
    with hosts.working(directory, workers, core_each=True):
        runs = finished(instance, began, batches)
    assert all(record.dagster_run.status == dg.DagsterRunStatus.SUCCESS for record in runs)
    starts = [record.start_time for record in runs if record.start_time]
    ends = [record.end_time for record in runs if record.end_time]
    return max(ends) - min(starts)


def finished(
    instance: dg.DagsterInstance, since: dt.datetime, batches: int
) -> Sequence[dg.RunRecord]:
    """The runs of `process` that were made since then, when all of them are over."""
    wanted = dg.RunsFilter(job_name="process", created_after=since)
    deadline = time.monotonic() + LONGEST_SECONDS
    while True:
        records = instance.get_run_records(wanted)
        if len(records) == batches and all(r.dagster_run.is_finished for r in records):
            return records
        if time.monotonic() > deadline:
            statuses = sorted(record.dagster_run.status.value for record in records)
            raise SystemExit(f"Not finished within {LONGEST_SECONDS} seconds: {statuses}")
        time.sleep(0.5)


def measure(batches: int, orders: int, rounds: int) -> dict[int, list[float]]:
    os.environ |= {settings.LOAD_EVERY_SECONDS: "86400", settings.PROCESS_AT_ONCE: str(batches)}
    times: dict[int, list[float]] = {workers: [] for workers in WORKERS}
    with server() as (started, directory):
        home = directory / "dagster"
        home.mkdir()
        os.environ |= hosts.prepare(started, home)
        sys.path.append(str(hosts.CELERY))  # the launcher's module
        with (
            platform(started, directory, orders) as large,
            dg.DagsterInstance.from_config(str(home)) as instance,
        ):
            fill(large, batches)
            for _ in range(rounds):
                for workers in WORKERS:
                    times[workers].append(backfill(instance, home, workers, batches))
                    print(f"{workers} workers: {times[workers][-1]:.1f} s", file=sys.stderr)
    return times


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-distributed", description=__doc__)
    parser.add_argument("--batches", type=int, default=16)
    parser.add_argument("--orders", type=int, default=300_000)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    times = measure(options.batches, options.orders, options.rounds)
    medians = {workers: median(all_) for workers, all_ in times.items()}
    rows = options.batches * options.orders
    print("| workers | seconds | rows a second | speed-up |\n| ---: | ---: | ---: | ---: |")
    for workers, took in medians.items():
        print(f"| {workers} | {took:.1f} | {rows / took:,.0f} | {medians[1] / took:.2f} |")
    verdicts = Verdicts()
    slower = medians[2] / medians[1]
    verdicts.at_most("two workers / one, time", slower, 1 / SPEED_UP_TARGET)
    return verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
