"""Whether the warehouse equals the source.

The source digests its rows in the snapshot of a batch, and the warehouse digests its current rows
in the transaction that loads the batch: same snapshot, so equality is exact. Two things are
compared, and told apart everywhere:

* **whole**: all rows of a table. Small tables are compared with every batch, whether it changed
  them or not; all tables at least once an hour, by an audit object of the lake where no batch was
  due. Only this proves a table.
* **touched**: the rows of the keys that a batch holds, of a table that is too large for the former.

Rows in quarantine make a table differ. What is left without their keys is then digested by the
source as well, so that they cannot hide another difference. What differs beyond them is asked for
again in full.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES, Kind, StarTable
from totesys_dagster.digest import COUNT_AND_DIGEST, audited_columns, hash_of_row
from totesys_dagster.errors import LoadError
from totesys_dagster.lake.audits import SourceAudit
from totesys_dagster.lake.log import TOTESYS
from totesys_dagster.lake.manifest import Digest, Manifest, StarEntry
from totesys_dagster.lake.requests import Requests, put_full_read, put_leave_out
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres import Connection, Names, failures, transaction

Scope = Literal["whole", "touched"]

# With more keys than these kept out of a table, the rest of it is not digested by itself.
MOST_LEFT_OUT = 10_000


@dataclass(frozen=True)
class Audit:
    """A table's current rows, compared with the source's while the warehouse held batch `sequence`.

    `audit` is the number of the audit object that says what the source held at `observed_at`, 0
    where the batch's manifest does. `left_out` counts the keys that were kept out of the table;
    `equal_without` tells whether it is equal without them, and is None where that is not known. For
    the calendar, `expected_rows` counts the days from the first to the last, `found_rows` those
    that are there with the right attributes.
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
    left_out: int
    equal_without: bool | None


@dataclass(frozen=True)
class Standing:
    """The last comparison of each scope. `proved` is said of a whole table only."""

    whole: Audit | None
    touched: Audit | None

    @property
    def equal(self) -> bool | None:
        """Whether the table equals the source as far as it was compared; None if it never was."""
        if not self.standing:
            return None
        return all(found.equal for found in self.standing)

    @property
    def standing(self) -> list[Audit]:
        """What holds now: the last of the whole table, and what was found of some keys since."""
        found = [self.whole] if self.whole else []
        if self.touched and (self.whole is None or self.touched.sequence > self.whole.sequence):
            found.append(self.touched)
        return found


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
    connection: Connection,
    names: Names,
    manifest: Manifest,
    staged: Mapping[str, sql.Identifier],
) -> None:
    """Compare all tables with what the manifest says, and record the outcome.

    `staged` names the temporary table of each table of which every row of the batch has arrived.
    Runs in the batch's transaction.
    """
    found: Audit | None
    for star in STAR_TABLES.values():
        entry = manifest.stars.get(star.name)
        if star.base is None:
            found = _calendar(connection, names, manifest.sequence, 0, manifest.observed_at)
        elif entry is None:
            continue
        elif entry.whole.sequence == manifest.sequence:
            full_read = manifest.tables[star.base].read == "full"
            found = _whole(
                connection, names, star, entry, manifest.sequence, 0, full_read=full_read
            )
        else:
            found = _touched(connection, names, star, manifest, entry, staged.get(star.name))
        if found is not None:
            _record(connection, names, found)


def audit_source(
    connection: Connection, names: Names, source: SourceAudit
) -> Mapping[str, Audit] | None:
    """Compare all tables with an audit object, and record the outcome.

    Returns it by table; None when the warehouse holds another batch than the last one of the time,
    and so cannot be compared. Runs in a transaction of the warehouse's lock.
    """
    query = sql.SQL(
        "SELECT (SELECT max(sequence) FROM {ledger} WHERE log = %(log)s), manifest_sha256"
        " FROM {ledger} WHERE log = %(log)s AND sequence = %(sequence)s"
    ).format(ledger=names.ledger("batch"))
    head = source.head
    row = connection.execute(query, {"log": TOTESYS, "sequence": head.sequence}).fetchone()
    if row != (head.sequence, head.manifest_sha256):
        return None
    audits = {}
    found: Audit | None
    for star in STAR_TABLES.values():
        entry = source.stars.get(star.name)
        if star.base is None:
            found = _calendar(connection, names, head.sequence, source.sequence, source.observed_at)
        elif entry is None:
            continue
        else:
            in_vain = _read_in_vain(connection, names, star, head.sequence)
            found = _whole(
                connection,
                names,
                star,
                entry,
                head.sequence,
                source.sequence,
                full_read=in_vain,
            )
        if found is not None:
            _record(connection, names, found)
            audits[star.name] = found
    return audits


