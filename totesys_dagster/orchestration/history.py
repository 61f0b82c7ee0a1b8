"""The job that keeps Dagster's history: what is old leaves it, and what was lost returns.

It lists the newest batches that are younger than a retention, and keeps their runs, events and
materializations; but what the UI shows as the latest state of an asset or a check stays until a
newer one is there. See `leaving.py` and `returning.py`.
"""

import datetime as dt

import dagster as dg

from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.metadata import BATCHES, remedy, use
from totesys_dagster.orchestration.leaving import let_leave
from totesys_dagster.orchestration.listed import find_listed, oldest
from totesys_dagster.orchestration.returning import bring_back
from totesys_dagster.resources import Lake, Warehouse, clear_failures
from totesys_dagster.runs.tags import HISTORY_STAGE, KEEP_HISTORY, STAGE_TAG
from totesys_dagster.words import counted


@dg.op
def keep_what_is_listed(context: dg.OpExecutionContext, lake: Lake, warehouse: Warehouse) -> None:
    """Let leave what is old, and report what is missing. Either goes on the next time where it is
    too much for once."""
    with clear_failures(), warehouse.connect() as connection:
        names = warehouse.names()
        listed = find_listed(connection, names, lake.log())
        left = let_leave(context.instance, listed)
        context.log.info(f"{counted(left.batches, 'batch')} and {counted(left.runs, 'run')} left.")
        if listed.last:
            returned = bring_back(context, listed, lake, connection, names)
            context.log.info(
                f"{counted(returned.batches, 'batch')} and {counted(returned.tables, 'table')} of"
                " the warehouse returned."
            )


@dg.job(
    name=KEEP_HISTORY,
    description="Keep Dagster's history: what is old leaves it, what was lost returns from lake and"
    " ledger."
    + use("at any time; nothing is to be chosen. It runs by itself each hour.")
    + remedy("no data depends on it; the next hour goes on from there.", "A run is stuck"),
    tags={STAGE_TAG: HISTORY_STAGE},
    # Its own: to bind them, Dagster would copy the sensor that starts it, by a parameter that is
    # beta.
    resource_defs={"lake": Lake(), "warehouse": Warehouse()},
)
def keep_history() -> None:
    keep_what_is_listed()


def is_lost(instance: dg.DagsterInstance, last: Manifest) -> bool:
    """Whether Dagster does not list the last loaded batch, as after its database was lost."""
    young = last.observed_at >= oldest(dt.datetime.now(dt.UTC))
    return young and not instance.has_dynamic_partition(str(BATCHES.name), last.batch)
