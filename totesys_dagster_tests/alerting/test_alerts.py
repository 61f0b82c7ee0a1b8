"""Alerts, sent to a real SMTP server and to an emulator of Amazon SNS, both on loopback."""

from __future__ import annotations

import datetime as dt
import json
import re
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
import dagster as dg
import pytest
from moto.server import ThreadedMotoServer

from totesys_dagster import settings
from totesys_dagster.alerting import ended_runs, notify, recipients
from totesys_dagster.alerting.alerts import State
from totesys_dagster.alerting.notify import ALERTS_OFF, NotSentError
from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.definitions import defs
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster.metadata import BATCH_TAG
from totesys_dagster.orchestration.sensors import scheduled_load
from totesys_dagster.orchestration.whole_path import RunFailedError, run_path
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster_tests.edits import EDIT_ORDER_1
from totesys_dagster_tests.inbox import Inbox
from totesys_dagster_tests.orchestra import Orchestra, damage
from totesys_dagster_tests.test_links import anchors
from totesys_dagster_tests.test_words import ROOT

BAD_ORDER = "UPDATE sales_order SET agreed_delivery_date = '2022-13-45' WHERE sales_order_id = 1"
GOOD_ORDER = "UPDATE sales_order SET agreed_delivery_date = '2022-11-09' WHERE sales_order_id = 1"
UNREACHABLE = "postgresql://nobody:hidden@127.0.0.1:1/nothing"


class Watch:
    """The sensor, and what the daemon keeps of it between two ticks."""

    def __init__(self, orchestra: Orchestra) -> None:
        self.orchestra = orchestra
        self.cursor: str | None = None

    def tick(self) -> str:
        """Let the sensor look once; what it says."""
        context = self.orchestra.context(self.cursor)
        answer = defs.resolve_sensor_def("alerts")(context)
        assert isinstance(answer, dg.SkipReason)
        self.cursor = context.cursor
        return str(answer.skip_message)

    def let_pass(self, minutes: int) -> None:
        """Make what the sensor remembers older, as if it had looked that long ago."""
        state = State.model_validate_json(str(self.cursor))
        back = dt.timedelta(minutes=minutes)
        since, polled = state.waiting.since, state.changes.polled
        waiting = state.waiting.model_copy(update={"since": since and since - back})
        changes = state.changes.model_copy(update={"polled": polled and polled - back})
        incidents = {
            key: incident.model_copy(
                update={
                    "held": {
                        cause: held.model_copy(update={"since": held.since - back})
                        for cause, held in incident.held.items()
                    }
                }
            )
            for key, incident in state.incidents.items()
        }
        update = {"waiting": waiting, "changes": changes, "incidents": incidents}
        self.cursor = state.model_copy(update=update).model_dump_json()

    def tick_until_told(self) -> None:
        """Let the sensor look, and again when every grace has passed."""
        self.tick()
        self.let_pass(minutes=2)
        self.tick()


@pytest.fixture
def watch(orchestra: Orchestra) -> Watch:
    return Watch(orchestra)


@pytest.fixture
def no_pause(monkeypatch: pytest.MonkeyPatch) -> None:
    """Failed batches are tried again at once."""
    monkeypatch.setattr("totesys_dagster.orchestration.planning.pause", lambda *_, **__: None)


def fail(orchestra: Orchestra, tags: Mapping[str, str] | None = None) -> None:
    """A capture that fails because its partition is no batch key."""
    orchestra.instance.add_dynamic_partitions("batch", ["yesterday"])
    defs.resolve_job_def("capture").execute_in_process(
        instance=orchestra.instance, partition_key="yesterday", tags=tags, raise_on_error=False
    )


def die(orchestra: Orchestra, batch: str) -> None:
    """A run of a batch whose process ends without a word."""
    orchestra.instance.add_dynamic_partitions("batch", [batch])
    run = orchestra.instance.create_run_for_job(
        defs.resolve_job_def("batch"), tags={BATCH_TAG: batch, "dagster/partition": batch}
    )
    orchestra.instance.report_run_failed(run, "The process of the run has ended.")


def load(orchestra: Orchestra) -> None:
    """Take what changed all the way, as the sensors do."""
    orchestra.tick_and_run("source_changes")


