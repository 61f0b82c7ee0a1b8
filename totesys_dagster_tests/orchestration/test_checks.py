"""The verification of the lake in Dagster: as a check, by a schedule, and never with a batch."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest

from totesys_dagster import settings
from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES
from totesys_dagster.definitions import defs
from totesys_dagster.errors import SettingError
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.metadata import asset_key
from totesys_dagster.orchestration import schedules
from totesys_dagster_tests.edits import EDIT_ORDER_1
from totesys_dagster_tests.orchestra import Orchestra, damage

CHECK = dg.AssetCheckKey(asset_key("lake", "log"), "verified")


@pytest.fixture
def settled(orchestra: Orchestra) -> Orchestra:
    """Two batches in the warehouse."""
    orchestra.first()
    orchestra.platform.application.execute(EDIT_ORDER_1)
    orchestra.platform.run()
    return orchestra


def batch(orchestra: Orchestra, sequence: int) -> Manifest:
    return ManifestLog(orchestra.platform.ingestion).read(sequence)


def outcome(result: dg.ExecuteInProcessResult) -> dg.AssetCheckEvaluation:
    """The one check that a run evaluated."""
    [found] = result.get_asset_check_evaluations()
    assert found.asset_check_key == CHECK
    return found


def test_sound_lake_passes_and_tells_what_was_read(settled: Orchestra) -> None:
    result = settled.verify()
    found = outcome(result)
    figures = {name: value.value for name, value in found.metadata.items()}

    assert result.success
    assert found.passed
    assert found.description is None
    assert (figures["batches"], figures["audits"]) == (2, len(STAR_TABLES))
    assert "findings" not in figures
    assert int(str(figures["objects"])) > 30
    assert int(str(figures["bytes"])) > 10_000
    assert 0 < float(str(figures["seconds"])) < 60


def test_damage_fails_the_check_and_the_run_and_the_first_is_named(settled: Orchestra) -> None:
    store = settled.platform.ingestion
    first = batch(settled, 1).tables["staff"].objects[0].key
    second = batch(settled, 2).tables["sales_order"].objects[0].key
    with damage(store, first, b"damaged"), damage(store, second, None):
        result = settled.verify()
    found = outcome(result)

    assert not result.success
    assert not found.passed
    assert found.severity == dg.AssetCheckSeverity.ERROR
    assert found.description is not None
    assert found.description.startswith(f"{store.uri(first)} does not have the SHA-256")
    assert found.description.endswith("(1 more finding)")
    assert store.uri(second) in str(found.metadata["findings"].value)


def test_lake_that_cannot_be_reached_fails_the_run_and_says_nothing_of_the_lake(
    settled: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.INGESTION_URL, "/dev/null")
    result = settled.verify()

    assert not result.success
    assert result.get_asset_check_evaluations() == []


@pytest.mark.long
def test_no_run_of_a_batch_verifies_the_lake(orchestra: Orchestra) -> None:
    """A run brings in all checks of the assets that it selects, whoever asks for it."""
    runs = orchestra.tick_and_run("source_changes")
    checks = {c.asset_check_key for run in runs for c in run.get_asset_check_evaluations()}

    assert len(checks) == len(SOURCE_TABLES) + 2 * len(STAR_TABLES)
    assert CHECK not in checks
    for name in ("capture", "process", "load_warehouse", "batch"):
        assert CHECK not in defs.resolve_job_def(name).asset_layer.asset_graph.asset_check_keys


# The schedule


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """An instance on disk: a schedule opens the instance by itself."""
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield instance


def tick(instance: dg.DagsterInstance) -> dg.RunRequest | str:
    """What the schedule answers."""
    schedule = defs.resolve_schedule_def("verification")
    data = schedule.evaluate_tick(dg.build_schedule_context(instance=instance))
    return data.run_requests[0] if data.run_requests else str(data.skip_message)


def test_lake_is_verified_once_a_day(instance: dg.DagsterInstance) -> None:
    schedule = defs.resolve_schedule_def("verification")
    request = tick(instance)
    assert isinstance(request, dg.RunRequest)

    assert schedule.cron_schedule == "30 3 * * *"
    assert schedule.job_name == "verify_lake"
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert defs.resolve_job_def("verify_lake").tags["totesys/stage"] == "verify"


def test_verification_does_not_start_while_one_is_under_way(instance: dg.DagsterInstance) -> None:
    instance.create_run_for_job(
        defs.resolve_job_def("verify_lake"),
        status=dg.DagsterRunStatus.STARTED,
        tags={"totesys/stage": "verify"},
    )

    assert tick(instance) == "The lake is already being verified."


@pytest.mark.long
def test_verification_does_not_hold_up_the_batches(settled: Orchestra) -> None:
    settled.instance.create_run_for_job(
        defs.resolve_job_def("verify_lake"),
        status=dg.DagsterRunStatus.STARTED,
        tags={"totesys/stage": "verify"},
    )
    settled.platform.application.execute(EDIT_ORDER_1.replace("Silver", "Gold"))

    assert [run.success for run in settled.tick_and_run("source_changes")] == [True]
    assert settled.platform.rows("SELECT max(sequence) FROM batch") == [(3,)]


def test_time_can_be_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.VERIFY_SCHEDULE, "0 4 * * 0")
    [weekly, *others] = schedules.schedules()
    assert weekly.cron_schedule == "0 4 * * 0"

    monkeypatch.setenv(settings.VERIFY_SCHEDULE, "off")
    assert schedules.schedules() == others


@pytest.mark.parametrize("wrong", ["daily at three", "30 3 * *", "99 3 * * *", "0 0 30 2 *"])
def test_time_that_is_none_is_one_sentence(wrong: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.VERIFY_SCHEDULE, wrong)

    with pytest.raises(SettingError, match=r"TOTESYS_VERIFY_SCHEDULE is .* a cron expression"):
        schedules.schedules()


# Checks that a person executes alone


def execute(orchestra: Orchestra, *key: str, check: str) -> dg.ExecuteInProcessResult:
    """*Execute* on a check: a run of nothing else, and of no batch."""
    one = dg.AssetCheckKey(asset_key(*key), check)
    job = defs.resolve_implicit_global_asset_job_def().get_subset(
        asset_selection=set(), asset_check_selection={one}
    )
    return job.execute_in_process(instance=orchestra.instance, raise_on_error=False)


def verdicts(result: dg.ExecuteInProcessResult) -> list[tuple[str, str, bool]]:
    return [
        (one.asset_key.to_user_string(), one.check_name, one.passed)
        for one in result.get_asset_check_evaluations()
    ]


def test_schema_is_checked_alone_in_the_source_as_it_is_now(settled: Orchestra) -> None:
    settled.platform.application.execute("ALTER TABLE staff ADD grade text")
    result = execute(settled, "ingestion", "staff", check="schema")

    assert result.success
    assert verdicts(result) == [("ingestion/staff", "schema", False)]
    assert result.get_asset_check_evaluations()[0].description == (
        "grade text is new (archived, not processed)"
    )
    assert ManifestLog(settled.platform.ingestion).end() == 2


def test_contract_is_checked_alone_for_the_last_batch_of_its_table(orchestra: Orchestra) -> None:
    orchestra.platform.application.execute(
        "UPDATE sales_order SET agreed_delivery_date = '2022-13-45' WHERE sales_order_id = 1"
    )
    orchestra.tick_and_run("source_changes")
    for star, passed in (("fact_sales_order", False), ("dim_date", True), ("dim_staff", True)):
        result = execute(orchestra, "processed", star, check="contract")
        assert result.success
        assert verdicts(result) == [(f"processed/{star}", "contract", passed)]


def test_contract_of_a_table_without_a_batch_says_so(settled: Orchestra) -> None:
    """Dagster's history is empty."""
    result = execute(settled, "processed", "dim_staff", check="contract")

    assert result.success
    assert verdicts(result) == []


def test_audit_is_shown_alone(settled: Orchestra) -> None:
    result = execute(settled, "warehouse", "dim_staff", check="audit")

    assert result.success
    assert verdicts(result) == [("warehouse/dim_staff", "audit", True)]
