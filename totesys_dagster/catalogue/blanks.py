"""What stands in place of a value that was erased on request."""

from __future__ import annotations

import json
import re

from totesys_dagster.catalogue.model import SourceColumn, SourceTable, Type
from totesys_dagster.catalogue.stars import STAR_TABLES

NULL = "null"
TEXT = "erased"

_LENGTH = re.compile(r"\((\d+)\)")
_OTHERS = {
    Type.BOOLEAN: "false",
    Type.DATE: '"2000-01-01"',
    Type.TIME: '"00:00:00"',
    Type.TIMESTAMP: '"2000-01-01T00:00:00"',
}


def blanks(table: SourceTable) -> dict[str, str]:
    """The JSON that stands in place of each PII column of a table, by every name it ever had.

    It keeps the contract of every star: NULL where each allows it, otherwise `erased`, the least
    number, or the like.
    """
    return {
        name: _blank(table, column)
        for column in table.columns
        if column.pii
        for name in (column.name, *column.formerly)
    }


def names_of(table: SourceTable, name: str) -> tuple[str, ...]:
    """All names of the column that has or had this one; none if it is not declared."""
    names = ((column.name, *column.formerly) for column in table.columns)
    return next((some for some in names if name in some), ())


def _blank(table: SourceTable, column: SourceColumn) -> str:
    if column.nullable and not _is_required(table, column):
        return NULL
    if column.type in _OTHERS:
        return _OTHERS[column.type]
    if column.type is not Type.TEXT:
        return str(max(0, column.minimum or 0))
    length = _LENGTH.search(column.sql_type)
    return json.dumps(TEXT[: int(length[1])] if length else TEXT)


def _is_required(table: SourceTable, column: SourceColumn) -> bool:
    """Whether a star does not accept NULL in what it makes of the column."""
    source = (table.name, column.name)
    return any(
        source in made.takes and not made.nullable
        for star in STAR_TABLES.values()
        for made in star.columns
    )
