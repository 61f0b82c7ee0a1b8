"""A tick that ends with an answer is in the log; what goes wrong unforeseen is not."""

from __future__ import annotations

from typing import NoReturn

import pytest

from totesys_dagster import settings
from totesys_dagster.alerting import health
from totesys_dagster.alerting.incidents import AT_ONCE
from totesys_dagster.orchestration import life, sensors
from totesys_dagster_tests.edits import EDIT_ORDER_1
from totesys_dagster_tests.orchestra import Orchestra


@pytest.fixture
def ticks(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, object]]:
    """The fields of the lines that ticks log."""
    found: list[dict[str, object]] = []
    monkeypatch.setattr(
        life._log, "info", lambda event, extra: found.append({"event": event, **extra})
    )
    return found


def test_tick_is_logged_whether_there_is_business_or_not(
    orchestra: Orchestra, ticks: list[dict[str, object]]
) -> None:
    orchestra.first()
    orchestra.platform.application.execute(EDIT_ORDER_1)
    orchestra.tick_and_run("source_changes")
    orchestra.tick_and_run("source_changes")

    assert ticks == [{"event": "tick", "sensor": "source_changes"}] * 2


def test_tick_that_finds_the_source_out_of_reach_is_life(
    orchestra: Orchestra, ticks: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.SOURCE_DSN, "postgresql://nobody@127.0.0.1:1/nothing")
    said = orchestra.tick("source_changes")

    assert "127.0.0.1" in str(said)
    assert len(ticks) == 1


def test_tick_that_breaks_is_none(
    orchestra: Orchestra, ticks: list[dict[str, object]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> NoReturn:
        raise RuntimeError("a mistake in the code")

    monkeypatch.setattr(sensors, "_look", broken)
    with pytest.raises(Exception, match=r"source_changes|a mistake"):
        orchestra.tick("source_changes")

    assert ticks == []


@pytest.mark.parametrize("undelivered", [0, 1])
def test_alerts_say_how_many_messages_wait(
    orchestra: Orchestra,
    ticks: list[dict[str, object]],
    monkeypatch: pytest.MonkeyPatch,
    undelivered: int,
) -> None:
    monkeypatch.setenv(settings.SMTP_URL, "smtp://127.0.0.1:1")
    monkeypatch.setenv(settings.ALERT_FROM, "totesys@example.com")
    monkeypatch.setenv(settings.ALERT_TO, "ann@example.com")
    monkeypatch.setattr(health, "GRACE", AT_ONCE)
    if undelivered:
        monkeypatch.setenv(settings.WAREHOUSE_DSN, "postgresql://nobody@127.0.0.1:1/nothing")
    orchestra.tick("alerts")

    assert ticks == [{"event": "tick", "sensor": "alerts", "undelivered": undelivered}]