def _read_in_vain(connection: Connection, names: Names, star: StarTable, sequence: int) -> bool:
    """Whether the batch read the table in full and left it different, so that to read it again
    would not help."""
    query = sql.SQL(
        "SELECT EXISTS (SELECT FROM {} WHERE star = %s AND scope = 'whole' AND sequence = %s"
        " AND audit = 0 AND full_read AND NOT equal)"
    ).format(names.ledger("audit"))
    return connection.execute(query, [star.name, sequence]).fetchone() == (True,)


def _calendar_columns() -> sql.Composed:
    return sql.SQL(", ").join(map(sql.Identifier, STAR_TABLES["dim_date"].column_names))


def _calendar(
    connection: Connection, names: Names, sequence: int, audit: int, observed_at: dt.datetime
) -> Audit:
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
    [(expected, found)] = connection.execute(query).fetchall()
    return Audit(
        sequence,
        "dim_date",
        "whole",
        audit,
        observed_at,
        full_read=False,
        expected_rows=expected,
        found_rows=found,
        equal=expected == found,
        left_out=0,
        equal_without=None,
    )


def _whole(
    connection: Connection,
    names: Names,
    star: StarTable,
    entry: StarEntry,
    sequence: int,
    audit: int,
    *,
    full_read: bool,
) -> Audit | None:
    """All current rows, compared with all rows of the source; None where the digest is of other
    columns than the table has, and so says nothing of it."""
    expected = entry.whole
    if not _covers(expected, star):
        return None
    found = _digest(connection, _current(connection, names, star, expected))
    equal = found == (expected.rows, expected.digest)
    kept_out = KeptOut(0, ()) if equal else kept_out_of(connection, names, star)
    equal_without = None
    rest = entry.without
    if kept_out.keys and rest and kept_out.are_among(rest.left_out) and _covers(rest, star):
        current = _current(connection, names, star, rest, rest.left_out)
        equal_without = _digest(connection, current) == (rest.rows, rest.digest)
    return Audit(
        sequence,
        star.name,
        "whole",
        audit,
        expected.observed_at,
        full_read=full_read,
        expected_rows=expected.rows,
        found_rows=found[0],
        equal=equal,
        left_out=kept_out.count,
        equal_without=equal_without,
    )


def moved(
    connection: Connection, names: Names, known: Mapping[str, StarEntry], most_rows: int
) -> list[str]:
    """The tables of up to so many rows that are not what the last audit of them found, because
    somebody changed them since. `known` is what the source holds. Raises LoadError.
    """
    last = standings(connection, names)
    found = []
    now: Audit | None
    with failures(LoadError, "the audit of the warehouse"), transaction(connection):
        for star in STAR_TABLES.values():
            entry, before = known.get(star.name), last[star.name].whole
            if before is None:
                continue
            if star.base is None:
                now = _calendar(connection, names, before.sequence, 0, before.observed_at)
            elif entry is None or entry.whole.rows > most_rows:
                continue
            else:
                now = _whole(connection, names, star, entry, before.sequence, 0, full_read=False)
            if now and (now.equal, now.equal_without) != (before.equal, before.equal_without):
                found.append(star.name)
    return found


def _touched(
    connection: Connection,
    names: Names,
    star: StarTable,
    manifest: Manifest,
    entry: StarEntry,
    staging: sql.Identifier | None,
) -> Audit | None:
    """The current rows of the keys that the batch holds. What the source deleted from a large table
    is found when its keys are compared, and so is its whole digest."""
    expected = entry.touched
    if expected is None or staging is None or not _covers(expected, star):
        return None
    query = sql.SQL(
        """
        SELECT {hash} AS hash
        FROM {staging} AS staged CROSS JOIN LATERAL (
            SELECT * FROM {target} AS version WHERE version.{key} = staged.{key} {newest}
        ) AS fact
        WHERE NOT is_deleted
        """
    ).format(
        hash=_hash(star, expected),
        key=sql.Identifier(star.key),
        staging=staging,
        target=names.table(star.name),
        newest=sql.SQL("ORDER BY batch_seq DESC LIMIT 1" if star.kind is Kind.FACT else ""),
    )
    found = _digest(connection, query)
    return Audit(
        manifest.sequence,
        star.name,
        "touched",
        0,
        manifest.observed_at,
        full_read=False,
        expected_rows=expected.rows,
        found_rows=found[0],
        equal=found == (expected.rows, expected.digest),
        left_out=0,
        equal_without=None,
    )


def _covers(digest: Digest, star: StarTable) -> bool:
    return digest.columns == tuple(column.name for column in audited_columns(star))


def _digest(connection: Connection, hashes: sql.Composable) -> tuple[int, str]:
    """Count and digest of the rows whose hashes a query gives."""
    query = sql.SQL("SELECT {} FROM ({}) AS hashes").format(
        COUNT_AND_DIGEST.format(sql.Identifier("hash")), hashes
    )
    [(count, digest)] = connection.execute(query).fetchall()
    return count, digest


