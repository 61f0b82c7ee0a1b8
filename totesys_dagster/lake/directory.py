"""Objects as files in a directory, on a local disk or a mounted file system.

An object is first written completely under another name and then linked to its own, which fails if
that exists. A file opened for writing under its own name would be seen half-written.

Whatever the umask, only their owner can read objects, as they contain rows. To share a zone, set
the set-group-ID bit of its directory (`chmod 2750`, or 2770): its group then has the same rights to
objects as to the directory.
"""

from __future__ import annotations

import errno
import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from stat import S_IRWXG, S_ISGID, S_ISREG

from totesys_dagster import files, private
from totesys_dagster.lake.backend import BackendError, Copy, Created

# The folders of a zone.
FOLDERS = (
    *("audits", "commits", "deliveries", "erasures", "keys", "manifests", "probe"),
    *("quarantine", "receipts", "references", "requests", "rows", "schemas", "state"),
)

# The errors of a file system without hard links; Linux, macOS and FUSE differ.
_NO_LINKS = {errno.EPERM, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EMLINK, errno.EXDEV}


class Directory:
    """A place in a file system."""

    def __init__(self, path: str) -> None:
        self._root = Path(path)

    @cached_property
    def address(self) -> str:
        """The real path, and the file system, whose number survives a reboot."""
        with _failing_clearly(self._root):
            files.make_directory(self._root)
            self._close()
            system = os.statvfs(self._root).f_fsid
            return f"{self._root.resolve().as_uri()} on file system {system:x}"

    def create(self, key: str, data: bytes) -> Created:
        path = self._path(key)
        with _failing_clearly(path), self._unfinished(path, data) as unfinished:
            return _link(unfinished, path)

    def replace(self, key: str, data: bytes) -> None:
        path = self._path(key)
        with _failing_clearly(path), self._unfinished(path, data) as unfinished:
            unfinished.replace(path)
            files.sync_directory(path.parent)

    def read(self, key: str, most: int | None = None) -> bytes | None:
        path = self._path(key)
        with _failing_clearly(path):
            try:
                if most is not None and _is_larger(path, most):
                    with path.open("rb") as file:
                        return file.read(most + 1)
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
        return [copy.key for copy in self.copies(folder) if copy.newest]

    def copies(self, folder: str) -> Iterator[Copy]:
        top = self._path(folder) if folder else self._root
        with _failing_clearly(top):
            for directory, _, names in os.walk(top, onerror=_raise):
                for name in names:
                    key = Path(directory, name).relative_to(self._root).as_posix()
                    yield Copy(key, newest=not name.startswith(files.UNFINISHED))

    def read_copy(self, copy: Copy) -> bytes | None:
        return self.read(copy.key)

    def remove(self, copy: Copy) -> None:
        path = self._path(copy.key)
        with _failing_clearly(path), suppress(FileNotFoundError):
            path.unlink()
            files.sync_directory(path.parent)

    def check(self) -> None:
        with _failing_clearly(self._root):
            files.make_directory(self._root)
            with os.scandir(self._root):
                pass

    def _path(self, key: str) -> Path:
        if not {"", ".", ".."}.isdisjoint(key.split("/")):
            raise BackendError(f"{key!r} is not an object's key", "restore what names it")
        return self._root / key

    @cached_property
    def _of_group(self) -> int:
        """The group's rights to the directory; 0 unless it is shared."""
        mode = self._root.stat().st_mode
        return mode & S_IRWXG if mode & S_ISGID else 0

    @property
    def _mode(self) -> int:
        return 0o600 | self._of_group & 0o060

    def _close(self) -> None:
        """Close folders that are open to all, as copied and restored ones often are."""
        if not self._of_group:
            for folder in FOLDERS:
                private.close(self._root / folder)

    @contextmanager
    def _unfinished(self, path: Path, data: bytes) -> Iterator[Path]:
        """A temporary file with these bytes beside another one, for the duration of the block."""
        unfinished = path.with_name(f"{files.UNFINISHED}{uuid.uuid4()}")
        try:
            self._write(unfinished, data)
            yield unfinished
        finally:
            with suppress(OSError):
                unfinished.unlink()

    def _write(self, path: Path, data: bytes) -> None:
        try:
            files.write_new(path, data, self._mode)
        except FileNotFoundError:  # the zone itself may not be there yet
            self._make(path.parent)
            files.write_new(path, data, self._mode)

    def _make(self, folder: Path) -> None:
        """Make a folder and those above it, up to the zone."""
        if folder == self._root or folder.is_dir():
            files.make_directory(folder)
            return
        self._make(folder.parent)
        with suppress(FileExistsError):
            folder.mkdir(mode=0o700)
            if self._of_group:
                folder.chmod(S_ISGID | 0o700 | self._of_group)
        files.sync_directory(folder.parent)


def _is_larger(path: Path, most: int) -> bool:
    return path.is_file() and path.stat().st_size > most


def _link(unfinished: Path, path: Path) -> Created:
    try:
        os.link(unfinished, path)
    except FileExistsError:
        return Created.EXISTS
    except OSError as error:
        if error.errno in _NO_LINKS:
            raise BackendError(
                f"{path.parent} is on a file system without hard links, which are needed to create"
                " an object completely and once",
                "name a directory on one with links, such as ext4, XFS or APFS, or a bucket",
            ) from None
        raise
    files.sync_directory(path.parent)
    return Created.YES


def _raise(error: OSError) -> None:
    """Raise the error unless the directory is missing, which counts as empty."""
    if not isinstance(error, FileNotFoundError):
        raise error


@contextmanager
def _failing_clearly(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason, remedy = files.why(error)
        raise BackendError(f"{path} {reason}", remedy) from None
