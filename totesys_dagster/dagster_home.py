"""Opens Dagster's instance for a command, and explains in a sentence what is wrong with it."""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from totesys_dagster.errors import SettingError, TotesysError

if TYPE_CHECKING:
    import dagster as dg

# How long a PostgreSQL storage may take to answer when a command starts.
CONNECT_SECONDS = 5


def directory() -> Path:
    """The directory of Dagster's instance: DAGSTER_HOME, or the current one. Raises
    SettingError."""
    home = os.environ.get("DAGSTER_HOME")
    if not home and not Path("dagster.yaml").exists():
        raise SettingError(
            "There is no dagster.yaml here: run totesys in the project's directory, or set"
            " DAGSTER_HOME to the directory of your Dagster instance."
        )
    return Path(home) if home else Path.cwd()


def elsewhere() -> str | None:
    """A sentence if Dagster's instance is not the one of this project."""
    home = os.environ.get("DAGSTER_HOME")
    if not home or Path(home).resolve() == Path.cwd():
        return None
    says = ", as the dagster.yaml there says" if Path(home, "dagster.yaml").is_file() else ""
    return (
        f"DAGSTER_HOME is set: runs and logs are kept in {home}{says}; unset it to use the one of"
        " this directory."
    )


def _instance(home: str | None) -> dg.DagsterInstance:
    import dagster as dg

    from totesys_dagster.dagster_schema import require_known

    if not home:
        return dg.DagsterInstance.from_config(str(Path.cwd()))
    instance = dg.DagsterInstance.get()
    storages = (instance.run_storage, instance.event_log_storage, instance.schedule_storage)
    require_known(storages, f"the history of DAGSTER_HOME ({home})")
    return instance


@contextmanager
def opened_instance() -> Iterator[dg.DagsterInstance]:
    """The Dagster instance of DAGSTER_HOME, or of the dagster.yaml of this directory."""
    directory()
    require_storage()
    with _opening():
        home = os.environ.get("DAGSTER_HOME")
        instance = _instance(home)
    with instance:
        try:
            yield instance
        finally:
            if instance.schedule_storage:  # an instance leaves it open
                instance.schedule_storage.dispose()


def require_storage() -> None:
    """Refuse a PostgreSQL storage that does not answer: Dagster would retry for fifteen seconds,
    and log each attempt. Raises SettingError."""
    path = directory() / "dagster.yaml"
    with suppress(OSError, UnicodeError):
        if "postgres" in path.read_text(encoding="utf-8"):  # else Dagster need not be imported
            with _opening():
                _require_answers(path.parent)


def _require_answers(home: Path) -> None:
    import psycopg

    from totesys_dagster.dagster_insides import storage_addresses

    for conninfo in storage_addresses(home):
        psycopg.connect(conninfo, connect_timeout=CONNECT_SECONDS).close()


@contextmanager
def _opening() -> Iterator[None]:
    """Say in a sentence why Dagster's instance cannot be used. Raises SettingError."""
    try:
        yield
    except TotesysError:
        raise
    except Exception as error:  # from any storage, launcher or module that dagster.yaml may name
        home = os.environ.get("DAGSTER_HOME")
        place = f"DAGSTER_HOME ({home})" if home else "the dagster.yaml of this directory"
        raise SettingError(
            f"Dagster cannot use {place}: {_why_unusable(error)}; correct the directory, its"
            " dagster.yaml, or the storage that it names."
        ) from None


def _why_unusable(error: Exception) -> str:
    """Why Dagster cannot open an instance, on one line, without any value of its dagster.yaml,
    which may be a password."""
    import dagster as dg
    import psycopg

    from totesys_dagster import files
    from totesys_dagster.interrupted import of_sqlite
    from totesys_dagster.postgres.failures import reason

    if isinstance(error, dg.DagsterInvalidConfigError):
        found = [re.search(r'environment variable "(\w+)"', one.message) for one in error.errors]
        if missing := sorted({match[1] for match in found if match}):
            return f"it takes {', '.join(missing)} from the environment, and they are not set"
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
