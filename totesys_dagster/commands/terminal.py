"""What the commands share: where they print, and what they print alike."""

from __future__ import annotations

import gc
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click
from rich.console import Console
from rich.markup import escape

from totesys_dagster import settings

if TYPE_CHECKING:
    from totesys_dagster.postgres.sessions import Connection, Names
    from totesys_dagster.warehouse.status import TableStanding, TableStatus

Found = TypeVar("Found")

# Reports go to standard output, progress and errors to standard error: pipes get the report alone.
# What is piped has no width to fit into.
_WIDTH = None if sys.stdout and sys.stdout.isatty() else 110
output = Console(highlight=False, width=_WIDTH)
progress = Console(stderr=True, highlight=False)

as_json = click.option("--json", "json_", is_flag=True, help="Print the report as JSON.")


def print_source() -> None:
    """Every report says which source it is about: a misspelt setting loads another one."""
    output.print(escape(f"Source: {settings.describe_source()}."))


@contextmanager
def imports() -> Iterator[None]:
    """Without the garbage collector, which goes through all that is imported again and again: a
    sixth of the time of a small run."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def loaded_tables() -> list[TableStatus]:
    """How the warehouse's tables stand now, their rows counted."""
    from totesys_dagster.warehouse.status import table_status

    return _of_warehouse(table_status)


def loaded_standings() -> list[TableStanding]:
    """How the warehouse's tables stand now."""
    from totesys_dagster.warehouse.status import table_standings

    return _of_warehouse(table_standings)


def _of_warehouse(get: Callable[[Connection, Names], Found]) -> Found:
    from totesys_dagster.resources import Warehouse

    warehouse = Warehouse()
    with warehouse.connect() as connection:
        return get(connection, warehouse.names())
