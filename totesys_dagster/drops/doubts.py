"""Values in delivered files that the dimension named by their contract does not contain.

They are loaded: an office may open next month. But one that is misspelt has its own line in every
report, and nobody would look for it there.
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from totesys_dagster.catalogue import FileColumn, FileContract
from totesys_dagster.characters import visible
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.words import counted

# How many values a sentence names, and how much of each.
SHOWN, LONGEST = 5, 40


def doubts(connection: Connection, names: Names, contract: FileContract) -> list[str]:
    """A sentence for each column of the contract with such values, now. Raises psycopg.Error."""
    return [
        _sentence(contract, column, found)
        for column in contract.columns
        if column.listed_in and (found := _unlisted(connection, names, contract, column))
    ]


def _unlisted(
    connection: Connection, names: Names, contract: FileContract, column: FileColumn
) -> list[tuple[str, int, str]]:
    """The values, each with its number of rows and a file that gives it. A dimension without a
    current row lists nothing yet."""
    table, listed = column.listed_in or ("", "")
    query = sql.SQL(
        """
        SELECT t.{value}::text, count(*), min(t.{file})
        FROM {current} AS t
        WHERE t.{value} IS NOT NULL AND EXISTS (SELECT FROM {dimension})
          AND NOT EXISTS (SELECT FROM {dimension} AS d WHERE d.{listed} = t.{value})
        GROUP BY t.{value} ORDER BY t.{value}
        """
    ).format(
        value=sql.Identifier(column.name),
        file=sql.Identifier(contract.name_column),
        current=names.table(f"current_{contract.table.name}"),
        dimension=names.table(f"current_{table}"),
        listed=sql.Identifier(listed),
    )
    return [(value, rows, file) for value, rows, file in connection.execute(query)]


def _sentence(
    contract: FileContract, column: FileColumn, found: Sequence[tuple[str, int, str]]
) -> str:
    shown = [
        f"{visible(value[:LONGEST])!r} ({counted(rows, 'row')}, {visible(file)})"
        for value, rows, file in found[:SHOWN]
    ]
    more = [f"{counted(len(found) - SHOWN, 'other')}"] if len(found) > SHOWN else []
    return (
        f"{contract.title}: no row of {'.'.join(column.listed_in or ())} has the {column.name}"
        f" {', '.join([*shown, *more])}: if that is misspelt, correct the file and deliver it again"
        " under its name."
    )
