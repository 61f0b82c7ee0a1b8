"""Checks one batch: its link to the previous batch, its objects, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import partial

from totesys_dagster.catalogue import STAR_TABLES, StarTable, revision
from totesys_dagster.errors import LakeError
from totesys_dagster.lake import references
from totesys_dagster.lake.key_sets import KeySet
from totesys_dagster.lake.manifest import Manifest, ManifestLog, broken_link
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.parts import part_stem, read_lines, read_object
from totesys_dagster.lake.receipt import (
    Receipt,
    read_receipt_of,
    read_star,
    receipt_key,
    receipt_key_of,
    require_sound,
    sound_receipt,
    touched_stars,
)
from totesys_dagster.lake.schemas import read_schema
from totesys_dagster.lake.store import Store
from totesys_dagster.lake.verification import Verification
from totesys_dagster.warehouse.ledger import LoadedReceipt
from totesys_dagster.words import counted

# An error stands for a manifest that cannot be read, None for the one before the first.
Readable = Manifest | LakeError | None


@dataclass(frozen=True)
class Batch:
    """A batch to check, the previous one, the loaded receipts by batch and star, and the stars that
    wait for a rebuild."""

    previous: Readable
    manifest: Readable
    receipts: Mapping[int, Mapping[str, LoadedReceipt]]
    outdated: Collection[str]


def check_batch(
    ingestion: Store, processed: Store, loaded: Mapping[int, str], batch: Batch
) -> Verification:
    """Check one batch: its link to the previous batch, its objects, and what became of it.

    `loaded` has the SHA-256 of the manifests that the warehouse has loaded, by sequence.
    """
    result = Verification()
    manifest = batch.manifest
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
    readable = batch.previous if isinstance(batch.previous, Manifest) else None
    _check_link(result, readable, manifest)
    with result.noted():
        ManifestLog(ingestion).check_marker(manifest)
    _check_ingestion(result, ingestion, readable, manifest)
    if genuine:
        known = batch.receipts.get(manifest.sequence, {}) if manifest.sequence in loaded else None
        _check_processed(result, processed, manifest, known, batch.outdated)
    return result


def _check_link(result: Verification, previous: Manifest | None, manifest: Manifest) -> None:
    if manifest.sequence > 1 and previous is None:
        return  # the previous one could not be read, which is already a finding
    if broken := broken_link(previous, manifest):
        result.findings.append(broken)


def _check_ingestion(
    result: Verification, store: Store, previous: Manifest | None, manifest: Manifest
) -> None:
    for name, table in manifest.tables.items():
        before = previous.tables.get(name) if previous else None
        with result.noted():
            _require_entries(store, name, manifest)
        result.read_all(store, table.objects, read_lines)
        # Read once what every batch names again until it changes.
        if before is None or before.keys.sha256 != table.keys.sha256:
            _check_keys(result, store, table.keys)
        if table.deleted_keys:
            _check_keys(result, store, table.deleted_keys)
        if before is None or before.schema_sha256 != table.schema_sha256:
            result.read(partial(read_schema, store, name, table.schema_sha256))
    for name, hash_ in manifest.references.items():
        if previous is None or previous.references.get(name) != hash_:
            result.read(partial(references.read, store, name, hash_))


def _require_entries(store: Store, name: str, manifest: Manifest) -> None:
    """Raise LakeError unless the objects of a table belong to this batch, once each, and have as
    many rows as the manifest says."""
    table, stem = manifest.tables[name], part_stem("rows", name, manifest.batch)
    keys = [entry.key for entry in table.objects]
    if (
        not all(key.startswith(f"{stem}-") for key in keys)
        or len(set(keys)) < len(keys)
        or sum(entry.rows for entry in table.objects) != table.rows
    ):
        raise LakeError(
            f"Batch {manifest.sequence} ({manifest.batch}) names objects of {name} that do not"
            f" belong to it, or do not have its {counted(table.rows, 'row')}: its manifest was"
            f" changed after it was written; {store.remedy}."
        )


def _check_keys(result: Verification, store: Store, keys: KeySet) -> None:
    """Check a key set, be it a separate object or part of the manifest."""
    result.objects += keys.key is not None
    with result.noted():
        keys.read(store)


def _read_rows(star: StarTable, store: Store, entry: ObjectEntry) -> object:
    return read_star(store, star, entry)


def _check_processed(
    result: Verification,
    store: Store,
    manifest: Manifest,
    loaded: Mapping[str, LoadedReceipt] | None,
    outdated: Collection[str],
) -> None:
    """Check what a batch became. `loaded` is None if the warehouse has not loaded it."""
    for star in touched_stars(manifest):
        known = (loaded or {}).get(star.name)
        if known is None or known.revision == revision(star):
            before = len(result.findings)
            with result.noted():
                _check_star(result, store, star, manifest, known, loaded is None, outdated)
            if len(result.findings) > before:
                result.damaged.append((manifest.sequence, star.name))
            if known is None and loaded is not None and star.name not in outdated:
                result.findings.append(
                    f"The ledger does not say that batch {manifest.sequence} was loaded into"
                    f" {star.name}: its row was removed; `totesys rebuild` restores it."
                )
    for name, earlier in (loaded or {}).items():
        declared = STAR_TABLES.get(name)
        if declared is None or earlier.revision != revision(declared):
            with result.noted():
                _check_earlier(result, store, name, manifest, earlier)


def _check_star(
    result: Verification,
    store: Store,
    star: StarTable,
    manifest: Manifest,
    known: LoadedReceipt | None,
    is_ahead: bool,
    outdated: Collection[str],
) -> None:
    """Check what a batch became by the present declaration of a star."""
    receipt = sound_receipt(store, star, manifest)
    if receipt is not None:
        if known is not None:
            _check_receipt(result, store, receipt_key(star, manifest.batch), receipt, known)
        result.read_all(store, receipt.objects, partial(_read_rows, star))
        result.read_all(store, receipt.quarantine, read_lines)
    elif not is_ahead and star.name not in outdated:
        result.findings.append(_missing(store, star.name, manifest))


def _check_earlier(
    result: Verification, store: Store, star: str, manifest: Manifest, known: LoadedReceipt
) -> None:
    """Check what a batch became by an earlier declaration, or in a table that is no longer
    declared: it must exist and be what was written."""
    receipt = read_receipt_of(store, star, known.revision, manifest)
    if receipt is None:
        result.findings.append(_missing(store, star, manifest))
        return
    require_sound(store, star, known.revision, manifest, receipt)
    _check_receipt(
        result, store, receipt_key_of(star, known.revision, manifest.batch), receipt, known
    )
    result.read_all(store, receipt.objects, read_object)
    result.read_all(store, receipt.quarantine, read_lines)


def _check_receipt(
    result: Verification, store: Store, key: str, receipt: Receipt, known: LoadedReceipt
) -> None:
    if known.sha256 != receipt.sha256:
        result.findings.append(
            f"{store.uri(key)} is not the receipt that the warehouse loaded: it was changed after"
            f" it was written, and {store.remedy}; or its row in the ledger was, and `totesys"
            " rebuild` restores that."
        )


def _missing(store: Store, star: str, manifest: Manifest) -> str:
    return (
        f"Batch {manifest.batch} is in the warehouse, but {star} of it is not in {store.url}:"
        f" {store.setting} points to another place, or the receipt was removed, and"
        f" {store.remedy}."
    )
