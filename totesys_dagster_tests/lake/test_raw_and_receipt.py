"""What a reader gets of a committed batch, and what the receipt of its processing says."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import pytest

from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES
from totesys_dagster.errors import LakeError
from totesys_dagster.lake.key_sets import key_set
from totesys_dagster.lake.manifest import Manifest, ManifestLog, batch_key
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.raw import RawTable
from totesys_dagster.lake.receipt import Receipt, read_receipt, receipt_key, touched_stars
from totesys_dagster.lake.store import Store, sha256
from totesys_dagster_tests import hand_made
from totesys_dagster_tests.hand_made import entry, overwrite

DIM_STAFF = STAR_TABLES["dim_staff"]


def raw(store: Store, name: str, manifest: Manifest) -> RawTable:
    return RawTable(SOURCE_TABLES[name], manifest, store)


def test_rows_come_back_part_by_part(store: Store) -> None:
    lines = b'{"design_id":1}\n{"design_id":2}\n{"design_id":3}\n'
    manifest = hand_made.batch(store, {"design": lines}, part_bytes=30)

    assert list(raw(store, "design", manifest).parts()) == [
        b'{"design_id":1}\n{"design_id":2}\n',
        b'{"design_id":3}\n',
    ]


def test_table_that_is_not_in_the_batch_has_no_rows(directory: Store) -> None:
    manifest = hand_made.batch(directory, {"design": b'{"design_id":1}\n'})

    assert list(raw(directory, "staff", manifest).parts()) == []
    assert raw(directory, "staff", manifest).entry.deleted_keys is None


def test_deleted_keys_come_back(store: Store) -> None:
    manifest = hand_made.batch(store, {}, deleted={"design": [4, 7]})

    gone = raw(store, "design", manifest).entry.deleted_keys
    assert gone is not None
    assert gone.read(store) == [(4, 4), (7, 7)]


def test_tampered_rows_are_found_while_reading(directory: Store) -> None:
    manifest = hand_made.batch(directory, {"design": b'{"design_id":1}\n'})
    overwrite(directory, manifest.tables["design"].objects[0].key, b"")

    with pytest.raises(LakeError, match="does not have the SHA-256 that its manifest records"):
        list(raw(directory, "design", manifest).parts())


def receipt(manifest: Manifest, **fields: Any) -> Receipt:
    """The receipt of an empty dim_staff, but for the fields given."""
    empty = {
        "log": "totesys",
        "star": "dim_staff",
        "code_version": 1,
        "sequence": manifest.sequence,
        "manifest_sha256": manifest.sha256,
        "reconcile": False,
        "read": 0,
        "rows": 0,
        "objects": (),
        "quarantined": 0,
        "quarantine": (),
    }
    return Receipt.model_validate(empty | fields)


def test_receipt_comes_back_as_it_was_written(store: Store) -> None:
    manifest = ManifestLog(store).commit(hand_made.manifest())
    parts = (ObjectEntry(key="rows/a.parquet", rows=2, bytes=10, sha256="aa"),)
    gone = key_set("staff", [(3, 5)])
    written = receipt(manifest, read=3, rows=2, objects=parts, deleted_keys=gone, quarantined=1)
    store.put(receipt_key(DIM_STAFF, manifest.batch), written.to_bytes())

    read = read_receipt(store, DIM_STAFF, manifest)

    assert read is not None
    assert read.model_dump() == written.model_dump()
    assert read.batch == manifest.batch
    assert read.sha256 == sha256(written.to_bytes())


def test_receipt_is_filed_under_table_version_and_batch() -> None:
    changed = replace(DIM_STAFF, columns=DIM_STAFF.columns[:-1])

    assert re.fullmatch(
        r"receipts/dim_staff/v1-[0-9a-f]{8}/0000000042\.json", receipt_key(changed, batch_key(42))
    )


def test_batch_that_is_not_processed_has_no_receipt(store: Store) -> None:
    assert read_receipt(store, DIM_STAFF, hand_made.manifest()) is None


@pytest.mark.parametrize("damage", [b"", b"{}", b"null", b"\xff"])
def test_damaged_receipt_is_named(damage: bytes, directory: Store) -> None:
    manifest = hand_made.manifest()
    directory.put(receipt_key(DIM_STAFF, manifest.batch), damage)

    with pytest.raises(LakeError, match=rf"{manifest.batch}\.json is not a receipt .*restore it"):
        read_receipt(directory, DIM_STAFF, manifest)


def test_receipt_of_another_lake_is_refused(directory: Store) -> None:
    """Two lakes can hold batches of the same key; their processed zones must not be mixed up."""
    manifest = ManifestLog(directory).commit(hand_made.manifest())
    foreign = receipt(manifest, manifest_sha256="0" * 64)
    directory.put(receipt_key(DIM_STAFF, manifest.batch), foreign.to_bytes())

    with pytest.raises(LakeError, match=f"{directory.setting} belongs to another lake"):
        read_receipt(directory, DIM_STAFF, manifest)


def touched(**tables: Any) -> list[str]:
    """The names of the star tables that a batch with these tables changes."""
    return [star.name for star in touched_stars(hand_made.manifest(1, tables))]


def test_batch_without_changes_touches_nothing() -> None:
    assert touched() == []


def test_changed_order_touches_its_fact_and_the_calendar() -> None:
    assert touched(sales_order=entry(changed=True, rows=1)) == ["dim_date", "fact_sales_order"]


def test_deleted_order_touches_its_fact_but_no_calendar() -> None:
    assert touched(sales_order=entry(changed=True, rows=0)) == ["fact_sales_order"]


def test_changed_department_touches_staff_that_came_along() -> None:
    changed = touched(
        department=entry(changed=True, rows=1), staff=entry(changed=False, read="delta", rows=3)
    )

    assert changed == ["dim_staff"]


def test_department_without_staff_touches_nothing() -> None:
    assert touched(department=entry(changed=True, rows=1)) == []


def test_address_that_came_along_for_a_counterparty_is_no_change_of_locations() -> None:
    changed = touched(
        counterparty=entry(changed=True, rows=1), address=entry(changed=False, read="delta", rows=1)
    )

    assert changed == ["dim_counterparty"]


@pytest.mark.parametrize(
    ("unknown", "stars"), [("staff", []), ("department", ["dim_staff"]), ("design", ["dim_staff"])]
)
def test_table_that_a_batch_does_not_know_is_not_touched(unknown: str, stars: list[str]) -> None:
    """The batch was captured before the table was added to the catalogue."""
    batch = hand_made.manifest(1, {"staff": entry(changed=True, rows=1)})
    del batch.tables[unknown]

    assert [star.name for star in touched_stars(batch)] == stars


def test_receipt_of_another_table_is_refused(directory: Store) -> None:
    batch = hand_made.manifest()
    other = receipt(batch, star="dim_date").to_bytes()
    directory.put(receipt_key(STAR_TABLES["dim_staff"], batch.batch), other)

    with pytest.raises(LakeError, match="says that it is of dim_date: it was moved"):
        read_receipt(directory, STAR_TABLES["dim_staff"], batch)


def test_dimensions_are_touched_before_facts() -> None:
    everything = {name: entry(changed=True, rows=1) for name in SOURCE_TABLES}

    assert touched(**everything) == list(STAR_TABLES)
