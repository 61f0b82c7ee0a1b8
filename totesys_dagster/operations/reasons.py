"""Why a run failed, in the sentence of the step that failed first."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg


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
