"""Fast path for loading an empty table: COPY straight into it.

An empty table has nothing to compare a batch with, so staging is unnecessary; it would take twice
the time of a first load or a rebuild. What a staged load proves row by row is proved here for the
whole: each key of the source is there once, and no row refers to a missing dimension row. If that
is not so, nothing is written and the batch is staged.

A fact's own two keys are dropped first and rebuilt at the end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import numpy as np
import pyarrow as pa
from psycopg import errors, sql

from totesys_dagster.catalogue import STAR_TABLES, Kind, StarTable
from totesys_dagster.lake.key_ranges import Ranges, count
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.receipt import Receipt, read_star
from totesys_dagster.lake.store import Store
from totesys_dagster.parallel import ahead
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.warehouse.copy import copy_in

# A column with more distinct values than this is compared with its dimension in PostgreSQL.
MANY_VALUES = 50_000

# From this many rows on, a fact's keys are dropped while it is filled.
MANY_ROWS = 50_000


class _NotWholeError(Exception):
    """The rows are not exactly one per key of the source, or refer to missing rows."""


class References:
    """The distinct values of each column that refers to a dimension, collected as rows stream by.

    A million orders refer to some hundreds of dimension rows, which are quickly looked up; finding
    them in PostgreSQL took an eighth of the load. If a column has many values, none are kept.
    """

    def __init__(self, star: StarTable) -> None:
        self._star = star
        self._required = [column for column in star.columns if not column.nullable]
        types = star.arrow_schema
        self._values: dict[str, pa.Array | None] = {
            column: pa.array([], types.field(column).type) for column, _ in star.references
        }
        self._missing: set[str] = set()

    def noted(self, parts: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """Yield the parts unchanged, and collect their values."""
        for part in parts:
            for column, known in self._values.items():
                if known is not None:
                    values = pa.chunked_array([known, *part[column].chunks]).unique()
                    self._values[column] = values if len(values) <= MANY_VALUES else None
            self._missing.update(c.name for c in self._required if part[c.name].null_count)
            yield part

    def allow_nulls(self, connection: Connection, names: Names) -> None:
        """Allow NULL in columns for which a row has no value, because its batch is older than the
        column. Raises psycopg.Error."""
        for column in sorted(self._missing):
            connection.execute(
                sql.SQL("SELECT {}(%s, %s)").format(names.ledger("allow_null")),
                [self._star.name, column],
            )

    def missing(
        self, connection: Connection, names: Names, rows: sql.Composable
    ) -> Iterator[tuple[str, str]]:
        """`(column, dimension)` for each column by which a row refers to a dimension row that the
        warehouse does not have. All rows are now in the table `rows`.

        All such rows are counted, although one would suffice: to find one quickly, PostgreSQL would
        look up each row separately, which takes ten times longer if there is none.
        """
        for column, dimension in self._star.references:
            values, parameters = rows, []
            if (known := self._values[column]) is not None:
                values, parameters = _unnested(self._star, column), [known.to_pylist()]
            query = sql.SQL(
                "SELECT count(*) FROM {} AS f"
                " WHERE f.{column} IS NOT NULL"
                " AND NOT EXISTS (SELECT FROM {} AS d WHERE d.{} = f.{column})"
            ).format(
                values,
                names.table(dimension),
                sql.Identifier(STAR_TABLES[dimension].key),
                column=sql.Identifier(column),
            )
            if connection.execute(query, parameters).fetchone() != (0,):
                yield column, dimension


def _unnested(star: StarTable, column: str) -> sql.Composed:
    """The parameter, an array of the column's values, as a table with that column."""
    [declared] = [one for one in star.columns if one.name == column]
    return sql.SQL("(SELECT unnest(%s::{}[]) AS {})").format(
        sql.SQL(declared.sql_type),
        sql.Identifier(column),
    )


