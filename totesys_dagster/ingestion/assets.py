"""The raw tables, as one multi-asset.

They are captured together because they share one snapshot of the source. Rows stream through the
I/O manager into the ingestion zone; the manifest, written last, commits the batch. Only tables of
the batch are materialized, whatever is selected: a selection is only what a run plans.
"""

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import dagster as dg
from pydantic import Field

from totesys_dagster import descriptions, settings
from totesys_dagster.catalogue import INGESTION, SOURCE_TABLES
from totesys_dagster.errors import CommitConflictError
from totesys_dagster.ingestion.capture import TableRead, open_capture
from totesys_dagster.ingestion.drift import differences, unknown_tables, unknown_tables_note
from totesys_dagster.ingestion.fingerprint import TableSchema
from totesys_dagster.ingestion.identity import LaggingReplicaError
from totesys_dagster.ingestion.io_manager import write
from totesys_dagster.ingestion.source_view import open_view
from totesys_dagster.lake.raw import RawTable
from totesys_dagster.lake.store import Store
from totesys_dagster.metadata import (
    BATCHES,
    OWNERS,
    asset_key,
    remedy,
    source_definition,
)
from totesys_dagster.resources import Lake, SourceDatabase, clear_failures
from totesys_dagster.runs.checks import log_check
from totesys_dagster.runs.tags import LAUNCHED_BY_PERSON
from totesys_dagster.runs.unfinished import PARTITION_TAG, SENSOR_TAG, launched_twice, unfinished


class CaptureConfig(dg.Config):
    """What to capture beyond what has changed. Every field is optional."""

    full_read: list[str] = Field(
        default_factory=list,
        description="Tables to read in full, such as [sales_order, staff], besides those that the"
        " audit requested. Unchanged rows create no new version.",
    )
    whole: bool = Field(
        default=False,
        description="Compare tables of over 100,000 rows as a whole, too, even if they are not"
        " due.",
    )


OUTS = {
    table.name: dg.AssetOut(
        key=asset_key(INGESTION, table.name),
        description=descriptions.raw(table),
        is_required=False,
        io_manager_key="ingestion_io",
        group_name=INGESTION,
        kinds={"postgres", "json"},
        owners=OWNERS,
        tags={"zone": INGESTION},
        metadata=source_definition(table),
    )
    for table in SOURCE_TABLES.values()
}

CHECKS = [
    dg.AssetCheckSpec(
        "schema",
        asset=asset_key(INGESTION, name),
        description="The source still declares the table as the catalogue does."
        + remedy(
            "nothing is lost, because new columns are archived. To carry one, or to follow a"
            " change, edit the table in the catalogue and run `totesys migrate`.",
            "The schema of the source has changed",
        ),
    )
    for name in SOURCE_TABLES
]


# Dagster treats a check as optional, like its table, only if a subset can be selected.
@dg.multi_asset(
    name="capture_batch", outs=OUTS, check_specs=CHECKS, partitions_def=BATCHES, can_subset=True
)
def raw_tables(
    context: dg.AssetExecutionContext,
    config: CaptureConfig,
    source: SourceDatabase,
    lake: Lake,
) -> Iterator[dg.Output | dg.AssetCheckResult]:  # type: ignore[type-arg]
    """Capture a batch: what changed in the tables of ToteSys since the previous one."""
    if not context.has_partition_key:
        yield from _schemas_now(context, source)
        return
    if before := [*_captured_before(context, lake)]:
        yield from before
        yield from _schemas_now(context, source)  # a check that is not evaluated shows as skipped
        return
    with (
        clear_failures(),
        _overtaken(context),
        source.connect() as connection,
        open_capture(
            connection,
            lake.ingestion(),
            batch=context.partition_key,
            run_id=context.run.run_id,
            part_bytes=settings.part_bytes(),
            full=known_tables(config.full_read),
            whole=config.whole,
        ) as capture,
    ):
        if not capture.changed:
            context.log.info("Nothing has changed since the last batch: no batch is committed.")
            _forget(context)
            return
        touched = set()
        for read in capture.reads():
            touched.add(read.table)
            yield from _stored(context, read, lake.ingestion())
        for table, schema in capture.view.schemas.items():
            yield from _checked(context, schema, capture.unknown_tables, table in touched)
        manifest = capture.commit()
        context.log.info(f"Batch {manifest.batch} is committed as number {manifest.sequence}.")


