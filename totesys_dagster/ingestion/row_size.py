"""Rows that are too large to read: the source measures them before it makes a line of them.

PostgreSQL cannot make a text of more than a gigabyte, and ends a statement that asks for one; a
value of 60 MB takes a gigabyte of memory on its way to the lake. So the source returns only the key
and the sizes of such a row (`lake/too_large.py`). It reads lengths, which are stored before the
values, so it neither fetches nor decompresses a large value.
"""

from __future__ import annotations

import json

from psycopg import sql

from totesys_dagster import settings
from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.ingestion import json_lines
from totesys_dagster.ingestion.fingerprint import Column, TableSchema
from totesys_dagster.lake.too_large import MARK

# Types of a few hundred kilobytes at most, and those whose length is stored before the value.
_SMALL = {
    *json_lines.INTEGERS,
    *(json_lines.ONE_LINE - {"text", "character varying", "character"}),
    "interval",
}
_MEASURED = {"text", "character varying", "character", "bytea"}
# The declared length in characters up to which a text counts as small.
_FEW_CHARACTERS = 16_384

# PostgreSQL compresses to 1/255 at most, so a value stored in fewer bytes is not large.
# If the size is not known otherwise, `ROW()` makes an uncompressed copy.
_STORED = """
    CASE WHEN pg_column_size({0}) BETWEEN {few} AND {most} THEN pg_column_size(ROW({0}))
         ELSE pg_column_size({0}) END
"""
_COMPRESSION = 256


def is_too_large(schema: TableSchema, alias: str) -> sql.Composable | None:
    """The condition for rows of a table, called `alias`, that are too large; None if none can be,
    because no value is stored outside its rows."""
    sizes = _sizes(schema, alias)
    if not sizes:
        return None
    return sql.SQL("({} > {})").format(_sum(sizes), sql.Literal(settings.row_bytes()))


def line(schema: TableSchema) -> sql.Composable:
    """The row `r` of the table as a line: the row itself, or its key and sizes."""
    condition = is_too_large(schema, "r")
    if condition is None:
        return json_lines.line(schema)
    return sql.SQL("CASE WHEN {} THEN {} ELSE {} END").format(
        condition, _stub(schema), json_lines.line(schema)
    )


def _stub(schema: TableSchema) -> sql.Composable:
    sizes = _sizes(schema, "r")
    key = SOURCE_TABLES[schema.table].key
    head = f'{MARK}"bytes":'
    pieces = [
        sql.Literal(head),
        sql.SQL("{}::text").format(_sum(sizes)),
        sql.Literal(f',"most":{settings.row_bytes()},"columns":{{'),
    ]
    for number, (name, size) in enumerate(sizes.items()):
        comma = "," if number else ""
        pieces += [sql.Literal(f"{comma}{_name(name)}:"), sql.SQL("{}::text").format(size)]
    value = sql.SQL("coalesce(to_json({})::text, 'null')").format(sql.Identifier("r", key))
    pieces += [sql.Literal(f"}}}},{_name(key)}:"), value, sql.Literal("}\n")]
    return sql.SQL("concat({})").format(sql.SQL(", ").join(pieces))


def _name(column: str) -> str:
    return json.dumps(column, ensure_ascii=False)


def _sum(sizes: dict[str, sql.Composable]) -> sql.Composable:
    return sql.SQL("({})").format(sql.SQL(" + ").join(sizes.values()))


def _sizes(schema: TableSchema, alias: str) -> dict[str, sql.Composable]:
    """The size in bytes of each column that can be large (0 for NULL), by name."""
    if not schema.toasted:
        return {}
    return {
        column.name: sql.SQL("coalesce(({})::bigint, 0)").format(_size(column, alias))
        for column in schema.columns
        if _may_be_large(column)
    }


def _may_be_large(column: Column) -> bool:
    declared, _, characters = column.type.partition("(")
    if declared in _SMALL:
        return False
    few = characters.removesuffix(")")
    return not (declared in _MEASURED and few.isdigit() and int(few) <= _FEW_CHARACTERS)


def _size(column: Column, alias: str) -> sql.Composable:
    value = sql.Identifier(alias, column.name)
    if column.type.partition("(")[0] in _MEASURED:
        return sql.SQL("octet_length({})").format(value)
    most = settings.row_bytes()
    return sql.SQL(_STORED).format(
        value, few=sql.Literal(most // _COMPRESSION), most=sql.Literal(most)
    )
