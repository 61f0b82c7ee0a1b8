"""The audit of every table when no batch is due.

The audit digests the whole source, records the digests in an audit object of the lake, and compares
the warehouse with them. A sensor asks for it at least once an hour; a person can at any time.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.errors import CommitConflictError
from totesys_dagster.ingestion.capture import open_capture
from totesys_dagster.ingestion.identity import LaggingReplicaError
from totesys_dagster.lake.audits import AuditLog, SourceAudit
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.requests import put_full_read
from totesys_dagster.lake.store import Store
from totesys_dagster.metadata import remedy, use
from totesys_dagster.operations.renew import Due, may_renew, outdated, renew
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse, clear_failures
from totesys_dagster.runs.checks import log_check
from totesys_dagster.runs.tags import AUDIT, AUDIT_STAGE, STAGE_TAG
from totesys_dagster.runs.unfinished import SENSOR_TAG
from totesys_dagster.warehouse import audit, ledger, schema, standing
from totesys_dagster.warehouse.assets import audit_check
from totesys_dagster.warehouse.healing import request_healing
from totesys_dagster.warehouse.standing import Audit


@dataclass(frozen=True)
class Audited:
    """What was found for each table. `reason` says why nothing was compared, if nothing was."""

    audits: Mapping[str, Audit] = field(default_factory=dict)
    reason: str | None = None


def audit_all(source: SourceDatabase, lake: Lake, warehouse: Warehouse, run_id: str) -> Audited:
    """Digest the source, compare every table, and request what is needed to repair differences.

    Compares nothing while a batch is due or waits to be loaded: that batch will be compared itself.
    Raises TotesysError.
    """
    names, log = warehouse.names(), lake.log()
    with warehouse.connect() as connection:
        loaded = ledger.check_log(connection, names, log)
        if loaded < log.end() or not loaded:
            return Audited(reason="a batch is not loaded yet")
        if newest := not_compared(connection, names, log):
            _compare(connection, names, log.store, newest)
    with (
        source.connect() as connection,
        open_capture(
            connection, log.store, run_id=run_id, part_bytes=settings.part_bytes(), whole=True
        ) as capture,
    ):
        if capture.changed:
            for table, reason in capture.unseen.items():
                put_full_read(log.store, table, loaded, reason)
            return Audited(reason="the source has changed, and a batch is due")
        try:
            found = capture.write_audit()
        except CommitConflictError:
            return Audited(reason="another audit ran at the same time, and its result counts")
    with warehouse.connect() as connection:
        audits = _compare(connection, names, log.store, found)
    return Audited(audits) if audits else Audited(reason="a batch was loaded in the meantime")


def bring_up_to_date(
    lake: Lake, warehouse: Warehouse, progress: Callable[[str], object] = lambda _: None
) -> Due:
    """Rebuild the tables whose declaration has changed, where this role may. Returns what was due.

    Raises TotesysError.
    """
    with warehouse.connect_as_admin() as connection:
        names = warehouse.names()
        if not may_renew(connection, names):
            return Due(())
        schema.migrate(connection, names)
        if not outdated(connection, names):
            return Due(())
        return renew(
            connection,
            names,
            lake.ingestion(),
            lake.processed(),
            quarantine_limit=settings.quarantine_limit(),
            progress=progress,
        )


def not_compared(connection: Connection, names: Names, log: ManifestLog) -> SourceAudit | None:
    """The newest audit object, if the warehouse holds its batch but was not compared with it, for
    instance because the audit was killed in between. Raises LoadError or LakeError."""
    head = log.head()
    newest = AuditLog(log.store).of_head(head)
    if head is None or newest is None or ledger.head(connection, names) != head.sequence:
        return None
    compared = standing.last_compared(connection, names, head.sequence)
    return newest if compared < newest.sequence else None


def _compare(
    connection: Connection, names: Names, ingestion: Store, found: SourceAudit
) -> Mapping[str, Audit] | None:
    with ledger.exclusive(connection, names):
        audits = audit.audit_source(connection, names, found)
    if audits is not None:
        request_healing(connection, names, ingestion, found.stars)
    return audits


@dg.op
def audit_tables(
    context: dg.OpExecutionContext, source: SourceDatabase, lake: Lake, warehouse: Warehouse
) -> None:
    """Compare every table with the source as it is now, and report the checks `audit`."""
    with clear_failures():
        due = bring_up_to_date(lake, warehouse)
        if due.is_asked_for:
            context.log.warning(due.question)
        try:
            found = audit_all(source, lake, warehouse, context.run.run_id)
        except LaggingReplicaError as error:
            if SENSOR_TAG not in context.run.tags:
                raise
            found = Audited(reason=str(error).rstrip("."))
    if found.reason:
        context.log.info(f"Nothing was compared: {found.reason}.")
    for one in found.audits.values():
        log_check(context, audit_check(one))


@dg.job(
    name=AUDIT,
    description="Compare every table of the warehouse with the source as it is now. Runs at least"
    " once an hour, unless batches have compared the tables."
    + use("at any time; there is nothing to choose. The checks `audit` show the result.")
    + remedy(
        "its error says what it cannot reach. A table that differs fails its check, not this job.",
        "The warehouse is lost, or wrong",
    ),
    tags={STAGE_TAG: AUDIT_STAGE},
    # Own resources, because Dagster warns when it binds resources to a job that a sensor targets.
    resource_defs={"source": SourceDatabase(), "lake": Lake(), "warehouse": Warehouse()},
)
def audit_job() -> None:
    audit_tables()
