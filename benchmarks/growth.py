"""How time and memory grow from ten thousand to ten million orders, on every path of a batch.

    python -m benchmarks.growth [--orders 10000 100000 1000000 10000000] [--statistics none fresh]

Each step is taken in a process of its own, one after the other over one source and one warehouse,
which so gets more and more versions of each order. PostgreSQL never takes statistics by itself
meanwhile: "none" is what a table has that was just filled, "fresh" what autovacuum gives it within
minutes. Ten million orders take the first four steps only. Then the same as a command, in Dagster.
Of all
sizes, writes `growth.csv` and `growth.svg` beside this file.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import math
import os
import random
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import LiteralString

import psycopg

from benchmarks import dev, parts
from benchmarks.increment import edit
from benchmarks.machine import TICKS, Processor
from benchmarks.parts import Platform, Verdicts, seconds
from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.warehouse import audit, healing

HERE = Path(__file__).parent
ORDERS = [10_000, 100_000, 1_000_000, 10_000_000]
STATISTICS = ("none", "fresh")
# From so many orders on, only the first steps are taken.
TOO_MANY = 10_000_000
FULL_READ_TARGET = 2.0
BACKLOG = 10

ALL_CHANGE = "UPDATE sales_order SET units_sold = units_sold + 1"
ONE_GOES = (
    "DELETE FROM sales_order WHERE sales_order_id = (SELECT max(sales_order_id) FROM sales_order)"
)
ALL_GO = "TRUNCATE sales_order, transaction, payment"
# Staff whose department breaks its contract, so that every order has to wait for them.
ORDERS_OF_UNKNOWN_STAFF = """
INSERT INTO department VALUES (1000, 'Late', NULL, NULL, now(), now());
INSERT INTO staff VALUES (1000, 'A', 'B', 1000, 'a@terrifictotes.com', now(), now());
UPDATE sales_order SET staff_id = 1000
"""
STAFF_BECOMES_KNOWN = "UPDATE department SET location = 'Leeds' WHERE department_id = 1000"


def take(platform: Platform, full: Sequence[str] = (), waiting: Sequence[str] = ()) -> float:
    """The next batch, the whole way; the seconds of it after the capture. All tables are equal, but
    for those whose rows wait for a dimension."""
    manifest = platform.capture(full)
    assert manifest is not None

    def after() -> None:
        platform.process(manifest)
        audits = platform.load(manifest).audits
        assert {name for name, found in audits.items() if not found.equal} <= {*waiting}

    return seconds(after)


def take_in_full(platform: Platform) -> float:
    return take(platform, tuple(SOURCE_TABLES))


def audit_orders(platform: Platform) -> None:
    """What an audit of all orders takes in the warehouse, where there are several batches."""
    head = ManifestLog(platform.ingestion).head()
    assert head is not None
    orders = {"fact_sales_order": head.stars["fact_sales_order"]}
    # The digest may be of an earlier batch: what matters here is the time that a comparison takes.
    audit.moved(platform.warehouse, platform.names, orders, sys.maxsize)


def take_late_dimension(platform: Platform) -> None:
    """The batch in which it comes, and the next one, which reads in full what waited for it."""
    take(platform, waiting=["fact_sales_order"])
    connection, names = platform.warehouse, platform.names
    assert healing.request_healing(connection, names, platform.ingestion) == ["sales_order"]
    take(platform)


def take_backlog(platform: Platform) -> None:
    """Batches that are in the lake already."""
    log = ManifestLog(platform.ingestion)
    last = log.head()
    assert last is not None
    for manifest in log.after(last.sequence - BACKLOG):
        platform.process(manifest)
        platform.load(manifest)


def prepare_increment(platform: Platform) -> None:
    platform.application.execute("VACUUM ANALYZE sales_order")
    row = platform.application.execute("SELECT max(sales_order_id) FROM sales_order").fetchone()
    assert row is not None
    edit(platform, random.Random(1), row[0])


def prepare_by(statements: LiteralString) -> Callable[[Platform], None]:
    def prepare(platform: Platform) -> None:
        platform.application.execute(statements)

    return prepare


def prepare_late_dimension(platform: Platform) -> None:
    platform.application.execute(ORDERS_OF_UNKNOWN_STAFF)
    manifest = platform.capture()
    assert manifest is not None
    platform.process(manifest)
    platform.load(manifest, quarantine_limit=10)
    platform.application.execute(STAFF_BECOMES_KNOWN)


def prepare_backlog(platform: Platform) -> None:
    for number in range(BACKLOG):
        some = f" WHERE sales_order_id % {BACKLOG} = {number}"
        platform.application.execute((ALL_CHANGE + some).encode())
        assert platform.capture() is not None


@dataclass(frozen=True)
class Step:
    """What is measured, and what happens before; `work` may return its seconds after a capture."""

    work: Callable[[Platform], float | None]
    prepare: Callable[[Platform], None] | None = None


STEPS: dict[str, Step] = {
    "first load": Step(take),
    "increment": Step(take, prepare_increment),
    "audit": Step(audit_orders),
    "rebuild": Step(Platform.rebuild_beside),
    "full read, nothing changed": Step(take_in_full),
    "full read, all changed": Step(take_in_full, prepare_by(ALL_CHANGE)),
    "full read, one gone": Step(take_in_full, prepare_by(ONE_GOES)),
    "late dimension": Step(take_late_dimension, prepare_late_dimension),
    "backlog": Step(take_backlog, prepare_backlog),
    "full read, all gone": Step(take_in_full, prepare_by(ALL_GO)),
}
FIRST_STEPS = ("first load", "increment", "audit", "rebuild")

RUN = ("run",)
RUN_IN_FULL = ("run", "--full", "sales_order")
# Each command, and what happens before it.
COMMANDS: dict[str, tuple[Sequence[str], LiteralString]] = {
    "command: first run": (RUN, ""),
    "command: run --full, nothing changed": (RUN_IN_FULL, ""),
    "command: run --full, all changed": (RUN_IN_FULL, ALL_CHANGE),
}


@dataclass(frozen=True)
class Figure:
    """A step that was measured. `after_capture` are the seconds without the capture, where it has
    one; `processor` those of the process and of PostgreSQL."""

    step: str
    orders: int
    statistics: str
    seconds: float
    after_capture: float | None
    processor: float
    megabytes: int


def one_step(step: str, application_dsn: str) -> None:
    """What a measured process does."""
    parts.import_as_runs_do()
    with parts.opened(application_dsn) as platform:
        processor = Processor(platform.warehouse)
        after_capture: float | None = None

        def work() -> None:
            nonlocal after_capture
            after_capture = STEPS[step].work(platform)

        before = processor.seconds()
        taken = seconds(work)
        figures = {"seconds": taken, "processor": processor.seconds() - before}
        if after_capture is not None:
            figures["after_capture"] = after_capture
    print(json.dumps(figures))


def prepare_step(step: str, application_dsn: str) -> None:
    """What a process before it does."""
    prepare = STEPS[step].prepare
    assert prepare is not None
    with parts.opened(application_dsn) as platform:
        prepare(platform)
    print("{}")


def measure(started: Server, directory: Path, orders: int, statistics: str) -> Iterator[Figure]:
    """The steps, one after the other. Each is a process of its own, and so is its preparation: the
    peak of a process' memory is at least that of the one that starts it."""
    with parts.platform(started, directory, orders) as platform:
        source, warehouse = platform.application.info.dbname, platform.warehouse.info.dbname
        dsn = started.dsn(stack.APPLICATION, source)
        for name in STEPS if orders < TOO_MANY else FIRST_STEPS:
            if STEPS[name].prepare is not None:
                parts.in_process("benchmarks.growth", "--prepare", name, dsn)
            if statistics == "fresh":
                _analyze(started, source, warehouse)
            taken, peak = parts.in_process("benchmarks.growth", "--step", name, dsn)
            yield Figure(
                name,
                orders,
                statistics,
                taken["seconds"],
                taken.get("after_capture"),
                taken["processor"],
                peak,
            )


