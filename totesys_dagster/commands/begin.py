"""How a command begins: nothing is made before its settings are found usable."""

from __future__ import annotations

import importlib
from pathlib import Path

from totesys_dagster import dagster_home, settings
from totesys_dagster.errors import SettingError


def require_usable() -> set[str]:
    """Refuse settings that cannot be used, and return those that the embedded default provides.
    Makes nothing. Raises SettingError."""
    from totesys_dagster import zone_urls
    from totesys_dagster.local import stack

    settings.require_usable()
    needed = stack.provide_lake()
    zone_urls.require_usable(needed)
    for name in filter(settings.is_set, stack.with_other_roles(stack.DATABASES - needed)):
        settings.connection_string(name)
    return needed


def begin(*, reads: bool = False, runs: bool = False) -> set[str]:
    """Provide what is not set, for as long as this process runs, and return those settings.

    With `reads`, nothing is made: the embedded default must be there. With `runs`, Dagster's
    instance must be usable. Raises TotesysError.
    """
    from totesys_dagster.local import stack

    needed = require_usable()
    if needed & stack.DATABASES and not _is_made(settings.home()):
        if reads:
            raise _nothing_here()
        _require_what_is_set(needed)
        if runs:
            _require_dagster()
    return stack.start()


def _is_made(home: Path) -> bool:
    from totesys_dagster.local import state as state_file

    return home.is_dir() and state_file.read(home) is not None


def _nothing_here() -> SettingError:
    where = f"{settings.HOME} ({settings.home()})" if settings.is_set(settings.HOME) else Path.cwd()
    return SettingError(
        f"Nothing is in {where} yet: `totesys run` in the project's directory starts it; if it was"
        " started elsewhere, go to that directory first."
    )


def _require_dagster() -> None:
    """Let Dagster read its dagster.yaml and our definitions, which it can refuse."""
    dagster_home.require_storage()
    importlib.import_module("totesys_dagster.definitions")
    with dagster_home.opened_instance():
        pass


def _require_what_is_set(needed: set[str]) -> None:
    """Reach the systems that are set before the embedded default is made for the others: a slip
    in a setting leaves nothing behind."""
    from totesys_dagster import zone_urls
    from totesys_dagster.resources import Lake, SourceDatabase, Warehouse

    dagster_home.directory()
    zone_urls.require_place(settings.HOME, settings.home().as_uri())
    lake = Lake()
    for name, zone in (
        (settings.INGESTION_URL, lake.ingestion),
        (settings.PROCESSED_URL, lake.processed),
    ):
        if name not in needed and zone().url.startswith("s3:"):
            zone().check()
    for name, database in (
        (settings.SOURCE_DSN, SourceDatabase()),
        (settings.WAREHOUSE_DSN, Warehouse()),
    ):
        if name not in needed:
            with database.connect():
                pass
