"""The rows in quarantine now: those that break their contract, and orphans, which refer to a
dimension row that the warehouse does not have because it is in quarantine."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES, StarTable
from totesys_dagster.errors import LoadError
from totesys_dagster.lake.log import TOTESYS
from totesys_dagster.postgres.sessions import Connection, Names, failures, one, transaction

# Of more rows in quarantine than this, nobody needs the keys.
MOST_KEYS = 10_000


@dataclass(frozen=True)
class Quarantine:
    """The rows of a table in quarantine: how many, and their keys as far as they have one; no keys
    if there are more than MOST_KEYS."""

    count: int
    keys: tuple[int, ...]

    def are(self, keys: Collection[int]) -> bool:
        """Whether all of them have a key, and the keys are these."""
        return len(self.keys) == self.count and set(self.keys) == set(keys)


def quarantine_of(connection: Connection, names: Names, star: StarTable) -> Quarantine:
    """The rows of a table in quarantine: those quarantined since it was last read in full or
    equalled the source, unless a later batch brought or deleted their key. Raises LoadError.

    A row of a looked-up table does not count; the rows that look it up do.
    """
    if star.base is None:
        return Quarantine(0, ())
    query = sql.SQL(
        """
        WITH quarantined AS MATERIALIZED (
            SELECT DISTINCT q.key, CASE WHEN q.key IS NULL THEN q.reason END {in_quarantine}
        )
        SELECT count(*), (
            SELECT array_agg(key ORDER BY key) FROM quarantined
            WHERE key IS NOT NULL HAVING count(*) <= {most}
        ) FROM quarantined
        """
    ).format(in_quarantine=_in_quarantine(names, star), most=sql.Literal(MOST_KEYS))
    with failures(LoadError, "a read of the quarantine"), transaction(connection):
        count, keys = one(connection, query)
    return Quarantine(count, tuple(keys or ()))


# A row in quarantine: the batch, the star, the source table, the key and the reasons.
InQuarantine = tuple[int, str, str, int | None, str]


def rows_of_now(connection: Connection, names: Names) -> list[InQuarantine]:
    """The rows in quarantine now, as `quarantine_of` counts them. Raises LoadError."""
    found: list[InQuarantine] = []
    for star in STAR_TABLES.values():
        query = sql.SQL(
            """
            SELECT DISTINCT ON (q.key, CASE WHEN q.key IS NULL THEN q.reason END)
                   q.sequence, q.star, q.source, q.key, q.reason
            {in_quarantine}
            ORDER BY q.key, CASE WHEN q.key IS NULL THEN q.reason END, q.sequence DESC
            """
        ).format(in_quarantine=_in_quarantine(names, star))
        with failures(LoadError, "a read of the quarantine"), transaction(connection):
            found += connection.execute(query).fetchall()
    return found


def rows_of_batch(
    connection: Connection, names: Names, sequence: int
) -> list[tuple[int, str, str, int | None, str, str | None]]:
    """The rows of a loaded batch in quarantine, each with the dimension whose row it lacks, if it
    is an orphan. Raises LoadError."""
    query = sql.SQL(
        "SELECT sequence, star, source, key, reason, dimension FROM {}"
        " WHERE log = %s AND sequence = %s ORDER BY star, key, reason"
    ).format(names.ledger("quarantine"))
    with failures(LoadError, "a read of the quarantine"), transaction(connection):
        return connection.execute(query, [TOTESYS, sequence]).fetchall()


def _in_quarantine(names: Names, star: StarTable) -> sql.Composed:
    """The FROM and WHERE clauses for the rows `q` of a table that are in quarantine now."""
    return sql.SQL(
        """
        FROM {quarantine} AS q
        WHERE q.star = {star} AND q.source = {base} AND {unsettled} AND NOT EXISTS (
            SELECT FROM {released} AS r
            WHERE r.star = {star} AND r.key = q.key AND r.sequence > q.sequence
        )
        """
    ).format(
        quarantine=names.ledger("quarantine"),
        released=names.ledger("released"),
        star=sql.Literal(star.name),
        base=sql.Literal(star.base),
        unsettled=_unsettled(names, star),
    )


def _unsettled(names: Names, star: StarTable) -> sql.Composed:
    """The condition for quarantined rows `q` that may still be missing from the warehouse.

    A full read quarantines again what is still wrong. If the whole table equalled the source,
    nothing was missing.
    """
    return sql.SQL(
        "q.sequence >= (SELECT coalesce(max(sequence), 0) FROM {audit}"
        " WHERE star = {star} AND scope = 'whole' AND full_read AND audit = 0)"
        " AND q.sequence > (SELECT coalesce(max(sequence), 0) FROM {audit}"
        " WHERE star = {star} AND scope = 'whole' AND equal)"
    ).format(audit=names.ledger("audit"), star=sql.Literal(star.name))


def release(
    connection: Connection,
    names: Names,
    star: StarTable,
    sequence: int,
    staging: sql.Identifier,
    deleted_keys: sql.Identifier,
) -> None:
    """Note which rows in a table's quarantine a batch brings or deletes.

    `staging` and `deleted_keys` are the tables of its rows and of the keys that it deletes. It does
    not matter whether the warehouse's rows change: a row may have been corrected to what the
    warehouse already has. Raises psycopg.Error.
    """
    if star.base is None:
        return
    query = sql.SQL(
        """
        WITH quarantined AS MATERIALIZED (SELECT DISTINCT q.key {in_quarantine})
        INSERT INTO {released} (sequence, star, key)
        SELECT {sequence}, {star}, key FROM quarantined
        WHERE key IN (SELECT {key} FROM {staging} UNION ALL SELECT key FROM {deleted_keys})
        ORDER BY key
        """
    ).format(
        in_quarantine=_in_quarantine(names, star),
        released=names.ledger("released"),
        sequence=sql.Literal(sequence),
        star=sql.Literal(star.name),
        staging=staging,
        deleted_keys=deleted_keys,
        key=sql.Identifier(star.key),
    )
    connection.execute(query)


def last_ready_orphan(connection: Connection, names: Names, star: StarTable) -> int:
    """The last batch with an orphan whose dimension row has arrived since; 0 for none.

    Raises LoadError.
    """
    if not star.references:
        return 0
    # The key is text, because keys of dimensions differ in type; it is cast once its dimension is
    # known. One index lookup for each orphan instead of a join: with statistics from when there
    # were few, each of many would be compared with all rows of the dimension.
    arrived = sql.SQL(" ").join(
        sql.SQL(
            "WHEN {name} THEN (SELECT TRUE FROM {table} WHERE {key} = q.dimension_key::{type})"
        ).format(
            name=sql.Literal(dimension.name),
            table=names.table(dimension.name),
            key=sql.Identifier(dimension.key),
            type=sql.SQL(next(c.sql_type for c in dimension.columns if c.name == dimension.key)),
        )
        for dimension in {STAR_TABLES[name]: None for _, name in star.references}
    )
    query = sql.SQL(
        "SELECT coalesce(max(q.sequence), 0) FROM {quarantine} AS q"
        " WHERE q.star = %s AND {unsettled} AND CASE q.dimension {arrived} END"
    ).format(
        quarantine=names.ledger("quarantine"), unsettled=_unsettled(names, star), arrived=arrived
    )
    with failures(LoadError, "a read of the quarantine"), transaction(connection):
        row = one(connection, query, [star.name])
    return int(row[0])
