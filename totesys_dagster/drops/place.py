"""The place of the drops: a directory or part of a bucket, which is only listed and read."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from stat import S_ISREG
from typing import Protocol
from urllib.parse import unquote_to_bytes

from totesys_dagster import files, settings, zone_urls
from totesys_dagster.characters import visible
from totesys_dagster.errors import DropsError
from totesys_dagster.lake.backend import BackendError

# In a directory, a file is visible while it is written: take it once it is unchanged for this long.
SETTLE_SECONDS = 2.0

# Prefixes and suffixes of names that are not drops, but what tools write while they deliver.
_BEGINS = (".", "_", "~$")
_ENDS = (".tmp", ".part", ".partial", ".filepart", ".crdownload", "~")


@dataclass(frozen=True)
class Drop:
    """A version of a file: its name under the location, and what distinguishes it from others.

    `key` is where it is, `order` when it came, only for comparisons. An object's `version` is known
    once it is read, and is not compared with the log. A drop that is not `settled` may still be
    written to. One with a `failure` stands for what cannot be looked at, usually a directory.
    """

    name: str
    identity: Mapping[str, str]
    key: str
    order: str
    settled: bool = True
    failure: BackendError | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return int(self.identity["size"])


@dataclass(frozen=True)
class Read:
    """What was read of a drop; `version` is the store's, where it has any."""

    body: bytes
    version: str | None = None


class Place(Protocol):
    """Its methods raise BackendError, which `Drops` turns into a DropsError."""

    def drops(self, location: str) -> Iterator[Drop]:
        """The drops under a location now."""

    def read(self, drop: Drop) -> Read | None:
        """Exactly the version that was listed; None if it is gone or another has its name."""


class Drops:
    """The place that the setting names."""

    def __init__(self) -> None:
        """Raises SettingError."""
        self.url = zone_urls.drops_url()
        self._place = _open(self.url)

    def listed(self, location: str) -> list[Drop]:
        """The settled drops under a location, in order of arrival. Raises DropsError."""
        found = [drop for drop in self.all(location) if drop.settled]
        return sorted(found, key=lambda drop: (drop.order, drop.name))

    def all(self, location: str) -> list[Drop]:
        """The drops under a location, settled or not. Raises DropsError."""
        try:
            return [drop for drop in self._place.drops(location) if _is_drop(drop.name)]
        except BackendError as error:
            raise self._unusable(error) from None

    def names(self, location: str) -> frozenset[str]:
        """The names of the drops under a location. Raises DropsError if any cannot be listed."""
        found = self.all(location)
        for failure in filter(None, (drop.failure for drop in found)):
            raise self._unusable(failure)
        return frozenset(drop.name for drop in found)

    def read(self, drop: Drop) -> Read | None:
        """See `Place.read`. Raises DropsError."""
        if drop.failure:
            raise self._unusable(drop.failure)
        try:
            return self._place.read(drop)
        except BackendError as error:
            raise self._unusable(error) from None

    def _unusable(self, error: BackendError) -> DropsError:
        return DropsError(
            f"{settings.DROPS_URL} ({self.url}) cannot be read: {error.reason}; {error.remedy}, and"
            " what waits there is taken."
        )


def _open(url: str) -> Place:
    scheme, _, rest = url.partition("://")
    if scheme == "file":
        path = Path(os.fsdecode(unquote_to_bytes(rest)) or "/")
        return DirectoryPlace(path, is_optional=not settings.is_set(settings.DROPS_URL))
    from totesys_dagster.drops.bucket_place import BucketPlace  # boto3 takes long to import

    bucket, _, prefix = rest.partition("/")
    return BucketPlace(bucket, prefix)


def _is_drop(name: str) -> bool:
    parts = name.split("/")
    return not any(part.startswith(_BEGINS) for part in parts) and not name.endswith(("/", *_ENDS))


class DirectoryPlace:
    """Files in a directory. Links are not followed: they could lead out of it."""

    def __init__(self, path: Path, *, is_optional: bool = False) -> None:
        self._root = path
        self._is_optional = is_optional

    def drops(self, location: str) -> Iterator[Drop]:
        try:
            is_there = self._root.is_dir()
        except OSError as error:
            raise _failure(str(self._root), error) from None
        if not is_there and not self._is_optional:
            raise BackendError("there is no such directory", "make it, or mount it")
        top = self._root / location
        now = time.time()
        failed: list[OSError] = []
        for directory, _, names in os.walk(top, onerror=failed.append):
            for name in names:
                path = Path(directory, name)
                try:
                    status = path.lstat()
                except OSError as error:
                    failed.append(error)
                    continue
                if S_ISREG(status.st_mode):
                    yield Drop(
                        _name(path, top),
                        _identity(status),
                        str(path),
                        f"{status.st_mtime_ns:020d}",
                        settled=abs(now - status.st_mtime) >= SETTLE_SECONDS,
                    )
        for found in failed:
            if isinstance(found, FileNotFoundError):  # removed, or nothing was ever delivered
                continue
            path = Path(found.filename)
            failure = _failure(str(path), found)
            if path == top:
                raise failure
            yield Drop(_name(path, top), {"size": "0"}, str(path), "", failure=failure)

    def read(self, drop: Drop) -> Read | None:
        try:
            file = os.open(drop.key, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
        except FileNotFoundError:
            return None
        except OSError as error:
            raise _failure(drop.key, error) from None
        with os.fdopen(file, "rb") as opened:
            try:
                before = os.fstat(opened.fileno())
                body = opened.read(drop.size + 1)
                after = os.fstat(opened.fileno())
                named = Path(drop.key).lstat()
            except FileNotFoundError:
                return None
            except OSError as error:
                raise _failure(drop.key, error) from None
        same = all(_identity(status) == drop.identity for status in (before, after, named))
        return Read(body) if same and len(body) == drop.size else None


def _identity(status: os.stat_result) -> dict[str, str]:
    return {
        "size": str(status.st_size),
        "modified_ns": str(status.st_mtime_ns),
        "inode": str(status.st_ino),
    }


def _name(path: Path, top: Path) -> str:
    """The name of a drop. One in another encoding is no text, and yet a name."""
    return os.fsencode(path.relative_to(top).as_posix()).decode(errors="backslashreplace")


def _failure(path: str, error: OSError) -> BackendError:
    reason, remedy = files.why(error)
    return BackendError(f"{visible(path)} {reason}", remedy)
