"""The load of a batch: what becomes of its rows, what is refused, and loads that meet."""

from __future__ import annotations

import datetime as dt
import json
import threading
from decimal import Decimal
from pathlib import Path

import pytest

from totesys_dagster import settings
from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.errors import LakeError, SequenceGapError, TotesysError
from totesys_dagster.lake import key_sets, requests
from totesys_dagster.lake.key_sets import KeyObject
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.receipt import Receipt, receipt_key
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres.sessions import connect
from totesys_dagster.processed.process import FACTS
from totesys_dagster.warehouse import healing, ledger, schema
from totesys_dagster.warehouse.ledger import Loaded
from totesys_dagster.warehouse.load import load_batch
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import (
    DELETE_ORDER_1,
    EDIT_ORDER_1,
    EDIT_ORDER_1_BACK,
    new_design,
    new_sale,
)
from totesys_dagster_tests.hand_made import overwrite
from totesys_dagster_tests.landing import by_night


def change(platform: Platform, statement: str) -> Loaded:
    """Let something happen in the source and take it the whole way."""
    platform.application.execute(statement)  # type: ignore[call-overload]
    loaded = platform.run()
    assert loaded is not None
    return loaded


def processed_batch(platform: Platform) -> tuple[Manifest, dict[str, Receipt]]:
    """The next batch, ready to be loaded."""
    manifest = platform.capture()
    assert manifest is not None
    return manifest, platform.process(manifest)


def refusal(platform: Platform, manifest: Manifest, *, quarantine_limit: int = 100) -> TotesysError:
    """The error of a load that is refused; checks that it wrote nothing."""
    before = everything(platform)
    with pytest.raises(TotesysError) as refused:
        platform.load(manifest, quarantine_limit=quarantine_limit)
    assert everything(platform) == before
    assert "\n" not in str(refused.value)
    return refused.value


def everything(platform: Platform) -> dict[str, list[tuple[object, ...]]]:
    """All rows of the warehouse and of its bookkeeping."""
    names = [*STAR_TABLES, "batch", "batch_table", "quarantine", "audit"]
    return {name: platform.rows(f"SELECT * FROM {name} ORDER BY 1, 2") for name in names}


def versions(platform: Platform, order_id: int) -> list[tuple[object, ...]]:
    """The versions of a sales order: its design, whether it is deleted, and the batch."""
    return platform.rows(
        "SELECT design_id, is_deleted, batch_seq FROM fact_sales_order"
        f" WHERE sales_order_id = {order_id} ORDER BY batch_seq"
    )


# Rows arrive exactly


def test_facts_have_the_columns_of_the_source_and_the_lineage(platform: Platform) -> None:
    platform.first()

    [[*order, observed_at, is_deleted]] = platform.rows(
        "SELECT * FROM fact_sales_order WHERE sales_order_id = 2"
    )
    assert order == [
        2,
        2,
        dt.date(2022, 11, 4),
        dt.time(9, 0),
        dt.date(2022, 11, 4),
        dt.time(9, 0),
        1,
        2,
        1001,
        Decimal("2.10"),
        1,
        2,
        dt.date(2022, 11, 4),
        dt.date(2022, 11, 5),
        1,
        1,
    ]
    assert str(order[9]) == "2.10"
    assert observed_at == platform.rows("SELECT observed_at FROM batch")[0][0]
    assert is_deleted is False


def test_text_arrives_as_it_is(platform: Platform) -> None:
    texts = [
        "",
        "NULL",
        "\\N",
        "\\.",
        '"',
        'a,"b"\nc',
        "tab\there",
        "line\u2028separator",
        " ",
        "\x7f",
    ]
    for number, text in enumerate(texts, start=11):
        platform.application.execute(
            "INSERT INTO design SELECT %s, created_at, design_name, file_location, %s, last_updated"
            " FROM design WHERE design_id = 1",
            [number, text],
        )
    platform.run()

    found = platform.rows(
        "SELECT file_name FROM dim_design WHERE design_id > 10 ORDER BY design_id"
    )
    assert found == [(text,) for text in texts]


@pytest.mark.long
def test_empty_text_stays_empty_and_null_stays_null(platform: Platform) -> None:
    change(platform, "UPDATE address SET address_line_2 = '', district = NULL WHERE address_id = 1")

    assert platform.rows(
        "SELECT address_line_2, district FROM dim_location WHERE location_id = 1"
    ) == [("", None)]


# Versions of facts


