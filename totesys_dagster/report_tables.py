"""Tables on a terminal: where one does not fit, sentences take its place."""

from __future__ import annotations

from collections.abc import Sequence

from rich import box
from rich.cells import cell_len
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

# The spaces around a column.
PADDING = 3


def new_table(title: str, first: str, numbers: Sequence[str], last: str) -> Table:
    """A table with a name, numbers and words in each row. `show` prints it."""
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    table.add_column(first, no_wrap=True)
    for heading in numbers:
        table.add_column(heading, justify="right", no_wrap=True)
    table.add_column(last, overflow="fold")
    return table


def _least_width(column: Column) -> int:
    """The width in which a column is shown with whole words, with the space around it."""
    cells = [Text.from_markup(str(cell)).plain for cell in (column.header, *column.cells)]
    words = cells if column.no_wrap else " ".join(cells).split()
    return max(map(cell_len, words), default=0) + PADDING


def show(console: Console, table: Table) -> None:
    """Print a table; where the terminal is too narrow for it, a sentence for each row."""
    if sum(map(_least_width, table.columns)) < console.width:
        console.print(table)
        return
    console.print(f"[bold]{table.title}")
    for first, *cells in zip(*(column.cells for column in table.columns), strict=True):
        named = zip((str(column.header) for column in table.columns[1:]), cells, strict=True)
        said = [
            Text.assemble(name, ": ", Text.from_markup(str(cell))) for name, cell in named if cell
        ]
        console.print(Text.assemble("  ", str(first), ": ", Text(", ").join(said)))
