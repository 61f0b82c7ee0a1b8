"""A poll of the source: whether anything changed since the last batch, at the least cost to it.

It asks three questions, each more expensive than the one before. Has any transaction ended? If so,
do the server's counters say that a large table was written to? If so, or if a table is small, does
it have rows that the last batch lacks? No index covers transaction ids, so the last question scans
the table. What a poll remembers for the next one only saves work: without it, everything is
checked.

Only polls rely on counters. A capture reads every table, because the server counts about a second
late, and a batch must not have an order without its payment.
"""

from __future__ import annotations

import datetime as dt
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.errors import SourceError
from totesys_dagster.ingestion import changes, identity, source_view
from totesys_dagster.ingestion.changes import KeysSeen
from totesys_dagster.ingestion.known import Known
from totesys_dagster.lake.audits import AuditLog
from totesys_dagster.lake.manifest import ManifestLog, Snapshot
from totesys_dagster.lake.requests import Requests
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres.sessions import Connection, failures, transaction

# How often every table is checked, whatever change token and counters say: they may be counted only
# after the poll that the transaction's end caused, and until PostgreSQL 14, they could get lost.
THOROUGH_EVERY = dt.timedelta(minutes=5)

# How often to query the change token while waiting for it to change.
LOOK_SECONDS = 0.25

# TRUNCATE and rewrites count no rows, but give the table a new file number. A standby counts
# nothing. After a crash, counters start from zero: they differ, and only a difference matters.
COUNTERS = """
SELECT c.relname, concat_ws('/', pg_relation_filenode(c.oid), s.n_tup_ins, s.n_tup_upd, s.n_tup_del)
FROM pg_class AS c JOIN pg_stat_user_tables AS s ON s.relid = c.oid
WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(%s) AND c.relkind = 'r'
  AND NOT c.relhassubclass -- what is written to a table that inherits is counted there
  AND c.reltuples > %s
  AND current_setting('track_counts')::boolean AND NOT pg_is_in_recovery()
"""


class PollCursor(BaseModel):
    """What a poll passes on to the next one, as of batch `sequence` of the lake.

    `due` is the poll's snapshot if it found changes: its counters apply once a batch covers it.
    `keys_seen` is what is known of keys that were found unchanged, by table. `audit_at` is when an
    audit of the source becomes due, `keys_at` when deletions must be searched for that were counted
    since; None if none were. Times are by the host's clock, except those of `keys_seen`, which are
    by the source's.
    """

    model_config = ConfigDict(frozen=True)

    token: str = ""
    sequence: int = 0
    due: Snapshot | None = None
    counters: dict[str, str] = {}
    keys_seen: dict[str, KeysSeen] = {}
    thorough_at: dt.datetime | None = None
    audit_at: dt.datetime | None = None
    keys_at: dt.datetime | None = None

    def is_due(self, now: dt.datetime) -> bool:
        """Whether there is something to do at `now` though no transaction has ended."""
        return self.audit_at is None or now >= min(self.audit_at, self.keys_at or self.audit_at)

    def idle(self, counters: Mapping[str, str]) -> set[str]:
        """The large tables that nothing was written to since, by the server's counters."""
        return {name for name, count in counters.items() if self.counters.get(name) == count}


@dataclass(frozen=True)
class Poll:
    """`changed` are the tables that made a batch due; the batch may find more.

    `quiet`: nothing was checked, because no transaction has ended since the last poll. `audit_due`:
    nothing changed, but it is time to digest the source. `asked`: a full read was requested, or an
    audit is due that only a batch can make. `whole`: a large table was compared as a whole and has
    changed, which the capture may find only if it does the same.
    """

    changed: list[str]
    cursor: PollCursor
    quiet: bool = False
    audit_due: bool = False
    asked: bool = False
    whole: bool = False


