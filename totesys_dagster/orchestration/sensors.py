"""The sensors that keep the warehouse current without anybody's help.

They hold no state that matters: each tick compares the source with the lake, or the lake with the
warehouse, and asks for the runs that are missing. Whatever an outage or a failed run left undone is
therefore found at the next tick. A batch whose run failed is tried again after a pause that grows.
"""

import datetime as dt
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from typing import Any

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.errors import LoadError, OtherLakeError, SettingError, TotesysError
from totesys_dagster.ingestion.capture import next_batch
from totesys_dagster.ingestion.identity import LaggingReplicaError
from totesys_dagster.ingestion.poll import Poll, PollCursor, poll, transaction_ends
from totesys_dagster.lake.manifest import BATCH_KEY, Manifest, ManifestLog
from totesys_dagster.metadata import BATCH_TAG, BATCHES
from totesys_dagster.operations.renew import outdated
from totesys_dagster.orchestration.audits import audit_job
from totesys_dagster.orchestration.file_jobs import FILE_JOBS
from totesys_dagster.orchestration.files import new_files
from totesys_dagster.orchestration.heartbeat import report
from totesys_dagster.orchestration.history import is_lost, keep_history
from totesys_dagster.orchestration.jobs import batch_job, capture, load, process
from totesys_dagster.orchestration.life import logs_ticks
from totesys_dagster.orchestration.planning import (
    CAPTURING,
    add_missing,
    can_start,
    find_pending,
    load_ready,
    one_ends,
    wanted,
)
from totesys_dagster.orchestration.selection import to_capture
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.runs.tags import (
    AUDIT_STAGE,
    HISTORY_STAGE,
    STAGE_TAG,
)
from totesys_dagster.runs.unfinished import (
    PARTITION_TAG,
    unfinished,
)
from totesys_dagster.warehouse import ledger
from totesys_dagster.words import counted

# The daemon ticks a sensor every 5 seconds. A tick that waits nearly as long sees at once, and not
# up to 5 seconds later, that a transaction ends in the source, or that a run at work does, so that
# the next batch may be captured or loaded. One that is not over after 5 seconds misses the next.
WAIT_SECONDS = 3.5


def interval(seconds: int) -> int:
    """The sensor interval that ticks every `seconds`.

    The daemon looks every 5 seconds whether an interval has passed, so that one of exactly 5 is
    seen as not yet over at the first look and ticks every 10.
    """
    return max(1, seconds - 1)


Answer = dg.SensorResult | dg.SkipReason
Evaluation = Callable[..., Answer]


def says_why(evaluation: Evaluation) -> Evaluation:
    """Let a sensor that cannot do its work say why, in its log and at its tick. Dagster would show
    half a hundred lines of its own frames around the sentence, every five seconds."""

    @wraps(evaluation)
    def evaluated(context: dg.SensorEvaluationContext, **resources: Any) -> Answer:
        try:
            return evaluation(context, **resources)
        except TotesysError as error:
            context.log.error(str(error))
            return dg.SkipReason(str(error))

    return evaluated


@dg.sensor(
    jobs=[batch_job, capture, audit_job],
    minimum_interval_seconds=interval(settings.poll_seconds()),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Opens a batch when something changed in the source, and takes it the whole way"
    " where the warehouse holds all batches before it; asks for an audit when nothing changed for"
    " an hour.",
)
@logs_ticks
@says_why
def source_changes(
    context: dg.SensorEvaluationContext,
    source: SourceDatabase,
    lake: Lake,
    warehouse: Warehouse,
) -> dg.SensorResult | dg.SkipReason:
    """Poll the source; the cursor only saves looks that cannot find anything."""
    instance, log = context.instance, lake.log()
    until = time.monotonic() + WAIT_SECONDS
    while unfinished(instance, {STAGE_TAG: CAPTURING}):
        if not one_ends(instance, until):
            return dg.SkipReason("A batch is being captured.")
    batch = next_batch(log.head())
    if not can_start(instance, {BATCH_TAG: batch}):
        return dg.SkipReason("A capture has just failed: the next attempt comes after a pause.")
    try:
        found = _look(source, log, _remembered(context.cursor), until)
    except LaggingReplicaError as error:
        return dg.SkipReason(str(error))
    context.update_cursor(found.cursor.model_dump_json())
    if found.quiet:
        return dg.SkipReason("No transaction has ended in the source.")
    if found.audit_due:
        return _audit(instance, log, warehouse)
    if not found.changed:
        return dg.SkipReason("Nothing changed in the source's tables.")
    batch = next_batch(log.head())
    return dg.SensorResult(
        run_requests=[_take(batch, found.changed, _up_to_date(log, warehouse))],
        dynamic_partitions_requests=[
            *_forget_uncommitted(instance, batch),
            BATCHES.build_add_request([batch]),
        ],
    )