@contextmanager
def _overtaken(context: dg.AssetExecutionContext) -> Iterator[None]:
    """End quietly if the batch is already captured: nothing is left to do.

    Two daemons open the same batch twice, and so can a sensor and `totesys run`. One of the two
    commits it, and nothing is lost, so this is not a failure to wake anybody for. Neither is it if
    a person launches a capture of an old batch, whose tables would then show as failed; or if a
    sensor polled one server, and the capture reaches another one that lags behind.
    """
    try:
        yield
    except LaggingReplicaError as error:
        if SENSOR_TAG not in context.run.tags:
            raise
        context.log.info(str(error))
        _forget(context)
    except CommitConflictError as error:
        late = f"Another process captured batch {context.partition_key} first: nothing is to do."
        context.log.info(late if SENSOR_TAG in context.run.tags else str(error))


def _captured_before(
    context: dg.AssetExecutionContext, lake: Lake
) -> Iterator[dg.Output[RawTable]]:
    """The tables of the batch that a person asked for, if it exists: what the lake has of them.

    A backfill counts a table that is not materialized as failed.
    """
    batch, log = context.partition_key, lake.log()
    if not LAUNCHED_BY_PERSON & context.run.tags.keys() or not log.holds(batch):
        return
    manifest, store = log.find(batch), lake.ingestion()
    context.log.info(f"Batch {batch} was captured before, and never changes: nothing is to do.")
    for key in sorted(context.selected_asset_keys):
        if table := manifest.tables.get(key.path[-1]) and SOURCE_TABLES[key.path[-1]]:
            yield dg.Output(RawTable(table, manifest, store), output_name=table.name)


def _forget(context: dg.AssetExecutionContext) -> None:
    """Remove the key that was added for this batch, as there is no such batch yet.

    Not while another process may be capturing under it, whose outputs would lose their partition:
    all captures that follow the same batch use one key. `source_changes` removes it later.
    """
    instance, run_id = context.instance, context.run.run_id
    tags = {PARTITION_TAG: context.partition_key}
    if not unfinished(instance, tags, but=run_id) and not launched_twice(instance, run_id):
        instance.delete_dynamic_partition(str(BATCHES.name), context.partition_key)


def _stored(
    context: dg.AssetExecutionContext, read: TableRead, store: Store
) -> Iterator[dg.Output[TableRead]]:
    """Store a table, through the I/O manager if the run is to materialize it."""
    key = asset_key(INGESTION, read.table)
    if key in context.selected_asset_keys:
        yield dg.Output(read, output_name=read.table)
        return
    metadata = write(read, store)
    context.log_event(
        dg.AssetMaterialization(key, partition=context.partition_key, metadata=metadata)
    )


def _checked(
    context: dg.AssetExecutionContext, schema: TableSchema, unknown: Collection[str], touched: bool
) -> Iterator[dg.AssetCheckResult]:
    """The check of a table if the run is to check it; otherwise only if there is news."""
    check, selected = _schema_check(schema, unknown), context.selected_asset_check_keys
    if dg.AssetCheckKey(asset_key(INGESTION, schema.table), "schema") in selected:
        yield check
    elif touched or not check.passed:
        log_check(context, check)


def _schemas_now(
    context: dg.AssetExecutionContext, source: SourceDatabase
) -> Iterator[dg.AssetCheckResult]:
    """The selected checks without a capture, where a person executes them alone, for instance."""
    if not context.selected_asset_check_keys:
        return
    with clear_failures(), source.connect() as connection, open_view(connection) as view:
        unknown = unknown_tables(view)
        for key in sorted(context.selected_asset_check_keys):
            yield _schema_check(view.schemas[key.asset_key.path[-1]], unknown)


def known_tables(names: list[str]) -> list[str]:
    """`names`, if all are tables of ToteSys; fails the step with a sentence if not."""
    unknown = sorted(set(names) - set(SOURCE_TABLES))
    if unknown:
        raise dg.Failure(
            f"{', '.join(unknown)} cannot be read in full: the tables of ToteSys are"
            f" {', '.join(SOURCE_TABLES)}.",
            allow_retries=False,
        )
    return names


def _schema_check(schema: TableSchema, unknown: Collection[str]) -> dg.AssetCheckResult:
    """The result of the check. A new table is no difference: each check mentions it and passes."""
    found = differences(SOURCE_TABLES[schema.table], schema)
    notes = [*found, unknown_tables_note(unknown)] if unknown else found
    return dg.AssetCheckResult(
        asset_key=asset_key(INGESTION, schema.table),
        check_name="schema",
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description="; ".join(notes) or None,
        metadata={"schema": schema.sha256, "columns": len(schema.columns)},
    )
