"""Objects as files of a directory, on a local disk or a mounted file system.

An object is written whole under another name first and then linked to its own, which fails when
there is one: a file that is opened for writing would be seen half-written.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from stat import S_ISREG

from totesys_dagster import files
from totesys_dagster.lake.backend import BackendError, Created

# What a file system without hard links says to a link; Linux, macOS and FUSE do not agree.
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV}


class Directory:
    """A place in a file system."""

    def __init__(self, path: str) -> None:
        self._root = Path(path)

    @cached_property
    def address(self) -> str:
        """The real path, and the file system, whose number stays when the machine starts again."""
        with _failing_clearly(self._root):
            files.make_directory(self._root)
            system = os.statvfs(self._root).f_fsid
            return f"{self._root.resolve().as_uri()} on file system {system:x}"

    def create(self, key: str, data: bytes) -> Created:
        path = self._path(key)
        unfinished = path.with_name(f"{files.UNFINISHED}{uuid.uuid4()}")
        with _failing_clearly(path):
            try:
                _write(unfinished, data)
                return _link(unfinished, path)
            finally:
                with suppress(OSError):
                    unfinished.unlink()

    def read(self, key: str) -> bytes | None:
        path = self._path(key)
        with _failing_clearly(path):
            try:
                return path.read_bytes()
            except (FileNotFoundError, IsADirectoryError):
                return None

    def exists(self, key: str) -> bool:
        path = self._path(key)
        with _failing_clearly(path):
            try:
                return S_ISREG(path.stat().st_mode)
            except FileNotFoundError:
                return False

    def list(self, folder: str) -> list[str]:
        top = self._path(folder) if folder else self._root
        with _failing_clearly(top):
            return [
                Path(directory, name).relative_to(self._root).as_posix()
                for directory, _, names in os.walk(top, onerror=_raise)
                for name in names
                if not name.startswith(files.UNFINISHED)
            ]

    def check(self) -> None:
        with _failing_clearly(self._root):
            files.make_directory(self._root)
            with os.scandir(self._root):
                pass

    def _path(self, key: str) -> Path:
        if not {"", ".", ".."}.isdisjoint(key.split("/")):
            raise BackendError(f"{key!r} is not an object's key", "restore what names it")
        return self._root / key


def _write(path: Path, data: bytes) -> None:
    try:
        files.write_new(path, data)
    except FileNotFoundError:
        files.make_directory(path.parent)
        files.write_new(path, data)


def _link(unfinished: Path, path: Path) -> Created:
    try:
        os.link(unfinished, path)
    except FileExistsError:
        return Created.EXISTS
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise BackendError(
                f"{path.parent} is on a file system without hard links, by which an object is"
                " created whole and once",
                "name a directory on one with links, such as ext4, XFS or APFS, or a bucket",
            ) from None
        raise
    files.sync_directory(path.parent)
    return Created.YES


def _raise(error: OSError) -> None:
    """Let nothing but what is not there pass for an empty directory."""
    if not isinstance(error, FileNotFoundError):
        raise error


@contextmanager
def _failing_clearly(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason, remedy = files.why(error)
        raise BackendError(f"{path} {reason}", remedy) from None