@pytest.mark.long
def test_order_that_goes_from_a_to_b_to_a_has_three_versions(platform: Platform) -> None:
    platform.first()
    change(platform, EDIT_ORDER_1)
    change(platform, EDIT_ORDER_1_BACK)

    assert versions(platform, 1) == [(1, False, 1), (2, False, 2), (1, False, 3)]


def test_row_that_is_read_again_has_no_new_version(platform: Platform) -> None:
    platform.first()
    loaded = platform.run(full=("sales_order",))

    assert loaded is not None
    assert loaded.tables["fact_sales_order"].staged == 2
    assert versions(platform, 1) == [(1, False, 1)]


@pytest.mark.long
def test_update_to_the_same_values_is_no_version(platform: Platform) -> None:
    platform.first()
    change(platform, "UPDATE sales_order SET design_id = design_id")

    assert versions(platform, 1) == [(1, False, 1)]


@pytest.mark.long
def test_two_updates_within_a_batch_are_one_version(platform: Platform) -> None:
    platform.first()
    change(platform, f"{EDIT_ORDER_1}; UPDATE sales_order SET units_sold = 7 WHERE design_id = 2")

    assert versions(platform, 1) == [(1, False, 1), (2, False, 2)]


def test_deletion_is_a_version_with_the_last_values(platform: Platform) -> None:
    platform.first()
    loaded = change(platform, DELETE_ORDER_1)

    assert versions(platform, 1) == [(1, False, 1), (1, True, 2)]
    assert loaded.tables["fact_sales_order"].deleted == 1
    assert platform.rows("SELECT sales_order_id FROM current_fact_sales_order") == [(2,)]


@pytest.mark.long
def test_deleted_order_can_come_back_with_the_same_values(platform: Platform) -> None:
    insert = """
        INSERT INTO sales_order VALUES
            (9, '2022-11-07 10:00', '2022-11-07 10:00', 1, 1, 1, 7, 2.10, 1, '2022-11-08',
             '2022-11-08', 1)
    """
    change(platform, insert)
    change(platform, "DELETE FROM sales_order WHERE sales_order_id = 9")
    change(platform, insert)

    assert versions(platform, 9) == [(1, False, 1), (1, True, 2), (1, False, 3)]


def test_current_facts_are_last_versions_that_are_not_deleted(platform: Platform) -> None:
    """Of key 101, edited, the second; none of 102, deleted; of 103, which came back, the third."""
    platform.first()
    for star in FACTS:
        others = ", ".join(name for name in star.column_names if name != star.key)
        platform.warehouse.execute(
            f"""
            WITH one AS (SELECT * FROM warehouse.{star.name} LIMIT 1)
            INSERT INTO warehouse.{star.name}
                ({star.record_id}, {star.key}, {others}, batch_seq, observed_at, is_deleted)
            SELECT 100 + number, key, {others}, seq, observed_at, deleted
            FROM one CROSS JOIN (VALUES
                (1, 101, 1, FALSE), (2, 102, 1, FALSE), (3, 103, 1, FALSE),
                (4, 101, 2, FALSE), (5, 102, 2, TRUE), (6, 103, 2, TRUE),
                (7, 103, 3, FALSE)
            ) AS versions (number, key, seq, deleted)
            """.encode()
        )

        current = f"SELECT {star.key}, batch_seq FROM current_{star.name} WHERE {star.key} > 100"
        assert sorted(platform.rows(current)) == [(101, 2), (103, 3)]


def test_condition_on_current_facts_is_asked_of_the_rows_before_versions_are_compared(
    platform: Platform,
) -> None:
    """Else a question about a month would sort all versions of all orders."""
    plan = platform.rows(
        "EXPLAIN SELECT units_sold FROM current_fact_sales_order WHERE created_date = '2022-11-03'"
    )

    asked = [line.strip() for (line,) in plan if "created_date" in line]
    assert asked == ["Filter: ((NOT is_deleted) AND (created_date = '2022-11-03'::date))"]


def test_history_says_from_when_to_when_a_version_was_current(platform: Platform) -> None:
    platform.first()
    change(platform, EDIT_ORDER_1)

    assert platform.rows(
        """
        SELECT h.version, h.valid_from = b.observed_at, h.valid_to = next.observed_at
        FROM history_fact_sales_order AS h
        JOIN batch AS b ON b.sequence = h.batch_seq
        LEFT JOIN batch AS next ON next.sequence = h.batch_seq + 1
        WHERE sales_order_id = 1 ORDER BY version
        """
    ) == [(1, True, True), (2, True, None)]


