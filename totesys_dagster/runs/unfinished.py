"""What Dagster knows about its runs, for sensors, captures and the run launcher."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence

import dagster as dg

# Dagster's own tag for a run's partition.
PARTITION_TAG = "dagster/partition"
# Dagster's own tag for a run that a sensor has requested.
SENSOR_TAG = "dagster/sensor_name"

UNFINISHED = [
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.CANCELING,
]

# A daemon creates a run and queues it immediately. If it is interrupted in between, the run will
# never start.
ABANDONED_AFTER = dt.timedelta(minutes=2)


def is_unfinished(record: dg.RunRecord) -> bool:
    """Whether the run is queued or running, and will end at some time."""
    status = record.dagster_run.status
    if status == dg.DagsterRunStatus.NOT_STARTED:
        created = record.create_timestamp.replace(tzinfo=dt.UTC)
        # If the clock went back, we cannot know how much time has passed.
        return dt.timedelta(0) <= dt.datetime.now(dt.UTC) - created < ABANDONED_AFTER
    return status in UNFINISHED


def unfinished(
    instance: dg.DagsterInstance, tags: Mapping[str, str | Sequence[str]], *, but: str | None = None
) -> bool:
    """Whether a run with these tags, other than `but`, is queued or running. Several values of a
    tag are alternatives."""
    filters = dg.RunsFilter(tags=dict(tags), statuses=UNFINISHED)
    return any(
        record.dagster_run.run_id != but and is_unfinished(record)
        for record in instance.get_run_records(filters)
    )


def launched_twice(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether two daemons took the run from the queue: two processes may be executing it."""
    starts = instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_STARTING)
    return len(starts) > 1
