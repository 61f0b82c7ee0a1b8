"""What ended runs report: troubles and recoveries, from their status and their checks.

Runs are found by the time of their last update. Clocks of different machines differ a little, and a
run's update can become visible late, so each search overlaps the previous one and skips runs that
it has seen.
"""

import datetime as dt
import re
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg
from pydantic import BaseModel, ConfigDict

from totesys_dagster.alerting.incidents import AT_ONCE, Incident, Recovery, Trouble
from totesys_dagster.alerting.remedies import (
    BATCH_PREFIX,
    DIFFERENCE_KEY,
    QUARANTINE_KEY,
    REFUSED_KEY,
    SCHEMA_KEY,
)
from totesys_dagster.metadata import BATCH_TAG
from totesys_dagster.runs.failures import first_failure
from totesys_dagster.runs.tags import (
    AUDIT,
    BATCH,
    BATCH_STAGE,
    CAPTURE,
    FEED_TAG,
    LAUNCHED_BY_PERSON,
    LOAD,
    PROCESS,
    RATES_STAGE,
    STAGE_TAG,
    VERIFY_LAKE,
)
from totesys_dagster.runs.unfinished import PARTITION_TAG, unfinished

Observation = Trouble | Recovery

OVERLAP = dt.timedelta(minutes=1)
# How far back the first search goes: people are notified of unresolved failures from then on.
FIRST_LOOK = dt.timedelta(hours=1)
RUNS_AT_ONCE = 200

# How long to wait before notifying people of what usually passes: the platform repeats a failed run
# after seconds, one of files after a minute, and rows are often corrected at once.
GRACE = dt.timedelta(seconds=90)

ENDED = [dg.DagsterRunStatus.SUCCESS, dg.DagsterRunStatus.FAILURE]
EVENTS = {
    dg.DagsterEventType.STEP_FAILURE,
    dg.DagsterEventType.ASSET_CHECK_EVALUATION,
    dg.DagsterEventType.RUN_FAILURE,
}

# Marks a run that Dagster itself retries.
WILL_RETRY_TAG = "dagster/will_retry"

# Names the run that an error is about, if one run executes others: that run has its own message.
OTHER_RUN = re.compile(r"\(Dagster run [0-9a-f-]{36}\)$")

TITLES = {
    SCHEMA_KEY: "the source's tables have changed",
    QUARANTINE_KEY: "rows are in quarantine",
    DIFFERENCE_KEY: "the warehouse differs from the source",
    REFUSED_KEY: "delivered files are refused",
}


class SeenRuns(BaseModel):
    """Which ended runs were seen: all until a moment, and by id those of the last minute."""

    model_config = ConfigDict(frozen=True)

    until: dt.datetime | None = None
    seen: dict[str, dt.datetime] = {}


def look(
    instance: dg.DagsterInstance, before: SeenRuns, now: dt.datetime
) -> tuple[list[dg.RunRecord], SeenRuns]:
    """The runs that have ended since the last search, oldest first."""
    # If a run's time is ahead of this clock, another clock set it, or this one went back since.
    since = min(before.until, now + OVERLAP) - OVERLAP if before.until else now - FIRST_LOOK
    records = instance.get_run_records(
        dg.RunsFilter(statuses=ENDED, updated_after=since),
        limit=RUNS_AT_ONCE,
        order_by="update_timestamp",
        ascending=True,
    )
    if not records:
        return [], before
    last = records[-1].update_timestamp
    # If there may be more, the next search begins after these. It would find the same ones again.
    until = last + OVERLAP if len(records) == RUNS_AT_ONCE else last
    new = [one for one in records if one.dagster_run.run_id not in before.seen]
    seen = before.seen | {one.dagster_run.run_id: one.update_timestamp for one in records}
    recent = {run_id: ended for run_id, ended in seen.items() if ended >= last - OVERLAP}
    return new, SeenRuns(until=until, seen=recent)


def observations(
    instance: dg.DagsterInstance, run: dg.DagsterRun, loaded: str | None
) -> list[Observation]:
    """What an ended run reports. `loaded` is the warehouse's last batch, if known."""
    logs = instance.all_logs(run.run_id, of_type=EVENTS)
    events = [entry.dagster_event for entry in logs if entry.dagster_event is not None]
    found = list(_of_checks(run, events))
    if run.status == dg.DagsterRunStatus.FAILURE:
        failure = _failure(run, events, loaded)
        return [*found, failure] if failure else found
    # A batch that is processed is not loaded yet: see `loaded_batches`.
    if not _key(run).startswith(BATCH_PREFIX):
        found.append(Recovery(_key(run), f"{run.job_name} has succeeded."))
    if run.tags.get(STAGE_TAG) == BATCH_STAGE:  # it has captured, too
        found.append(Recovery(CAPTURE, "A capture has succeeded."))
    return found


def loaded_batches(open_keys: Sequence[str], loaded: str | None) -> Iterator[Recovery]:
    """The failed batches that the warehouse has by now. Keys of batches sort by time."""
    for key in open_keys:
        batch = key.removeprefix(BATCH_PREFIX)
        if batch != key and loaded is not None and batch <= loaded:
            yield Recovery(key, f"Batch {batch} is loaded.")


