"""Whether the warehouse equals the source.

For every table that a batch changed, the warehouse's current rows are counted and digested in the
transaction that loaded the batch, and compared with what the manifest recorded in the snapshot that
the batch was read in: same snapshot, so equality is exact. What is not equal and not explained by
rows in quarantine is asked for again in full.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES, Kind, StarTable
from totesys_dagster.digest import COUNT_AND_DIGEST, hash_of_row
from totesys_dagster.errors import LoadError
from totesys_dagster.lake import requests
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres import Connection, Names, failures


@dataclass(frozen=True)
class Audit:
    """A table's current rows in a batch, compared with the source's.

    For the calendar, `expected_rows` counts the days from the first to the last, `found_rows` those
    that are there with the right attributes.
    """

    star: str
    full_read: bool
    expected_rows: int
    found_rows: int
    equal: bool


# What every day of the calendar must say, worked out by PostgreSQL and not by the transform.
CALENDAR_DAY = """
    day::date AS date_id,
    extract(year FROM day)::int AS year,
    extract(month FROM day)::int AS month,
    extract(day FROM day)::int AS day,
    extract(isodow FROM day)::int AS day_of_week,
    to_char(day, 'FMDay') AS day_name,
    to_char(day, 'FMMonth') AS month_name,
    extract(quarter FROM day)::int AS quarter
"""


def _right_calendar(names: Names) -> sql.Composed:
    """The days from the first to the last that the warehouse has, as a query."""
    return sql.SQL(
        """
        SELECT {day}
        FROM generate_series((SELECT min(date_id) FROM {target})::timestamp,
                             (SELECT max(date_id) FROM {target})::timestamp, '1 day') AS days (day)
        """
    ).format(day=sql.SQL(CALENDAR_DAY), target=names.table("dim_date"))


def close_calendar(connection: Connection, names: Names, sequence: int) -> int:
    """Add the days between the batches' calendars, so that the whole has no gap; how many."""
    query = sql.SQL(
        """
        INSERT INTO {target} ({columns}, batch_seq)
        SELECT {columns}, {sequence} FROM ({calendar}) AS calendar
        WHERE NOT EXISTS (SELECT FROM {target} AS d WHERE d.date_id = calendar.date_id)
        """
    ).format(
        target=names.table("dim_date"),
        columns=_calendar_columns(),
        sequence=sql.Literal(sequence),
        calendar=_right_calendar(names),
    )
    return connection.execute(query).rowcount


def audit_batch(
    connection: Connection, names: Names, manifest: Manifest, stars: Iterable[StarTable]
) -> None:
    """Compare the tables of a batch and record the outcome. Runs in the batch's transaction."""
    for star in stars:
        found = _calendar(connection, names) if star.base is None else None
        if found is None:
            found = _compare(connection, names, star, manifest)
        if found is not None:
            _record(connection, names, manifest.sequence, found)


def _calendar_columns() -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, STAR_TABLES["dim_date"].column_names))


def _calendar(connection: Connection, names: Names) -> Audit:
    query = sql.SQL(
        """
        SELECT (SELECT count(*) FROM ({calendar}) AS expected),
               (SELECT count(*) FROM ({calendar} INTERSECT SELECT {columns} FROM {target}) AS found)
        """
    ).format(
        calendar=_right_calendar(names),
        columns=_calendar_columns(),
        target=names.table("dim_date"),
    )
    row = connection.execute(query).fetchone()
    assert row is not None
    return Audit("dim_date", False, row[0], row[1], row[0] == row[1])


def _compare(
    connection: Connection, names: Names, star: StarTable, manifest: Manifest
) -> Audit | None:
    expected = manifest.stars[star.name]
    if expected.sequence != manifest.sequence:
        return None  # a large table, whose digest was not due in this batch
    hash_ = hash_of_row(star, lambda column: sql.Identifier(column.name), expected.version)
    query = sql.SQL("SELECT {} FROM ({}) AS current").format(
        COUNT_AND_DIGEST.format(sql.Identifier("hash")), _hashes(connection, names, star, hash_)
    )
    row = connection.execute(query).fetchone()
    assert row is not None
    equal = (row[0], row[1]) == (expected.rows, expected.digest)
    full_read = manifest.tables[star.base or ""].read == "full"
    return Audit(star.name, full_read, expected.rows, row[0], equal)


def _hashes(
    connection: Connection, names: Names, star: StarTable, hash_: sql.Composable
) -> sql.Composable:
    """A query for the hashes of the current rows.

    Where all versions are of one batch, no two are of one key. Elsewhere each version is hashed
    before they are sorted, which takes half the time of sorting whole rows. A join with the later
    versions, as in the views `current_*`, is as fast; but by statistics from when a fact had few
    rows, PostgreSQL expected none, and took a nested loop over 100 million pairs for 10,000 facts.
    """
    parts = {"hash": hash_, "table": names.table(star.name), "key": sql.Identifier(star.key)}
    query = sql.SQL("SELECT min(sequence) = max(sequence) FROM {} WHERE star = %s").format(
        names.ledger("batch_table")
    )
    [(one_batch,)] = connection.execute(query, [star.name]).fetchall()
    if star.kind is not Kind.FACT or one_batch:
        return sql.SQL("SELECT {hash} AS hash FROM {table} WHERE NOT is_deleted").format(**parts)
    return sql.SQL(
        """
        SELECT hash FROM (
            SELECT DISTINCT ON ({key}) {hash} AS hash, is_deleted
            FROM {table} ORDER BY {key}, batch_seq DESC
        ) AS latest
        WHERE NOT is_deleted
        """
    ).format(**parts)


