"""Objects in a bucket of S3, or of an S3-compatible store.

The client is boto3's, so it finds everything as every AWS tool does: credentials, which are renewed
when they expire, profiles, region, endpoint, addressing, TLS authorities, proxies. A process has
one client, as it would otherwise request the credentials of its role every few seconds; it creates
a new one when the environment or an AWS file changes.
"""

from __future__ import annotations

import base64
import hashlib
import os
import time
from collections.abc import Callable, Hashable, Iterator, Mapping
from contextlib import closing
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import boto3
from botocore.config import Config

from totesys_dagster.lake import s3_failures
from totesys_dagster.lake.backend import BackendError, Copy, Created
from totesys_dagster.lake.s3_failures import Where

# Seconds: to connect, and to wait for the next piece of an answer; a part file takes a second.
CONNECT_SECONDS = 4
READ_SECONDS = 30

# Seconds to wait before a request is made again. A create is safe to repeat: what it meets then is
# its own object, or another's.
PAUSES = (0.1, 0.4, 1.5, 5.0)

# At the most so many threads of a process read and write at once.
CONNECTIONS = 32

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Client:
    """A client of boto3, and where its credentials came from, in boto3's words."""

    s3: Any
    source: str

    def where(self, bucket: str) -> Where:
        """What is said of a request that failed."""
        endpoint = s3_failures.without_user(self.s3.meta.endpoint_url)
        return Where(bucket, endpoint, self.s3.meta.region_name, self.source)


