"""Which database is read, and which history of it.

Transaction ids mean something only within one history of one database. A restored backup, a
promoted replica and a server that lost commits in a crash all look like the database that was read
before, and have handed out other transaction ids since.

* On a primary, the timeline is asked of the WAL that is being written: after a failover,
  `pg_control` shows the old one until the first checkpoint, which takes minutes.
* On a replica, the newest timeline that its role may see counts.
* The start of the server, and its last recovery from a crash, are noted: a crash hands the ids of
  transactions that were rolled back, or not flushed, out again, and a restored disk has the same
  identifier and timeline.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import errors

from totesys_dagster.errors import SourceError
from totesys_dagster.lake.manifest import Incarnation, Manifest, Snapshot
from totesys_dagster.postgres import Connection, failures, transaction

# Transaction ids are compared on a circle of 2^32; half of it, less a margin, is "recent".
LONGEST_GAP = 1_500_000_000

# A change token: the whole snapshot is compared, not its xmax, for when an older transaction
# commits after a younger one, xmin and the list of running ones move while xmax stands still. A
# replica does not list them, so there the position of its replay belongs to it.
PULSE = """
SELECT concat_ws('/', {identifier}, pg_postmaster_start_time(), pg_current_snapshot(),
                 CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END)
"""
IDENTIFIER = "(SELECT system_identifier FROM pg_control_system())"

_WHO = """
SELECT current_database(),
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
       current_setting('server_version_num')::int,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
       ARRAY(SELECT pg_snapshot_xip(pg_current_snapshot())::text::bigint),
       clock_timestamp(),
       pg_is_in_recovery(),
       -- The statistics begin anew when the server recovers from a crash; with a backend that was
       -- killed, it does so without a new start.
       concat_ws('/', pg_postmaster_start_time(), (SELECT stats_reset FROM pg_stat_bgwriter))
"""

_SYSTEM = "(SELECT system_identifier::text FROM pg_control_system())"
_OF_PRIMARY = (
    _SYSTEM,
    "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int",
    "pg_current_wal_lsn()::text",
)
# What a role may read of the timeline differs; the newest that is seen is the one being replayed.
_OF_REPLICA = (
    _SYSTEM,
    """(SELECT greatest((SELECT timeline_id FROM pg_control_checkpoint()),
                      (SELECT nullif(min_recovery_end_timeline, 0) FROM pg_control_recovery()),
                      (SELECT received_tli FROM pg_stat_wal_receiver)))""",
    "pg_last_wal_replay_lsn()::text",
)


class LaggingReplicaError(SourceError):
    """The source is a replica that has not yet replayed what the last batch holds."""


@dataclass(frozen=True)
class Identity:
    """Who answered, in which snapshot, and when by its own clock (UTC)."""

    incarnation: Incarnation
    snapshot: Snapshot
    observed_at: dt.datetime


def pulse(connection: Connection) -> str:
    """A text that changes whenever any transaction of the server begins or ends to be visible.

    While it stands still, nothing can have changed. Costs a fraction of a millisecond.
    """
    with failures(SourceError, "a poll of the source"):
        try:
            return _pulse(connection, IDENTIFIER)
        except errors.InsufficientPrivilege:
            return _pulse(connection, "NULL")


def _pulse(connection: Connection, identifier: str) -> str:
    with transaction(connection):
        row = connection.execute(PULSE.format(identifier=identifier)).fetchone()
    assert row is not None
    return str(row[0])


def identify(connection: Connection) -> Identity:
    """Ask within an open transaction. Raises psycopg.Error."""
    row = connection.execute(_WHO).fetchone()
    assert row is not None
    database, oid, version, xmin, xmax, running, observed_at, replica, started = row
    system, timeline, lsn = _answers(connection, _OF_REPLICA if replica else _OF_PRIMARY)
    return Identity(
        Incarnation(
            system_identifier=system,
            timeline=timeline,
            database=database,
            database_oid=oid,
            server_version=version,
            started=None if replica else started,
        ),
        Snapshot(xmin=xmin, xmax=xmax, running=tuple(running), lsn=lsn, replica=replica),
        observed_at,
    )


def _answers(connection: Connection, expressions: Sequence[str]) -> tuple[Any, ...]:
    """The value of each expression, None where the role or the server gives none.

    They are asked together and, if that fails, one by one: any of them may be refused.
    """
    try:
        with connection.transaction():
            row = connection.execute(f"SELECT {', '.join(expressions)}").fetchone()
    except psycopg.Error:
        if connection.broken:
            raise
        if len(expressions) == 1:
            return (None,)
        return tuple(value for one in expressions for value in _answers(connection, [one]))
    assert row is not None
    return row


def same_history(before: Incarnation, now: Incarnation) -> bool:
    """Whether transaction ids of `before` mean the same in `now`, as far as can be told.

    An upgrade in place keeps them. Where the system identifier is not known, another start of the
    server may be another server.
    """
    if None in (before.system_identifier, now.system_identifier) and restarted(before, now):
        return False
    return all(
        None in (one, other) or one == other
        for one, other in (
            (before.system_identifier, now.system_identifier),
            (before.timeline, now.timeline),
            (before.database, now.database),
            (before.database_oid, now.database_oid),
        )
    )


def restarted(before: Incarnation, now: Incarnation) -> bool:
    """Whether the server was started, or recovered from a crash, in between."""
    return None not in (before.started, now.started) and before.started != now.started


def comparable(head: Manifest, now: Identity) -> bool:
    """Whether the transaction ids of batch `head` mean something now.

    They do not in another history, in one that went back (a restore, or a crash that lost
    commits), nor after so many transactions that ages are ambiguous. Raises LaggingReplicaError
    where a replica has not come as far as the batch: nothing was lost there, and it catches up.
    """
    if not same_history(head.source, now.incarnation):
        return False
    if not now.snapshot.covers(head.snapshot):
        if now.snapshot.replica:
            raise LaggingReplicaError(
                f"The source is a replica that has not replayed yet what batch {head.batch} holds:"
                " nothing was captured, and the next poll tries again; if this stays so, let"
                " TOTESYS_SOURCE_DSN point to one server, not to several of different age."
            )
        return False
    return now.snapshot.xmax - head.snapshot.xmin <= LONGEST_GAP


def unknown(incarnation: Incarnation) -> str | None:
    """What cannot be asked of the source, as a sentence for `status`; None when all can."""
    missing = [
        what
        for what, value in (
            ("its system identifier", incarnation.system_identifier),
            ("its timeline", incarnation.timeline),
        )
        if value is None
    ]
    if not missing:
        return None
    return (
        f"The source does not tell its role {' and '.join(missing)}: that another server or a"
        " restored backup is read is noticed by what differs, at the latest by the hourly audit;"
        " grant the role EXECUTE on pg_control_system() and pg_control_checkpoint() to be sure."
    )
