"""What an erasure does in the warehouse beside a rebuild, and what keeps it from beginning."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES, SourceTable, StarTable
from totesys_dagster.errors import LoadError
from totesys_dagster.lake.log import TOTESYS
from totesys_dagster.operations.replace import no_longer_filled
from totesys_dagster.postgres.sessions import Connection, Names, failures, one, transaction
from totesys_dagster.warehouse import state
from totesys_dagster.warehouse.schema import act_as_owner
from totesys_dagster.warehouse.tables import all_tables, kept

# PostgreSQL 18 can forget the statistics of a table without rows, which ANALYZE leaves as they are.
CLEARS_STATISTICS = 180000
_CLEAR = """
SELECT pg_clear_attribute_stats(%s, %s, attname, FALSE) FROM pg_stats
WHERE (schemaname, tablename) = (%s, %s)
"""


def require_nothing_withdrawn(
    connection: Connection, names: Names, stars: Sequence[StarTable]
) -> None:
    """Raise LoadError if the warehouse has tables or columns that are no longer declared: nobody
    knows whose values they hold, and a rebuild leaves them."""
    with failures(LoadError, "a read of the tables' declarations"), transaction(connection):
        for name in _withdrawn_tables(connection, names):
            raise LoadError(
                f"{names.schema}.{name} is no longer declared, so what it holds cannot be erased:"
                " drop it, run `totesys rebuild`, then erase again; nothing was erased."
            )
        for table in (table for star in stars for table in kept(star)):
            for column in no_longer_filled(connection, names, table):
                raise LoadError(
                    f"The column {column} of {names.schema}.{table.name} is no longer declared, so"
                    " what it holds cannot be erased: drop it (ALTER TABLE … DROP COLUMN), then"
                    " erase again; nothing was erased."
                )


def _withdrawn_tables(connection: Connection, names: Names) -> list[str]:
    loaded = sql.SQL("SELECT DISTINCT star FROM {} WHERE log = {} AND star <> ALL ({})").format(
        names.ledger("batch_table"), sql.Literal(TOTESYS), sql.Literal([*STAR_TABLES])
    )
    found = {name for (name,) in connection.execute(loaded).fetchall()}
    there = "SELECT to_regclass(quote_ident(%s) || '.' || quote_ident(%s)) IS NOT NULL"
    for name in state.states(connection, names).keys() - all_tables().keys():
        if one(connection, there, [names.schema, name]) == (True,):
            found.add(name)
    return sorted(found)


def write_anew(
    connection: Connection, names: Names, stars: Collection[StarTable], source: SourceTable
) -> None:
    """Write the tables with PII columns of a source table anew, with their statistics.

    An UPDATE leaves the superseded row in the table's file, and the planner's statistics have the
    commonest values. Raises LoadError if somebody reads a table for too long.
    """
    for star in stars:
        if any(c.pii and of == source.name for c in star.columns for of, _ in c.takes):
            for table in kept(star):
                _write_anew(connection, names, table)


def _write_anew(connection: Connection, names: Names, table: StarTable) -> None:
    fragments = {"table": names.table(table.name), "key": _primary_key(connection, names, table)}
    statements = (
        "CLUSTER {table} USING {key}",
        "ALTER TABLE {table} SET WITHOUT CLUSTER",
        "ANALYZE {table}",
    )
    with failures(LoadError, f"the writing anew of {table.name}"), transaction(connection):
        act_as_owner(connection)
        for statement in statements:
            connection.execute(sql.SQL(statement).format(**fragments))
        _forget_statistics(connection, names, table)


def _primary_key(connection: Connection, names: Names, table: StarTable) -> sql.Identifier:
    query = """
        SELECT c.relname::text FROM pg_index JOIN pg_class AS c ON c.oid = indexrelid
        WHERE indrelid = %s::regclass AND indisprimary
    """
    with failures(LoadError, f"a read of {table.name}"), transaction(connection):
        row = one(connection, query, [names.table(table.name).as_string(connection)])
    return sql.Identifier(row[0])


def _forget_statistics(connection: Connection, names: Names, table: StarTable) -> None:
    """Forget the statistics of a table that has become empty."""
    empty = sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(names.table(table.name))
    if connection.info.server_version < CLEARS_STATISTICS or one(connection, empty) != (True,):
        return
    connection.execute(_CLEAR, [names.schema, table.name, names.schema, table.name])
