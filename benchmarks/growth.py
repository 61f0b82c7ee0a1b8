"""How time and memory grow from twenty thousand to ten million orders.

    python -m benchmarks.growth [--orders 20000 100000 1000000 10000000]

A first full load, a batch of a hundred edited orders, the audit of all orders, and a rebuild beside
the warehouse with its comparison, each in a process of its own. Writes `growth.csv` and
`growth.svg` beside this file.
"""

from __future__ import annotations

import argparse
import csv
import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg

from benchmarks import parts
from benchmarks.increment import edit
from benchmarks.parts import Platform, seconds
from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.local import stack
from totesys_dagster.local.postgres import SUPERUSER
from totesys_dagster.warehouse import audit

HERE = Path(__file__).parent
ORDERS = [20_000, 100_000, 1_000_000, 10_000_000]


def take(platform: Platform) -> None:
    """The next batch, the whole way."""
    manifest = platform.capture()
    assert manifest is not None
    platform.process(manifest)
    assert all(found.equal for found in platform.load(manifest).audits.values())


def audit_orders(platform: Platform) -> None:
    """What an audit of all orders takes in the warehouse, where there are several batches."""
    head = ManifestLog(platform.ingestion).head()
    assert head is not None
    number = head.stars["fact_sales_order"].sequence
    manifest = ManifestLog(platform.ingestion).read(number)
    star = STAR_TABLES["fact_sales_order"]
    assert audit._compare(platform.warehouse, platform.names, star, manifest) is not None


STEPS: dict[str, Callable[[Platform], None]] = {
    "full load": take,
    "increment": take,
    "audit": audit_orders,
    "rebuild": Platform.rebuild_beside,
}


def one_step(step: str, application_dsn: str) -> None:
    """What a measured process does."""
    parts.import_as_runs_do()
    with parts.opened(application_dsn) as platform:
        print(json.dumps({"seconds": seconds(lambda: STEPS[step](platform))}))


def measure(orders: list[int]) -> list[tuple[str, int, float, int]]:
    """`(step, orders, seconds, megabytes)` for each step and size."""
    figures = []
    with parts.server() as (started, directory):
        for size in orders:
            with parts.platform(started, directory, size) as platform:
                dsn = started.dsn(stack.APPLICATION, platform.application.info.dbname)
                for step in STEPS:
                    if step == "increment":
                        platform.application.execute("VACUUM ANALYZE sales_order")
                        edit(platform, random.Random(1), size)
                    if step == "audit":
                        _analyze(started.dsn(SUPERUSER, platform.warehouse.info.dbname))
                    taken, peak = parts.in_process("benchmarks.growth", "--step", step, dsn)
                    figures.append((step, size, taken["seconds"], peak))
                    print(f"{step} of {size}: {taken['seconds']:.2f} s", file=sys.stderr)
    return figures


def _analyze(warehouse: str) -> None:
    """As PostgreSQL does by itself within minutes; large tables are audited once an hour."""
    with psycopg.connect(warehouse, autocommit=True) as connection:
        connection.execute("ANALYZE warehouse.fact_sales_order")


def report(figures: list[tuple[str, int, float, int]], orders: list[int]) -> None:
    """Print the table; each cell has seconds and megabytes."""
    cells = {(step, size): f"{taken:.2f} s, {peak} MB" for step, size, taken, peak in figures}
    print("| |" + "".join(f" {size:,} orders |" for size in orders))
    print("| --- |" + " ---: |" * len(orders))
    for step in STEPS:
        print(f"| {step} |" + "".join(f" {cells[step, size]} |" for size in orders))


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-growth", description=__doc__)
    parser.add_argument("--orders", type=int, nargs="+", default=ORDERS)
    parser.add_argument("--step", nargs=2, metavar=("STEP", "DSN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        one_step(*options.step)
        return 0
    figures = measure(options.orders)
    with (HERE / "growth.csv").open("w", newline="") as file:
        csv.writer(file).writerows([("step", "orders", "seconds", "megabytes"), *figures])
    report(figures, options.orders)
    with parts.temporary_environment("matplotlib==3.10.8") as python:
        subprocess.run([python, HERE / "growth_plot.py"], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
