"""Which runs the sensors start next: what waits, what is running, what failed a moment ago."""

from __future__ import annotations

import datetime as dt
import itertools
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.receipt import is_processed, touched_stars
from totesys_dagster.lake.store import Store
from totesys_dagster.metadata import BATCH_TAG, BATCHES
from totesys_dagster.operations import renew
from totesys_dagster.orchestration.audits import not_compared
from totesys_dagster.orchestration.jobs import batch_job, load, process
from totesys_dagster.orchestration.selection import to_load, to_process, to_process_and_load
from totesys_dagster.resources import Warehouse
from totesys_dagster.runs.tags import (
    BATCH_STAGE,
    CAPTURE_STAGE,
    LAST_BATCH_TAG,
    LOAD_STAGE,
    PROCESS_STAGE,
    STAGE_TAG,
)
from totesys_dagster.runs.unfinished import UNFINISHED, is_unfinished, unfinished
from totesys_dagster.warehouse import ledger
from totesys_dagster.warehouse.assets import migrate
from totesys_dagster.warehouse.healing import request_healing

FIRST_PAUSE = dt.timedelta(seconds=5)
LONGEST_PAUSE = dt.timedelta(minutes=15)

LOOK_SECONDS = 0.25

# The daemon ticks all sensors at the same moment, and takes this long to create the run of a
# capture that `source_changes` requests in that tick.
OPENING_SECONDS = 1.0

# The least number of batches of a backlog that one tick reads.
BACKLOG = 100

# Up to this many batches are no backlog: each is processed and loaded in one run. A backlog takes a
# run for each, and one more for the load. Starting a run costs more than a small batch, so a busy
# machine would fall behind.
FEW = 2

# The stages of runs that capture, and of runs that load.
CAPTURING = [BATCH_STAGE, CAPTURE_STAGE]
LOADING = [BATCH_STAGE, LOAD_STAGE]


def pause(
    instance: dg.DagsterInstance,
    tags: Mapping[str, str],
    now: dt.datetime,
    *,
    since: dt.datetime | None = None,
) -> dt.timedelta | None:
    """How much longer to wait after failed runs with these tags; None for not at all.

    The pause doubles with each consecutive failure, from 5 seconds to 15 minutes. Failures before
    `since` do not count.
    """
    records = instance.get_run_records(dg.RunsFilter(tags=dict(tags)), limit=8)
    failures = 0
    for record in records:
        ended = record.update_timestamp.replace(tzinfo=dt.UTC)
        if record.dagster_run.status != dg.DagsterRunStatus.FAILURE or (since and ended < since):
            break
        failures += 1
    if not failures:
        return None
    waited = now - records[0].update_timestamp.replace(tzinfo=dt.UTC)
    due = min(FIRST_PAUSE * 2 ** (failures - 1), LONGEST_PAUSE)
    # If the clock went back, we cannot know how much time has passed.
    return due - waited if dt.timedelta(0) <= waited < due else None


def can_start(
    instance: dg.DagsterInstance, tags: Mapping[str, str], *, since: dt.datetime | None = None
) -> bool:
    """Whether no run with these tags is unfinished or failed a moment ago."""
    now = dt.datetime.now(dt.UTC)
    return not unfinished(instance, tags) and not pause(instance, tags, now, since=since)


def can_retry(instance: dg.DagsterInstance, manifest: Manifest) -> bool:
    """Whether a run may continue a committed batch. A failure of its capture no longer counts."""
    return can_start(instance, {BATCH_TAG: manifest.batch}, since=manifest.observed_at)


def wanted(
    instance: dg.DagsterInstance, store: Store, pending: Sequence[Manifest]
) -> list[dg.RunRequest]:
    """The runs that pending batches need now."""
    if settings.load_every_seconds():
        return _process(instance, store, pending)
    if len(pending) <= FEW:
        return _next(instance, store, pending)
    return [*_process(instance, store, pending), *load_ready(instance, store, pending)]


@dataclass(frozen=True)
class AtWork:
    """The unfinished runs that a batch can be waiting for, and the newest of all such runs."""

    runs: frozenset[str]
    newest: str | None

    @classmethod
    def of(cls, instance: dg.DagsterInstance) -> AtWork:
        """Those of now. The newest is read first, to miss no run that starts in between."""
        tags = {STAGE_TAG: [*CAPTURING, PROCESS_STAGE, LOAD_STAGE]}
        newest = instance.get_run_records(dg.RunsFilter(tags=tags), limit=1)
        records = instance.get_run_records(dg.RunsFilter(tags=tags, statuses=UNFINISHED))
        return cls(
            frozenset(record.dagster_run.run_id for record in records if is_unfinished(record)),
            newest[0].dagster_run.run_id if newest else None,
        )

    def has_ended(self, now: AtWork) -> bool:
        """Whether a run of these has ended, or one has both started and ended since."""
        return bool(self.runs - now.runs) or now.newest not in {self.newest, *now.runs}


