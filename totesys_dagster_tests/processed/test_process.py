"""From a batch to the star tables' files, receipts and quarantine, over real captured batches."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from totesys_dagster.catalogue import (
    SOURCE_TABLES,
    STAR_TABLES,
    Kind,
    StarTable,
    archived,
    revision,
)
from totesys_dagster.errors import LakeError, ProcessingError
from totesys_dagster.ingestion import capture
from totesys_dagster.lake import parts
from totesys_dagster.lake.key_sets import key_set
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.parts import read_lines, read_table
from totesys_dagster.lake.raw import RawTable
from totesys_dagster.lake.receipt import ProcessedTable, Receipt, read_receipt, receipt_key
from totesys_dagster.lake.store import Store
from totesys_dagster.processed import parsing
from totesys_dagster.processed import transform as processed_transform
from totesys_dagster.processed.process import (
    FACTS,
    calendar_rows,
    process_star,
    same_rows,
    star_rows,
)
from totesys_dagster.processed.transform import project, to_arrow, transform
from totesys_dagster.settings import INGESTION_URL, PROCESSED_URL
from totesys_dagster_tests import hand_made, made_up
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.hand_made import overwrite
from totesys_dagster_tests.processed.rows import SHOWN, as_tuples, line

DIM_STAFF, DIM_DESIGN = STAR_TABLES["dim_staff"], STAR_TABLES["dim_design"]
FACT_SALES_ORDER = STAR_TABLES["fact_sales_order"]


@pytest.fixture
def ingestion(tmp_path: Path) -> Store:
    """An empty ingestion zone, for batches made by hand."""
    return Store((tmp_path / "ingestion").as_uri(), INGESTION_URL)


@pytest.fixture
def processed(tmp_path: Path) -> Store:
    """An empty processed zone."""
    return Store((tmp_path / "processed").as_uri(), PROCESSED_URL)


def first_batch(platform: Platform, part_bytes: int = 1 << 20) -> Manifest:
    manifest = platform.capture(part_bytes=part_bytes)
    assert manifest is not None
    return manifest


def next_batch(platform: Platform, change: str) -> Manifest:
    """What a change of the source brings after the first batch."""
    platform.first_capture()
    platform.application.execute(change.encode())
    return first_batch(platform)


def shown_rows(store: Store, entry: ObjectEntry) -> list[tuple[Any, ...]]:
    star = entry.key.split("/")[1]
    return as_tuples(star, read_table(store, entry))


def rows(store: Store, entries: tuple[ObjectEntry, ...]) -> list[tuple[Any, ...]]:
    return [row for entry in entries for row in shown_rows(store, entry)]


def quarantine_lines(store: Store, receipt: Receipt) -> list[dict[str, Any]]:
    """What is in quarantine: the table, the reasons, and the row as it arrived."""
    return [
        json.loads(line)
        for entry in receipt.quarantine
        for line in read_lines(store, entry).splitlines()
    ]


# --- what a batch becomes ---------------------------------------------------------------------


def test_first_batch_gives_a_receipt_for_every_star_table(platform: Platform) -> None:
    manifest = first_batch(platform)

    receipts = platform.process(manifest)

    assert {name: (r.read, r.rows, r.quarantined) for name, r in receipts.items()} == {
        "dim_date": (7, 7, 0),
        "dim_staff": (2, 2, 0),
        "dim_location": (2, 2, 0),
        "dim_currency": (3, 3, 0),
        "dim_design": (2, 2, 0),
        "dim_counterparty": (2, 2, 0),
        "dim_payment_type": (2, 2, 0),
        "dim_transaction": (3, 3, 0),
        "fact_sales_order": (2, 2, 0),
        "fact_purchase_order": (1, 1, 0),
        "fact_payment": (3, 3, 0),
    } | {name: (1, 1, 0) for name in STAR_TABLES if name not in SHOWN}


def test_receipt_names_the_batch_that_it_was_made_from(platform: Platform) -> None:
    manifest = first_batch(platform)

    receipt = platform.process(manifest)["dim_staff"]

    assert (receipt.star, receipt.code_version, receipt.batch, receipt.sequence) == (
        "dim_staff",
        1,
        manifest.batch,
        1,
    )
    assert receipt.manifest_sha256 == manifest.sha256
    assert read_receipt(platform.processed, DIM_STAFF, manifest) == receipt


def test_rows_are_those_of_the_source(platform: Platform) -> None:
    receipt = platform.process(first_batch(platform))["fact_sales_order"]

    assert rows(platform.processed, receipt.objects) == [
        (
            1,
            dt.date(2022, 11, 3),
            51_652_186_000,  # 14:20:52.186 in microseconds
            dt.date(2022, 11, 3),
            51_652_186_000,  # 14:20:52.186 in microseconds
            1,
            1,
            42972,
            Decimal("3.94"),
            2,
            1,
            dt.date(2022, 11, 8),
            dt.date(2022, 11, 7),
            2,
        ),
        (
            2,
            dt.date(2022, 11, 4),
            32_400_000_000,  # 9:00
            dt.date(2022, 11, 4),
            32_400_000_000,  # 9:00
            1,
            2,
            1001,
            Decimal("2.10"),
            1,
            2,
            dt.date(2022, 11, 4),
            dt.date(2022, 11, 5),
            1,
        ),
    ]


def test_stored_schema_is_that_of_the_catalogue(platform: Platform) -> None:
    for name, receipt in platform.process(first_batch(platform)).items():
        star = STAR_TABLES[name]
        expected = pa.schema(
            [star.stored_schema.field(c.name).with_nullable(c.nullable) for c in star.columns]
        )
        for entry in receipt.objects:
            schema = read_table(platform.processed, entry).schema
            assert schema.equals(expected, check_metadata=True)


def test_files_are_filed_by_table_version_and_batch(platform: Platform) -> None:
    manifest = first_batch(platform)

    (entry,) = platform.process(manifest)["dim_staff"].objects

    assert entry.key == (
        f"rows/dim_staff/{revision(DIM_STAFF)}/batch={manifest.batch}/part-00000-{entry.sha256[:8]}.parquet"
    )


def test_only_changed_rows_are_in_a_later_batch(platform: Platform) -> None:
    manifest = next_batch(platform, "UPDATE design SET file_location = '/opt' WHERE design_id = 2")

    receipts = platform.process(manifest)

    assert list(receipts) == ["dim_design"]
    assert rows(platform.processed, receipts["dim_design"].objects) == [
        (2, "Bronze", "/opt", "bronze-20221024-4dds.json")
    ]


def test_changed_department_brings_its_staff(platform: Platform) -> None:
    manifest = next_batch(
        platform, "UPDATE department SET location = 'Leeds' WHERE department_id = 2"
    )

    receipts = platform.process(manifest)

    assert rows(platform.processed, receipts["dim_staff"].objects) == [
        (2, "Deron", "Beier", "Purchasing", "Leeds", "deron.beier@terrifictotes.com")
    ]


@pytest.mark.long
def test_many_parts_hold_the_same_rows_as_one(
    platform_on: Callable[[str], Platform], full_template: str, tmp_path: Path
) -> None:
    platform = platform_on(full_template)
    manifest = first_batch(platform, part_bytes=256 * 1024)
    whole = Store((tmp_path / "whole").as_uri(), INGESTION_URL)
    lines = b"".join(RawTable(SOURCE_TABLES["payment"], manifest, platform.ingestion).parts())
    in_one = hand_made.batch(whole, {"payment": lines}, part_bytes=1 << 30)

    many = process_star(
        STAR_TABLES["fact_payment"], manifest, platform.ingestion, platform.processed
    )
    one = process_star(STAR_TABLES["fact_payment"], in_one, whole, whole)

    assert len(many.objects) > 10
    assert [entry.key.rpartition("/")[2][:10] for entry in many.objects[:3]] == [
        "part-00000",
        "part-00001",
        "part-00002",
    ]
    assert len(one.objects) == 1
    assert many.rows == one.rows == 15836
    assert rows(platform.processed, many.objects) == rows(whole, one.objects)


@pytest.mark.long
def test_simulated_business_of_real_size_keeps_every_contract(full_platform: Platform) -> None:
    receipts = full_platform.process(first_batch(full_platform))

    assert {name: receipt.quarantined for name, receipt in receipts.items()} == dict.fromkeys(
        STAR_TABLES, 0
    )
    assert receipts["fact_sales_order"].rows == 11187


def test_part_of_quarantined_rows_only_gives_no_file(ingestion: Store, processed: Store) -> None:
    bad = line("sales_order", sales_order_id="1", units_sold="0")
    good = line("sales_order", sales_order_id="2")
    manifest = hand_made.batch(ingestion, {"sales_order": bad + good}, part_bytes=1)
    assert len(manifest.tables["sales_order"].objects) == 2

    receipt = process_star(FACT_SALES_ORDER, manifest, ingestion, processed)

    (entry,) = receipt.objects
    assert "part-00000" in entry.key
    assert (receipt.read, receipt.rows, receipt.quarantined) == (2, 1, 1)


def test_table_without_rows_in_the_batch_gets_an_empty_receipt(
    ingestion: Store, processed: Store
) -> None:
    manifest = hand_made.batch(ingestion, {"design": line("design")})

    receipt = process_star(FACT_SALES_ORDER, manifest, ingestion, processed)

    assert (receipt.read, receipt.rows, receipt.objects) == (0, 0, ())


def test_parent_in_many_parts_is_looked_up_whole(ingestion: Store, processed: Store) -> None:
    departments = [line("department", department_id=str(key)) for key in (1, 2, 3)]
    staff = [line("staff", staff_id=str(key), department_id=str(key)) for key in (3, 1, 2)]
    manifest = hand_made.batch(
        ingestion, {"department": b"".join(departments), "staff": b"".join(staff)}, part_bytes=1
    )

    receipt = process_star(DIM_STAFF, manifest, ingestion, processed)

    assert [row[0] for row in rows(processed, receipt.objects)] == [3, 1, 2]
    assert receipt.quarantined == 0


# --- deletions --------------------------------------------------------------------------------


def test_deleted_rows_become_keys(platform: Platform) -> None:
    manifest = next_batch(
        platform,
        "DELETE FROM payment WHERE payment_id IN (1, 3);"
        "DELETE FROM transaction WHERE transaction_id = 2",
    )

    receipts = platform.process(manifest)

    payments, transactions = receipts["fact_payment"], receipts["dim_transaction"]
    assert payments.deleted_keys == key_set("payment", [(1, 1), (3, 3)])
    assert transactions.deleted_keys == key_set("transaction", [(2, 2)])
    assert (payments.rows, payments.objects) == (0, ())


def test_full_read_leaves_deletions_to_the_load(platform: Platform) -> None:
    first = first_batch(platform)
    platform.application.execute("UPDATE design SET design_name = 'Steel' WHERE design_id = 1")
    second = first_batch(platform)

    assert platform.process(first)["dim_design"].reconcile
    assert not platform.process(second)["dim_design"].reconcile


# --- the calendar -----------------------------------------------------------------------------


def test_calendar_reaches_from_the_first_to_the_last_date_of_all_facts(platform: Platform) -> None:
    receipt = platform.process(first_batch(platform))["dim_date"]

    # From the first order's creation to the purchase order's delivery.
    assert [row[0] for row in rows(platform.processed, receipt.objects)] == [
        dt.date(2022, 11, day) for day in (3, 4, 5, 6, 7, 8, 9)
    ]


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("sales_order", "created_at", "2021-01-01T00:00:00"),
        ("sales_order", "last_updated", "2024-12-31T23:59:59.999"),
        ("sales_order", "agreed_delivery_date", "2024-12-31"),
        ("sales_order", "agreed_payment_date", "2024-12-31"),
        ("purchase_order", "created_at", "2021-01-01T00:00:00"),
        ("purchase_order", "last_updated", "2024-12-31T23:59:59.999"),
        ("purchase_order", "agreed_delivery_date", "2024-12-31"),
        ("purchase_order", "agreed_payment_date", "2024-12-31"),
        ("payment", "created_at", "2021-01-01T00:00:00"),
        ("payment", "last_updated", "2024-12-31T23:59:59.999"),
        ("payment", "payment_date", "2024-12-31"),
    ],
)
def test_calendar_reaches_every_date_of_every_fact(
    table: str, column: str, value: str, ingestion: Store, processed: Store
) -> None:
    manifest = hand_made.batch(ingestion, {table: line(table, **{column: f'"{value}"'})})

    receipt = process_star(STAR_TABLES["dim_date"], manifest, ingestion, processed)

    days = [row[0] for row in rows(processed, receipt.objects)]
    assert dt.date.fromisoformat(value[:10]) in days
    assert dt.date(2022, 11, 7) in days


def test_calendar_takes_the_first_and_the_last_of_many_rows(
    ingestion: Store, processed: Store
) -> None:
    dates = ["2022-11-09", "2022-11-01", "2022-11-05"]
    lines = [
        line("payment", payment_id=str(key), payment_date=f'"{date}"')
        for key, date in enumerate(dates)
    ]
    manifest = hand_made.batch(ingestion, {"payment": b"".join(lines)})

    receipt = process_star(STAR_TABLES["dim_date"], manifest, ingestion, processed)

    assert [row[3] for row in rows(processed, receipt.objects)] == [1, 2, 3, 4, 5, 6, 7, 8, 9]


def test_dates_of_quarantined_rows_are_not_in_the_calendar(
    ingestion: Store, processed: Store
) -> None:
    far = line("payment", payment_id="2", payment_date='"2090-01-01"', paid="null")
    manifest = hand_made.batch(ingestion, {"payment": line("payment") + far})

    receipt = process_star(STAR_TABLES["dim_date"], manifest, ingestion, processed)

    assert [row[0].year for row in rows(processed, receipt.objects)] == [2022] * 6


def test_calendar_of_no_dates_is_empty(ingestion: Store, processed: Store) -> None:
    manifest = hand_made.batch(ingestion, {"payment": line("payment", paid="null")})

    receipt = process_star(STAR_TABLES["dim_date"], manifest, ingestion, processed)

    assert (receipt.read, receipt.rows, receipt.objects) == (0, 0, ())


def test_calendar_is_made_from_the_facts_that_the_batch_changes(
    ingestion: Store, processed: Store
) -> None:
    manifest = hand_made.batch(ingestion, {"payment": line("payment")})
    facts = [ProcessedTable(fact, manifest, processed) for fact in FACTS]

    with pytest.raises(LakeError) as stopped:
        calendar_rows(STAR_TABLES["dim_date"], *facts).write(processed)
    process_star(STAR_TABLES["fact_payment"], manifest, ingestion, processed)

    assert str(stopped.value) == (
        f"Batch {manifest.batch} is not processed for fact_payment: materialize"
        " processed/fact_payment for it first."
    )
    assert calendar_rows(STAR_TABLES["dim_date"], *facts).write(processed).rows == 6


# --- quarantine -------------------------------------------------------------------------------


@pytest.mark.long
def test_quarantine_holds_the_row_as_it_arrived(platform: Platform) -> None:
    platform.application.execute(
        "UPDATE sales_order SET agreed_delivery_date = 'next  Tuesday' WHERE sales_order_id = 2"
    )
    manifest = first_batch(platform)

    receipt = platform.process(manifest)["fact_sales_order"]

    (line,) = quarantine_lines(platform.processed, receipt)
    assert line == {
        "table": "sales_order",
        "reasons": ["agreed_delivery_date is not a date YYYY-MM-DD of the years 2000 to 2099"],
        "row": '{"sales_order_id":2,"created_at":"2022-11-04T09:00:00",'
        '"last_updated":"2022-11-04T09:00:00","design_id":2,"staff_id":1,"counterparty_id":2,'
        '"units_sold":1001,"unit_price":2.10,"currency_id":1,'
        '"agreed_delivery_date":"next  Tuesday","agreed_payment_date":"2022-11-04",'
        '"agreed_delivery_location_id":1}',
    }
    assert (receipt.read, receipt.rows, receipt.quarantined) == (2, 1, 1)


def test_quarantine_is_filed_beside_the_rows(platform: Platform) -> None:
    platform.application.execute("UPDATE currency SET currency_code = 'ZZZ' WHERE currency_id = 3")
    manifest = first_batch(platform)

    (entry,) = platform.process(manifest)["dim_currency"].quarantine

    assert entry.key.startswith(
        f"quarantine/dim_currency/{revision(STAR_TABLES['dim_currency'])}/batch={manifest.batch}/part-00000-"
    )
    assert entry.rows == 1


def test_quarantine_takes_bytes_that_are_no_text(ingestion: Store, processed: Store) -> None:
    broken = b'{"design_id":1,"design_name":"M\xfcller \\u0000"}'
    manifest = hand_made.batch(ingestion, {"design": broken + b"\n"})

    receipt = process_star(DIM_DESIGN, manifest, ingestion, processed)

    (line,) = quarantine_lines(processed, receipt)
    assert line["row"] == '{"design_id":1,"design_name":"M\\xfcller \\u0000"}'


def test_department_without_a_town_quarantines_its_staff(platform: Platform) -> None:
    platform.application.execute("UPDATE department SET location = NULL WHERE department_id = 2")
    manifest = first_batch(platform)

    receipt = platform.process(manifest)["dim_staff"]

    assert [row[0] for row in rows(platform.processed, receipt.objects)] == [1]
    (line,) = quarantine_lines(platform.processed, receipt)
    assert line["table"] == "staff"
    assert line["reasons"] == ["location is missing, which dim_staff requires"]
    assert json.loads(line["row"])["staff_id"] == 2


def test_row_that_lacks_a_town_is_found_by_its_line_behind_a_quarantined_one(
    ingestion: Store, processed: Store
) -> None:
    manifest = hand_made.batch(
        ingestion,
        {
            "department": line("department", department_id="1")
            + line("department", department_id="2", location="null"),
            "staff": b"null\n"
            + line("staff", staff_id="1", department_id="1")
            + line("staff", staff_id="2", department_id="2"),
        },
    )

    receipt = process_star(DIM_STAFF, manifest, ingestion, processed)

    lines = quarantine_lines(processed, receipt)
    assert [line["row"][:14] for line in lines] == ["null", '{"staff_id":2,']


def test_department_that_is_wrong_where_nobody_looks_sets_nobody_aside(
    ingestion: Store, processed: Store
) -> None:
    left = {"manager": "[1]", "created_at": '"1999-01-01T00:00:00"', "last_updated": None}
    taken = DIM_STAFF.takes("department")
    wrong = {name: value for name, value in left.items() if name not in taken}
    manifest = hand_made.batch(
        ingestion,
        {
            "department": line("department", department_id="1", **wrong),
            "staff": line("staff", staff_id="7", department_id="1"),
        },
    )

    receipt = process_star(DIM_STAFF, manifest, ingestion, processed)

    assert [row[0] for row in rows(processed, receipt.objects)] == [7]
    assert receipt.quarantined == 0


def test_department_that_breaks_its_contract_quarantines_its_staff_too(
    ingestion: Store, processed: Store
) -> None:
    manifest = hand_made.batch(
        ingestion,
        {
            "department": line("department", department_id="1", department_name="null"),
            "staff": line("staff", staff_id="7", department_id="1"),
        },
    )

    receipt = process_star(DIM_STAFF, manifest, ingestion, processed)

    assert [(line["table"], line["reasons"]) for line in quarantine_lines(processed, receipt)] == [
        ("department", ["department_name is missing"]),
        ("staff", ["department_id refers to a row that is not in the batch, or is in quarantine"]),
    ]
    assert (receipt.read, receipt.rows, receipt.quarantined) == (1, 0, 2)


# --- currencies -------------------------------------------------------------------------------


def test_order_in_a_currency_that_was_withdrawn_since_is_right(platform: Platform) -> None:
    platform.application.execute("UPDATE currency SET currency_code = 'HRK' WHERE currency_id = 2")
    manifest = first_batch(platform)

    receipt = platform.process(manifest)["dim_currency"]

    assert rows(platform.processed, receipt.objects) == [
        (1, "GBP", "Pound Sterling"),
        (3, "EUR", "Euro"),
        (2, "HRK", "Kuna"),
    ]


@pytest.mark.long
def test_currency_that_the_package_has_dropped_since_is_right_still(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.first()
    monkeypatch.setattr(capture, "currencies", lambda: {"EUR": "Euro", "GBP": "Pound"})
    manifest = platform.capture(full=("currency",))
    assert manifest is not None

    receipt = platform.process(manifest)["dim_currency"]

    assert rows(platform.processed, receipt.objects) == [
        (1, "GBP", "Pound"),
        (2, "USD", "US Dollar"),
        (3, "EUR", "Euro"),
    ]


def test_currencies_are_judged_by_the_list_that_is_given() -> None:
    """And by nothing that is installed: a newer list must not change what a batch gives."""
    star, data = STAR_TABLES["dim_currency"], line("currency", currency_code='"GBP"')

    table = archived(star, "currency", SOURCE_TABLES["currency"].column_names)
    named = transform(star, table, data, {}, {"GBP": "Pound"})
    unknown = transform(star, table, data, {}, {"EUR": "Euro"})

    assert as_tuples("dim_currency", named.rows) == [(1, "GBP", "Pound")]
    assert as_tuples("dim_currency", unknown.rows) == []
    assert [row.reasons for row in unknown.quarantined] == [("currency_code is not a known code",)]


# --- once and for all -------------------------------------------------------------------------


@pytest.mark.long
def test_processing_again_gives_the_same_receipt_and_no_new_object(platform: Platform) -> None:
    manifest = first_batch(platform)
    first = platform.process(manifest)
    objects = platform.processed.list("")

    assert platform.process(manifest) == first
    assert platform.processed.list("") == objects


def test_batch_that_is_processed_is_not_read_again(ingestion: Store, processed: Store) -> None:
    manifest = hand_made.batch(ingestion, {"design": line("design")})
    first = process_star(DIM_DESIGN, manifest, ingestion, processed)
    overwrite(ingestion, manifest.tables["design"].objects[0].key, b"no longer readable")

    assert process_star(DIM_DESIGN, manifest, ingestion, processed) == first


def write(star: StarTable, manifest: Manifest, ingestion: Store, processed: Store) -> Receipt:
    """Process as an asset does: without looking first whether it was done."""
    if star.kind is Kind.CALENDAR:
        return calendar_rows(
            star, *(ProcessedTable(fact, manifest, processed) for fact in FACTS)
        ).write(processed)
    raw = [RawTable(SOURCE_TABLES[name], manifest, ingestion) for name in star.sources]
    return star_rows(star, *raw).write(processed)


def test_same_input_gives_the_same_bytes(platform: Platform, tmp_path: Path) -> None:
    manifest = first_batch(platform)
    elsewhere = Store((tmp_path / "elsewhere").as_uri(), PROCESSED_URL)

    for star in reversed(STAR_TABLES.values()):  # the calendar last: it is made from the facts
        write(star, manifest, platform.ingestion, platform.processed)
        write(star, manifest, platform.ingestion, elsewhere)

    objects, same = (
        [key for key in zone.list("") if not key.startswith("probe/")]
        for zone in (platform.processed, elsewhere)
    )
    assert len(objects) == 2 * len(STAR_TABLES)  # a file and a receipt for each table
    assert same == objects
    for key in objects:
        assert platform.processed.get(key) == elsewhere.get(key)


def test_materializing_again_writes_nothing_new(platform: Platform) -> None:
    platform.application.execute("UPDATE department SET location = NULL WHERE department_id = 2")
    manifest = first_batch(platform)
    first = write(DIM_STAFF, manifest, platform.ingestion, platform.processed)
    objects = platform.processed.list("")

    assert write(DIM_STAFF, manifest, platform.ingestion, platform.processed) == first
    assert platform.processed.list("") == objects


def test_nothing_counts_as_processed_before_the_receipt(ingestion: Store, processed: Store) -> None:
    manifest = hand_made.batch(ingestion, {"design": line("design")})
    data = ingestion.get(manifest.tables["design"].objects[0].key)
    overwrite(ingestion, manifest.tables["design"].objects[0].key, data + b"\0")

    with pytest.raises(LakeError, match="is larger than the"):
        process_star(DIM_DESIGN, manifest, ingestion, processed)

    assert read_receipt(processed, DIM_DESIGN, manifest) is None


def test_processing_that_was_cut_off_is_done_again(ingestion: Store, processed: Store) -> None:
    lines = line("design", design_id="1") + line("design", design_id="2")
    manifest = hand_made.batch(ingestion, {"design": lines}, part_bytes=1)
    second = manifest.tables["design"].objects[1].key
    data = ingestion.get(second)
    overwrite(ingestion, second, b"")
    with pytest.raises(LakeError):
        process_star(DIM_DESIGN, manifest, ingestion, processed)
    overwrite(ingestion, second, data)

    receipt = process_star(DIM_DESIGN, manifest, ingestion, processed)

    assert [row[0] for row in rows(processed, receipt.objects)] == [1, 2]


def shout(*arguments: Any) -> pd.DataFrame:
    """A transform of designs that gives another result."""
    rows = project(*arguments)
    return rows.assign(design_name=rows["design_name"].str.upper())


def test_other_result_for_the_same_batch_asks_for_a_new_version(
    ingestion: Store, processed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = hand_made.batch(ingestion, {"design": line("design")})
    before = write(DIM_DESIGN, manifest, ingestion, processed)
    monkeypatch.setattr(processed_transform, "project", shout)

    with pytest.raises(ProcessingError, match="raise the code_version of dim_design in"):
        write(DIM_DESIGN, manifest, ingestion, processed)

    assert read_receipt(processed, DIM_DESIGN, manifest) == before


def test_other_number_of_rows_asks_for_a_new_version(
    ingestion: Store, processed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = hand_made.batch(
        ingestion, {"design": line("design", design_id="1") + line("design", design_id="2")}
    )
    write(DIM_DESIGN, manifest, ingestion, processed)
    monkeypatch.setattr(
        processed_transform, "project", lambda *arguments: project(*arguments).iloc[:1]
    )

    with pytest.raises(ProcessingError, match="was processed before with another result"):
        write(DIM_DESIGN, manifest, ingestion, processed)


def test_same_rows_in_other_bytes_are_the_same_result(
    ingestion: Store, processed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade of pyarrow: the objects of the first time stay the ones that count."""
    lines = line("design", design_id="1") + line("design", design_id="2")
    manifest = hand_made.batch(ingestion, {"design": lines})
    before = write(DIM_DESIGN, manifest, ingestion, processed)
    monkeypatch.setattr(parts, "ROW_GROUP_ROWS", 1)

    again = write(DIM_DESIGN, manifest, ingestion, processed)

    assert again == before
    assert len(processed.list("rows")) == 2  # so the bytes were other ones


