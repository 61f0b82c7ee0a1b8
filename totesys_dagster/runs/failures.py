"""Why a run failed."""

from __future__ import annotations

from collections.abc import Iterable

import dagster as dg

from totesys_dagster.dagster_insides import SerializableErrorInfo


def first_failure(events: Iterable[dg.DagsterEvent]) -> str | None:
    """Why the first step failed: the message of the check that stopped it, or its own, or else the
    first line of its exception. None if no step failed.
    """
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            check = event.asset_check_evaluation_data
            stops = check.blocking and check.severity == dg.AssetCheckSeverity.ERROR
            if stops and not check.passed and check.description:
                return check.description
        if event.is_step_failure:
            data = event.step_failure_data
            if data.user_failure_data and data.user_failure_data.description:
                return data.user_failure_data.description
            if data.error:
                return _first_line(data.error)
    return None


def _first_line(error: SerializableErrorInfo) -> str:
    """The message of an exception, or of its cause if Dagster's own only says where it was
    raised."""
    while error.cause is not None and error.message.startswith(f"{dg.DagsterError.__module__}."):
        error = error.cause
    return error.message.strip().splitlines()[0]
