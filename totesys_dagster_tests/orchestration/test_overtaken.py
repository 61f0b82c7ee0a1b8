"""Captures that another one overtakes: nothing is lost, and nobody is woken for it."""

from __future__ import annotations

from typing import Any

import dagster as dg
import pytest

from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES
from totesys_dagster.definitions import defs
from totesys_dagster.ingestion import assets
from totesys_dagster.ingestion.capture import Capture
from totesys_dagster.lake.manifest import ManifestLog, batch_key
from totesys_dagster.metadata import BATCH_TAG, asset_key
from totesys_dagster.orchestration.whole_path import ATTEMPTS, BatchReport, RunFailedError, run_path
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.runs.unfinished import PARTITION_TAG
from totesys_dagster_tests.edits import EDIT_ORDER_1, EDIT_ORDER_1_BACK
from totesys_dagster_tests.landing import by_night
from totesys_dagster_tests.orchestra import Orchestra

FIRST, SECOND = batch_key(1), batch_key(2)


def capture(orchestra: Orchestra, batch: str, tags: dict[str, str]) -> dg.ExecuteInProcessResult:
    orchestra.instance.add_dynamic_partitions("batch", [batch])
    return orchestra.run(dg.RunRequest(partition_key=batch, tags=tags), "capture")


def overtake(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch, *, times: int, edit: bool = False
) -> None:
    """Let another capture commit its batch just before this one does; `edit` gives it a change."""
    commit = Capture.commit
    left = [EDIT_ORDER_1, EDIT_ORDER_1_BACK] * times
    del left[times:]

    def late(self: Capture) -> Any:
        if left:
            statement = left.pop()
            monkeypatch.setattr(Capture, "commit", commit)
            assert orchestra.platform.capture() is not None
            monkeypatch.setattr(Capture, "commit", late)
            if edit:
                orchestra.platform.application.execute(statement)
        return commit(self)

    monkeypatch.setattr(Capture, "commit", late)


def statuses(orchestra: Orchestra) -> set[dg.DagsterRunStatus]:
    return {record.dagster_run.status for record in orchestra.instance.get_run_records()}


@pytest.mark.long
def test_capture_of_a_sensor_that_comes_late_ends_quietly(orchestra: Orchestra) -> None:
    """Both daemons have asked for it; it is the slower one's run."""
    orchestra.platform.first()
    result = capture(orchestra, FIRST, {BATCH_TAG: FIRST})

    assert result.success
    assert result.get_asset_materialization_events() == []
    assert orchestra.partitions() == [FIRST]


def test_capture_of_a_sensor_that_is_overtaken_ends_quietly(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    overtake(orchestra, monkeypatch, times=1)
    result = capture(orchestra, FIRST, {BATCH_TAG: FIRST})

    assert result.success
    assert ManifestLog(orchestra.platform.ingestion).read(1).run_id == "test"


@pytest.mark.parametrize("again", by_night(["another run", "this run"], but=[0]))
def test_key_is_left_to_another_process_that_may_capture_under_it(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch, again: str
) -> None:
    """A second daemon opened the same batch in the same second, or launched the same run."""
    orchestra.platform.first()
    if again == "another run":
        orchestra.instance.create_run_for_job(
            defs.resolve_job_def("capture"),
            status=dg.DagsterRunStatus.STARTED,
            tags={PARTITION_TAG: SECOND},
        )
    else:
        monkeypatch.setattr(assets, "launched_twice", lambda *_: True)
    result = capture(orchestra, SECOND, {BATCH_TAG: SECOND})

    assert result.success
    assert SECOND in orchestra.partitions()


@pytest.mark.parametrize("job", by_night(["capture", "batch"], but=[0]))
def test_person_who_asks_for_a_batch_that_exists_does_no_harm(
    orchestra: Orchestra, job: str, capfd: pytest.CaptureFixture[str]
) -> None:
    orchestra.platform.first()
    orchestra.instance.add_dynamic_partitions("batch", [FIRST])
    result = orchestra.run(dg.RunRequest(partition_key=FIRST), job)

    assert result.success
    assert result.get_asset_materialization_events() == []
    assert ManifestLog(orchestra.platform.ingestion).end() == 1
    assert "batches never change; capture the next one, 0000000002" in capfd.readouterr().err


@pytest.mark.long
@pytest.mark.parametrize("tag", ["dagster/from_ui", "dagster/backfill"])
def test_batch_that_is_launched_again_in_the_ui_is_materialized_as_it_is(
    orchestra: Orchestra, tag: str
) -> None:
    """A backfill counts a selected table that is not materialized as failed."""
    orchestra.tick_and_run("source_changes")
    orchestra.platform.application.execute(EDIT_ORDER_1)
    orchestra.tick_and_run("source_changes")
    batches = orchestra.partitions()
    for batch in batches:
        result = orchestra.run(dg.RunRequest(partition_key=batch, tags={tag: "x"}), "batch")
        assert result.success
        made = {event.asset_key for event in result.get_asset_materialization_events()}
        assert {asset_key("ingestion", name) for name in SOURCE_TABLES} <= made
        assert {asset_key("processed", name) for name in STAR_TABLES} <= made
        checked = [one.check_name for one in result.get_asset_check_evaluations()]
        assert checked.count("schema") == len(SOURCE_TABLES)
    assert ManifestLog(orchestra.platform.ingestion).end() == len(batches) == 2


def test_person_who_asks_for_a_batch_that_cannot_be_is_told(orchestra: Orchestra) -> None:
    orchestra.platform.first()
    result = capture(orchestra, batch_key(7), {})

    assert not result.success
    assert "batches are named by sequence, and the next one is 0000000002" in str(result.all_events)


def take(orchestra: Orchestra) -> list[BatchReport]:
    return run_path(orchestra.instance, defs.resolve_job_def, SourceDatabase(), Lake(), Warehouse())


def test_run_that_is_overtaken_goes_on_from_there(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    orchestra.first()
    orchestra.platform.application.execute("UPDATE design SET file_name = 'x' WHERE design_id = 1")
    overtake(orchestra, monkeypatch, times=1, edit=True)
    reports = take(orchestra)

    assert [report.manifest.run_id == "test" for report in reports] == [True, False]
    assert orchestra.platform.capture() is None
    assert statuses(orchestra) == {dg.DagsterRunStatus.SUCCESS}


@pytest.mark.long
def test_run_that_is_overtaken_again_and_again_says_so(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    overtake(orchestra, monkeypatch, times=ATTEMPTS, edit=True)

    with pytest.raises(RunFailedError, match="3 captures in a row committed no batch"):
        take(orchestra)
    assert orchestra.platform.rows("SELECT count(*) FROM batch") == [(ATTEMPTS,)]


@pytest.mark.long
def test_batch_that_two_add_at_once_is_added_once(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite's `add_dynamic_partitions` fails for the second of two processes."""
    orchestra.first()
    orchestra.platform.application.execute(EDIT_ORDER_1)
    add = orchestra.instance.add_dynamic_partitions

    def twice(name: str, keys: list[str]) -> None:
        add(name, keys)
        raise RuntimeError("UNIQUE constraint failed: dynamic_partitions")

    monkeypatch.setattr(orchestra.instance, "add_dynamic_partitions", twice)

    assert len(take(orchestra)) == 1