def one_ends(instance: dg.DagsterInstance, before: AtWork, until: float) -> bool:
    """Wait for a run to end, or find that one has ended since `before`. False if none is running,
    or none has ended by `until`."""
    opening = min(until, time.monotonic() + OPENING_SECONDS)
    now = before
    while time.monotonic() < (until if now.runs else opening):
        time.sleep(LOOK_SECONDS)
        before, now = now, AtWork.of(instance)
        if before.has_ended(now):
            return True
    return False


@dataclass(frozen=True)
class Pending:
    """The first committed batches that the warehouse lacks, the last one that it has, whether an
    audit was cut short, and whether tables are due to be rebuilt."""

    batches: list[Manifest]
    last: Manifest | None
    cut_short: bool
    to_rebuild: bool


def find_pending(log: ManifestLog, warehouse: Warehouse) -> Pending:
    """What the warehouse lacks.

    Writes the audit's requests again: a load killed after its commit may not have written them.
    """
    cut_short, outdated = False, False
    with warehouse.connect() as connection:
        names = warehouse.names()
        migrate(connection, warehouse)
        last = ledger.check_log(connection, names, log)
        if last:
            request_healing(connection, names, log.store)
            cut_short = not_compared(connection, names, log) is not None
            outdated = bool(renew.outdated(connection, names)) and _can_renew(log, warehouse)
    most = max(BACKLOG, settings.process_at_once())
    batches = list(itertools.islice(log.after(last), most))
    return Pending(batches, log.read(last) if last else None, cut_short, outdated)


def _can_renew(log: ManifestLog, warehouse: Warehouse) -> bool:
    """Whether an audit may first rebuild the tables whose declaration has changed."""
    with warehouse.connect_as_admin() as connection:
        names = warehouse.names()
        if not renew.may_renew(connection, names):
            return False
        return not renew.due(connection, names, log).is_asked_for


def add_missing(
    instance: dg.DagsterInstance, pending: Sequence[Manifest]
) -> list[dg.AddDynamicPartitionsRequest]:
    """Keys that Dagster does not know, for instance because somebody re-created its database."""
    known = set(instance.get_dynamic_partitions(str(BATCHES.name)))
    missing = [manifest.batch for manifest in pending if manifest.batch not in known]
    return [BATCHES.build_add_request(missing)] if missing else []


def _next(
    instance: dg.DagsterInstance, store: Store, pending: Sequence[Manifest]
) -> list[dg.RunRequest]:
    """A run for each of a few batches that takes it into the warehouse.

    The same tick requests them: if the second waited for the next tick, the source's next batch
    would have been captured by then, and one would always wait. A load takes all that is processed,
    so they may end in any order.
    """
    if not pending or unfinished(instance, {STAGE_TAG: LOADING}):
        return []
    if is_processed(store, pending[0]):
        return load_ready(instance, store, pending)
    if not can_retry(instance, pending[0]):
        return []
    waiting = (m for m in pending if not is_processed(store, m))
    return [_process_and_load(m) for m in waiting if can_retry(instance, m)]


def _process_and_load(manifest: Manifest) -> dg.RunRequest:
    selection = to_process_and_load(touched_stars(manifest))
    return dg.RunRequest(
        job_name=batch_job.name,
        partition_key=manifest.batch,
        asset_selection=selection.assets,
        asset_check_keys=selection.checks,
        # As a load: captures wait for it no longer than a tick.
        tags={BATCH_TAG: manifest.batch, STAGE_TAG: LOAD_STAGE},
    )


def _process(
    instance: dg.DagsterInstance, store: Store, pending: Sequence[Manifest]
) -> list[dg.RunRequest]:
    """A run for each unprocessed batch: batches can be processed in any order, in parallel."""
    waiting = (m for m in pending if not is_processed(store, m))
    return [
        dg.RunRequest(
            job_name=process.name,
            partition_key=manifest.batch,
            asset_selection=to_process(touched_stars(manifest)).assets,
            tags={BATCH_TAG: manifest.batch},
        )
        for manifest in itertools.islice(waiting, settings.process_at_once())
        if can_retry(instance, manifest)
    ]


def load_ready(
    instance: dg.DagsterInstance, store: Store, pending: Sequence[Manifest]
) -> list[dg.RunRequest]:
    """One run for the processed batches at the start of the backlog, in order."""
    ready = list(itertools.takewhile(lambda m: is_processed(store, m), pending))
    if not ready or unfinished(instance, {STAGE_TAG: LOADING}):
        return []
    if not can_retry(instance, ready[0]):
        return []
    touched = {star.name: star for manifest in ready for star in touched_stars(manifest)}
    return [
        dg.RunRequest(
            job_name=load.name,
            asset_selection=to_load(touched.values()).assets,
            asset_check_keys=[],
            tags={BATCH_TAG: ready[0].batch, LAST_BATCH_TAG: ready[-1].batch},
        )
    ]
