"""When rates are asked for, and when people are told that none come."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from totesys_dagster import settings
from totesys_dagster.alerting import rates as alerting
from totesys_dagster.alerting.incidents import Incident, decide
from totesys_dagster.alerting.rates import Looked
from totesys_dagster.orchestration.rates import daily_exchange_rates, range_tags
from totesys_dagster.rates.receive import receive_history, receive_nothing
from totesys_dagster.resources import Lake, Warehouse
from totesys_dagster.runs.tags import RATES_STAGE, STAGE_TAG
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.landing import by_night
from totesys_dagster_tests.rates.conftest import NOON, body, history, load
from totesys_dagster_tests.rates.test_rates import receive_day

LONDON = ZoneInfo("Europe/London")


@pytest.fixture
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    """An instance on disk: a schedule opens the instance by itself."""
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("dagster"))) as instance:
        yield instance


def tick(instance: dg.DagsterInstance, at: dt.datetime) -> dict[str, str] | None:
    """The tags of the run that the schedule asks for, None where it skips."""
    with dg.build_schedule_context(instance=instance, scheduled_execution_time=at) as context:
        answer = daily_exchange_rates(context, lake=Lake(), warehouse=Warehouse())
    return dict(answer.tags) if isinstance(answer, dg.RunRequest) else None


def week(last: str) -> dict[str, str]:
    day = dt.date.fromisoformat(last)
    return range_tags(day - dt.timedelta(days=7), day)


@pytest.fixture
def rates(platform: Platform) -> Platform:
    """Rates up to 2024-11-15, of which the daily source has quoted the last one."""
    platform.first()
    receive_history(platform.ingestion, history("2024-11-14,1.0666,0.83"), NOON, "test")
    receive_day(platform, "2024-11-15", body("2024-11-15", 1.2, 1.29))
    load(platform)
    return platform


@pytest.mark.usefixtures("rates", "nobody")
def test_schedule_asks_for_a_week_until_the_day_is_quoted(instance: dg.DagsterInstance) -> None:
    at = dt.datetime(2024, 11, 15, 0, 20, tzinfo=dt.UTC)

    assert tick(instance, at) is None
    asked = tick(instance, at + dt.timedelta(days=1)) or {}
    assert asked.items() >= week("2024-11-16").items()


@pytest.mark.usefixtures("rates", "nobody")
def test_between_hours_only_the_first_rates_are_asked_for(instance: dg.DagsterInstance) -> None:
    assert tick(instance, dt.datetime(2024, 11, 16, 0, 25, tzinfo=dt.UTC)) is None


@pytest.mark.usefixtures("platform", "nobody")
def test_first_rates_do_not_wait_for_the_hour(instance: dg.DagsterInstance) -> None:
    asked = tick(instance, dt.datetime(2024, 11, 16, 0, 25, tzinfo=dt.UTC)) or {}
    assert asked.items() >= week("2024-11-16").items()


@pytest.mark.usefixtures("platform", "nobody")
@pytest.mark.parametrize(
    ("at", "today"),
    by_night(
        [
            # Clocks go forward in London at 01:00 UTC on the one day, and back on the other.
            (dt.datetime(2025, 3, 30, 0, 20, tzinfo=LONDON), "2025-03-30"),
            (dt.datetime(2025, 3, 31, 0, 20, tzinfo=LONDON), "2025-03-30"),
            (dt.datetime(2025, 10, 26, 0, 20, tzinfo=LONDON), "2025-10-25"),
            (dt.datetime(2025, 10, 26, 1, 20, tzinfo=LONDON, fold=1), "2025-10-26"),
        ],
        but=[0],
    ),
)
def test_day_is_that_of_utc_whatever_clocks_say(
    instance: dg.DagsterInstance, at: dt.datetime, today: str
) -> None:
    asked = tick(instance, at) or {}
    assert asked.items() >= week(today).items()


@pytest.mark.usefixtures("platform", "nobody")
def test_no_day_is_asked_for_from_before_the_source_began(instance: dg.DagsterInstance) -> None:
    asked = tick(instance, dt.datetime(2024, 3, 4, 0, 20, tzinfo=dt.UTC)) or {}
    expected = range_tags(dt.date(2024, 3, 2), dt.date(2024, 3, 4))
    assert asked.items() >= expected.items()


@pytest.mark.usefixtures("platform")
def test_where_nobody_is_asked_the_day_alone_comes(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.RATES_URL, "off")
    asked = tick(instance, dt.datetime(2024, 11, 16, 0, 20, tzinfo=dt.UTC)) or {}
    expected = range_tags(dt.date(2024, 11, 16), dt.date(2024, 11, 16))
    assert asked.items() >= expected.items()


@pytest.mark.usefixtures("platform", "nobody")
def test_two_runs_of_rates_are_not_at_work_at_once(instance: dg.DagsterInstance) -> None:
    run = dg.DagsterRun(
        "exchange_rates", status=dg.DagsterRunStatus.STARTED, tags={STAGE_TAG: RATES_STAGE}
    )
    instance.add_run(run)

    assert tick(instance, NOON) is None


@pytest.mark.usefixtures("platform", "nobody")
def test_one_alert_after_three_days_and_one_when_rates_come_again(rates: Platform) -> None:
    incidents: dict[str, Incident] = {}
    looked = Looked()
    sent: list[tuple[str, str]] = []

    def look_for(days: int, since: dt.datetime) -> None:
        nonlocal incidents, looked
        for hours in range(0, 24 * days, 6):
            now = since + dt.timedelta(hours=hours)
            looked, seen = alerting.look(Lake(), looked, now)
            incidents, messages = decide(incidents, seen, now)
            sent.extend((f"{now:%m-%d}", message.subject) for message in messages)

    day = dt.date(2024, 11, 16)
    look_for(5, NOON + dt.timedelta(days=1))
    [(when, subject)] = sent
    assert when == "11-18"
    assert "no exchange rates come" in subject
    receive_nothing(rates.ingestion, day, "nobody", NOON, "test")
    load(rates)
    look_for(3, NOON + dt.timedelta(days=6))
    assert len(sent) == 1
    receive_day(rates, "2024-11-24", body("2024-11-24", 1.2, 1.29))
    load(rates)
    look_for(2, NOON + dt.timedelta(days=9))

    assert [when for when, _ in sent] == ["11-18", "11-24"]


@pytest.mark.usefixtures("rates")
def test_nobody_is_told_where_nobody_is_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.RATES_URL, "off")
    _, seen = alerting.look(Lake(), Looked(), NOON + dt.timedelta(days=30))

    assert decide({}, seen, NOON) == ({}, [])
