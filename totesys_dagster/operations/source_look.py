"""A short look at the source for `totesys status`: does it answer, and is anything waiting there?

A report about lake and warehouse neither waits for the source nor fails because of it.
"""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from totesys_dagster.errors import TotesysError
from totesys_dagster.ingestion.poll import PollCursor, poll
from totesys_dagster.json_output import SourceState
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.resources import Lake, SourceDatabase

LIMIT_SECONDS = 2.0


@dataclass
class SourceLook:
    """What is known of the source so far: whether it answered, the tables with changes that no
    batch contains, and why that is not known."""

    answers: bool = False
    waiting: list[str] | None = None
    wrong: str | None = None

    def data(self, head: Manifest | None) -> SourceState:
        """The same as plain data. `head` is the last batch."""
        after = head.observed_at.isoformat() if head and self.waiting else None
        return {
            "answers": self.answers,
            "waiting": self.waiting,
            "newer_than": after,
            "wrong": self.wrong,
        }

    def sentence(self, head: Manifest | None) -> str:
        """For people."""
        if self.wrong is not None:
            return f"It is not known whether anything is waiting in the source: {self.wrong}"
        if not self.waiting:
            return "The source answers, and nothing is waiting there."
        if head is None:
            return "The source answers; the first batch will read all of its tables."
        return (
            f"The source answers; changes in {', '.join(self.waiting)} are waiting for the next"
            f" batch, none of them older than {head.observed_at:%Y-%m-%d %H:%M:%S} UTC."
        )


def start(
    source: SourceDatabase, lake: Lake, seconds: float = LIMIT_SECONDS
) -> Callable[[], SourceLook]:
    """Begin to look. The result is a function that returns what is known `seconds` after that."""
    known = SourceLook()
    thread = threading.Thread(target=_look, args=[source, lake, known], daemon=True)
    until = time.monotonic() + seconds
    thread.start()

    def finish() -> SourceLook:
        thread.join(timeout=max(0, until - time.monotonic()))
        found = SourceLook(known.answers, known.waiting, known.wrong)
        if found.waiting is None and found.wrong is None:
            did = "answers, but too slowly to be looked at" if found.answers else "does not answer"
            found.wrong = f"it {did} within {seconds:g} seconds."
        return found

    return finish


def _look(source: SourceDatabase, lake: Lake, known: SourceLook) -> None:
    try:
        with source.connect() as connection:
            known.answers = True
            found = poll(connection, lake.ingestion(), PollCursor(), dt.datetime.now(dt.UTC))
        known.waiting = found.changed
    except TotesysError as error:
        known.wrong = str(error)
    except Exception as error:
        known.wrong = f"{type(error).__name__}."
