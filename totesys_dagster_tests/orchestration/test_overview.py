"""The heartbeat says how the warehouse stands, when there is news and not else."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from totesys_dagster.lake.manifest import ManifestLog, batch_key
from totesys_dagster.metadata import asset_key
from totesys_dagster.orchestration import overview
from totesys_dagster.orchestration.heartbeat import last_of
from totesys_dagster.orchestration.overview import HEARTBEAT
from totesys_dagster.runs import history
from totesys_dagster.warehouse.reports import declared
from totesys_dagster.warehouse.standing import Audit, Standing
from totesys_dagster_tests.orchestra import Orchestra

LOG = asset_key("lake", "log")


@pytest.fixture
def begun(orchestra: Orchestra) -> Orchestra:
    orchestra.first()
    return orchestra


def report(orchestra: Orchestra, cursor: str | None = None) -> dict[dg.AssetKey, dict[str, object]]:
    """What a tick of the sensor materializes, stored as the daemon would; by asset."""
    answer = orchestra.tick("overview", cursor)
    if isinstance(answer, str):
        return {}
    for event in answer.asset_events:
        orchestra.instance.report_runless_asset_event(event)
    return {
        event.asset_key: {name: value.value for name, value in event.metadata.items()}
        for event in answer.asset_events
        if isinstance(event, dg.AssetMaterialization)
    }


def test_nothing_is_said_of_a_warehouse_without_a_batch(orchestra: Orchestra) -> None:
    assert report(orchestra) == {}


def test_heartbeat_has_a_line_for_each_table_and_numbers(begun: Orchestra) -> None:
    said = report(begun)[HEARTBEAT.key]

    text = str(said["overview"])
    assert "**The warehouse equals the source: every table is proved as of batch 1" in text
    assert "[fact_payment](/assets/warehouse/fact_payment) | 3 | 3 | 0 | equal | 1 |" in text
    assert (said["batch"], said["batches waiting"], said["in quarantine"]) == (1, 0, 0)
    assert float(str(said["seconds from snapshot to load"])) > 0
    assert not any(value in ("", None) for value in said.values())


def test_heartbeat_is_as_old_as_the_oldest_comparison(begun: Orchestra) -> None:
    said = report(begun)[HEARTBEAT.key]

    observed = ManifestLog(begun.platform.ingestion).read(1).observed_at
    assert dt.datetime.fromtimestamp(float(str(said["fresh as of"])), dt.UTC) == observed


def test_check_of_the_heartbeat_is_reported_with_it(begun: Orchestra) -> None:
    answer = begun.tick("overview")
    assert isinstance(answer, dg.SensorResult)
    [check] = [one for one in answer.asset_events if isinstance(one, dg.AssetCheckEvaluation)]

    assert (check.asset_key, check.check_name, check.passed) == (HEARTBEAT.key, "equal", True)


def test_without_news_nothing_is_reported(begun: Orchestra) -> None:
    report(begun)
    cursor = begun.tick_cursor("overview")

    assert report(begun, cursor) == {}


def test_lake_reports_head_batches_and_bytes(begun: Orchestra) -> None:
    said = report(begun)[LOG]

    manifest = ManifestLog(begun.platform.ingestion).read(1)
    assert (said["head"], said["batches"]) == (batch_key(1), 1)
    assert said["bytes captured"] == manifest.bytes > 1000
    assert said["last verification"] == "not yet: launch `verify_lake`"


def test_lake_remembers_its_last_verification(begun: Orchestra) -> None:
    assert begun.verify().success
    verified = last_of(begun.instance, LOG)
    said = report(begun)[LOG]

    assert verified is not None
    assert said["last verification"] == verified.metadata["last verification"].value
    assert "1 batch, " in str(said["last verification"])
    assert str(said["last verification"]).endswith("all as written")


def test_reports_are_reported_once(begun: Orchestra) -> None:
    first = report(begun)
    assert {key.path[-1] for key in first if key.path[0] == "reports"} == {
        one.name for one in declared()
    }
    cursor = begun.tick_cursor("overview")
    begun.instance.wipe_assets([HEARTBEAT.key])
    assert {*report(begun, cursor)} == {HEARTBEAT.key, LOG}


def audit(at: int, *, equal: bool = True, without: bool | None = None) -> Audit:
    moment = dt.datetime(2026, 11, 23, 9, at, tzinfo=dt.UTC)
    return Audit(
        1, "fact_payment", "whole", 0, moment, full_read=False, expected_rows=3,
        found_rows=3, equal=equal, quarantined=0 if equal else 1, equal_without=without,
    )  # fmt: skip


def stored(standing: dict[str, Standing]) -> dg.AssetMaterialization:
    moment = overview.moment(standing)
    assert moment is not None
    metadata = {
        "fresh as of": dg.MetadataValue.timestamp(moment),
        "states": overview.states(standing),
    }
    return dg.AssetMaterialization(HEARTBEAT.key, metadata=metadata)


@pytest.mark.parametrize(
    ("now", "due"),
    [
        (Standing(audit(4), None), False),
        (Standing(audit(5), None), True),
        (Standing(audit(1, equal=False), None), True),
        (Standing(audit(1, equal=False, without=True), None), True),
        (Standing(None, None), False),
    ],
    ids=["soon", "later", "differs", "quarantine", "not compared"],
)
def test_news_is_another_state_or_five_minutes(now: Standing, due: bool) -> None:
    before = stored({"fact_payment": Standing(audit(0), None)})

    assert overview.is_due(before, {"fact_payment": now}) is due


def test_state_tells_quarantine_from_difference() -> None:
    found = {
        "a": Standing(audit(0), None),
        "b": Standing(audit(0, equal=False, without=True), None),
        "c": Standing(audit(0, equal=False, without=False), None),
        "d": Standing(None, None),
    }
    assert overview.states(found) == (
        "1 differs, 1 equal, 1 equal but for quarantine, 1 not compared"
    )
    assert overview.verdict(found)["description"] == "b, c: not equal."


def test_old_reports_leave_and_the_last_of_each_stays(begun: Orchestra) -> None:
    for batch in (1, 2, 3):
        one = dg.AssetMaterialization(HEARTBEAT.key, metadata={"batch": batch})
        begun.instance.report_runless_asset_event(one)
        begun.instance.report_runless_asset_event(dg.AssetMaterialization(LOG))
    later = dt.datetime.now(dt.UTC) + dt.timedelta(days=1)
    history.delete_reported(begun.instance, [HEARTBEAT.key], later - dt.timedelta(days=2))
    assert len(begun.instance.fetch_materializations(HEARTBEAT.key, limit=9).records) == 3

    history.delete_reported(begun.instance, [HEARTBEAT.key], later)

    [stays] = begun.instance.fetch_materializations(HEARTBEAT.key, limit=9).records
    assert stays.asset_materialization is not None
    assert stays.asset_materialization.metadata["batch"].value == 3
    assert len(begun.instance.fetch_materializations(LOG, limit=9).records) == 3
