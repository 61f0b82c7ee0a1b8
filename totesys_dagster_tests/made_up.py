"""A good row of any table of the catalogue, for what the tests' own rows know nothing of."""

from __future__ import annotations

import json

import psycopg
from psycopg import sql

from totesys_dagster.catalogue import SOURCE_TABLES, SourceColumn, SourceTable, StarTable, Type

VALUES = {
    Type.INTEGER: 1,
    Type.BIG_INTEGER: 1,
    Type.TEXT: "x",
    Type.MONEY: 2.5,
    Type.BOOLEAN: False,
    Type.DATE: "2022-11-03",
    Type.TIME: "14:20:49.962",
    Type.TIMESTAMP: "2022-11-03T14:20:49.962",
}


def value(column: SourceColumn) -> object:
    """A value that keeps the column's contract. Every key is 1."""
    if column.currency:
        return "GBP"
    return VALUES[column.type] if column.minimum is None else max(1, column.minimum)


def as_json(table: SourceTable) -> dict[str, str]:
    """The row as `row_to_json` prints it, by column."""
    return {column.name: json.dumps(value(column)) for column in table.columns}


def fill(connection: psycopg.Connection) -> None:
    """Insert the row into each table that has none, after those that it refers to."""
    empty = {name: table for name, table in SOURCE_TABLES.items() if _is_empty(connection, name)}
    while empty:
        table = next(one for one in empty.values() if not _references(one) & empty.keys())
        connection.execute(
            sql.SQL("INSERT INTO {} ({}) VALUES ({})").format(
                sql.Identifier(table.name),
                sql.SQL(", ").join(map(sql.Identifier, table.column_names)),
                sql.SQL(", ").join(map(_in_sql, table.columns)),
            )
        )
        del empty[table.name]


def insert(connection: psycopg.Connection, dimension: StarTable, **values: object) -> None:
    """Insert a row into a dimension of the warehouse, made up but for these values."""
    row = {column.name: VALUES[column.type] for column in dimension.columns}
    row |= {"batch_seq": 1, **values}
    connection.execute(
        sql.SQL("INSERT INTO warehouse.{} ({}) VALUES ({})").format(
            sql.Identifier(dimension.name),
            sql.SQL(", ").join(map(sql.Identifier, row)),
            sql.SQL(", ").join(map(sql.Literal, row.values())),
        )
    )


def _is_empty(connection: psycopg.Connection, table: str) -> bool:
    query = sql.SQL("SELECT FROM {} LIMIT 1").format(sql.Identifier(table))
    return connection.execute(query).fetchone() is None


def _references(table: SourceTable) -> set[str]:
    """The other tables that it refers to."""
    return {column.references for column in table.columns if column.references} - {table.name}


def _in_sql(column: SourceColumn) -> sql.Composable:
    if "." in column.sql_type:  # an enumeration, whose labels the catalogue does not know
        return sql.SQL("(enum_range(NULL::{}))[1]").format(sql.SQL(column.sql_type))
    return sql.Literal(value(column))
