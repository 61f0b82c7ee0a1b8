"""Refuses Dagster's history if a newer Dagster has changed its schema.

Dagster itself opens such a database, and fails only at a statement that does not fit.
"""

from collections.abc import Iterable
from contextlib import AbstractContextManager
from typing import Protocol

import sqlalchemy as db

from totesys_dagster.dagster_insides import knows_revision
from totesys_dagster.errors import SettingError

TABLE = "alembic_version"


class SqlStorage(Protocol):
    """A Dagster storage in a database."""

    def connect(self) -> AbstractContextManager[db.Connection]: ...


def require_known(storages: Iterable[object], place: str) -> None:
    """Raise SettingError unless this Dagster knows the schema of each storage in a database.

    `place` is what people call the history. Raises what the database raises.
    """
    for storage in storages:
        for revision in _revisions(storage) if hasattr(storage, "connect") else ():
            if not knows_revision(revision):
                raise SettingError(
                    f"A newer version of Dagster has migrated {place} to {revision}, which this one"
                    " may not be able to read: install the newer release of totesys_dagster again,"
                    " or restore a copy of the history from before."
                )


def _revisions(storage: SqlStorage) -> list[str]:
    with storage.connect() as connection:
        if not db.inspect(connection).has_table(TABLE):
            return []
        return [*connection.execute(db.text(f"SELECT version_num FROM {TABLE}")).scalars()]  # nosec B608