def _hash(star: StarTable, like: Digest) -> sql.Composable:
    """The hash of a row called `fact`, made as those of another digest were."""
    return hash_of_row(star, lambda column: sql.Identifier("fact", column.name), like.method)


def _current(
    connection: Connection,
    names: Names,
    star: StarTable,
    like: Digest,
    left_out: Collection[int] = (),
) -> sql.Composable:
    """A query for the hashes of the current rows, but for those of some keys.

    Where all versions are of one batch, no two are of one key. Elsewhere each version is hashed
    before they are sorted, which takes half the time of sorting whole rows. A join with the later
    versions, as in the views `current_*`, is as fast; but by statistics from when a fact had few
    rows, PostgreSQL expected none, and took a nested loop over 100 million pairs for 10,000 facts.
    """
    parts = {
        "hash": _hash(star, like),
        "table": names.table(star.name),
        "key": sql.Identifier("fact", star.key),
        "others": sql.SQL("TRUE"),
    }
    if left_out:
        parts["others"] = sql.SQL(
            "NOT EXISTS (SELECT FROM unnest({}::bigint[]) AS left_out (key)"
            " WHERE left_out.key = {})"
        ).format(sql.Literal(list(left_out)), parts["key"])
    query = sql.SQL("SELECT min(sequence) = max(sequence) FROM {} WHERE star = %s").format(
        names.ledger("batch_table")
    )
    [(one_batch,)] = connection.execute(query, [star.name]).fetchall()
    if star.kind is not Kind.FACT or one_batch:
        return sql.SQL(
            "SELECT {hash} AS hash FROM {table} AS fact WHERE NOT is_deleted AND {others}"
        ).format(**parts)
    return sql.SQL(
        """
        SELECT hash FROM (
            SELECT DISTINCT ON ({key}) {hash} AS hash, is_deleted
            FROM {table} AS fact WHERE {others} ORDER BY {key}, batch_seq DESC
        ) AS latest
        WHERE NOT is_deleted
        """
    ).format(**parts)


def _record(connection: Connection, names: Names, found: Audit) -> None:
    """Note the outcome, once: two processes may compare with one audit object."""
    columns = [*vars(found)]
    query = sql.SQL("INSERT INTO {} ({}) VALUES ({}) ON CONFLICT DO NOTHING").format(
        names.ledger("audit"),
        sql.SQL(", ").join(map(sql.Identifier, columns)),
        sql.SQL(", ").join(map(sql.Placeholder, columns)),
    )
    connection.execute(query, vars(found))


_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, Audit.__dataclass_fields__))


def of_batch(connection: Connection, names: Names, sequence: int) -> dict[str, Audit]:
    """What was found of each table with a batch: of the whole table where that was compared."""
    query = sql.SQL("SELECT {} FROM {} WHERE sequence = %s AND audit = 0 ORDER BY scope").format(
        _COLUMNS, names.ledger("audit")
    )
    with transaction(connection):
        audits = [Audit(*row) for row in connection.execute(query, [sequence])]
    return {audit.star: audit for audit in audits}


def standings(connection: Connection, names: Names) -> dict[str, Standing]:
    """The last comparisons of each table. Raises LoadError."""
    # One look into the index for each table: the ledger may hold a million audits.
    query = sql.SQL(
        """
        SELECT last.* FROM unnest(%s::text[]) AS stars (name), unnest(%s::text[]) AS scopes (name)
        CROSS JOIN LATERAL (
            SELECT {} FROM {}
            WHERE star = stars.name AND scope = scopes.name
            ORDER BY sequence DESC, audit DESC LIMIT 1
        ) AS last
        """
    ).format(_COLUMNS, names.ledger("audit"))
    with failures(LoadError, "a look at the audits"), transaction(connection):
        rows = connection.execute(query, [list(STAR_TABLES), ["whole", "touched"]]).fetchall()
    found = {(audit.star, audit.scope): audit for audit in (Audit(*row) for row in rows)}
    return {
        star: Standing(found.get((star, "whole")), found.get((star, "touched")))
        for star in STAR_TABLES
    }


@dataclass(frozen=True)
class KeptOut:
    """The rows in quarantine that may be why a table differs: how many, and the keys of those that
    have one."""

    count: int
    keys: tuple[int, ...]

    def are_among(self, left_out: Collection[int]) -> bool:
        """Whether all of them are known by key, and are among these keys."""
        return len(self.keys) == self.count and set(self.keys) <= set(left_out)


