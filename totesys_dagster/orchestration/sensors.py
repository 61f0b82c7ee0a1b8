"""The sensors that keep the warehouse current without human help.

They hold no essential state: each tick compares the source with the lake, or the lake with the
warehouse, and requests the missing runs. So the next tick finds whatever an outage or a failed run
left undone. A batch whose run failed is retried after a pause that grows with each failure.
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
    FEW,
    AtWork,
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

# The daemon ticks a sensor every 5 seconds. By waiting almost as long, a tick notices immediately,
# not up to 5 seconds later, that a transaction in the source or a running run has ended, so the
# next batch can be captured or loaded. A tick that takes more than 5 seconds misses the next one.
WAIT_SECONDS = 3.5


def interval(seconds: int) -> int:
    """The sensor interval that ticks every `seconds`.

    The daemon checks every 5 seconds whether an interval has passed. An interval of exactly 5
    would not have passed at the first check, so it would tick every 10.
    """
    return max(1, seconds - 1)


Answer = dg.SensorResult | dg.SkipReason
Evaluation = Callable[..., Answer]


def says_why(evaluation: Evaluation) -> Evaluation:
    """Let a sensor that fails say why in its log and tick. Dagster would show fifty lines of its
    own frames around that sentence, every five seconds."""

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
    description="Starts a batch when something changed in the source, and takes it all the way if"
    " the warehouse has all earlier batches. Requests an audit when nothing has changed for an"
    " hour.",
)
@logs_ticks
@says_why
def source_changes(
    context: dg.SensorEvaluationContext,
    source: SourceDatabase,
    lake: Lake,
    warehouse: Warehouse,
) -> dg.SensorResult | dg.SkipReason:
    """Poll the source; the cursor only avoids polls that cannot find anything."""
    instance, log = context.instance, lake.log()
    until = time.monotonic() + WAIT_SECONDS
    before = AtWork.of(instance)
    while unfinished(instance, {STAGE_TAG: CAPTURING}):
        if not one_ends(instance, before, until):
            return dg.SkipReason("A batch is being captured.")
        before = AtWork.of(instance)
    batch = next_batch(log.head())
    if not can_start(instance, {BATCH_TAG: batch}):
        return dg.SkipReason("A capture has just failed: the next attempt comes after a pause.")
    cursor = _remembered(context.cursor)
    while True:
        before = AtWork.of(instance)
        try:
            found = _look(source, log, cursor, until)
        except LaggingReplicaError as error:
            return dg.SkipReason(str(error))
        cursor = found.cursor
        context.update_cursor(cursor.model_dump_json())
        if found.quiet:
            return dg.SkipReason("No transaction has ended in the source.")
        if found.audit_due:
            return _audit(instance, log, warehouse)
        if not found.changed:
            return dg.SkipReason("Nothing changed in the source's tables.")
        lacks = _lacks(log, warehouse)
        # Without waiting for the load of the batch before, this one would be loaded a tick later,
        # and so would each batch after it, for as long as the source changes between all ticks.
        if not lacks or lacks > FEW or not one_ends(instance, before, until):
            break
    batch = next_batch(log.head())
    return dg.SensorResult(
        run_requests=[_take(batch, found.changed, lacks == 0)],
        dynamic_partitions_requests=[
            *_forget_uncommitted(instance, batch),
            BATCHES.build_add_request([batch]),
        ],
    )


def _look(source: SourceDatabase, log: ManifestLog, cursor: PollCursor, until: float) -> Poll:
    """A poll of the source. While no transaction ends there, wait for one, and poll once more.

    It does not wait if the first poll has scanned tables because of other transactions: that costs
    the source as much as a scan that finds something. The scan after each batch does not count.
    """
    with source.connect() as connection:
        found = poll(connection, log.store, cursor, dt.datetime.now(dt.UTC))
        idle = not found.changed and not found.audit_due and (found.quiet or not cursor.token)
        if idle and transaction_ends(connection, found.cursor, until):
            found = poll(connection, log.store, found.cursor, dt.datetime.now(dt.UTC))
    return found


def _take(batch: str, changed: list[str], up_to_date: bool) -> dg.RunRequest:
    """The run that takes a batch all the way. If earlier batches wait to be loaded, it only
    captures the batch, and `new_batches` does the rest."""
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


def _lacks(log: ManifestLog, warehouse: Warehouse) -> int | None:
    """How many committed batches the warehouse lacks. None if it can take no batch immediately: it
    is unavailable, loads at intervals, or has a table that is not the result of its declaration.

    Raises OtherLakeError: no batch is started on a log that lacks batches of the warehouse. A
    capture needs no warehouse, so an unavailable one does not stop it.
    """
    try:
        with warehouse.connect() as connection:
            names = warehouse.names()
            lacks = log.end() - ledger.check_log(connection, names, log)
            takes_none = settings.load_every_seconds() or outdated(connection, names)
    except OtherLakeError:
        raise
    except (SettingError, LoadError):
        return None
    return None if takes_none else lacks


def _audit(
    instance: dg.DagsterInstance, log: ManifestLog, warehouse: Warehouse
) -> dg.SensorResult | dg.SkipReason:
    """The run that compares every table with the source, once the warehouse holds all batches."""
    try:
        with warehouse.connect() as connection:
            loaded = ledger.check_log(connection, warehouse.names(), log)
    except (SettingError, LoadError) as error:
        # Not raised: otherwise each tick would scan again for what this poll has found.
        return dg.SkipReason(
            f"An audit of every table is due, but waits for the warehouse: {error}"
        )
    if loaded < log.end():
        return dg.SkipReason("An audit of every table is due, but waits until a batch is loaded.")
    runs = _start_audit(instance)
    if not runs:
        return dg.SkipReason("An audit of every table is under way, or has just failed.")
    return dg.SensorResult(run_requests=runs)


def _start_audit(instance: dg.DagsterInstance) -> list[dg.RunRequest]:
    if not can_start(instance, {STAGE_TAG: AUDIT_STAGE}):
        return []
    return [dg.RunRequest(job_name=audit_job.name)]


def _remembered(cursor: str | None) -> PollCursor:
    """The last poll's cursor; a new one if a person or another release has set another."""
    with suppress(ValueError):
        return PollCursor.model_validate_json(cursor or "")
    return PollCursor()


