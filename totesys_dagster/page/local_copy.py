"""The page as a local file, with the names of staff."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from totesys_dagster import files, settings
from totesys_dagster.errors import SettingError
from totesys_dagster.page.questions import ask
from totesys_dagster.page.render import page
from totesys_dagster.postgres.sessions import Connection, Names

FILE = "report.html"


def default_path() -> Path:
    """Where the page is written by default. Raises SettingError."""
    return settings.home() / FILE


def write(connection: Connection, names: Names, path: Path, as_of: dt.date | None = None) -> Path:
    """Write the current page atomically, replacing an older one.

    It names people, so only its user can read it. A symbolic link stays; its target is replaced.
    Raises LoadError, or SettingError if the file cannot be written.
    """
    path = files.to_write(path, "--output")
    text = page(ask(connection, names, as_of), staff_names=True)
    place = path.parent
    try:
        files.make_directory(place)
        place = path
        files.replace(path, text)
    except OSError as error:
        reason, remedy = files.why(error)
        raise SettingError(
            f"The page cannot be written, because {place} {reason}: {remedy}, or name another file"
            " with --output."
        ) from None
    return path.absolute()