def _analyze(started: Server, *databases: str) -> None:
    for database in databases:
        with psycopg.connect(started.dsn(SUPERUSER, database), autocommit=True) as admin:
            admin.execute("ANALYZE")


def measure_commands(started: Server, directory: Path, orders: int) -> Iterator[Figure]:
    """The same by the command line, with what Dagster takes, its start and its database."""
    with (
        parts.platform(started, directory, orders) as platform,
        tempfile.TemporaryDirectory(prefix="benchmark-") as project,
    ):
        Path(project, "dagster.yaml").write_text((dev.PROJECT / "dagster.yaml").read_text())
        processor = Processor(platform.warehouse)

        def run(*arguments: str) -> None:
            command = [sys.executable, "-m", "totesys_dagster.cli", *arguments]
            subprocess.run(command, cwd=project, capture_output=True, check=True)

        for name, (arguments, statements) in COMMANDS.items():
            platform.application.execute(statements)
            before = processor.seconds()
            taken = seconds(lambda arguments=arguments: run(*arguments))  # type: ignore[misc]
            yield Figure(name, orders, "none", taken, None, processor.seconds() - before, 0)


def report(figures: list[Figure]) -> int:
    """Print the tables, and the verdicts; the exit status."""
    sizes = sorted({figure.orders for figure in figures})
    for statistics in dict.fromkeys(figure.statistics for figure in figures):
        _table([figure for figure in figures if figure.statistics == statistics], sizes, statistics)
    return _verdicts(figures).finish()


