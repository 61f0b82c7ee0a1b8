"""The schema registry: the declaration of a source table, as an object named by its hash.

Manifests name the hash. `columns` is for people and for tools that read the rows. `shape` is
everything in PostgreSQL's catalogue that decides which rows the table shows and how their values
print (see `ingestion/fingerprint.py`): when it changes, the table is read in full.
"""

from __future__ import annotations

from typing import Any

from totesys_dagster.errors import LakeError
from totesys_dagster.lake.log import Document, Many
from totesys_dagster.lake.store import Store


class Schema(Document):
    """A table's columns in its order (name, printed type, NOT NULL), and its shape."""

    table: str
    columns: Many[tuple[str, str, bool]]
    shape: dict[str, Any]


# The names of a schema's columns, by its hash.
_columns: dict[str, frozenset[str]] = {}


def columns_of(store: Store, table: str, schema_sha256: str) -> frozenset[str]:
    """The names of the columns that a table had. Raises LakeError."""
    if schema_sha256 not in _columns:
        schema = read_schema(store, table, schema_sha256)
        _columns[schema_sha256] = frozenset(name for name, *_ in schema.columns)
    return _columns[schema_sha256]


def schema_key(table: str, schema_sha256: str) -> str:
    return f"schemas/{table}/{schema_sha256[:16]}.json"


def read_schema(store: Store, table: str, schema_sha256: str) -> Schema:
    """The entry of a table. Raises LakeError when it is not what was written."""
    key = schema_key(table, schema_sha256)
    schema = Schema.from_bytes(store.get(key), store.uri(key))
    if schema.sha256 != schema_sha256 or schema.table != table:
        raise LakeError(
            f"{store.uri(key)} does not have the SHA-256 that its manifest records: it was changed"
            " after it was written; restore it from the bucket's older versions."
        )
    return schema
