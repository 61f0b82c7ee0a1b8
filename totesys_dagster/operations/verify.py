"""Checks the lake and the warehouse against each other, from the first batch to the last."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterator
from functools import partial

from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.errors import LakeError, LakeUnusableError, LoadError
from totesys_dagster.feeds.registry import FEEDS
from totesys_dagster.feeds.verify import verify_feed
from totesys_dagster.ingestion.known import Known
from totesys_dagster.lake.audits import AuditLog, SourceAudit
from totesys_dagster.lake.digest import covers
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.requests import Requests
from totesys_dagster.lake.store import Store
from totesys_dagster.lake.verification import Verification
from totesys_dagster.operations.renew import outdated
from totesys_dagster.operations.verify_batch import Batch, Readable, check_batch
from totesys_dagster.operations.verify_erasures import verify_erasures
from totesys_dagster.operations.verify_past import verify_past
from totesys_dagster.parallel import ahead
from totesys_dagster.postgres.sessions import Connection, Names, failures, transaction
from totesys_dagster.warehouse import ledger, state
from totesys_dagster.warehouse.standing import last_source, standings
from totesys_dagster.words import counted

# How many batches are read at the same time. S3 takes time to answer: with 20 ms per answer, we
# read 32 objects a second one by one, and 200 in parallel.
AT_ONCE = 8

# How many batches a nightly verification takes or leaves together.
BLOCK = 1000


def verify(
    connection: Connection,
    names: Names,
    ingestion: Store,
    processed: Store,
    progress: Callable[[int, int], object] = lambda _done, _all: None,
    *,
    blocks: Callable[[int], list[range]] = lambda last: [range(1, last + 1)],
) -> Verification:
    """Walk the log: the hash chain, every object of both zones, erasures, the last audits, and the
    past rows of dimensions.

    `blocks` says which numbers to check, given the last one; by default all of them. Objects that
    cannot be read are findings, not errors. Raises TotesysError if a system cannot be used at all.
    """
    result = Verification()
    loaded = ledger.manifests(connection, names)
    waiting = {star.name for star in outdated(connection, names)} if loaded else set()
    due = blocks(_last(ManifestLog(ingestion), loaded))
    total = sum(map(len, due))
    batches = (
        Batch(previous, manifest, receipts, waiting)
        for block in due
        for receipts in (
            ledger.receipts(connection, names, block.start, block.stop - 1) if loaded else {},
        )
        for previous, manifest in itertools.pairwise(_manifests(ingestion, block))
    )
    check = partial(check_batch, ingestion, processed, loaded)
    for done, checked in enumerate(ahead(check, batches, AT_ONCE), start=1):
        result.add(checked)
        progress(done, total)
    result.add(verify_erasures(ingestion, processed))
    _check_source_audits(result, ingestion, blocks)
    _check_requests(result, ingestion)
    if loaded:
        _check_ledger(result, loaded)
        _check_last_source(result, connection, names, ingestion)
        _check_standings(result, connection, names, ingestion, waiting)
        result.add(verify_past(connection, names, ingestion, processed, due, waiting))
    for feed in FEEDS:
        result.add(verify_feed(connection, names, feed, ingestion, processed))
    # An unreadable erasure is met again at each object that it may have replaced.
    result.findings = [*dict.fromkeys(result.findings)]
    return result


def due_at_night(last: int, limit: int, night: int) -> list[range]:
    """The numbers to verify in a night: all of them, or in a long log some blocks in turn.

    The newest two blocks are due every night. The others are due every second, fourth, eighth …
    night, so about `limit` batches are read at most: reading 365,000 on S3 takes hours.
    """
    blocks = [range(start, min(start + BLOCK, last + 1)) for start in range(1, last + 1, BLOCK)]
    every = 1
    while last > limit * every:
        every *= 2
    return [
        block
        for number, block in enumerate(blocks)
        if number % every == night % every or number >= len(blocks) - 2
    ]


def _manifests(ingestion: Store, block: range) -> Iterator[Readable]:
    """The manifest before the block (None before the first block), then those of the block."""
    if block.start == 1:
        yield None
    numbers = range(max(block.start - 1, 1), block.stop)
    yield from ahead(partial(_read, ingestion), numbers, AT_ONCE)


def _read(ingestion: Store, number: int) -> Manifest | LakeError:
    """The manifest of that number, or why it cannot be read.

    Uses a new log each time: a log caches what it has read, and all batches would fill the memory.
    """
    try:
        return ManifestLog(ingestion).read(number)
    except LakeUnusableError:
        raise
    except LakeError as error:
        return error


def _check_ledger(result: Verification, loaded: Collection[int]) -> None:
    """Check that the ledger has no gap, since batches are loaded in order."""
    for number in sorted({*range(1, max(loaded) + 1)}.difference(loaded)):
        result.findings.append(
            f"Batch {number} is missing from the ledger, although later ones are there: its row was"
            " removed; `totesys rebuild` restores it."
        )


def _last(log: ManifestLog, loaded: Collection[int]) -> int:
    """The last batch, even if its manifest is lost: commit markers and the warehouse know it."""
    number = max(loaded, default=0)
    while any(log.store.exists(key(number + 1)) for key in (log.key, log.marker_key)):
        number += 1
    return number


def _check_source_audits(
    result: Verification, ingestion: Store, blocks: Callable[[int], list[range]]
) -> None:
    """Check the chain of audit objects, and that each belongs to the batch that it names."""
    for block in blocks(AuditLog(ingestion).end()):
        numbers = range(max(block.start - 1, 1), block.stop)
        previous: SourceAudit | LakeError | None = None
        for found in ahead(partial(_read_audit, ingestion), numbers, AT_ONCE):
            result.objects += 1
            if isinstance(found, LakeError):
                result.findings.append(str(found))
            elif not isinstance(previous, LakeError) and found.sequence in block:
                expected = previous.sha256 if previous else None
                if found.previous_sha256 != expected:
                    result.findings.append(
                        f"Audit {found.sequence} of the source does not follow from the previous"
                        " one: one of the two was changed after it was written."
                    )
            previous = found


def _read_audit(ingestion: Store, number: int) -> SourceAudit | LakeError:
    """The audit object of that number, or why it cannot be read or belongs to another batch."""
    try:
        found = AuditLog(ingestion).read(number)
        head = ManifestLog(ingestion).read(found.head.sequence)
    except LakeUnusableError:
        raise
    except LakeError as error:
        return error
    if head.sha256 != found.head.manifest_sha256:
        return LakeError(
            f"Audit {number} of the source was taken after another batch {head.batch} than the one"
            " in the lake: one of the two was changed after it was written."
        )
    return found


def _check_last_source(
    result: Verification, connection: Connection, names: Names, ingestion: Store
) -> None:
    """Check the last audit object that the warehouse was compared with: no later one names its
    hash."""
    last = last_source(connection, names)
    if last is None:
        return
    number, sha256 = last
    found = _read_audit(ingestion, number)
    if isinstance(found, SourceAudit) and found.sha256 != sha256:
        result.findings.append(
            f"Audit {number} of the source is not the one that the warehouse was compared with: it"
            " was changed after it was written; restore it from the bucket's older versions."
        )
    elif isinstance(found, LakeError) and AuditLog(ingestion).end() < number:
        result.findings.append(str(found))


def _waiting(connection: Connection, names: Names, ingestion: Store) -> set[str]:
    """The tables that the next audit will be the first to compare: they were rebuilt, or the source
    has not yet computed a digest over their columns."""
    with failures(LoadError, "a read of the tables' declarations"), transaction(connection):
        renewed = {star for star, found in state.states(connection, names).items() if found.renewed}
    try:
        known = Known.of(ingestion).stars
    except LakeUnusableError:
        raise
    except LakeError:
        return renewed  # an unreadable object is already a finding
    return renewed | {
        star.name
        for star in STAR_TABLES.values()
        if star.base and not (star.name in known and covers(known[star.name].whole, star))
    }


def _check_requests(result: Verification, ingestion: Store) -> None:
    requests = Requests(ingestion)
    for read in requests.reads():
        result.read(read)


def _check_standings(
    result: Verification,
    connection: Connection,
    names: Names,
    ingestion: Store,
    outdated_: Collection[str],
) -> None:
    """Check the last audits of each table. A table that is not the result of its declaration, or
    has just become so, is not proved yet; that is no finding."""
    waiting = {*outdated_, *_waiting(connection, names, ingestion)}
    for star, standing in standings(connection, names).items():
        if star in outdated_:
            continue
        if standing.whole is None and star not in waiting:
            result.findings.append(f"{star} was never compared with the source as a whole.")
        for found in standing.audits:
            result.audits += 1
            if not found.equal:
                but = f", except for {counted(found.quarantined, 'row')} in quarantine"
                result.findings.append(
                    f"{star} does not equal the source as of batch {found.sequence}"
                    f"{but if found.equal_without else ''}: {found.expected_rows} rows expected,"
                    f" {found.found_rows} found."
                )
