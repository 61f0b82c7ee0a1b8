"""Opens Dagster's instance for a command, and explains in a sentence what is wrong with it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from totesys_dagster.errors import SettingError, TotesysError

if TYPE_CHECKING:
    import dagster as dg


def directory() -> Path:
    """Where Dagster's instance is: DAGSTER_HOME, or here. Raises SettingError."""
    home = os.environ.get("DAGSTER_HOME")
    if not home and not Path("dagster.yaml").exists():
        raise SettingError(
            "There is no dagster.yaml here: run totesys in the project's directory, or set"
            " DAGSTER_HOME to the directory of your Dagster instance."
        )
    return Path(home) if home else Path.cwd()


def elsewhere() -> str | None:
    """A sentence where Dagster's instance is not the one of this project."""
    home = os.environ.get("DAGSTER_HOME")
    if not home or Path(home).resolve() == Path.cwd():
        return None
    says = ", as the dagster.yaml there says" if Path(home, "dagster.yaml").is_file() else ""
    return (
        f"DAGSTER_HOME is set: runs and logs are kept in {home}{says}; unset it to use the one of"
        " this directory."
    )


@contextmanager
def opened_instance() -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of DAGSTER_HOME, or of the dagster.yaml of this directory."""
    directory()
    home = os.environ.get("DAGSTER_HOME")
    with _open_instance(home) as instance:
        yield instance


def _open_instance(home: str | None) -> dg.DagsterInstance:
    """The Dagster instance of the directory `home`, None for this one. Raises SettingError."""
    import dagster as dg

    from totesys_dagster.dagster_schema import require_known

    try:
        if not home:
            return dg.DagsterInstance.from_config(str(Path.cwd()))
        instance = dg.DagsterInstance.get()
        storages = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
        require_known(storages, f"the history of DAGSTER_HOME ({home})")
        return instance
    except TotesysError:
        raise
    except Exception as error:  # of any storage, launcher or module that dagster.yaml may name
        place = f"DAGSTER_HOME ({home})" if home else "the dagster.yaml of this directory"
        raise SettingError(
            f"Dagster cannot use {place}: {_why_unusable(error)}; correct the directory, its"
            " dagster.yaml, or the storage that it names."
        ) from None


def _why_unusable(error: Exception) -> str:
    """Why Dagster cannot open an instance, as one line, and without any value of its dagster.yaml:
    one may be a password."""
    import dagster as dg
    import psycopg

    from totesys_dagster import files
    from totesys_dagster.interrupted import of_sqlite
    from totesys_dagster.postgres.failures import reason

    if isinstance(error, dg.DagsterInvalidConfigError):
        return error.errors[0].message.partition(". ")[0].partition(" of original value ")[0]
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, psycopg.Error):
            return reason(cause)
        if isinstance(cause, sqlite3.Error):
            return "; ".join(of_sqlite(cause))
        if isinstance(cause, OSError) and cause.filename:
            return f"{cause.filename} {'; '.join(files.why(cause))}"
        cause = cause.__cause__
    return " ".join(str(error).split()).rstrip(".")
