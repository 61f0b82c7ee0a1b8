"""Which batches Dagster lists: the newest ones that are not older than its history."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.lake.manifest import BATCH_KEY, ManifestLog
from totesys_dagster.metadata import BATCH_TAG, BATCHES
from totesys_dagster.postgres.sessions import Connection, Names, one, transaction
from totesys_dagster.runs.tags import LAST_BATCH_TAG
from totesys_dagster.runs.unfinished import PARTITION_TAG
from totesys_dagster.warehouse import ledger


@dataclass(frozen=True)
class Listed:
    """What Dagster lists of the batches up to `last`, the last loaded one: those of `young`, which
    were observed after `since` and are not before `first`, the first of the newest."""

    last: int
    first: int
    since: dt.datetime
    young: frozenset[int]

    def is_old(self, batch: str) -> bool:
        """Whether to take a batch off the list; never one that waits for its load."""
        sequence = sequence_of(batch)
        return sequence is not None and sequence <= self.last and sequence not in self.young

    def waits(self, batch: str) -> bool:
        """Whether a batch is not loaded yet."""
        sequence = sequence_of(batch)
        return sequence is not None and sequence > self.last


def find_listed(connection: Connection, names: Names, log: ManifestLog) -> Listed:
    """What Dagster lists now. Raises LoadError or LakeError."""
    last = ledger.check_log(connection, names, log)
    first, since = log.end() - settings.listed_batches() + 1, oldest(now(connection))
    young = ledger.observed_since(connection, names, since, first=first) if last else frozenset()
    return Listed(last, first, since, young)


def now(connection: Connection) -> dt.datetime:
    """The time by this machine's clock or the warehouse's, whichever is earlier: a clock that
    jumped ahead must not make batches look old."""
    with transaction(connection):
        its: dt.datetime = one(connection, "SELECT now()")[0]
    return min(dt.datetime.now(dt.UTC), its)


def oldest(now: dt.datetime) -> dt.datetime:
    """The earliest time at which a batch that is not too old can have been observed."""
    return now - dt.timedelta(days=settings.history_days())


def put_on_list(instance: dg.DagsterInstance, batch: str) -> None:
    """Add a batch to Dagster's list. Dagster fails if another process does so at the same time."""
    name = str(BATCHES.name)
    try:
        instance.add_dynamic_partitions(name, [batch])
    except Exception:
        if not instance.has_dynamic_partition(name, batch):
            raise


def sequence_of(batch: str) -> int | None:
    """The sequence in a batch's key; None if it is no such key."""
    return int(batch) if BATCH_KEY.fullmatch(batch) else None


def batches_of(run: dg.DagsterRun) -> tuple[str, str] | None:
    """The first and the last batch of a run; None for a run without batches."""
    first = run.tags.get(BATCH_TAG) or run.tags.get(PARTITION_TAG)
    return (first, run.tags.get(LAST_BATCH_TAG, first)) if first else None
