"""Works on Dagster's database directly: deletes ended runs, except those that must stay.

`delete_run` alone would also delete what the UI shows as the latest state of an asset. It leaves
behind the checks that the run evaluated, the logs of its steps and, if interrupted, orphaned
events.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection

import dagster as dg
import sqlalchemy as db

from totesys_dagster import dagster_insides as insides

# The runs that can be deleted. A run that was never queued will not start.
ENDED = [
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
    dg.DagsterRunStatus.CANCELED,
    dg.DagsterRunStatus.NOT_STARTED,
]


def is_ours(instance: dg.DagsterInstance) -> bool:
    """Whether the history is in our own database. Dagster+ has its own, with its own retention."""
    return isinstance(instance.event_log_storage, insides.SqlEventLogStorage)


def latest_runs(instance: dg.DagsterInstance) -> set[str]:
    """The ids of the runs that hold the latest state of an asset or a check, as the UI shows it:
    its last materialization, the last run that planned one, and its last evaluations."""
    found: set[str | None] = set()
    for record in instance.get_asset_records():
        entry = record.asset_entry
        latest = entry.last_materialization_record
        found |= {entry.last_run_id, latest.run_id if latest else None}
    return {run_id for run_id in found | _runs_of_latest_checks(instance) if run_id}


def _runs_of_latest_checks(instance: dg.DagsterInstance) -> set[str | None]:
    """For each check, the last run that planned its evaluation, and the last that evaluated it."""
    table = insides.AssetCheckExecutionsTable.c
    newest = db.select(db.func.max(table.id)).group_by(table.asset_key, table.check_name)
    evaluated = newest.where(table.execution_status != "PLANNED")
    runs = db.select(table.run_id).where(db.or_(table.id.in_(newest), table.id.in_(evaluated)))
    with _events(instance).index_connection() as connection:
        return {run_id for (run_id,) in connection.execute(runs)}


def delete(instance: dg.DagsterInstance, run_ids: Collection[str]) -> None:
    """Delete ended runs with everything that Dagster keeps of them. The run itself is deleted last,
    so an interrupted deletion is found again."""
    if not run_ids:
        return
    events, checks = insides.SqlEventLogStorageTable, insides.AssetCheckExecutionsTable
    tags = insides.AssetEventTagsTable
    tagged = db.select(events.c.id).where(events.c.run_id.in_(run_ids))
    # For all runs at once: no index finds the checks of a run, and Dagster's own way takes nine
    # transactions per run.
    with _events(instance).index_connection() as connection:
        connection.execute(checks.delete().where(checks.c.run_id.in_(run_ids)))
        connection.execute(tags.delete().where(tags.c.event_id.in_(tagged)))
        connection.execute(events.delete().where(events.c.run_id.in_(run_ids)))
    logs = instance.compute_log_manager
    for run_id in run_ids:
        # In a bucket, a lifecycle rule deletes them, so we need no right to do so.
        if isinstance(logs, insides.LocalComputeLogManager):
            logs.delete_logs(prefix=[run_id])
        instance.run_storage.delete_run(run_id)


def delete_reported(
    instance: dg.DagsterInstance, keys: Collection[dg.AssetKey], before: dt.datetime
) -> None:
    """Delete events that were reported of assets without a run before that time, except the last
    one of each asset, and changes of freshness, which are few."""
    if not is_ours(instance):
        return
    table = insides.SqlEventLogStorageTable.c
    names = [key.to_string() for key in keys]
    kinds = ("ASSET_MATERIALIZATION", "ASSET_CHECK_EVALUATION")
    ours = db.and_(
        table.run_id == "", table.asset_key.in_(names), table.dagster_event_type.in_(kinds)
    )
    last = db.select(db.func.max(table.id)).where(ours)
    newest = last.group_by(table.asset_key, table.dagster_event_type)
    with _events(instance).index_connection() as connection:
        stay = [id_ for (id_,) in connection.execute(newest)]
        old = db.and_(ours, table.timestamp < before.replace(tzinfo=None), table.id.not_in(stay))
        connection.execute(insides.SqlEventLogStorageTable.delete().where(old))


def put_in_order(instance: dg.DagsterInstance, name: str) -> None:
    """Sort the keys of a dynamic partition. Dagster lists them in the order in which they were
    added, treats the last added as the last, and cannot insert one in between."""
    keys = list(instance.get_dynamic_partitions(name))
    if keys == sorted(keys) or not is_ours(instance):
        return
    table = insides.DynamicPartitionsTable
    ours = table.c.partitions_def_name == name
    with _events(instance).index_connection() as connection:
        # Keys that another process adds meanwhile stay as they are.
        gone = connection.execute(table.delete().where(ours).returning(table.c.partition))
        again = [{"partitions_def_name": name, "partition": key} for (key,) in sorted(gone)]
        if again:
            connection.execute(table.insert(), again)


def _events(instance: dg.DagsterInstance) -> insides.SqlEventLogStorage:
    storage = instance.event_log_storage
    assert isinstance(storage, insides.SqlEventLogStorage)
    return storage
