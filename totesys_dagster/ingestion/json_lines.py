"""A row as one line of JSON, made by PostgreSQL.

It is the text of `row_to_json`, in two thirds of its time: that function determines again for each
value how its type is printed. `to_json` of a column is resolved once, and an integer does not even
need that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from psycopg import sql

from totesys_dagster.ingestion.fingerprint import Column, TableSchema

INTEGERS = {"smallint", "integer", "bigint"}

# Types whose JSON is one line. Others, above all json, print as they were written, with line breaks
# between their parts, which have no meaning there and would break the line.
ONE_LINE = {
    "text",
    "character varying",
    "character",
    "boolean",
    "numeric",
    "real",
    "double precision",
    "uuid",
    "date",
    "time",
    "time without time zone",
    "timestamp",
    "timestamp without time zone",
    "timestamp with time zone",
}


def line(schema: TableSchema) -> sql.Composable:
    """The row `r` of the table as a line with its line end, with all current columns."""
    pieces: list[sql.Composable] = []
    for number, column in enumerate(schema.columns):
        name = json.dumps(column.name, ensure_ascii=False)
        pieces += [sql.Literal(f"{',' if number else '{'}{name}:"), _value(column)]
    return _joined([*pieces, sql.Literal("}\n")])


def _value(column: Column) -> sql.Composable:
    """A column's value as JSON.

    A column declared NOT NULL can still be NULL if that was never validated. If `to_json` would
    call a user-defined function, the value is the text that its type prints.
    """
    declared = column.type.partition("(")[0]
    if declared in INTEGERS:
        text = "{}::text"
    elif column.has_cast:
        text = "CASE WHEN num_nulls({0}) = 0 THEN to_json(concat({0}))::text END"
    elif declared in ONE_LINE:
        text = "to_json({})::text"
    else:
        text = "replace(replace(to_json({})::text, E'\\n', ' '), E'\\r', ' ')"
    value = sql.SQL(text).format(sql.Identifier("r", column.name))
    return sql.SQL("coalesce({}, 'null')").format(value)


def _joined(pieces: Sequence[sql.Composable]) -> sql.Composable:
    """Join them by halves, so a long value is copied a few times, not once for each column."""
    if len(pieces) == 1:
        return pieces[0]
    half = len(pieces) // 2
    return sql.SQL("({} || {})").format(_joined(pieces[:half]), _joined(pieces[half:]))
