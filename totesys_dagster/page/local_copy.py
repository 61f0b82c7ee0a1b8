"""The page as a file of this machine, with the names of staff."""

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
    """Where the page is written unless another place is asked for. Raises SettingError."""
    return settings.home() / FILE


def write(connection: Connection, names: Names, path: Path, as_of: dt.date | None = None) -> Path:
    """Write the page of now, in the place of an older one: a reader sees either as a whole.

    It names people, so it is its user's alone. A link stays, and what it leads to is replaced.
    Raises LoadError, or SettingError when the file cannot be written.
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
