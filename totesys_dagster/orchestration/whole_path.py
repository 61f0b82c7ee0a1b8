"""The whole path of a batch in one call: capture, process, load and audit, in one Dagster run.

The command line and the job `whole_path` use it; the sensors request the same runs.
"""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import dagster as dg

from totesys_dagster.catalogue import INGESTION, PROCESSED, WAREHOUSE
from totesys_dagster.errors import ObjectMissingError, TotesysError
from totesys_dagster.ingestion.capture import next_batch
from totesys_dagster.ingestion.changes import LARGE_TABLE_ROWS
from totesys_dagster.ingestion.identity import LaggingReplicaError
from totesys_dagster.ingestion.known import Known
from totesys_dagster.ingestion.poll import Poll, changed_tables
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.receipt import Receipt, read_receipt, touched_stars
from totesys_dagster.launching.fork_server import TRANSFORM
from totesys_dagster.launching.run_process import RunProcess
from totesys_dagster.metadata import BATCH_TAG
from totesys_dagster.orchestration.audits import bring_up_to_date
from totesys_dagster.orchestration.listed import put_on_list
from totesys_dagster.orchestration.selection import Selection, to_capture, to_process_and_load
from totesys_dagster.parallel import import_ahead
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.runs.failures import first_failure
from totesys_dagster.runs.tags import AUDIT, BATCH, BATCH_STAGE, LOAD_STAGE, PROCESS_TAG, STAGE_TAG
from totesys_dagster.warehouse import audit, ledger
from totesys_dagster.warehouse.assets import migrate
from totesys_dagster.warehouse.healing import request_healing
from totesys_dagster.warehouse.ledger import Loaded
from totesys_dagster.words import counted

# How often another capture, such as a sensor's, can overtake this one before it gives up.
ATTEMPTS = 3
# How often an audit's requests are served at once: a digest without the rows in quarantine, a full
# read, and an audit of all tables.
HEALINGS = 4

GetJob = Callable[[str], dg.JobDefinition]
Progress = Callable[[str], Any]


class RunFailedError(TotesysError):
    """A run of the path failed. The message is that of the failure."""


@dataclass
class BatchReport:
    """What became of one batch. `deleted` counts the keys of each source table that it found
    missing; `seconds` is the time that each Dagster step took."""

    manifest: Manifest
    receipts: Mapping[str, Receipt]
    loaded: Loaded
    deleted: Mapping[str, int]
    seconds: dict[str, float] = field(default_factory=dict)
    checks_passed: int = 0
    checks_failed: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Run:
    """A finished run: checks by outcome, and seconds by zone."""

    passed: int
    failed: list[str]
    seconds: dict[str, float]
    run_id: str


def preflight(source: SourceDatabase, lake: Lake, warehouse: Warehouse) -> None:
    """Raise a TotesysError that names the setting unless every system is usable. Writes nothing."""
    lake.ingestion().check()
    lake.processed().check()
    with source.connect(), warehouse.connect():
        warehouse.names()


def run_path(
    instance: dg.DagsterInstance,
    get_job: GetJob,
    source: SourceDatabase,
    lake: Lake,
    warehouse: Warehouse,
    *,
    full_read: Sequence[str] = (),
    whole: bool = False,
    progress: Progress = lambda _: None,
) -> list[BatchReport]:
    """Finish what earlier runs left undone, then take what changed in the source all the way.

    If nothing changed, all tables are audited if that is due, if `whole` asks for it, or if
    somebody changed a small one by hand. Tables that an audit finds different are read again at
    once.

    Returns a report for each batch that was loaded, oldest first; none if there was nothing to
    load. Raises TotesysError (RunFailedError if a Dagster run fails).
    """
    preflight(source, lake, warehouse)
    path = _Path(instance, get_job, source, lake, warehouse, progress)
    reports = path.catch_up({})
    reports += path.take(full_read, whole=whole)
    path.renew()
    for _ in range(HEALINGS):
        try:
            found = path.poll()
        except LaggingReplicaError:  # it has not replayed the batch just taken, so it cannot repair
            break
        if found.asked:
            reports += path.take((), whole=False)
        elif found.audit_due or path.moved() or path.renewed:
            path.audit()
            path.renewed = False
        else:
            break
    return reports