def _key(run: dg.DagsterRun) -> str:
    """The incident that the run's failure belongs to.

    The sensors use different jobs for a batch. A run that a person launched has its own incident.
    """
    if run.job_name in (CAPTURE, VERIFY_LAKE, AUDIT):
        return run.job_name
    if run.job_name in (BATCH, PROCESS, LOAD) and BATCH_TAG in run.tags:
        return f"{BATCH_PREFIX}{run.tags[BATCH_TAG]}"
    return f"{run.job_name} of {_batch(run)}"


def _batch(run: dg.DagsterRun) -> str | None:
    tags = (BATCH_TAG, PARTITION_TAG)
    return next((run.tags[tag] for tag in tags if tag in run.tags), None)


def _failure(
    run: dg.DagsterRun, events: Sequence[dg.DagsterEvent], loaded: str | None
) -> Trouble | None:
    key, batch = _key(run), _batch(run)
    reason = first_failure(events) or _message(events) or "The run failed."
    if LAUNCHED_BY_PERSON & run.tags.keys():
        return None  # that person sees it fail
    retried = run.tags.get(WILL_RETRY_TAG) == "true"
    # One run loads a range of batches and fails at one of them; the next run starts with that one.
    loaded_since = key.startswith(BATCH_PREFIX) and loaded is not None and batch is not None
    if retried or OTHER_RUN.search(reason) or (loaded_since and str(batch) <= str(loaded)):
        return None
    what = f"{run.job_name} of batch {batch}" if batch else run.job_name
    if run.job_name == BATCH:
        what = f"batch {batch}"
    next_run = _next_run(run)
    return Trouble(
        key,
        f"{what} failed",
        reason,
        job=run.job_name,
        batch=batch,
        run_id=run.run_id,
        grace=GRACE if next_run else AT_ONCE,
        next_run=next_run,
    )


def _next_run(run: dg.DagsterRun) -> dict[str, str] | None:
    """The tags of the run that the sensors start soon if this one fails; None if they do not."""
    if run.job_name not in (CAPTURE, BATCH, PROCESS, LOAD, AUDIT) and FEED_TAG not in run.tags:
        return None
    tag = next((one for one in (FEED_TAG, BATCH_TAG, STAGE_TAG) if one in run.tags), None)
    return {tag: run.tags[tag]} if tag else None


def busy(instance: dg.DagsterInstance, incidents: Mapping[str, Incident]) -> set[str]:
    """The keys of the incidents whose next run is at work."""
    return {
        key
        for key, incident in incidents.items()
        for held in incident.held.values()
        if held.trouble.next_run and unfinished(instance, held.trouble.next_run)
    }


def _message(events: Sequence[dg.DagsterEvent]) -> str | None:
    return next((event.message for event in events if event.is_run_failure), None)


def _of_checks(run: dg.DagsterRun, events: Sequence[dg.DagsterEvent]) -> Iterator[Observation]:
    """What the checks of an audit report, and those of runs of a batch, of files or of rates.

    If a person repeats an old batch, its checks are about the past. A check that stops the batch
    fails the run, whose message quotes the check.
    """
    known = {BATCH_TAG, FEED_TAG} & {*run.tags} or run.tags.get(STAGE_TAG) == RATES_STAGE
    if not known and run.job_name != AUDIT:
        return
    for event in events:
        if event.event_type == dg.DagsterEventType.ASSET_CHECK_EVALUATION:
            yield from _of_check(run, event.asset_check_evaluation_data)


def _of_check(run: dg.DagsterRun, check: dg.AssetCheckEvaluation) -> Iterator[Observation]:
    table = check.asset_key.path[-1]
    warns = check.severity == dg.AssetCheckSeverity.WARN

    def trouble(key: str, grace: dt.timedelta = AT_ONCE) -> Trouble:
        return Trouble(
            key,
            TITLES[key],
            f"{table}: {check.description or 'the check failed.'}",
            cause=table,
            job=run.job_name,
            batch=_batch(run),
            run_id=run.run_id,
            grace=grace,
        )

    if check.check_name == "schema":
        same = "The source's tables match the catalogue again."
        yield Recovery(SCHEMA_KEY, same, table) if check.passed else trouble(SCHEMA_KEY, GRACE)
    elif check.check_name == "contract" and FEED_TAG in run.tags:
        taken = "Every file that was refused has been replaced."
        yield Recovery(REFUSED_KEY, taken, table) if check.passed else trouble(REFUSED_KEY)
    elif check.check_name == "contract" and not check.passed and warns:
        yield trouble(QUARANTINE_KEY, GRACE)
    elif check.check_name == "audit":
        # If the check only warns, the table differs because of rows in quarantine.
        if not check.passed:
            yield trouble(QUARANTINE_KEY, GRACE) if warns else trouble(DIFFERENCE_KEY)
        equal = "The warehouse equals the source again."
        if check.passed or warns:
            yield Recovery(DIFFERENCE_KEY, equal, table)
        if check.passed:
            yield Recovery(QUARANTINE_KEY, equal, table)
