"""Objects that are written once: the same code on a local directory and on S3.

`put` succeeds only when no object of that name exists (on S3 by `If-None-Match: *`). A write whose
acknowledgement was lost shows as "exists already" when it is retried, so an object with the very
same content counts as written. That a store keeps to this is proved before the first write.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from datetime import timedelta
from functools import cached_property
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

import obstore
from botocore.exceptions import BotoCoreError
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import LocalStore, ObjectStore, S3Store

from totesys_dagster.errors import LakeUnusableError, ObjectConflictError, ObjectMissingError
from totesys_dagster.lake import probe
from totesys_dagster.lake.probe import Created

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

# A request, its body included, that takes longer counts as failed; a part file takes a second.
CLIENT: ClientConfig = {
    "allow_http": True,
    "connect_timeout": timedelta(seconds=5),
    "timeout": timedelta(seconds=30),
}
RETRIES: RetryConfig = {"max_retries": 5, "retry_timeout": timedelta(seconds=60)}

# Seconds to wait before a write is tried again. obstore repeats reads, and writes that are answered
# with 5xx or 429, but no create that got no answer: it cannot know that ours is safe to repeat.
WRITE_PAUSES = (0.2, 1.0, 5.0)

# The answer of S3 within an error: its first line would be the request and an XML declaration.
_ANSWER = re.compile(r"<Code>(\w+)</Code>\s*<Message>([^<]*?)\.?</Message>")

# Without such an answer, what is left of the first line after the request, its time and retries.
_CAUSE = re.compile(r" in [\d.]+\S+?s(?:, after [^-]*)?\s+- (.*?)[: ]*$")

# No answer came, or S3 gave up waiting for the rest of the request: the write may have happened.
_UNANSWERED = re.compile(r"- HTTP error: |<Code>RequestTimeout</Code>")


def sha256(data: bytes) -> str:
    """The lower-case hexadecimal SHA-256 of `data`."""
    return hashlib.sha256(data).hexdigest()


def _open(url: str) -> ObjectStore:
    parts = urlsplit(url)
    if parts.scheme == "file":
        return LocalStore(unquote(parts.path), mkdir=True)
    # boto3 resolves credentials as every other AWS tool does (profiles, SSO, roles, containers).
    from obstore.auth.boto3 import Boto3CredentialProvider

    return S3Store(
        parts.netloc,
        prefix=parts.path.strip("/") or None,
        # Without a checksum, S3 refuses to write into a bucket with Object Lock.
        checksum_algorithm="SHA256",
        credential_provider=Boto3CredentialProvider(),
        client_options=CLIENT,
        retry_config=RETRIES,
    )


class Store:
    """The objects under one URL: `file:///directory` or `s3://bucket/prefix`.

    `setting` names the setting that the URL came from, for error messages.
    """

    def __init__(self, url: str, setting: str) -> None:
        self.url = url.rstrip("/")
        self.setting = setting

    @cached_property
    def _objects(self) -> ObjectStore:
        try:
            return _open(self.url)
        except (BaseError, BotoCoreError, OSError, ValueError) as error:
            raise self._unusable(error) from None

    def _unusable(self, error: Exception) -> LakeUnusableError:
        first_line = str(error).partition("\n")[0]
        if answer := _ANSWER.search(str(error)):
            reason = f"{answer[1]}, {answer[2]}"
        elif cause := _CAUSE.search(first_line):
            reason = cause[1].replace("HTTP error: ", "no answer, ")
        else:
            reason = first_line
        return LakeUnusableError(
            f"{self.setting} ({self.url}) cannot be used: {reason}. Check the place, the"
            " credentials and the permissions, then run again."
        )

    def uri(self, key: str) -> str:
        """Where the object `key` is, for people and metadata."""
        return f"{self.url}/{key}"

    def put(self, key: str, data: bytes) -> None:
        """Write an object that does not exist yet.

        Raises ObjectConflictError when it exists with other content, LakeError when it cannot be
        written.
        """
        self._require_proof()
        for pause in (*WRITE_PAUSES, None):
            if self.create(key, data) is Created.YES:
                return
            found = self.read(key)
            if found == data:
                return
            if found is not None:
                raise ObjectConflictError(
                    f"{self.uri(key)} exists with other content, and objects are never"
                    " overwritten: another process wrote it first."
                )
            if pause is None:
                raise self._unusable(ValueError(f"{key} is said to exist, but cannot be read"))
            time.sleep(pause)

    def _require_proof(self) -> None:
        try:
            probe.require(self)
        except probe.NotCreatedOnceError as error:
            raise LakeUnusableError(
                f"{self.setting} ({self.address}) cannot be used, because this store does not"
                f" create an object once, as every commit needs: it {error}. Use a store, or a"
                " version of it, with conditional writes (If-None-Match), such as AWS S3, or a"
                " local disk."
            ) from None

    @cached_property
    def address(self) -> str:
        """The store and the place in it, without secrets."""
        if isinstance(self._objects, LocalStore):
            return self.url
        return f"{self.url} at {os.environ.get('AWS_ENDPOINT_URL', 'AWS')}"

    def create(self, key: str, data: bytes) -> Created:
        """Create an object, unless it exists. Raises LakeError when it cannot be written."""
        exists = Created.EXISTS
        for pause in (*WRITE_PAUSES, None):
            try:
                obstore.put(self._objects, key, data, mode="create", use_multipart=False)
            except AlreadyExistsError as error:
                if pause is None or "409 Conflict" not in str(error):
                    return exists
            except (BaseError, OSError) as error:
                if pause is None or not _UNANSWERED.search(str(error)):
                    raise self._unusable(error) from None
            else:
                return Created.YES
            exists = Created.UNCERTAIN
            time.sleep(pause)
        raise AssertionError

    def read(self, key: str) -> bytes | None:
        """The object, None when there is none. Raises LakeError."""
        try:
            return self.get(key)
        except ObjectMissingError:
            return None

    def get(self, key: str) -> bytes:
        """The whole object. Raises ObjectMissingError or LakeError."""
        try:
            return bytes(obstore.get(self._objects, key).bytes())
        except FileNotFoundError:
            raise ObjectMissingError(
                f"{self.uri(key)} does not exist: it was removed, or {self.setting} points to"
                " another place than when it was written."
            ) from None
        except (BaseError, OSError) as error:
            raise self._unusable(error) from None

    def exists(self, key: str) -> bool:
        """Whether the object exists. Raises LakeError."""
        try:
            obstore.head(self._objects, key)
        except FileNotFoundError:
            return False
        except (BaseError, OSError) as error:
            raise self._unusable(error) from None
        return True

    def check(self) -> None:
        """Raise LakeError unless the place can be reached. Writes nothing.

        It lists, because S3 says of an object only that it is missing when its bucket is.
        """
        try:
            next(iter(obstore.list(self._objects, "manifests", chunk_size=1)), None)
        except (BaseError, OSError) as error:
            raise self._unusable(error) from None

    def list(self, prefix: str) -> list[str]:
        """The keys under `prefix`, sorted. Raises LakeError."""
        try:
            batches = obstore.list(self._objects, prefix)
            return sorted(meta["path"] for batch in batches for meta in batch)
        except (BaseError, OSError) as error:
            raise self._unusable(error) from None
