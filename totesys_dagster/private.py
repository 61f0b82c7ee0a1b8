"""Keeps the platform's files private to their owner: they contain rows, passwords and logs.

This applies whatever the umask is, and also to files that were copied or restored from a backup,
which are often open to all. Files of other users are never touched.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

# Permissions of the group and of all others.
OTHERS = 0o077


def write_privately() -> None:
    """Make whatever this process and its children write private to their user."""
    os.umask(OTHERS)


def make_directory(path: Path) -> None:
    """Make a directory, and those above it that are missing. Raises OSError."""
    with suppress(FileExistsError):
        try:
            path.mkdir(mode=0o700)
        except FileNotFoundError:
            make_directory(path.parent)
            path.mkdir(mode=0o700)
        return
    path.mkdir(exist_ok=True)  # says what is wrong with a file of this name


def close(path: Path) -> bool:
    """Remove all rights of group and others to a file or directory. Returns whether they had any.

    Links, and files of another user, stay as they are.
    """
    with suppress(FileNotFoundError, PermissionError):
        mode = path.lstat().st_mode
        if not stat.S_ISLNK(mode) and mode & OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~OTHERS)
            return True
    return False


def close_all(directory: Path) -> None:
    """Close a directory and everything in it, if it was open until now."""
    if not close(directory):
        return  # so nobody else can reach what is in it
    for top, directories, names in os.walk(directory):
        for name in [*directories, *names]:
            close(Path(top, name))
