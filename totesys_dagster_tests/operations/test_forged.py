"""Objects and ledgers that somebody forged: `verify` says so, and no rebuild trusts them.

Each forgery is as consistent in itself as its kind can be: hashes, names and counts agree, so that
only what the ledger remembers, or the rows of the batch themselves, can tell.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.compute as pc
import pytest

from totesys_dagster.catalogue import STAR_TABLES, WAREHOUSE_TABLES, revision
from totesys_dagster.errors import LoadError, OtherLakeError, TotesysError
from totesys_dagster.lake.manifest import CommitMarker, ManifestLog
from totesys_dagster.lake.parts import part_stem, write_lines
from totesys_dagster.lake.receipt import Receipt, read_receipt, read_star, receipt_key, write_star
from totesys_dagster.lake.store import Store
from totesys_dagster.operations import replace
from totesys_dagster.operations.repair import repair
from totesys_dagster.operations.verify import Verification, verify
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import DELETE_ORDER_1, EDIT_ORDER_1, EDIT_ORDER_1_BACK, new_sale
from totesys_dagster_tests.hand_made import manifest_key, marker_key, overwrite
from totesys_dagster_tests.operations.test_rebuild import everything, forget, rebuild_of

FACT = STAR_TABLES["fact_sales_order"]


def four_batches(platform: Platform) -> None:
    """Order 1 goes from design 1 to 2 and back, one comes, and a currency is in quarantine."""
    platform.first()
    for edit in (
        EDIT_ORDER_1,
        f"{EDIT_ORDER_1_BACK}; {new_sale(9)}",
        "INSERT INTO currency VALUES (4, 'ZZZ', now(), now())",
    ):
        platform.application.execute(edit)  # type: ignore[call-overload]
        platform.run()


@pytest.fixture
def loaded(platform: Platform) -> Platform:
    platform.come_to("forged", four_batches)
    return platform


def verification(platform: Platform) -> Verification:
    return verify(platform.warehouse, platform.names, platform.ingestion, platform.processed)


def receipt_of(platform: Platform, star: str, sequence: int) -> Receipt:
    manifest = ManifestLog(platform.ingestion).read(sequence)
    found = read_receipt(platform.processed, STAR_TABLES[star], manifest)
    assert found is not None
    return found


def put_receipt(platform: Platform, receipt: Receipt, **fields: object) -> str:
    """Put a receipt with other fields in its place; its address."""
    key = receipt_key(STAR_TABLES[receipt.star], receipt.batch)
    overwrite(platform.processed, key, receipt.model_copy(update=fields).to_bytes())
    return platform.processed.uri(key)


def sound(platform: Platform) -> list[str]:
    """What a verification finds but for the currency, which is in quarantine by intent."""
    return [f for f in verification(platform).findings if not f.startswith("dim_currency does not")]


# Receipts


def names_the_batch_before(platform: Platform) -> str:
    before, receipt = (receipt_of(platform, FACT.name, n) for n in (2, 3))
    return put_receipt(platform, receipt, rows=before.rows, objects=before.objects)


def names_fewer_rows(platform: Platform) -> str:
    receipt = receipt_of(platform, FACT.name, 3)
    part = read_star(platform.processed, FACT, receipt.objects[0]).slice(0, 1)
    stem = part_stem("rows", f"{FACT.name}/{revision(FACT)}", receipt.batch)
    entry = write_star(platform.processed, FACT, stem, 7, part)
    return put_receipt(platform, receipt, rows=1, objects=(entry,), read=1)


def says_a_row_is_in_quarantine(platform: Platform) -> str:
    """Which names it, and so would explain that it is missing."""
    receipt = receipt_of(platform, FACT.name, 3)
    part = read_star(platform.processed, FACT, receipt.objects[0]).slice(0, 1)
    folder = f"{FACT.name}/{revision(FACT)}"
    stem = part_stem("rows", folder, receipt.batch)
    entry = write_star(platform.processed, FACT, stem, 7, part)
    line = b'{"table": "sales_order", "reasons": ["x"], "row": "{\\"sales_order_id\\": 9}"}\n'
    stem = part_stem("quarantine", folder, receipt.batch)
    quarantine = tuple(write_lines(platform.processed, stem, [line], 1))
    fields = {"rows": 1, "objects": (entry,), "quarantined": 1, "quarantine": quarantine}
    return put_receipt(platform, receipt, **fields)


def has_another_value(platform: Platform, sequence: int = 2) -> str:
    receipt = receipt_of(platform, FACT.name, sequence)
    part = read_star(platform.processed, FACT, receipt.objects[0])
    at = FACT.column_names.index("units_sold")
    part = part.set_column(at, "units_sold", pc.add(part["units_sold"], pa.scalar(1, pa.int32())))
    stem = part_stem("rows", f"{FACT.name}/{revision(FACT)}", receipt.batch)
    entry = write_star(platform.processed, FACT, stem, 0, part)
    return put_receipt(platform, receipt, objects=(entry,))


def names_another_table(platform: Platform) -> str:
    other, receipt = (receipt_of(platform, s, 3) for s in ("fact_payment", FACT.name))
    return put_receipt(platform, receipt, objects=other.objects, rows=other.rows)


def names_another_revision(platform: Platform) -> str:
    receipt = receipt_of(platform, FACT.name, 3)
    part = read_star(platform.processed, FACT, receipt.objects[0])
    stem = part_stem("rows", f"{FACT.name}/v9-00000000", receipt.batch)
    return put_receipt(
        platform, receipt, objects=(write_star(platform.processed, FACT, stem, 0, part),)
    )


def names_an_object_twice(platform: Platform) -> str:
    receipt = receipt_of(platform, FACT.name, 2)
    return put_receipt(platform, receipt, objects=receipt.objects * 2, rows=2, read=2)


def deletes_more(platform: Platform) -> str:
    receipt = receipt_of(platform, FACT.name, 2)
    return put_receipt(platform, receipt, reconcile=True)


def forgets_the_quarantine(platform: Platform) -> str:
    receipt = receipt_of(platform, "dim_currency", 4)
    return put_receipt(platform, receipt, quarantined=0, quarantine=())


def says_fewer_days(platform: Platform) -> str:
    """Its facts are orphans then, which a quarantine would explain."""
    calendar, receipt = STAR_TABLES["dim_date"], receipt_of(platform, "dim_date", 1)
    part = read_star(platform.processed, calendar, receipt.objects[0]).slice(0, 1)
    stem = part_stem("rows", f"dim_date/{revision(calendar)}", receipt.batch)
    entry = write_star(platform.processed, calendar, stem, 7, part)
    return put_receipt(platform, receipt, objects=(entry,), rows=1, read=1)


RECEIPTS = [
    names_the_batch_before,
    names_fewer_rows,
    says_a_row_is_in_quarantine,
    has_another_value,
    names_another_table,
    names_another_revision,
    names_an_object_twice,
    deletes_more,
    forgets_the_quarantine,
    says_fewer_days,
]


# Objects


def _path(store: Store, key: str = "") -> Path:
    return Path(unquote(urlsplit(store.url).path), key)


def parquet_is_cut_off(platform: Platform) -> str:
    entry = receipt_of(platform, FACT.name, 2).objects[0]
    overwrite(platform.processed, entry.key, platform.processed.get(entry.key)[:-20])
    return platform.processed.uri(entry.key)


def parquet_is_of_the_batch_before(platform: Platform) -> str:
    before, now = (receipt_of(platform, FACT.name, n).objects[0].key for n in (2, 3))
    overwrite(platform.processed, now, platform.processed.get(before))
    return platform.processed.uri(now)


def parquet_is_gone(platform: Platform) -> str:
    key = receipt_of(platform, FACT.name, 2).objects[0].key
    _path(platform.processed, key).unlink()
    return platform.processed.uri(key)


def quarantine_is_empty(platform: Platform) -> str:
    key = receipt_of(platform, "dim_currency", 4).quarantine[0].key
    overwrite(platform.processed, key, b"")
    return platform.processed.uri(key)


OBJECTS = [
    parquet_is_cut_off,
    parquet_is_of_the_batch_before,
    parquet_is_gone,
    quarantine_is_empty,
]

LANDING = {has_another_value}
FORGERIES = [
    one if one in LANDING else pytest.param(one, marks=pytest.mark.long)
    for one in (*RECEIPTS, *OBJECTS)
]


@pytest.mark.parametrize("forge", FORGERIES)
def test_forged_object_is_named_left_out_of_the_warehouse_and_made_again(
    loaded: Platform, forge: Callable[[Platform], str]
) -> None:
    before = everything(loaded)
    address = forge(loaded)
    found = verification(loaded)
    named = [finding for finding in found.findings if address in finding]
    with pytest.raises(TotesysError) as refused:
        rebuild_of(loaded)

    assert len(named) == 1
    assert "`totesys verify --repair` re-creates it" in named[0]
    assert "`totesys verify --repair` re-creates it" in str(refused.value)
    assert "\n" not in named[0] + str(refused.value)
    assert everything(loaded) == before

    repair(loaded.ingestion, loaded.processed, found.damaged)
    assert sound(loaded) == []
    assert rebuild_of(loaded).different == dict.fromkeys(WAREHOUSE_TABLES, 0)
    assert everything(loaded) == before


@pytest.mark.long
@pytest.mark.parametrize("forge", [has_another_value, says_a_row_is_in_quarantine])
def test_forged_receipt_fills_no_warehouse(
    loaded: Platform, forge: Callable[[Platform], str]
) -> None:
    """No ledger remembers it: the rows of the batch tell."""
    address = forge(loaded)
    forget(loaded)
    with pytest.raises(TotesysError, match="processed before with another result") as refused:
        rebuild_of(loaded)

    assert address in str(refused.value)


@pytest.mark.long
def test_processed_zone_that_is_gone_is_made_again(loaded: Platform) -> None:
    shutil.rmtree(_path(loaded.processed))
    loaded.processed = Store(loaded.processed.url, loaded.processed.setting)
    found = verification(loaded)
    assert len(found.damaged) > 10
    assert all("`totesys verify --repair` re-creates it" in f for f in found.findings[:-1])

    repair(loaded.ingestion, loaded.processed, found.damaged)
    assert sound(loaded) == []


# The log


def put_manifest(platform: Platform, sequence: int, change: Callable[[Any], None]) -> None:
    """Change the manifest of the last batch, and its marker with it."""
    manifest = ManifestLog(platform.ingestion).read(sequence)
    fields = manifest.model_dump()
    change(fields)
    forged = type(manifest).model_validate(fields)
    overwrite(platform.ingestion, manifest_key(sequence), forged.to_bytes())
    forged = ManifestLog(platform.ingestion).read(sequence)
    marker = CommitMarker(log="totesys", sequence=sequence, manifest_sha256=forged.sha256)
    overwrite(platform.ingestion, marker_key(sequence), marker.to_bytes())


def drop_an_order(fields: dict[str, Any]) -> None:
    table = fields["tables"]["sales_order"]
    table |= {"objects": (), "rows": 0, "read": "none", "changed": False}


@pytest.mark.long
def test_forged_manifest_of_the_last_batch_is_no_batch_of_ours(loaded: Platform) -> None:
    loaded.application.execute(EDIT_ORDER_1)
    loaded.run()
    before = everything(loaded)
    put_manifest(loaded, 5, drop_an_order)

    assert verification(loaded).findings[0].startswith("Batch 5 (0000000005) is not the one")
    with pytest.raises(OtherLakeError, match="holds another batch 5 than the lake at"):
        rebuild_of(loaded)
    assert everything(loaded) == before


@pytest.mark.long
def test_forged_manifest_in_the_middle_breaks_the_chain(loaded: Platform) -> None:
    before = everything(loaded)
    put_manifest(loaded, 2, drop_an_order)

    assert verification(loaded).findings[0].startswith("Batch 2 (0000000002) is not the one")
    with pytest.raises(TotesysError, match=r"Batch 3 .* does not follow from the batch before it"):
        rebuild_of(loaded)
    assert everything(loaded) == before


@pytest.mark.long
def test_manifest_that_names_an_object_of_another_batch_is_found(platform: Platform) -> None:
    """One that no ledger has yet."""
    platform.first()
    platform.application.execute(EDIT_ORDER_1)
    platform.capture()
    first = ManifestLog(platform.ingestion).read(1).tables["sales_order"]

    def change(fields: dict[str, Any]) -> None:
        objects = [entry.model_dump() for entry in first.objects]
        fields["tables"]["sales_order"] |= {"objects": tuple(objects), "rows": first.rows}

    put_manifest(platform, 2, change)

    [finding] = verification(platform).findings
    assert finding.startswith("Batch 2 (0000000002) names objects of sales_order that do not")


@contextmanager
def older_lake(platform: Platform, last: int) -> Iterator[None]:
    """The lake as it was after batch `last`, and then as it is again."""
    taken = {
        path: path.read_bytes()
        for number in range(last + 1, 5)
        for path in (_path(platform.ingestion, key(number)) for key in (manifest_key, marker_key))
    }
    for path in taken:
        path.unlink()
    yield
    for path, data in taken.items():
        path.write_bytes(data)


@pytest.mark.long
def test_lake_that_was_restored_from_an_older_backup_drops_no_batch(loaded: Platform) -> None:
    before = everything(loaded)
    with older_lake(loaded, 2):
        assert "manifests/totesys/0000000003.json does not exist" in sound(loaded)[0]
        with pytest.raises(OtherLakeError) as refused:
            rebuild_of(loaded)
        assert str(refused.value) == (
            f"The warehouse holds 4 batches, but the lake at {loaded.ingestion.url} holds 2:"
            " restore its manifests from the bucket's older versions, or point"
            " TOTESYS_INGESTION_URL to the lake that the warehouse was loaded from; `totesys"
            " rebuild --lose-loaded-batches` gives up what the others brought."
        )
        assert everything(loaded) == before
        rebuild_of(loaded, lose_loaded_batches=True)
        assert loaded.rows("SELECT max(sequence) FROM batch") == [(2,)]
    rebuild_of(loaded)  # a rebuild completes a ledger that is shorter than the log

    assert everything(loaded) == before


# The ledger


BATCH_2_GOES = """
    DELETE FROM batch_table WHERE sequence = 2;
    DELETE FROM audit WHERE sequence = 2;
    DELETE FROM batch WHERE sequence = 2
