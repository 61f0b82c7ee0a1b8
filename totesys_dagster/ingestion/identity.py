"""Which database is read, and which history of it.

Transaction ids mean something only within one history of one database. A restored backup, a
promoted replica and a server that lost commits in a crash all look like the database that was read
before, but have since assigned other transaction ids.

* On a primary, the timeline is that of the write-ahead log being written: after a failover,
  `pg_control` shows the old one until the first checkpoint, which takes minutes.
* On a replica, a role can read the timeline only from `pg_control`. It is that of the replayed log,
  or an earlier one: another number means another history only if it is higher.
* A server that was not read before, was restarted or recovered from a crash may have another
  history under the same identifier and timeline: a crash assigns the ids of transactions that were
  rolled back, or not flushed, again, and so does a disk reset to an earlier state. So starts are
  recorded, and after an unknown one all tables are compared as a whole.
"""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from psycopg import errors

from totesys_dagster.errors import SourceError
from totesys_dagster.lake.audits import SourceAudit
from totesys_dagster.lake.manifest import Incarnation, Manifest, Snapshot
from totesys_dagster.postgres.sessions import Connection, failures, one, transaction

# A role may not call something, or a PostgreSQL-like server does not have it, or not now.
REFUSED = (
    errors.InsufficientPrivilege,
    errors.FeatureNotSupported,
    errors.UndefinedFunction,
    errors.ObjectNotInPrerequisiteState,
)

# Transaction ids are compared on a circle of 2^32; half of it, less a margin, is "recent".
LONGEST_GAP = 1_500_000_000

# How many starts are recorded: those of a primary and all its replicas, and some restarts.
MOST_SERVERS = 32

# The change token: compare the whole snapshot, not only its xmax. When an older transaction commits
# after a younger one, xmin and the list of running ones move, but xmax stands still. A replica does
# not list running transactions, so its replay position is part of the token.
CHANGE_QUERY = """
SELECT concat_ws('/', current_database(), {started}, pg_current_snapshot(),
                 CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END)
"""

# The statistics are reset when the server recovers from a crash. After a backend was killed, it
# recovers without a new start time and, if no id was in use, with the same snapshot. Earlier
STARTED = "concat_ws('/', pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time())"
# servers read a file for the statistics, and may have to wait for it.
CHEAP_STATISTICS_SINCE = 150000

_WHO = """
SELECT current_database(),
       (SELECT oid::bigint FROM pg_database WHERE datname = current_database()),
       current_setting('server_version_num')::int,
       pg_snapshot_xmin(pg_current_snapshot())::text::bigint,
       pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
       ARRAY(SELECT pg_snapshot_xip(pg_current_snapshot())::text::bigint),
       clock_timestamp(),
       pg_is_in_recovery()
"""

_SYSTEM = "(SELECT system_identifier::text FROM pg_control_system())"
_OF_PRIMARY = (
    STARTED,
    _SYSTEM,
    "('x' || left(pg_walfile_name(pg_current_wal_lsn()), 8))::bit(32)::int",
    "pg_current_wal_lsn()::text",
)
# Not from the WAL receiver: what it knows may not be replayed yet.
_OF_REPLICA = (
    STARTED,
    _SYSTEM,
    """greatest((SELECT timeline_id FROM pg_control_checkpoint()),
                (SELECT nullif(min_recovery_end_timeline, 0) FROM pg_control_recovery()))""",
    "pg_last_wal_replay_lsn()::text",
)
_REPLAYED = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text END"

# The least and the most that a page of the log has before its first record. Whether a position at
# the end of a page includes that depends on the function.
_LOG_PAGE, _PAGE_HEADER = 8192, 40


class LaggingReplicaError(SourceError):
    """The source is behind the lake, for instance because it is a lagging replica."""


@dataclass(frozen=True)
class Identity:
    """Which server answered, in which snapshot, and when by its own clock (UTC).

    `replayed` is a position of the log that a replica's snapshot has certainly reached, while
    `snapshot.lsn` is one that it has not passed; None on a primary.
    """

    incarnation: Incarnation
    snapshot: Snapshot
    observed_at: dt.datetime
    replayed: str | None = None


def change_token(connection: Connection) -> str:
    """A text that changes whenever the visibility of any of the server's transactions changes.

    While it stands still, nothing can have changed. Costs a fraction of a millisecond. If the role
    may not query it, no two are alike.
    """
    cheap = connection.info.server_version >= CHEAP_STATISTICS_SINCE
    query = CHANGE_QUERY.format(started=STARTED if cheap else "pg_postmaster_start_time()")
    with failures(SourceError, "a poll of the source"):
        try:
            with transaction(connection):
                row = one(connection, query.encode())
        except REFUSED:
            return str(uuid.uuid4())
    return str(row[0])


def replayed(connection: Connection) -> str | None:
    """How far a replica has replayed the log, to be queried before its snapshot is taken.

    None for a primary, or if the server does not tell. Raises psycopg.Error.
    """
    # From version 14 on, servers report this without a query.
    if connection.info.parameter_status("in_hot_standby") == "off":
        return None
    with transaction(connection):
        return cast("str | None", _answers(connection, [_REPLAYED])[0])