@pytest.mark.long
def test_record_ids_are_without_gaps_in_the_order_of_keys(platform: Platform) -> None:
    """Keys of a batch need not come in order: the source's heap has another."""
    platform.first()
    change(platform, f"{new_sale(12)}; {new_sale(10)}; {new_sale(11)}")

    assert platform.rows(
        "SELECT sales_record_id, sales_order_id FROM fact_sales_order ORDER BY 1"
    ) == [(1, 1), (2, 2), (3, 10), (4, 11), (5, 12)]


# Dimensions


def test_dimension_holds_the_latest_values(platform: Platform) -> None:
    platform.first()
    change(platform, "UPDATE design SET file_location = '/tmp' WHERE design_id = 2")

    assert platform.rows(
        "SELECT design_id, file_location, batch_seq FROM dim_design ORDER BY 1"
    ) == [(1, "/usr/local", 1), (2, "/tmp", 2)]


def test_dimension_row_that_the_source_deleted_stays_and_is_marked(platform: Platform) -> None:
    change(platform, new_design(3))
    change(platform, "DELETE FROM design WHERE design_id = 3")
    after_deletion = platform.rows("SELECT is_deleted FROM dim_design WHERE design_id = 3")
    change(platform, new_design(3))

    assert after_deletion == [(True,)]
    assert platform.rows("SELECT is_deleted, batch_seq FROM dim_design WHERE design_id = 3") == [
        (False, 3)
    ]


@pytest.mark.long
def test_department_edit_reaches_its_staff(platform: Platform) -> None:
    platform.first()
    loaded = change(platform, "UPDATE department SET location = 'Leeds' WHERE department_id = 2")

    assert platform.rows("SELECT staff_id, location FROM dim_staff ORDER BY 1") == [
        (1, "Manchester"),
        (2, "Leeds"),
    ]
    assert list(loaded.tables) == ["dim_staff"]


@pytest.mark.long
def test_days_between_the_calendars_of_two_batches_are_added(platform: Platform) -> None:
    """The first batch ends with 2022-11-09, the second is about 2023-03-01."""
    platform.first()
    change(platform, new_sale(9, agreed="2023-03-01"))

    assert platform.rows("SELECT min(date_id), max(date_id), count(*) FROM dim_date") == [
        (dt.date(2022, 11, 3), dt.date(2023, 3, 1), 119)
    ]
    assert platform.rows("SELECT * FROM dim_date WHERE date_id = '2022-12-31'") == [
        (dt.date(2022, 12, 31), 2022, 12, 31, 6, "Saturday", "December", 4, 2, False)
    ]


# Full reads


def test_full_read_deletes_what_is_absent_and_nothing_in_quarantine(
    platform: Platform,
) -> None:
    """Order 1 breaks its contract now, order 2 refers to a currency that does, 9 is deleted."""
    change(platform, new_sale(9))
    platform.application.execute(
        """
        DELETE FROM payment WHERE payment_id = 9;
        DELETE FROM transaction WHERE transaction_id = 9;
        DELETE FROM sales_order WHERE sales_order_id = 9;
        INSERT INTO currency VALUES (4, 'ZZZ', now(), now());
        UPDATE sales_order SET agreed_delivery_date = 'soon' WHERE sales_order_id = 1;
        UPDATE sales_order SET currency_id = 4 WHERE sales_order_id = 2
        """
    )
    loaded = platform.run(full=("sales_order",))

    assert loaded is not None
    assert loaded.tables["fact_sales_order"].deleted == 1
    assert platform.rows(
        "SELECT sales_order_id, currency_id, is_deleted FROM fact_sales_order"
        " WHERE batch_seq = 2 OR sales_order_id < 9 ORDER BY 1"
    ) == [(1, 2, False), (2, 1, False), (9, 1, True)]
    assert platform.rows("SELECT star, key, reason FROM quarantine ORDER BY 1, 2") == [
        ("dim_currency", 4, "currency: currency_code is not a known code"),
        (
            "fact_sales_order",
            1,
            "sales_order: agreed_delivery_date is not a date YYYY-MM-DD of the years 2000 to 2099",
        ),
        ("fact_sales_order", 2, "currency_id refers to a row that dim_currency does not have"),
    ]


@pytest.mark.long
def test_full_read_of_an_emptied_table_deletes_all(platform: Platform) -> None:
    platform.first()
    platform.application.execute("TRUNCATE payment")
    platform.run(full=("payment",))

    assert platform.rows("SELECT * FROM current_fact_payment") == []
    assert platform.rows("SELECT count(*) FROM fact_payment") == [(6,)]


