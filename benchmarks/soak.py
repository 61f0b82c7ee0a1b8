"""Whether Dagster's history levels off: size, memory, ticks and pages over thousands of batches.

    python -m benchmarks.soak [--batches 2000] [--listed 200] [--every 100]

Each batch is one edited order, which the sensors notice and a run takes the whole way, in
this process. `keep_history` runs after every twenty, and lists so few batches that history levels
off early. The web server is one process from the first batch to the last. The records of ticks are
not in it, as no daemon ticks: they go after days, by the `retention` of dagster.yaml.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import shutil
import sqlite3
import statistics
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import dagster as dg

from benchmarks.batches import ORDERS, PARTITIONS, edit, shrink, web_server
from benchmarks.dev import PROJECT
from benchmarks.parts import (
    Platform,
    Verdicts,
    import_as_runs_do,
    median,
    platform,
    seconds,
    server,
)
from totesys_dagster import settings
from totesys_dagster.definitions import defs
from totesys_dagster.orchestration import planning, sensors
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.runs.tags import KEEP_HISTORY
from totesys_dagster.warehouse import schema

KEEP_EVERY = 20
ROUNDS = 5

RUNS = """
query Runs {
  runsOrError(limit: 30) { ... on Runs { results { runId status tags { key value } } count } }
}
"""
EVENTS = """
query Events($path: [String!]!) {
  assetOrError(assetKey: {path: $path}) {
    ... on Asset { assetMaterializations(limit: 50) { partition runId timestamp } }
  }
}
"""
PAGES = {"partitions": PARTITIONS, "runs": RUNS, "materializations": EVENTS}

# How much more there may be in the last quarter than in the one before: counts and sizes stand
# still but for steps of a file, times move with the machine.
COUNTED_TARGET, TIMED_TARGET = 1.05, 1.5
LOGGERS = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}


@dataclass
class Stage:
    """A platform, the Dagster instance in `home`, and a web server over it."""

    platform: Platform
    instance: dg.DagsterInstance
    home: Path
    ask: Callable[[str], None]
    web_server: int
    cursor: str | None = None

    def tick(self, name: str) -> dg.SensorResult | dg.SkipReason:
        context = dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            resources={"source": SourceDatabase(), "lake": Lake(), "warehouse": Warehouse()},
        )
        answer = defs.resolve_sensor_def(name)(context)
        assert isinstance(answer, dg.SensorResult | dg.SkipReason)
        if name == "source_changes":
            self.cursor = context.cursor
        return answer

    def run(self, job: str, request: dg.RunRequest | None = None) -> None:
        request = request or dg.RunRequest()
        result = defs.resolve_job_def(job).execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            asset_selection=list(request.asset_selection) if request.asset_selection else None,
            tags=dict(request.tags),
            run_config=LOGGERS,
        )
        assert result.success


def take_batch(stage: Stage, number: int) -> None:
    """Edit an order, and do what the sensors ask for, until the warehouse has it."""
    edit(stage.platform, number)
    answer = stage.tick("source_changes")
    while isinstance(answer, dg.SensorResult):
        for request in answer.dynamic_partitions_requests or []:
            assert isinstance(request, dg.AddDynamicPartitionsRequest)
            name, keys = request.partitions_def_name, list(request.partition_keys)
            stage.instance.add_dynamic_partitions(name, keys)
        for run in answer.run_requests or []:
            stage.run(str(run.job_name), run)
        answer = stage.tick("new_batches")
    assert Lake().log().end() == number + 1


def measure(stage: Stage) -> dict[str, float]:
    """Figures after so many batches."""
    return {**rows(stage), **sizes(stage.home), **memory(stage), **times(stage)}


def rows(stage: Stage) -> dict[str, float]:
    figures: dict[str, float] = {
        "batches on the list": len(stage.instance.get_dynamic_partitions("batch"))
    }
    history = stage.home / ".dagster" / "storage" / "history"
    for file, tables in (
        (history / "runs.db", ("runs", "run_tags", "snapshots")),
        (
            history / "events" / "event_log.db",
            ("event_logs", "asset_event_tags", "asset_check_executions"),
        ),
    ):
        with contextlib.closing(sqlite3.connect(file)) as connection:
            for table in tables:
                # Runs of `keep_history` belong to no batch, and leave after days.
                query = f"SELECT count(*) FROM {table}"
                if table == "runs":
                    query += f" WHERE pipeline_name <> '{KEEP_HISTORY}'"
                [count] = connection.execute(query).fetchone()
                figures[f"rows of {table}"] = count
    return figures


def sizes(home: Path) -> dict[str, float]:
    """Kilobytes of the parts of `.dagster`. SQLite uses the pages of deleted rows again; its log is
    as long as the largest write was."""
    place = home / ".dagster"
    kilobytes = {
        str(file.relative_to(place)): file.stat().st_size / 1024
        for file in place.rglob("*")
        if file.is_file()
    }
    parts = {
        "runs": "storage/history/runs.db",
        "events": "storage/history/events",
        "logs of steps": "logs",
        "all": "",
    }
    return {
        f"{part} (KB)": sum(size for name, size in kilobytes.items() if name.startswith(prefix))
        for part, prefix in parts.items()
    }


def memory(stage: Stage) -> dict[str, float]:
    """Megabytes of this process, which ticks and runs, and of the web server."""

    def megabytes(process: int) -> float:
        status = Path(f"/proc/{process}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0]) / 1024

    return {
        "this process (MB)": megabytes(os.getpid()),
        "web server (MB)": megabytes(stage.web_server),
    }


def times(stage: Stage) -> dict[str, float]:
    """Milliseconds of a tick of each sensor that finds nothing, and of pages of the UI."""
    ticks = {
        f"tick of {name} (ms)": median([seconds(lambda: stage.tick(name)) for _ in range(ROUNDS)])  # noqa: B023
        for name in ("source_changes", "new_batches")
    }
    pages = {
        f"page of {name} (ms)": median([seconds(lambda: stage.ask(query)) for _ in range(ROUNDS)])  # noqa: B023
        for name, query in PAGES.items()
    }
    return {name: 1000 * taken for name, taken in {**ticks, **pages}.items()}


@contextlib.contextmanager
def opened(listed: int) -> Iterator[Stage]:
    with contextlib.ExitStack() as exits:
        started, directory = exits.enter_context(server())
        small = exits.enter_context(platform(started, directory, ORDERS))
        shrink(small)
        schema.migrate(small.warehouse, small.names)
        home = directory / "dagster"
        home.mkdir()
        shutil.copy(PROJECT / "dagster.yaml", home)
        os.environ["DAGSTER_HOME"] = str(home)
        os.environ[settings.LISTED_BATCHES] = str(listed)
        exits.callback(os.environ.pop, "DAGSTER_HOME")
        exits.enter_context(contextlib.chdir(home))
        instance = exits.enter_context(dg.DagsterInstance.get())
        stage = Stage(small, instance, home, lambda _: None, os.getpid())
        take_batch(stage, 0)
        stage.ask, stage.web_server = exits.enter_context(web_server(home))
        yield stage


def judge(table: dict[int, dict[str, float]]) -> int:
    """Whether the last quarter is as the one before; the exit status."""
    verdicts, quarter = Verdicts(), max(len(table) // 4, 1)
    figures = list(table.values())
    for name in figures[-1]:
        last = statistics.mean(one[name] for one in figures[-quarter:])
        before = statistics.mean(one[name] for one in figures[-2 * quarter : -quarter])
        target = TIMED_TARGET if name.endswith("(ms)") else COUNTED_TARGET
        verdicts.at_most(f"last quarter / the one before: {name}", last / max(before, 1), target)
    return verdicts.finish()


def show(table: dict[int, dict[str, float]]) -> None:
    names = list(next(iter(table.values())))
    print(f"| batches | {' | '.join(names)} |\n| ---: |" + " ---: |" * len(names))
    for batches, figures in table.items():
        cells = (f"{figures[name]:,.{0 if figures[name] >= 100 else 1}f}" for name in names)
        print(f"| {batches:,} | {' | '.join(cells)} |")


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-soak", description=__doc__)
    parser.add_argument("--batches", type=int, default=2000)
    parser.add_argument("--listed", type=int, default=200)
    parser.add_argument("--every", type=int, default=100)
    options = parser.parse_args()
    planning.OPENING_SECONDS = 0  # nothing else ticks, so that no tick waits
    sensors.WAIT_SECONDS = 0
    import_as_runs_do()
    table: dict[int, dict[str, float]] = {}
    with opened(options.listed) as stage:
        for number in range(1, options.batches):
            take_batch(stage, number)
            if (number + 1) % min(KEEP_EVERY, options.every) == 0:
                kept = seconds(lambda: stage.run(KEEP_HISTORY))
            if (number + 1) % options.every == 0:
                table[number + 1] = {**measure(stage), "keep_history (ms)": 1000 * kept}
                print(f"{number + 1} batches: {table[number + 1]}", file=sys.stderr, flush=True)
    show(table)
    return judge(table)


if __name__ == "__main__":
    sys.exit(main())
