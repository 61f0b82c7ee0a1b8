"""How the source's tables differ from the catalogue's, in words for people."""

from __future__ import annotations

from collections.abc import Collection

from totesys_dagster.catalogue import OTHER_TABLES, SOURCE_TABLES, SourceTable
from totesys_dagster.errors import SourceError
from totesys_dagster.ingestion.fingerprint import TableSchema
from totesys_dagster.ingestion.source_view import SourceView
from totesys_dagster.postgres.sessions import failures

# Any role may read pg_class, even without access to the tables. Partitions belong to a table.
UNKNOWN_TABLES = """
SELECT relname
FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'f') AND NOT relispartition
  AND relname <> ALL (%s)
ORDER BY relname COLLATE "C"
"""


def differences(table: SourceTable, schema: TableSchema) -> list[str]:
    """How the source's table differs from the catalogue's, one phrase for each difference."""
    declared = {column.name: column for column in table.columns}
    found = [
        f"{name} was dropped (no table of the warehouse carries it)"
        for name in declared
        if name not in schema.types
    ]
    for column in schema.columns:
        expected = declared.get(column.name)
        if expected is None:
            found.append(f"{column.name} {column.type} is new (archived, not processed)")
        elif column.type != expected.sql_type:
            found.append(f"{column.name} is {column.type} instead of {expected.sql_type}")
        elif column.not_null == expected.nullable:
            found.append(f"{column.name} {'is' if column.not_null else 'is no longer'} NOT NULL")
    return found


def unknown_tables(view: SourceView) -> tuple[str, ...]:
    """The source's tables that the catalogue does not know. Raises SourceError."""
    known = [*SOURCE_TABLES, *OTHER_TABLES]
    with failures(SourceError, "a read of the source's tables"):
        return tuple(name for (name,) in view.connection.execute(UNKNOWN_TABLES, [known]))


def unknown_tables_note(names: Collection[str]) -> str:
    """A note about them for people."""
    return (
        "the source has tables that the catalogue does not know, and that are not archived:"
        f" {', '.join(names)}"
    )