def _look(source: SourceDatabase, log: ManifestLog, cursor: PollCursor, until: float) -> Poll:
    """A poll of the source. While no transaction ends there, wait for one, and poll once more.

    Not where the first poll has looked at tables for transactions of others: such a look costs the
    source the same as one that finds something. After a batch every poll looks, which counts not.
    """
    with source.connect() as connection:
        found = poll(connection, log.store, cursor, dt.datetime.now(dt.UTC))
        idle = not found.changed and not found.audit_due and (found.quiet or not cursor.token)
        if idle and transaction_ends(connection, found.cursor, until):
            found = poll(connection, log.store, found.cursor, dt.datetime.now(dt.UTC))
    return found


def _take(batch: str, changed: list[str], up_to_date: bool) -> dg.RunRequest:
    """The run that takes a batch the whole way, or captures it alone: if others wait to be loaded,
    it has to wait, too, and `new_batches` sees to it."""
    tags = {BATCH_TAG: batch}
    if not up_to_date:
        return dg.RunRequest(job_name=capture.name, partition_key=batch, tags=tags)
    selection = to_capture(changed)
    return dg.RunRequest(
        job_name=batch_job.name,
        partition_key=batch,
        asset_selection=selection.assets,
        asset_check_keys=selection.checks,
        tags=tags,
    )


def _up_to_date(log: ManifestLog, warehouse: Warehouse) -> bool:
    """Whether the warehouse can take the next batch at once: it holds all that are committed, and
    every table is the result of its declaration.

    Raises OtherLakeError: no batch is opened on a log that lacks what the warehouse has. A capture
    needs no warehouse, so one that cannot be asked does not stop it.
    """
    try:
        with warehouse.connect() as connection:
            names = warehouse.names()
            loaded = ledger.check_log(connection, names, log)
            up_to_date = loaded == log.end() and not outdated(connection, names)
    except OtherLakeError:
        raise
    except (SettingError, LoadError):
        return False
    return up_to_date and not settings.load_every_seconds()


def _audit(
    instance: dg.DagsterInstance, log: ManifestLog, warehouse: Warehouse
) -> dg.SensorResult | dg.SkipReason:
    """The run that compares every table with the source, once the warehouse holds all batches."""
    try:
        with warehouse.connect() as connection:
            loaded = ledger.check_log(connection, warehouse.names(), log)
    except (SettingError, LoadError) as error:
        # Not raised: what this poll has found must not be looked for again at each tick.
        return dg.SkipReason(
            f"An audit of every table is due, and waits for the warehouse: {error}"
        )
    if loaded < log.end():
        return dg.SkipReason("An audit of every table is due, and waits for a batch to be loaded.")
    runs = _start_audit(instance)
    if not runs:
        return dg.SkipReason("An audit of every table is under way, or has just failed.")
    return dg.SensorResult(run_requests=runs)