def identify(connection: Connection, replayed: str | None = None) -> Identity:
    """Query the identity within an open transaction. Raises psycopg.Error."""
    row = one(connection, _WHO)
    database, oid, version, xmin, xmax, running, observed_at, replica = row
    started, system, timeline, lsn = _answers(connection, _OF_REPLICA if replica else _OF_PRIMARY)
    return Identity(
        Incarnation(
            system_identifier=system,
            timeline=timeline,
            database=database,
            database_oid=oid,
            server_version=version,
            servers=(started,) if started else (),
        ),
        Snapshot(xmin=xmin, xmax=xmax, running=tuple(running), lsn=lsn, replica=replica),
        observed_at,
        replayed,
    )


def _answers(connection: Connection, expressions: Sequence[str]) -> tuple[Any, ...]:
    """The value of each expression; None if the role or the server cannot provide it.

    They are queried together and, if that fails, one by one: any of them can be refused.
    """
    try:
        with connection.transaction():
            row = one(connection, f"SELECT {', '.join(expressions)}".encode())
    except REFUSED:
        if len(expressions) == 1:
            return (None,)
        return tuple(value for one in expressions for value in _answers(connection, [one]))
    return row


def same_history(before: Incarnation, now: Identity) -> bool:
    """Whether transaction ids of `before` mean the same in `now`, as far as can be known.

    If the system identifier is unknown, a server that was not read before can be any server.
    """
    found = now.incarnation
    if None in (before.system_identifier, found.system_identifier) and restarted(before, found):
        return False
    if None not in (before.timeline, found.timeline):
        assert before.timeline is not None
        assert found.timeline is not None
        if found.timeline > before.timeline:
            return False
        if found.timeline < before.timeline and not now.snapshot.replica:
            return False
    return all(
        None in (one, other) or one == other
        for one, other in (
            (before.system_identifier, found.system_identifier),
            (before.database, found.database),
            (before.database_oid, found.database_oid),
        )
    )


def restarted(before: Incarnation, now: Incarnation) -> bool:
    """Whether the server was not read before, or has since restarted or recovered from a crash."""
    return not set(now.servers) <= set(before.servers)


def recorded(before: Incarnation | None, now: Identity) -> Incarnation:
    """What to record about the database that was read. `before` is of the same history."""
    found = now.incarnation
    if before is None:
        return found
    servers = found.servers
    if servers:
        others = (server for server in before.servers if server not in servers)
        servers = (*others, *servers)[-MOST_SERVERS:]
    timeline = found.timeline
    if now.snapshot.replica and timeline is not None:
        timeline = max(timeline, before.timeline or timeline)
    return found.model_copy(update={"servers": servers, "timeline": timeline})


def comparable(head: Manifest, now: Identity, audit: SourceAudit | None = None) -> bool:
    """Whether the transaction ids of batch `head` still mean something; `audit` is that since then.

    They do not in another history, in one that went back (a restore, or a crash that lost commits),
    or after so many transactions that ages are ambiguous. Raises LaggingReplicaError if a replica
    is behind: nothing was lost there, and it will catch up. Neither has a primary lost anything
    that has run all along and shows less than a replica did, for instance while it waits for a
    synchronous one.
    """
    last = audit or head
    if not same_history(last.source, now):
        return False
    if not _covers(now, last.snapshot):
        found = now.incarnation
        runs_on = bool(found.servers) and not restarted(last.source, found)
        if now.snapshot.replica or (last.snapshot.replica and runs_on):
            raise LaggingReplicaError(
                "The source is behind what was read from it before, like a replica that has not yet"
                f" replayed what batch {head.batch} holds: nothing was captured, and the next poll"
                " tries again; if this persists, point TOTESYS_SOURCE_DSN to the primary, or to"
                " one replica that keeps up with it."
            )
        return False
    return now.snapshot.xmax - head.snapshot.xmin <= LONGEST_GAP


def _covers(now: Identity, last: Snapshot) -> bool:
    """Whether every transaction that `last` could see is in the snapshot of `now`, too."""
    if not now.snapshot.covers(last):
        return False
    if now.snapshot.replica and now.snapshot.xmin >= last.xmax:
        return True  # all of them have ended
    position = now.replayed or now.snapshot.lsn
    if position is None or last.lsn is None:
        return True
    return _position(position) >= _position(last.lsn)


def _position(lsn: str) -> int:
    """A position in the write-ahead log, such as 0/3604000, as a number of bytes."""
    high, low = (int(part, 16) for part in lsn.split("/"))
    position = (high << 32) + low
    within = position % _LOG_PAGE
    return position - within if within <= _PAGE_HEADER else position


def unknown(incarnation: Incarnation) -> str | None:
    """A sentence for `status` about what the source does not reveal; None if it reveals all."""
    missing = [
        what
        for what, value in (
            ("its system identifier", incarnation.system_identifier),
            ("its timeline", incarnation.timeline),
            ("when it was started", incarnation.servers or None),
        )
        if value is None
    ]
    if not missing:
        return None
    return (
        f"The source does not tell its role {', '.join(missing[:-1])}"
        f"{' and ' if missing[:-1] else ''}{missing[-1]}: another server or a restored backup is"
        " noticed by its start or by what differs, at the latest by the hourly audit;"
        " let its administrator run ingestion/sql/extractor.sql, which grants the role access."
    )
