"""The schema registry: the columns that a source table had, as an object under their hash.

Manifests name the hash. The registry is for people and for tools that read the rows: the platform
itself takes the columns from the rows, so a damaged entry stops nothing but `totesys verify`.
"""

from __future__ import annotations

import json

from pydantic import TypeAdapter, ValidationError

from totesys_dagster.errors import LakeError
from totesys_dagster.lake.store import Store, sha256

# Name, type as PostgreSQL prints it, NOT NULL.
Columns = list[tuple[str, str, bool]]

_COLUMNS = TypeAdapter(dict[str, str | Columns])


def schema_key(table: str, schema_sha256: str) -> str:
    return f"schemas/{table}/{schema_sha256[:16]}.json"


def to_bytes(table: str, columns: Columns) -> bytes:
    """The entry of a table: equal bytes mean an equal schema."""
    listed = [list(column) for column in columns]
    return (json.dumps({"table": table, "columns": listed}, indent=1) + "\n").encode()


def read_schema(store: Store, table: str, schema_sha256: str) -> Columns:
    """The columns of an entry. Raises LakeError when it is not what was written."""
    key = schema_key(table, schema_sha256)
    data = store.get(key)
    if sha256(data) != schema_sha256:
        raise LakeError(
            f"{store.uri(key)} does not have the SHA-256 that its manifest records: it was changed"
            " after it was written; restore it from the bucket's older versions."
        )
    try:
        entry = _COLUMNS.validate_json(data, strict=True)
    except ValidationError:
        entry = {}
    columns = entry.get("columns")
    if set(entry) != {"table", "columns"} or entry["table"] != table or isinstance(columns, str):
        raise LakeError(
            f"{store.uri(key)} is not the schema of {table}, though its manifest names it: it was"
            " not written by a capture; restore the lake from the bucket's older versions."
        )
    assert columns is not None
    return columns
