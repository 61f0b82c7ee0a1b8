"""The whole path in one call, as `totesys run` and the job `whole_path` take it."""

from __future__ import annotations

import io
import re
from decimal import Decimal
from pathlib import Path

import dagster as dg
import pytest
from rich.console import Console

from totesys_dagster import settings
from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.definitions import defs
from totesys_dagster.errors import LakeError, SettingError
from totesys_dagster.ingestion import changes
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster.metadata import asset_key
from totesys_dagster.orchestration import whole_path as path
from totesys_dagster.orchestration.whole_path import BatchReport, RunFailedError, run_path
from totesys_dagster.report import batch_data, print_batch
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.warehouse import healing
from totesys_dagster.warehouse.healing import DIFFERED
from totesys_dagster.warehouse.standing import Standing, standings
from totesys_dagster_tests import warm
from totesys_dagster_tests.edits import EDIT_ORDER_1
from totesys_dagster_tests.orchestra import Orchestra, materialized


def take(
    orchestra: Orchestra, *, full_read: tuple[str, ...] = (), whole: bool = False
) -> list[BatchReport]:
    return run_path(
        orchestra.instance,
        defs.resolve_job_def,
        SourceDatabase(),
        Lake(),
        Warehouse(),
        full_read=full_read,
        whole=whole,
    )


def standing(orchestra: Orchestra, star: str) -> Standing:
    platform = orchestra.platform
    return standings(platform.warehouse, platform.names)[star]


def by_hand(orchestra: Orchestra, edit: str) -> None:
    orchestra.platform.rows("SELECT 1")  # sets the search path
    orchestra.platform.warehouse.execute(edit)  # type: ignore[call-overload]


def test_report_tells_what_happened(orchestra: Orchestra) -> None:
    orchestra.first()
    orchestra.platform.application.execute(EDIT_ORDER_1)
    [report] = take(orchestra)

    assert report.manifest.sequence == 2
    assert report.checks_passed == 5
    assert report.checks_failed == []
    assert set(report.seconds) == {"poll", "ingestion", "processed", "warehouse"}
    assert report.loaded.tables["fact_sales_order"].updated == 1


def test_nothing_changed_is_no_report(orchestra: Orchestra) -> None:
    orchestra.first()

    assert take(orchestra) == []


@pytest.mark.long
@pytest.mark.parametrize(
    ("edit", "source"),
    [
        ("UPDATE dim_design SET design_name = 'X' WHERE design_id = 1", "design"),
        ("UPDATE fact_payment SET paid = TRUE WHERE payment_id = 2", "payment"),
    ],
)
def test_warehouse_that_was_changed_by_hand_is_healed_though_nothing_changed(
    orchestra: Orchestra, edit: str, source: str
) -> None:
    orchestra.first()
    by_hand(orchestra, edit)
    [report] = take(orchestra)

    assert report.manifest.tables[source].reason == DIFFERED
    assert take(orchestra) == []
    assert all(standing(orchestra, star).equal for star in STAR_TABLES)


@pytest.mark.long
def test_tables_are_compared_anew_where_no_audit_is_on_record(orchestra: Orchestra) -> None:
    """The warehouse was said to hold no batch yet."""
    orchestra.first()
    by_hand(orchestra, "TRUNCATE warehouse_bookkeeping.audit")

    assert take(orchestra) == []
    assert all(standing(orchestra, star).equal for star in STAR_TABLES)


