"""The job that maintains Dagster's history: it deletes what is old and restores what was lost.

It lists the newest batches, up to a retention period, and keeps their runs, events and
materializations. What the UI shows as the latest state of an asset or a check stays until there is
a newer one. See `leaving.py` and `returning.py`.
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
from totesys_dagster.runs.unfinished import SENSOR_TAG
from totesys_dagster.words import counted


@dg.op
def keep_what_is_listed(context: dg.OpExecutionContext, lake: Lake, warehouse: Warehouse) -> None:
    """Delete what is old, and report what is missing. If either is too much for one run, the next
    one continues."""
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
    description="Maintain Dagster's history: delete what is old, restore what was lost from lake"
    " and ledger."
    + use("at any time; there is nothing to choose. A schedule runs it every hour.")
    + remedy("no data depends on it; the next hour's run continues.", "A run is stuck"),
    tags={STAGE_TAG: HISTORY_STAGE},
    # Own resources: to bind shared ones, Dagster would copy the sensor that starts this job,
    # through a parameter that is in beta.
    resource_defs={"lake": Lake(), "warehouse": Warehouse()},
)
def keep_history() -> None:
    keep_what_is_listed()


def is_lost(instance: dg.DagsterInstance, last: Manifest) -> bool:
    """Whether Dagster does not list the last loaded batch, as when its database was lost."""
    young = last.observed_at >= oldest(dt.datetime.now(dt.UTC))
    return young and not instance.has_dynamic_partition(str(BATCHES.name), last.batch)


def was_lost(instance: dg.DagsterInstance, last: Manifest) -> bool:
    """Whether Dagster's database was lost in the last day, even if it has been restored since."""
    lately = dt.datetime.now(dt.UTC) - dt.timedelta(days=1)
    restored = dg.RunsFilter(
        job_name=KEEP_HISTORY, tags={SENSOR_TAG: "new_batches"}, created_after=lately
    )
    return is_lost(instance, last) or bool(instance.get_run_records(restored, limit=1))
