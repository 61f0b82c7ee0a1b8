"""Published pages: objects of the processed zone, and their rows in the ledger.

A page is written once for a day and batch. The object comes first: if a process dies before it
updates the ledger, the next one finds the object and does so.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from psycopg import sql

from totesys_dagster.errors import LoadError, ObjectConflictError
from totesys_dagster.lake.log import TOTESYS
from totesys_dagster.lake.store import Store, sha256
from totesys_dagster.page.answers import LONDON
from totesys_dagster.page.newest import key_of
from totesys_dagster.postgres.sessions import Connection, Names, failures, one, transaction


@dataclass(frozen=True)
class Published:
    """A page in the processed zone. `mailed_at` is when it was mailed, None if it never was."""

    day: dt.date
    sequence: int
    manifest_sha256: str
    key: str
    sha256: str
    published_at: dt.datetime
    mailed_at: dt.datetime | None


@dataclass(frozen=True)
class Position:
    """The newest page, the warehouse's last batch, and when a page was last mailed; None for what
    does not exist."""

    newest: Published | None
    head: tuple[int, str] | None
    mailed_at: dt.datetime | None = None

    @property
    def is_current(self) -> bool:
        """Whether the newest page shows the warehouse's last batch."""
        newest = self.newest
        return bool(newest and self.head == (newest.sequence, newest.manifest_sha256))

    def is_due(self, evening: dt.datetime, *, mail: bool) -> bool:
        """Whether there is something to do on an evening: once each evening, and only if a batch
        has come since the last page."""
        newest = self.newest
        if self.head is None:
            return False
        if newest is None:
            return True
        done = self.mailed_at if mail else newest.published_at
        is_done = self.is_current and not (mail and newest.mailed_at is None)
        return not is_done and (done is None or done < evening)


def position(connection: Connection, names: Names) -> Position:
    """The state of the pages. Raises LoadError."""
    query = _pages(names, sql.SQL("TRUE"))
    mail = sql.SQL("SELECT max(mailed_at) FROM {}").format(names.ledger("page_mail"))
    head = sql.SQL(
        "SELECT sequence, manifest_sha256 FROM {} WHERE log = %s ORDER BY sequence DESC LIMIT 1"
    ).format(names.ledger("batch"))
    with failures(LoadError, "a read of the published pages"), transaction(connection):
        newest = connection.execute(query).fetchone()
        mailed_at = one(connection, mail)[0]
        last = connection.execute(head, [TOTESYS]).fetchone()
    return Position(
        Published(*newest) if newest else None, (last[0], last[1]) if last else None, mailed_at
    )


def _pages(names: Names, condition: sql.Composable) -> sql.Composed:
    """The query for the newest page that meets a condition, with the fields of `Published`."""
    return sql.SQL(
        "SELECT p.day, p.sequence, p.manifest_sha256, p.key, p.sha256, p.published_at,"
        " (SELECT max(m.mailed_at) FROM {mail} AS m WHERE (m.day, m.manifest_sha256)"
        " = (p.day, p.manifest_sha256)) FROM {page} AS p WHERE {condition}"
        " ORDER BY p.published_at DESC LIMIT 1"
    ).format(mail=names.ledger("page_mail"), page=names.ledger("page"), condition=condition)


def publish(
    connection: Connection, names: Names, processed: Store, page: str, day: dt.date, sequence: int
) -> Published:
    """Write the page of a day and batch, and note it in the ledger.

    If another process has already written that page, its page counts. Raises LakeError or
    LoadError.
    """
    key = key_of(day, sequence)
    data = page.encode()
    try:
        processed.put(key, data)
    except ObjectConflictError:
        data = processed.get(key)
    note = sql.SQL(
        "INSERT INTO {page} (day, sequence, manifest_sha256, key, sha256)"
        " SELECT %s, sequence, manifest_sha256, %s, %s FROM {batch}"
        " WHERE log = %s AND sequence = %s ON CONFLICT DO NOTHING"
    ).format(page=names.ledger("page"), batch=names.ledger("batch"))
    with failures(LoadError, "the note that a page is published"), transaction(connection):
        connection.execute(note, [day, key, sha256(data), TOTESYS, sequence])
        condition = sql.SQL("p.key = {}").format(sql.Literal(key))
        found = connection.execute(_pages(names, condition)).fetchone()
    if found is None:
        raise LoadError(
            f"Batch {sequence} left the ledger while its page was being made: make it again."
        )
    return Published(*found)


def mailed(connection: Connection, names: Names, page: Published) -> None:
    """Note that a page was mailed. Raises LoadError."""
    note = sql.SQL("INSERT INTO {} (day, manifest_sha256) VALUES (%s, %s)").format(
        names.ledger("page_mail")
    )
    with failures(LoadError, "the note that a page is mailed"), transaction(connection):
        connection.execute(note, [page.day, page.manifest_sha256])


def evening(moment: dt.datetime) -> dt.datetime:
    """When the last business day before that moment ended: 19:30 in London."""
    local = moment.astimezone(LONDON)
    end = local.replace(hour=19, minute=30, second=0, microsecond=0)
    return end if end <= local else end - dt.timedelta(days=1)
