"""The receipt of a star table for a batch: what the batch became in the processed zone.

Written last, put-if-absent: a table of a batch is processed once its receipt exists. The load
starts from receipts, as processing starts from manifests.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa

from totesys_dagster.catalogue import STAR_TABLES, StarTable, revision
from totesys_dagster.errors import LakeError, ObjectMissingError
from totesys_dagster.lake.key_sets import KeySet
from totesys_dagster.lake.log import Document, Many
from totesys_dagster.lake.manifest import Manifest, batch_key
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.parts import part_stem, read_table, write_table
from totesys_dagster.lake.store import Store


class Receipt(Document):
    """What batch `sequence` became in a star table.

    `deleted_keys` and `reconcile` say which keys the source no longer has, as in the batch's
    manifest (an object of many ranges is in the ingestion zone). `read` counts the source rows of
    the base (days, for the calendar), `quarantined` the rows of all its sources in quarantine.
    """

    log: str
    star: str
    code_version: int
    sequence: int
    manifest_sha256: str
    reconcile: bool
    deleted_keys: KeySet | None = None
    read: int
    rows: int
    objects: Many[ObjectEntry]
    quarantined: int
    quarantine: Many[ObjectEntry]

    @property
    def batch(self) -> str:
        return batch_key(self.sequence)


def receipt_key(star: StarTable, batch: str) -> str:
    return receipt_key_of(star.name, revision(star), batch)


def receipt_key_of(star: str, revision_: str, batch: str) -> str:
    """Where the receipt of a table is that was processed by that declaration."""
    return f"receipts/{star}/{revision_}/{batch}.json"


def read_receipt(store: Store, star: StarTable, manifest: Manifest) -> Receipt | None:
    """The receipt of a star table for a batch; None if its declaration has not processed it.

    Raises LakeError.
    """
    return read_receipt_of(store, star.name, revision(star), manifest)


def read_receipt_of(store: Store, star: str, revision_: str, manifest: Manifest) -> Receipt | None:
    """The same for any declaration, also of a table that is no longer declared."""
    key = receipt_key_of(star, revision_, manifest.batch)
    try:
        data = store.get(key)
    except ObjectMissingError:
        return None
    receipt = Receipt.from_bytes(data, store.uri(key))
    if receipt.manifest_sha256 != manifest.sha256:
        raise LakeError(
            f"{store.uri(key)} was made from another batch of the same name:"
            f" {store.setting} belongs to another lake; point it to the zone of this one."
        )
    if receipt.star != star:
        raise LakeError(
            f"{store.uri(key)} says that it is of {receipt.star}: it was moved; {store.remedy}."
        )
    return receipt


def sound_receipt(store: Store, star: StarTable, manifest: Manifest) -> Receipt | None:
    """The receipt of a star table for a batch, checked against its manifest; None if it is not
    processed. Raises LakeError, which names the receipt and what is wrong with it."""
    receipt = read_receipt(store, star, manifest)
    if receipt is not None:
        require_sound(store, star.name, revision(star), manifest, receipt)
    return receipt


def require_sound(
    store: Store, star: str, revision_: str, manifest: Manifest, receipt: Receipt
) -> None:
    """Raise LakeError unless a receipt can be what a batch became in a table.

    Its objects must belong to this table, declaration and batch, and its counts must be their sums.
    Under the present declaration, the counts must match the manifest.
    """
    wrong = [*_inner(star, revision_, manifest, receipt)]
    declared = STAR_TABLES.get(star)
    if declared is not None and revision(declared) == revision_:
        wrong += _against(declared, manifest, receipt)
    if wrong:
        raise LakeError(
            f"{store.uri(receipt_key_of(star, revision_, manifest.batch))} cannot be what batch"
            f" {manifest.sequence} became: {'; '.join(wrong)}: it was changed after it was written;"
            f" {store.remedy}."
        )


def _inner(star: str, revision_: str, manifest: Manifest, receipt: Receipt) -> Iterator[str]:
    """The faults of a receipt that need no other object to be seen, one phrase each."""
    if (receipt.log, receipt.sequence) != (manifest.log, manifest.sequence):
        yield f"it says that it is of batch {receipt.sequence} of {receipt.log}"
    if not revision_.startswith(f"v{receipt.code_version}-"):
        yield f"it says that it is of code_version {receipt.code_version}"
    for kind, entries, rows in (
        ("rows", receipt.objects, receipt.rows),
        ("quarantine", receipt.quarantine, receipt.quarantined),
    ):
        stem = part_stem(kind, f"{star}/{revision_}", manifest.batch)
        keys = [entry.key for entry in entries]
        strange = [key for key in keys if not key.startswith(f"{stem}-")]
        if strange:
            yield f"{strange[0]} is no object of it"
        if len(set(keys)) < len(keys):
            yield "it names an object twice"
        if sum(entry.rows for entry in entries) != rows or any(e.rows < 1 for e in entries):
            yield f"the {kind} of its objects are not {rows} in sum"


def _against(star: StarTable, manifest: Manifest, receipt: Receipt) -> Iterator[str]:
    """Where a receipt contradicts its manifest, a phrase each."""
    if star.base is None:
        if (receipt.read, receipt.quarantined) != (receipt.rows, 0):
            yield "a day of the calendar is missing"
        return
    base = manifest.tables.get(star.base)
    if base is None:
        yield f"the batch has no {star.base}"
        return
    if receipt.read != base.rows:
        yield f"it was made of {receipt.read} rows of {star.base}, and the batch has {base.rows}"
    if (receipt.reconcile, receipt.deleted_keys) != (base.reconcile, base.deleted_keys):
        yield "it deletes other keys than the batch"
    # Rows of tables that are looked up may be in quarantine, too.
    if not 0 <= receipt.read - receipt.rows <= receipt.quarantined:
        yield f"of {base.rows} rows it has {receipt.rows}, and {receipt.quarantined} in quarantine"


def write_star(
    store: Store, star: StarTable, stem: str, number: int, rows: pa.Table
) -> ObjectEntry:
    """Write one part of a star table as Parquet, in the types for storage.

    A required column may be NULL only in a batch that is older than the column.
    """
    required = {column.name for column in star.columns if not column.nullable}
    schema = pa.schema(
        [
            field.with_nullable(field.name not in required or rows[field.name].null_count > 0)
            for field in star.stored_schema
        ]
    )
    return write_table(store, stem, number, rows.cast(schema))


def read_star(
    store: Store, star: StarTable, entry: ObjectEntry, columns: Sequence[str] | None = None
) -> pa.Table:
    """One part of a star table, or columns of it, in the types of `star.arrow_schema`.

    Raises LakeError when it is not what was written.
    """
    stored = read_table(store, entry, columns)
    names = star.column_names if columns is None else columns
    declared = pa.schema([star.stored_schema.field(name) for name in names])
    # Whether a column may be NULL differs from batch to batch.
    if (stored.column_names, stored.schema.types) != (declared.names, declared.types):
        raise LakeError(
            f"{store.uri(entry.key)} does not have the columns of {star.name}, though its receipt"
            f" names it: it was not written by totesys_dagster; {store.remedy}."
        )
    return stored.cast(pa.schema([star.arrow_schema.field(name) for name in names]))


def is_processed(store: Store, manifest: Manifest) -> bool:
    """Whether every table that the batch touches is processed. Raises LakeError."""
    return all(sound_receipt(store, star, manifest) for star in touched_stars(manifest))


@dataclass(frozen=True)
class ProcessedTable:
    """What batch `manifest` became in `star`: Parquet in parts of bounded size."""

    star: StarTable
    manifest: Manifest
    store: Store

    @property
    def touched(self) -> bool:
        """Whether the batch changes the table at all."""
        return _touched(self.star, self.manifest)

    @property
    def is_missing(self) -> bool:
        """Whether the batch changes the table but is not processed for it. Raises LakeError."""
        return self.touched and not read_receipt(self.store, self.star, self.manifest)

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows, part by part. Raises LakeError, also if the batch is not processed."""
        receipt = sound_receipt(self.store, self.star, self.manifest)
        if receipt is None:
            raise LakeError(
                f"Batch {self.manifest.batch} is not processed for {self.star.name}: materialize"
                f" processed/{self.star.name} for it first."
            )
        for entry in receipt.objects:
            yield read_star(self.store, self.star, entry, columns)


def stars_reading(tables: Collection[str]) -> list[StarTable]:
    """The star tables that a batch can change if these source tables have changed, dimensions
    before facts."""
    return [star for star in STAR_TABLES.values() if not set(star.sources).isdisjoint(tables)]


def touched_stars(manifest: Manifest) -> list[StarTable]:
    """The star tables that a batch changes, dimensions before facts.

    A table is touched if its base changed, or if a table that it looks up changed and rows of its
    base were included for that. Rows included only for another table touch nothing.
    """
    return [star for star in STAR_TABLES.values() if _touched(star, manifest)]


def _touched(star: StarTable, manifest: Manifest) -> bool:
    # A batch from before a table was added to the catalogue says nothing of it.
    tables = [manifest.tables[name] for name in star.sources if name in manifest.tables]
    if star.base is None:
        return any(table.changed and table.rows for table in tables)
    base = manifest.tables.get(star.base)
    if base is None:
        return False
    return base.changed or (bool(base.rows) and any(table.changed for table in tables))
