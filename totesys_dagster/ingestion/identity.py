"""Which database is read, and which history of it.

Transaction ids mean something only within one history of one database. A restored backup, a
promoted replica and a server that lost commits in a crash all look like the database that was read
before, and have handed out other transaction ids since.

* On a primary, the timeline is asked of the write-ahead log that is being written: after a
  failover, `pg_control` shows the old one until the first checkpoint, which takes minutes.
* On a replica, `pg_control` is all that a role may read of the timeline. It is that of the log
  replayed, or an earlier one: another number tells of another history only when it is higher.
* A server that was not read before, one that was started anew and one that recovered from a crash
  may have another history under the same identifier and timeline: a crash hands the ids of
  transactions that were rolled back, or not flushed, out again, and so does a disk that was set
  back. So starts are noted, and after an unknown one all tables are compared as a whole.
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

# What a role may not call, and what a server that is like PostgreSQL does not have, or not now.
REFUSED = (
    errors.InsufficientPrivilege,
    errors.FeatureNotSupported,
    errors.UndefinedFunction,
    errors.ObjectNotInPrerequisiteState,
)

# Transaction ids are compared on a circle of 2^32; half of it, less a margin, is "recent".
LONGEST_GAP = 1_500_000_000

# So many starts are noted: those of a primary and all its replicas, some of them anew.
MOST_SERVERS = 32

# A change token: the whole snapshot is compared, not its xmax, for when an older transaction
# commits after a younger one, xmin and the list of running ones move while xmax stands still. A
# replica does not list them, so there the position of its replay belongs to it.
CHANGE_QUERY = """
SELECT concat_ws('/', current_database(), {started}, pg_current_snapshot(),
                 CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() END)
"""

# The statistics begin anew when the server recovers from a crash. After a backend was killed, it
# does so without a new start, and with the snapshot of before, should no id have been in use.
STARTED = "concat_ws('/', pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time())"
# Earlier servers read a file for that, and may have to wait for it.
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
# What the receiver of the log knows might not be replayed yet.
_OF_REPLICA = (
    STARTED,
    _SYSTEM,
    """greatest((SELECT timeline_id FROM pg_control_checkpoint()),
                (SELECT nullif(min_recovery_end_timeline, 0) FROM pg_control_recovery()))""",
    "pg_last_wal_replay_lsn()::text",
)
_REPLAYED = "CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn()::text END"

# The least that a page of the log has before its first record, and the most. Whether a position at
# the end of a page is given before or after that depends on who is asked.
_LOG_PAGE, _PAGE_HEADER = 8192, 40


class LaggingReplicaError(SourceError):
    """The source has not come as far as what the lake holds, as a replica that lags behind."""


@dataclass(frozen=True)
class Identity:
    """Who answered, in which snapshot, and when by its own clock (UTC).

    `replayed` is a position of the log that the snapshot of a replica has certainly come to, where
    `snapshot.lsn` is one that it has not passed; None on a primary.
    """

    incarnation: Incarnation
    snapshot: Snapshot
    observed_at: dt.datetime
    replayed: str | None = None


def change_token(connection: Connection) -> str:
    """A text that changes whenever any transaction of the server begins or ends to be visible.

    While it stands still, nothing can have changed. Costs a fraction of a millisecond. Where the
    role may not ask for it, no two are alike.
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
    """How far a replica has replayed the log by now, to be asked before its snapshot is taken.

    None where a primary answers, or none. Raises psycopg.Error.
    """
    # Servers tell this by themselves from version 14 on.
    if connection.info.parameter_status("in_hot_standby") == "off":
        return None
    with transaction(connection):
        return cast("str | None", _answers(connection, [_REPLAYED])[0])


def identify(connection: Connection, replayed: str | None = None) -> Identity:
    """Ask within an open transaction. Raises psycopg.Error."""
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
    """The value of each expression, None where the role or the server gives none.

    They are asked together and, if that fails, one by one: any of them may be refused.
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

    Where the system identifier is not known, a server that was not read before may be any.
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
    """Whether the server was not read before, or has started or recovered from a crash since."""
    return not set(now.servers) <= set(before.servers)


def recorded(before: Incarnation | None, now: Identity) -> Incarnation:
    """What is noted of the database that was read, when `before` is of the same history."""
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
    """Whether the transaction ids of batch `head` mean something now; `audit` is that since then.

    They do not in another history, in one that went back (a restore, or a crash that lost
    commits), nor after so many transactions that ages are ambiguous. Raises LaggingReplicaError
    where a replica has not come as far: nothing was lost there, and it catches up. Nor was anything
    lost by a primary that has run all along and shows less than a replica did, as while it waits
    for a synchronous one.
    """
    last = audit or head
    if not same_history(last.source, now):
        return False
    if not _covers(now, last.snapshot):
        found = now.incarnation
        runs_on = bool(found.servers) and not restarted(last.source, found)
        if now.snapshot.replica or (last.snapshot.replica and runs_on):
            raise LaggingReplicaError(
                "The source is behind what was read of it before, as a replica that has not yet"
                f" replayed what batch {head.batch} holds: nothing was captured, and the next poll"
                " tries again; if this stays so, point TOTESYS_SOURCE_DSN to the primary, or to"
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
    """What cannot be asked of the source, as a sentence for `status`; None when all can."""
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
        f"{' and ' if missing[:-1] else ''}{missing[-1]}: that another server or a restored backup"
        " is read is noticed by its start or by what differs, at the latest by the hourly audit;"
        " let its administrator run ingestion/sql/extractor.sql, which grants what is asked for."
    )
