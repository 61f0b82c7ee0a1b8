"""`totesys web` as a process of its own, with one code location that has a sensor."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from totesys_dagster import settings
from totesys_dagster.lake.store import Store
from totesys_dagster.local.server import free_port

# Under which people reach the server, by way of something that has them log in.
HOST = "ui.example"
LOCATION = """
import dagster as dg

@dg.sensor(default_status=dg.DefaultSensorStatus.RUNNING)
def ticking(_):
    return dg.SkipReason("nothing to do")

defs = dg.Definitions(sensors=[ticking])
"""
SENSOR = (
    '{sensorOrError(sensorSelector: {repositoryName: "__repository__", repositoryLocationName:'
    ' "location.py", sensorName: "ticking"}) {... on Sensor {id sensorState {id status}}}}'
)


@dataclass
class Web:
    """A web server, and what a program asks it."""

    port: int
    directory: Path

    @property
    def place(self) -> str:
        return f"127.0.0.1:{self.port}"

    @property
    def url(self) -> str:
        return f"http://{self.place}"

    def processed(self) -> Store:
        return Store((self.directory / "processed").as_uri(), settings.PROCESSED_URL)

    def ask(self, query: str) -> dict:  # type: ignore[type-arg]
        answer = httpx.post(f"{self.url}/graphql", json={"query": query}, timeout=60)
        return dict(answer.json()["data"])

    def sensor(self) -> dict:  # type: ignore[type-arg]
        """The sensor's `id`, and the `id` and `status` of its state."""
        found = dict(self.ask(SENSOR)["sensorOrError"])
        return {"id": found["id"], **found["sensorState"], "state": found["sensorState"]["id"]}


def wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    """Until the server listens, which it does before it has loaded anything."""
    deadline = time.monotonic() + 60
    while True:
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, log.read_text()
        try:
            socket.create_connection(("127.0.0.1", port), 5).close()
        except ConnectionRefusedError:
            time.sleep(0.05)
        else:
            return


@pytest.fixture(scope="session")
def web(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Web]:
    directory = tmp_path_factory.mktemp("web")
    (directory / "location.py").write_text(LOCATION)
    (directory / "dagster.yaml").write_text("telemetry: {enabled: false}\nnux: {enabled: false}\n")
    running = Web(free_port(None), directory)
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [*(sys.executable, "-m", "totesys_dagster.cli", "web", "--port", str(running.port)),
             *("-f", "location.py")],
            cwd=directory,
            env={
                **os.environ,
                "DAGSTER_HOME": str(directory),
                settings.INGESTION_URL: str(directory / "ingestion"),
                settings.PROCESSED_URL: str(directory / "processed"),
                settings.WEB_HOSTS: HOST,
            },
            stdout=log,
            stderr=log,
        )  # fmt: skip
    try:
        wait_for(running.port, process, directory / "log")
        running.ask("{version}")
        yield running
    finally:
        process.terminate()
        process.wait(60)