@dataclass
class _Path:
    instance: dg.DagsterInstance
    get_job: GetJob
    source: SourceDatabase
    lake: Lake
    warehouse: Warehouse
    progress: Progress
    renewed: bool = False

    def renew(self) -> None:
        """Rebuild the tables whose declaration has changed, where this role may."""
        found = bring_up_to_date(self.lake, self.warehouse, self.progress)
        self.renewed = self.renewed or bool(found.stars and not found.is_asked_for)

    def poll(self, full_read: Sequence[str] = (), *, whole: bool = False) -> Poll:
        """Poll the source."""
        with self.source.connect() as connection:
            return changed_tables(connection, self.lake.ingestion(), full=full_read, whole=whole)

    def take(self, full_read: Sequence[str], *, whole: bool) -> list[BatchReport]:
        """Capture what changed, if anything did, and load it; else audit all tables if `whole`."""
        reports: list[BatchReport] = []
        for _ in range(ATTEMPTS):
            before = self.loaded()
            taken = self.batch(full_read, whole=whole)
            reports += self.reports(before, taken)
            reports += self.catch_up(taken)
            if all(self.committed(batch, run) for batch, run in taken.items()):
                if whole and not taken:
                    self.audit()
                return reports
        raise RunFailedError(
            f"{ATTEMPTS} captures in a row committed no batch, because another process committed it"
            " first or the change was gone again. What is in the lake is loaded: run again."
        )

    def moved(self) -> bool:
        """Whether somebody changed a small table of the warehouse since it was last audited."""
        known = Known.of(self.lake.ingestion())
        with self.warehouse.connect() as connection:
            names = self.warehouse.names()
            loaded = ledger.head(connection, names)
            if known.head is None or loaded != known.head.sequence:
                return False
            return bool(audit.moved(connection, names, known.stars, LARGE_TABLE_ROWS))

    def audit(self) -> None:
        """Compare every table with the source as it is now, in a run of its own."""
        self.progress("Comparing every table with the source")
        result = self._run(self.get_job(AUDIT))
        if not result.success:
            raise failed(result)

    def loaded(self) -> int:
        """The sequence of the last batch in the warehouse."""
        with self.warehouse.connect() as connection:
            return ledger.head(connection, self.warehouse.names())

    def batch(self, full_read: Sequence[str], *, whole: bool) -> dict[str, _Run]:
        """Take a batch all the way if anything changed. Returns the run that did so, by batch."""
        self.progress("Looking for changes in the source")
        start = time.monotonic()
        found = self.poll(full_read, whole=whole)
        if not found.changed:
            return {}
        looked = time.monotonic() - start
        batch = next_batch(self.lake.log().head())
        self.progress(
            f"Taking batch {batch} the whole way ({counted(len(found.changed), 'table')} changed)"
        )
        put_on_list(self.instance, batch)
        import_ahead(TRANSFORM)  # the capture need not wait for it
        options = {"full_read": list(full_read), "whole": whole or found.whole}
        run = self._execute(
            batch,
            to_capture(found.changed),
            run_config={"ops": {"capture_batch": {"config": options}}},
        )
        run.seconds["poll"] = looked
        return {batch: run}

    def reports(self, before: int, taken: Mapping[str, _Run]) -> list[BatchReport]:
        """What became of the batches loaded after batch `before`."""
        last = self.loaded()
        manifests = itertools.takewhile(lambda m: m.sequence <= last, self.lake.log().after(before))
        return [self._report(manifest, [*taken.values()]) for manifest in manifests]

    def committed(self, batch: str, run: _Run) -> bool:
        """Whether this run committed the batch.

        If not, another capture was first, or the change was gone again when the run read it.
        """
        try:
            return self.lake.log().find(batch).run_id == run.run_id
        except ObjectMissingError:
            return False

    def catch_up(self, captures: Mapping[str, _Run]) -> list[BatchReport]:
        """Process and load every batch that the warehouse lacks, in order.

        Writes the audits' requests again: a run killed after a commit may not have written them.
        """
        names, log = self.warehouse.names(), self.lake.log()
        with self.warehouse.connect() as connection:
            migrate(connection, self.warehouse)
            last = ledger.check_log(connection, names, log)
            if last:
                request_healing(connection, names, log.store)
        if last < log.end():
            self.renew()  # first: with a dimension still empty, facts would be orphans
        return [
            self._process_and_load(manifest, captures.get(manifest.batch))
            for manifest in log.after(last)
        ]

    def _process_and_load(self, manifest: Manifest, before: _Run | None) -> BatchReport:
        stars = touched_stars(manifest)
        self.progress(
            f"Processing and loading batch {manifest.batch} ({counted(len(stars), 'table')})"
        )
        put_on_list(self.instance, manifest.batch)
        run = self._execute(manifest.batch, to_process_and_load(stars), stage=LOAD_STAGE)
        return self._report(manifest, [before, run] if before else [run])

    def _report(self, manifest: Manifest, runs: Sequence[_Run]) -> BatchReport:
        """What became of a batch in these runs, from lake and ledger."""
        log, processed = self.lake.log(), self.lake.processed()
        receipts = {
            star.name: read_receipt(processed, star, manifest) for star in touched_stars(manifest)
        }
        with self.warehouse.connect() as connection:
            loaded = ledger.outcome(connection, self.warehouse.names(), manifest)
        return BatchReport(
            manifest,
            {name: receipt for name, receipt in receipts.items() if receipt},
            loaded,
            {table: log.deleted(manifest, table) for table in manifest.tables},
            {zone: seconds for run in runs for zone, seconds in run.seconds.items()},
            sum(run.passed for run in runs),
            [check for run in runs for check in run.failed],
        )

    def _execute(
        self,
        batch: str,
        selection: Selection,
        *,
        stage: str = BATCH_STAGE,
        run_config: dict[str, Any] | None = None,
    ) -> _Run:
        """Execute a run of a batch. Raises RunFailedError."""
        job = self.get_job(BATCH).get_subset(
            asset_selection=set(selection.assets), asset_check_selection=set(selection.checks)
        )
        result = self._run(
            job,
            partition_key=batch,
            run_config=run_config,
            tags={BATCH_TAG: batch, STAGE_TAG: stage},
        )
        if not result.success:
            raise failed(result)
        return _summary(result)

    def _run(self, job: dg.JobDefinition, **options: Any) -> dg.ExecuteInProcessResult:
        return execute(self.instance, job, **options)


