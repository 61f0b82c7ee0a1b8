"""The lake and the warehouse, checked against each other from the first batch to the last."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from psycopg import sql

from totesys_dagster.catalogue import StarTable
from totesys_dagster.errors import LakeError, LakeUnusableError, LoadError, TotesysError
from totesys_dagster.lake import references
from totesys_dagster.lake.audits import AuditLog
from totesys_dagster.lake.key_sets import KeySet
from totesys_dagster.lake.log import TOTESYS
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.parts import ObjectEntry, read_lines
from totesys_dagster.lake.receipt import read_receipt, read_star, touched_stars
from totesys_dagster.lake.schemas import read_schema
from totesys_dagster.lake.store import Store
from totesys_dagster.parallel import ahead
from totesys_dagster.postgres import Connection, Names, failures, transaction
from totesys_dagster.warehouse import audit, load

# Batches that are read at the same time. On S3 each object is waited for: with answers that take
# 20 ms, 32 objects a second are read one by one, and 200 so.
AT_ONCE = 8

# Batches that a nightly verification takes or leaves together.
BLOCK = 1000


@dataclass
class Verification:
    """What was checked and what is wrong, one sentence a finding; the first is the first link."""

    batches: int = 0
    objects: int = 0
    bytes: int = 0
    audits: int = 0
    findings: list[str] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.findings

    def add(self, other: Verification) -> None:
        """Count in what was checked elsewhere."""
        self.batches += other.batches
        self.objects += other.objects
        self.bytes += other.bytes
        self.findings += other.findings


def verify(
    connection: Connection,
    names: Names,
    ingestion: Store,
    processed: Store,
    progress: Callable[[int, int], object] = lambda _done, _all: None,
    *,
    blocks: Callable[[int], list[range]] = lambda last: [range(1, last + 1)],
) -> Verification:
    """Walk the log: the chain of hashes, every object of both zones, and the last audits.

    `blocks` says which numbers to look at, given the last one; by default that is all of them.
    Objects that cannot be read are findings, not errors. Raises TotesysError when a system cannot
    be used at all.
    """
    result = Verification()
    loaded = _ledger(connection, names)
    due = blocks(_last(ManifestLog(ingestion), loaded))
    total = sum(map(len, due))
    links = (link for block in due for link in itertools.pairwise(_manifests(ingestion, block)))

    def check(
        link: tuple[Manifest | LakeError | None, Manifest | LakeError | None],
    ) -> Verification:
        return _check_batch(ingestion, processed, loaded, *link)

    for done, checked in enumerate(ahead(check, links, AT_ONCE), start=1):
        result.add(checked)
        progress(done, total)
    _check_source_audits(result, ingestion)
    if loaded:
        _check_audits(result, connection, names)
    return result


def due_at_night(last: int, limit: int, night: int) -> list[range]:
    """The numbers to verify in a night: all of them, or in a long log some blocks in turn.

    The newest two blocks are due each night. The others are due every second, fourth, eighth …
    night, so that at most about `limit` batches are read: reading 365,000 on S3 takes hours.
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


def _manifests(ingestion: Store, block: range) -> Iterator[Manifest | LakeError | None]:
    """The manifest before the block, None before the first one, and then the block's."""
    if block.start == 1:
        yield None
    numbers = range(max(block.start - 1, 1), block.stop)
    yield from ahead(partial(_read, ingestion), numbers, AT_ONCE)


def _read(ingestion: Store, number: int) -> Manifest | LakeError:
    """The manifest of that number, or why it cannot be read.

    By a log of its own: a log keeps what it has read, which for all batches would fill the memory.
    """
    try:
        return ManifestLog(ingestion).read(number)
    except LakeUnusableError:
        raise
    except LakeError as error:
        return error


def _check_batch(
    ingestion: Store,
    processed: Store,
    loaded: Mapping[int, str],
    previous: Manifest | LakeError | None,
    manifest: Manifest | LakeError | None,
) -> Verification:
    """One batch: its link to the batch before, its objects, and what became of it.

    An error takes the place of a manifest that cannot be read.
    """
    result = Verification()
    assert manifest is not None
    if isinstance(manifest, LakeError):
        result.findings.append(str(manifest))
        return result
    result.batches = 1
    genuine = loaded.get(manifest.sequence, manifest.sha256) == manifest.sha256
    if not genuine:
        result.findings.append(
            f"Batch {manifest.sequence} ({manifest.batch}) is not the one that the warehouse"
            " loaded: its manifest was changed after it was written, or the warehouse was loaded"
            " from another lake."
        )
    readable = previous if isinstance(previous, Manifest) else None
    _check_link(result, readable, manifest)
    _check_ingestion(result, ingestion, readable, manifest)
    if genuine:
        _check_processed(result, processed, manifest, loaded=manifest.sequence in loaded)
    return result


