"""What the platform costs while nothing happens: to the source, and to the machine it runs on.

    python -m benchmarks.idle [--seconds 120]

`dagster dev` runs the platform over a source in which nothing is written. Processor time and memory
are those of Dagster's processes; the embedded server stands for databases elsewhere.
"""

from __future__ import annotations

import argparse
import datetime as dt
import os
import sys
import time

import psycopg

from benchmarks import dev
from benchmarks.parts import Verdicts, median, seconds
from totesys_dagster import settings, zone_urls
from totesys_dagster.ingestion import identity
from totesys_dagster.ingestion.poll import PollCursor, poll
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres.sessions import connect

POLLS = 200
# A quiet poll may cost the source this much.
POLL_TARGET = 1.0


def quiet_poll() -> dict[str, float]:
    """Milliseconds of a quiet poll, and the pages that PostgreSQL touches for it."""
    store = Store(zone_urls.zone_url(settings.INGESTION_URL), settings.INGESTION_URL)
    with connect(settings.SOURCE_DSN) as connection:
        now = dt.datetime.now(dt.UTC)
        cursor = poll(connection, store, PollCursor(), now).cursor
        times = [seconds(lambda: poll(connection, store, cursor, now)) for _ in range(POLLS)]
        query = identity.CHANGE_QUERY.format(started=identity.STARTED)
        row = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {query}").fetchone()
        assert row is not None
        plan = row[0][0]["Plan"]
        pages = plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
        looks = [seconds(lambda: poll(connection, store, PollCursor(), now)) for _ in range(20)]
    return {
        "a poll, nothing ended (ms)": 1000 * median(times),
        "a poll, nothing ended (pages)": pages,
        "a poll, every table looked at (ms)": 1000 * median(looks),
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-idle", description=__doc__)
    parser.add_argument("--seconds", type=float, default=120)
    options = parser.parse_args()
    with (
        dev.embedded() as directory,
        dev.running(directory, "totesys_dagster.definitions") as process,
        psycopg.connect(os.environ[settings.WAREHOUSE_DSN], autocommit=True) as warehouse,
    ):
        dev.wait_for_batch(warehouse, 1)
        time.sleep(30)  # until the run's process has gone
        before = dev.cpu_seconds(process.pid)
        time.sleep(options.seconds)
        spent = dev.cpu_seconds(process.pid) - before
        figures = {
            **quiet_poll(),
            "Dagster's processes, CPU seconds an hour": spent * 3600 / options.seconds,
            "Dagster's processes, memory (MB)": dev.memory_megabytes(process.pid),
            "Dagster's processes": float(len(dev.processes(process.pid))),
        }
    print("| while nothing happens | |\n| --- | ---: |")
    for what, value in figures.items():
        print(f"| {what} | {value:,.2f} |")
    verdicts = Verdicts()
    verdicts.at_most("quiet poll", figures["a poll, nothing ended (ms)"], POLL_TARGET, unit=" ms")
    return verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
