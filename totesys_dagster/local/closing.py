"""Keeps the directories of the embedded default private to its user.

Under root, the server runs as another user, who must be able to traverse to its own files. That
user's group may do so, but may not read anything.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from totesys_dagster import private


def close_home(home: Path, group: int | None, is_ours: Callable[[str], bool]) -> None:
    """Close the embedded default's files in a home, and the home unless it has other files.

    `group` is that of the server's user; None if the server runs as this user.
    """
    names = [path.name for path in home.iterdir()]
    for name in filter(is_ours, names):
        private.close(home / name)
    if all(map(is_ours, names)):
        let_server_through(home, group)


def let_server_through(directory: Path, group: int | None) -> None:
    """Close a directory to all but its owner; the server's group may traverse it."""
    if group is None:
        private.close(directory)
        return
    with suppress(PermissionError):
        os.chown(directory, -1, group)
        directory.chmod(0o710)
