"""The receipt of a star table for a batch: what the processed zone holds of it.

Written last, put-if-absent: a table of a batch is processed when its receipt exists. The load
starts from receipts, as processing starts from manifests.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, ValidationError

from totesys_dagster.catalogue import STAR_TABLES, StarTable
from totesys_dagster.errors import LakeError, ObjectMissingError
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.parts import ObjectEntry, read_table
from totesys_dagster.lake.store import Store


class Receipt(BaseModel):
    """What a batch became in a star table.

    When `reconcile` is set, every key that is not in the manifest's key set of the base is gone.
    `read` counts the source rows of the base (days, for the calendar), `quarantined` the rows of
    all its sources that were set aside.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = 1
    star: str
    version: int
    batch: str
    sequence: int
    manifest_sha256: str
    reconcile: bool
    read: int
    rows: int
    objects: tuple[ObjectEntry, ...]
    deleted: tuple[ObjectEntry, ...]
    quarantined: int
    quarantine: tuple[ObjectEntry, ...]

    @property
    def deleted_rows(self) -> int:
        return sum(entry.rows for entry in self.deleted)

    def to_bytes(self) -> bytes:
        return (json.dumps(self.model_dump(mode="json"), indent=1) + "\n").encode()


def receipt_key(star: StarTable, batch: str) -> str:
    return f"receipts/{star.name}/v{star.version}/{batch}.json"


def read_receipt(store: Store, star: StarTable, manifest: Manifest) -> Receipt | None:
    """The receipt of a star table for a batch, None when it is not processed. Raises LakeError."""
    key = receipt_key(star, manifest.batch)
    try:
        data = store.get(key)
    except ObjectMissingError:
        return None
    try:
        receipt = Receipt.model_validate_json(data)
    except ValidationError:
        raise LakeError(
            f"{store.uri(key)} is not a receipt: it was damaged; restore it from the bucket's"
            " older versions."
        ) from None
    if receipt.manifest_sha256 != manifest.sha256:
        raise LakeError(
            f"{store.uri(key)} was made from another batch of the same name:"
            f" {store.setting} belongs to another lake; point it to the zone of this one."
        )
    return receipt


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

    def parts(self, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """The rows, part by part. Raises LakeError, also when the batch is not processed."""
        receipt = read_receipt(self.store, self.star, self.manifest)
        if receipt is None:
            raise LakeError(
                f"Batch {self.manifest.batch} is not processed for {self.star.name}: materialize"
                f" processed/{self.star.name} for it first."
            )
        for entry in receipt.objects:
            yield read_table(self.store, entry, columns)


def touched_stars(manifest: Manifest) -> list[StarTable]:
    """The star tables that a batch changes, dimensions before facts.

    A table is touched when its base changed, or when a table that it looks up changed and rows of
    its base came along. Rows that only came along for another table touch nothing.
    """
    return [star for star in STAR_TABLES.values() if _touched(star, manifest)]


def _touched(star: StarTable, manifest: Manifest) -> bool:
    tables = manifest.tables
    if star.base is None:
        return any(tables[name].changed and tables[name].rows for name in star.sources)
    if tables[star.base].changed:
        return True
    return bool(tables[star.base].rows) and any(tables[j.parent].changed for j in star.joins)