@pytest.mark.long
def test_full_read_finds_absent_keys_before_between_and_after_the_others(
    platform: Platform,
) -> None:
    """Designs 11 to 19 are there; those deleted before are not deleted once more."""
    for design_id in range(11, 20):
        platform.application.execute(new_design(design_id))  # type: ignore[call-overload]
    platform.run()
    change(platform, "DELETE FROM design WHERE design_id IN (12, 13)")
    platform.application.execute("DELETE FROM design WHERE design_id IN (11, 15, 17, 18, 19)")
    loaded = platform.run(full=("design",))

    assert loaded is not None
    assert loaded.tables["dim_design"].deleted == 5
    assert platform.rows("SELECT design_id FROM dim_design WHERE batch_seq = 3 ORDER BY 1") == [
        (key,) for key in (11, 15, 17, 18, 19)
    ]
    assert platform.rows("SELECT design_id FROM current_dim_design ORDER BY 1") == [
        (key,) for key in (1, 2, 14, 16)
    ]


@pytest.mark.long
def test_full_read_deletes_an_order_that_came_back_and_was_deleted_again(
    platform: Platform,
) -> None:
    delete = "DELETE FROM {0} WHERE {0}_id = 9"
    deletes = ";".join(map(delete.format, ("payment", "transaction", "sales_order")))
    for statement in (new_sale(9), deletes, new_sale(9), deletes):
        change(platform, statement)
    platform.application.execute(new_sale(9))  # type: ignore[call-overload]
    platform.run(full=("sales_order",))
    platform.application.execute(deletes)  # type: ignore[call-overload]
    platform.run(full=("sales_order",))
    platform.run(full=("sales_order",))

    assert [version[1:] for version in versions(platform, 9)] == [
        (False, 1),
        (True, 2),
        (False, 3),
        (True, 4),
        (False, 5),
        (True, 6),
    ]


# Facts that wait for a dimension row


@pytest.mark.long
def test_fact_waits_for_the_dimension_row_it_refers_to(platform: Platform) -> None:
    platform.first()
    loaded = change(
        platform,
        f"INSERT INTO currency VALUES (4, 'ZZZ', now(), now()); {new_sale(9, currency_id=4)}",
    )

    orphans = {star: table.orphans for star, table in loaded.tables.items()}
    assert orphans["fact_sales_order"] == orphans["fact_payment"] == 1
    assert orphans["dim_transaction"] == 0
    assert versions(platform, 9) == []
    assert not loaded.audits["fact_sales_order"].equal
    assert healing.request_healing(platform.warehouse, platform.names, platform.ingestion) == []


def test_fact_that_waited_arrives_after_its_dimension_row(platform: Platform) -> None:
    """The arrival is noticed after the load, asked for in the lake, and read by the next batch."""
    platform.first()
    change(
        platform,
        f"INSERT INTO currency VALUES (4, 'ZZZ', now(), now()); {new_sale(9, currency_id=4)}",
    )
    change(platform, "UPDATE currency SET currency_code = 'JPY' WHERE currency_id = 4")
    asked = healing.request_healing(platform.warehouse, platform.names, platform.ingestion)
    healed = platform.run()
    asked_again = healing.request_healing(platform.warehouse, platform.names, platform.ingestion)

    assert asked == ["payment", "sales_order"]
    assert healed is not None
    assert all(found.equal for found in healed.audits.values())
    assert versions(platform, 9) == [(1, False, 4)]
    assert asked_again == []


# What is refused


def test_batch_that_is_loaded_again_changes_nothing(platform: Platform) -> None:
    manifest, _ = processed_batch(platform)
    first = platform.load(manifest)
    before = everything(platform)
    second = platform.load(manifest)

    assert (first.already, second.already) == (False, True)
    assert second.tables == first.tables
    assert second.audits == first.audits
    assert everything(platform) == before


@pytest.mark.long
def test_batch_before_the_last_can_be_loaded_again(platform: Platform) -> None:
    manifest, _ = processed_batch(platform)
    platform.load(manifest)
    change(platform, EDIT_ORDER_1)

    assert platform.load(manifest).already
    assert versions(platform, 1) == [(1, False, 1), (2, False, 2)]


