"""The receipt of a delivery: what it became in the processed zone. Written last, put-if-absent."""

from __future__ import annotations

from totesys_dagster.catalogue import StarTable, revision
from totesys_dagster.errors import LakeError, ObjectMissingError
from totesys_dagster.lake.deliveries import Delivery
from totesys_dagster.lake.log import Document
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.receipt import receipt_key_of
from totesys_dagster.lake.store import Store


class FeedReceipt(Document):
    """What delivery `sequence` of the feed `log` became in the table `star`.

    `refused` is the reason why nothing of it was accepted, or None. `quarantined` counts the faulty
    lines that `quarantine` lists. `state` is what the feed must know for the next delivery, if
    anything.
    """

    log: str
    star: str
    code_version: int
    sequence: int
    delivery_sha256: str
    refused: str | None = None
    rows: int
    objects: tuple[ObjectEntry, ...]
    quarantined: int
    quarantine: tuple[ObjectEntry, ...]
    state: tuple[ObjectEntry, ...]


def feed_receipt_key(table: StarTable, delivery: Delivery, by: str | None = None) -> str:
    """The key of a delivery's receipt, by the present declaration or by another revision."""
    return receipt_key_of(table.name, by or revision(table), delivery.batch)


def read_feed_receipt(
    store: Store, table: StarTable, delivery: Delivery, by: str | None = None
) -> FeedReceipt | None:
    """The receipt of a delivery by the present declaration, or by that of another revision; None if
    it is not processed. Raises LakeError."""
    key = feed_receipt_key(table, delivery, by)
    try:
        data = store.get(key)
    except ObjectMissingError:
        return None
    receipt = FeedReceipt.from_bytes(data, store.uri(key))
    if (receipt.star, receipt.delivery_sha256) != (table.name, delivery.sha256):
        raise LakeError(
            f"{store.uri(key)} is of another delivery or table than its name says: restore it from"
            f" the bucket's older versions, or point {store.setting} to the zone of this lake."
        )
    return receipt
