"""What the warehouse holds at the moment."""

from __future__ import annotations

from dataclasses import dataclass

from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES, Kind
from totesys_dagster.errors import LoadError
from totesys_dagster.postgres import Connection, Names, failures, transaction
from totesys_dagster.warehouse import audit


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
        current = names.table(star.name if star.kind is Kind.CALENDAR else f"current_{star.name}")
        query = sql.SQL("SELECT (SELECT count(*) FROM {}), (SELECT count(*) FROM {})").format(
            current, names.table(star.name)
        )
        with failures(LoadError, "a look at the warehouse's tables"), transaction(connection):
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
