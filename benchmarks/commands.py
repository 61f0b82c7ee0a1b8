"""What people type, timed from outside: `totesys run` of a first million, of an edit, of nothing.

    python -m benchmarks.commands [--orders 1000000] [--rounds 5]

A first load is measured in turn with the engine alone (three function calls in a process that has
imported all it needs), so that what Dagster, the start of Python and the command's own looks cost
is a ratio. Processor seconds are those of the command; PostgreSQL's come on top of both sides.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

from benchmarks import parts
from benchmarks.dev import PROJECT
from benchmarks.parts import Verdicts, median, seconds, spread
from totesys_dagster.local import stack
from totesys_dagster.local.server import Server

FIRST_TARGET = 1.3
SMALL_TARGET = 3.0

EDIT = "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id = 7"
# As the application does it: three tables in one transaction.
ORDER = """
WITH made AS (
    INSERT INTO sales_order SELECT nextval('sales_order_sales_order_id_seq'), now(), now(),
        design_id, staff_id, counterparty_id, units_sold, unit_price, currency_id,
        agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id
    FROM sales_order WHERE sales_order_id = 7 RETURNING *
), booked AS (
    INSERT INTO transaction SELECT nextval('transaction_transaction_id_seq'), 'SALE',
        sales_order_id, NULL, now(), now() FROM made RETURNING transaction_id
)
INSERT INTO payment SELECT nextval('payment_payment_id_seq'), now(), now(), transaction_id,
    counterparty_id, units_sold * unit_price, currency_id, 1, FALSE, agreed_payment_date,
    12345678, 87654321 FROM made, booked
"""


def totesys_run(directory: Path) -> tuple[float, float]:
    """Wall and processor seconds of the command, run in a directory that has a dagster.yaml."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    command = [sys.executable, "-m", "totesys_dagster.cli", "run"]
    wall = seconds(lambda: subprocess.run(command, cwd=directory, check=True, capture_output=True))
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return wall, spent


def history(directory: Path) -> tuple[int, int]:
    """The events in Dagster's history, and the kilobytes of `.dagster`, its write-ahead logs
    written back."""
    root = directory / ".dagster"
    for path in root.rglob("*.db"):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with closing(sqlite3.connect(root / "storage/history/events/event_log.db")) as connection:
        [events] = connection.execute("SELECT count(*) FROM event_logs").fetchone()
    size = sum(path.stat().st_size for path in root.rglob("*") if path.is_file())
    return int(events), size // 1024


def first_loads(
    orders: int, rounds: int, directory: Path, started: Server
) -> tuple[list[float], list[float]]:
    """Seconds of the engine and of the command, in turn; the last one's lake stays."""
    engine, command = [], []
    with parts.platform(started, directory, orders) as platform:
        application = started.dsn(stack.APPLICATION, platform.application.info.dbname)
        for number in range(rounds):
            parts.empty_again(started, platform)
            taken, _ = parts.in_process("benchmarks.rivals.by_platform", application)
            engine.append(taken["seconds"])
            parts.empty_again(started, platform)
            shutil.rmtree(directory / ".dagster", ignore_errors=True)
            command.append(totesys_run(directory)[0])
            print(f"First load: round {number + 1} of {rounds} is done.", file=sys.stderr)
    return engine, command


def small_batches(
    rounds: int, directory: Path, started: Server
) -> dict[str, list[tuple[float, float]]]:
    """Wall and processor seconds of a run of each kind."""
    taken: dict[str, list[tuple[float, float]]] = {"an order": [], "an edit": [], "nothing": []}
    with parts.platform(started, directory, 11_000) as platform:
        totesys_run(directory)
        for _ in range(rounds):
            for what, statement in (("an order", ORDER), ("an edit", EDIT), ("nothing", None)):
                if statement:
                    platform.application.execute(statement)
                taken[what].append(totesys_run(directory))
        print_history(platform, directory, rounds)
    return taken


def print_history(platform: parts.Platform, directory: Path, rounds: int) -> None:
    """What a batch of each kind leaves in Dagster's history."""
    print("| a batch leaves | events | KB |\n| --- | ---: | ---: |")
    for what, statement in (("an order", ORDER), ("an edit", EDIT)):
        events, size = history(directory)
        for _ in range(rounds):
            platform.application.execute(statement)
            totesys_run(directory)
        after, bigger = history(directory)
        print(f"| {what} | {(after - events) / rounds:.0f} | {(bigger - size) / rounds:.0f} |")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-commands", description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each command compiles its modules
    with parts.server() as (started, directory):
        shutil.copy(PROJECT / "dagster.yaml", directory)
        small = small_batches(options.rounds, directory, started)
        shutil.rmtree(directory / ".dagster")
        engine, command = first_loads(options.orders, options.rounds, directory, started)
    print("| `totesys run` of | seconds | processor seconds |\n| --- | ---: | ---: |")
    for what, runs in small.items():
        print(f"| {what} | {spread([w for w, _ in runs])} | {spread([c for _, c in runs])} |")
    print(f"| {options.orders:,} orders, the first time | {spread(command)} | |")
    print(f"| the same by the engine alone | {spread(engine)} | |")
    verdicts = Verdicts()
    ratio = median([ours / alone for ours, alone in zip(command, engine, strict=True)])
    verdicts.at_most("first load: command / engine", ratio, FIRST_TARGET)
    edit = median([wall for wall, _ in small["an edit"]])
    verdicts.at_most("a small batch", edit, SMALL_TARGET, unit=" s")
    return verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