# Runs


def test_failed_run_sends_one_mail_with_its_reason(watch: Watch, inbox: Inbox) -> None:
    fail(watch.orchestra)
    watch.tick_until_told()

    [mail] = inbox.mails
    assert mail["Subject"] == "[totesys_dagster] capture of batch yesterday failed"
    assert mail["To"] == "ann@example.com, bob@example.com"
    assert "'yesterday' cannot be captured" in str(mail.get_payload())


@pytest.mark.long
def test_run_is_linked_where_the_address_of_the_ui_is_set(
    watch: Watch, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.UI_URL, "https://dagster.example.com/")
    fail(watch.orchestra)
    [run] = watch.orchestra.instance.get_runs()
    watch.tick_until_told()

    [(_, text)] = inbox.take()
    assert f"Dagster run: https://dagster.example.com/runs/{run.run_id}\n" in text


@pytest.mark.long
def test_wrong_address_of_the_ui_keeps_no_alert_back(
    watch: Watch, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.UI_URL, "nowhere")
    fail(watch.orchestra)
    watch.tick_until_told()

    assert len(inbox.take()) == 1


@pytest.mark.long
@pytest.mark.usefixtures("no_pause")
def test_batch_that_fails_again_and_again_is_one_mail_and_one_when_it_is_loaded(
    watch: Watch, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra = watch.orchestra
    monkeypatch.setenv(settings.QUARANTINE_LIMIT, "0")
    orchestra.platform.application.execute(BAD_ORDER)
    for sensor in ("source_changes", "new_batches", "new_batches"):
        [result] = orchestra.tick_and_run(sensor)
        assert not result.success
        watch.tick()
    [batch] = orchestra.partitions()
    [(subject, text)] = inbox.take()
    assert subject == f"[totesys_dagster] batch {batch} failed"
    assert text.startswith(
        f"Batch {int(batch)} is not loaded, as it has 1 row of fact_sales_order in quarantine"
    )
    assert f"\nBatch: {batch}\n" in text

    monkeypatch.setenv(settings.QUARANTINE_LIMIT, "1")
    [result] = orchestra.tick_and_run("new_batches")
    assert result.success
    watch.tick()
    [(subject, text)] = inbox.take()
    assert subject == f"[totesys_dagster] resolved: batch {batch} failed"
    assert text.startswith(f"Batch {batch} is loaded.\n")
    watch.tick()
    assert inbox.take() == []


def refuse_ina(orchestra: Orchestra) -> None:
    """Make the warehouse refuse a member of staff, and hire her."""
    orchestra.platform.warehouse.execute(
        "ALTER TABLE warehouse.dim_staff ADD CHECK (first_name <> 'Ina')"
    )
    orchestra.platform.application.execute(
        "INSERT INTO staff VALUES (7, 'Ina', 'Geheim', 1, 'ina@example.com', now(), now())"
    )


@pytest.mark.long
def test_batch_is_not_over_when_it_is_processed_but_not_loaded(watch: Watch, inbox: Inbox) -> None:
    orchestra = watch.orchestra
    refuse_ina(orchestra)
    load(orchestra)
    watch.tick_until_told()
    [(_, text)] = inbox.take()
    assert "violates check constraint" in text
    assert "Geheim" not in text

    [batch] = orchestra.partitions()
    again = dg.RunRequest(job_name="process", partition_key=batch, tags={BATCH_TAG: batch})
    assert orchestra.run(again).success
    watch.tick()
    assert inbox.take() == []


@pytest.mark.long
@pytest.mark.usefixtures("no_pause")
def test_failure_within_a_range_of_batches_is_sent_of_the_batch_that_failed(
    watch: Watch, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra = watch.orchestra
    monkeypatch.setenv(settings.LOAD_EVERY_SECONDS, "60")
    orchestra.tick_and_run("source_changes")
    refuse_ina(orchestra)
    orchestra.tick_and_run("source_changes")
    orchestra.tick_and_run("new_batches")
    for _ in range(3):  # the first run fails at its second batch
        answer = scheduled_load(orchestra.context())
        assert isinstance(answer, dg.SensorResult)
        [request] = answer.run_requests or []
        assert not orchestra.run(request, "load_warehouse").success
        watch.tick()

    [(subject, _)] = inbox.take()
    assert (
        subject == f"[totesys_dagster] load_warehouse of batch {orchestra.partitions()[1]} failed"
    )


@pytest.mark.long
@pytest.mark.usefixtures("no_pause")
def test_capture_that_fails_again_and_again_is_one_mail_though_its_batch_has_another_name(
    watch: Watch, inbox: Inbox
) -> None:
    orchestra = watch.orchestra
    application = orchestra.platform.application
    request = orchestra.tick("source_changes").run_requests  # type: ignore[union-attr]
    application.execute("ALTER TABLE staff RENAME TO people")
    for one in request or []:
        orchestra.run(one, "capture")
    watch.tick()
    application.execute("ALTER TABLE people RENAME TO staff")
    subjects = [subject for subject, _ in inbox.take()]
    changed = "the source's tables have changed, and nothing is captured"
    assert subjects == [f"[totesys_dagster] {changed}"]
    watch.tick()
    assert len(inbox.take()) == 1

    fail(orchestra)
    fail(orchestra)
    watch.tick()
    [(subject, _)] = inbox.take()
    assert subject == "[totesys_dagster] capture of batch yesterday failed"
    orchestra.tick_and_run("source_changes")
    watch.tick()
    [(subject, text)] = inbox.take()
    assert subject == "[totesys_dagster] resolved: capture of batch yesterday failed"
    assert text.startswith("A capture has succeeded.")


@pytest.mark.long
@pytest.mark.usefixtures("no_pause")
def test_failure_that_is_made_good_before_a_look_is_not_sent(watch: Watch, inbox: Inbox) -> None:
    fail(watch.orchestra)
    load(watch.orchestra)
    watch.tick()

    assert inbox.take() == []


@pytest.mark.long
@pytest.mark.usefixtures("no_pause")
def test_run_that_dies_is_not_sent_if_the_next_one_succeeds(watch: Watch, inbox: Inbox) -> None:
    die(watch.orchestra, batch_key(1))
    watch.tick()
    load(watch.orchestra)
    watch.tick_until_told()

    assert inbox.take() == []


def test_run_that_dies_is_one_mail_if_the_next_one_dies_too(watch: Watch, inbox: Inbox) -> None:
    for _ in range(3):
        die(watch.orchestra, batch_key(1))
        watch.tick_until_told()

    [(subject, text)] = inbox.take()
    assert subject == f"[totesys_dagster] batch {batch_key(1)} failed"
    assert text.startswith("The process of the run has ended.\n")


def test_while_the_next_run_of_a_batch_is_at_work_its_failure_is_not_sent(
    watch: Watch, inbox: Inbox
) -> None:
    instance = watch.orchestra.instance
    die(watch.orchestra, batch_key(1))
    run = instance.create_run_for_job(
        defs.resolve_job_def("batch"),
        tags={BATCH_TAG: batch_key(1)},
        status=dg.DagsterRunStatus.STARTED,
    )
    watch.tick_until_told()
    assert inbox.take() == []

    instance.report_run_canceled(run)
    watch.tick()
    assert len(inbox.take()) == 1


@pytest.mark.long
@pytest.mark.usefixtures("no_pause")
def test_rows_that_are_corrected_at_once_are_not_sent(watch: Watch, inbox: Inbox) -> None:
    orchestra = watch.orchestra
    for edit in (BAD_ORDER, GOOD_ORDER):
        orchestra.platform.application.execute(edit)
        load(orchestra)
        watch.tick()
    watch.tick_until_told()

    assert inbox.take() == []


@pytest.mark.long
@pytest.mark.usefixtures("no_pause")
def test_carried_column_of_another_type_is_one_mail(
    watch: Watch, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The check of the table says what is wrong, and the batch stops for it."""
    orchestra = watch.orchestra
    monkeypatch.setenv(settings.QUARANTINE_LIMIT, "0")
    orchestra.first()
    orchestra.platform.application.execute(
        "ALTER TABLE sales_order ALTER units_sold TYPE text USING 'x' || units_sold"
    )
    for sensor in ("source_changes", "new_batches", "new_batches"):
        orchestra.tick_and_run(sensor)
        watch.tick()
        watch.let_pass(minutes=1)
    watch.tick_until_told()

    [(subject, text)] = inbox.take()
    assert "the source's tables have changed" in subject
    assert "failed" in subject
    assert "units_sold is text instead of integer" in text
    assert "more than TOTESYS_QUARANTINE_LIMIT" in text


@pytest.mark.long
@pytest.mark.usefixtures("inbox")
@pytest.mark.parametrize("at_once", [2, 200])
def test_each_run_is_looked_at_once_though_looks_overlap(
    at_once: int, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ended_runs, "RUNS_AT_ONCE", at_once)
    looked_at = []
    monkeypatch.setattr(
        ended_runs, "observations", lambda _, run, __: looked_at.append(run.run_id) or []
    )
    for _ in range(5):
        fail(watch.orchestra)
    for _ in range(4):
        watch.tick()

    assert len(looked_at) == 5
    assert set(looked_at) == {run.run_id for run in watch.orchestra.instance.get_runs()}


@pytest.mark.long
def test_run_that_dagster_starts_again_by_itself_is_not_sent(watch: Watch, inbox: Inbox) -> None:
    fail(watch.orchestra)
    [run] = watch.orchestra.instance.get_runs()
    watch.orchestra.instance.add_run_tags(run.run_id, {ended_runs.WILL_RETRY_TAG: "true"})
    watch.tick()

    assert inbox.take() == []


@pytest.mark.long
def test_failure_of_a_run_within_a_run_is_one_mail(
    watch: Watch, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra = watch.orchestra
    monkeypatch.setenv(settings.QUARANTINE_LIMIT, "0")
    orchestra.platform.application.execute(BAD_ORDER)
    with pytest.raises(RunFailedError) as error:
        run_path(orchestra.instance, defs.resolve_job_def, SourceDatabase(), Lake(), Warehouse())

    @dg.op
    def outer() -> None:
        raise dg.Failure(str(error.value))

    @dg.job
    def whole() -> None:
        outer()

    whole.execute_in_process(instance=orchestra.instance, raise_on_error=False)
    watch.tick_until_told()

    [(subject, _)] = inbox.take()
    assert subject.startswith("[totesys_dagster] batch ")


# Checks


def test_damage_of_the_lake_is_sent_in_the_words_of_the_check_and_so_is_its_mending(
    watch: Watch, inbox: Inbox
) -> None:
    orchestra = watch.orchestra
    manifest = orchestra.platform.capture()
    assert manifest is not None
    store, key = orchestra.platform.ingestion, manifest.tables["staff"].objects[0].key
    with damage(store, key, None):
        orchestra.verify()
        watch.tick()
    [(subject, text)] = inbox.take()
    assert subject == "[totesys_dagster] verify_lake failed"
    assert f"{store.uri(key)} does not exist" in text

    orchestra.verify()
    watch.tick()
    assert [subject for subject, _ in inbox.take()] == [
        "[totesys_dagster] resolved: verify_lake failed"
    ]


def test_quarantined_rows_are_sent_once_and_resolved_when_they_are_mended(
    watch: Watch, inbox: Inbox
) -> None:
    orchestra = watch.orchestra
    orchestra.first()
    orchestra.platform.application.execute(BAD_ORDER)
    load(orchestra)
    watch.tick_until_told()
    [(subject, text)] = inbox.take()
    assert subject == "[totesys_dagster] rows are in quarantine"
    assert "fact_sales_order: 1 row in quarantine for breaking the contract.\n" in text
    assert "2022-13-45" not in text

    orchestra.platform.application.execute(
        "UPDATE sales_order SET agreed_delivery_date = '2022-14-45' WHERE sales_order_id = 1"
    )
    load(orchestra)
    watch.tick()
    assert inbox.take() == []

    orchestra.platform.application.execute(GOOD_ORDER)
    load(orchestra)
    watch.tick()
    [(subject, text)] = inbox.take()
    assert subject == "[totesys_dagster] resolved: rows are in quarantine"
    assert text.startswith("The warehouse equals the source again.")


@pytest.mark.long
def test_warehouse_that_differs_from_the_source_is_sent_until_it_is_equal(
    watch: Watch, inbox: Inbox
) -> None:
    orchestra = watch.orchestra
    orchestra.first()
    orchestra.platform.warehouse.execute(
        "UPDATE warehouse.dim_staff SET last_name = 'Geheim' WHERE staff_id = 1"
    )
    orchestra.platform.application.execute("UPDATE staff SET first_name = 'Ann' WHERE staff_id = 2")
    load(orchestra)
    watch.tick()
    [(subject, text)] = inbox.take()
    assert subject == "[totesys_dagster] the warehouse differs from the source"
    assert text.startswith(
        "dim_staff: The warehouse differs from the source: a full read has been requested."
    )
    assert "Geheim" not in text

    load(orchestra)
    watch.tick()
    assert [subject for subject, _ in inbox.take()] == [
        "[totesys_dagster] resolved: the warehouse differs from the source"
    ]


@pytest.mark.long
def test_difference_that_an_audit_finds_is_sent_until_an_audit_finds_none(
    watch: Watch, inbox: Inbox
) -> None:
    """No batch is due: the calendar is of no source table."""
    orchestra = watch.orchestra
    orchestra.first()
    said = []
    for quarter in (3, 3, 4, 4):
        orchestra.platform.warehouse.execute(
            "UPDATE warehouse.dim_date SET quarter = %s WHERE date_id = '2022-11-04'", [quarter]
        )
        result = defs.resolve_job_def("audit").execute_in_process(instance=orchestra.instance)
        assert len(result.get_asset_check_evaluations()) == len(STAR_TABLES)
        watch.tick()
        said.append([subject for subject, _ in inbox.take()])

    assert said == [
        ["[totesys_dagster] the warehouse differs from the source"],
        [],
        ["[totesys_dagster] resolved: the warehouse differs from the source"],
        [],
    ]


@pytest.mark.long
def test_source_whose_tables_change_is_sent_once(watch: Watch, inbox: Inbox) -> None:
    application = watch.orchestra.platform.application
    application.execute("ALTER TABLE design ADD colour text")
    load(watch.orchestra)
    watch.tick_until_told()
    [(subject, text)] = inbox.take()
    assert subject == "[totesys_dagster] the source's tables have changed"
    assert text.startswith("design: ")
    application.execute(EDIT_ORDER_1)
    load(watch.orchestra)
    watch.tick()
    assert inbox.take() == []

    application.execute("ALTER TABLE design DROP colour")
    load(watch.orchestra)
    watch.tick()
    assert len(inbox.take()) == 1


@pytest.mark.long
def test_old_batch_that_a_person_repeats_says_nothing_of_the_present(
    watch: Watch, inbox: Inbox
) -> None:
    orchestra = watch.orchestra
    orchestra.platform.application.execute(BAD_ORDER)
    load(orchestra)
    orchestra.platform.application.execute(GOOD_ORDER)
    load(orchestra)
    watch.tick()
    defs.resolve_job_def("process").execute_in_process(
        instance=orchestra.instance, partition_key=orchestra.partitions()[0]
    )
    watch.tick()

    assert inbox.take() == []


def test_run_that_a_person_has_launched_is_no_incident(watch: Watch, inbox: Inbox) -> None:
    for tag in ("dagster/from_ui", "dagster/backfill"):
        fail(watch.orchestra, {tag: "x"})
    watch.tick()

    assert inbox.take() == []


def test_changed_table_is_called_so(watch: Watch, inbox: Inbox) -> None:
    watch.orchestra.platform.application.execute("DROP TABLE payment CASCADE")
    watch.tick()

    [(subject, text)] = inbox.take()
    assert subject == "[totesys_dagster] the source's tables have changed, and nothing is captured"
    assert "payment" in text


# Systems


@pytest.mark.long
@pytest.mark.parametrize(
    ("setting", "value", "system"),
    [
        (settings.SOURCE_DSN, UNREACHABLE, "source"),
        (settings.WAREHOUSE_DSN, UNREACHABLE, "warehouse"),
        (settings.INGESTION_URL, "/proc/nowhere", "lake"),
        (settings.PROCESSED_URL, "/proc/nowhere", "lake"),
    ],
)
def test_system_out_of_reach_is_sent_once_and_so_is_its_return(
    setting: str, value: str, system: str, watch: Watch, inbox: Inbox,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    with monkeypatch.context() as patch:
        patch.setenv(setting, value)
        for _ in range(3):
            assert f"Open incidents: the {system} cannot be read." in watch.tick()
            watch.let_pass(minutes=1)
    [(subject, text)] = inbox.take()
    assert subject == f"[totesys_dagster] the {system} cannot be read"
    assert setting in text
    assert "hidden" not in text

    assert watch.tick() == "Nothing is wrong."
    watch.tick()
    [(subject, text)] = inbox.take()
    assert subject == f"[totesys_dagster] resolved: the {system} cannot be read"
    assert text.startswith(f"The {system} can be read again.")


@pytest.mark.long
def test_run_that_found_a_system_down_is_not_sent_besides(
    watch: Watch, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra = watch.orchestra
    orchestra.platform.capture()
    answer = orchestra.tick("new_batches")
    assert not isinstance(answer, str)
    monkeypatch.setenv(settings.WAREHOUSE_DSN, UNREACHABLE)
    for request in answer.run_requests or []:
        assert not orchestra.run(request).success
    watch.tick_until_told()

    assert [subject for subject, _ in inbox.take()] == [
        "[totesys_dagster] the warehouse cannot be read"
    ]


def test_warehouse_of_another_lake_is_sent(
    watch: Watch, inbox: Inbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    watch.orchestra.first()
    monkeypatch.setenv(settings.INGESTION_URL, str(tmp_path / "other"))
    watch.tick()

    [(_, text)] = inbox.take()
    assert text.startswith("The warehouse holds 1 batch, but the lake at")


# Freshness


@pytest.mark.long
def test_batch_that_waits_too_long_is_sent_until_one_is_loaded(watch: Watch, inbox: Inbox) -> None:
    watch.orchestra.platform.capture()
    batch = batch_key(1)
    watch.tick()
    watch.let_pass(minutes=14)
    watch.tick()
    assert inbox.take() == []

    watch.let_pass(minutes=1)
    watch.tick()
    watch.tick()
    [(subject, text)] = inbox.take()
    assert subject == "[totesys_dagster] the warehouse is behind"
    assert text.startswith(
        f"No batch has been loaded for 15 minutes, though batch {batch} is committed to the lake"
        " (1 wait)."
    )

    watch.orchestra.tick_and_run("new_batches")
    watch.tick()
    assert [subject for subject, _ in inbox.take()] == [
        "[totesys_dagster] resolved: the warehouse is behind"
    ]


@pytest.mark.long
def test_changes_that_wait_too_long_are_sent(
    watch: Watch, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.FRESHNESS_MINUTES, "3")
    load(watch.orchestra)
    watch.tick()
    watch.orchestra.platform.application.execute(EDIT_ORDER_1)
    watch.let_pass(minutes=60)
    watch.tick()
    watch.let_pass(minutes=3)
    watch.tick()

    [(_, text)] = inbox.take()
    assert text.startswith(
        "No batch has been loaded for 3 minutes, though the source has changes that no batch holds."
    )
    load(watch.orchestra)
    watch.tick()
    assert len(inbox.take()) == 1


def test_quiet_source_is_not_sent(watch: Watch, inbox: Inbox) -> None:
    watch.orchestra.first()
    for _ in range(3):
        watch.tick()
        watch.let_pass(minutes=60)

    assert inbox.take() == []


@pytest.mark.long
def test_loads_at_intervals_are_not_late_before_their_time(
    watch: Watch, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.LOAD_EVERY_SECONDS, "3600")
    watch.orchestra.tick_and_run("source_changes")
    watch.tick()
    watch.let_pass(minutes=70)
    watch.tick()
    assert inbox.take() == []

    watch.let_pass(minutes=6)
    watch.tick()
    assert len(inbox.take()) == 1


@pytest.mark.long
def test_outage_of_the_warehouse_does_not_count_as_a_wait(
    watch: Watch, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.orchestra.platform.capture()
    watch.tick()
    with monkeypatch.context() as patch:
        patch.setenv(settings.WAREHOUSE_DSN, UNREACHABLE)
        watch.tick()
        watch.let_pass(minutes=60)
        watch.tick()
    inbox.take()
    watch.tick()

    assert [subject for subject, _ in inbox.take()] == [
        "[totesys_dagster] resolved: the warehouse cannot be read"
    ]


def test_warehouse_that_is_behind_since_a_batch_fails_is_one_mail(
    watch: Watch, inbox: Inbox
) -> None:
    watch.orchestra.platform.capture()
    for _ in range(2):
        die(watch.orchestra, batch_key(1))
    watch.tick()
    watch.let_pass(minutes=60)
    watch.tick()

    assert [subject for subject, _ in inbox.take()] == [
        f"[totesys_dagster] batch {batch_key(1)} failed"
    ]


# A lost memory

LOST = "[totesys_dagster] Dagster's history was lost"


@pytest.mark.usefixtures("no_pause")
def test_what_is_wrong_when_the_memory_is_lost_is_sent_and_so_is_its_end(
    watch: Watch, inbox: Inbox
) -> None:
    orchestra = watch.orchestra
    orchestra.platform.application.execute(BAD_ORDER)
    load(orchestra)
    with dg.DagsterInstance.ephemeral() as anew:
        orchestra.instance, watch.cursor = anew, None
        watch.tick()
        [lost, (subject, text)] = inbox.take()
        assert lost[0] == LOST
        assert "Still wrong, with a message of its own: rows are in quarantine." in lost[1]
        assert subject == "[totesys_dagster] rows are in quarantine"
        assert text.startswith("fact_sales_order: 1 row in quarantine.\n")

        orchestra.platform.application.execute(GOOD_ORDER)
        load(orchestra)
        watch.tick()
        assert [subject for subject, _ in inbox.take()] == [
            "[totesys_dagster] resolved: rows are in quarantine"
        ]


@pytest.mark.long
def test_lost_memory_is_sent_though_the_history_has_returned_before_the_first_look(
    watch: Watch, inbox: Inbox
) -> None:
    orchestra = watch.orchestra
    orchestra.first()
    with dg.DagsterInstance.ephemeral() as anew:
        orchestra.instance, watch.cursor = anew, None
        [run] = orchestra.tick_and_run("new_batches")
        assert run.success
        watch.tick()
        watch.tick()

        [(subject, text)] = inbox.take()
        assert subject == LOST
        assert "No table is wrong." in text
        [section] = re.findall(r"^More: docs/operations\.md#(.*)$", text, re.MULTILINE)
        assert section in anchors(ROOT / "docs/operations.md")


def test_lost_memory_is_sent_when_the_warehouse_can_be_read(
    watch: Watch, inbox: Inbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch.orchestra.first()
    with dg.DagsterInstance.ephemeral() as anew:
        watch.orchestra.instance, watch.cursor = anew, None
        with monkeypatch.context() as patch:
            patch.setenv(settings.WAREHOUSE_DSN, UNREACHABLE)
            watch.tick()
        assert inbox.take() == []
        watch.tick()

    assert [subject for subject, _ in inbox.take()] == [LOST]


def test_alerts_that_are_turned_on_later_have_lost_nothing(watch: Watch, inbox: Inbox) -> None:
    load(watch.orchestra)
    watch.tick()

    assert inbox.take() == []


# Delivery


def test_without_settings_nothing_is_sent_and_it_says_so(watch: Watch) -> None:
    fail(watch.orchestra)

    assert watch.tick() == ALERTS_OFF
    assert watch.cursor is None


def test_mail_that_is_not_taken_is_sent_later(watch: Watch, inbox: Inbox) -> None:
    fail(watch.orchestra)
    inbox.refuses = True
    watch.tick()
    watch.let_pass(minutes=2)
    assert "did not take a mail" in watch.tick()
    assert "did not take a mail" in watch.tick()
    assert inbox.take() == []

    inbox.refuses = False
    watch.tick()
    watch.tick()
    assert len(inbox.take()) == 1


@pytest.mark.long
def test_cursor_of_an_older_version_is_no_obstacle(watch: Watch, inbox: Inbox) -> None:
    watch.cursor = "yesterday"
    fail(watch.orchestra)
    watch.tick_until_told()

    assert len(inbox.take()) == 1


@pytest.fixture
def topic(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], list[dict[str, str]]]]:
    """What was published to the topic that the settings name, on an emulator of Amazon SNS."""
    server = ThreadedMotoServer("127.0.0.1", 0)
    server.start()
    host, port = server.get_host_and_port()
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://{host}:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "test")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "test")
    monkeypatch.delenv("AWS_DEFAULT_REGION", raising=False)
    sns, sqs = (boto3.client(name, region_name="eu-west-2") for name in ("sns", "sqs"))
    arn = sns.create_topic(Name="alerts")["TopicArn"]
    queue = sqs.create_queue(QueueName="people")["QueueUrl"]
    sns.subscribe(
        TopicArn=arn, Protocol="sqs", Endpoint="arn:aws:sqs:eu-west-2:123456789012:people"
    )
    monkeypatch.setenv(settings.ALERT_TOPIC, arn)

    def published() -> list[dict[str, str]]:
        answer: Any = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10)
        return [json.loads(message["Body"]) for message in answer.get("Messages", [])]

    yield published
    # All emulators of a process share what they hold.
    urllib.request.urlopen(f"http://{host}:{port}/moto-api/reset", data=b"").close()
    server.stop()


def test_alert_is_published_to_a_topic(
    watch: Watch, topic: Callable[[], list[dict[str, str]]]
) -> None:
    fail(watch.orchestra)
    watch.tick_until_told()
    watch.tick()

    [message] = topic()
    assert message["Subject"] == "[totesys_dagster] capture of batch yesterday failed"
    assert "'yesterday' cannot be captured" in message["Message"]


@pytest.mark.long
def test_channel_that_fails_does_not_keep_the_other_from_telling(
    watch: Watch, inbox: Inbox, topic: Callable[[], list[dict[str, str]]]
) -> None:
    fail(watch.orchestra)
    inbox.refuses = True
    watch.tick_until_told()
    assert (len(topic()), len(inbox.take())) == (1, 0)

    inbox.refuses = False
    watch.tick()
    assert (len(topic()), len(inbox.take())) == (0, 1)


@pytest.mark.usefixtures("topic")
def test_topic_that_does_not_exist_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    arn = "arn:aws:sns:eu-west-2:123456789012:nowhere"
    monkeypatch.setenv(settings.ALERT_TOPIC, arn)

    with pytest.raises(NotSentError) as error:
        notify.publish("subject", "body")
    assert str(error.value) == (
        f"TOTESYS_ALERT_TOPIC ({arn}) did not take a message (NotFound): check the topic, and that"
        " the role may publish to it."
    )


def test_subject_of_any_name_can_be_sent(
    inbox: Inbox, topic: Callable[[], list[dict[str, str]]]
) -> None:
    subject = "[totesys_dagster] ö\nBcc: all@example.com " + "x" * 200
    for send in (notify.send_alert, notify.publish):
        send(subject, "body")

    assert inbox.mails[0]["Bcc"] is None
    [(mailed, _)] = inbox.take()
    assert mailed == subject.replace("\n", " ")
    [published] = topic()
    assert published["Subject"].startswith("[totesys_dagster] ? Bcc: all@example.com xxx")
    assert len(published["Subject"]) == 99


def test_password_is_not_sent_in_clear(inbox: Inbox, monkeypatch: pytest.MonkeyPatch) -> None:
    server = recipients.mail()
    assert server is not None
    monkeypatch.setenv(settings.SMTP_URL, f"smtp://ann:secret@127.0.0.1:{server.port}")

    with pytest.raises(NotSentError, match="offers no encryption, so the password was not sent"):
        notify.send_alert("subject", "body")
    assert inbox.mails == []


def test_mail_server_out_of_reach_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.SMTP_URL, "smtps://ann:secret@127.0.0.1:1")
    monkeypatch.setenv(settings.ALERT_FROM, "totesys@example.com")
    monkeypatch.setenv(settings.ALERT_TO, "ann@example.com")

    with pytest.raises(NotSentError, match=r"TOTESYS_SMTP_URL .* did not take a mail") as error:
        notify.send_alert("subject", "body")
    assert "secret" not in str(error.value)