@pytest.mark.long
def test_difference_is_healed_though_the_audit_was_killed_before_it_asked_for_that(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.first()
    by_hand(orchestra, "UPDATE dim_design SET design_name = 'X' WHERE design_id = 1")
    monkeypatch.setattr(healing, "request_healing", lambda *_: None)
    orchestra.platform.audit()
    [report] = take(orchestra)

    assert report.manifest.tables["design"].reason == healing.DIFFERED
    assert standing(orchestra, "dim_design").equal


@pytest.mark.long
def test_row_in_quarantine_does_not_keep_another_from_being_healed(orchestra: Orchestra) -> None:
    orchestra.first()
    orchestra.platform.application.execute(
        "UPDATE payment SET payment_date = 'soon' WHERE payment_id = 3"
    )
    take(orchestra)
    but_for_one = standing(orchestra, "fact_payment").whole
    by_hand(orchestra, "UPDATE fact_payment SET payment_amount = 0 WHERE payment_id = 2")
    [report] = take(orchestra)
    again = standing(orchestra, "fact_payment").whole

    assert but_for_one is not None
    assert (but_for_one.equal, but_for_one.quarantined, but_for_one.equal_without) == (
        False,
        1,
        True,
    )
    assert report.manifest.tables["payment"].reason == DIFFERED
    assert orchestra.platform.rows(
        "SELECT payment_amount FROM current_fact_payment WHERE payment_id = 2"
    ) == [(Decimal("134075.69"),)]
    assert again is not None
    assert (again.equal, again.quarantined, again.equal_without) == (False, 1, True)
    assert take(orchestra) == []


@pytest.mark.long
def test_large_tables_are_compared_as_a_whole_when_a_person_asks(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", -1)
    monkeypatch.setattr(path, "LARGE_TABLE_ROWS", -1)
    take(orchestra)
    by_hand(orchestra, "UPDATE fact_payment SET paid = TRUE WHERE payment_id = 2")
    orchestra.platform.application.execute(EDIT_ORDER_1)
    [unseen] = take(orchestra)
    *_, healed = take(orchestra, whole=True)

    assert {*unseen.loaded.audits} == {"dim_date", "fact_sales_order"}
    assert healed.manifest.tables["payment"].reason == DIFFERED
    assert {standing(orchestra, star).equal for star in STAR_TABLES} == {True}
    assert standing(orchestra, "fact_sales_order").touched is None


@pytest.mark.long
@pytest.mark.parametrize(
    ("before", "edit", "deleted"),
    [
        ("", "DELETE FROM payment WHERE payment_id = 2", 1),
        # Between two readings of the keys, rows may come and go: those that are gone are not named.
        ("UPDATE payment SET paid = TRUE", "DELETE FROM payment WHERE payment_id = 2", 0),
        (
            "",
            """
            CREATE TABLE kept AS TABLE payment;
            DELETE FROM payment;
            INSERT INTO payment TABLE kept;
            """,
            0,
        ),
    ],
    ids=["deleted", "deleted after an update", "deleted and written again"],
)
def test_deletion_from_a_large_table_is_captured_when_a_person_runs(
    before: str, edit: str, deleted: int, orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The sensors leave it for five minutes, and a run said that nothing had changed."""
    monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", -1)
    monkeypatch.setattr(path, "LARGE_TABLE_ROWS", -1)
    take(orchestra)
    if before:
        orchestra.platform.application.execute(before)  # type: ignore[call-overload]
        take(orchestra)
    orchestra.platform.application.execute(
        f"{edit}; SELECT pg_stat_force_next_flush()"  # type: ignore[call-overload]
    )
    [report] = take(orchestra)

    assert report.manifest.tables["payment"].deleted == deleted
    assert standing(orchestra, "fact_payment").whole == report.loaded.audits["fact_payment"]
    assert standing(orchestra, "fact_payment").equal
    assert take(orchestra) == []


def test_full_read_can_be_asked_for(orchestra: Orchestra) -> None:
    orchestra.first()
    [report] = take(orchestra, full_read=("staff",))

    assert report.manifest.tables["staff"].read == "full"
    assert report.loaded.tables["dim_staff"].updated == 0


def test_full_read_says_how_many_keys_the_source_lacks(orchestra: Orchestra) -> None:
    """It does not name them: the warehouse keeps those that are left."""
    orchestra.first()
    orchestra.platform.application.execute("DELETE FROM payment WHERE payment_id = 2")
    [report] = take(orchestra, full_read=("payment",))
    console = Console(file=io.StringIO(), width=120)
    print_batch(console, report)

    assert report.manifest.tables["payment"].deleted_keys is None
    assert batch_data(report)["captured"]["payment"]["deleted"] == 1
    assert batch_data(report)["tables"]["fact_payment"]["deleted"] == 1
    assert re.search(r"payment \W+ 2 \W+ 0 \W+ 1 \W+ full", console.file.getvalue())
    for zone, table in (("ingestion", "payment"), ("processed", "fact_payment")):
        event = orchestra.instance.get_latest_materialization_event(asset_key(zone, table))
        assert event is not None
        assert event.asset_materialization is not None
        assert event.asset_materialization.metadata["deleted keys"].value == 1


def test_what_was_left_undone_is_done_first(orchestra: Orchestra) -> None:
    orchestra.first()
    orchestra.platform.application.execute(EDIT_ORDER_1)
    left = orchestra.platform.capture()
    assert left is not None
    orchestra.platform.application.execute("UPDATE design SET file_name = 'x' WHERE design_id = 1")

    reports = take(orchestra)

    assert [report.manifest.sequence for report in reports] == [2, 3]
    assert orchestra.partitions() == [batch_key(1), *(one.manifest.batch for one in reports)]


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        (settings.SOURCE_DSN, "postgresql://nobody@127.0.0.1:1/x", "TOTESYS_SOURCE_DSN points to"),
        (settings.WAREHOUSE_DSN, "host=127.0.0.1 port=1", "TOTESYS_WAREHOUSE_DSN points to"),
        (settings.INGESTION_URL, "/proc/nowhere", "TOTESYS_INGESTION_URL .* cannot be used"),
        (settings.PROCESSED_URL, "ftp://host/path", "TOTESYS_PROCESSED_URL is neither"),
        (settings.WAREHOUSE_SCHEMA, "pg_mine", "TOTESYS_WAREHOUSE_SCHEMA is 'pg_mine'"),
    ],
)
def test_wrong_setting_stops_before_anything_is_written(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch, name: str, value: str, sentence: str
) -> None:
    monkeypatch.setenv(name, value)

    with pytest.raises((SettingError, LakeError), match=sentence):
        take(orchestra)
    assert orchestra.platform.ingestion.list("") == []
    assert orchestra.instance.get_runs_count() == 0


def test_failed_run_is_one_sentence(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    orchestra.first()
    orchestra.platform.application.execute(EDIT_ORDER_1)
    monkeypatch.setenv(settings.QUARANTINE_LIMIT, "many")

    with pytest.raises(RunFailedError, match="TOTESYS_QUARANTINE_LIMIT is 'many'"):
        take(orchestra)


def test_job_takes_the_whole_path(orchestra: Orchestra, tmp_path: Path) -> None:
    """Launched as the UI launches it, in a process of its own."""
    orchestra.first()
    orchestra.platform.make().application.execute(EDIT_ORDER_1)
    done = warm.run(
        "from dagster._cli import main; main()",
        *("job", "execute", "-m", "totesys_dagster.definitions", "-j", "whole_path"),
        cwd=tmp_path,
    )

    assert done.returncode == 0, done.stderr
    assert orchestra.platform.rows("SELECT count(*) FROM batch") == [(2,)]


def load(orchestra: Orchestra, *stars: str) -> dg.ExecuteInProcessResult:
    """Materialize tables of the warehouse, as a person does."""
    keys = [asset_key("warehouse", star) for star in stars]
    return orchestra.run(dg.RunRequest(asset_selection=keys), "load_warehouse")


@pytest.mark.long
def test_materializing_one_table_loads_all_that_is_processed(orchestra: Orchestra) -> None:
    for design in (2, 1, 2):
        orchestra.platform.application.execute(
            "UPDATE sales_order SET design_id = %s WHERE sales_order_id = 1", [design]
        )
        manifest = orchestra.platform.capture()
        assert manifest is not None
        if manifest.sequence < 3:
            orchestra.platform.process(manifest)
    result = load(orchestra, "dim_staff")

    assert result.success
    assert materialized(result) == {(f"warehouse/{star}", None) for star in STAR_TABLES}
    assert orchestra.platform.rows("SELECT sequence FROM batch") == [(1,), (2,)]


def test_materializing_what_is_current_is_no_failure(orchestra: Orchestra) -> None:
    """Dagster may have lost its database, and show the table as missing."""
    orchestra.first()
    result = load(orchestra, "dim_staff")

    assert result.success
    assert materialized(result) == {("warehouse/dim_staff", None)}
    [check] = result.get_asset_check_evaluations()
    assert (check.asset_key, check.passed) == (asset_key("warehouse", "dim_staff"), True)


def test_nothing_to_load_is_no_failure(orchestra: Orchestra) -> None:
    result = load(orchestra, "dim_staff")

    assert result.success
    assert materialized(result) == set()


@pytest.mark.long
def test_difference_of_a_table_that_was_not_selected_is_seen(orchestra: Orchestra) -> None:
    orchestra.first()
    by_hand(orchestra, "UPDATE dim_design SET design_name = 'X' WHERE design_id = 1")
    orchestra.platform.application.execute(EDIT_ORDER_1)
    manifest = orchestra.platform.capture()
    assert manifest is not None
    orchestra.platform.process(manifest)
    result = load(orchestra, "fact_sales_order")

    assert {
        (check.asset_key.path[-1], check.passed) for check in result.get_asset_check_evaluations()
    } == {("fact_sales_order", True), ("dim_date", True), ("dim_design", False)}
