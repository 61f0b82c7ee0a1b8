"""The recorded state of an embedded server: the location of its files, its port, and passwords.

Losing it loses no data: a link in the home also leads to the files, the running server's own file
has its port, and new passwords replace lost ones.
"""

from __future__ import annotations

import json
import secrets
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from totesys_dagster import files
from totesys_dagster.local.programs import Account

NAME = "server.json"
FILES = "postgres"
# Where the files are if the server's user cannot reach the home.
ELSEWHERE, PREFIX = "/var/tmp", "totesys-"  # nosec B108


@dataclass(frozen=True)
class State:
    """The content of a home's `server.json`; `directory` has the server's files."""

    directory: Path
    port: int | None
    passwords: dict[str, str]

    @property
    def data(self) -> Path:
        """The data directory of PostgreSQL."""
        return self.directory / "data"

    def with_passwords(self, roles: tuple[str, ...]) -> State:
        """The same with a password for each role."""
        made = {role: secrets.token_urlsafe(24) for role in roles}
        return State(self.directory, self.port, {**made, **self.passwords})


def read(home: Path) -> State | None:
    """The recorded state, or None. It has no passwords if they were lost."""
    found = _parsed(home / NAME)
    directory = _directory(home, found.get("directory"))
    if directory is None:
        return None
    port, passwords = found.get("port"), found.get("passwords")
    if not isinstance(passwords, dict) or not all(map(_is_text, passwords.values())):
        passwords = {}
    is_port = isinstance(port, int) and 0 < port < 65536
    return State(directory, port if is_port else None, passwords)


def write(home: Path, state: State) -> None:
    """Replace the file as a whole, readable by its owner only. Raises OSError."""
    text = json.dumps(
        {"directory": str(state.directory), "port": state.port, "passwords": state.passwords},
        indent=1,
    )
    path = home / NAME
    with suppress(OSError, UnicodeError):
        if path.read_text(encoding="utf-8") == text:
            return
    files.replace(path, text)


def choose_directory(home: Path, account: Account) -> Path:
    """Create the directory for the server's files where its user can reach it. Raises OSError."""
    directory = home / FILES
    if directory.is_symlink():  # it leads to a place that is gone
        directory.unlink()
    if account.name is not None and not account.can_enter(home):
        directory = Path(tempfile.mkdtemp(prefix=PREFIX, dir=ELSEWHERE))
    directory.mkdir(mode=0o700, exist_ok=True)
    return directory


def link(home: Path, directory: Path) -> None:
    """Link from the home to files that are elsewhere, in case `server.json` is lost."""
    if directory != home / FILES and not (home / FILES).exists():
        (home / FILES).unlink(missing_ok=True)
        (home / FILES).symlink_to(directory)
        files.sync_directory(home)


def _directory(home: Path, remembered: object) -> Path | None:
    """The directory of a server's files; a place that we never create any in is ignored."""
    here = home / FILES
    elsewhere = Path(remembered) if isinstance(remembered, str) else here
    if elsewhere.match(f"{ELSEWHERE}/{PREFIX}*") and (elsewhere.exists() or not here.exists()):
        return elsewhere
    return here.resolve() if here.is_symlink() else here if here.exists() else None


def _parsed(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def _is_text(value: object) -> bool:
    return isinstance(value, str) and bool(value)