def _forget_uncommitted(
    instance: dg.DagsterInstance, batch: str
) -> list[dg.DeleteDynamicPartitionsRequest]:
    """Remove keys from Dagster's list that are neither a batch's nor the next one's, such as one
    that a person added to launch a capture."""
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
    " an audit that was cut short. Restores Dagster's history if it was lost.",
)
@says_why
def new_batches(
    context: dg.SensorEvaluationContext, lake: Lake, warehouse: Warehouse
) -> dg.SensorResult | dg.SkipReason:
    """Compare the log with the ledger. Usually one or two batches are new, after an outage many."""
    instance, log, processed = context.instance, lake.log(), lake.processed()
    until = time.monotonic() + WAIT_SECONDS
    while True:
        before = AtWork.of(instance)
        found = find_pending(log, warehouse)
        audits = _start_audit(instance) if found.cut_short or found.to_rebuild else []
        # Tables are rebuilt first: with an empty dimension, facts would be orphans.
        waits = found.to_rebuild and (audits or unfinished(instance, {STAGE_TAG: AUDIT_STAGE}))
        runs = [*([] if waits else wanted(instance, processed, found.batches)), *audits]
        if not (runs or found.batches or found.to_rebuild):
            runs = _bring_back(instance, found.last)
        if runs or not one_ends(instance, before, until):
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
    """The run that restores Dagster's history if its database was lost."""
    if last is None or not is_lost(instance, last):
        return []
    if not can_start(instance, {STAGE_TAG: HISTORY_STAGE}):
        return []
    return [dg.RunRequest(job_name=keep_history.name)]


@dg.sensor(
    job=load,
    minimum_interval_seconds=interval(settings.load_every_seconds() or 60),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description=f"Loads processed batches every {settings.LOAD_EVERY_SECONDS} seconds.",
)
@says_why
def scheduled_load(
    context: dg.SensorEvaluationContext, lake: Lake, warehouse: Warehouse
) -> dg.SensorResult | dg.SkipReason:
    """Load all processed batches at intervals, in one run."""
    pending = find_pending(lake.log(), warehouse)
    runs = load_ready(context.instance, lake.processed(), pending.batches)
    return dg.SensorResult(run_requests=runs) if runs else dg.SkipReason("Nothing is to be loaded.")


@dg.sensor(
    minimum_interval_seconds=interval(60),
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Reports how fresh the warehouse is, what the lake has, and which reports exist."
    " It launches nothing.",
)
@says_why
def overview(
    context: dg.SensorEvaluationContext, lake: Lake, warehouse: Warehouse
) -> dg.SensorResult | dg.SkipReason:
    """Report what no run materializes."""
    return report(context, lake, warehouse)


def sensors() -> list[dg.SensorDefinition]:
    """The sensors for the settings: loads at intervals only if a setting asks for them."""
    scheduled = [scheduled_load] if settings.load_every_seconds() else []
    files = [new_files] if FILE_JOBS else []
    return [source_changes, new_batches, *scheduled, *files, overview]
