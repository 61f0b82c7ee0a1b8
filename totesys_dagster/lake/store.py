"""Objects that are written once: the same code on a local directory and on S3.

`put` succeeds only if no object of that name exists (on S3, with `If-None-Match: *`). A write whose
acknowledgement was lost reports "already exists" when it is retried, so an object with the same
content counts as written. Before the first write, a store must prove that it works like this.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from urllib.parse import quote, unquote_to_bytes

from totesys_dagster import settings
from totesys_dagster.errors import (
    LakeError,
    LakeUnusableError,
    ObjectConflictError,
    ObjectMissingError,
)
from totesys_dagster.lake import probe
from totesys_dagster.lake.backend import Backend, BackendError, Copy, Created
from totesys_dagster.lake.bounded import MOST_DOCUMENT_BYTES
from totesys_dagster.lake.directory import Directory

# Seconds to wait before retrying to create an object that supposedly exists but is not there:
# another process may be removing it, or may be failing to write it.
PAUSES = (0.2, 1.0, 5.0)


def sha256(data: bytes) -> str:
    """The lower-case hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def _open(url: str) -> Backend:
    scheme, _, rest = url.partition("://")
    if scheme == "file":
        return Directory(os.fsdecode(unquote_to_bytes(rest)) or "/")
    # boto3 takes a third of a second to import.
    from totesys_dagster.lake.s3 import Bucket

    bucket, _, prefix = rest.partition("/")
    return Bucket(bucket, prefix)


class Store:
    """The objects under one URL: `file:///directory`, percent-encoded, or `s3://bucket/prefix`,
    which is taken as it is.

    `setting` names the setting that the URL came from, for error messages.
    """

    def __init__(self, url: str, setting: str) -> None:
        self.url = url.removesuffix("/")
        self.setting = setting

    @cached_property
    def _backend(self) -> Backend:
        return _open(self.url)

    @contextmanager
    def _failing_clearly(self) -> Iterator[None]:
        try:
            yield
        except BackendError as error:
            raise LakeUnusableError(
                f"{self.setting} ({self.url}) cannot be used: {error.reason}; {error.remedy}, then"
                " run again."
            ) from None

    def uri(self, key: str) -> str:
        """Where the object `key` is, for people and metadata."""
        return f"{self.url}/{quote(key, '/=') if self.url.startswith('file:') else key}"

    def put(self, key: str, data: bytes) -> None:
        """Write an object that does not exist yet.

        Raises ObjectConflictError if it exists with other content, LakeError if it cannot be
        written.
        """
        with self._failing_clearly():
            self._require_proof()
            for pause in (*PAUSES, None):
                if self._backend.create(key, data) is Created.YES:
                    return
                found = self._backend.read(key, len(data))
                if found == data:
                    return
                if found is not None:
                    raise ObjectConflictError(
                        f"{self.uri(key)} exists with other content, and objects are never"
                        " overwritten: another process wrote it first."
                    )
                if pause is None:
                    raise BackendError(
                        f"{key} is said to exist, but cannot be read", "look who removes it"
                    )
                time.sleep(pause)

    def _require_proof(self) -> None:
        try:
            probe.require(self._backend)
        except probe.NotCreatedOnceError as error:
            raise LakeUnusableError(
                f"{self.setting} ({self._backend.address}) cannot be used, because this store does"
                f" not create an object once, as every commit needs: it {error}. Use a store, or a"
                " version of it, with conditional writes (If-None-Match), such as AWS S3, or a"
                " local disk."
            ) from None

    def replace(self, key: str, data: bytes) -> None:
        """Write an object that can be re-created, even if one exists: the only way to overwrite a
        damaged one. Raises LakeError if it cannot be written."""
        with self._failing_clearly():
            self._require_proof()
            self._backend.replace(key, data)

    def get(self, key: str, most: int = MOST_DOCUMENT_BYTES) -> bytes:
        """The whole object, of `most` bytes. Raises ObjectMissingError or LakeError."""
        with self._failing_clearly():
            data = self._backend.read(key, most)
        if data is None:
            again = ", and `totesys verify --repair` re-creates it" if self.is_derived else ""
            raise ObjectMissingError(
                f"{self.uri(key)} does not exist: it was removed{again}, or {self.setting} points"
                " to another place than when it was written."
            )
        if len(data) > most:
            raise LakeError(
                f"{self.uri(key)} is larger than the {most:,} bytes that it may have: it was"
                f" changed after it was written; {self.remedy}."
            )
        return data

    @property
    def is_derived(self) -> bool:
        """Whether all objects can be re-created from those of another zone."""
        return self.setting == settings.PROCESSED_URL

    @property
    def remedy(self) -> str:
        """What to do about an object that is not what was written, as part of a sentence."""
        if self.is_derived:
            return "`totesys verify --repair` re-creates it"
        return "restore it from the bucket's older versions"

    def exists(self, key: str) -> bool:
        """Whether the object exists. Raises LakeError."""
        with self._failing_clearly():
            return self._backend.exists(key)

    def check(self) -> None:
        """Raise LakeError unless the backend can be reached. Writes no object."""
        with self._failing_clearly():
            self._backend.check()

    def list(self, prefix: str) -> list[str]:
        """The keys under `prefix`, a folder, sorted. Raises LakeError."""
        with self._failing_clearly():
            return sorted(self._backend.list(prefix))

    def copies(self, folder: str) -> Iterator[Copy]:
        """All that is stored under `folder`, be it visible to readers or not. Raises LakeError."""
        with self._failing_clearly():
            yield from self._backend.copies(folder)

    def read_copy(self, copy: Copy) -> bytes | None:
        """What is stored; None if it is gone. Raises LakeError."""
        with self._failing_clearly():
            return self._backend.read_copy(copy)

    def remove(self, copy: Copy) -> None:
        """Remove what is stored, for good: only an erasure does. Raises LakeError."""
        with self._failing_clearly():
            self._backend.remove(copy)