def test_batch_after_a_gap_is_refused(platform: Platform) -> None:
    processed_batch(platform)
    platform.application.execute(EDIT_ORDER_1)
    second, _ = processed_batch(platform)
    error = refusal(platform, second)

    assert isinstance(error, SequenceGapError)
    assert str(error) == (
        "Batch 2 does not come next, as the warehouse has loaded up to number 0: load batch 1"
        " first."
    )


def test_batch_of_another_lake_is_refused(platform: Platform, tmp_path: Path) -> None:
    platform.first()
    platform.ingestion = Store((tmp_path / "other").as_uri(), settings.INGESTION_URL)
    platform.processed = Store((tmp_path / "others").as_uri(), settings.PROCESSED_URL)
    platform.application.execute(EDIT_ORDER_1)
    other, _ = processed_batch(platform)

    assert str(refusal(platform, other)).startswith(
        "The warehouse holds another batch 1 than the lake: it was changed after it was written"
    )


def test_batch_that_is_not_processed_is_refused(platform: Platform) -> None:
    manifest = platform.first_capture()
    assert manifest is not None

    assert str(refusal(platform, manifest)) == (
        f"Batch {manifest.batch} is not processed for dim_date: materialize processed/dim_date for"
        " it, then load it."
    )


def test_batch_with_too_many_quarantined_rows_is_refused(platform: Platform) -> None:
    platform.application.execute("UPDATE payment SET payment_date = 'soon' WHERE payment_id < 3")
    manifest, receipts = processed_batch(platform)
    assert receipts["fact_payment"].quarantined == 2
    error = refusal(platform, manifest, quarantine_limit=1)
    loaded = platform.load(manifest, quarantine_limit=2)

    assert str(error) == (
        "Batch 1 is not loaded, as it has 2 rows of fact_payment in quarantine, more than"
        " TOTESYS_QUARANTINE_LIMIT (1) allows: `totesys quarantine --batch 1` lists them; correct"
        " them in ToteSys, and run `TOTESYS_QUARANTINE_LIMIT=2 totesys run` once to load the batch"
        " without them."
    )
    assert loaded.tables["fact_payment"].inserted == 1


@pytest.mark.long
def test_what_was_let_through_once_is_let_through_again(platform: Platform) -> None:
    platform.application.execute("UPDATE payment SET payment_date = 'soon' WHERE payment_id < 3")
    manifest, _ = processed_batch(platform)
    platform.load(manifest, quarantine_limit=2)
    [key] = platform.ingestion.list("requests/accepted")
    before = platform.rows("SELECT * FROM fact_payment")
    for name in ("warehouse", "warehouse_bookkeeping", "reports"):
        platform.warehouse.execute(f"DROP SCHEMA {name} CASCADE")  # type: ignore[arg-type]
    schema.migrate(platform.warehouse, platform.names)

    platform.load(manifest, quarantine_limit=0)

    assert key == "requests/accepted/0000000001/0000000002.json"
    assert json.loads(platform.ingestion.get(key))["stars"] == {"fact_payment": 2}
    assert platform.rows("SELECT * FROM fact_payment") == before
    assert platform.ingestion.list("requests/accepted") == [key]


@pytest.mark.long
def test_acceptance_of_another_batch_counts_for_none(platform: Platform) -> None:
    platform.application.execute("UPDATE payment SET payment_date = 'soon' WHERE payment_id < 3")
    manifest, _ = processed_batch(platform)
    other = manifest.model_copy(update={"sequence": 2})
    requests.accept(platform.ingestion, other, {"fact_payment": 9}, 9)
    requests.accept(platform.ingestion, manifest, {"fact_payment": 1}, 9)

    assert "(1) allows" in str(refusal(platform, manifest, quarantine_limit=0))


@pytest.mark.parametrize("kind", by_night(["objects", "quarantine"], but=[0]))
def test_batch_with_a_damaged_object_is_refused(platform: Platform, kind: str) -> None:
    platform.application.execute("UPDATE payment SET payment_date = 'soon' WHERE payment_id = 1")
    manifest, receipts = processed_batch(platform)
    [entry] = getattr(receipts["fact_payment"], kind)
    overwrite(platform.processed, entry.key, b"damaged")
    error = refusal(platform, manifest)

    assert isinstance(error, LakeError)
    assert str(error).startswith(f"{platform.processed.uri(entry.key)} does not have the SHA-256")


