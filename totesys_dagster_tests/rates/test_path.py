"""Days through the job of Dagster: asked for, judged, loaded, and an outage carried."""

from __future__ import annotations

import datetime as dt

import dagster as dg
import pytest

from totesys_dagster import settings
from totesys_dagster.definitions import defs
from totesys_dagster.orchestration.rates import bring_rates, range_tags
from totesys_dagster.resources import Lake, Warehouse
from totesys_dagster.runs.tags import RATES_STAGE, STAGE_TAG
from totesys_dagster_tests.orchestra import Orchestra, damage
from totesys_dagster_tests.rates.conftest import Service, body, dollars, history, use_history

# A Saturday; by the bank, the pound had 1.2 euros and 1.29 dollars then.
FIRST, LAST = dt.date(2024, 11, 9), dt.date(2024, 11, 13)


def ask(orchestra: Orchestra, first: dt.date, last: dt.date) -> dg.ExecuteInProcessResult:
    return defs.resolve_job_def("exchange_rates").execute_in_process(
        instance=orchestra.instance, tags=range_tags(first, last), raise_on_error=False
    )


def checks(result: dg.ExecuteInProcessResult) -> dict[str, bool]:
    return {check.check_name: check.passed for check in result.get_asset_check_evaluations()}


@pytest.mark.usefixtures("bank")
def test_range_from_a_weekend_on_is_one_run_and_what_is_wrong_has_the_banks_rate(
    orchestra: Orchestra, service: Service
) -> None:
    service.bodies = {
        "2024-11-09": body("2024-11-09", 1.2, 1.29),
        "2024-11-10": body("2024-11-10", 1 / 1.2, 1 / 1.29),
        "2024-11-11": body("2024-11-11", 1.21, 1.288),
        "2024-11-12": body("2024-11-12", 1.08, 1.16),
    }
    result = ask(orchestra, FIRST, LAST)

    assert result.success
    assert checks(result) == {"quoted": False, "contract": False, "audit": True, "sources": True}
    assert dollars(orchestra.platform, "2024-11-09", "2024-11-13") == [
        ("09", "fawazahmed0", 0),
        ("10", "ECB", 2),
        ("11", "fawazahmed0", 0),
        ("12", "ECB", 0),
        ("13", "ECB", 0),
    ]

    # An hour later, two days have come that were missing or wrong.
    service.asked.clear()
    service.bodies |= {day: body(day, 1.205, 1.285) for day in ("2024-11-12", "2024-11-13")}
    assert ask(orchestra, FIRST, LAST).success

    assert service.asked == ["2024-11-10", "2024-11-12", "2024-11-13"]
    assert dollars(orchestra.platform, "2024-11-11", "2024-11-13", "fact_exchange_rate") == [
        ("11", "ECB", 0),
        ("11", "fawazahmed0", 0),
        ("12", "ECB", 0),
        ("12", "fawazahmed0", 0),
        ("13", "ECB", 0),
        ("13", "fawazahmed0", 0),
    ]


@pytest.mark.usefixtures("nobody")
def test_outage_of_eight_days_is_carried_for_seven_and_fails_no_run(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    use_history(monkeypatch, history("2024-11-08,1.0666,0.83"))
    result = ask(orchestra, FIRST, dt.date(2024, 11, 16))

    assert result.success
    assert checks(result)["quoted"] is False
    assert dollars(orchestra.platform, "2024-11-08", "2024-11-16") == [
        *((f"{8 + days:02}", "ECB", days) for days in range(8)),
        ("16", None, None),
    ]


@pytest.mark.long
@pytest.mark.usefixtures("bank", "nobody")
def test_trouble_with_rates_is_a_sentence_and_batches_go_on(
    orchestra: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    lake, warehouse = Lake(), Warehouse()

    def bring() -> str | None:
        return bring_rates(orchestra.instance, defs.resolve_job_def, lake, warehouse)

    run = dg.DagsterRun(
        "exchange_rates", status=dg.DagsterRunStatus.STARTED, tags={STAGE_TAG: RATES_STAGE}
    )
    orchestra.instance.add_run(run)  # for which no batch waits

    assert bring() is None
    with damage(lake.ingestion(), "deliveries/exchange_rate/0000000001.json", b"{}"):
        assert str(bring()).startswith("Exchange rates were not loaded: ")
        [captured] = orchestra.tick_and_run("source_changes")
    assert captured.success
    monkeypatch.setenv(settings.REPORTING_CURRENCY, "XXX")
    assert "must be one of GBP, EUR, USD" in str(bring())
