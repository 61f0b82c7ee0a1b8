"""The reporting currency: a setting, noted in the warehouse for the views that convert."""

from __future__ import annotations

from psycopg import sql

from totesys_dagster.errors import LoadError
from totesys_dagster.postgres.sessions import Connection, Names, failures, transaction


def note_reporting_currency(connection: Connection, names: Names, code: str) -> bool:
    """Let reports convert into that currency from now on. Returns whether that is a change.

    Raises LoadError.
    """
    query = sql.SQL(
        """
        INSERT INTO {noted} (currency_code)
        SELECT {code} WHERE {code} IS DISTINCT FROM (
            SELECT currency_code FROM {noted} ORDER BY number DESC LIMIT 1
        )
        """
    ).format(noted=names.ledger("reporting_currency"), code=sql.Literal(code))
    with failures(LoadError, "the note of the reporting currency"), transaction(connection):
        return connection.execute(query).rowcount > 0
