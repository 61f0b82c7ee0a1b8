"""A row as one line of JSON, made by PostgreSQL.

It is the text that `row_to_json` gives, in two thirds of its time: that one finds out anew for each
value of each row how its type is printed. `to_json` of a column is resolved once; an integer
needs not even that.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from psycopg import sql

from totesys_dagster.ingestion.fingerprint import Column, TableSchema

INTEGERS = {"smallint", "integer", "bigint"}

# Their JSON is one line. Others, above all those of type json, are printed as they were written,
# with line breaks between their parts, which mean nothing there and would break the line.
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
    """The row `r` of the table as a line, its end included, with all columns that it has now."""
    pieces: list[sql.Composable] = []
    for number, column in enumerate(schema.columns):
        name = json.dumps(column.name, ensure_ascii=False)
        pieces += [sql.Literal(f"{',' if number else '{'}{name}:"), _value(column)]
    return _joined([*pieces, sql.Literal("}\n")])


def _value(column: Column) -> sql.Composable:
    """A column's value as JSON.

    One that is declared NOT NULL may be NULL all the same, where that was never validated. Where
    `to_json` would call a function of the owner's, the value is its text, as its type prints it.
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
    """One text of them, by halves: a long value is copied a few times, not once for each column."""
    if len(pieces) == 1:
        return pieces[0]
    half = len(pieces) // 2
    return sql.SQL("({} || {})").format(_joined(pieces[:half]), _joined(pieces[half:]))