@pytest.mark.long
def test_full_read_with_a_damaged_key_set_is_refused(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(key_sets, "FEW_RANGES", 0)
    manifest, _ = processed_batch(platform)
    key = manifest.tables["payment"].keys.key
    assert key is not None
    damaged = KeyObject(ranges=((1, 2),)).to_bytes()
    overwrite(platform.ingestion, key, damaged)
    error = refusal(platform, manifest)

    assert isinstance(error, LakeError)
    assert str(error).startswith(f"{platform.ingestion.uri(key)} is not the set of 3 keys")


@pytest.mark.long
def test_batch_with_other_rows_than_its_receipt_says_is_refused(platform: Platform) -> None:
    manifest, receipts = processed_batch(platform)
    receipt = receipts["fact_payment"]
    wrong = receipt.model_copy(update={"rows": receipt.rows + 1})
    overwrite(
        platform.processed,
        receipt_key(STAR_TABLES["fact_payment"], manifest.batch),
        json.dumps(wrong.model_dump(mode="json")).encode(),
    )

    said = str(refusal(platform, manifest))
    assert "cannot be what batch 1 became: the rows of its objects are not 4 in sum" in said
    assert said.endswith("`totesys verify --repair` re-creates it.")


def test_failure_in_the_middle_takes_back_the_tables_before_it(platform: Platform) -> None:
    """Payments are loaded last; a version that was written by hand is in the way there."""
    platform.first()
    platform.application.execute(
        f"{new_sale(9)}; UPDATE design SET design_name = 'A'; UPDATE payment SET paid = TRUE"
    )
    manifest, _ = processed_batch(platform)
    platform.warehouse.execute(
        """
        INSERT INTO warehouse.fact_payment
        SELECT (jsonb_populate_record(p, '{"payment_record_id": 77, "batch_seq": 2}')).*
        FROM warehouse.fact_payment AS p WHERE payment_id = 1
        """
    )
    error = refusal(platform, manifest)
    platform.warehouse.execute("DELETE FROM warehouse.fact_payment WHERE payment_record_id = 77")
    platform.load(manifest)

    assert str(error).startswith(f"PostgreSQL stopped the load of batch {manifest.batch} (23505)")
    assert platform.rows(
        "SELECT sales_record_id, sales_order_id FROM fact_sales_order ORDER BY 1"
    ) == [(1, 1), (2, 2), (3, 9)]


# Loads that meet


def load_in_two_threads(platform: Platform, manifests: list[Manifest]) -> list[list[bool]]:
    """Two loaders take the batches in order, both at once; which of them each found loaded.

    Their role has a strict isolation by default: under it, whoever waits for the lock would see the
    ledger as it was before.
    """
    both = threading.Barrier(2, timeout=20)
    found: list[list[bool]] = []

    def load_all() -> None:
        with connect(settings.WAREHOUSE_DSN) as connection:
            connection.execute("SET default_transaction_isolation TO 'repeatable read'")
            both.wait()
            outcomes = [
                load_batch(
                    connection,
                    platform.names,
                    manifest,
                    platform.ingestion,
                    platform.processed,
                    quarantine_limit=0,
                )
                for manifest in manifests
            ]
            found.append([outcome.already for outcome in outcomes])

    threads = [threading.Thread(target=load_all, daemon=True) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=30)
    return found


def test_two_loaders_of_one_batch_load_it_once(platform: Platform) -> None:
    manifest, _ = processed_batch(platform)
    found = load_in_two_threads(platform, [manifest])

    assert sorted(found) == [[False], [True]]
    assert platform.rows("SELECT count(*), max(sales_record_id) FROM fact_sales_order") == [(2, 2)]


@pytest.mark.long
def test_two_loaders_of_several_batches_load_each_once(platform: Platform) -> None:
    manifests = [processed_batch(platform)[0]]
    for edit in (EDIT_ORDER_1, EDIT_ORDER_1_BACK, DELETE_ORDER_1):
        platform.application.execute(edit)
        manifests.append(processed_batch(platform)[0])
    first, second = load_in_two_threads(platform, manifests)

    assert [a + b for a, b in zip(first, second, strict=True)] == [1, 1, 1, 1]
    assert versions(platform, 1) == [(1, False, 1), (2, False, 2), (1, False, 3), (1, True, 4)]


def test_ledger_is_the_log(platform: Platform) -> None:
    platform.first()
    loaded = change(platform, EDIT_ORDER_1)

    assert ledger.head(platform.warehouse, platform.names) == loaded.sequence == 2
    assert platform.rows("SELECT log, sequence, run_id FROM batch ORDER BY 2") == [
        ("totesys", 1, "test"),
        ("totesys", 2, "test"),
    ]
