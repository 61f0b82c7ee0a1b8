"""Digests of a star table's rows, computed by PostgreSQL alike on both sides.

The source computes them over the rows as the warehouse should hold them, the warehouse over the
rows that it holds. A digest is the sum of 64 bits of each row's MD5, so it depends neither on the
order of rows nor on where they are. MD5 serves as a checksum here, and is the same on every
version of PostgreSQL (its faster hash functions promise no such thing).

A row becomes text in one of two ways. The first was that of PostgreSQL's records, which looks in
every value for what needs quotes. The second takes two thirds of its time: numbers, dates and times
need none, and are put together as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Literal, LiteralString

from psycopg import sql

from totesys_dagster.catalogue import (
    SOURCE_TABLES,
    TIMESTAMP_PATTERN,
    Part,
    StarColumn,
    StarTable,
    Type,
)

# In which way digests are made now.
VERSION: Literal[2] = 2

# The declared type of source columns, by table and name, as `format_type` prints it.
SourceTypes = Mapping[tuple[str, str], str]

# A number as a JSON Lines reader takes it, with so many digits that no cast to numeric overflows.
_NUMBER = r"^-?[0-9]{1,30}(\.[0-9]{1,30})?(e[-+]?[0-9]{1,2})?$"
# The parts of a timestamp in a text: the date before the T, and the time after it without zeros at
# the end of a fraction.
_PART_OF_TEXT: dict[Part, LiteralString] = {
    Part.DATE: "split_part({0}::text, 'T', 1)",
    Part.TIME: (r"regexp_replace(split_part({0}::text, 'T', 2), '\.0*$|(\.[0-9]*[1-9])0+$', '\1')"),
}
_NUMERIC_TYPES = ("numeric", "smallint", "integer", "bigint")


def audited_columns(star: StarTable) -> tuple[StarColumn, ...]:
    """The columns that are carried from the source, and so can be compared with it."""
    return tuple(column for column in star.columns if column.source)


def count_and_digest(
    star: StarTable, expression: Callable[[StarColumn], sql.Composable], version: int
) -> sql.Composed:
    """The two select expressions `count, digest`; `expression` gives the value of a column."""
    values = {column: expression(column) for column in audited_columns(star)}
    if version == 1:
        row = sql.SQL("ROW({})::text").format(sql.SQL(", ").join(values.values()))
    else:
        apart = (_apart(column, value) for column, value in values.items())
        row = sql.SQL("concat_ws(',', {})").format(sql.SQL(", ").join(apart))
    return sql.SQL(
        "count(*), coalesce(sum(('x' || left(md5({}), 16))::bit(64)::bigint), 0)::text"
    ).format(row)


def _apart(column: StarColumn, value: sql.Composable) -> sql.Composable:
    """A value so that no two rows have one text: a text is quoted, and nothing is left out.

    JSON keeps the blanks at the end of a `char(n)`, which a cast to text would take off.
    """
    if column.type is Type.TEXT:
        return sql.SQL("coalesce(to_json({})::text, 'null')").format(value)
    if column.nullable:
        return sql.SQL("coalesce(({})::text, 'null')").format(value)
    return value


def source_query(star: StarTable, types: SourceTypes) -> sql.Composed:
    """Count and digest that the current rows of `star` must have, as a query over the source.

    `types` are the source's own: a column that was widened prints a value in another way than the
    warehouse, which holds it in the catalogue's type. Agreed dates are text in the source: as the
    warehouse's dates print alike, no cast is needed (one would fail on a text that is no date).
    """
    assert star.base is not None
    source = sql.SQL("public.{0} AS {0}").format(sql.Identifier(star.base))
    for join in star.joins:
        source += sql.SQL(
            " JOIN public.{parent} AS {parent} ON {child}.{column} = {parent}.{key}"
        ).format(
            parent=sql.Identifier(join.parent),
            child=sql.Identifier(join.child),
            column=sql.Identifier(join.child_column),
            key=sql.Identifier(join.parent_column),
        )
    digest = count_and_digest(star, lambda column: _source_expression(column, types), VERSION)
    return sql.SQL("SELECT {} FROM {}").format(digest, source)


def _source_expression(column: StarColumn, types: SourceTypes) -> sql.Composable:
    assert column.source is not None
    expression = sql.Identifier(*column.source)
    declared, actual = _catalogue_type(column), types[column.source]
    if column.part is not None:
        return _part(expression, column.part, actual)
    if column.type is Type.MONEY and actual != declared:
        return _as_money(expression, actual)
    return expression


def _catalogue_type(column: StarColumn) -> str:
    assert column.source is not None
    table, name = column.source
    return next(c.sql_type for c in SOURCE_TABLES[table].columns if c.name == name)


def _part(expression: sql.Composable, part: Part, actual: str) -> sql.Composable:
    """Date or time of a timestamp, printed as PostgreSQL prints it; of a text, if it is one as JSON
    writes it.

    A text is taken apart and not cast: a cast fails on the 30th of February, and would stop every
    capture. What is no timestamp stays as it is: its row is in quarantine, and so the warehouse
    differs.
    """
    if actual.startswith("timestamp"):
        return sql.SQL("{}::{}").format(expression, sql.SQL(part.value))
    return sql.SQL("CASE WHEN {0}::text ~ {1} THEN {2} ELSE {0}::text END").format(
        expression, sql.Literal(TIMESTAMP_PATTERN), sql.SQL(_PART_OF_TEXT[part]).format(expression)
    )


def _as_money(expression: sql.Composable, actual: str) -> sql.Composable:
    """A number as numeric(10,2) prints it. One that does not fit stays as it is: its row is in
    quarantine, and the warehouse differs by it."""
    if actual.partition("(")[0] in _NUMERIC_TYPES:
        number = sql.SQL("{}::numeric").format(expression)
    else:
        number = sql.SQL("CASE WHEN {0}::text ~ {1} THEN {0}::text::numeric END").format(
            expression, sql.Literal(_NUMBER)
        )
    return sql.SQL("CASE WHEN {0} = round({0}, 2) THEN round({0}, 2) ELSE {0} END").format(number)
