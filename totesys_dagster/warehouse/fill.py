"""The first rows of a table, which go straight into it.

An empty table holds nothing that a batch could be compared with, so its rows need no staging, which
would take twice the time of a first load or a rebuild. What a staged load proves row by row is
proved here of the whole: each key of the source is there once, and no row refers to a dimension row
that is missing. Where that does not hold, nothing is written and the batch is staged.

A fact's own two keys are taken off meanwhile, and made of all rows in the end.
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
from totesys_dagster.lake.parts import ObjectEntry
from totesys_dagster.lake.receipt import Receipt, read_star
from totesys_dagster.lake.store import Store
from totesys_dagster.parallel import ahead
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.warehouse.copy import copy_in

# A column with more different values is compared with its dimension inside PostgreSQL.
MANY_VALUES = 50_000

# From so many rows on, a fact's keys are taken off while it is filled.
MANY_ROWS = 50_000


class _NotWholeError(Exception):
    """The rows are not one for each key of the source, or refer to rows that are missing."""


class References:
    """The different values of each column that refers to a dimension, kept while rows pass.

    A million orders refer to some hundreds of dimension rows, which are soon looked up; to find
    them out in PostgreSQL took an eighth of the load. Of a column with many values none are kept.
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
        """The parts as they are, their values noted."""
        for part in parts:
            for column, known in self._values.items():
                if known is not None:
                    values = pa.chunked_array([known, *part[column].chunks]).unique()
                    self._values[column] = values if len(values) <= MANY_VALUES else None
            self._missing.update(c.name for c in self._required if part[c.name].null_count)
            yield part

    def allow_nulls(self, connection: Connection, names: Names) -> None:
        """Let the columns be NULL in which a row that passed has no value: it is of a batch that is
        older than the column. Raises psycopg.Error."""
        for column in sorted(self._missing):
            connection.execute(
                sql.SQL("SELECT {}(%s, %s)").format(names.ledger("allow_null")),
                [self._star.name, column],
            )

    def missing(
        self, connection: Connection, names: Names, rows: sql.Composable
    ) -> Iterator[tuple[str, str]]:
        """`(column, dimension)` for each column by which a row that passed, all of which are in
        the table `rows` now, refers to a dimension row that the warehouse does not have.

        All such rows are counted, though one would do: to find one soon, PostgreSQL would look up
        each row by itself, which takes ten times longer when there is none.
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
    """Fill an empty table, inside the batch's transaction; False when the rows have to be staged.

    The result is the one that a staged load has, numbers of versions included. Raises LakeError.
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
    """Copying without keys, if it pays and nobody minds; they are on again after the block.

    Raises psycopg.errors.UniqueViolation then, where a key is not one. Readers wait for the table
    meanwhile, which has nothing to show them; for those who were there before, the load waits a
    second and leaves the keys on, as where something else was built upon one.
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
    """The columns that are written: `is_deleted` is FALSE by itself."""
    lineage = [pa.field("batch_seq", pa.int32())]
    if star.record_id is None:
        return pa.schema([*star.arrow_schema, *lineage])
    lineage.append(pa.field("observed_at", pa.timestamp("us", "UTC")))
    return pa.schema([pa.field(star.record_id, pa.int32()), *star.arrow_schema, *lineage])


def _with_lineage(
    star: StarTable, manifest: Manifest, receipt: Receipt, keys: Ranges, processed: Store
) -> Iterator[pa.Table]:
    """The rows as they are written, each part made while the one before it is."""
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
    """The place of each value in the ordered set `keys`, from 1 on: the number of its version."""
    lows, highs = np.array(keys, np.int64).reshape(-1, 2).T
    before = np.cumsum(highs - lows + 1) - (highs - lows + 1)
    wanted = values.to_numpy().astype(np.int64)
    ranges = np.searchsorted(lows, wanted, side="right") - 1
    if (ranges < 0).any() or (wanted > highs[ranges]).any():
        raise _NotWholeError
    return pa.array(before[ranges] + wanted - lows[ranges] + 1, pa.int32())