_MORE_NAMES = {"HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "HOME"}


def _environment() -> Hashable:
    """What the environment tells a client."""
    return frozenset(
        (name, value)
        for name, value in os.environ.items()
        if name.startswith("AWS_") or name.upper() in _MORE_NAMES
    )


def _files() -> Hashable:
    """Changes when a file of AWS does, as other tools write new credentials there."""
    return tuple(
        _version(Path(file).expanduser())
        for file in (
            os.environ.get("AWS_CONFIG_FILE") or "~/.aws/config",
            os.environ.get("AWS_SHARED_CREDENTIALS_FILE") or "~/.aws/credentials",
        )
    )


def _version(file: Path) -> tuple[int, int] | None:
    try:
        status = file.stat()
    except OSError:
        return None
    return status.st_mtime_ns, status.st_size


# The clients of this process, by what the environment and the files of AWS say.
_clients: dict[tuple[Hashable, Hashable], Client] = {}
MOST_CLIENTS = 8


def _client(surroundings: tuple[Hashable, Hashable]) -> Client:
    client = _clients.get(surroundings)
    if client is None:
        client = _new_client()
        if len(_clients) >= MOST_CLIENTS:
            _clients.clear()
        _clients[surroundings] = client
    return client


def _new_client() -> Client:
    # Other tools than boto3 look at AWS_REGION, and let it win.
    session = boto3.Session(region_name=os.environ.get("AWS_REGION") or None)
    credentials = session.get_credentials()
    if credentials is None:  # not kept: those of a machine may come a moment later
        raise s3_failures.NO_CREDENTIALS
    settings = Config(
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        max_pool_connections=CONNECTIONS,
        retries={"total_max_attempts": 1, "mode": "standard"},  # `Bucket` repeats
        response_checksum_validation="when_required",  # the lake has hashes of its own
    )
    return Client(session.client("s3", config=settings), credentials.method or "")


# Two processes cannot share a connection.
os.register_at_fork(after_in_child=_clients.clear)


class Bucket:
    """A place in a bucket: all objects whose keys begin with `prefix`, itself without slashes at
    its ends."""

    def __init__(self, name: str, prefix: str) -> None:
        self._name = name
        self._prefix = f"{prefix}/" if prefix else ""
        self._environment = _environment()

    def _client(self) -> Client:
        return _client((self._environment, _files()))

    @cached_property
    def address(self) -> str:
        return f"s3://{self._name}/{self._prefix}".rstrip("/") + f" at {self._where().endpoint}"

    def _where(self) -> Where:
        try:
            return self._client().where(self._name)
        except s3_failures.FAILURES as error:
            raise s3_failures.explain(error, Where(self._name)) from None

    def create(self, key: str, data: bytes) -> Created:
        attempts = 0

        def put(s3: Any) -> Created:
            nonlocal attempts
            attempts += 1
            s3.put_object(**self._body(key, data), IfNoneMatch="*")
            return Created.YES

        answer = self._ask(put, unless={412: Created.EXISTS})
        return Created.UNCERTAIN if answer is Created.EXISTS and attempts > 1 else answer

    def replace(self, key: str, data: bytes) -> None:
        self._ask(lambda s3: s3.put_object(**self._body(key, data)))

    def read(self, key: str, most: int | None = None) -> bytes | None:
        def get(s3: Any) -> bytes | None:
            answer = s3.get_object(**self._object(key))
            with closing(answer["Body"]) as body:
                if most is None or answer["ContentLength"] <= most:
                    return bytes(body.read())
                return bytes(body.read(most + 1))  # the rest is not waited for

        return self._ask(get, unless={404: None})

    def read_if(self, key: str, etag: str) -> tuple[bytes, str | None] | None:
        """The object and its version, where the bucket keeps any; None unless it has that ETag."""

        def get(s3: Any) -> tuple[bytes, str | None]:
            answer = s3.get_object(**self._object(key), IfMatch=etag)
            version = answer.get("VersionId")
            return bytes(answer["Body"].read()), None if version == "null" else version

        return self._ask(get, unless={404: None, 412: None})

    def exists(self, key: str) -> bool:
        def head(s3: Any) -> bool:
            s3.head_object(**self._object(key))
            return True

        def get(s3: Any) -> bool:
            s3.get_object(**self._object(key))["Body"].close()
            return True

        try:
            return self._ask(head, unless={404: False})
        except s3_failures.AnswerWithoutReasonError:
            # The answer to a HEAD has no body, and so no reason.
            return self._ask(get, unless={404: False})

    def list(self, folder: str) -> list[str]:
        return [entry["Key"] for entry in self.entries(folder)]

    def entries(self, folder: str) -> Iterator[Mapping[str, Any]]:
        """What S3 lists of each object in a folder, its key without the prefix."""
        for page in self._pages(f"{folder}/" if folder else ""):
            for entry in page.get("Contents", ()):
                yield {**entry, "Key": entry["Key"].removeprefix(self._prefix)}

    def _pages(self, prefix: str, **more: Any) -> Iterator[Mapping[str, Any]]:
        question = {"Bucket": self._name, "Prefix": self._prefix + prefix, **more}
        while True:
            page = self._ask(lambda s3: s3.list_objects_v2(**question))
            if "IsTruncated" not in page:  # a page of a web server may be XML, too
                raise s3_failures.no_s3(self._where(), "its list of objects is none")
            yield page
            if not page["IsTruncated"]:
                return
            question["ContinuationToken"] = page["NextContinuationToken"]

    def copies(self, folder: str) -> Iterator[Copy]:
        question = {"Bucket": self._name, "Prefix": f"{self._prefix}{folder}/"}
        while True:
            page = self._ask(lambda s3: s3.list_object_versions(**question))
            for found in page.get("Versions", ()):
                key = found["Key"].removeprefix(self._prefix)
                yield Copy(key, newest=found["IsLatest"], version=found["VersionId"])
            if not page["IsTruncated"]:
                return
            question["KeyMarker"] = page["NextKeyMarker"]
            question["VersionIdMarker"] = page["NextVersionIdMarker"]

    def read_copy(self, copy: Copy) -> bytes | None:
        def get(s3: Any) -> bytes | None:
            answer = s3.get_object(**self._object(copy.key), VersionId=copy.version)
            return bytes(answer["Body"].read())

        return self._ask(get, unless={404: None})

    def remove(self, copy: Copy) -> None:
        """First without a bypass, which a bucket without Object Lock does not know."""
        version = {**self._object(copy.key), "VersionId": copy.version}
        denied, done = object(), object()

        def delete(s3: Any, **more: bool) -> object:
            s3.delete_object(**version, **more)
            return done

        answer = self._ask(delete, unless={403: denied, 404: done})
        if answer is denied:
            bypass = {"BypassGovernanceRetention": True}
            answer = self._ask(lambda s3: delete(s3, **bypass), unless={403: denied, 404: done})
        if answer is denied:
            raise BackendError(
                f"version {copy.version} of {copy.key} may not be deleted",
                "use credentials with s3:DeleteObjectVersion and s3:BypassGovernanceRetention; what"
                " is locked in the mode COMPLIANCE, or under a legal hold, stays until that ends",
            )

    def check(self) -> None:
        """It lists, because S3 says of an object only that it is missing when its bucket is."""
        next(self._pages("manifests/", MaxKeys=1))

    def _object(self, key: str) -> dict[str, Any]:
        return {"Bucket": self._name, "Key": self._prefix + key}

    def _body(self, key: str, data: bytes) -> dict[str, Any]:
        # Without a checksum, S3 refuses to write into a bucket with Object Lock.
        checksum = base64.b64encode(hashlib.sha256(data).digest()).decode()
        return {**self._object(key), "Body": data, "ChecksumSHA256": checksum}

    def _ask(
        self, request: Callable[[Any], Answer], unless: Mapping[int, Answer] | None = None
    ) -> Answer:
        """What a request gives, or `unless` has for the status of its answer.

        It is repeated while that can help. Raises BackendError.
        """
        where = Where(self._name)
        renewed = False
        for pause in (*PAUSES, None):
            try:
                client = self._client()
                where = client.where(self._name)
                return request(client.s3)
            except s3_failures.FAILURES as error:
                status, code = s3_failures.answer(error)
                known = unless is not None and status in unless and code != "NoSuchBucket"
                if unless and known and not s3_failures.is_foreign(error):
                    return unless[status]
                if code in s3_failures.EXPIRED and pause and not renewed:
                    # Of a machine's role that was about to expire, botocore moves the expiry into
                    # the future. A new client asks for credentials that are there by now.
                    _clients.pop((self._environment, _files()), None)
                    renewed = True
                    continue
                if pause is None or not s3_failures.may_pass(error):
                    raise s3_failures.explain(error, where) from None
            time.sleep(pause)
        raise AssertionError("the last attempt returns or raises")