def fill(
    connection: Connection,
    names: Names,
    star: StarTable,
    manifest: Manifest,
    receipt: Receipt,
    ingestion: Store,
    processed: Store,
) -> bool:
    """Fill an empty table, inside the batch's transaction; False if the rows must be staged.

    The result is the same as that of a staged load, including version numbers. Raises LakeError.
    """
    if star.base is None or not receipt.reconcile or receipt.quarantined:
        return False
    target = names.table(star.name)
    empty = sql.SQL("SELECT NOT EXISTS (SELECT FROM {})").format(target)
    if connection.execute(empty).fetchone() != (True,):
        return False
    keys = manifest.tables[star.base].keys.read(ingestion)
    if count(keys) != receipt.rows:
        return False
    rows = _with_lineage(star, manifest, receipt, keys, processed)
    references = References(star)
    try:
        with (
            connection.transaction(),  # a savepoint of the batch's
            _keys_off(connection, names, star, receipt.rows),
        ):
            copy_in(connection, target, _schema(star), references.noted(rows))
            if any(references.missing(connection, names, target)):
                raise _NotWholeError
    except (_NotWholeError, errors.UniqueViolation, errors.NotNullViolation):
        return False
    return True


@contextmanager
def _keys_off(connection: Connection, names: Names, star: StarTable, rows: int) -> Iterator[None]:
    """Drop the keys during the block, if that pays and is possible, and rebuild them afterwards.

    Rebuilding raises psycopg.errors.UniqueViolation if a key is not unique. Readers wait in the
    meantime for the table, which has nothing to show yet. For earlier readers, the load waits a
    second and then keeps the keys; it also keeps them if something else depends on one.
    """
    off = star.kind is Kind.FACT and rows >= MANY_ROWS and _take_keys_off(connection, names, star)
    yield
    if off:
        put_on = sql.SQL("SELECT {}(%s)").format(names.ledger("put_keys_on"))
        connection.execute(put_on, [star.name])


def _take_keys_off(connection: Connection, names: Names, star: StarTable) -> bool:
    take_off = sql.SQL("SELECT {}(%s)").format(names.ledger("take_keys_off"))
    try:
        with connection.transaction():
            connection.execute(take_off, [star.name])
    except (errors.LockNotAvailable, errors.DependentObjectsStillExist, errors.UndefinedObject):
        return False
    return True


def _schema(star: StarTable) -> pa.Schema:
    """The columns that are written: `is_deleted` is FALSE by default."""
    lineage = [pa.field("batch_seq", pa.int32())]
    if star.record_id is None:
        return pa.schema([*star.arrow_schema, *lineage])
    lineage.append(pa.field("observed_at", pa.timestamp("us", "UTC")))
    return pa.schema([pa.field(star.record_id, pa.int32()), *star.arrow_schema, *lineage])


def _with_lineage(
    star: StarTable, manifest: Manifest, receipt: Receipt, keys: Ranges, processed: Store
) -> Iterator[pa.Table]:
    """The rows as they are written. Each part is prepared while the previous one is written."""
    schema = _schema(star)

    def one_part(entry: ObjectEntry) -> pa.Table:
        part = read_star(processed, star, entry)
        columns = {name: part[name] for name in star.column_names}
        columns["batch_seq"] = pa.repeat(pa.scalar(manifest.sequence, pa.int32()), len(part))
        if star.record_id is not None:
            columns[star.record_id] = ranks(keys, part[star.key])
            observed_at = pa.scalar(manifest.observed_at, pa.timestamp("us", "UTC"))
            columns["observed_at"] = pa.repeat(observed_at, len(part))
        return pa.table({name: columns[name] for name in schema.names}, schema)

    return ahead(one_part, receipt.objects, threads=1)


def ranks(keys: Ranges, values: pa.ChunkedArray) -> pa.Array:
    """The position of each value in the ordered set `keys`, from 1: its version number."""
    lows, highs = np.array(keys, np.int64).reshape(-1, 2).T
    before = np.cumsum(highs - lows + 1) - (highs - lows + 1)
    wanted = values.to_numpy().astype(np.int64)
    ranges = np.searchsorted(lows, wanted, side="right") - 1
    if (ranges < 0).any() or (wanted > highs[ranges]).any():
        raise _NotWholeError
    return pa.array(before[ranges] + wanted - lows[ranges] + 1, pa.int32())
