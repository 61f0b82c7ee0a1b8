"""The numbered SQL files that have run on a warehouse, and whether this release can use it.

A newer release may have run files that this one does not know. If they only add, this release goes
on, so that one release can replace another while both run; otherwise it refuses the warehouse.
"""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from totesys_dagster.errors import LoadError
from totesys_dagster.postgres.sessions import Connection, Names


@dataclass(frozen=True)
class Migration:
    """An SQL file, run once. After it, a release can use the warehouse if it knows the file
    `needs`: the file before it, if this one only adds."""

    number: int
    file: str
    needs: int


# Append only: a released file is never edited.
MIGRATIONS = (Migration(1, "0001_bookkeeping.sql", needs=1),)


def exists(connection: Connection, table: sql.Identifier) -> bool:
    """Whether there is a table of that name. Raises psycopg.Error."""
    query = "SELECT to_regclass(%s) IS NOT NULL"
    return connection.execute(query, [table.as_string(connection)]).fetchone() == (True,)


def done(connection: Connection, names: Names) -> frozenset[int]:
    """The numbers of the files that have run, within a transaction.

    Raises LoadError if this release cannot use the warehouse, or psycopg.Error.
    """
    if not exists(connection, names.ledger("migration")):
        return frozenset()
    return require_usable(connection, names)


def require_usable(connection: Connection, names: Names) -> frozenset[int]:
    """The same for a warehouse that exists."""
    # Through JSON, because the table of a warehouse from before 0.1.0 has no column `needs`.
    query = sql.SQL(
        "SELECT number, file, coalesce((to_jsonb(m) ->> 'needs')::integer, number)"
        " FROM {} AS m ORDER BY number"
    ).format(names.ledger("migration"))
    rows = connection.execute(query).fetchall()
    known = {migration.number: migration.file for migration in MIGRATIONS}
    for number, file, needs in rows:
        if file != known.get(number, file):
            raise LoadError(_not_ours(names, file))
        if needs > max(known):
            raise LoadError(
                f"The schema {names.schema} of the warehouse was migrated by a newer release of"
                f" totesys_dagster ({file}), after which this one cannot use it: install that"
                " release again, or a later one."
            )
    return frozenset(number for number, _, _ in rows)


def _not_ours(names: Names, found: str) -> str:
    return (
        f"The schema {names.schema} of the warehouse has {found}, which no release of"
        " totesys_dagster has made: start again with empty zones and another"
        " TOTESYS_WAREHOUSE_SCHEMA; for the embedded default run `totesys clean`."
    )
