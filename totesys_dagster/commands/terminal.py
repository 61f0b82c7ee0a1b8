"""What the commands share: where and what they print."""

from __future__ import annotations

import gc
import json
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO, TypeVar

import click
from rich.console import Console
from rich.markup import escape

from totesys_dagster import settings

if TYPE_CHECKING:
    from totesys_dagster.postgres.sessions import Connection, Names
    from totesys_dagster.warehouse.status import TableStanding, TableStatus

Found = TypeVar("Found")

# Wider than any line: nothing that goes into a pipe or a file is wrapped or truncated.
_ENDLESS = 100_000


def _width(stream: TextIO | None) -> int | None:
    """The width of what goes to a stream; None for that of its terminal."""
    return None if stream and stream.isatty() else _ENDLESS


# Reports go to standard output, progress and errors to standard error: pipes get only the report.
output = Console(highlight=False, width=_width(sys.stdout))
progress = Console(stderr=True, highlight=False, width=_width(sys.stderr))


def wrapped(text: str, stream: TextIO | None) -> str:
    """The text, on a terminal wrapped between words. A longer word, such as a path, stays whole."""
    width = progress.width if stream and stream.isatty() else _ENDLESS
    lines = (
        textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
        for line in text.splitlines()
    )
    return "\n".join(lines)


as_json = click.option("--json", "json_", is_flag=True, help="Print the report as JSON.")


def print_json(data: Mapping[str, object]) -> None:
    """Print a document of `json_output.py`, not through rich, which breaks long lines."""
    click.echo(json.dumps(data, indent=1))


def print_source() -> None:
    """Print which source a report is about: a misspelt setting would select another one."""
    output.print(escape(f"Source: {settings.describe_source()}."))


@contextmanager
def imports() -> Iterator[None]:
    """Import without the garbage collector. It would traverse all imported objects again and
    again, which takes a sixth of the time of a small run."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def loaded_tables() -> list[TableStatus]:
    """The current state of the warehouse's tables, with row counts."""
    from totesys_dagster.warehouse.status import table_status

    return _of_warehouse(table_status)


def loaded_standings() -> list[TableStanding]:
    """The current state of the warehouse's tables."""
    from totesys_dagster.warehouse.status import table_standings

    return _of_warehouse(table_standings)


def _of_warehouse(get: Callable[[Connection, Names], Found]) -> Found:
    from totesys_dagster.resources import Warehouse

    warehouse = Warehouse()
    with warehouse.connect() as connection:
        return get(connection, warehouse.names())
