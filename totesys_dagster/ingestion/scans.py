"""Scans of one source table: which rows were written since a batch, and which keys it has.

No index covers transaction ids, so each of these reads the whole table, unless it may stop early.
"""

from __future__ import annotations

from psycopg import errors, sql

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.errors import SchemaChangedError
from totesys_dagster.ingestion.blocks import blocks
from totesys_dagster.ingestion.source_view import SourceView
from totesys_dagster.lake import key_ranges as ranges_of
from totesys_dagster.lake.manifest import RecentRows
from totesys_dagster.postgres.sessions import one

# Up to this many changed rows are read by their ctid, which saves a second scan of the table.
MOST_CTIDS = 10_000

# Inserts go to the end of a table, so its last blocks are scanned first: one in so many.
LAST_BLOCKS = 64

# PostgreSQL's errors for a key that cannot be cast to an integer: a number beyond 64 bits, infinity
# or NaN, a text, and a type without such a cast.
NOT_WHOLE = (
    errors.NumericValueOutOfRange,
    errors.FeatureNotSupported,
    errors.InvalidTextRepresentation,
    errors.CannotCoerce,
)


def recent(table: str, watermark: int) -> sql.Composed:
    """The condition for rows of `table` written at or after `watermark` (a 64-bit xid).

    It compares ages, never ids, which wrap around. The lower bound excludes frozen rows whose id is
    so old that it looks like one from the future. It comes second, and the watermark's age is
    computed once, so that most rows of a large table fail after one comparison.
    """
    return sql.SQL(
        "age({table}.xmin) <= (SELECT age({watermark}::xid)) AND age({table}.xmin) >= 0"
    ).format(table=sql.Identifier(table), watermark=sql.Literal(str(watermark % 2**32)))


def written(table: str, watermark: int, ctids: tuple[str, ...] | None) -> sql.Composed:
    """The condition for the recent rows, by their ctids if these are known."""
    condition = recent(table, watermark)
    if ctids is None:
        return condition
    # The ctids are of the same snapshot. Partitions share them, so they alone are not enough.
    return sql.SQL("{}.ctid = ANY ({}::tid[]) AND {}").format(
        sql.Identifier(table), sql.Literal(list(ctids)), condition
    )


def has_new_rows(view: SourceView, table: str, watermark: int, seen: RecentRows) -> bool:
    """Whether the table has other row versions since `watermark` than those that were `seen`.

    Two scans, of the last blocks and then of all, stop at the first version beyond as many as were
    seen. The second has no bounds: a scan between bounds would push everything else out of the
    server's cache.
    """
    since, count = recent(table, watermark), blocks(view, table)
    end = sql.Literal(f"({count - count // LAST_BLOCKS},0)")
    conditions = [sql.SQL("ctid >= {}::tid AND {}").format(end, since)] if count else []
    for condition in [*conditions, since]:
        query = sql.SQL(
            "SELECT count(*), coalesce(sum(version), 0)::text"
            " FROM (SELECT {} AS version FROM public.{} WHERE {} LIMIT {}) AS found"
        ).format(_version(table), sql.Identifier(table), condition, sql.Literal(seen.rows + 1))
        rows, digest = one(view.connection, query)
        if rows > seen.rows:
            return True
    return rows > 0 and RecentRows(rows=rows, digest=digest) != seen


def _version(table: str) -> sql.Composed:
    """A hash of a row version, which is a key and a transaction: a transaction leaves at most one
    version of a row."""
    return sql.SQL("hashtextextended({table}.{key}::text || ':' || {table}.xmin::text, 0)").format(
        table=sql.Identifier(table), key=sql.Identifier(SOURCE_TABLES[table].key)
    )


def recent_rows(
    view: SourceView, table: str, watermark: int
) -> tuple[RecentRows, RecentRows, tuple[str, ...] | None]:
    """The row versions since `watermark`, those that the next batch will see again, and the
    ctids."""
    query = sql.SQL(
        """
        WITH versions AS MATERIALIZED (
            SELECT {version} AS version,
                   {again} AS again,
                   {table}.ctid AS ctid
            FROM public.{table}
            WHERE {since}
        )
        SELECT count(*), coalesce(sum(version), 0)::text,
               count(*) FILTER (WHERE again), coalesce(sum(version) FILTER (WHERE again), 0)::text,
               CASE WHEN count(*) <= {ctids} THEN ARRAY(SELECT ctid::text FROM versions) END
        FROM versions
        """
    ).format(
        table=sql.Identifier(table),
        version=_version(table),
        again=recent(table, view.snapshot.xmin),
        since=recent(table, watermark),
        ctids=sql.Literal(MOST_CTIDS),
    )
    row = one(view.connection, query)
    met = RecentRows(rows=row[0], digest=row[1])
    left = RecentRows(rows=row[2], digest=row[3])
    return met, left, None if row[4] is None else tuple(row[4])


def key_ranges(
    view: SourceView, table: str, condition: sql.Composable | None = None
) -> list[tuple[int, int]]:
    """The keys of the table's rows, or of those that meet a condition, as ranges.

    Each word of bits stands for 64 adjacent keys. Aggregating words takes a third of the time of
    sorting keys, and can use all cores; equal neighbours among the words are returned as one row.
    Raises SourceError if keys are not whole numbers of 64 bits.
    """
    query = sql.SQL(
        """
        WITH words AS (
            SELECT {key}::bigint >> 6 AS word,
                   bit_or(1::bigint << ({key}::bigint & 63)::integer) AS bits
            FROM public.{table} WHERE {key} IS NOT NULL AND ({condition}) GROUP BY 1
        ), alike AS (
            SELECT word, bits, word - row_number() OVER (PARTITION BY bits ORDER BY word) AS island
            FROM words
        )
        SELECT min(word), max(word), bits FROM alike GROUP BY bits, island ORDER BY 1
        """
    ).format(
        table=sql.Identifier(table),
        key=sql.Identifier(SOURCE_TABLES[table].key),
        condition=condition or sql.SQL("TRUE"),
    )
    try:
        return ranges_of.of_words(view.connection.execute(query))
    except NOT_WHOLE:  # the message may quote the value
        key = SOURCE_TABLES[table].key
        raise SchemaChangedError(
            f"The source's {table} has keys that are not whole numbers of 64 bits ({key} is"
            f" {view.schemas[table].types[key]}), and so cannot be compared: nothing was captured;"
            " change the values or the column back."
        ) from None
