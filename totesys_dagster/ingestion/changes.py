"""What changed in the source since the last batch.

Changes are found by transaction id: a row is recent when `xmin`, the transaction that wrote it, is
not older than the oldest one that was still running at the previous snapshot (the watermark).
Timestamps play no part: ToteSys edits rows without touching `last_updated`, and a row's timestamp
says nothing about when its transaction committed.

Some changes leave no recent row. Deletions, and rows that appear without a transaction id, are
found by comparing keys; changes to PostgreSQL's catalogue by its fingerprint; the rest by digests
of all rows (`digests.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES, StarTable
from totesys_dagster.errors import LakeError, LakeUnusableError
from totesys_dagster.ingestion import digests, identity, scans
from totesys_dagster.ingestion.known import Known
from totesys_dagster.ingestion.source_view import SourceView
from totesys_dagster.lake import key_ranges, key_sets
from totesys_dagster.lake.digest import covers
from totesys_dagster.lake.key_ranges import Ranges
from totesys_dagster.lake.key_sets import KeySet
from totesys_dagster.lake.manifest import (
    Digest,
    Incarnation,
    Manifest,
    RecentRows,
    TableEntry,
)

# Above this many rows, a table's keys and digest are compared only once per WHOLE_EVERY, or sooner
# if the server has counted deletions.
LARGE_TABLE_ROWS = 100_000
WHOLE_EVERY = dt.timedelta(hours=1)
WHOLE_AFTER_DELETES = dt.timedelta(minutes=5)
# How much the clocks of the servers behind one address may differ.
CLOCKS_DIFFER = dt.timedelta(minutes=1)

# Why a table is read in full.
FIRST = "it is the first batch"
OTHER_HISTORY = "the source is another server or was restored"
NEW_TABLE = "the table is new in the catalogue"
RESHAPED = "its declaration in the source changed"
REQUESTED = "it was asked for"
APPEARED = "rows appeared in it without a transaction id"
ALTERED = "rows changed in it without a transaction id"
DELETED = "rows of it were deleted"
MAYBE_DELETED = "rows of it may have been deleted"

NOTHING: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True)
class KeysSeen:
    """When a poll last found the keys of a table unchanged, by the source's clock, and how many
    deletions the server had counted by then."""

    at: dt.datetime
    deletions: int


NEVER: Mapping[str, KeysSeen] = MappingProxyType({})


@dataclass(frozen=True)
class TableState:
    """The findings about one table.

    `reason` says why it must be read in full; it is empty if it need not be. `ctids` has the ctid
    of each changed row; None if there are too many. `ranges` is None if the table's keys were not
    read this time. `inserted` and `gone` count the keys that the last batch did not have, and those
    that only it had. `deleted` is empty if `reconcile` is set: then every key that is not in
    `ranges` was deleted.
    """

    table: str
    reason: str
    rows_changed: bool
    ctids: tuple[str, ...] | None
    ranges: Ranges | None
    inserted: int | None
    gone: int
    deleted: Ranges
    reconcile: bool
    recent: RecentRows

    @property
    def full(self) -> bool:
        return bool(self.reason)

    @property
    def changed(self) -> bool:
        return self.full or self.reconcile or self.rows_changed or bool(self.deleted)


@dataclass(frozen=True)
class Findings:
    """The findings about each table, and the digests computed along the way, by star table.

    `source` is what to record about the database that was read.
    """

    states: Mapping[str, TableState]
    digests: Mapping[str, Digest]
    source: Incarnation

    @property
    def changed(self) -> list[str]:
        """The tables that changed since the last batch."""
        return [name for name, state in self.states.items() if state.changed]

    @property
    def read(self) -> list[tuple[str, TableState]]:
        """The tables whose keys were read this time."""
        return [(name, state) for name, state in self.states.items() if state.ranges is not None]


def is_large(view: SourceView, table: str) -> bool:
    """Whether a table is too large to be compared as a whole in each batch."""
    return view.schemas[table].estimated_rows > LARGE_TABLE_ROWS


def is_due(view: SourceView, since: dt.datetime, after: dt.timedelta) -> bool:
    """Whether that much time has passed by the source's clock. If the clock went back, that is
    unknown, so it is due."""
    return not -CLOCKS_DIFFER <= view.observed_at - since < after


def deletions(view: SourceView, head: Manifest | None, table: str) -> int:
    """How many deletions the server has counted; on a replica, which counts none, as in `head`."""
    if view.snapshot.replica and head is not None and table in head.tables:
        return head.tables[table].keys.deletions
    return view.schemas[table].deletions


def examine(
    view: SourceView,
    known: Known,
    read_keys: Callable[[KeySet], Ranges],
    *,
    full: Mapping[str, str] = NOTHING,
    idle: Collection[str] = (),
    keys_seen: Mapping[str, KeysSeen] = NEVER,
    deletions_at_once: bool = False,
    whole: bool = False,
    digested: bool = True,
    glance: bool = False,
) -> Findings:
    """Compare every table with what the lake says about it.

    `read_keys` reads a key set of the lake; `full` names tables to read in full in any case, each
    with the reason. For a poll, `idle` names tables to skip unless something else asks for them, or
    counted deletions must be searched for, and `keys_seen` says when the keys of a table were last
    found unchanged. With `deletions_at_once`, all counted deletions are searched for. Without
    `digested`, no rows are digested, and what only an audit can find is left to the audit. With
    `whole`, large tables are compared as a whole, too. With `glance`, the scan of a large table may
    stop at the first changed row. Raises SourceError, or what `read_keys` raises.
    """
    head = known.head
    if head is None or not identity.comparable(head, view.identity, known.audit):
        reason = FIRST if head is None else OTHER_HISTORY
        states = {
            name: _first(view, name, reason, _keys_before(head, name, read_keys, reason))
            for name in SOURCE_TABLES
        }
        return Findings(states, {}, identity.recorded(None, view.identity))
    source = identity.recorded(known.incarnation, view.identity)
    whole = whole or (digested and _restarted(view, known))
    states = {}
    for name in SOURCE_TABLES:
        reason, seen = _reason(view, head, name, full), keys_seen.get(name)
        if not (reason or whole or _search_due(view, known, name, seen)) and name in idle:
            continue
        if name not in head.tables:
            states[name] = _first(view, name, reason)
            continue
        due = whole or bool(reason) or _keys_due(view, known, name, seen, at_once=deletions_at_once)
        due = due or (digested and _rewritten(view, known, name))
        if due or not glance:
            states[name] = _compare(view, name, head, read_keys, reason=reason, due=due)
        else:
            states[name] = _glance(view, name, head)
    if not digested:
        return Findings(states, {}, source)
    states, taken = _digested(view, known, states, read_keys)
    return Findings(states, taken, source)


def _reason(view: SourceView, head: Manifest, table: str, full: Mapping[str, str]) -> str:
    """Why a table must be read in full, as far as that is known without reading any row."""
    entry = head.tables.get(table)
    if entry is None:
        return NEW_TABLE
    if view.schemas[table].sha256 != entry.schema_sha256:
        return RESHAPED
    return full.get(table, "")


def _restarted(view: SourceView, known: Known) -> bool:
    return known.incarnation is not None and identity.restarted(known.incarnation, view.incarnation)


def _first(view: SourceView, table: str, reason: str, before: Ranges | None = ()) -> TableState:
    """A table of which no row is known; `before` are the keys that another source had, None if
    they are lost."""
    _, left, _ = scans.recent_rows(view, table, view.snapshot.xmin)
    ranges = scans.key_ranges(view, table)
    return TableState(
        table,
        reason=reason,
        rows_changed=True,
        ctids=None,
        ranges=ranges,
        inserted=None if before is None else key_ranges.count(key_ranges.subtract(ranges, before)),
        gone=key_ranges.count(key_ranges.subtract(before or (), ranges)),
        deleted=(),
        reconcile=True,
        recent=left,
    )


def _compare(
    view: SourceView,
    table: str,
    head: Manifest,
    read_keys: Callable[[KeySet], Ranges],
    *,
    reason: str,
    due: bool,
) -> TableState:
    entry, watermark = head.tables[table], head.snapshot.xmin
    met, left, ctids = scans.recent_rows(view, table, watermark)
    rows_changed = met.rows > 0 and met != entry.recent
    ranges = scans.key_ranges(view, table) if due else None
    missed = _missed(entry)
    inserted, deleted = None if ranges is None else 0, []
    if ranges is not None and key_sets.hash_of(ranges) != entry.keys.sha256:
        before = _keys_before(head, table, read_keys, reason)
        appeared = key_ranges.subtract(ranges, before or ())
        inserted = None if before is None else key_ranges.count(appeared)
        deleted = key_ranges.subtract(before or (), ranges)
        # Rows that came between two reads are no longer recent: only digests find them.
        if appeared and not reason and not missed:
            written = scans.key_ranges(view, table, scans.written(table, watermark, ctids))
            reason = APPEARED if key_ranges.subtract(appeared, written) else ""
    reconcile = bool(reason) or (missed and ranges is not None)
    return TableState(
        table,
        reason=reason,
        rows_changed=rows_changed,
        ctids=ctids,
        ranges=ranges,
        inserted=inserted,
        gone=key_ranges.count(deleted),
        deleted=() if reconcile else deleted,
        reconcile=reconcile,
        recent=left,
    )


def _keys_before(
    head: Manifest | None, table: str, read_keys: Callable[[KeySet], Ranges], reason: str
) -> Ranges | None:
    """The keys of a table in the last batch. None if they are lost, but the table is read in full:
    then they would only be counted. Raises LakeError."""
    if head is None or table not in head.tables:
        return ()
    try:
        return read_keys(head.tables[table].keys)
    except LakeUnusableError:
        raise
    except LakeError as error:
        if reason:
            return None
        raise LakeError(
            f"{str(error).removesuffix('.')}; if it is lost for good, run `totesys run --full"
            f" {table}`, which does without it."
        ) from None


def _glance(view: SourceView, table: str, head: Manifest) -> TableState:
    """Whether rows changed in a table whose keys need not be read, and nothing more."""
    seen = head.tables[table].recent
    return TableState(
        table,
        reason="",
        rows_changed=scans.has_new_rows(view, table, head.snapshot.xmin, seen),
        ctids=None,
        ranges=None,
        inserted=None,
        gone=0,
        deleted=(),
        reconcile=False,
        recent=seen,
    )


def _missed(entry: TableEntry) -> bool:
    """Whether a row may have come and gone between two reads of a large table's keys, so that
    neither has it: then the warehouse's keys must be reconciled.

    The table need not be large any more: a TRUNCATE sets its estimated size to zero.
    """
    return entry.last_changed > entry.keys.sequence


def unreconciled(known: Known) -> list[str]:
    """The tables whose keys a batch must compare before an audit can refer to the last batch."""
    tables = known.head.tables if known.head else {}
    return [name for name in SOURCE_TABLES if name in tables and _missed(tables[name])]


def _keys_due(
    view: SourceView, known: Known, table: str, seen: KeysSeen | None, *, at_once: bool
) -> bool:
    """Whether the keys of a table must be read; those of a small one always."""
    if not is_large(view, table):
        return True
    if _counted(view, known, table, seen) and at_once:
        return True
    return _search_due(view, known, table, seen) or is_due(
        view, _keys_read_at(known, table, seen), WHOLE_EVERY
    )


def keys_seen(view: SourceView, known: Known, findings: Findings) -> dict[str, KeysSeen]:
    """What the keys that were read say to the next poll, if they were unchanged."""
    return {
        name: KeysSeen(view.observed_at, deletions(view, known.head, name))
        for name, _ in findings.read
    }


def search_in(
    view: SourceView, known: Known, keys_seen: Mapping[str, KeysSeen]
) -> dt.timedelta | None:
    """How long until deletions must be searched for that the server has counted in large tables;
    None if it has counted none since the keys of these were read."""
    tables = known.head.tables if known.head else {}
    waits = [
        _search_in(view, known, name, keys_seen.get(name))
        for name in SOURCE_TABLES
        if name in tables
    ]
    return min((wait for wait in waits if wait is not None), default=None)


def _search_due(view: SourceView, known: Known, table: str, seen: KeysSeen | None) -> bool:
    return _search_in(view, known, table, seen) == dt.timedelta(0)


def _search_in(
    view: SourceView, known: Known, table: str, seen: KeysSeen | None
) -> dt.timedelta | None:
    if not is_large(view, table) or not _counted(view, known, table, seen):
        return None
    since = _keys_read_at(known, table, seen)
    if is_due(view, since, WHOLE_AFTER_DELETES):
        return dt.timedelta(0)
    return since + WHOLE_AFTER_DELETES - view.observed_at


def _counted(view: SourceView, known: Known, table: str, seen: KeysSeen | None) -> bool:
    """Whether the server has counted deletions since the keys of a table were read; a replica
    counts none."""
    assert known.head is not None
    if view.snapshot.replica or table not in known.head.tables:
        return False
    keys = known.head.tables[table].keys
    is_newer = seen is not None and seen.at > keys.observed_at
    before = seen.deletions if seen and is_newer else keys.deletions
    return before != deletions(view, known.head, table)


def _keys_read_at(known: Known, table: str, seen: KeysSeen | None) -> dt.datetime:
    at = known.compared_at(table)
    return max(at, seen.at) if seen else at


def _rewritten(view: SourceView, known: Known, table: str) -> bool:
    """Whether a table is stored in other files than when it was last compared as a whole."""
    return view.schemas[table].storage != known.storage(table)


def _digested(
    view: SourceView,
    known: Known,
    states: dict[str, TableState],
    read_keys: Callable[[KeySet], Ranges],
) -> tuple[dict[str, TableState], dict[str, Digest]]:
    """Digest the stars without changes whose tables were compared as a whole.

    If a digest differs from the previous one, rows changed without a transaction id, and the tables
    behind it are read in full.
    """
    taken: dict[str, Digest] = {}
    altered: set[str] = set()
    for star in STAR_TABLES.values():
        if star.base is None or not is_whole(star, states) or _touched(star, states):
            continue
        taken[star.name] = digests.whole(view, star)
        if not _agree(taken[star.name], known, star):
            altered.update(star.sources)
    if not altered:
        return states, taken
    assert known.head is not None
    again = {
        name: _compare(view, name, known.head, read_keys, reason=ALTERED, due=True)
        for name in altered
    }
    return {**states, **again}, taken


def is_whole(star: StarTable, states: Mapping[str, TableState]) -> bool:
    """Whether the base of a star table was compared as a whole, so that it is digested."""
    state = states.get(star.base or "")
    return state is not None and state.ranges is not None


def _touched(star: StarTable, states: Mapping[str, TableState]) -> bool:
    return any(states[name].changed for name in star.sources if name in states)


def _agree(digest: Digest, known: Known, star: StarTable) -> bool:
    """Whether a digest equals the known one, as far as that is still valid.

    It is not if a table changed after it was taken, or if it covers other columns or was computed
    with another method.
    """
    entry = known.stars.get(star.name)
    if entry is None or known.head is None:
        return True
    before = entry.whole
    changed = max(known.head.tables[name].last_changed for name in star.sources)
    if changed > before.sequence or (before.method, before.columns) != (
        digest.method,
        digest.columns,
    ):
        return True
    return (before.rows, before.digest) == (digest.rows, digest.digest)


def audit_in(view: SourceView, known: Known) -> dt.timedelta:
    """How long until the source must be digested if nothing changes in it; zero if it is due.

    It is due if any table's last whole comparison is an hour old or covers other columns than the
    catalogue now has, if a table was rewritten since, or if the server was restarted or was not
    read before.
    """
    if known.head is None:
        return dt.timedelta(0)
    stars = [star for star in STAR_TABLES.values() if star.base]
    if (
        _restarted(view, known)
        or not all(star.name in known.stars and _covers(known, star) for star in stars)
        or any(_rewritten(view, known, name) for name in SOURCE_TABLES)
    ):
        return dt.timedelta(0)
    times = [known.stars[star.name].whole.observed_at for star in stars]
    if is_due(view, min(times), WHOLE_EVERY) or is_due(view, max(times), WHOLE_EVERY):
        return dt.timedelta(0)
    return WHOLE_EVERY - (view.observed_at - min(times))


def _covers(known: Known, star: StarTable) -> bool:
    """Whether the last digest of a star table covers its present columns."""
    return covers(known.stars[star.name].whole, star)