def _ledger(connection: Connection, names: Names) -> dict[int, str]:
    """The batches that the warehouse holds, each with the SHA-256 of its manifest."""
    if load.head(connection, names) == 0:
        return {}
    query = sql.SQL("SELECT sequence, manifest_sha256 FROM {} WHERE log = {}").format(
        names.ledger("batch"), sql.Literal(TOTESYS)
    )
    with failures(LoadError, "a look at the ledger"), transaction(connection):
        return dict(connection.execute(query).fetchall())


def _last(log: ManifestLog, loaded: Collection[int]) -> int:
    """The number of the last batch, its manifest lost or not: seals and the warehouse know it."""
    number = max(loaded, default=0)
    while any(log.store.exists(key(number + 1)) for key in (log.key, log.seal_key)):
        number += 1
    return number


def _check_link(result: Verification, previous: Manifest | None, manifest: Manifest) -> None:
    expected = previous.sha256 if previous else None
    if manifest.sequence > 1 and previous is None:
        return  # the one before could not be read, which is said already
    if manifest.previous_sha256 != expected:
        result.findings.append(
            f"Batch {manifest.sequence} ({manifest.batch}) does not follow from the batch before"
            " it: one of the two manifests was changed after it was written."
        )


@contextmanager
def _noted(result: Verification) -> Iterator[None]:
    """Note that something is not what was written.

    A zone that cannot be used at all is no damage: every object of it would be called damaged.
    """
    try:
        yield
    except LakeUnusableError:
        raise
    except TotesysError as error:
        result.findings.append(str(error))


def _check(
    result: Verification,
    store: Store,
    entries: Iterable[ObjectEntry],
    read: Callable[[Store, ObjectEntry], object],
) -> None:
    """Read objects and note which are not what was written."""
    for entry in entries:
        result.bytes += entry.bytes
        _check_one(result, partial(read, store, entry))


def _check_ingestion(
    result: Verification, store: Store, previous: Manifest | None, manifest: Manifest
) -> None:
    for name, table in manifest.tables.items():
        before = previous.tables.get(name) if previous else None
        _check(result, store, table.objects, read_lines)
        # What every batch names again until it changes is read once.
        if before is None or before.keys.sha256 != table.keys.sha256:
            _check_keys(result, store, table.keys)
        if table.gone:
            _check_keys(result, store, table.gone)
        if before is None or before.schema_sha256 != table.schema_sha256:
            _check_one(result, partial(read_schema, store, name, table.schema_sha256))
    for name, hash_ in manifest.references.items():
        if previous is None or previous.references.get(name) != hash_:
            _check_one(result, partial(references.read, store, name, hash_))


def _check_keys(result: Verification, store: Store, keys: KeySet) -> None:
    """A key set, be it an object of its own or written into the manifest."""
    result.objects += keys.key is not None
    with _noted(result):
        keys.read(store)


def _read_rows(star: StarTable, store: Store, entry: ObjectEntry) -> object:
    return read_star(store, star, entry)


def _check_one(result: Verification, read: Callable[[], object]) -> None:
    result.objects += 1
    with _noted(result):
        read()


def _check_processed(
    result: Verification, store: Store, manifest: Manifest, *, loaded: bool
) -> None:
    for star in touched_stars(manifest):
        with _noted(result):
            receipt = read_receipt(store, star, manifest)
            if receipt is not None:
                _check(result, store, receipt.objects, partial(_read_rows, star))
                _check(result, store, receipt.quarantine, read_lines)
            elif loaded:
                result.findings.append(
                    f"Batch {manifest.batch} is in the warehouse, but {star.name} of it is not in"
                    f" {store.url}: {store.setting} points to another place; `totesys rebuild`"
                    " processes it again."
                )


def _check_audits(result: Verification, connection: Connection, names: Names) -> None:
    for star, standing in audit.standings(connection, names).items():
        if standing.whole is None:
            result.findings.append(f"{star} was never compared with the source as a whole.")
        for found in standing.standing:
            result.audits += 1
            if not found.equal:
                but = f", but does for all but {found.left_out} rows in quarantine"
                result.findings.append(
                    f"{star} does not equal the source as of batch {found.sequence}"
                    f"{but if found.equal_without else ''}: {found.expected_rows} rows expected,"
                    f" {found.found_rows} found."
                )


def _check_source_audits(result: Verification, ingestion: Store) -> None:
    """The chain of audit objects, from the first to the last."""
    log = AuditLog(ingestion)
    previous = None
    with _noted(result):
        for audit_ in log.after(0):
            result.objects += 1
            if audit_.previous_sha256 != previous:
                result.findings.append(
                    f"Audit {audit_.sequence} of the source does not follow from the one before it:"
                    " one of the two was changed after it was written."
                )
            previous = audit_.sha256
