"""The lake and the warehouse, checked against each other from the first batch to the last."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from functools import partial

from psycopg import sql

from totesys_dagster.errors import LakeError, LoadError, TotesysError
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.parts import ObjectEntry, read_lines, read_table
from totesys_dagster.lake.receipt import read_receipt, touched_stars
from totesys_dagster.lake.schemas import read_schema
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres import Connection, Names, failures
from totesys_dagster.warehouse import audit, load


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


def verify(
    connection: Connection,
    names: Names,
    ingestion: Store,
    processed: Store,
    progress: Callable[[int, int], object] = lambda _done, _all: None,
) -> Verification:
    """Walk the log: the chain of hashes, every object of both zones, and the last audits.

    Objects that cannot be read are findings, not errors. Raises TotesysError when a system cannot
    be used at all.
    """
    result = Verification()
    log = ManifestLog(ingestion)
    loaded = _ledger(connection, names)
    last = _last(log, loaded)
    previous: Manifest | None = None
    for number in range(1, last + 1):
        try:
            manifest = log.read(number)
        except LakeError as error:
            result.findings.append(str(error))
            previous = None
            continue
        genuine = loaded.get(number, manifest.sha256) == manifest.sha256
        if not genuine:
            result.findings.append(
                f"Batch {number} ({manifest.batch}) is not the one that the warehouse loaded: its"
                " manifest was changed after it was written, or the warehouse was loaded from"
                " another lake."
            )
        _check_link(result, previous, manifest)
        _check_ingestion(result, ingestion, previous, manifest)
        if genuine:
            _check_processed(result, processed, manifest, loaded=number in loaded)
        result.batches += 1
        previous = manifest
        progress(number, last)
    _check_audits(result, connection, names)
    return result


def _ledger(connection: Connection, names: Names) -> dict[int, str]:
    """The batches that the warehouse holds, each with the SHA-256 of its manifest."""
    if load.head(connection, names) == 0:
        return {}
    query = sql.SQL("SELECT sequence, manifest_sha256 FROM {}").format(names.ledger("batch"))
    with failures(LoadError, "a look at the ledger"):
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
        _check(result, store, (*table.objects, *table.deleted), read_lines)
        # An object that every batch names again until the table's keys change is read once.
        if previous is None or previous.tables[name].keys.key != table.keys.key:
            _check_one(result, partial(table.keys.read, store))
        if previous is None or previous.tables[name].schema_sha256 != table.schema_sha256:
            _check_one(result, partial(read_schema, store, name, table.schema_sha256))


def _check_one(result: Verification, read: Callable[[], object]) -> None:
    result.objects += 1
    try:
        read()
    except TotesysError as error:
        result.findings.append(str(error))


def _check_processed(
    result: Verification, store: Store, manifest: Manifest, *, loaded: bool
) -> None:
    for star in touched_stars(manifest):
        try:
            receipt = read_receipt(store, star, manifest)
        except TotesysError as error:
            result.findings.append(str(error))
            continue
        if receipt is not None:
            _check(result, store, (*receipt.objects, *receipt.deleted), read_table)
            _check(result, store, receipt.quarantine, read_lines)
        elif loaded:
            result.findings.append(
                f"Batch {manifest.batch} is in the warehouse, but {star.name} of it is not in"
                f" {store.url}: {store.setting} points to another place; `totesys rebuild`"
                " processes it again."
            )


def _check_audits(result: Verification, connection: Connection, names: Names) -> None:
    for star, (sequence, found) in audit.latest(connection, names).items():
        result.audits += 1
        if not found.equal:
            result.findings.append(
                f"{star} differed from the source in batch {sequence}: {found.expected_rows} rows"
                f" expected, {found.found_rows} found."
            )
