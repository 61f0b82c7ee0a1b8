"""Erases PII on request, from the lake and the warehouse.

In this order, so that it can be killed and repeated at any point:

1. Write the replacements of the objects with such values.
2. Record them in the log of erasures: from here on, all readers read the replacements.
3. Process the batches again into which the values went, rebuild the tables from them, and let the
   tables be written anew, since PostgreSQL keeps superseded rows.
4. Only then remove the originals, in both zones with all versions (`erase_copies.py`).
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Collection
from dataclasses import dataclass

from totesys_dagster.catalogue import SourceTable, StarTable
from totesys_dagster.errors import LakeError, LoadError
from totesys_dagster.ingestion.known import Known
from totesys_dagster.lake.digest import covers
from totesys_dagster.lake.erasures import Erased, Erasure, ErasureLog, erasures
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.parts import read_lines, write_instead
from totesys_dagster.lake.receipt import touched_stars
from totesys_dagster.lake.store import Store
from totesys_dagster.operations.erase_copies import (
    Removed,
    remove_from_lake,
    require_nothing_on_its_way,
)
from totesys_dagster.operations.erase_plan import Plan, rows_in
from totesys_dagster.operations.erase_plan import plan as plan_again
from totesys_dagster.operations.erase_rows import require_nothing_withdrawn, write_anew
from totesys_dagster.operations.rebuild import only_one, rebuild
from totesys_dagster.operations.renew import outdated
from totesys_dagster.operations.repair import repair
from totesys_dagster.operations.verify_erasures import stars_of, wrong_with
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.waiting import looks
from totesys_dagster.warehouse import ledger
from totesys_dagster.words import counted

# How long to wait for a batch that is being loaded.
CATCH_UP_SECONDS = 60.0


@dataclass(frozen=True)
class Done:
    """The outcome: the batches whose objects are replaced, now or earlier, the tables that were
    rebuilt, and what was removed from each zone."""

    batches: tuple[int, ...]
    stars: tuple[str, ...]
    ingestion: Removed
    processed: Removed


def require_ready(
    connection: Connection, names: Names, ingestion: Store, table: SourceTable, superseded_by: int
) -> None:
    """Raise LakeError or LoadError, with what to do, if nothing can be erased now.

    The warehouse must hold all batches, so that what is rebuilt is what there was. And the newest
    digests of the source must be of rows without the values, as they prove the rebuilt tables.
    """
    log = ManifestLog(ingestion)
    for _ in looks("the warehouse to load the batches on their way", CATCH_UP_SECONDS, 1.0):
        if is_ready := ledger.check_log(connection, names, log) == log.end():
            break
    if not is_ready or outdated(connection, names):
        raise LoadError(
            "The warehouse is not up to date with the lake: run `totesys run`, then erase again;"
            " nothing was erased."
        )
    require_nothing_withdrawn(connection, names, stars_of(table.name))
    known = Known.of(ingestion).stars
    for star in stars_of(table.name):
        entry = known.get(star.name)
        if entry and covers(entry.whole, star) and entry.whole.sequence < superseded_by:
            raise LoadError(
                f"{star.name} was last compared with ToteSys as of batch {entry.whole.sequence},"
                f" when ToteSys still had these values: run `totesys audit`, then erase again;"
                " nothing was erased."
            )


def erase(
    connection: Connection,
    names: Names,
    ingestion: Store,
    processed: Store,
    plan: Plan,
    *,
    quarantine_limit: int,
    progress: Callable[[str], object] = lambda _: None,
) -> Done:
    """Carry out a plan, and complete what earlier erasures in its table have left undone.

    Raises LakeError, LoadError or ProcessingError; what is done by then is done, and running it
    again completes it. Raises RebuildRunningError if another erasure is running.
    """
    with only_one(connection, names, "erasure"):
        require_ready(connection, names, ingestion, plan.table, plan.superseded_by)
        require_nothing_on_its_way(ingestion, plan)
        if plan_again(ManifestLog(ingestion), plan.table.name, plan.keys).due != plan.due:
            raise LakeError(
                "A batch brought other values meanwhile: run the command again; nothing was erased."
            )
        if plan.due:
            progress(f"Writing {counted(len(plan.objects), 'replacement')}")
            _record(ingestion, plan)
        return _complete(connection, names, ingestion, processed, plan, quarantine_limit, progress)


def _complete(
    connection: Connection,
    names: Names,
    ingestion: Store,
    processed: Store,
    plan: Plan,
    quarantine_limit: int,
    progress: Callable[[str], object],
) -> Done:
    """Bring both zones and the warehouse to what the log of erasures says of the plan's table."""
    known = erasures(ingestion, now=True)
    _require_genuine(ingestion, known.of(plan.table.name))
    batches = sorted({one.sequence for one in known.removed(plan.table.name)})
    stars = stars_of(plan.table.name) if batches else []
    for sequence in batches:
        progress(f"Processing batch {sequence} again")
        _process_again(ingestion, processed, stars, sequence)
    if stars:
        progress(f"Rebuilding {', '.join(star.name for star in stars)}")
        rebuild(
            connection,
            names,
            ingestion,
            processed,
            quarantine_limit=quarantine_limit,
            only=stars,
        )
    write_anew(connection, names, stars, plan.table)
    progress("Removing the originals")
    removed = remove_from_lake(ingestion, processed, plan, known, batches, stars)
    return Done(tuple(batches), tuple(star.name for star in stars), *removed)


def _record(ingestion: Store, plan: Plan) -> None:
    """Write the replacements, and then the record that names them."""
    log = ErasureLog(ingestion)
    before = log.head()  # first: a record that comes after it makes this one conflict
    known = erasures(ingestion, now=True)
    objects = tuple(
        Erased(removed=known.current(entry), replacement=_write(ingestion, plan, sequence, entry))
        for sequence, entry in plan.objects
    )
    log.write(
        Erasure(
            sequence=before.sequence + 1 if before else 1,
            previous_sha256=before.sha256 if before else None,
            erased_at=dt.datetime.now(dt.UTC),
            table=plan.table.name,
            keys=tuple(sorted({version.key for version in plan.due})),
            columns=dict(plan.columns),
            superseded_by=plan.superseded_by,
            objects=objects,
        )
    )


def _write(ingestion: Store, plan: Plan, sequence: int, entry: ObjectEntry) -> ObjectEntry:
    """Write what replaces an object."""
    lines = read_lines(ingestion, entry).split(b"\n")
    for found in rows_in(ingestion, entry, plan.table, plan.keys):
        if blanks := plan.blanks_of(found.key, sequence, found.values):
            lines[found.number] = found.with_values(blanks)
    return write_instead(ingestion, entry, b"\n".join(lines))


def _require_genuine(ingestion: Store, records: Collection[Erasure]) -> None:
    """Raise LakeError if a record replaces other values than those it says, as far as the originals
    are still there: what is removed now could not be restored."""
    for record in records:
        for wrong in wrong_with(ingestion, record):
            raise LakeError(
                f"Erasure {record.sequence} {wrong}: it was not recorded by totesys_dagster, or"
                " was changed after it was written; nothing was removed."
            )


def _process_again(
    ingestion: Store, processed: Store, stars: Collection[StarTable], sequence: int
) -> None:
    """Process a batch again, and let the results take the place of the earlier ones."""
    touched = touched_stars(ManifestLog(ingestion).read(sequence))
    repair(ingestion, processed, [(sequence, star.name) for star in touched if star in stars])
