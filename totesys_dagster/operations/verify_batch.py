"""One batch, checked: its link to the batch before, its objects, and what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial

from totesys_dagster.catalogue import StarTable
from totesys_dagster.errors import LakeError
from totesys_dagster.lake import references
from totesys_dagster.lake.key_sets import KeySet
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.parts import ObjectEntry, read_lines
from totesys_dagster.lake.receipt import read_receipt, read_star, receipt_key, touched_stars
from totesys_dagster.lake.schemas import read_schema
from totesys_dagster.lake.store import Store
from totesys_dagster.operations.verification import Verification

# An error takes the place of a manifest that cannot be read, None that of the one before the first.
Readable = Manifest | LakeError | None


@dataclass(frozen=True)
class Batch:
    """A batch to check, the one before it, and the SHA-256 of the receipts that were loaded, by
    batch and star."""

    previous: Readable
    manifest: Readable
    receipts: Mapping[tuple[int, str], str]


def check_batch(
    ingestion: Store, processed: Store, loaded: Mapping[int, str], batch: Batch
) -> Verification:
    """One batch: its link to the batch before, its objects, and what became of it.

    `loaded` has the SHA-256 of the manifests that the warehouse holds, by number.
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
        ManifestLog(ingestion).check_seal(manifest)
    _check_ingestion(result, ingestion, readable, manifest)
    if genuine:
        known = batch.receipts if manifest.sequence in loaded else None
        _check_processed(result, processed, manifest, known)
    return result


def _check_link(result: Verification, previous: Manifest | None, manifest: Manifest) -> None:
    expected = previous.sha256 if previous else None
    if manifest.sequence > 1 and previous is None:
        return  # the one before could not be read, which is said already
    if manifest.previous_sha256 != expected:
        result.findings.append(
            f"Batch {manifest.sequence} ({manifest.batch}) does not follow from the batch before"
            " it: one of the two manifests was changed after it was written."
        )


def _check_ingestion(
    result: Verification, store: Store, previous: Manifest | None, manifest: Manifest
) -> None:
    for name, table in manifest.tables.items():
        before = previous.tables.get(name) if previous else None
        result.read_all(store, table.objects, read_lines)
        # What every batch names again until it changes is read once.
        if before is None or before.keys.sha256 != table.keys.sha256:
            _check_keys(result, store, table.keys)
        if table.gone:
            _check_keys(result, store, table.gone)
        if before is None or before.schema_sha256 != table.schema_sha256:
            result.read(partial(read_schema, store, name, table.schema_sha256))
    for name, hash_ in manifest.references.items():
        if previous is None or previous.references.get(name) != hash_:
            result.read(partial(references.read, store, name, hash_))


def _check_keys(result: Verification, store: Store, keys: KeySet) -> None:
    """A key set, be it an object of its own or written into the manifest."""
    result.objects += keys.key is not None
    with result.noted():
        keys.read(store)


def _read_rows(star: StarTable, store: Store, entry: ObjectEntry) -> object:
    return read_star(store, star, entry)


def _check_processed(
    result: Verification,
    store: Store,
    manifest: Manifest,
    loaded: Mapping[tuple[int, str], str] | None,
) -> None:
    """`loaded` is None where the warehouse does not hold the batch."""
    for star in touched_stars(manifest):
        with result.noted():
            receipt = read_receipt(store, star, manifest)
            if receipt is not None:
                known = (loaded or {}).get((manifest.sequence, star.name), receipt.sha256)
                if known != receipt.sha256:
                    where = store.uri(receipt_key(star, manifest.batch))
                    result.findings.append(
                        f"{where} is not the receipt that the warehouse loaded: it was changed"
                        " after it was written; restore it from the bucket's older versions."
                    )
                result.read_all(store, receipt.objects, partial(_read_rows, star))
                result.read_all(store, receipt.quarantine, read_lines)
            elif loaded is not None:
                result.findings.append(
                    f"Batch {manifest.batch} is in the warehouse, but {star.name} of it is not in"
                    f" {store.url}: {store.setting} points to another place; `totesys rebuild`"
                    " processes it again."
                )