def execute(
    instance: dg.DagsterInstance,
    job: dg.JobDefinition,
    *,
    run_config: dict[str, Any] | None = None,
    tags: Mapping[str, str] | None = None,
    **options: Any,
) -> dg.ExecuteInProcessResult:
    """Execute a run in this process without logging to the console."""
    return job.execute_in_process(
        instance=instance,
        run_config={
            **(run_config or {}),
            "loggers": {"console": {"config": {"log_level": "CRITICAL"}}},
        },
        tags={**(tags or {}), PROCESS_TAG: str(RunProcess.of(os.getpid()))},
        raise_on_error=False,
        **options,
    )


def failed(result: dg.ExecuteInProcessResult) -> RunFailedError:
    """An error that says why a run failed, and which run it was."""
    reason = first_failure(result.all_events) or "The run failed before any step did"
    return RunFailedError(f"{reason} (Dagster run {result.run_id})")


def _summary(result: dg.ExecuteInProcessResult) -> _Run:
    zones = {"capture_batch": INGESTION, "load": WAREHOUSE}
    seconds: dict[str, float] = {}
    for event in result.all_events:
        if event.is_step_success:
            zone = zones.get(str(event.step_key), PROCESSED)
            seconds[zone] = seconds.get(zone, 0.0) + event.step_success_data.duration_ms / 1000
    checks = result.get_asset_check_evaluations()
    return _Run(
        sum(check.passed for check in checks),
        [
            f"{check.asset_key.to_user_string()} {check.check_name}: {check.description}"
            for check in checks
            if not check.passed
        ],
        seconds,
        result.run_id,
    )
