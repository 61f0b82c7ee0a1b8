"""What the warehouse holds at the moment."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.errors import LoadError
from totesys_dagster.postgres import Connection, Names, failures
from totesys_dagster.warehouse import audit

# Without a join, whose plan depends on what PostgreSQL expects to find.
CURRENT_AND_VERSIONS = """
SELECT count(*) FILTER (WHERE live > coalesce(deleted, 0)), coalesce(sum(versions), 0)::bigint
FROM (
    SELECT max(batch_seq) FILTER (WHERE NOT is_deleted) AS live,
           max(batch_seq) FILTER (WHERE is_deleted) AS deleted,
           count(*) AS versions
    FROM {} GROUP BY {}
) AS rows
"""


@dataclass(frozen=True)
class TableStatus:
    """A table's rows: those current in the source, all versions, and those kept out of it.

    `audited_batch` is the number of the batch of the last audit, `equal` its outcome; both are
    None when there was none.
    """

    star: str
    current: int
    versions: int
    outstanding: int
    audited_batch: int | None
    equal: bool | None


def table_status(connection: Connection, names: Names) -> list[TableStatus]:
    """The status of the eleven tables. Raises LoadError."""
    audits = audit.latest(connection, names)
    result = []
    for star in STAR_TABLES.values():
        query = sql.SQL(CURRENT_AND_VERSIONS).format(
            names.table(star.name), sql.Identifier(star.key)
        )
        with failures(LoadError, "a look at the warehouse's tables"):
            row = connection.execute(query).fetchone()
        assert row is not None
        sequence, last = audits.get(star.name, (None, None))
        result.append(
            TableStatus(
                star.name,
                current=row[0],
                versions=row[1],
                outstanding=audit.outstanding(connection, names, star),
                audited_batch=sequence,
                equal=last.equal if last else None,
            )
        )
    return result
