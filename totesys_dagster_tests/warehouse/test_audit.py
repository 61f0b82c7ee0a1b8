"""The audit: whether the warehouse equals the source, and what is done when it does not.

Where a test edits the warehouse by hand, it then lets a batch come: small tables are compared with
every batch.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from totesys_dagster.catalogue import STAR_TABLES, StarTable
from totesys_dagster.ingestion import changes, digests
from totesys_dagster.ingestion.poll import changed_tables
from totesys_dagster.ingestion.source_view import open_view
from totesys_dagster.lake import digest
from totesys_dagster.lake.manifest import Digest, Manifest, ManifestLog
from totesys_dagster.lake.requests import Requests
from totesys_dagster.report import status_data
from totesys_dagster.warehouse import audit, quarantine, table_load
from totesys_dagster.warehouse.assets import audit_check
from totesys_dagster.warehouse.ledger import Loaded
from totesys_dagster.warehouse.standing import Audit, of_batch, standings
from totesys_dagster.warehouse.status import all_equal, conclusion, table_status
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1, EDIT_ORDER_1_BACK, new_sale
from totesys_dagster_tests.landing import by_night
from totesys_dagster_tests.processed.rows import as_ordered
from totesys_dagster_tests.warehouse.conftest import (
    ask,
    bad_payment,
    by_hand,
    change,
    wrong_payment,
)
from totesys_simulator.simulator import business_day


def unequal(loaded: Loaded | None) -> list[str]:
    assert loaded is not None
    return [star for star, found in loaded.audits.items() if not found.equal]


def in_quarantine(platform: Platform, star: str) -> int:
    return quarantine.quarantine_of(platform.warehouse, platform.names, STAR_TABLES[star]).count


# Equality


@pytest.mark.long
def test_every_batch_of_a_week_equals_the_source(full_platform: Platform) -> None:
    loads = [full_platform.run()]
    for _ in range(5):
        business_day(full_platform.application)
        loads.append(full_platform.run())

    audited = [list(loaded.audits) for loaded in loads if loaded]
    assert [unequal(loaded) for loaded in loads] == [[]] * 6
    assert audited[0] == [*STAR_TABLES]
    assert all({*stars} == {*STAR_TABLES} for stars in audited)
    assert loads[0] is not None
    assert loads[0].audits["fact_payment"].found_rows == 15_836
    assert ask(full_platform) == []


DIGESTS = {
    "md5-1": {
        "dim_staff": (2, "-2500596584073780448"),
        "dim_location": (2, "-2106433633508735975"),
        "dim_currency": (3, "-9154191746734321185"),
        "dim_design": (2, "3134893928184210520"),
        "dim_counterparty": (2, "-3782135384023662117"),
        "dim_payment_type": (2, "-4419205851307679374"),
        "dim_transaction": (3, "1964071947724848803"),
        "fact_sales_order": (2, "-14677373316982483397"),
        "fact_purchase_order": (1, "2025769594064347830"),
        "fact_payment": (3, "1490587044114672065"),
    },
    "postgres-1": {
        "dim_staff": (2, "-9307256311368856464"),
        "dim_location": (2, "12658487753687697600"),
        "dim_currency": (3, "-4911993442076343223"),
        "dim_design": (2, "-8829274263664352875"),
        "dim_counterparty": (2, "8366058298248927897"),
        "dim_payment_type": (2, "-830369910839979930"),
        "dim_transaction": (3, "3851701338182612096"),
        "fact_sales_order": (2, "-11772094563961331316"),
        "fact_purchase_order": (1, "8613090670519341709"),
        "fact_payment": (3, "-97124910128677295"),
    },
}


@pytest.mark.parametrize("method", by_night(DIGESTS, but=[0]))
def test_digests_are_those_that_lakes_hold_already(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """A batch of an old lake may be loaded at any time: another formula would not match it."""
    monkeypatch.setattr(digest, "source_method", lambda *_, **__: method)
    with open_view(platform.source) as view:
        taken = {star: digests.whole(view, as_ordered(star)) for star in DIGESTS[method]}

    assert {star: (one.rows, one.digest) for star, one in taken.items()} == DIGESTS[method]
    manifest = platform.capture()
    assert manifest is not None
    assert {one.whole.method for one in manifest.stars.values()} == {method}
    platform.process(manifest)
    assert unequal(platform.load(manifest)) == []


def test_no_two_days_have_one_hash(platform: Platform) -> None:
    """PostgreSQL folds the 64 bits of a timestamp into 32 before it hashes them."""
    found = platform.warehouse.execute(
        """
        SELECT count(*), count(DISTINCT timestamp_hash_extended(day, 0))
        FROM generate_series(timestamp '2000-01-01', timestamp '2099-12-31', '1 day') AS days (day)
        """
    ).fetchone()

    assert found == (36_525, 36_525)


def test_digest_of_another_type_is_not_compared() -> None:
    star = STAR_TABLES["fact_sales_order"]
    wider = replace(
        star,
        columns=tuple(
            replace(c, sql_type="numeric(14,3)") if c.name == "unit_price" else c
            for c in star.columns
        ),
    )
    typed = Digest(method="md5-1", columns=digest.digested_columns(star), rows=0, digest="0")

    assert digest.covers(typed, star)
    assert not digest.covers(typed, wider)


def methods(manifest: Manifest | None) -> set[str]:
    assert manifest is not None
    return {star.whole.method for star in manifest.stars.values()}


@pytest.mark.long
def test_source_that_hashes_otherwise_is_digested_by_md5(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patched:
        patched.setattr(digest, "_EXPECTED_HASH", (1, "UTF8"))
        manifest = platform.capture()
    assert manifest is not None
    platform.process(manifest)

    assert methods(manifest) == {"md5-1"}
    assert unequal(platform.load(manifest)) == []


@pytest.mark.long
def test_source_that_keeps_text_in_another_encoding_is_compared(
    platform_on: Callable[[str], Platform], latin_template: str
) -> None:
    """One of its texts has an umlaut, which is one byte there and two in the warehouse."""
    platform = platform_on(latin_template)
    manifest = platform.capture()
    assert manifest is not None
    platform.process(manifest)

    assert methods(manifest) == {"md5-1"}
    assert unequal(platform.load(manifest)) == []


@pytest.mark.long
def test_only_a_table_with_a_widened_column_is_digested_by_md5(platform: Platform) -> None:
    platform.application.execute("ALTER TABLE design ALTER design_id TYPE bigint")
    manifest = platform.capture()
    assert manifest is not None
    platform.process(manifest)

    by_md5 = {name for name, star in manifest.stars.items() if star.whole.method == "md5-1"}
    assert by_md5 == {"dim_design"}
    assert unequal(platform.load(manifest)) == []


def test_small_tables_are_compared_with_every_batch(platform: Platform) -> None:
    platform.first()
    loaded = change(platform, EDIT_ORDER_1)

    assert list(loaded.tables) == ["dim_date", "fact_sales_order"]
    assert {star: (a.scope, a.equal) for star, a in loaded.audits.items()} == dict.fromkeys(
        STAR_TABLES, ("whole", True)
    )


def scopes(loaded: Loaded) -> dict[str, str]:
    return {star: found.scope for star, found in loaded.audits.items() if found.equal}


def test_keys_that_a_batch_touched_are_compared_where_a_table_is_large(large: Platform) -> None:
    sale = change(large, new_sale(9))
    moved = change(large, "UPDATE department SET location = 'Leeds' WHERE department_id = 1")

    touched = {"dim_transaction", "fact_sales_order", "fact_payment"}
    assert scopes(sale) == {"dim_date": "whole", **dict.fromkeys(touched, "touched")}
    assert sale.audits["fact_payment"].expected_rows == 1
    assert scopes(moved) == {"dim_date": "whole", "dim_staff": "touched"}


def test_touched_key_that_went_wrong_is_asked_for_and_healed(
    large: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by a defect of the load, which leaves a version as it was."""
    with monkeypatch.context() as patched:
        patched.setattr(table_load.TableLoader, "_append_versions", lambda _: (0, 0, 0))
        found = change(large, EDIT_ORDER_1)
    asked = ask(large)
    healed = large.run()

    assert unequal(found) == ["fact_sales_order"]
    assert asked == ["sales_order"]
    assert healed is not None
    assert scopes(healed)["fact_sales_order"] == "whole"
    assert ask(large) == []


