"""Digests of a star table's rows, computed in the same way by PostgreSQL on both sides.

The source computes them over the rows that the warehouse should have, the warehouse over the rows
that it has. A digest is the sum of a 64-bit hash of each row, so it depends neither on the order of
rows nor on their location. It names its columns and its method:

`postgres-1`  PostgreSQL's own hash functions, each seeded with the hash of the previous columns.
              PostgreSQL does not guarantee them across versions, although hash-partitioned tables
              rely on them in upgrades; so a server must first hash a test vector correctly.
`md5-1`       MD5 of the values' texts, joined. It takes three times as long, but works on every
              server, and on columns whose type is not the one that the catalogue declares.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import LiteralString

from psycopg import sql

from totesys_dagster.catalogue import (
    SOURCE_TABLES,
    TIMESTAMP_PATTERN,
    Component,
    StarColumn,
    StarTable,
    Type,
)
from totesys_dagster.lake.manifest import Digest, DigestMethod
from totesys_dagster.postgres.sessions import Connection

# Earlier servers are not asked.
_HASHES_SINCE = 140000
# A row with each kind of value, and what PostgreSQL 15, 16 and 18 make of it.
_TEST_VECTOR = """
SELECT hashint4extended(-123456789, hash_numeric_extended(-9876543.21,
           timestamp_hash_extended(timestamp '2024-02-29',
               hashtextextended('a test vector' COLLATE "C", 0)))),
       current_setting('server_encoding')
"""
_EXPECTED_HASH = (9096789717565166641, "UTF8")

# The declared type of source columns, by table and name, as `format_type` prints it.
SourceTypes = Mapping[tuple[str, str], str]

# The columns of a row, each with the expression that gives its value.
Values = Mapping[StarColumn, sql.Composable]

# Of the hashes of rows.
COUNT_AND_DIGEST = sql.SQL("count(*), coalesce(sum({}), 0)::text")

_MD5 = sql.SQL("('x' || left(md5({}), 16))::bit(64)::bigint")
_HASH_OF_TEXT = sql.SQL('hashtextextended(({})::text COLLATE "C", {})')

# A number as a JSON Lines reader takes it, with so many digits that no cast to numeric overflows.
_NUMBER = r"^-?[0-9]{1,30}(\.[0-9]{1,30})?(e[-+]?[0-9]{1,2})?$"
# The components of a timestamp in a text: the date before the T, and the time after it without
# zeros at the end of a fraction.
_COMPONENT_OF_TEXT: dict[Component, LiteralString] = {
    Component.DATE: "split_part({0}::text, 'T', 1)",
    Component.TIME: (
        r"regexp_replace(split_part(split_part({0}::text, 'T', 2), '+', 1),"
        r" '\.0*$|(\.[0-9]*[1-9])0+$', '\1')"
    ),
}
_NUMERIC_TYPES = ("numeric", "smallint", "integer", "bigint")


def audited_columns(star: StarTable) -> tuple[StarColumn, ...]:
    """The columns that are carried from the source, so they can be compared with it."""
    return tuple(column for column in star.columns if column.source)


def digested_columns(star: StarTable) -> tuple[str, ...]:
    """A digest's columns, each with name and declared type, since a value of another type has
    another hash."""
    return tuple(f"{column.name} {column.sql_type}" for column in audited_columns(star))


def covers(digest: Digest, star: StarTable) -> bool:
    """Whether a digest covers a table's present columns, so it can be compared with it."""
    return digest.columns == digested_columns(star)


def passes_test_vector(connection: Connection) -> bool:
    """Whether the server hashes the test vector correctly.

    Text is hashed as stored, so it must be stored as UTF-8. Raises psycopg.Error.
    """
    if connection.info.server_version < _HASHES_SINCE:
        return False
    return connection.execute(_TEST_VECTOR).fetchone() == _EXPECTED_HASH


def count_and_digest(
    star: StarTable, expression: Callable[[StarColumn], sql.Composable], method: DigestMethod
) -> sql.Composed:
    """The two select expressions `count, digest`; `expression` gives the value of a column."""
    return COUNT_AND_DIGEST.format(hash_of_row(star, expression, method))


def hash_of_row(
    star: StarTable, expression: Callable[[StarColumn], sql.Composable], method: DigestMethod
) -> sql.Composable:
    """The hash of a row, whose sum over all rows is their digest."""
    values = {column: expression(column) for column in audited_columns(star)}
    return _md5_of_texts(values) if method == "md5-1" else _hash_of_values(values)


def _hash_of_values(values: Values) -> sql.Composable:
    so_far: sql.Composable = sql.SQL("0")
    for column, value in values.items():
        so_far = _hash(column, value, so_far)
    return so_far


def _md5_of_texts(values: Values) -> sql.Composed:
    apart = (_apart(column, value) for column, value in values.items())
    return _MD5.format(
        sql.SQL("convert_to(concat_ws(',', {}), 'UTF8')").format(sql.SQL(", ").join(apart))
    )


def _hash(column: StarColumn, value: sql.Composable, seed: sql.Composable) -> sql.Composable:
    """The hash of a value: of a number by its value, of anything else except a date by its text.

    PostgreSQL's hash of a time folds 64 bits into 32, so some pairs of times share one. No two
    dates in the accepted range of years do.
    """
    if column.nullable:
        return _HASH_OF_TEXT.format(_apart(column, value), seed)
    if column.type is Type.INTEGER:
        return sql.SQL("hashint4extended({}, {})").format(value, seed)
    if column.type is Type.MONEY:
        return sql.SQL("hash_numeric_extended({}, {})").format(value, seed)
    if column.component is Component.DATE:
        return sql.SQL("timestamp_hash_extended(({})::timestamp, {})").format(value, seed)
    return _HASH_OF_TEXT.format(value, seed)


