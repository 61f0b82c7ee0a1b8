"""What `totesys status` says of the source: briefly, and whatever is wrong there."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import closing

import psycopg
import pytest

from totesys_dagster import settings
from totesys_dagster.operations.source_look import SourceLook, start
from totesys_dagster.resources import Lake, SourceDatabase
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1

LONG, SHORT = 30, 0.5


def look(seconds: float = LONG) -> SourceLook:
    return start(SourceDatabase(), Lake(), seconds)()


def test_quiet_source_has_nothing_waiting(platform: Platform) -> None:
    platform.first()

    assert look() == SourceLook(answers=True, waiting=[])
    assert look().sentence(Lake().log().head()) == (
        "The source answers, and nothing is waiting there."
    )


def test_changes_are_named_and_have_a_limit_of_age(platform: Platform) -> None:
    platform.first()
    platform.application.execute(EDIT_ORDER_1)
    found, head = look(), Lake().log().head()
    assert head is not None

    assert found.waiting == ["sales_order"]
    assert found.data(head)["newer_than"] == head.observed_at.isoformat()
    assert "changes in sales_order are waiting for the next batch" in found.sentence(head)


def test_source_before_the_first_batch_is_all_new(platform: Platform) -> None:
    platform.make()

    assert "first batch will read all" in look().sentence(None)


@pytest.mark.usefixtures("platform")
def test_source_that_refuses_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.SOURCE_DSN, "postgresql://nobody:hidden@127.0.0.1:1/nothing")
    found = look()

    assert not found.answers
    assert "Connection refused" in found.sentence(None)
    assert "hidden" not in found.sentence(None)


@pytest.fixture
def mute_server() -> Iterator[int]:
    """A port where connections are accepted, and nobody ever says anything."""
    with closing(socket.create_server(("127.0.0.1", 0))) as server:
        yield server.getsockname()[1]


@pytest.mark.usefixtures("platform")
def test_mute_source_is_not_waited_for(mute_server: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.SOURCE_DSN, f"postgresql://nobody@127.0.0.1:{mute_server}/x")
    begun = time.monotonic()
    found = look(SHORT)

    assert time.monotonic() - begun < SHORT + 2
    assert found == SourceLook(wrong="it does not answer within 0.5 seconds.")


def test_locked_table_is_not_waited_for(platform: Platform) -> None:
    platform.first()
    with psycopg.connect(
        platform.application.info.dsn, password=platform.application.info.password
    ) as other:
        other.execute("LOCK TABLE staff IN ACCESS EXCLUSIVE MODE")
        found = look(2.0)

    assert found.answers
    assert found.wrong == "it answers, but too slowly to be looked at within 2 seconds."


@pytest.mark.usefixtures("platform")
def test_unexpected_failure_is_no_failure_of_the_report(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("totesys_dagster.operations.source_look.poll", fails)

    assert look() == SourceLook(answers=True, wrong="ZeroDivisionError.")
