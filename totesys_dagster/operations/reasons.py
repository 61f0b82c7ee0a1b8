"""Why a run failed."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from totesys_dagster.errors import TotesysError


def first_failure(events: Iterable[dg.DagsterEvent]) -> str | None:
    """The description of the first failed step: its own sentence, else its exception's first line.

    None when no step failed.
    """
    for event in events:
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data and data.user_failure_data.description:
                return data.user_failure_data.description
            if data.error:
                return data.error.message.strip().splitlines()[0]
    return None


def failed_with(events: Iterable[dg.DagsterEvent], kind: type[TotesysError]) -> bool:
    """Whether a step failed with this error of the platform's (see `clear_failures`)."""
    return any(
        event.is_step_failure
        and event.step_failure_data.user_failure_data
        and event.step_failure_data.user_failure_data.metadata.get("error")
        == dg.MetadataValue.text(kind.__name__)
        for event in events
    )
