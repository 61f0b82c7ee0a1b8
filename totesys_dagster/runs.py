"""What Dagster knows of its runs, as sensors, captures and the run launcher ask for it."""

from __future__ import annotations

from collections.abc import Mapping

import dagster as dg

# Dagster's own tag of a run's partition.
PARTITION_TAG = "dagster/partition"

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]


def unfinished(
    instance: dg.DagsterInstance, tags: Mapping[str, str], *, but: str | None = None
) -> bool:
    """Whether a run with these tags is waiting or at work, other than the run `but`."""
    filters = dg.RunsFilter(tags=dict(tags), statuses=UNFINISHED)
    records = instance.get_run_records(filters, limit=1 if but is None else 2)
    return any(record.dagster_run.run_id != but for record in records)


def launched_twice(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether two daemons took the run from the queue: two processes may be executing it."""
    starts = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_STARTING)
    return len(starts) > 1
