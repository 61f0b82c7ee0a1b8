"""The page as a file of this machine, with the names of staff."""

from __future__ import annotations

import datetime as dt
import os
from pathlib import Path

from totesys_dagster import settings
from totesys_dagster.errors import SettingError
from totesys_dagster.page.answers import ask
from totesys_dagster.page.render import page
from totesys_dagster.postgres.sessions import Connection, Names

FILE = "report.html"


def default_path() -> Path:
    """Where the page is written unless another place is asked for. Raises SettingError."""
    return settings.home() / FILE


def write(connection: Connection, names: Names, path: Path, as_of: dt.date | None = None) -> Path:
    """Write the page of now, in the place of an older one: a reader sees either as a whole.

    Raises LoadError, or SettingError when the file cannot be written.
    """
    text = page(ask(connection, names, as_of), staff_names=True)
    new = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            new.write_text(text, encoding="utf-8")
            new.replace(path)
        finally:
            new.unlink(missing_ok=True)
    except OSError as error:
        raise SettingError(
            f"The page cannot be written to {path} ({error.strerror}): name another file with"
            f" --output, or make room for this one."
        ) from None
    return path.absolute()
