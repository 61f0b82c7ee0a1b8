"""A first full load: the platform, what PostgreSQL can copy at most, and what people use instead.

    python -m benchmarks.full [--orders 20000 1000000] [--rounds 5] [--without-rivals]

Each contender of `rivals/contenders.py` is a process of its own, in each round another one comes
first, and a checkpoint precedes each. The fact that it has made is compared with the warehouse's.
The platform takes all eleven tables of its source, the others the orders only. Processor seconds
are those of the contender's processes, once they have imported what they need, and of PostgreSQL.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import parts
from benchmarks.dev import PROJECT
from benchmarks.machine import Load, PostgresMemory, Processor
from benchmarks.parts import Verdicts, median, seconds, spread
from benchmarks.rivals.contenders import (
    CONTENDERS,
    DUCKDB,
    ENGINE,
    LIMIT,
    PACKAGES,
    Contender,
    Place,
    place,
)

LIMIT_TARGET = 1.5
DUCKDB_TARGET = 1.0
MEMORY_TARGET = 300
# Below, starting and connecting take longer than the rows.
JUDGED_FROM = 100_000
LONGEST_SECONDS = 3600


@dataclass
class Figures:
    """What was measured of one line of the table, round by round."""

    seconds: list[float] = field(default_factory=list)
    processor: list[float] = field(default_factory=list)
    megabytes: list[float] = field(default_factory=list)
    of_postgres: list[float] = field(default_factory=list)

    def to(self, other: Figures, what: str = "seconds") -> list[float]:
        """The ratios of both in each round."""
        pairs = zip(getattr(self, what), getattr(other, what), strict=True)
        return [one / of for one, of in pairs]


# By contender, and by what is said of it besides; "" is the contender as a whole.
Results = dict[tuple[str, str], Figures]


def take(contender: Contender, place: Place, processor: Processor, results: Results) -> None:
    """Run a contender once, check what it made, and note its figures."""
    figures = results[contender.name, ""]
    with place.emptied() as directory, PostgresMemory(place.platform.warehouse) as memory:
        before = processor.seconds_of_server()
        found = _run(contender, place, directory)
        server = processor.seconds_of_server() - before
    figures.seconds.append(found["seconds"])
    figures.processor.append(found["processor"] + server)
    figures.megabytes.append(found["megabytes"])
    figures.of_postgres.append(memory.peak)
    for step, taken in found.get("steps", {}).items():
        results[contender.name, step].seconds.append(taken)
    if contender.makes_fact:
        before = processor.seconds_of_server()
        made = seconds(place.make_fact)
        server = processor.seconds_of_server() - before
        more = results[contender.name, "plus the same fact, by SQL"]
        more.seconds.append(figures.seconds[-1] + made)
        more.processor.append(figures.processor[-1] + server)
    if contender.module in ("by_platform", "by_command"):
        place.check_warehouse(contender.name)
    else:
        place.check(contender.name)


def _run(contender: Contender, place: Place, directory: Path) -> dict[str, Any]:
    """What its process prints of itself; it finds the project, but no other configuration."""
    python = place.python if contender.rival else Path(sys.executable)
    module = f"benchmarks.rivals.{contender.module}"
    arguments = contender.arguments(place, directory)
    result = subprocess.run(
        [str(python), "-m", module, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(PROJECT)},
        stdout=subprocess.PIPE,
        timeout=LONGEST_SECONDS,
        check=True,
    )
    found: dict[str, Any] = json.loads(result.stdout.splitlines()[-1])
    return found


def measure(place: Place, contenders: Sequence[Contender], rounds: int) -> tuple[Results, str]:
    """The figures by line of the table, and what the machine did in each round."""
    results: Results = defaultdict(Figures)
    processor = Processor(place.platform.warehouse)
    loads = []
    for number in range(rounds):
        before = Load.now(processor)
        first = number % len(contenders)
        for contender in [*contenders[first:], *contenders[:first]]:
            take(contender, place, processor, results)
        loads.append(f"Round {number + 1}: {Load.now(processor).since(before)}.")
        print(f"{place.orders} orders: {loads[-1]}", file=sys.stderr)
    return results, "\n".join(loads)


def table(orders: int, results: Results) -> str:
    """A line for each contender; those that begin with an ellipsis are parts of one or more."""
    leaves_out = {contender.name: contender.leaves_out for contender in CONTENDERS}
    engine = results[ENGINE, ""]
    head = (
        f"| {orders:,} orders; rounds: {len(engine.seconds)}; medians (ranges) | seconds"
        " | to the engine's | processor seconds | to the engine's | MB | leaves out |"
    )
    lines = [head, "| --- | ---: | ---: | ---: | ---: | ---: | --- |"]
    for contender, what in sorted(results, key=_place_in_table):
        found = results[contender, what]
        whole = bool(found.processor)
        cells = [
            f"… {what}" if what else contender,
            spread(found.seconds),
            f"{median(found.to(engine)):.2f} ×" if whole else "",
            spread(found.processor) if whole else "",
            f"{median(found.to(engine, 'processor')):.2f} ×" if whole else "",
            f"{max(found.megabytes):.0f}" if found.megabytes else "",
            "" if what else leaves_out[contender],
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def _place_in_table(line: tuple[str, str]) -> int:
    return [contender.name for contender in CONTENDERS].index(line[0])


def judge(orders: int, results: Results, verdicts: Verdicts) -> None:
    engine = results[ENGINE, ""]
    for what, name, target in (
        ("the limit", LIMIT, LIMIT_TARGET),
        ("DuckDB's three zones", DUCKDB, DUCKDB_TARGET),
    ):
        if (name, "") in results and orders >= JUDGED_FROM:
            ratios = engine.to(results[name, ""])
            span = f"{min(ratios):.2f} to {max(ratios):.2f}"
            verdicts.at_most(f"{orders}: platform / {what} ({span})", median(ratios), target)
    verdicts.at_most(f"{orders}: megabytes", max(engine.megabytes), MEMORY_TARGET)
    peak = max(engine.of_postgres)
    verdicts.at_most(f"{orders}: megabytes of a PostgreSQL process", peak, MEMORY_TARGET)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench-full", description=__doc__)
    parser.add_argument("--orders", type=int, nargs="+", default=[20_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--without-rivals", action="store_true")
    options = parser.parse_args(arguments)
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)  # else each run compiles its modules
    verdicts = Verdicts()
    with parts.server() as (started, directory):
        python = None if options.without_rivals else parts.environment(directory, *PACKAGES)
        for orders in options.orders:
            with place(started, directory, orders, python) as (built, contenders):
                results, loads = measure(built, contenders, options.rounds)
            print(table(orders, results), loads, sep="\n\n", end="\n\n")
            judge(orders, results, verdicts)
    return verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
