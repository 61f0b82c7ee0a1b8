"""The audit of every table at a moment at which no batch is due.

The source is digested as a whole, which an audit object of the lake records, and the warehouse is
compared with it. A sensor asks for it at least once an hour; a person may at any time.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.ingestion.capture import open_capture
from totesys_dagster.ingestion.identity import LaggingReplicaError
from totesys_dagster.operations.names import AUDIT, AUDIT_STAGE, STAGE_TAG
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse, clear_failures
from totesys_dagster.runs import SENSOR_TAG
from totesys_dagster.warehouse import audit, load, schema
from totesys_dagster.warehouse.assets import audit_check
from totesys_dagster.warehouse.audit import Audit


@dataclass(frozen=True)
class Audited:
    """What was found of each table; `reason` says why nothing was compared, if it was not."""

    audits: Mapping[str, Audit] = field(default_factory=dict)
    reason: str | None = None


def audit_all(source: SourceDatabase, lake: Lake, warehouse: Warehouse, run_id: str) -> Audited:
    """Digest the source, compare every table, and ask for what is needed to heal differences.

    Nothing is compared while a batch is due or waits to be loaded: the batch is compared then.
    Raises TotesysError.
    """
    names, log = warehouse.names(), lake.log()
    with warehouse.connect() as connection:
        loaded = load.check_log(connection, names, log)
    if loaded < log.end() or not loaded:
        return Audited(reason="a batch is not loaded yet")
    with (
        source.connect() as connection,
        open_capture(
            connection, log.store, run_id=run_id, part_bytes=settings.part_bytes(), audit=True
        ) as capture,
    ):
        if capture.changed:
            return Audited(reason="the source has changed, and a batch is due")
        found = capture.write_audit()
    with warehouse.connect() as connection:
        with schema.exclusive(connection, names):
            audits = audit.audit_source(connection, names, found)
        if audits is None:
            return Audited(reason="a batch was loaded meanwhile")
        audit.request_healing(connection, names, log.store)
    return Audited(audits)


@dg.op
def audit_tables(
    context: dg.OpExecutionContext, source: SourceDatabase, lake: Lake, warehouse: Warehouse
) -> None:
    """Compare every table with the source as it is now, and report it as the checks `audit`."""
    with clear_failures():
        try:
            found = audit_all(source, lake, warehouse, context.run.run_id)
        except LaggingReplicaError as error:
            if SENSOR_TAG not in context.run.tags:
                raise
            found = Audited(reason=str(error).rstrip("."))
    if found.reason:
        context.log.info(f"Nothing was compared: {found.reason}.")
    for one in found.audits.values():
        check = audit_check(one)
        assert check.asset_key is not None
        # Dagster's types leave it out for ops, though it takes it as from an asset.
        context.log_event(
            dg.AssetCheckEvaluation(  # type: ignore[arg-type]
                asset_key=check.asset_key,
                check_name=str(check.check_name),
                passed=check.passed,
                metadata=dict(check.metadata),
                severity=check.severity,
                description=check.description,
            )
        )


@dg.job(
    name=AUDIT,
    description="Compare every table of the warehouse with the source as it is now. It runs by"
    " itself at least once an hour, unless batches did so.",
    tags={STAGE_TAG: AUDIT_STAGE},
    # Its own, for Dagster warns when it gives resources to a job that a sensor is defined with.
    resource_defs={"source": SourceDatabase(), "lake": Lake(), "warehouse": Warehouse()},
)
def audit_job() -> None:
    audit_tables()