def _table(figures: list[Figure], sizes: list[int], statistics: str) -> None:
    """A cell has seconds, processor seconds, and the ratio to the first load of its size."""
    found = {(figure.step, figure.orders): figure for figure in figures}
    print(
        f"\n| statistics: {statistics} |" + "".join(f" {size:,} orders |" for size in sizes), end=""
    )
    print(" exponent |\n| --- |" + " ---: |" * (len(sizes) + 1))
    for step in dict.fromkeys(figure.step for figure in figures):
        own = [found[step, size] for size in sizes if (step, size) in found]
        first = "command: first run" if step in COMMANDS else "first load"
        cells = [
            f"{one.seconds:.2f} s, {one.processor:.2f} s,"
            f" {one.seconds / found[first, one.orders].seconds:.2f} x"
            for one in own
        ]
        cells += [""] * (len(sizes) - len(cells))
        print(f"| {step} | {' | '.join(cells)} | {_exponent(own)} |")


def _exponent(figures: list[Figure]) -> str:
    """By which power of the orders processor seconds grew between the two largest sizes."""
    if len(figures) < 2:
        return ""
    one, other = figures[-2:]
    spent = [max(figure.processor, 1 / TICKS) for figure in (one, other)]
    power = math.log(spent[1] / spent[0]) / math.log(other.orders / one.orders)
    return f"{power:.2f}"


def _verdicts(figures: list[Figure]) -> Verdicts:
    """By seconds, without those of the capture, and by processor seconds, with them: these move
    less on a machine that has other work."""
    verdicts = Verdicts()
    found = {(f.step, f.orders, f.statistics): f for f in figures}
    for (step, orders, statistics), figure in found.items():
        if "full" not in step:
            continue
        first = found[
            "command: first run" if step in COMMANDS else "first load", orders, statistics
        ]
        what = f"{orders}, statistics {statistics}: {step} / {first.step}"
        for unit, ratio in (
            ("time", _after_capture(figure) / _after_capture(first)),
            ("processor", figure.processor / first.processor),
        ):
            verdicts.at_most(f"{what}, {unit}", ratio, FULL_READ_TARGET)
    return verdicts


def _after_capture(figure: Figure) -> float:
    return figure.seconds if figure.after_capture is None else figure.after_capture


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-growth", description=__doc__)
    parser.add_argument("--orders", type=int, nargs="+", default=ORDERS)
    parser.add_argument("--statistics", choices=STATISTICS, nargs="+", default=STATISTICS)
    parser.add_argument("--step", nargs=2, metavar=("STEP", "DSN"), help=argparse.SUPPRESS)
    parser.add_argument("--prepare", nargs=2, metavar=("STEP", "DSN"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.step:
        one_step(*options.step)
        return 0
    if options.prepare:
        prepare_step(*options.prepare)
        return 0
    figures = []
    with parts.server() as (started, directory):
        with psycopg.connect(started.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
            admin.execute("ALTER SYSTEM SET autovacuum TO off")
            admin.execute("SELECT pg_reload_conf()")
        for orders in options.orders:
            runs = [measure(started, directory, orders, one) for one in options.statistics]
            if orders < TOO_MANY:
                runs.append(measure_commands(started, directory, orders))
            for figure in itertools.chain(*runs):
                figures.append(figure)
                print(figure, f"load {os.getloadavg()[0]:.1f}", file=sys.stderr)
    if (options.orders, tuple(options.statistics)) == (ORDERS, STATISTICS):
        _keep(figures)
    return report(figures)


def _keep(figures: list[Figure]) -> None:
    with (HERE / "growth.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([field.name for field in fields(Figure)])
        writer.writerows([vars(figure).values() for figure in figures])
    with parts.temporary_environment("matplotlib==3.10.8") as python:
        subprocess.run([python, HERE / "growth_plot.py"], check=True)


if __name__ == "__main__":
    sys.exit(main())