def _apart(column: StarColumn, value: sql.Composable) -> sql.Composable:
    """A value so that no two rows have one text: a text is quoted, and nothing is left out.

    JSON keeps the blanks at the end of a `char(n)`, which a cast to text would take off.
    """
    if column.type is Type.TEXT:
        return sql.SQL("coalesce(to_json({})::text, 'null')").format(value)
    if column.nullable:
        return sql.SQL("coalesce(({})::text, 'null')").format(value)
    return value


def not_among(key: sql.Composable, keys: Collection[int]) -> sql.Composed:
    """The condition for the rows that a digest without some keys is of, on either side."""
    return sql.SQL(
        "NOT EXISTS (SELECT FROM unnest({}::bigint[]) AS quarantined (key)"
        " WHERE quarantined.key = {})"
    ).format(sql.Literal(list(keys)), key)


def source_method(star: StarTable, types: SourceTypes, *, hashes_alike: bool) -> DigestMethod:
    """How the source's rows are hashed: by PostgreSQL's functions only in the declared types."""
    declared = all(_is_as_declared(column, types) for column in audited_columns(star))
    return "postgres-1" if hashes_alike and declared else "md5-1"


def source_query(
    star: StarTable,
    types: SourceTypes,
    method: DigestMethod,
    condition: sql.Composable | None = None,
    too_large: sql.Composable | None = None,
) -> sql.Composed:
    """Count and digest that the current rows of `star` must have, as a query over the source.

    `condition` restricts it to some rows of the star's base. Rows that are `too_large` are counted,
    and not looked at: they are in quarantine, and the warehouse differs by them. `types` are the
    source's own: a column that was widened prints a value in another way than the warehouse, which
    holds it in the catalogue's type. Agreed dates are text in the source: as the warehouse's dates
    print alike, no cast is needed (one would fail on a text that is no date).
    """
    assert star.base is not None
    source = sql.SQL("public.{0} AS {0}").format(sql.Identifier(star.base))
    for join in star.joins:
        optional = SOURCE_TABLES[join.child].column(join.child_column).nullable
        source += sql.SQL(
            " {join} public.{parent} AS {parent} ON {child}.{column} = {parent}.{key}"
        ).format(
            join=sql.SQL("LEFT JOIN" if optional else "JOIN"),
            parent=sql.Identifier(join.parent),
            child=sql.Identifier(join.child),
            column=sql.Identifier(join.child_column),
            key=sql.Identifier(join.parent_column),
        )
    hash_ = hash_of_row(star, lambda column: _source_expression(column, types), method)
    if too_large is not None:
        hash_ = sql.SQL("CASE WHEN {} THEN 0 ELSE {} END").format(too_large, hash_)
    query = sql.SQL("SELECT {} FROM {}").format(COUNT_AND_DIGEST.format(hash_), source)
    return query if condition is None else query + sql.SQL(" WHERE {}").format(condition)


def _source_expression(column: StarColumn, types: SourceTypes) -> sql.Composable:
    assert column.source is not None
    expression = sql.Identifier(*column.source)
    actual = types[column.source]
    if column.component is not None:
        return _component(expression, column.component, actual)
    if column.type is Type.MONEY and not _is_as_declared(column, types):
        return _as_money(expression, actual, column.digits[1])
    if "." in actual:
        # A type of users, as an enum: its text by its own output, and not by a cast of theirs.
        return sql.SQL("CASE WHEN {0} IS NOT NULL THEN concat({0}) END").format(expression)
    return expression


def _is_as_declared(column: StarColumn, types: SourceTypes) -> bool:
    """Whether the source has the column in the type that the catalogue declares."""
    assert column.source is not None
    table, name = column.source
    return types[column.source] == SOURCE_TABLES[table].column(name).sql_type


def _component(expression: sql.Composable, component: Component, actual: str) -> sql.Composable:
    """Date or time of a timestamp, printed as PostgreSQL prints it; of a text, if it is one as JSON
    writes it.

    A text is taken apart and not cast: a cast fails on the 30th of February, and would stop every
    capture. What is no timestamp stays as it is: its row is in quarantine, and so the warehouse
    differs.
    """
    if actual.startswith("timestamp"):
        return sql.SQL("{}::{}").format(expression, sql.SQL(component.value))
    return sql.SQL("CASE WHEN {0}::text ~ {1} THEN {2} ELSE {0}::text END").format(
        expression,
        sql.Literal(TIMESTAMP_PATTERN),
        sql.SQL(_COMPONENT_OF_TEXT[component]).format(expression),
    )


def _as_money(expression: sql.Composable, actual: str, scale: int) -> sql.Composable:
    """A number as PostgreSQL prints it with so many digits after the point.

    One that does not fit stays as it is: its row is in quarantine, and the warehouse differs by it.
    """
    if actual.partition("(")[0] in _NUMERIC_TYPES:
        number = sql.SQL("{}::numeric").format(expression)
    else:
        number = sql.SQL("CASE WHEN {0}::text ~ {1} THEN {0}::text::numeric END").format(
            expression, sql.Literal(_NUMBER)
        )
    return sql.SQL("CASE WHEN {0} = round({0}, {1}) THEN round({0}, {1}) ELSE {0} END").format(
        number, sql.Literal(scale)
    )
