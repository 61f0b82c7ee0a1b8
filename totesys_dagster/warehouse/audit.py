"""Whether the warehouse equals the source.

The source digests its rows in the snapshot of a batch, and the warehouse digests its current rows
in the transaction that loads the batch: same snapshot, so equality is exact. There are two kinds of
comparison, which are never mixed:

* **whole**: all rows of a table. Small tables are compared with every batch, whether it changed
  them or not; all tables at least once an hour, with an audit object of the lake if no batch was
  due. Only this proves a table.
* **touched**: in a table too large for that, the rows of the keys in a batch.

Rows in quarantine make a table differ. So that they cannot hide another difference, the source then
also digests the rows without their keys. If the table still differs, it is read in full again.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Mapping
from dataclasses import replace

from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES, Kind, StarTable
from totesys_dagster.errors import LoadError
from totesys_dagster.lake.audits import SourceAudit
from totesys_dagster.lake.digest import COUNT_AND_DIGEST, covers, hash_of_row, not_among
from totesys_dagster.lake.log import TOTESYS
from totesys_dagster.lake.manifest import Digest, Manifest, StarEntry
from totesys_dagster.postgres.sessions import Connection, Names, failures, transaction
from totesys_dagster.warehouse import calendar, state
from totesys_dagster.warehouse.quarantine import Quarantine, quarantine_of
from totesys_dagster.warehouse.standing import Audit, read_in_vain, record, standings


def audit_batch(
    connection: Connection,
    names: Names,
    manifest: Manifest,
    staged: Mapping[str, sql.Identifier],
    not_comparable: Collection[str] = (),
) -> None:
    """Compare all tables with what the manifest says, and record the outcome.

    `staged` names the temporary table of each table whose rows were staged. Tables that are
    `not_comparable` have rows of another declaration. Runs in the batch's transaction. Raises
    LoadError or psycopg.Error.
    """
    found: Audit | None
    for star in _comparable(not_comparable):
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
            record(connection, names, found)


def audit_source(
    connection: Connection, names: Names, source: SourceAudit
) -> Mapping[str, Audit] | None:
    """Compare all tables with an audit object, and record the outcome.

    Returns it by table; None if the warehouse is not at the batch that was the last at that time,
    so it cannot be compared. Runs in a transaction under the warehouse's lock.
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
    for star in _comparable(state.not_comparable(state.states(connection, names))):
        entry = source.stars.get(star.name)
        if star.base is None:
            found = _calendar(connection, names, head.sequence, source.sequence, source.observed_at)
        elif entry is None:
            continue
        else:
            in_vain = read_in_vain(connection, names, star, head.sequence)
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
            audits[star.name] = replace(found, audit_sha256=source.sha256)
            record(connection, names, audits[star.name])
    return audits


def _comparable(but: Collection[str]) -> list[StarTable]:
    return [star for star in STAR_TABLES.values() if star.name not in but]


def _calendar(
    connection: Connection, names: Names, sequence: int, audit: int, observed_at: dt.datetime
) -> Audit:
    expected, found = calendar.compare(connection, names)
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
        quarantined=0,
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
    """Compare all current rows with all rows of the source. None if the digest covers other columns
    than the table has, so it says nothing about it."""
    expected = entry.whole
    if not covers(expected, star):
        return None
    found = _digest(connection, _current(connection, names, star, expected))
    equal = found == (expected.rows, expected.digest)
    quarantined = Quarantine(0, ()) if equal else quarantine_of(connection, names, star)
    equal_without = None
    rest = entry.without
    if quarantined.keys and rest and quarantined.are(rest.quarantined) and covers(rest, star):
        current = _current(connection, names, star, rest, rest.quarantined)
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
        quarantined=quarantined.count,
        equal_without=equal_without,
    )


def compare(
    connection: Connection, names: Names, star: StarTable, entry: StarEntry | None, sequence: int
) -> Audit | None:
    """Compare all current rows of a table at batch `sequence` with `entry`, the source's digest of
    that moment, without recording the result; the calendar is compared with a computed one. None if
    there is no digest of the table's present columns. In a transaction. Raises psycopg.Error."""
    if star.base is None:
        now = dt.datetime.now(dt.UTC)
        return _calendar(connection, names, sequence, 0, now)
    if entry is None:
        return None
    return _whole(connection, names, star, entry, sequence, 0, full_read=False)


