"""Deletes from Dagster's history: old batches with their runs, and old runs that have no batch.

Lake and warehouse keep every batch. Dagster's list, runs, events and materializations are only for
people, and they slow down pages and ticks: Dagster reads the whole list for each page that shows an
asset.

Deletion goes a portion at a time, oldest first. A batch stays on the list until its runs are gone,
and a run stays until its events are, so after an interruption the next run of the job continues.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import dagster as dg

from totesys_dagster.catalogue import INGESTION, PROCESSED, SOURCE_TABLES, STAR_TABLES
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster.metadata import BATCH_TAG, BATCHES, asset_key
from totesys_dagster.orchestration.checks import LOG
from totesys_dagster.orchestration.listed import Listed, batches_of
from totesys_dagster.orchestration.overview import HEARTBEAT
from totesys_dagster.runs import history
from totesys_dagster.runs.tags import LAST_BATCH_TAG
from totesys_dagster.runs.unfinished import PARTITION_TAG, UNFINISHED, is_unfinished

KEYS_AT_ONCE = 100
RUNS_AT_ONCE = 200
# After this many runs, the rest waits for the next time.
MOST_RUNS = 5000

PARTITIONED = [
    *(asset_key(INGESTION, table) for table in SOURCE_TABLES),
    *(asset_key(PROCESSED, star) for star in STAR_TABLES),
]

# Assets that a sensor reports without a run.
REPORTED = [HEARTBEAT.key, LOG.key]


@dataclass
class Left:
    """How much was deleted."""

    batches: int = 0
    runs: int = 0


def let_leave(instance: dg.DagsterInstance, listed: Listed) -> Left:
    """Take old batches off the list, and delete old runs."""
    left = Left()
    for keys in _portions(old_batches(instance, listed)):
        if left.runs >= MOST_RUNS:
            break
        left.runs += len(_delete(instance, _runs_of(instance, keys, listed)))
        for key in keys:
            instance.delete_dynamic_partition(str(BATCHES.name), key)
        left.batches += len(keys)
    left.runs += _delete_old_runs(instance, listed, MOST_RUNS - left.runs)
    history.delete_reported(instance, REPORTED, listed.since)
    if left.runs:
        # Dagster refreshes an asset's materialized batches only when the list has changed.
        instance.wipe_asset_cached_status(PARTITIONED)
    return left


def old_batches(instance: dg.DagsterInstance, listed: Listed) -> list[str]:
    """The batches to take off Dagster's list, oldest first."""
    keys = sorted(instance.get_dynamic_partitions(str(BATCHES.name)))
    old = [key for key in keys if listed.is_old(key)]
    used = {key for some in _portions(old) for key in _used(instance, some, listed)}
    return [key for key in old if key not in used]


def _used(instance: dg.DagsterInstance, keys: Sequence[str], listed: Listed) -> Iterator[str]:
    """The batches that a run is working on, and those of the newest that a run worked on a short
    while ago, for instance because a person repeated an old batch or the source's clock was wrong.
    """
    at_work = instance.get_run_records(dg.RunsFilter(statuses=UNFINISHED))
    yield from _named(keys, (one.dagster_run for one in at_work if is_unfinished(one)))
    newest = [key for key in keys if key >= batch_key(max(listed.first, 0))]
    if newest:
        recent = dg.RunsFilter(updated_after=listed.since)
        yield from _named(newest, _tagged(instance, newest, recent))


def _named(keys: Sequence[str], runs: Iterable[dg.DagsterRun]) -> Iterator[str]:
    """The batches that belong to one of the runs."""
    for first, last in filter(None, map(batches_of, runs)):
        yield from (key for key in keys if first <= key <= last)


def _runs_of(instance: dg.DagsterInstance, keys: Sequence[str], listed: Listed) -> list[str]:
    """The ended runs of these batches. A run that loaded several is deleted with the last."""
    runs = _tagged(instance, keys, dg.RunsFilter(statuses=history.ENDED))
    spans = {run.run_id: batches_of(run) for run in runs}
    return [run_id for run_id, span in spans.items() if span and listed.is_old(span[1])]


def _tagged(
    instance: dg.DagsterInstance, keys: Sequence[str], filters: dg.RunsFilter
) -> list[dg.DagsterRun]:
    """The runs that name one of these batches."""
    found: dict[str, dg.DagsterRun] = {}
    for tag in (PARTITION_TAG, BATCH_TAG, LAST_BATCH_TAG):
        wanted = dg.RunsFilter(
            tags={tag: keys}, statuses=filters.statuses, updated_after=filters.updated_after
        )
        found |= {run.run_id: run for run in instance.get_runs(wanted)}
    return list(found.values())


def _delete_old_runs(instance: dg.DagsterInstance, listed: Listed, most: int) -> int:
    """Delete the runs that ended before the history begins, oldest first, except those of batches
    that wait for their load. Returns how many."""
    wanted = dg.RunsFilter(statuses=history.ENDED, updated_before=listed.since)
    deleted, after = 0, None
    while deleted < most:
        records = instance.get_run_records(wanted, RUNS_AT_ONCE, ascending=True, cursor=after)
        spans = {one.dagster_run.run_id: batches_of(one.dagster_run) for one in records}
        old = [run_id for run_id, span in spans.items() if not (span and listed.waits(span[1]))]
        gone = _delete(instance, old)
        deleted += len(gone)
        stay = [run_id for run_id in spans if run_id not in gone]
        if len(spans) < RUNS_AT_ONCE:
            break
        # Dagster finds nothing after a run that is gone.
        after = stay[-1] if stay else after
    return deleted


def _delete(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> set[str]:
    """Delete ended runs, except those that hold the latest state of something. Returns the deleted
    ones."""
    if not run_ids or not history.is_ours(instance):
        return set()
    # Query this after the runs have ended, so none of them can become the latest afterwards.
    gone = {*run_ids} - history.latest_runs(instance)
    history.delete(instance, [run_id for run_id in run_ids if run_id in gone])
    return gone


def _portions(keys: Sequence[str]) -> Iterator[Sequence[str]]:
    for start in range(0, len(keys), KEYS_AT_ONCE):
        yield keys[start : start + KEYS_AT_ONCE]
