"""`totesys dev` as a person starts it: batches arrive, Ctrl-C ends all, the next start recovers."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from totesys_dagster.definitions import defs
from totesys_dagster.local.server import free_port
from totesys_dagster.runs.tags import CAPTURE_STAGE, PROCESS_TAG, STAGE_TAG

PROJECT = Path(__file__).parent.parent.parent


class Dev:
    """`totesys dev` in a directory of its own, in a process group that Ctrl-C is sent to."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.log = directory / "dev.log"
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*cli("dev"), "--port", str(free_port(None))],
                cwd=directory,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def interrupt(self) -> None:
        os.killpg(self.process.pid, signal.SIGINT)
        assert self.process.wait(60) == 130

    def kill(self) -> None:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        for group in (self.process.pid, *map(int, children.split())):
            os.killpg(group, signal.SIGKILL)
        self.process.wait(60)

    def loaded_batches(self) -> int:
        done = subprocess.run(
            [*cli("status"), "--json"],
            cwd=self.directory,
            capture_output=True,
            text=True,
            check=False,
        )
        return int(json.loads(done.stdout)["warehouse"]["batches"]) if done.returncode == 0 else 0


def cli(command: str) -> list[str]:
    return [sys.executable, "-m", "totesys_dagster.cli", command]


def wait_until(condition: Callable[[], bool], seconds: float, log: Path) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, log.read_text()[-5000:]
        time.sleep(1)


def processes(directory: Path) -> list[str]:
    """The command lines of all processes that work in `directory` or name it."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes().replace(b"\0", b" ").decode()
            inside = str(directory) in line or (entry / "cwd").readlink() == directory
        except OSError:
            continue
        if inside and int(entry.name) != os.getpid():
            found.append(line)
    return found


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Path]:
    """What a clone has that the commands read, without state; it gives up on a dead start soon."""
    shutil.copy(PROJECT / "workspace.yaml", tmp_path)
    instance = (PROJECT / "dagster.yaml").read_text()
    patient = "start_timeout_seconds: 30"
    assert patient in instance
    (tmp_path / "dagster.yaml").write_text(instance.replace(patient, "start_timeout_seconds: 20"))
    yield tmp_path
    for line in processes(tmp_path):
        pytest.fail(f"a process was left running: {line}")


def stale_statuses(directory: Path) -> list[str]:
    """What the UI says of each asset: whether something upstream is newer."""
    query = "{assetNodes {assetKey {path} staleStatus}}"
    done = subprocess.run(
        [
            Path(sys.executable).with_name("dagster-graphql"),
            *("-m", "totesys_dagster.definitions", "-t", query),
        ],
        cwd=directory,
        env={**os.environ, "DAGSTER_HOME": str(directory)},
        capture_output=True,
        text=True,
        check=True,
    )
    # Between what its code server logs.
    answer, _ = json.JSONDecoder().raw_decode(done.stdout[done.stdout.index("{") :])
    nodes = answer["data"]["assetNodes"]
    return {"/".join(node["assetKey"]["path"]): node["staleStatus"] for node in nodes}


@pytest.mark.long
@pytest.mark.skipif(not Path("/proc/self/cwd").exists(), reason="looks for processes in /proc")
def test_business_reaches_the_warehouse_by_itself(project: Path) -> None:
    dev = Dev(project)
    try:
        wait_until(lambda: dev.loaded_batches() > 0, 120, dev.log)
    except BaseException:
        dev.kill()
        raise
    # A power cut: nothing gets a chance to tidy up, and a capture was under way.
    dev.kill()
    with contextlib.chdir(project), dg.DagsterInstance.from_config(str(project)) as instance:
        runs = instance.get_runs(dg.RunsFilter(statuses=[dg.DagsterRunStatus.SUCCESS]))
        assert all(PROCESS_TAG in run.tags for run in runs), "a run was not forked"
        instance.create_run_for_job(
            defs.resolve_job_def("capture"),
            status=dg.DagsterRunStatus.STARTED,
            tags={STAGE_TAG: CAPTURE_STAGE},
        )

    again = Dev(project)
    before = again.loaded_batches()
    try:
        wait_until(lambda: again.loaded_batches() > before, 120, again.log)
    finally:
        again.interrupt()
    wait_until(lambda: not processes(project), 30, again.log)
    statuses = stale_statuses(project)
    assert "STALE" not in statuses.values(), "a table counts as out of date"
    # The first rates come within five minutes, the page in the evening, and nobody has delivered a
    # file.
    assert {asset for asset, status in statuses.items() if status == "MISSING"} <= {
        "ingestion/exchange_rate",
        "ingestion/exchange_rate_history",
        "processed/exchange_rate",
        "warehouse/fact_exchange_rate",
        "reports/page",
        "ingestion/sales_target",
        "processed/sales_target",
        "warehouse/fact_sales_target",
    }
    verified = subprocess.run(
        [*cli("verify"), "--json"], cwd=project, capture_output=True, check=False
    )
    assert json.loads(verified.stdout)["findings"] == []
    wait_until(lambda: not processes(project), 30, again.log)