def kept_out_of(connection: Connection, names: Names, star: StarTable) -> KeptOut:
    """The rows that are kept out of a table: those that no later row replaced, and that were set
    aside since the table was last read in full or equalled the source. Raises LoadError.

    A row of a table that is looked up is none of them: the rows that look it up are.
    """
    if star.base is None:
        return KeptOut(0, ())
    # One look into an index for each row in quarantine, which is no join: by statistics from when
    # there were few, each of many would be compared with all rows of the table.
    query = sql.SQL(
        """
        SELECT DISTINCT q.key, CASE WHEN q.key IS NULL THEN q.reason END FROM {quarantine} AS q
        WHERE q.star = %s AND q.source = %s AND {unsettled}
          AND ((SELECT max(batch_seq) FROM {target} WHERE {key} = q.key) > q.sequence) IS NOT TRUE
        """
    ).format(
        quarantine=names.ledger("quarantine"),
        target=names.table(star.name),
        key=sql.Identifier(star.key),
        unsettled=_unsettled(names, star),
    )
    with failures(LoadError, "a look at the quarantine"), transaction(connection):
        rows = connection.execute(query, [star.name, star.base]).fetchall()
    return KeptOut(len(rows), tuple(sorted(key for key, _ in rows if key is not None)))


def _unsettled(names: Names, star: StarTable) -> sql.Composed:
    """The condition for quarantined rows `q` that may still be missing from the warehouse.

    A full read sets aside again what is still wrong. Where the whole table equalled the source,
    nothing was missing: the rows had been deleted, or mended into what the warehouse held before.
    """
    return sql.SQL(
        "q.sequence >= (SELECT coalesce(max(sequence), 0) FROM {audit}"
        " WHERE star = {star} AND scope = 'whole' AND full_read AND audit = 0)"
        " AND q.sequence > (SELECT coalesce(max(sequence), 0) FROM {audit}"
        " WHERE star = {star} AND scope = 'whole' AND equal)"
    ).format(audit=names.ledger("audit"), star=sql.Literal(star.name))


def request_healing(
    connection: Connection,
    names: Names,
    ingestion: Store,
    compared: Mapping[str, StarEntry] | None = None,
) -> list[str]:
    """Put what the audits ask for into the lake: full reads, and digests without the keys that are
    kept out, which end when all tables equal what was `compared`. Returns the tables to be read in
    full. Idempotent. Raises LoadError or LakeError.
    """
    last = standings(connection, names)
    wanted = full_reads_wanted(connection, names, last)
    for table, sequence in wanted.items():
        put_full_read(ingestion, table, sequence)
    left_out = any(entry.without for entry in (compared or {}).values())
    if left_out and all(found.equal for found in _wholes(last)):
        after, audit = max((found.sequence, found.audit) for found in _wholes(last))
        put_leave_out(ingestion, {}, after, audit)
    else:
        _request_leave_out(connection, names, ingestion, last)
    return sorted(wanted)


def full_reads_wanted(
    connection: Connection, names: Names, last: Mapping[str, Standing]
) -> dict[str, int]:
    """The source tables to read in full, each with the batch after which. Raises LoadError.

    A table is wanted when it differs by more than what is kept out of it and was not just read in
    full (which did not help), or when rows that were held back have got the dimension row they
    lacked.
    """
    wanted: dict[str, int] = {}
    for star in STAR_TABLES.values():
        for found in last[star.name].standing:
            # What is kept out may explain it, or it is not known yet whether that is all.
            explained = found.left_out and found.equal_without is not False
            if star.base and not (found.equal or found.full_read or explained):
                wanted[star.base] = found.sequence
    for star in STAR_TABLES.values():
        if star.kind is Kind.FACT and star.base:
            sequence = _held_back_and_ready(connection, names, star)
            if sequence:
                wanted[star.base] = max(wanted.get(star.base, 0), sequence)
    return wanted


def _request_leave_out(
    connection: Connection, names: Names, ingestion: Store, last: Mapping[str, Standing]
) -> None:
    """Ask for digests without the keys that are kept out, where it is not known whether a table
    equals the source but for them."""
    open_ = [found for found in _wholes(last) if not found.equal and found.left_out]
    if all(found.equal_without is not None for found in open_):
        return
    keys = {
        found.star: kept_out_of(connection, names, STAR_TABLES[found.star]).keys for found in open_
    }
    stars = {star: one for star, one in sorted(keys.items()) if 0 < len(one) <= MOST_LEFT_OUT}
    before = Requests(ingestion).leave_out()
    if stars and (before is None or before.stars != stars):
        after, audit = max((found.sequence, found.audit) for found in open_)
        put_leave_out(ingestion, stars, after, audit)


def _wholes(last: Mapping[str, Standing]) -> Iterator[Audit]:
    return (standing.whole for standing in last.values() if standing.whole is not None)


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
    with failures(LoadError, "a look at the quarantine"), transaction(connection):
        row = connection.execute(query, [star.name]).fetchone()
    assert row is not None
    return int(row[0])
