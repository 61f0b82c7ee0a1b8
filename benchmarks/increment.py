"""A hundred changed rows in a source and a warehouse of any size, and what polls cost.

    python -m benchmarks.increment [--orders 20000 1000000 10000000] [--rounds 5]

In turn: one sequential scan of the changed table, by the same role over the same connection; then
the batch of a hundred edited orders: the poll that finds it, capture, process, and load with its
audit. What that audit compares depends on the table's size, so it is printed: all rows (whole), or
those of the batch's keys (touched). Dagster's own time is not in it: see the benchmark of
freshness. Polls are taken as the sensor takes them.
"""

from __future__ import annotations

import argparse
import datetime as dt
import random
import sys
from collections import defaultdict
from collections.abc import Callable

from benchmarks.parts import Platform, Verdicts, median, platform, seconds, server
from totesys_dagster.ingestion import identity, scans, source_view
from totesys_dagster.ingestion.poll import THOROUGH_EVERY, PollCursor, poll

CHANGED = 100
CAPTURE_TARGET = 1.5
# The poll and the capture, both of which look for what changed.
FOUND_TARGET = 1.2
REST_TARGET = 0.25


def edit(platform: Platform, rng: random.Random, orders: int) -> None:
    """Edit orders here and there, and let the server count it now instead of in a second."""
    keys = rng.sample(range(1, orders), CHANGED)
    platform.application.execute(
        "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id = ANY(%s)", [keys]
    )
    count_now(platform)


def count_now(platform: Platform) -> None:
    platform.application.execute("SELECT pg_stat_force_next_flush()")
    platform.application.execute("SELECT 1")


def scan(platform: Platform) -> None:
    """What PostgreSQL needs to look at every row of the table once, in one process."""
    with platform.source.transaction():
        platform.source.execute("SET LOCAL enable_indexonlyscan TO off")
        platform.source.execute("SET LOCAL max_parallel_workers_per_gather TO 0")
        platform.source.execute("SELECT count(*) FROM sales_order WHERE units_sold < 0")


def measure(platform: Platform, orders: int, rounds: int) -> tuple[dict[str, float], str]:
    """Medians in seconds by step, and the scope of the last audit of the orders."""
    times: dict[str, list[float]] = defaultdict(list)
    manifest, scope = None, ""

    def capture() -> None:
        nonlocal manifest
        manifest = platform.capture()
        assert manifest is not None
        assert manifest.tables["sales_order"].rows in (CHANGED, orders)

    def load() -> None:
        nonlocal scope
        assert manifest is not None
        audits = platform.load(manifest).audits
        assert all(audit.equal for audit in audits.values())
        scope = audits["fact_sales_order"].scope

    def process() -> None:
        assert manifest is not None
        platform.process(manifest)

    steps = {"capture": capture, "process": process, "load and audit": load}
    for step, work in steps.items():
        times[f"first {step}"].append(seconds(work))
    platform.application.execute("VACUUM ANALYZE sales_order")
    rng = random.Random(1)
    for _ in range(rounds):
        times["scan"].append(seconds(lambda: scan(platform)))
        found = poll_that_finds(platform, lambda: edit(platform, rng, orders))
        taken = {step: seconds(work) for step, work in steps.items()}
        for step, value in {"poll that finds it": found, **taken}.items():
            times[step].append(value)
        times["the whole batch"].append(found + sum(taken.values()))
        times["poll and capture, in scans"].append((found + taken["capture"]) / times["scan"][-1])
    measure_polls(platform, times, rounds)
    return {step: median(values) for step, values in times.items()}, scope


def quiet_cursor(platform: Platform, now: dt.datetime) -> PollCursor:
    """What the sensor remembers while nothing happens."""
    count_now(platform)
    return poll(platform.source, platform.ingestion, PollCursor(), now).cursor


def poll_that_finds(platform: Platform, change: Callable[[], None]) -> float:
    """The seconds of the first poll after a change of orders."""
    now = dt.datetime.now(dt.UTC)
    cursor = quiet_cursor(platform, now)
    change()
    found: list[str] = []
    taken = seconds(
        lambda: found.extend(poll(platform.source, platform.ingestion, cursor, now).changed)
    )
    assert found == ["sales_order"]
    return taken


def measure_polls(platform: Platform, times: dict[str, list[float]], rounds: int) -> None:
    now = dt.datetime.now(dt.UTC)
    cursor = quiet_cursor(platform, now)
    for _ in range(rounds):
        times["poll, nothing ended"].append(seconds(lambda: identity.change_token(platform.source)))
        # Any transaction of the server moves the change token; this one writes no table of ToteSys.
        platform.application.execute("SELECT pg_current_xact_id()")
        times["poll, no large table written"].append(
            seconds(lambda: poll(platform.source, platform.ingestion, cursor, now))
        )
        times["poll, every table looked at"].append(
            seconds(lambda: poll(platform.source, platform.ingestion, cursor, now + THOROUGH_EVERY))
        )
        times["keys read (hourly, or after deletions)"].append(seconds(lambda: read_keys(platform)))


def read_keys(platform: Platform) -> None:
    with source_view.open_view(platform.source) as view:
        scans.key_ranges(view, "sales_order")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-increment", description=__doc__)
    parser.add_argument("--orders", type=int, nargs="+", default=[20_000, 1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    results, scopes = {}, {}
    with server() as (started, directory):
        for orders in options.orders:
            with platform(started, directory, orders) as built:
                results[orders], scopes[orders] = measure(built, orders, options.rounds)
            print(f"{orders} orders are measured.", file=sys.stderr)
    steps = list(results[options.orders[0]])
    print("| seconds, median |" + "".join(f" {orders:,} orders |" for orders in results))
    print("| --- |" + " ---: |" * len(results))
    for step in steps:
        print(f"| {step} |" + "".join(f" {results[n][step]:.4f} |" for n in results))
    print("| audited: orders |" + "".join(f" {scope} |" for scope in scopes.values()))
    verdicts = Verdicts()
    largest = results[max(results)]
    verdicts.at_most("capture / one scan", largest["capture"] / largest["scan"], CAPTURE_TARGET)
    verdicts.at_most("poll and capture / scan", largest["poll and capture, in scans"], FOUND_TARGET)
    rest = largest["process"] + largest["load and audit"]
    verdicts.at_most("process, load and audit", rest, REST_TARGET, unit=" s")
    return verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
