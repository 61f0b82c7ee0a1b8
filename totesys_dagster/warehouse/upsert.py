"""Loads a dimension: the table has the latest version of each row, and past ones are kept."""

from __future__ import annotations

from typing import Protocol

from psycopg import sql

from totesys_dagster.catalogue import Kind, StarTable
from totesys_dagster.warehouse.ddl import listed


class Execute(Protocol):
    """Runs a statement made of the fragments of a load, and returns how many rows it touched."""

    def __call__(self, statement: str, /, **more: sql.Composable) -> int: ...


# The old rows are joined as `o`: before PostgreSQL 18, RETURNING only knows new values.
_CHANGE = """
    UPDATE {target} AS c
    SET ({others}) = ROW({staged_others}), batch_seq = {sequence}, is_deleted = FALSE
    FROM {staging} AS s JOIN {target} AS o ON o.{key} = s.{key}
    WHERE c.{key} = o.{key} AND (o.is_deleted OR ROW({was}) IS DISTINCT FROM ROW({staged}))
"""
_DELETE = """
    UPDATE {target} AS c SET is_deleted = TRUE, batch_seq = {sequence}
    FROM {deleted_keys} AS g JOIN {target} AS o ON o.{key} = g.key
    WHERE c.{key} = o.{key} AND NOT o.is_deleted
"""
_INSERT = """
    INSERT INTO {target} ({columns}, batch_seq)
    SELECT {staged}, {sequence} FROM {staging} AS s
    WHERE NOT EXISTS (SELECT FROM {target} AS c WHERE c.{key} = s.{key})
"""
_KEEPING = """
    WITH was AS ({change} RETURNING {was}, o.batch_seq, o.is_deleted)
    INSERT INTO {past} ({columns}, batch_seq, is_deleted) SELECT * FROM was
"""


def upsert(execute: Execute, star: StarTable) -> tuple[int, int, int]:
    """Update a dimension to the latest values. Returns how many rows are new, changed and deleted.

    Rows that are neither new nor different are not touched. The same statement that changes a row
    keeps its past version, except in the calendar, whose days do not change. Raises psycopg.Error.
    """
    keeping = "{change}" if star.kind is Kind.CALENDAR else _KEEPING
    others = [name for name in star.column_names if name != star.key]
    change = keeping.replace("{change}", _CHANGE)
    updated = execute(
        change,
        others=listed(others),
        staged_others=listed(others, "s"),
    )
    inserted = execute(_INSERT)
    deleted = execute(keeping.replace("{change}", _DELETE))
    return inserted, updated, deleted
