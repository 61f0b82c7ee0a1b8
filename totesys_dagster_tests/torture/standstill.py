"""What stands still and does not go on by itself, beside a platform that must not wait for ever."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

import pytest

from totesys_dagster.errors import TotesysError
from totesys_dagster.postgres import patience
from totesys_dagster.postgres import sessions as postgres
from totesys_dagster_tests.conftest import Platform

# In place of seconds and minutes, so that a wait without a limit shows soon.
LOCK_TIMEOUT = "lock_timeout TO '10s'"
SHORT_LOCK_TIMEOUT = "lock_timeout TO '500ms'"
LOOK_SECONDS, STOPPED_SECONDS = 0.2, 0.5
# How long a step may take altogether, on a machine with much else to do.
STEP_SECONDS = 15.0

Trouble = Callable[[Platform], contextlib.AbstractContextManager[None]]


@contextlib.contextmanager
def hold_a_table(platform: Platform) -> Iterator[None]:
    """A migration of the source's that has a table to itself, and is never committed."""
    with platform.writer() as holder, holder.transaction(force_rollback=True):
        holder.execute("LOCK TABLE payment IN ACCESS EXCLUSIVE MODE")
        yield


@contextlib.contextmanager
def stop_a_session(platform: Platform) -> Iterator[None]:
    """A server process that is stopped by a signal while it should answer."""
    pid = platform.source.info.backend_pid
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


def hurry(patch: pytest.MonkeyPatch) -> None:
    """Make the limits of all waits for PostgreSQL shorter."""
    assert LOCK_TIMEOUT in postgres.LOCAL_SETTINGS
    shorter = postgres.LOCAL_SETTINGS.replace(LOCK_TIMEOUT, SHORT_LOCK_TIMEOUT)
    patch.setattr(postgres, "LOCAL_SETTINGS", shorter)
    patch.setattr(patience, "LOOK_SECONDS", LOOK_SECONDS)
    patch.setattr(patience, "STOPPED_SECONDS", STOPPED_SECONDS)


def sentence_of_capture(platform: Platform, trouble: Trouble) -> str | None:
    """How a capture ends that meets trouble; None if it waits until the trouble is gone."""
    sentences: list[str] = []

    def work() -> None:
        try:
            platform.capture()
        except TotesysError as error:
            sentences.append(str(error))

    worker = threading.Thread(target=work)
    with trouble(platform):
        worker.start()
        worker.join(STEP_SECONDS)
        found = sentences[0] if sentences else None
    worker.join()
    return found