def _start_audit(instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    if not can_start(instance, {STAGE_TAG: AUDIT_STAGE}):
        return []
    return [dg.RunRequest(job_name=audit_job.name)]


def _remembered(cursor: str | None) -> PollCursor:
    """The last poll's cursor; a new one where a person or another release has set another."""
    with suppress(ValueError):
        return PollCursor.model_validate_json(cursor or "")
    return PollCursor()


def _forget_uncommitted(
    instance: dg.DagsterInstance, batch: str
) -> list[dg.DeleteDynamicPartitionsRequest]:
    """Remove keys from Dagster's list that name no batch and are not the next one's either, as of
    a capture that a person launched for a key that cannot be."""
    keys = instance.get_dynamic_partitions(str(BATCHES.name))
    strange = [
        key
        for key in keys
        if (key > batch or not BATCH_KEY.fullmatch(key))
        and not unfinished(instance, {PARTITION_TAG: key})
    ]
    return [BATCHES.build_delete_request(strange)] if strange else []


@dg.sensor(
    jobs=[batch_job, process, load, audit_job, keep_history],
    minimum_interval_seconds=1,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Processes and loads every committed batch that the warehouse lacks, and completes"
    " an audit that was cut short; brings Dagster's history back where it was lost.",
)
@says_why
def new_batches(
    context: dg.SensorEvaluationContext, lake: Lake, warehouse: Warehouse
) -> dg.SensorResult | dg.SkipReason:
    """Compare the log with the ledger; usually one is new or two, after an outage many are."""
    instance, log, processed = context.instance, lake.log(), lake.processed()
    until = time.monotonic() + WAIT_SECONDS
    while True:
        found = find_pending(log, warehouse)
        audits = _start_audit(instance) if found.cut_short or found.to_rebuild else []
        # Tables are rebuilt first: beside an empty dimension, facts would be orphans.
        waits = found.to_rebuild and (audits or unfinished(instance, {STAGE_TAG: AUDIT_STAGE}))
        runs = [*([] if waits else wanted(instance, processed, found.batches)), *audits]
        if not (runs or found.batches or found.to_rebuild):
            runs = _bring_back(instance, found.last)
        if runs or not one_ends(instance, until):
            break
    if not found.batches and not runs:
        return dg.SkipReason("The warehouse holds every committed batch.")
    if not runs:
        return dg.SkipReason(
            f"Running, or waiting after a failure: {counted(len(found.batches), 'batch')}."
        )
    return dg.SensorResult(
        run_requests=runs,
        dynamic_partitions_requests=add_missing(instance, found.batches),
    )


def _bring_back(instance: dg.DagsterInstance, last: Manifest | None) -> list[dg.RunRequest]:
    """The run that brings Dagster's history back, where its database was lost."""
    if last is None or not is_lost(instance, last):
        return []
    if not can_start(instance, {STAGE_TAG: HISTORY_STAGE}):
        return []
    return [dg.RunRequest(job_name=keep_history.name)]


@dg.sensor(
    job=load,
    minimum_interval_seconds=interval(settings.load_every_seconds() or 60),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=f"Loads what is processed every {settings.LOAD_EVERY_SECONDS} seconds.",
)
@says_why
def scheduled_load(
    context: dg.SensorEvaluationContext, lake: Lake, warehouse: Warehouse
) -> dg.SensorResult | dg.SkipReason:
    """Load at intervals all batches that are processed, in one run."""
    pending = find_pending(lake.log(), warehouse)
    runs = load_ready(context.instance, lake.processed(), pending.batches)
    return dg.SensorResult(run_requests=runs) if runs else dg.SkipReason("Nothing is to be loaded.")


@dg.sensor(
    minimum_interval_seconds=interval(60),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports how fresh the warehouse is, what the lake holds, and which reports there"
    " are. It launches nothing.",
)
@says_why
def overview(
    context: dg.SensorEvaluationContext, lake: Lake, warehouse: Warehouse
) -> dg.SensorResult | dg.SkipReason:
    """Report what no run materializes."""
    return report(context, lake, warehouse)


def sensors() -> list[dg.SensorDefinition]:
    """The sensors for the settings: loads at intervals only where that is asked for."""
    scheduled = [scheduled_load] if settings.load_every_seconds() else []
    files = [new_files] if FILE_JOBS else []
    return [source_changes, new_batches, *scheduled, *files, overview]
