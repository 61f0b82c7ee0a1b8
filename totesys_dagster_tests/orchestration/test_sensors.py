"""The sensors: what they ask for, what they leave alone, and how they heal."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
import time
from collections.abc import Callable
from typing import LiteralString

import dagster as dg
import psycopg
import pytest

from totesys_dagster import settings
from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES
from totesys_dagster.definitions import defs
from totesys_dagster.ingestion import changes
from totesys_dagster.ingestion.capture import open_capture
from totesys_dagster.lake.audits import AuditLog
from totesys_dagster.lake.manifest import ManifestLog, batch_key
from totesys_dagster.lake.requests import Requests
from totesys_dagster.orchestration import planning, sensors
from totesys_dagster.orchestration.planning import AtWork
from totesys_dagster.runs import unfinished as runs
from totesys_dagster.runs.tags import CAPTURE_STAGE, STAGE_TAG
from totesys_dagster.warehouse import table_load
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.landing import by_night
from totesys_dagster_tests.orchestra import Orchestra, materialized

WAIT_SECONDS = sensors.WAIT_SECONDS


def edit_order(platform: Platform, design: int = 2) -> None:
    """A silent edit: `last_updated` stays as it was."""
    platform.application.execute(
        "UPDATE sales_order SET design_id = %s WHERE sales_order_id = 1", [design]
    )


def capture_edits(orchestra: Orchestra, *designs: int) -> list[str]:
    """Batches that were captured and nothing else, as where the stages are apart."""
    batches = []
    for design in designs:
        edit_order(orchestra.platform, design)
        manifest = orchestra.platform.capture()
        assert manifest is not None
        batches.append(manifest.batch)
    return batches


def planned(result: dg.ExecuteInProcessResult, instance: dg.DagsterInstance) -> set[str]:
    """The assets that a run was to materialize."""
    events = instance.all_logs(
        result.run_id, of_type=dg.DagsterEventType.ASSET_MATERIALIZATION_PLANNED
    )
    return {event.get_dagster_event().asset_key.to_user_string() for event in events}


def test_first_tick_takes_a_batch_of_all_tables_the_whole_way(orchestra: Orchestra) -> None:
    [result] = orchestra.tick_and_run("source_changes")

    assert result.success
    assert result.job_def.name == "batch"
    assets = len(SOURCE_TABLES) + 2 * len(STAR_TABLES)
    assert sum(check.passed for check in result.get_asset_check_evaluations()) == assets
    [batch] = orchestra.partitions()
    done = materialized(result)
    assert len(done) == assets
    assert {(key[: key.index("/")], partition) for key, partition in done} == {
        ("ingestion", batch),
        ("processed", batch),
        ("warehouse", None),
    }
    assert orchestra.platform.rows("SELECT count(*) FROM fact_payment") == [(3,)]
    assert orchestra.tick("new_batches") == "The warehouse holds every committed batch."


def test_table_without_a_row_holds_up_no_load(orchestra: Orchestra) -> None:
    """As one is that ToteSys has just got: what is made of it must not wait for rows."""
    orchestra.platform.application.execute("TRUNCATE payment")

    [result] = orchestra.tick_and_run("source_changes")

    assert result.success
    assert orchestra.platform.rows("SELECT count(*) FROM fact_sales_order") == [(2,)]
    assert ("warehouse/fact_payment", None) in materialized(result)
    assert orchestra.tick("new_batches") == "The warehouse holds every committed batch."


def test_batch_that_was_only_captured_is_processed_and_loaded_in_one_run(
    orchestra: Orchestra,
) -> None:
    orchestra.first()
    [batch] = capture_edits(orchestra, 2)
    [result] = orchestra.tick_and_run("new_batches")

    assert result.success
    assert result.job_def.name == "batch"
    assert materialized(result) == {
        ("processed/dim_date", batch),
        ("processed/fact_sales_order", batch),
        ("warehouse/dim_date", None),
        ("warehouse/fact_sales_order", None),
    }
    assert orchestra.platform.rows("SELECT count(*) FROM fact_sales_order") == [(3,)]


def test_nothing_changed_opens_no_batch(orchestra: Orchestra) -> None:
    orchestra.first()

    assert orchestra.tick("source_changes") == "Nothing changed in the source's tables."
    assert orchestra.tick("new_batches") == "The warehouse holds every committed batch."


def test_quiet_source_is_not_even_looked_through(orchestra: Orchestra) -> None:
    orchestra.first()
    sensor = defs.resolve_sensor_def("source_changes")

    def second_look() -> dg.SensorResult | str:
        context = orchestra.context()
        sensor(context)
        return orchestra.tick("source_changes", context.cursor)

    # Between two looks the server may have vacuumed something by itself, but not every time.
    answers = [second_look() for _ in range(5)]
    assert "No transaction has ended in the source." in answers


def test_only_what_a_batch_touches_is_materialized(orchestra: Orchestra) -> None:
    orchestra.first()
    edit_order(orchestra.platform)
    [result] = orchestra.tick_and_run("source_changes")

    touched = {
        "ingestion/sales_order",
        "processed/dim_date",
        "processed/fact_sales_order",
        "warehouse/dim_date",
        "warehouse/fact_sales_order",
    }
    assert {key for key, _ in materialized(result)} == touched
    assert planned(result, orchestra.instance) == touched


@pytest.mark.parametrize(
    ("edit", "raw", "star"),
    by_night(
        [
            ("UPDATE design SET file_name = 'x' WHERE design_id = 1", "design", "dim_design"),
            # The calendar of the batch is made of its facts, of all of them.
            ("UPDATE payment SET paid = TRUE WHERE payment_id = 2", "payment", "fact_payment"),
        ],
        but=[1],
    ),
)
def test_what_changes_after_the_poll_is_captured_too_and_loaded_next(
    edit: LiteralString, raw: str, star: str, orchestra: Orchestra
) -> None:
    """The run has no step for the star of that table, which `new_batches` sees to."""
    orchestra.first()
    edit_order(orchestra.platform)
    answer = orchestra.tick("source_changes")
    assert isinstance(answer, dg.SensorResult)
    orchestra.platform.application.execute(edit)
    [request] = answer.run_requests or []
    result = orchestra.run(request)
    before = orchestra.platform.rows("SELECT max(sequence) FROM batch")
    [healed] = orchestra.tick_and_run("new_batches")

    assert result.success
    assert (f"ingestion/{raw}", batch_key(2)) in materialized(result)
    assert f"ingestion/{raw}" not in planned(result, orchestra.instance)
    assert before == [(1,)]
    assert healed.success
    assert (f"warehouse/{star}", None) in materialized(healed)
    assert orchestra.platform.rows("SELECT max(sequence) FROM batch") == [(2,)]
    assert orchestra.platform.capture() is None


def test_batch_that_fails_on_its_way_holds_up_no_capture(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.first()
    edit_order(orchestra.platform)
    with monkeypatch.context() as patch:
        patch.setenv(settings.QUARANTINE_LIMIT, "not a number")
        [failed] = orchestra.tick_and_run("source_changes")
    edit_order(orchestra.platform, 1)
    [captured] = orchestra.tick_and_run("source_changes")

    assert (failed.job_def.name, failed.success) == ("batch", False)
    assert (captured.job_def.name, captured.success) == ("capture", True)
    monkeypatch.setattr(planning, "FIRST_PAUSE", dt.timedelta(0))
    for _ in range(2):
        orchestra.tick_and_run("new_batches")
    assert orchestra.platform.rows("SELECT max(sequence) FROM batch") == [(3,)]


def two_batches(orchestra: Orchestra) -> str:
    """Two batches are pending, and a run is at work on the first; the id of the run."""
    orchestra.first()
    capture_edits(orchestra, 2, 1)
    request, _ = orchestra.requests("new_batches")
    assert request.partition_key == batch_key(2)
    run = orchestra.instance.create_run_for_job(
        defs.resolve_job_def("batch"),
        status=dg.DagsterRunStatus.STARTED,
        tags=dict(request.tags),
    )
    return run.run_id


@pytest.mark.parametrize("step", [1, -1], ids=["in order", "the second ends first"])
def test_two_batches_are_taken_by_one_tick_each_in_a_run_of_its_own(
    step: int, orchestra: Orchestra
) -> None:
    """If the second waited for the next tick, so would each batch captured since, and its load."""
    orchestra.first()
    capture_edits(orchestra, 2, 1)
    requests = orchestra.requests("new_batches")
    results = [orchestra.run(request) for request in requests[::step]]

    assert [request.job_name for request in requests] == ["batch", "batch"]
    assert [request.partition_key for request in requests] == [batch_key(2), batch_key(3)]
    assert all(result.success for result in results)
    assert orchestra.tick("new_batches") == "The warehouse holds every committed batch."
    assert orchestra.platform.rows(
        "SELECT design_id FROM fact_sales_order WHERE sales_order_id = 1 ORDER BY sales_record_id"
    ) == [(1,), (2,), (1,)]


@pytest.mark.long
def test_no_second_run_begins_while_one_of_two_batches_is_at_work(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sensors, "WAIT_SECONDS", 0.5)
    run = two_batches(orchestra)
    answer = orchestra.tick("new_batches")
    orchestra.instance.delete_run(run)
    runs = orchestra.tick_and_run("new_batches")

    assert answer == "Running, or waiting after a failure: 2 batches."
    assert [run.job_def.name for run in runs] == ["batch"] * 2
    assert orchestra.tick("new_batches") == "The warehouse holds every committed batch."


@pytest.mark.long
def test_tick_waits_for_the_load_that_a_batch_waits_for(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = two_batches(orchestra)
    monkeypatch.setattr(sensors, "WAIT_SECONDS", WAIT_SECONDS)
    platform = orchestra.platform

    def end() -> None:
        manifest = ManifestLog(platform.ingestion).read(2)
        platform.process(manifest)
        platform.load(manifest)
        orchestra.instance.delete_run(run)

    ends = threading.Timer(0.5, end)
    ends.start()
    answer = orchestra.tick("new_batches")
    ends.join()

    assert isinstance(answer, dg.SensorResult)
    [request] = answer.run_requests or []
    assert request.partition_key == batch_key(3)
    assert request.job_name == "batch"


@pytest.mark.long
def test_backlog_is_processed_side_by_side_and_loaded_in_one_run(orchestra: Orchestra) -> None:
    orchestra.first()
    capture_edits(orchestra, 2, 1, 2)
    processed = orchestra.tick_and_run("new_batches")
    [loaded] = orchestra.tick_and_run("new_batches")

    assert [run.job_def.name for run in processed] == ["process"] * 3
    assert loaded.job_def.name == "load_warehouse"
    assert materialized(loaded) == {
        ("warehouse/dim_date", None),
        ("warehouse/fact_sales_order", None),
    }
    [orders] = loaded.asset_materializations_for_node("load")[1:]
    assert orders.metadata["batches"].value == f"{batch_key(2)} to {batch_key(4)}"
    assert orders.metadata["new versions"].value == 3
    assert loaded.dagster_run.tags["totesys/batch"] == batch_key(2)
    assert loaded.dagster_run.tags["totesys/last_batch"] == batch_key(4)
    assert orchestra.platform.rows(
        "SELECT design_id FROM fact_sales_order WHERE sales_order_id = 1 ORDER BY sales_record_id"
    ) == [(1,), (2,), (1,), (2,)]


def test_failed_run_is_tried_again_after_a_pause(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.first()
    capture_edits(orchestra, 2)
    with monkeypatch.context() as patch:
        patch.setenv(settings.QUARANTINE_LIMIT, "not a number")
        [failed] = orchestra.tick_and_run("new_batches")
    assert not failed.success

    assert orchestra.tick("new_batches") == "Running, or waiting after a failure: 1 batch."
    monkeypatch.setattr(planning, "FIRST_PAUSE", dt.timedelta(0))
    [again] = orchestra.tick_and_run("new_batches")
    assert again.success


@pytest.mark.long
def test_pause_doubles_with_each_failure_in_a_row(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.platform.capture()
    batch = batch_key(1)
    monkeypatch.setenv(settings.QUARANTINE_LIMIT, "not a number")
    monkeypatch.setattr(planning, "FIRST_PAUSE", dt.timedelta(0))
    for _ in range(3):
        orchestra.tick_and_run("new_batches")
    monkeypatch.setattr(planning, "FIRST_PAUSE", dt.timedelta(seconds=15))

    left = planning.pause(orchestra.instance, {"totesys/batch": batch}, dt.datetime.now(dt.UTC))
    assert left is not None
    assert dt.timedelta(seconds=50) < left <= dt.timedelta(seconds=60)


AHEAD = "2099-01-01T00-00-00Z"


def capture_ahead(orchestra: Orchestra, *statuses: dg.DagsterRunStatus) -> None:
    """A key that a person made up, with runs that capture or tried to."""
    orchestra.first()
    edit_order(orchestra.platform)
    orchestra.instance.add_dynamic_partitions("batch", [AHEAD])
    for status in statuses:
        orchestra.instance.create_run_for_job(
            defs.resolve_job_def("capture"), status=status, tags={"dagster/partition": AHEAD}
        )


@pytest.mark.long
@pytest.mark.parametrize(
    "statuses", [[], [dg.DagsterRunStatus.FAILURE], [dg.DagsterRunStatus.CANCELED]]
)
def test_key_that_can_be_no_batch_is_taken_off_the_list(
    statuses: list[dg.DagsterRunStatus], orchestra: Orchestra
) -> None:
    capture_ahead(orchestra, *statuses)
    [captured] = orchestra.tick_and_run("source_changes")

    assert captured.success
    assert orchestra.partitions() == [batch_key(1), batch_key(2)]


@pytest.mark.long
def test_key_that_is_at_work_stays_on_the_list(orchestra: Orchestra) -> None:
    """Its run would fail in the middle if the key were taken from it."""
    capture_ahead(orchestra, dg.DagsterRunStatus.STARTED)
    orchestra.tick_and_run("source_changes")

    assert AHEAD in orchestra.partitions()


def test_capture_that_failed_is_repeated_under_its_key(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.first()
    edit_order(orchestra.platform)
    monkeypatch.setattr(planning, "FIRST_PAUSE", dt.timedelta(0))
    with monkeypatch.context() as patch:
        patch.setenv(settings.PART_BYTES, "not a number")
        [failed] = orchestra.tick_and_run("source_changes")
    [again] = orchestra.tick_and_run("source_changes")

    assert (failed.success, again.success) == (False, True)
    assert orchestra.partitions() == [batch_key(1), batch_key(2)]


def test_capture_that_finds_nothing_leaves_no_partition_behind(orchestra: Orchestra) -> None:
    orchestra.first()
    orchestra.instance.add_dynamic_partitions("batch", [batch_key(2)])
    result = orchestra.run(dg.RunRequest(partition_key=batch_key(2)), "capture")

    assert result.success
    assert orchestra.partitions() == [batch_key(1)]


@pytest.mark.long
@pytest.mark.parametrize("clock", [dt.timedelta(days=-900), dt.timedelta(days=900)])
def test_clock_of_the_host_decides_nothing(
    clock: dt.timedelta, orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches are named by their numbers, and what is due by the snapshots' own clock."""
    orchestra.first()
    moment = dt.datetime.now(dt.UTC) + clock

    class Wrong(dt.datetime):
        @classmethod
        def now(cls, tz: dt.tzinfo | None = None) -> dt.datetime:  # type: ignore[override]
            return moment.astimezone(tz)

    monkeypatch.setattr(sensors.dt, "datetime", Wrong)
    edit_order(orchestra.platform)
    orchestra.tick_and_run("source_changes")

    assert orchestra.partitions() == [batch_key(1), batch_key(2)]
    assert orchestra.tick("new_batches") == "The warehouse holds every committed batch."