def test_edit_to_another_key_of_a_large_table_is_found_within_the_hour(
    large: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_hand(large, "UPDATE fact_sales_order SET units_sold = 1 WHERE sales_order_id = 2")
    at_once = change(large, EDIT_ORDER_1)
    monkeypatch.setattr(changes, "WHOLE_EVERY", dt.timedelta(0))
    in_time = change(large, EDIT_ORDER_1_BACK)

    assert unequal(at_once) == []
    assert unequal(in_time) == ["fact_sales_order"]


@pytest.mark.long
def test_row_in_quarantine_shows_in_the_touched_keys_of_a_large_table(large: Platform) -> None:
    found = change(large, bad_payment(3)).audits["fact_payment"]
    tables = table_status(large.warehouse, large.names)
    [row] = [table for table in tables if table.star == "fact_payment"]

    assert (found.scope, found.equal, found.quarantined, found.equal_without) == (
        "touched",
        False,
        1,
        None,
    )
    assert (row.standing.touched, row.quarantined) == (found, 1)
    assert not all_equal(tables)
    assert "differs from the source, and 1 row of fact_payment" in conclusion(tables)


@pytest.mark.long
def test_large_table_with_a_row_in_quarantine_is_equal_only_without_it(large: Platform) -> None:
    change(large, bad_payment(3))
    asked = ask(large)
    large.run()
    tables = table_status(large.warehouse, large.names)
    data = status_data(tables)["fact_payment"]

    assert asked == []
    assert (data["equal"], data["proved"], data["touched"]) == (False, False, None)
    assert (data["whole"]["equal"], data["whole"]["equal_without_quarantined"]) == (False, True)
    assert not all_equal(tables)
    assert "equals the source but for what is in quarantine (1 row of fact" in conclusion(tables)


@pytest.mark.long
def test_large_table_that_differs_by_more_than_its_rows_in_quarantine_differs(
    large: Platform,
) -> None:
    by_hand(large, wrong_payment(2))
    change(large, bad_payment(3))
    ask(large)
    large.run()
    tables = table_status(large.warehouse, large.names)
    data = status_data(tables)["fact_payment"]

    assert data["whole"]["equal_without_quarantined"] is False
    assert "does NOT equal the source: fact_payment. The next run" in conclusion(tables)
    assert ask(large) == ["payment"]


def standing(platform: Platform, star: str) -> tuple[int | None, int | None]:
    """The batch as of which the whole table is proved, and the touched keys equal."""
    found = standings(platform.warehouse, platform.names)[star]
    return (
        found.whole.sequence if found.whole and found.whole.equal else None,
        found.touched.sequence if found.touched and found.touched.equal else None,
    )


def test_what_is_proved_is_told_apart_from_what_was_touched(large: Platform) -> None:
    change(large, EDIT_ORDER_1)

    assert standing(large, "fact_sales_order") == (1, 2)
    assert standing(large, "fact_payment") == (1, None)


# What an earlier or a later catalogue says


@pytest.fixture
def without_payments(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform with a first batch, of a catalogue that did not know payments yet."""
    commit = ManifestLog.commit

    def of_earlier_catalogue(log: ManifestLog, manifest: Manifest) -> Manifest:
        del manifest.tables["payment"], manifest.stars["fact_payment"]
        return commit(log, manifest)

    with monkeypatch.context() as patched:
        patched.setattr(ManifestLog, "commit", of_earlier_catalogue)
        platform.run()
    return platform


@pytest.mark.long
def test_batch_that_does_not_know_a_table_is_loaded_and_says_nothing_of_it(
    without_payments: Platform,
) -> None:
    found = of_batch(without_payments.warehouse, without_payments.names, 1)

    assert {*found} == {*STAR_TABLES} - {"fact_payment"}
    assert all(one.equal for one in found.values())


@pytest.mark.parametrize("large_rows", by_night([changes.LARGE_TABLE_ROWS, -1], but=[0]))
def test_table_that_is_new_in_the_catalogue_is_read_in_full_and_compared(
    without_payments: Platform, monkeypatch: pytest.MonkeyPatch, large_rows: int
) -> None:
    monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", large_rows)
    loaded = change(without_payments, EDIT_ORDER_1)
    read = ManifestLog(without_payments.ingestion).read(2).tables["payment"]

    assert (read.read, read.reason) == ("full", changes.NEW_TABLE)
    assert (loaded.audits["fact_payment"].scope, loaded.audits["fact_payment"].equal) == (
        "whole",
        True,
    )
    assert unequal(loaded) == []
    assert without_payments.capture() is None


@pytest.mark.long
def test_digest_of_other_columns_is_no_proof_and_makes_an_audit_due(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of a catalogue that carried fewer columns of a table."""

    def fewer(star: StarTable) -> tuple[str, ...]:
        columns = digest.digested_columns(star)
        return columns[:-1] if star.name == "dim_staff" else columns

    manifest = captured_with(platform, monkeypatch, fewer)
    loaded = platform.load(manifest)
    before = conclusion(table_status(platform.warehouse, platform.names))
    due = changed_tables(platform.source, platform.ingestion)
    found = platform.audit()
    after = changed_tables(platform.source, platform.ingestion)

    assert {*STAR_TABLES} - {*loaded.audits} == {"dim_staff"}
    assert before.startswith("Not compared with the source yet: dim_staff; `totesys audit` does so")
    assert (due.changed, due.audit_due) == ([], True)
    assert found["dim_staff"].equal
    assert not after.audit_due
    assert conclusion(table_status(platform.warehouse, platform.names)).startswith(
        "The warehouse equals the source: every table is proved as of batch 1"
    )


def captured_with(
    platform: Platform,
    monkeypatch: pytest.MonkeyPatch,
    columns: Callable[[StarTable], tuple[str, ...]],
) -> Manifest:
    """A processed batch whose digests are of these columns."""
    with monkeypatch.context() as patched:
        patched.setattr(digests, "digested_columns", columns)
        manifest = platform.capture()
    assert manifest is not None
    platform.process(manifest)
    return manifest


# What somebody changed by hand


@pytest.mark.parametrize(
    ("edit", "star", "trigger"),
    by_night(
        [
            (
                "UPDATE fact_sales_order SET units_sold = 1 WHERE sales_order_id = 2",
                "fact_sales_order",
                EDIT_ORDER_1,
            ),
            (
                (
                    "UPDATE fact_sales_order SET created_time = '09:00:00.001'"
                    " WHERE sales_order_id = 2"
                ),
                "fact_sales_order",
                EDIT_ORDER_1,
            ),
            (
                "UPDATE fact_sales_order SET created_date = '2022-11-02' WHERE sales_order_id = 2",
                "fact_sales_order",
                EDIT_ORDER_1,
            ),
            (
                # PostgreSQL's own hash of this time is that of 09:00.
                (
                    "UPDATE fact_sales_order SET created_time = '10:11:34.967311'"
                    " WHERE sales_order_id = 2"
                ),
                "fact_sales_order",
                EDIT_ORDER_1,
            ),
            (
                "DELETE FROM fact_sales_order WHERE sales_order_id = 2",
                "fact_sales_order",
                EDIT_ORDER_1,
            ),
            (
                """
            INSERT INTO fact_sales_order
            SELECT 99, 99, created_date, created_time, last_updated_date, last_updated_time,
                   sales_staff_id, counterparty_id, units_sold, unit_price, currency_id, design_id,
                   agreed_payment_date, agreed_delivery_date, agreed_delivery_location_id, 1,
                   observed_at
            FROM fact_sales_order WHERE sales_order_id = 1
            """,
                "fact_sales_order",
                EDIT_ORDER_1,
            ),
            (
                "UPDATE fact_payment SET is_deleted = TRUE WHERE payment_id = 2",
                "fact_payment",
                "UPDATE payment SET paid = TRUE WHERE payment_id = 1",
            ),
            (
                "UPDATE dim_staff SET location = 'Leeds' WHERE staff_id = 2",
                "dim_staff",
                "UPDATE staff SET last_name = 'A' WHERE staff_id = 1",
            ),
            (
                "DELETE FROM dim_counterparty WHERE counterparty_id = 2",
                "dim_counterparty",
                "UPDATE counterparty SET counterparty_legal_name = 'A' WHERE counterparty_id = 1",
            ),
            (
                "INSERT INTO dim_design VALUES (9, 'A', '/', 'f', 1)",
                "dim_design",
                "UPDATE design SET design_name = 'A' WHERE design_id = 1",
            ),
            (
                """
            UPDATE dim_transaction SET sales_order_id = purchase_order_id,
                                       purchase_order_id = sales_order_id WHERE transaction_id = 2
            """,
                "dim_transaction",
                "UPDATE transaction SET transaction_type = 'PURCHASE' WHERE transaction_id = 1",
            ),
            (
                """
            UPDATE dim_design SET design_name = design_name || ',' || file_location,
                                  file_location = file_name, file_name = '' WHERE design_id = 2
            """,
                "dim_design",
                "UPDATE design SET design_name = 'A' WHERE design_id = 1",
            ),
            (
                "UPDATE dim_location SET district = '' WHERE location_id = 2",  # NULL in the source
                "dim_location",
                "UPDATE address SET city = 'Oslo' WHERE address_id = 1",
            ),
        ],
        but=[0, 5, 10],
    ),
)
def test_edit_by_hand_is_found_asked_for_and_healed(
    platform: Platform, edit: str, star: str, trigger: str
) -> None:
    platform.first()
    by_hand(platform, edit)
    found = unequal(change(platform, trigger))
    asked = ask(platform)
    healed = platform.run()

    assert found == [star]
    assert asked == [STAR_TABLES[star].base]
    assert unequal(healed) == []
    assert ask(platform) == []
    assert platform.capture() is None


@pytest.mark.long
def test_edit_to_an_old_version_is_not_found(platform: Platform) -> None:
    """The audit is of current rows; a rebuild compares the whole history."""
    platform.first()
    change(platform, EDIT_ORDER_1)
    by_hand(platform, "UPDATE fact_sales_order SET units_sold = 1 WHERE design_id = 1")

    assert unequal(change(platform, new_sale(9))) == []


def test_full_read_that_does_not_help_is_not_asked_for_again(platform: Platform) -> None:
    """Here a trigger of somebody's keeps the wrong value in place."""
    platform.first()
    platform.warehouse.execute(
        """
        UPDATE warehouse.dim_design SET file_location = '/wrong' WHERE design_id = 2;
        CREATE FUNCTION pg_temp.keep() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN RETURN CASE WHEN OLD.design_id = 2 THEN NULL ELSE NEW END; END';
        CREATE TRIGGER keep BEFORE UPDATE ON warehouse.dim_design
            FOR EACH ROW EXECUTE FUNCTION pg_temp.keep()
        """
    )
    first = change(platform, "UPDATE design SET design_name = 'A' WHERE design_id = 1")
    asked = ask(platform)
    second = platform.run()

    assert asked == ["design"]
    assert unequal(first) == unequal(second) == ["dim_design"]
    assert second is not None
    assert second.audits["dim_design"].full_read
    assert ask(platform) == []
    assert platform.capture() is None


# Rows in quarantine explain a difference

BAD_ORDER_1 = "UPDATE sales_order SET agreed_payment_date = 'soon' WHERE sales_order_id = 1"
GOOD_ORDER_1 = "UPDATE sales_order SET agreed_payment_date = '{}' WHERE sales_order_id = 1"


@pytest.mark.parametrize(
    "bad",
    by_night(
        [BAD_ORDER_1, "UPDATE sales_order SET created_at = 'infinity' WHERE sales_order_id = 1"],
        but=[0],
    ),
)
def test_difference_is_explained_by_rows_in_quarantine(platform: Platform, bad: str) -> None:
    platform.first()
    loaded = change(platform, bad)

    assert unequal(loaded) == ["fact_sales_order"]
    assert in_quarantine(platform, "fact_sales_order") == 1
    assert ask(platform) == []


@pytest.mark.long
def test_row_is_in_quarantine_once_however_often_it_was_quarantined(platform: Platform) -> None:
    platform.first()
    change(platform, BAD_ORDER_1)
    change(platform, "UPDATE sales_order SET units_sold = 7")

    assert in_quarantine(platform, "fact_sales_order") == 1


@pytest.mark.parametrize("day", by_night(["2022-12-01", "2022-11-08"], but=[0]))
def test_mended_row_leaves_the_quarantine(platform: Platform, day: str) -> None:
    """Be it mended into a new version, or into the one that the warehouse held all along."""
    platform.first()
    change(platform, BAD_ORDER_1)
    loaded = change(platform, GOOD_ORDER_1.format(day))

    assert unequal(loaded) == []
    assert in_quarantine(platform, "fact_sales_order") == 0


@pytest.mark.long
def test_row_that_the_source_deleted_explains_nothing_any_more(platform: Platform) -> None:
    """It never came into the warehouse, so no version of it ever replaces it there."""
    platform.first()
    bad = new_sale(9, agreed="soon")
    change(platform, bad)
    change(
        platform,
        "DELETE FROM payment WHERE payment_id = 9; DELETE FROM transaction"
        " WHERE transaction_id = 9; DELETE FROM sales_order WHERE sales_order_id = 9",
    )
    by_hand(platform, "UPDATE fact_sales_order SET units_sold = 1 WHERE sales_order_id = 2")
    loaded = change(platform, EDIT_ORDER_1)

    assert in_quarantine(platform, "fact_sales_order") == 0
    assert unequal(loaded) == ["fact_sales_order"]
    assert ask(platform) == ["sales_order"]


def test_parent_in_quarantine_explains_its_children(platform: Platform) -> None:
    """The department's own row has no key in dim_staff: its reason stands for it."""
    platform.first()
    loaded = change(platform, "UPDATE department SET location = NULL WHERE department_id = 2")

    assert unequal(loaded) == ["dim_staff"]
    assert in_quarantine(platform, "dim_staff") == 1
    assert ask(platform) == []


@pytest.mark.long
def test_row_in_quarantine_does_not_hide_another_difference(platform: Platform) -> None:
    """Payment 3 is quarantined; payment 2 is changed in the warehouse by hand."""
    platform.first()
    change(platform, "UPDATE payment SET payment_date = 'soon' WHERE payment_id = 3")
    by_hand(platform, "UPDATE fact_payment SET payment_amount = 0 WHERE payment_id = 2")
    loaded = change(platform, EDIT_ORDER_1)
    asked_at_first = ask(platform)
    found = platform.audit()["fact_payment"]
    healed = platform.run()

    assert unequal(loaded) == ["fact_payment"]
    assert asked_at_first == []  # first the rest is digested without payment 3
    assert (found.equal, found.quarantined, found.equal_without) == (False, 1, False)
    assert healed is not None
    assert healed.tables["fact_payment"].updated == 1
    assert (
        healed.audits["fact_payment"].equal_without,
        platform.audit()["fact_payment"].equal_without,
    ) == (True, True)
    assert platform.run() is None


def test_table_equals_but_for_the_quarantine(platform: Platform) -> None:
    """Two orders, one of them new, and a member of staff: by their keys, in three tables."""
    platform.first()
    change(
        platform,
        f"{BAD_ORDER_1}; {new_sale(9, agreed='soon')};"
        " UPDATE department SET location = NULL WHERE department_id = 2",
    )
    ask(platform)
    found = platform.audit()

    quarantined = {star: one.quarantined for star, one in found.items() if one.quarantined}
    assert quarantined == {"fact_sales_order": 2, "fact_payment": 1, "dim_staff": 1}
    assert {found[star].equal_without for star in quarantined} == {True}
    assert all(one.equal for star, one in found.items() if star not in quarantined)
    assert platform.run() is None


@pytest.mark.long
def test_mended_rows_are_proved_with_the_whole_table(platform: Platform) -> None:
    platform.first()
    change(platform, BAD_ORDER_1)
    ask(platform)
    platform.audit()
    loaded = change(platform, GOOD_ORDER_1.format("2022-12-01"))

    assert loaded.audits["fact_sales_order"].equal
    assert platform.audit()["fact_sales_order"].equal
    newest = Requests(platform.ingestion).without()
    assert newest is not None
    assert newest.stars == {}


@pytest.mark.long
def test_row_without_a_usable_key_leaves_it_open_whether_more_differs(platform: Platform) -> None:
    platform.application.execute(
        "ALTER TABLE payment DROP CONSTRAINT payment_pkey, ALTER payment_id DROP NOT NULL"
    )
    platform.run()
    change(platform, "UPDATE payment SET payment_id = NULL WHERE payment_id = 3")
    ask(platform)
    found = platform.audit()["fact_payment"]

    assert (found.equal, found.quarantined, found.equal_without) == (False, 1, None)
    assert platform.run() is None


# The calendar


def test_wrong_day_of_the_calendar_is_found_and_not_asked_for(platform: Platform) -> None:
    """No source table would bring it; the batch has other days."""
    platform.first()
    by_hand(platform, "UPDATE dim_date SET quarter = 3 WHERE date_id = '2022-11-03'")
    loaded = change(platform, new_sale(9))

    assert days(loaded.audits["dim_date"]) == (7, 6, False)
    assert ask(platform) == []


def test_every_column_of_the_calendar_is_audited(platform: Platform) -> None:
    """2022-11-04 was a Friday."""
    platform.first()
    for wrong in (
        "year = 2021",
        "month = 10",
        "day = 5",
        "day_of_week = 4",
        "day_name = 'Freitag'",
        "month_name = 'november'",
        "quarter = 3",
    ):
        edit = f"UPDATE dim_date SET {wrong} WHERE date_id = '2022-11-04'"
        assert calendar_after(platform, edit) == (7, 6, False)


def test_gap_in_the_calendar_is_found(platform: Platform) -> None:
    edit = "DELETE FROM dim_date WHERE date_id = '2022-11-05'"
    platform.first()

    assert calendar_after(platform, edit) == (7, 6, False)


@pytest.mark.long
def test_gap_made_by_hand_is_closed_by_the_next_batch(platform: Platform) -> None:
    platform.first()
    by_hand(platform, "DELETE FROM dim_date WHERE date_id = '2022-11-05'")
    loaded = change(platform, new_sale(9))

    assert days(loaded.audits["dim_date"]) == (7, 7, True)


def days(found: Audit) -> tuple[int, int, bool]:
    return found.expected_rows, found.found_rows, found.equal


def calendar_after(platform: Platform, edit: str) -> tuple[int, int, bool]:
    """What the audit of the first batch finds after an edit by hand, which is then taken back."""
    manifest = ManifestLog(platform.ingestion).read(1)
    with platform.warehouse.transaction(force_rollback=True):
        by_hand(platform, edit)
        by_hand(platform, "DELETE FROM audit")
        audit.audit_batch(platform.warehouse, platform.names, manifest, {})
        return days(of_batch(platform.warehouse, platform.names, 1)["dim_date"])


# What people read


def compared(star: str, *, equal: bool = False, **values: Any) -> Audit:
    """What was found of a table, but for the values given."""
    now = dt.datetime(2026, 11, 29, tzinfo=dt.UTC)
    usual = Audit(3, star, "whole", 0, now, False, 2, 2, equal, 0, None)
    return replace(usual, **values)


@pytest.mark.parametrize(
    ("found", "severity", "words"),
    [
        (compared("dim_staff", equal=True), "ERROR", None),
        (compared("dim_staff"), "ERROR", "a full read has been requested"),
        (compared("dim_staff", full_read=True), "ERROR", "even after a full read"),
        (compared("dim_staff", quarantined=1), "WARN", "1 row is in quarantine"),
        (
            compared("dim_staff", quarantined=1, equal_without=True),
            "WARN",
            "equals the source, except that 1 row is in quarantine",
        ),
        (
            compared("dim_staff", quarantined=1, equal_without=False),
            "ERROR",
            "by more than what is in quarantine (1 row is in quarantine): a full",
        ),
        (compared("dim_date"), "ERROR", "which no batch causes"),
    ],
)
def test_check_says_what_was_done_or_is_to_be_done(
    found: Audit, severity: str, words: str | None
) -> None:
    result = audit_check(found)

    assert result.passed is found.equal
    assert result.severity.value == severity
    assert (result.description is None) if words is None else (words in str(result.description))