def _record(connection: Connection, names: Names, sequence: int, found: Audit) -> None:
    query = sql.SQL(
        "INSERT INTO {} (sequence, star, full_read, expected_rows, found_rows, equal)"
        " VALUES (%s, %s, %s, %s, %s, %s)"
    ).format(names.ledger("audit"))
    connection.execute(
        query,
        [
            sequence,
            found.star,
            found.full_read,
            found.expected_rows,
            found.found_rows,
            found.equal,
        ],
    )


def of_batch(connection: Connection, names: Names, sequence: int) -> dict[str, Audit]:
    """The audits of a batch, by table."""
    query = sql.SQL(
        "SELECT star, full_read, expected_rows, found_rows, equal FROM {} WHERE sequence = %s"
    ).format(names.ledger("audit"))
    audits = [Audit(*row) for row in connection.execute(query, [sequence])]
    return {audit.star: audit for audit in audits}


def latest(connection: Connection, names: Names) -> dict[str, tuple[int, Audit]]:
    """The last audit of each table, with the number of its batch. Raises LoadError."""
    # One look into the index for each table: the ledger may hold a million audits.
    query = sql.SQL(
        """
        SELECT last.* FROM unnest(%s::text[]) AS stars (name) CROSS JOIN LATERAL (
            SELECT sequence, star, full_read, expected_rows, found_rows, equal FROM {}
            WHERE star = stars.name ORDER BY sequence DESC LIMIT 1
        ) AS last
        """
    ).format(names.ledger("audit"))
    with failures(LoadError, "a look at the audits"):
        rows = connection.execute(query, [list(STAR_TABLES)]).fetchall()
    return {row[1]: (row[0], Audit(*row[1:])) for row in rows}


def outstanding(connection: Connection, names: Names, star: StarTable) -> int:
    """How many rows in quarantine may be why a table differs.

    Those are the rows that no later row replaced, and that were set aside since the table was last
    read in full or equalled the source.
    """
    # One look into an index for each row in quarantine, which is no join: by statistics from when
    # there were few, each of many would be compared with all rows of the table. No row of the
    # calendar is set aside by its key.
    replaced = sql.SQL("(SELECT max(batch_seq) FROM {} WHERE {} = q.key) > q.sequence").format(
        names.table(star.name), sql.Identifier(star.key)
    )
    query = sql.SQL(
        "SELECT count(DISTINCT coalesce(q.key::text, q.reason)) FROM {quarantine} AS q"
        " WHERE q.star = %s AND {unsettled} AND ({replaced}) IS NOT TRUE"
    ).format(
        quarantine=names.ledger("quarantine"),
        unsettled=_unsettled(names, star),
        replaced=sql.SQL("FALSE") if star.kind is Kind.CALENDAR else replaced,
    )
    with failures(LoadError, "a look at the quarantine"):
        row = connection.execute(query, [star.name]).fetchone()
    assert row is not None
    return int(row[0])


def _unsettled(names: Names, star: StarTable) -> sql.Composed:
    """The condition for quarantined rows `q` that may still be missing from the warehouse.

    A full read sets aside again what is still wrong. Where the table equalled the source, nothing
    was missing: the rows had been deleted, or mended into what the warehouse held before.
    """
    return sql.SQL(
        "q.sequence >= (SELECT coalesce(max(sequence), 0) FROM {audit}"
        " WHERE star = {star} AND full_read)"
        " AND q.sequence > (SELECT coalesce(max(sequence), 0) FROM {audit}"
        " WHERE star = {star} AND equal)"
    ).format(audit=names.ledger("audit"), star=sql.Literal(star.name))


def request_full_reads(connection: Connection, names: Names, ingestion: Store) -> list[str]:
    """Put a request in the lake for every table that `full_reads_wanted` names. Idempotent."""
    wanted = full_reads_wanted(connection, names)
    for table, sequence in wanted.items():
        requests.put(ingestion, table, sequence)
    return sorted(wanted)


def full_reads_wanted(connection: Connection, names: Names) -> dict[str, int]:
    """The source tables to read in full, each with the batch after which. Raises LoadError.

    A table is wanted when its last audit failed for no known reason and was not itself a full read
    (which did not help), or when rows that were held back have got the dimension row they lacked.
    """
    wanted = {}
    for name, (sequence, found) in latest(connection, names).items():
        star = STAR_TABLES[name]
        if found.equal or found.full_read or star.base is None:
            continue
        if not outstanding(connection, names, star):
            wanted[star.base] = sequence
    for star in STAR_TABLES.values():
        if star.kind is Kind.FACT and star.base:
            sequence = _held_back_and_ready(connection, names, star)
            if sequence:
                wanted[star.base] = max(wanted.get(star.base, 0), sequence)
    return wanted


def _held_back_and_ready(connection: Connection, names: Names, star: StarTable) -> int:
    """The last batch with a row held back whose dimension row has arrived since; 0 for none."""
    # The key is text, as those of the dimensions differ in type; it is cast when its dimension is
    # known. One look into an index for each row that is held back, as above.
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
    with failures(LoadError, "a look at the quarantine"):
        row = connection.execute(query, [star.name]).fetchone()
    assert row is not None
    return int(row[0])
