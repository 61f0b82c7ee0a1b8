"""Digests of a star table's rows, computed by PostgreSQL alike on both sides.

The source computes them over the rows as the warehouse should hold them, the warehouse over the
rows that it holds. A digest is the sum of 64 bits of each row's MD5, so it depends neither on the
order of rows nor on where they are. MD5 serves as a checksum here, and is the same on every
version of PostgreSQL (its faster hash functions promise no such thing).
"""

from __future__ import annotations

from collections.abc import Sequence

from psycopg import sql

from totesys_dagster.catalogue import StarColumn, StarTable


def audited_columns(star: StarTable) -> tuple[StarColumn, ...]:
    """The columns that are carried from the source, and so can be compared with it."""
    return tuple(column for column in star.columns if column.source)


def count_and_digest(columns: Sequence[sql.Composable]) -> sql.Composed:
    """The two select expressions `count, digest` over rows of these expressions."""
    return sql.SQL(
        "count(*), coalesce(sum(('x' || left(md5(ROW({})::text), 16))::bit(64)::bigint), 0)::text"
    ).format(sql.SQL(", ").join(columns))


def source_query(star: StarTable) -> sql.Composed:
    """Count and digest that the current rows of `star` must have, as a query over the source.

    Agreed dates are text in the source: as the warehouse's dates print alike, no cast is needed
    (one would fail on a text that is no date).
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
    columns = [_source_expression(column) for column in audited_columns(star)]
    return sql.SQL("SELECT {} FROM {}").format(count_and_digest(columns), source)


def _source_expression(column: StarColumn) -> sql.Composable:
    assert column.source is not None
    expression: sql.Composable = sql.Identifier(*column.source)
    if column.part is not None:
        expression = sql.SQL("{}::{}").format(expression, sql.SQL(column.part.value))
    return expression