def test_reasons_in_other_words_are_the_same_result(
    ingestion: Store, processed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As after an upgrade to a release that says it better."""
    lines = line("design", design_id="1") + line("design", design_id="2", design_name=None)
    manifest = hand_made.batch(ingestion, {"design": lines})
    before = write(DIM_DESIGN, manifest, ingestion, processed)
    assert before.quarantined == 1
    real = parsing.Findings.against

    def other_words(self: parsing.Findings, rows: Iterable[int], _: str) -> None:
        real(self, rows, "this is not how it should be")

    monkeypatch.setattr(parsing.Findings, "against", other_words)

    assert write(DIM_DESIGN, manifest, ingestion, processed) == before
    assert len(processed.list("quarantine")) == 2  # so the words were other ones


def test_results_that_differ_in_deletions_are_not_the_same(
    ingestion: Store, processed: Store
) -> None:
    manifest = hand_made.batch(ingestion, {}, deleted={"design": [1]})
    receipt = process_star(DIM_DESIGN, manifest, ingestion, processed)

    assert same_rows(processed, receipt, receipt)
    assert not same_rows(processed, receipt, receipt.model_copy(update={"deleted_keys": None}))


def test_receipt_of_another_version_is_another_object(
    ingestion: Store, processed: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    manifest = hand_made.batch(ingestion, {"design": line("design")})
    write(DIM_DESIGN, manifest, ingestion, processed)
    monkeypatch.setattr(processed_transform, "project", shout)
    second = replace(DIM_DESIGN, code_version=2)

    receipt = write(second, manifest, ingestion, processed)

    assert [row[1] for row in rows(processed, receipt.objects)] == ["WOODEN"]
    assert processed.list("receipts") == [
        receipt_key(DIM_DESIGN, manifest.batch),
        receipt_key(second, manifest.batch),
    ]


# --- the catalogue is the contract of every transform -----------------------------------------


def test_transform_with_other_columns_is_named() -> None:
    frame = pd.DataFrame({"design_id": [1], "design_name": ["Wooden"]})

    with pytest.raises(ProcessingError) as error:
        to_arrow(DIM_DESIGN, frame)

    assert str(error.value) == (
        "The transform of dim_design gave the columns design_id, design_name, but the catalogue"
        f" declares {', '.join(DIM_DESIGN.column_names)}: fix the one that is wrong."
    )


def test_transform_with_columns_in_another_order_is_named() -> None:
    names = DIM_DESIGN.column_names[::-1]
    frame = pd.DataFrame({name: ["x"] for name in names})

    with pytest.raises(ProcessingError, match=f"gave the columns {', '.join(names)}, but"):
        to_arrow(DIM_DESIGN, frame)


@pytest.mark.parametrize("wrong", ["eight", 8.5, 2**31])
def test_transform_with_values_of_another_type_is_named(wrong: object) -> None:
    design = {column.name: [made_up.VALUES[column.type]] for column in DIM_DESIGN.columns}
    frame = pd.DataFrame(design | {"design_id": [wrong]})

    with pytest.raises(ProcessingError, match="gave values that the catalogue does not declare"):
        to_arrow(DIM_DESIGN, frame)
