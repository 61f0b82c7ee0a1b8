"""The rows in quarantine, for people: of one batch, loaded or not, or all current ones."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from totesys_dagster.errors import LakeError
from totesys_dagster.json_output import QuarantinedRow
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.quarantined import read_quarantine, too_many
from totesys_dagster.lake.receipt import Receipt, read_receipt, touched_stars
from totesys_dagster.lake.requests import accepted_rows
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.warehouse import ledger
from totesys_dagster.warehouse.quarantine import rows_of_batch, rows_of_now


@dataclass(frozen=True)
class Row:
    """A row in quarantine. `object` is the lake's object with all its values; None for an orphan,
    which is in the batch's Parquet."""

    batch: int
    star: str
    table: str
    key: int | None
    reasons: tuple[str, ...]
    object: str | None = None

    def data(self) -> QuarantinedRow:
        """The same as plain data."""
        return {
            "sequence": self.batch,
            "star": self.star,
            "table": self.table,
            "key": self.key,
            "reasons": [*self.reasons],
            "object": self.object,
        }


def of_batch(
    connection: Connection, names: Names, log: ManifestLog, processed: Store, sequence: int
) -> Iterator[Row]:
    """The rows that a batch has in quarantine, whether it is loaded or not.

    Raises LakeError if there is no such batch, or it is not processed.
    """
    if not 0 < sequence <= log.end():
        raise LakeError(
            f"There is no batch {sequence}: the lake holds batches 1 to {log.end()}."
            if log.end()
            else "The lake has no batches yet: run `totesys run`."
        )
    manifest = log.read(sequence)
    receipts = _receipts(processed, manifest)
    if not receipts and touched_stars(manifest):
        raise LakeError(f"Batch {sequence} is not processed yet: run `totesys run`.")
    for receipt in receipts:
        yield from _of_receipt(processed, receipt)
    if sequence <= ledger.head(connection, names):
        # Rows that broke their contract were given above; the load found the orphans.
        found = rows_of_batch(connection, names, sequence)
        yield from (
            Row(batch, star, table, key, (reason,))
            for batch, star, table, key, reason, dimension in found
            if dimension
        )


def of_now(
    connection: Connection, names: Names, log: ManifestLog, processed: Store
) -> Iterator[Row]:
    """The rows that the warehouse lacks because they are in quarantine, and those of batches that
    wait to be loaded."""
    loaded = ledger.head(connection, names)
    for batch, star, table, key, reason in rows_of_now(connection, names) if loaded else ():
        yield Row(batch, star, table, key, (reason,))
    for manifest in log.after(loaded):
        for receipt in _receipts(processed, manifest):
            yield from _of_receipt(processed, receipt)


def stopped(log: ManifestLog, processed: Store, loaded: int, limit: int) -> str | None:
    """Why the next batch cannot be loaded, and what to do; None if it can.

    Raises LakeError.
    """
    if loaded >= log.end():
        return None
    manifest = log.read(loaded + 1)
    stars = {receipt.star: receipt.quarantined for receipt in _receipts(processed, manifest)}
    limit = max(limit, accepted_rows(log.store, manifest))
    over = any(rows > limit for rows in stars.values())
    return too_many(manifest.sequence, stars, limit) if over else None


def _receipts(processed: Store, manifest: Manifest) -> list[Receipt]:
    found = (read_receipt(processed, star, manifest) for star in touched_stars(manifest))
    return [receipt for receipt in found if receipt is not None]


def _of_receipt(processed: Store, receipt: Receipt) -> Iterator[Row]:
    where = ", ".join(processed.uri(entry.key) for entry in receipt.quarantine)
    for row in read_quarantine(processed, receipt):
        yield Row(receipt.sequence, receipt.star, row.table, row.key, row.reasons, where)