"""


@pytest.mark.long
@pytest.mark.parametrize(
    ("edit", "said"),
    [
        (
            "DELETE FROM batch_table WHERE sequence = 2 AND star = 'fact_sales_order'",
            "The ledger does not say that batch 2 was loaded into fact_sales_order",
        ),
        (
            "UPDATE batch_table SET receipt_sha256 = 'x' WHERE sequence = 2 AND star ~ 'order'",
            "is not the receipt that the warehouse loaded",
        ),
        (
            BATCH_2_GOES,
            "Batch 2 is missing from the ledger, although later ones are there",
        ),
        ("UPDATE batch SET manifest_sha256 = 'x' WHERE sequence = 4", "Batch 4 (0000000004) is"),
    ],
)
def test_ledger_that_was_changed_is_named_and_mended(
    loaded: Platform, edit: str, said: str
) -> None:
    before = everything(loaded)
    loaded.rows("SELECT 1")
    loaded.warehouse.execute(edit)  # type: ignore[call-overload]
    assert any(said in finding for finding in sound(loaded))
    rebuild_of(loaded)

    assert everything(loaded) == before


@pytest.mark.long
def test_ledger_of_another_lake_lets_no_row_be_replaced(loaded: Platform) -> None:
    loaded.rows("SELECT 1")
    loaded.warehouse.execute(
        "UPDATE batch SET manifest_sha256 = 'x';"
        " UPDATE fact_sales_order SET units_sold = 1 WHERE sales_order_id = 2"
    )
    before = everything(loaded)
    with pytest.raises(OtherLakeError, match="holds another batch 1 than the lake"):
        rebuild_of(loaded)

    assert everything(loaded) == before


# What the source held


@pytest.mark.long
def test_rows_that_the_source_did_not_hold_take_no_place(
    loaded: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever made them, and though everything is as it was written."""
    monkeypatch.setattr("totesys_dagster.operations.proof.process", lambda *_: None)
    address = has_another_value(loaded, 3)
    before = everything(loaded)
    with pytest.raises(LoadError) as refused:
        rebuild_of(loaded)

    assert str(refused.value).startswith(
        "The lake gives fact_sales_order with other rows than the source held as of batch 4 (3 rows"
        " expected, 3 found), and the warehouse was left as it is: run `totesys verify`"
    )
    assert everything(loaded) == before
    assert any(address in finding for finding in sound(loaded))


@pytest.mark.long
def test_rebuild_that_dies_while_it_replaces_leaves_everything(
    loaded: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded.rows("SELECT 1")
    loaded.warehouse.execute("DELETE FROM fact_sales_order WHERE sales_order_id = 2")
    before = everything(loaded)
    for step in ("_replace_rows", "_replace_ledger"):
        with monkeypatch.context() as patch:

            def die(*_: object) -> None:
                raise KeyboardInterrupt

            patch.setattr(replace, step, die)
            with pytest.raises(KeyboardInterrupt):
                rebuild_of(loaded)
        assert everything(loaded) == before
    rebuild_of(loaded)

    assert loaded.rows("SELECT count(*) FROM fact_sales_order") == [(5,)]


@pytest.mark.long
def test_deleted_order_is_no_difference(loaded: Platform) -> None:
    loaded.application.execute(DELETE_ORDER_1)
    loaded.run()
    loaded.rows("SELECT 1")
    loaded.warehouse.execute("DELETE FROM fact_payment WHERE payment_id = 2")
    rebuilt = rebuild_of(loaded)

    assert rebuilt.different is not None
    assert rebuilt.different["fact_payment"] == 1