def poll(
    connection: Connection,
    store: Store,
    cursor: PollCursor,
    now: dt.datetime,
    *,
    full: Collection[str] = (),
    deletions_at_once: bool = False,
    whole: bool = False,
) -> Poll:
    """Check whether a batch is due at `now` (UTC). Writes nothing.

    `full` names tables that are to be read in full. With `deletions_at_once`, search for all
    counted deletions in large tables; with `whole`, compare these as a whole. Raises SourceError or
    LakeError.
    """
    log, asked = ManifestLog(store), Requests(store)
    sequence = log.end()
    token = f"{sequence} {asked} {identity.change_token(connection)}"
    thorough = _is_due_for_all(cursor, log, sequence, now)
    if token == cursor.token and not thorough and not cursor.is_due(now):
        return Poll([], cursor, quiet=True)
    known = _known(log, sequence)
    wanted = asked.full_reads(known.head) | dict.fromkeys(full, changes.REQUESTED)
    counters = _counters(connection)  # before the snapshot: the next poll finds later writes
    with source_view.open_view(connection) as view:
        findings = changes.examine(
            view,
            known,
            lambda keys: keys.read(store),
            full=wanted,
            idle=() if thorough else cursor.idle(counters),
            keys_seen=cursor.keys_seen,
            deletions_at_once=deletions_at_once,
            whole=whole,
            digested=thorough or whole,
            glance=True,
        )
    audit_in = changes.audit_in(view, known) if known.answers(asked.without()) else dt.timedelta(0)
    unreconciled = [] if audit_in else changes.unreconciled(known)
    changed = [name for name in SOURCE_TABLES if name in {*findings.changed, *unreconciled}]
    seen = {} if changed else cursor.keys_seen | changes.keys_seen(view, known, findings)
    search_in = changes.search_in(view, known, seen)
    after = PollCursor(
        token="" if changed else token,
        sequence=sequence,
        due=view.snapshot if changed else None,
        counters=counters,
        keys_seen=seen,
        thorough_at=now if thorough else cursor.thorough_at,
        audit_at=now + audit_in,
        keys_at=None if search_in is None else now + search_in,
    )
    return Poll(
        changed,
        after,
        audit_due=not changed and not audit_in,
        asked=bool(wanted or unreconciled),
        whole=any(
            state.changed and name not in full and changes.is_large(view, name)
            for name, state in findings.read
        ),
    )


def _known(log: ManifestLog, sequence: int) -> Known:
    head = log.read(sequence) if sequence else None
    return Known(head, AuditLog(log.store).of_head(head))


def transaction_ends(connection: Connection, cursor: PollCursor, until: float) -> bool:
    """Wait until a transaction has ended since the poll that returned `cursor`. Returns False if
    none has by `until`, a time of the monotonic clock. Raises SourceError."""
    while not _moved(cursor, identity.change_token(connection)):
        left = until - time.monotonic()
        if left <= 0:
            return False
        time.sleep(min(LOOK_SECONDS, left))
    return True


def _moved(cursor: PollCursor, change_token: str) -> bool:
    return not cursor.token.endswith(f" {change_token}")


def changed_tables(
    connection: Connection, store: Store, *, full: Collection[str] = (), whole: bool = False
) -> Poll:
    """A poll without a cursor, which checks every table, and searches for all counted deletions.

    Raises SourceError or LakeError.
    """
    now = dt.datetime.now(dt.UTC)
    return poll(
        connection, store, PollCursor(), now, full=full, deletions_at_once=True, whole=whole
    )


def _is_due_for_all(cursor: PollCursor, log: ManifestLog, sequence: int, now: dt.datetime) -> bool:
    """Whether to check every table, whatever change token and counters say."""
    return (
        cursor.thorough_at is None
        or sequence < cursor.sequence
        or not _captured(cursor.due, log, sequence)
        # If the clock went back, we cannot know how much time has passed.
        or not dt.timedelta(0) <= now - cursor.thorough_at < THOROUGH_EVERY
    )


def _captured(due: Snapshot | None, log: ManifestLog, sequence: int) -> bool:
    """Whether the lake has everything that was counted when a batch was found to be due.

    The next batch may lack it: another capture may have taken its snapshot earlier.
    """
    return due is None or (sequence > 0 and log.read(sequence).snapshot.covers(due))


def _counters(connection: Connection) -> dict[str, str]:
    """The server's counters of each large table, as a text that changes with each write."""
    with failures(SourceError, "a look at the source's counters"), transaction(connection):
        rows = connection.execute(COUNTERS, [list(SOURCE_TABLES), changes.LARGE_TABLE_ROWS])
        return dict(rows.fetchall())
