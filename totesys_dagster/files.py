"""Files that are complete or missing, even after a power failure; and why one cannot be used."""

from __future__ import annotations

import errno
import os
import uuid
from contextlib import suppress
from pathlib import Path

from totesys_dagster import private
from totesys_dagster.errors import SettingError

# The prefix of an unfinished file; a process that is killed leaves it behind.
UNFINISHED = ".unfinished-"

# The system's error → why, and what to do.
_FAILURES: dict[int, tuple[str, str]] = {
    errno.EACCES: ("may not be used by {user}", "give that user the right to read and write it"),
    errno.EDQUOT: ("is over its quota", "make room"),
    errno.EIO: ("is on a disk that fails", "replace the disk"),
    errno.ELOOP: ("is a link that leads to itself", "correct it"),
    errno.EMFILE: ("cannot be opened, because this process has too many files open",
                   "raise the limit (ulimit -n)"),
    errno.ENAMETOOLONG: ("is too long a name for its file system", "choose a shorter one"),
    errno.ENFILE: ("cannot be opened, because this machine has too many files open",
                   "raise the limit (fs.file-max)"),
    errno.ENOENT: ("cannot be made", "name a directory that can be"),
    errno.ENOSPC: ("is on a disk that is full", "make room"),
    errno.ENOTDIR: ("is in or under a file", "name a directory"),
    errno.EEXIST: ("is a file", "name a directory"),
    errno.EROFS: ("is on a file system that is read-only", "mount it for writing"),
    errno.ESTALE: ("is on a network file system that lost it", "mount it again"),
    errno.ETIMEDOUT: ("is on a network file system that does not answer", "look after its server"),
}  # fmt: skip
_FAILURES[errno.EPERM] = _FAILURES[errno.EACCES]


def why(error: OSError) -> tuple[str, str]:
    """Why a file or directory cannot be used, and what to do, each as part of a sentence."""
    found = _FAILURES.get(error.errno or 0)
    reason, remedy = found or (f"gives an error: {error.strerror or error}", "fix that")
    return reason.format(user=f"user {os.geteuid()}"), remedy


def to_write(path: Path, option: str) -> Path:
    """The path of a file that a person asked for, with links followed; None for devices and pipes.

    Raises SettingError.
    """
    if not path.name or path.name == "-":
        raise SettingError(f"{option} names no file: name one, such as page.html.")
    found = Path(os.path.realpath(path))
    if found.exists() and not found.is_file():
        raise SettingError(
            f"{path} is no file that may be replaced: name another one for {option}."
        )
    return found if path.is_symlink() else path


def replace(path: Path, text: str, mode: int = 0o600) -> None:
    """Write a file, or replace it as a whole. Raises OSError and leaves the old one untouched."""
    unfinished = path.with_name(f"{UNFINISHED}{uuid.uuid4()}")
    try:
        write_new(unfinished, text.encode(), mode)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)
    sync_directory(path.parent)


def write_new(path: Path, data: bytes, mode: int = 0o600) -> None:
    """Write a file that must not exist yet, and flush it to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # whatever the umask
        file.write(data)
        file.flush()
        os.fsync(descriptor)


def sync_directory(path: Path) -> None:
    """Flush the names in a directory to the disk. Raises OSError."""
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        # Some network file systems do not support this, and write names immediately.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(descriptor)


def make_directory(path: Path) -> None:
    """Create a directory and its parents, and flush their names to the disk. Raises OSError."""
    missing = [path]
    while not missing[-1].exists() and missing[-1].parent != missing[-1]:
        missing.append(missing[-1].parent)
    private.make_directory(path)
    for made in missing[1:]:
        with suppress(PermissionError):  # one that existed, and that we may not read
            sync_directory(made)


def move_directory(new: Path, path: Path) -> None:
    """Rename a complete directory after flushing its content to the disk. Raises OSError."""
    for directory, _, names in os.walk(new):
        for name in names:
            _sync_file(Path(directory, name))
        sync_directory(Path(directory))
    new.rename(path)
    sync_directory(path.parent)


def _sync_file(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