def moved(
    connection: Connection, names: Names, known: Mapping[str, StarEntry], most_rows: int
) -> list[str]:
    """The tables up to a number of rows that are no longer what their last audit found, because
    somebody has changed them since. All of them if no audit is on record, since each batch leaves
    one. `known` is the source's digests. Raises LoadError.
    """
    last = standings(connection, names)
    if not any(standing.whole for standing in last.values()):
        return list(STAR_TABLES)
    found = []
    now: Audit | None
    with failures(LoadError, "the audit of the warehouse"), transaction(connection):
        for star in _comparable(state.not_comparable(state.states(connection, names))):
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


_CURRENT_ROWS_OF_STAGED = """
SELECT {hash} AS hash
FROM {staging} AS staged CROSS JOIN LATERAL (
    SELECT * FROM {target} AS version WHERE version.{key} = staged.{key} {newest}
) AS fact
WHERE NOT is_deleted
"""


def _touched(
    connection: Connection,
    names: Names,
    star: StarTable,
    manifest: Manifest,
    entry: StarEntry,
    staging: sql.Identifier | None,
) -> Audit | None:
    """Compare the current rows of the keys that the batch brought with the source's rows.

    Rows that the source deleted from a large table are found when its keys are compared; then the
    whole table is compared, too.
    """
    expected = entry.touched
    if expected is None or staging is None or not covers(expected, star):
        return None
    query = sql.SQL(_CURRENT_ROWS_OF_STAGED).format(
        hash=_hash(star, expected),
        key=sql.Identifier(star.key),
        staging=staging,
        target=names.table(star.name),
        newest=sql.SQL("ORDER BY batch_seq DESC LIMIT 1" if star.kind is Kind.FACT else ""),
    )
    found = _digest(connection, query)
    equal = found == (expected.rows, expected.digest)
    return Audit(
        manifest.sequence,
        star.name,
        "touched",
        0,
        manifest.observed_at,
        full_read=False,
        expected_rows=expected.rows,
        found_rows=found[0],
        equal=equal,
        quarantined=0 if equal else quarantine_of(connection, names, star).count,
        equal_without=None,
    )


def _digest(connection: Connection, hashes: sql.Composable) -> tuple[int, str]:
    """The count and digest of the rows whose hashes a query returns."""
    query = sql.SQL("SELECT {} FROM ({}) AS hashes").format(
        COUNT_AND_DIGEST.format(sql.Identifier("hash")), hashes
    )
    [(count, digest)] = connection.execute(query).fetchall()
    return count, digest


def _hash(star: StarTable, like: Digest) -> sql.Composable:
    """The hash of a row called `fact`, computed in the same way as those of another digest."""
    return hash_of_row(star, lambda column: sql.Identifier("fact", column.name), like.method)


def _current(
    connection: Connection,
    names: Names,
    star: StarTable,
    like: Digest,
    quarantined: Collection[int] = (),
) -> sql.Composable:
    """A query for the hashes of the current rows, except those of some keys.

    If all versions are of one batch, no two share a key. Otherwise each version is hashed before
    sorting, which takes half the time of sorting whole rows. A join with the later versions, as in
    the views `current_*`, is as fast; but with statistics from when a fact had few rows, PostgreSQL
    expected none, and chose a nested loop over 100 million pairs for 10,000 facts.
    """
    fragments = {
        "hash": _hash(star, like),
        "table": names.table(star.name),
        "key": sql.Identifier("fact", star.key),
        "others": sql.SQL("TRUE"),
    }
    if quarantined:
        fragments["others"] = not_among(fragments["key"], quarantined)
    query = sql.SQL("SELECT min(sequence) = max(sequence) FROM {} WHERE star = %s").format(
        names.ledger("batch_table")
    )
    [(one_batch,)] = connection.execute(query, [star.name]).fetchall()
    if star.kind is not Kind.FACT or one_batch:
        return sql.SQL(
            "SELECT {hash} AS hash FROM {table} AS fact WHERE NOT is_deleted AND {others}"
        ).format(**fragments)
    return sql.SQL(
        """
        SELECT hash FROM (
            SELECT DISTINCT ON ({key}) {hash} AS hash, is_deleted
            FROM {table} AS fact WHERE {others} ORDER BY {key}, batch_seq DESC
        ) AS latest
        WHERE NOT is_deleted
        """
    ).format(**fragments)
