"""The results of the tables' audits, as the ledger records them."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES, StarTable
from totesys_dagster.errors import LoadError
from totesys_dagster.lake.log import TOTESYS
from totesys_dagster.postgres.sessions import Connection, Names, failures, one, transaction

Scope = Literal["whole", "touched"]


@dataclass(frozen=True)
class Audit:
    """A comparison of a table's current rows with the source's, at batch `sequence`.

    `audit` and `audit_sha256` name the audit object with the source's digests at `observed_at`;
    they are 0 and None if the digests are in the batch's manifest. `quarantined` counts the rows in
    quarantine. `equal_without` says whether the table is equal without them; None if unknown. For
    the calendar, `expected_rows` counts the days from the first to the last, `found_rows` those
    that exist with the right attributes.
    """

    sequence: int
    star: str
    scope: Scope
    audit: int
    observed_at: dt.datetime
    full_read: bool
    expected_rows: int
    found_rows: int
    equal: bool
    quarantined: int
    equal_without: bool | None
    audit_sha256: str | None = None

    @property
    def explained(self) -> bool:
        """Whether the table differs because of the rows in quarantine, as far as is known."""
        return not self.equal and self.quarantined > 0 and self.equal_without is not False


@dataclass(frozen=True)
class Standing:
    """The state of a table's audits.

    `whole` is the last comparison of all its rows. `touched` is one of some keys since then: the
    last that found a difference, or else the last.
    """

    whole: Audit | None
    touched: Audit | None

    @property
    def audits(self) -> list[Audit]:
        return [found for found in (self.whole, self.touched) if found is not None]

    @property
    def equal(self) -> bool | None:
        """Whether the table equals the source as far as it was compared; None if it never was."""
        return all(found.equal for found in self.audits) if self.audits else None


_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, Audit.__dataclass_fields__))


def record(connection: Connection, names: Names, found: Audit) -> None:
    """Record a result, once: two processes may compare with the same audit object."""
    query = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
        names.ledger("audit"),
        _COLUMNS,
        sql.SQL(", ").join(map(sql.Placeholder, Audit.__dataclass_fields__)),
    )
    connection.execute(query, vars(found))


def of_batch(connection: Connection, names: Names, sequence: int) -> dict[str, Audit]:
    """The result for each table with a batch: of the whole table, if that was compared.

    Raises psycopg.Error.
    """
    query = sql.SQL(
        "SELECT {} FROM {} WHERE log = %s AND sequence = %s AND audit = 0 ORDER BY scope"
    ).format(_COLUMNS, names.ledger("audit"))
    with transaction(connection):
        audits = [Audit(*row) for row in connection.execute(query, [TOTESYS, sequence])]
    return {found.star: found for found in audits}


def standings(connection: Connection, names: Names) -> dict[str, Standing]:
    """The state of each table's audits. Raises LoadError."""
    # One index lookup per table, and one for the batches since: the ledger may hold a million
    # audits. A difference stays until it is compared again, whatever later batches find.
    query = sql.SQL(
        """
        SELECT {columns} FROM unnest(%(stars)s::text[]) AS stars (name) CROSS JOIN LATERAL (
            SELECT * FROM {audit}
            WHERE log = %(log)s AND star = stars.name AND scope = 'whole'
            ORDER BY sequence DESC, audit DESC LIMIT 1
        ) AS whole
        UNION ALL
        SELECT {columns} FROM unnest(%(stars)s::text[]) AS stars (name) CROSS JOIN LATERAL (
            SELECT * FROM {audit}
            WHERE log = %(log)s AND star = stars.name AND scope = 'touched' AND sequence > (
                SELECT coalesce(max(sequence), 0) FROM {audit}
                WHERE log = %(log)s AND star = stars.name AND scope = 'whole'
            )
            ORDER BY equal, sequence DESC LIMIT 1
        ) AS touched
        """
    ).format(columns=_COLUMNS, audit=names.ledger("audit"))
    with failures(LoadError, "a read of the audits"), transaction(connection):
        rows = connection.execute(query, {"log": TOTESYS, "stars": list(STAR_TABLES)}).fetchall()
    found = {(audit.star, audit.scope): audit for audit in (Audit(*row) for row in rows)}
    return {
        star: Standing(found.get((star, "whole")), found.get((star, "touched")))
        for star in STAR_TABLES
    }


def read_in_vain(connection: Connection, names: Names, star: StarTable, sequence: int) -> bool:
    """Whether the batch read the table in full but it still differed, and no audit has found it
    equal since: reading it again would not help. Raises psycopg.Error."""
    query = sql.SQL(
        """
        SELECT coalesce(bool_or(audit = 0 AND full_read), FALSE)
           AND NOT coalesce(bool_or(equal OR equal_without), FALSE)
        FROM {} WHERE log = %s AND star = %s AND scope = 'whole' AND sequence = %s
        """
    ).format(names.ledger("audit"))
    return connection.execute(query, [TOTESYS, star.name, sequence]).fetchone() == (True,)


def last_source(connection: Connection, names: Names) -> tuple[int, str] | None:
    """The number and SHA-256 of the last audit object that the warehouse was compared with; None if
    there is none. Raises LoadError."""
    query = sql.SQL(
        "SELECT audit, audit_sha256 FROM {} WHERE log = %s AND audit > 0"
        " ORDER BY audit DESC LIMIT 1"
    ).format(names.ledger("audit"))
    with failures(LoadError, "a read of the audits"), transaction(connection):
        row = connection.execute(query, [TOTESYS]).fetchone()
    return None if row is None else (row[0], row[1])


def last_compared(connection: Connection, names: Names, sequence: int) -> int:
    """The number of the last audit object that the warehouse was compared with at that batch; 0 if
    there is none. Raises LoadError."""
    query = sql.SQL(
        "SELECT coalesce(max(audit), 0) FROM {} WHERE log = %s AND sequence = %s"
    ).format(names.ledger("audit"))
    with failures(LoadError, "a read of the audits"), transaction(connection):
        row = one(connection, query, [TOTESYS, sequence])
    return int(row[0])