@pytest.mark.long
def test_hour_without_a_batch_asks_for_an_audit_of_every_table(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.first()
    monkeypatch.setattr(changes, "WHOLE_EVERY", dt.timedelta(0))
    [audited] = orchestra.tick_and_run("source_changes")
    monkeypatch.undo()

    assert (audited.job_def.name, audited.success) == ("audit", True)
    assert ManifestLog(orchestra.platform.ingestion).end() == 1
    assert {check.check_name for check in audited.get_asset_check_evaluations()} == {"audit"}
    assert len(audited.get_asset_check_evaluations()) == len(STAR_TABLES)
    assert AuditLog(orchestra.platform.ingestion).end() == 1


def test_audit_waits_for_batches_that_are_not_loaded(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.platform.capture()
    monkeypatch.setattr(changes, "WHOLE_EVERY", dt.timedelta(0))

    assert orchestra.tick("source_changes") == (
        "An audit of every table is due, but waits until a batch is loaded."
    )


def test_audit_waits_for_a_warehouse_that_is_down(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tick does not fail: what it has found would be looked for again by each one."""
    orchestra.first()
    monkeypatch.setattr(changes, "WHOLE_EVERY", dt.timedelta(0))
    monkeypatch.setenv(settings.WAREHOUSE_DSN, "postgresql://nobody@127.0.0.1:1/nothing")
    context = orchestra.context()
    skipped = defs.resolve_sensor_def("source_changes")(context)

    assert isinstance(skipped, dg.SkipReason)
    assert str(skipped.skip_message).startswith(
        "An audit of every table is due, but waits for the warehouse: TOTESYS_WAREHOUSE_DSN"
    )
    assert context.cursor


@pytest.mark.long
def test_audit_that_was_cut_short_is_completed(orchestra: Orchestra) -> None:
    orchestra.first()
    platform = orchestra.platform
    with open_capture(
        platform.source, platform.ingestion, run_id="killed", part_bytes=1 << 20, whole=True
    ) as capture:
        capture.write_audit()
    [completed] = orchestra.tick_and_run("new_batches")

    assert (completed.job_def.name, completed.success) == ("audit", True)
    assert orchestra.tick("new_batches") == "The warehouse holds every committed batch."


@pytest.mark.long
def test_run_of_several_batches_reports_a_difference_that_the_last_did_not_mend(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Payment 1 goes wrong in batch 2, as by a defect of the load; batch 3 brings payment 2."""
    platform = orchestra.platform
    monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", -1)
    platform.run()
    for key in (1, 2):
        platform.application.execute("UPDATE payment SET paid = TRUE WHERE payment_id = %s", [key])
        manifest = platform.capture()
        assert manifest is not None
        platform.process(manifest)
    append = table_load.TableLoader._append_versions
    monkeypatch.setattr(
        table_load.TableLoader,
        "_append_versions",
        lambda table: (0, 0, 0) if table.manifest.sequence == 2 else append(table),
    )
    result = orchestra.run(dg.RunRequest(), "load_warehouse")

    [check] = [
        one
        for one in result.get_asset_check_evaluations()
        if one.asset_key.path[-1] == "fact_payment"
    ]
    assert not check.passed
    assert check.metadata["as of batch"].value == 2
    assert platform.rows("SELECT count(*) FROM batch") == [(3,)]


@pytest.mark.long
def test_warehouse_that_was_changed_by_hand_is_found_without_a_batch_and_healed(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.first()
    platform = orchestra.platform
    platform.rows("SELECT 1")
    platform.warehouse.execute("UPDATE dim_design SET design_name = 'Gold' WHERE design_id = 1")
    with monkeypatch.context() as patch:
        patch.setattr(changes, "WHOLE_EVERY", dt.timedelta(0))
        [audited] = orchestra.tick_and_run("source_changes")
    [healed] = orchestra.tick_and_run("source_changes")

    failed = [c.asset_key.path[-1] for c in audited.get_asset_check_evaluations() if not c.passed]
    assert failed == ["dim_design"]
    assert all(check.passed for check in healed.get_asset_check_evaluations())
    assert platform.rows("SELECT design_name FROM dim_design WHERE design_id = 1") == [("Wooden",)]


@pytest.mark.long
def test_batches_that_dagster_forgot_are_added_again(orchestra: Orchestra) -> None:
    manifest = orchestra.platform.capture()
    assert manifest is not None
    assert orchestra.partitions() == []

    [result] = orchestra.tick_and_run("new_batches")

    assert result.success
    assert orchestra.partitions() == [manifest.batch]


def test_batch_with_too_many_bad_rows_stays_out_of_the_warehouse(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.first()
    monkeypatch.setenv(settings.QUARANTINE_LIMIT, "0")
    orchestra.platform.application.execute(
        "UPDATE sales_order SET agreed_delivery_date = '2022-13-45' WHERE sales_order_id = 1"
    )
    [result] = orchestra.tick_and_run("source_changes")

    assert not result.success
    [check] = [c for c in result.get_asset_check_evaluations() if not c.passed]
    assert check.description is not None
    assert check.description.startswith(
        "Batch 2 is not loaded, as it has 1 row of fact_sales_order in quarantine, more than"
        " TOTESYS_QUARANTINE_LIMIT (0) allows: `totesys quarantine --batch 2` lists them;"
    )
    assert check.metadata["reasons"].value == (
        "| table | reason | rows | keys |\n| --- | --- | ---: | --- |\n| sales_order |"
        " agreed_delivery_date is not a date YYYY-MM-DD of the years 2000 to 2099 | 1 | 1 |"
    )
    assert orchestra.platform.rows("SELECT max(sequence) FROM batch") == [(1,)]


def test_bad_row_is_quarantined_and_seen(orchestra: Orchestra) -> None:
    orchestra.first()
    orchestra.platform.application.execute(
        "UPDATE sales_order SET agreed_delivery_date = '2022-13-45' WHERE sales_order_id = 1"
    )
    [result] = orchestra.tick_and_run("source_changes")

    assert result.success
    failed = {
        c.asset_key.to_user_string(): c
        for c in result.get_asset_check_evaluations()
        if not c.passed
    }
    assert set(failed) == {"processed/fact_sales_order", "warehouse/fact_sales_order"}
    assert orchestra.platform.rows("SELECT star, key, reason FROM quarantine") == [
        (
            "fact_sales_order",
            1,
            "sales_order: agreed_delivery_date is not a date YYYY-MM-DD of the years 2000 to 2099",
        )
    ]


@pytest.mark.long
def test_unequal_table_is_read_again_in_full(orchestra: Orchestra) -> None:
    orchestra.first()
    platform = orchestra.platform
    platform.rows("SELECT 1")
    platform.warehouse.execute("UPDATE dim_design SET design_name = 'Gold' WHERE design_id = 1")
    platform.application.execute("UPDATE design SET file_location = '/tmp' WHERE design_id = 2")
    [unequal] = orchestra.tick_and_run("source_changes")
    assert "a full read has been requested" in str(
        [c.description for c in unequal.get_asset_check_evaluations() if not c.passed]
    )

    [healed] = orchestra.tick_and_run("source_changes")

    assert all(check.passed for check in healed.get_asset_check_evaluations())
    assert platform.rows("SELECT design_name FROM dim_design ORDER BY design_id") == [
        ("Wooden",),
        ("Bronze",),
    ]
    log = ManifestLog(platform.ingestion)
    assert Requests(platform.ingestion).full_reads(log.head()) == {}


def test_sensor_says_in_a_sentence_that_the_source_cannot_be_reached(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.SOURCE_DSN, "postgresql://nobody:hidden@127.0.0.1:1/totesys")

    said = orchestra.tick("source_changes")

    assert isinstance(said, str)
    assert said.startswith("TOTESYS_SOURCE_DSN points to a database")
    assert "hidden" not in said


def test_outage_of_the_warehouse_heals_by_itself(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.first()
    capture_edits(orchestra, 2)
    with monkeypatch.context() as patch:
        patch.setenv(settings.WAREHOUSE_DSN, "postgresql://nobody@127.0.0.1:1/warehouse")
        assert str(orchestra.tick("new_batches")).startswith("TOTESYS_WAREHOUSE_DSN points to")
        edit_order(orchestra.platform, 1)
        [captured] = orchestra.tick_and_run("source_changes")
    assert (captured.job_def.name, captured.success) == ("capture", True)

    for _ in range(2):
        orchestra.tick_and_run("new_batches")
    assert orchestra.platform.rows("SELECT count(*) FROM batch") == [(3,)]


@pytest.mark.long
def test_loads_can_come_at_intervals(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.LOAD_EVERY_SECONDS, "900")
    assert sensors.scheduled_load in sensors.sensors()
    for design in (2, 1):
        edit_order(orchestra.platform, design)
        orchestra.tick_and_run("source_changes")
        [processed] = orchestra.tick_and_run("new_batches")
        assert processed.job_def.name == "process"
    assert orchestra.platform.rows("SELECT count(*) FROM batch") == [(0,)]

    answer = sensors.scheduled_load(orchestra.context())
    assert isinstance(answer, dg.SensorResult)
    [request] = answer.run_requests or []
    assert orchestra.run(request, "load_warehouse").success
    assert orchestra.platform.rows("SELECT count(*) FROM batch") == [(2,)]


def test_only_one_capture_is_at_work(orchestra: Orchestra) -> None:
    orchestra.instance.create_run_for_job(
        defs.resolve_job_def("capture"),
        status=dg.DagsterRunStatus.STARTED,
        tags={"totesys/stage": "capture"},
    )

    assert orchestra.tick("source_changes") == "A batch is being captured."


@pytest.mark.long
def test_run_that_was_never_put_into_the_queue_holds_up_nothing(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A daemon that dies between the two steps leaves one behind."""
    edit_order(orchestra.platform)
    orchestra.instance.create_run_for_job(
        defs.resolve_job_def("capture"), tags={"totesys/stage": "capture"}
    )
    assert isinstance(orchestra.tick("source_changes"), str)

    monkeypatch.setattr(runs, "ABANDONED_AFTER", dt.timedelta(0))
    assert orchestra.tick_and_run("source_changes")


def test_interval_is_what_the_daemon_makes_of_it() -> None:
    assert [sensors.interval(seconds) for seconds in (1, 2, 5, 60)] == [1, 1, 4, 59]


@pytest.mark.long  # as ingestion/test_source_view.py has it for one table
def test_nobody_else_may_hold_the_lock(platform: Platform) -> None:
    """A migration that locks a table makes the poll fail with a sentence, not hang."""
    with psycopg.connect(
        platform.server.dsn("totesys_application", platform.source_database)
    ) as writer:
        writer.execute("LOCK TABLE staff IN ACCESS EXCLUSIVE MODE")
        platform.source.execute("SET lock_timeout TO '50ms'")
        with pytest.raises(Exception, match="locked by a migration"):
            platform.capture()


def begin_to_capture(orchestra: Orchestra) -> dg.DagsterRun:
    """A run of capture is at work beside the next tick."""
    return orchestra.instance.create_run_for_job(
        defs.resolve_job_def("capture"),
        status=dg.DagsterRunStatus.STARTED,
        tags={STAGE_TAG: CAPTURE_STAGE},
    )


@pytest.mark.long
def test_tick_waits_for_the_batch_that_is_being_captured(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.first()
    monkeypatch.setattr(sensors, "WAIT_SECONDS", WAIT_SECONDS)
    run = begin_to_capture(orchestra)
    edit_order(orchestra.platform)

    def end() -> None:
        orchestra.platform.capture()
        orchestra.instance.report_run_failed(run)

    ends = threading.Timer(0.5, end)
    ends.start()
    answer = orchestra.tick("new_batches")
    ends.join()

    assert isinstance(answer, dg.SensorResult)
    assert [request.job_name for request in answer.run_requests or []] == ["batch"]


@pytest.mark.long
def test_tick_waits_for_the_batch_that_another_sensor_opens_at_the_same_moment(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.first()
    edit_order(orchestra.platform)
    monkeypatch.setattr(planning, "OPENING_SECONDS", 1.0)
    monkeypatch.setattr(sensors, "WAIT_SECONDS", WAIT_SECONDS)

    def capture() -> None:
        run = begin_to_capture(orchestra)
        time.sleep(1)
        orchestra.platform.capture()
        orchestra.instance.report_run_failed(run)

    opens = threading.Timer(0.2, capture)
    opens.start()
    answer = orchestra.tick("new_batches")
    opens.join()

    assert isinstance(answer, dg.SensorResult)


def while_it_waits(
    monkeypatch: pytest.MonkeyPatch, looks_before: int, happens: Callable[[], object]
) -> None:
    """Let something happen after a tick has looked at the runs so often. In a thread of its own, it
    would meet a lock of the instance: SQLite in memory waits for none."""
    monkeypatch.setattr(planning, "OPENING_SECONDS", 5.0)
    monkeypatch.setattr(sensors, "WAIT_SECONDS", 5.0)
    look = AtWork.of
    looks = itertools.count()

    def of(instance: dg.DagsterInstance) -> AtWork:
        if next(looks) == looks_before:
            happens()
        return look(instance)

    monkeypatch.setattr(AtWork, "of", of)


def test_tick_sees_a_run_that_began_and_ended_while_it_waited(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run of a small batch takes less time than the daemon needs to create it."""
    orchestra.first()
    edit_order(orchestra.platform)

    def capture() -> None:
        run = begin_to_capture(orchestra)
        orchestra.platform.capture()
        orchestra.instance.report_run_failed(run)

    while_it_waits(monkeypatch, 1, capture)
    [request] = orchestra.requests("new_batches")

    assert request.partition_key == batch_key(2)


def test_change_during_the_load_of_a_batch_is_taken_the_whole_way_after_it(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only captured, it would be loaded by the next tick, beside the capture of the next change:
    every batch would come a tick late until a tick found no change."""
    orchestra.first()
    capture_edits(orchestra, 2)
    [request] = orchestra.requests("new_batches")
    edit_order(orchestra.platform, 1)
    while_it_waits(monkeypatch, 2, lambda: orchestra.run(request))
    [next_request] = orchestra.requests("source_changes")

    assert next_request.partition_key == batch_key(3)
    assert next_request.job_name == "batch"


def test_what_changes_while_a_tick_waits_for_a_load_is_loaded_with_the_batch(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of before the wait, the run would have no step for a star of that table, so its load would
    be skipped, and the next tick would wait again."""
    orchestra.first()
    capture_edits(orchestra, 2)
    [request] = orchestra.requests("new_batches")
    edit_order(orchestra.platform, 1)

    def pay_and_load() -> None:
        orchestra.platform.application.execute(
            "UPDATE payment SET payment_amount = 1 WHERE payment_id = 1"
        )
        orchestra.run(request)

    while_it_waits(monkeypatch, 2, pay_and_load)
    [next_request] = orchestra.requests("source_changes")

    assert orchestra.run(next_request).success
    assert orchestra.platform.rows("SELECT max(sequence) FROM batch") == [(3,)]


def test_change_during_the_load_of_a_backlog_is_captured_at_once(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.first()
    capture_edits(orchestra, 2, 1, 2)
    edit_order(orchestra.platform, 1)
    monkeypatch.setattr(planning, "OPENING_SECONDS", 60.0)
    monkeypatch.setattr(sensors, "WAIT_SECONDS", 60.0)
    start = time.monotonic()
    [request] = orchestra.requests("source_changes")

    assert request.job_name == "capture"
    assert time.monotonic() - start < 30


@pytest.mark.parametrize("meanwhile", ["a run ends", "the source changes"])
def test_tick_waits_for_what_it_can_take_at_once(
    meanwhile: str, orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit in the middle of a tick is seen by it, and not by the next one."""
    orchestra.first()
    run = begin_to_capture(orchestra) if meanwhile == "a run ends" else None
    if run:
        edit_order(orchestra.platform)
    monkeypatch.setattr(sensors, "WAIT_SECONDS", 30)
    context = orchestra.context()
    sensor = defs.resolve_sensor_def("source_changes")
    if not run:
        sensor(context)  # what is left of the first batch

    def happen() -> None:
        if run:
            orchestra.instance.report_run_failed(run)
        else:
            edit_order(orchestra.platform)

    happens = threading.Timer(1, happen)
    start = time.monotonic()
    happens.start()
    answer = orchestra.tick("source_changes", context.cursor)
    happens.join()

    assert isinstance(answer, dg.SensorResult)
    assert [request.job_name for request in answer.run_requests or []] == ["batch"]
    assert 1 <= time.monotonic() - start < 20


@pytest.mark.long
def test_tick_does_not_wait_for_ever(orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch) -> None:
    orchestra.first()
    begin_to_capture(orchestra)
    monkeypatch.setattr(sensors, "WAIT_SECONDS", 0.5)

    assert orchestra.tick("new_batches") == "The warehouse holds every committed batch."
