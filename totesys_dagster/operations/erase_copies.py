"""Removes from both zones whatever still has erased values, with all its versions.

It looks at what is stored, and not at what is named: the original of a replaced object, results of
earlier declarations, published pages, part files that a killed capture left, versions under a
delete marker, and files that were being written.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain

from totesys_dagster.catalogue import WAREHOUSE_TABLES, StarTable, revision
from totesys_dagster.errors import LakeError
from totesys_dagster.lake.backend import Copy
from totesys_dagster.lake.bounded import TooManyBytesError, TooManyRowsError, decompress, room
from totesys_dagster.lake.erasures import Erasures
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.receipt import read_receipt
from totesys_dagster.lake.store import Store
from totesys_dagster.operations.erase_plan import Plan
from totesys_dagster.page import newest

_PART = re.compile(r"rows/\w+/batch=(\d{10})/.+")
_RESULT = re.compile(r"(rows|quarantine)/(\w+)/([^/]+)/batch=(\d{10})/.+")
_RECEIPT = re.compile(r"(receipts)/(\w+)/([^/]+)/(\d{10})\.json")


@dataclass(frozen=True)
class Removed:
    """How many objects were removed, and how many of them were older versions or remains."""

    objects: int
    others: int


def remove_from_lake(
    ingestion: Store,
    processed: Store,
    plan: Plan,
    known: Erasures,
    batches: Collection[int],
    stars: Collection[StarTable],
) -> tuple[Removed, Removed]:
    """Remove what has the values of a plan or of earlier erasures in its table. `batches` are those
    whose objects were replaced, `stars` the tables that they are in. The originals come last: as
    long as they are there, nothing counts as erased. Raises LakeError."""
    results = _of_processed(processed, ManifestLog(ingestion), batches, stars)
    of_processed = _remove(processed, chain(results, _pages(processed, plan)))
    return _remove(ingestion, _of_ingestion(ingestion, plan, known)), of_processed


def _remove(store: Store, copies: Iterator[Copy]) -> Removed:
    objects = others = 0
    for copy in [*copies]:
        store.remove(copy)
        objects += copy.newest
        others += not copy.newest
    return Removed(objects, others)


def _pages(store: Store, plan: Plan) -> Iterator[Copy]:
    """The published pages that show names which ToteSys no longer has."""
    if plan.table.name != newest.SHOWN:
        return
    for copy in store.copies(newest.FOLDER):
        sequence = newest.sequence_of(copy.key)
        if sequence is None or sequence < plan.superseded_by:
            page = store.read_copy(copy)
            if page is not None and newest.names_staff(page):
                yield copy


def require_nothing_on_its_way(ingestion: Store, plan: Plan) -> None:
    """Raise LakeError if a batch that is not committed has rows of the plan."""
    for _ in _committed(ingestion, plan):
        pass


def _committed(store: Store, plan: Plan) -> Iterator[Copy]:
    """What is stored of committed batches of the plan's table. Raises LakeError if another one has
    values of the plan: its capture may be about to commit it."""
    end = ManifestLog(store).end()
    for copy in store.copies(f"rows/{plan.table.name}"):
        found = _PART.fullmatch(copy.key)
        if found is None or int(found[1]) <= end:
            yield copy
        elif _holds(store, copy, plan):
            raise LakeError(
                f"Batch {int(found[1])} is being captured, or its capture was cut short, and has"
                f" rows of these keys: run `totesys run --full {plan.table.name}`, then erase"
                " again."
            )


def _of_ingestion(store: Store, plan: Plan, known: Erasures) -> Iterator[Copy]:
    """The originals, and what else has values of the plan and is not what a manifest names."""
    name = plan.table.name
    replaced = {one.removed.key for one in known.removed(name)}
    copies = [*_committed(store, plan)]  # before the manifests, so that none of theirs is missed
    named = {
        known.current(entry).key
        for manifest in ManifestLog(store).after(0)
        if (table := manifest.tables.get(name)) is not None
        for entry in table.objects
    }
    for copy in copies:
        if copy.newest and copy.key in named:
            continue
        if copy.key in replaced or _holds(store, copy, plan):
            yield copy


def _holds(store: Store, copy: Copy, plan: Plan) -> bool:
    """Whether what is stored has values of the plan, or cannot be read: half a file may."""
    data = store.read_copy(copy)
    if data is None:
        return False
    try:
        return plan.holds(decompress(data, room(len(data))))
    except (OSError, ValueError, TooManyBytesError, TooManyRowsError):
        return True


def _of_processed(
    store: Store, log: ManifestLog, batches: Collection[int], stars: Collection[StarTable]
) -> Iterator[Copy]:
    """What the batches became before, by any declaration."""
    named: set[str] = set()
    for manifest in map(log.read, batches):
        for receipt in (read_receipt(store, star, manifest) for star in stars):
            if receipt is not None:
                named |= {entry.key for entry in (*receipt.objects, *receipt.quarantine)}
    revisions = {star.name: revision(star) for star in stars}
    # Not those of tables that are no longer declared, which may have the values, too.
    others = {*WAREHOUSE_TABLES} - revisions.keys()
    for folder, pattern in (("rows", _RESULT), ("quarantine", _RESULT), ("receipts", _RECEIPT)):
        for copy in store.copies(folder):
            found = pattern.fullmatch(copy.key)
            if found is None or found[2] in others or int(found[4]) not in batches:
                continue
            is_receipt = folder == "receipts" and revisions.get(found[2]) == found[3]
            if not is_receipt and not (copy.newest and copy.key in named):
                yield copy
