"""From a delivery's body to Parquet and a receipt."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pyarrow as pa

from totesys_dagster.catalogue import revision
from totesys_dagster.characters import visible
from totesys_dagster.errors import ObjectConflictError, ProcessingError
from totesys_dagster.feeds.feed import Feed, Outcome
from totesys_dagster.feeds.receive import log_of, read_body
from totesys_dagster.lake.deliveries import Delivery
from totesys_dagster.lake.feed_receipt import FeedReceipt, feed_receipt_key, read_feed_receipt
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.parts import (
    part_stem,
    read_table,
    write_lines,
    write_table,
)
from totesys_dagster.lake.receipt import write_star
from totesys_dagster.lake.store import Store

QUARANTINE_PART_BYTES = 16 * 1024 * 1024


def process_up_to(
    feed: Feed, last: Delivery, ingestion: Store, processed: Store
) -> Iterator[tuple[Delivery, FeedReceipt]]:
    """Process a delivery and unprocessed ones before it. Yields each with its receipt, in order.

    Raises LakeError, or ProcessingError if one was processed before with another result.
    """
    log = log_of(feed, ingestion)
    first = last.sequence
    while first > 1 and not read_feed_receipt(processed, feed.table, log.read(first)):
        first -= 1
    for sequence in range(first, last.sequence + 1):
        delivery = log.read(sequence)
        receipt = read_feed_receipt(processed, feed.table, delivery)
        yield delivery, receipt or process_again(feed, delivery, ingestion, processed)


def process_again(
    feed: Feed, delivery: Delivery, ingestion: Store, processed: Store
) -> FeedReceipt:
    """Process a delivery, even if it is processed; the result must be the same as before.

    Raises LakeError or ProcessingError.
    """
    log = log_of(feed, ingestion)
    before = log.read(delivery.sequence - 1) if delivery.sequence > 1 else None
    state = None
    if before is not None:
        [*_, (_, receipt)] = process_up_to(feed, before, ingestion, processed)
        state = state_of(processed, receipt)
    return _write(
        feed, delivery, feed.process(delivery, read_body(ingestion, delivery), state), processed
    )


def state_of(processed: Store, receipt: FeedReceipt) -> pa.Table | None:
    """The state that a delivery has left. Raises LakeError."""
    return _read(processed, receipt.state)


def _write(feed: Feed, delivery: Delivery, outcome: Outcome, processed: Store) -> FeedReceipt:
    table = feed.table
    folder = f"{table.name}/{revision(table)}"
    objects: list[ObjectEntry] = []
    if outcome.rows.num_rows:
        stem = part_stem("rows", folder, delivery.batch)
        objects.append(write_star(processed, table, stem, 0, outcome.rows))
    state: list[ObjectEntry] = []
    if outcome.state is not None:
        stem = part_stem("state", folder, delivery.batch)
        state.append(write_table(processed, stem, 0, outcome.state))
    stem = part_stem("quarantine", folder, delivery.batch)
    quarantine = write_lines(processed, stem, _lines(outcome), QUARANTINE_PART_BYTES)
    receipt = FeedReceipt(
        log=delivery.log,
        star=table.name,
        code_version=table.code_version,
        sequence=delivery.sequence,
        delivery_sha256=delivery.sha256,
        refused=outcome.refused,
        rows=outcome.rows.num_rows,
        objects=tuple(objects),
        quarantined=len(outcome.faulty),
        quarantine=tuple(quarantine),
        state=tuple(state),
    )
    return _put(feed, delivery, receipt, processed)


def _lines(outcome: Outcome) -> Iterator[bytes]:
    """The faulty lines as JSON Lines: the number of the line, the reasons, and its text."""
    for faulty in outcome.faulty:
        line = {"line": faulty.line, "reasons": list(faulty.reasons), "row": faulty.row}
        yield json.dumps(line).encode() + b"\n"


def _put(feed: Feed, delivery: Delivery, receipt: FeedReceipt, processed: Store) -> FeedReceipt:
    try:
        processed.put(feed_receipt_key(feed.table, delivery), receipt.to_bytes())
    except ObjectConflictError:
        before = read_feed_receipt(processed, feed.table, delivery)
        if before is None or not _same(processed, before, receipt):
            raise ProcessingError(
                f"Delivery {delivery.sequence} of {feed.title} ({visible(delivery.name)}) was"
                " processed before with another result, and objects are never overwritten: if its"
                f" function was changed on purpose, raise the code_version of {feed.table.name}."
            ) from None
        return before
    stored = read_feed_receipt(processed, feed.table, delivery)
    assert stored is not None
    return stored


def _same(processed: Store, left: FeedReceipt, right: FeedReceipt) -> bool:
    """Whether two receipts have the same rows. Another version of pyarrow writes other bytes, and
    another release may refuse a delivery in other words."""
    other = {"objects", "quarantine", "state", "refused"}
    return (
        left.model_dump(exclude=other) == right.model_dump(exclude=other)
        and bool(left.refused) == bool(right.refused)
        and all(
            _read(processed, getattr(left, kind)) == _read(processed, getattr(right, kind))
            for kind in ("objects", "state")
        )
    )


def _read(processed: Store, entries: tuple[ObjectEntry, ...]) -> pa.Table | None:
    """The rows of all parts, None where there are none. Raises LakeError."""
    tables = [read_table(processed, entry) for entry in entries]
    return pa.concat_tables(tables) if tables else None
