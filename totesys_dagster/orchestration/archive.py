"""Dagster's list of batches, kept short.

Dagster reads the whole list for each page that shows an asset, and advises against more than
100,000 partitions. The list is for the UI alone: lake and warehouse hold every batch, and what
Dagster knows of a batch (its materializations, checks and runs) stays when its key is taken off.
"""

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.metadata import BATCHES
from totesys_dagster.resources import Lake, Warehouse, clear_failures
from totesys_dagster.runs.tags import ARCHIVE_BATCHES, ARCHIVE_STAGE, STAGE_TAG
from totesys_dagster.warehouse import ledger


def archivable(keys: list[str], keep: int, last_loaded: str) -> list[str]:
    """The keys to take off: all but the newest `keep`, and none that is not loaded yet."""
    old = sorted(keys)[: max(len(keys) - keep, 0)]
    return [key for key in old if key <= last_loaded]


@dg.op
def take_off_old_batches(context: dg.OpExecutionContext, lake: Lake, warehouse: Warehouse) -> None:
    """Take the oldest loaded batches off Dagster's list, so that it is as long as it may be."""
    name = str(BATCHES.name)
    with clear_failures():
        keep, log = settings.listed_batches(), lake.log()
        with warehouse.connect() as connection:
            last = ledger.check_log(connection, warehouse.names(), log)
        if not last:
            return
        keys = list(context.instance.get_dynamic_partitions(name))
        old = archivable(keys, keep, log.read(last).batch)
    for key in old:
        context.instance.delete_dynamic_partition(name, key)
    context.log.info(f"Took {len(old)} of {len(keys)} batches off Dagster's list.")


@dg.job(
    name=ARCHIVE_BATCHES,
    description="Take old batches off Dagster's list; lake, warehouse and history keep them.",
    tags={STAGE_TAG: ARCHIVE_STAGE},
)
def archive_batches() -> None:
    take_off_old_batches()
