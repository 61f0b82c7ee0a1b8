"""How long the page of the reports takes over a million orders, and how much memory.

    python -m benchmarks.page [--orders 1000000] [--rounds 3]

As `totesys report` makes it, in a process of its own: imports, all questions in one snapshot, both
pictures and the map. Of the orders, three batches have edited one in a hundred. What PostgreSQL
takes to answer is part of the time, and its memory is not: see `bench-reports`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from pathlib import Path

import psycopg

from benchmarks import parts
from benchmarks.parts import Verdicts, median, seconds
from benchmarks.reports import fill
from totesys_dagster.local.server import SUPERUSER

SECONDS_TARGET = 10.0
MEGABYTES_TARGET = 300.0


def make(path: Path) -> dict[str, float]:
    """Write the page of the warehouse that the settings name; seconds, by part."""
    from totesys_dagster.page.questions import ask
    from totesys_dagster.page.render import page
    from totesys_dagster.resources import Warehouse

    warehouse = Warehouse()
    found = []
    with warehouse.connect() as connection:
        asking = seconds(lambda: found.append(ask(connection, warehouse.names())))
    drawing = seconds(lambda: path.write_text(page(found[0], staff_names=True), encoding="utf-8"))
    return {
        "asking": asking,
        "drawing": drawing,
        "megabytes of the page": path.stat().st_size / 1e6,
    }


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-page", description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--make", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.make:
        print(json.dumps(make(options.make)))
        return 0
    verdicts, whole, peaks = Verdicts(), [], []
    with (
        parts.server() as (server, directory),
        parts.platform(server, directory, options.orders) as platform,
    ):
        fill(platform)
        database = platform.warehouse.info.dbname
        with psycopg.connect(server.dsn(SUPERUSER, database), autocommit=True) as admin:
            admin.execute("VACUUM ANALYZE")
        for _ in range(options.rounds):
            began = time.perf_counter()
            figures, peak = parts.in_process(
                "benchmarks.page", "--make", str(directory / "page.html")
            )
            whole.append(time.perf_counter() - began)
            peaks.append(float(peak))
            print(", ".join(f"{what} {value:.2f}" for what, value in figures.items()))
    verdicts.at_most("seconds of the page", median(whole), SECONDS_TARGET)
    verdicts.at_most("megabytes", median(peaks), MEGABYTES_TARGET)
    return verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
