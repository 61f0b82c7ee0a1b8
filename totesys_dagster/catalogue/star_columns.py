"""The kinds of column that the warehouse has, for the declarations in `stars`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from totesys_dagster.catalogue.model import (
    MONEY_DIGITS,
    Component,
    Computed,
    Digits,
    Source,
    SourceColumn,
    StarColumn,
    Type,
)
from totesys_dagster.catalogue.source import SOURCE_TABLES

SQL_TYPES = {
    Type.INTEGER: "integer",
    Type.BIG_INTEGER: "bigint",
    Type.TEXT: "character varying",
    Type.BOOLEAN: "boolean",
    Type.DATE: "date",
    Type.TIME: "time without time zone",
    Type.TIMESTAMP: "timestamp without time zone",
}


def carry(
    source: str,
    name: str | None = None,
    *,
    description: str | None = None,
    nullable: bool | None = None,
    sql_type: str | None = None,
) -> StarColumn:
    """A column as ToteSys has it, `source` being `table.column`: `carry("staff.first_name")`.

    What is not given is as in ToteSys: name, description, whether it may be NULL, the digits of
    money. Where it holds the key of a row that a dimension is made of, it refers to that dimension.
    """
    of, original = _find(source)
    return StarColumn(
        name or original.name,
        original.type,
        sql_type or _sql_type(original),
        description or original.description,
        of,
        nullable=original.nullable if nullable is None else nullable,
        pii=original.pii,
        digits=original.digits,
    )


def date_of(source: str, name: str, description: str) -> StarColumn:
    """The date of a timestamp."""
    return _component_of(source, Component.DATE, name, description)


def time_of(source: str, name: str, description: str) -> StarColumn:
    """The time of a timestamp."""
    return _component_of(source, Component.TIME, name, description)


def _component_of(source: str, component: Component, name: str, description: str) -> StarColumn:
    of, original = _find(source)
    type_ = Type.DATE if component is Component.DATE else Type.TIME
    sql_type = SQL_TYPES[type_]
    nullable = original.nullable
    return StarColumn(
        name, type_, sql_type, description, of, component=component, nullable=nullable
    )


def moments(base: str) -> tuple[StarColumn, ...]:
    """The columns into which a fact splits `created_at` and `last_updated` of its base."""
    created, updated = f"{base}.created_at", f"{base}.last_updated"
    return (
        date_of(created, "created_date", "Date on which the row was created."),
        time_of(created, "created_time", "Time at which the row was created."),
        date_of(updated, "last_updated_date", "Date of the last update that ToteSys declares."),
        time_of(updated, "last_updated_time", "Time of the last update that ToteSys declares."),
    )


def compute(
    name: str,
    type: Type,  # as in `StarColumn`
    description: str,
    function: Callable[..., Any],
    takes: tuple[str, ...],
    *,
    currencies: bool = False,
    nullable: bool = False,
    pii: bool = False,
) -> StarColumn:
    """A column that a function makes of source columns, each given as `table.column`.

    See `Computed` for what the function gets. It is not audited: PostgreSQL does not know it.
    """
    return StarColumn(
        name,
        type,
        "numeric(10,2)" if type is Type.MONEY else SQL_TYPES[type],
        description,
        computed=Computed(function, tuple(_find(one)[0] for one in takes), currencies),
        nullable=nullable,
        pii=pii,
    )


def given(
    name: str,
    type: Type,  # as in `StarColumn`
    description: str,
    *,
    nullable: bool = False,
    digits: Digits = MONEY_DIGITS,
) -> StarColumn:
    """A column that a feed gives. `digits` are those of an amount."""
    sql_type = "numeric({},{})".format(*digits) if type is Type.MONEY else SQL_TYPES[type]
    return StarColumn(name, type, sql_type, description, nullable=nullable, digits=digits)


def of_day(name: str, type: Type, description: str) -> StarColumn:
    """A column of the calendar."""
    return StarColumn(name, type, SQL_TYPES[type], description)


def _find(source: str) -> tuple[Source, SourceColumn]:
    table, _, column = source.partition(".")
    if table not in SOURCE_TABLES:
        raise KeyError(f"{source} is of no table in catalogue/source")
    return (table, column), SOURCE_TABLES[table].column(column)


def _sql_type(column: SourceColumn) -> str:
    if column.type is Type.MONEY:
        return column.sql_type
    return SQL_TYPES[column.type]
