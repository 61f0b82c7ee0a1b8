"""Digests of what the star tables must contain, computed in the source's snapshot."""

from __future__ import annotations

from collections.abc import Collection
from weakref import WeakKeyDictionary

from psycopg import sql

from totesys_dagster.catalogue import SOURCE_TABLES, StarTable
from totesys_dagster.errors import SourceError
from totesys_dagster.ingestion import row_size
from totesys_dagster.ingestion.source_view import SourceView
from totesys_dagster.lake import digest
from totesys_dagster.lake.digest import digested_columns
from totesys_dagster.lake.manifest import Digest, PartialDigest
from totesys_dagster.postgres.sessions import Connection, failures, one

# Whether a connection's server passes the test vector, determined once for each connection.
_alike: WeakKeyDictionary[Connection, bool] = WeakKeyDictionary()


def whole(view: SourceView, star: StarTable) -> Digest:
    """The digest of all rows. Raises SourceError."""
    return _take(view, star, None)


def touched(view: SourceView, star: StarTable, condition: sql.Composable) -> Digest:
    """The digest of the rows whose base row meets a condition. Raises SourceError."""
    return _take(view, star, condition)


def without(view: SourceView, star: StarTable, keys: Collection[int]) -> PartialDigest:
    """The digest of all rows except those with these keys. Raises SourceError."""
    assert star.base is not None
    quarantined = tuple(sorted(keys))
    key = sql.Identifier(star.base, SOURCE_TABLES[star.base].key)
    rest = _take(view, star, digest.not_among(key, quarantined))
    return PartialDigest(**rest.model_dump(), quarantined=quarantined)


def _take(view: SourceView, star: StarTable, condition: sql.Composable | None) -> Digest:
    types = {
        (schema.table, name): type_
        for schema in view.schemas.values()
        for name, type_ in schema.types.items()
    }
    with failures(SourceError, f"the digest of {star.name}"):
        method = digest.source_method(star, types, hashes_alike=_hashes_alike(view.connection))
        query = digest.source_query(star, types, method, condition, _too_large(view, star))
        row = one(view.connection, query)
    return Digest(method=method, columns=digested_columns(star), rows=row[0], digest=row[1])


def _too_large(view: SourceView, star: StarTable) -> sql.Composable | None:
    """The condition for rows that are made from a row that is too large; None if there is none."""
    each = [row_size.is_too_large(view.schemas[table], table) for table in star.sources]
    conditions = [condition for condition in each if condition is not None]
    return sql.SQL(" OR ").join(conditions) if conditions else None


def _hashes_alike(connection: Connection) -> bool:
    if connection not in _alike:
        _alike[connection] = digest.passes_test_vector(connection)
    return _alike[connection]
