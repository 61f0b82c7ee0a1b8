"""The tables of the warehouse, as one multi-asset: a batch is loaded in one transaction.

Each table is one thing kept current, and has no partitions. Materializing one loads everything that
is committed, processed and not yet loaded, in the order of the log.
"""

import datetime as dt
import time
from collections.abc import Iterator
from typing import Any

import dagster as dg

from totesys_dagster import descriptions, settings
from totesys_dagster.catalogue import PROCESSED, STAR_TABLES, WAREHOUSE, StarTable
from totesys_dagster.errors import NotProcessedError
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.store import Store
from totesys_dagster.metadata import OWNERS, asset_key, remedy, star_definition
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.resources import Lake, Warehouse, clear_failures
from totesys_dagster.runs.checks import log_check
from totesys_dagster.warehouse import ledger, schema
from totesys_dagster.warehouse.healing import request_healing
from totesys_dagster.warehouse.ledger import Loaded
from totesys_dagster.warehouse.load import load_batch
from totesys_dagster.warehouse.loads import Loads, TableLoads, Timing
from totesys_dagster.warehouse.standing import Audit
from totesys_dagster.words import counted


def _dependency(star: StarTable) -> dg.AssetDep:
    """A table's dependency on the processed table as a whole, not on partitions. Otherwise it would
    look out of date if the last batch did not touch it, and Dagster would scan all partitions."""
    return dg.AssetDep(
        asset_key(PROCESSED, star.name), partition_mapping=dg.SpecificPartitionsPartitionMapping([])
    )


SPECS = [
    dg.AssetSpec(
        asset_key(WAREHOUSE, star.name),
        deps=[_dependency(star)],
        description=descriptions.warehouse(star),
        skippable=True,
        group_name=WAREHOUSE,
        kinds={"postgres", "table"},
        owners=OWNERS,
        tags={"zone": WAREHOUSE, "kind": star.kind.value},
        metadata=star_definition(star, WAREHOUSE),
    )
    for star in STAR_TABLES.values()
]

CHECKS = [
    dg.AssetCheckSpec(
        "audit",
        asset=asset_key(WAREHOUSE, star.name),
        description=(
            "The calendar has no gaps, and every day is right."
            if star.base is None
            else "The current rows equal the source's. Each batch compares all rows of a small"
            " table, and of a large one those in the batch; all its rows are compared hourly."
        )
        + remedy(
            "the next capture reads the table in full, which repairs what was missed. If it keeps"
            " failing, `totesys status` says whether rows in quarantine are the cause, and `totesys"
            " rebuild` replaces rows that somebody has changed with those of the lake.",
            "The warehouse is lost, or wrong",
        ),
    )
    for star in STAR_TABLES.values()
]


@dg.multi_asset(name="load", specs=SPECS, check_specs=CHECKS, can_subset=True)
def warehouse_tables(
    context: dg.AssetExecutionContext, lake: Lake, warehouse: Warehouse
) -> Iterator[dg.AssetCheckResult]:
    """Load what is committed and processed, in order. Dimensions get their latest values, facts a
    version for each change."""
    with clear_failures(), warehouse.connect() as connection:
        names, log = warehouse.names(), lake.log()
        migrate(connection, warehouse)
        loads = Loads(last=ledger.check_log(connection, names, log))
        try:
            for loaded, timing in _load_all(
                context, connection, names, log, lake.processed(), loads.last
            ):
                loads.add(loaded, timing)
        finally:
            _report(context, names, loads)
        if not loads.last:
            context.log.info("There is nothing to load: the lake has no processed batch.")
            return
        head = log.read(loads.last)
        request_healing(connection, names, log.store, head.stars if loads.tables else None)
        if not loads.tables:
            _confirm(context, loads, ledger.outcome(connection, names, head, already=True))
        yield from _checks(context, loads)


def _load_all(
    context: dg.AssetExecutionContext,
    connection: Connection,
    names: Names,
    log: ManifestLog,
    processed: Store,
    after: int,
) -> Iterator[tuple[Loaded, Timing]]:
    """Load batch after batch, up to the first one that is not processed."""
    limit = settings.quarantine_limit()
    for manifest in log.after(after):
        start = time.monotonic()
        try:
            loaded = load_batch(
                connection, names, manifest, log.store, processed, quarantine_limit=limit
            )
        except NotProcessedError as error:
            context.log.warning(f"{error} Later batches wait for it.")
            return
        # terraform/modules/alerts counts this line, and raises an alarm if it does not appear.
        context.log.info(f"Batch {manifest.batch} is loaded as number {manifest.sequence}.")
        late = dt.datetime.now(dt.UTC) - manifest.observed_at
        yield loaded, Timing(time.monotonic() - start, max(late.total_seconds(), 0))


def migrate(connection: Connection, warehouse: Warehouse) -> None:
    """Bring the warehouse to what is declared, as the role that may do so, if one is set.

    Uses `connection` to check whether there is anything to do. Raises LoadError or SettingError.
    """
    names = warehouse.names()
    if not schema.is_up_to_date(connection, names):
        with warehouse.connect_as_admin() as admin:
            schema.migrate(admin, names)


def _report(context: dg.AssetExecutionContext, names: Names, loads: Loads) -> None:
    """Materialize exactly what the batches touched, whether or not it was selected."""
    for star, table in loads.tables.items():
        context.log_event(
            dg.AssetMaterialization(
                asset_key(WAREHOUSE, star), metadata=described(names, star, table)
            )
        )


def described(names: Names, star: str, table: TableLoads) -> dict[str, Any]:
    """The metadata about a table's loads."""
    return {"dagster/table_name": f"{names.schema}.{star}", **table.metadata(star)}


def _confirm(context: dg.AssetExecutionContext, loads: Loads, last: Loaded) -> None:
    """Nothing had to be loaded: the selected tables are current."""
    context.log.info(f"The warehouse holds everything that is processed, up to batch {last.batch}.")
    for key in sorted(context.selected_asset_keys):
        context.log_event(dg.AssetMaterialization(key, metadata={"sequence": last.sequence}))
    loads.audits.update(last.audits)


def _checks(context: dg.AssetExecutionContext, loads: Loads) -> Iterator[dg.AssetCheckResult]:
    """The checks that the run has to evaluate, and others whose rows were loaded or differ."""
    selected = context.selected_asset_check_keys
    for star, found in loads.audits.items():
        if dg.AssetCheckKey(asset_key(WAREHOUSE, star), "audit") in selected:
            yield audit_check(found)
        elif star in loads.tables or not found.equal:
            log_check(context, audit_check(found))


def audit_check(found: Audit) -> dg.AssetCheckResult:
    """A comparison as the result of a table's check `audit`."""
    return dg.AssetCheckResult(
        asset_key=asset_key(WAREHOUSE, found.star),
        check_name="audit",
        passed=found.equal,
        severity=dg.AssetCheckSeverity.WARN if found.explained else dg.AssetCheckSeverity.ERROR,
        description=None if found.equal else _why(found),
        metadata={
            "compared": "the whole table" if found.scope == "whole" else "the keys of the batch",
            "as of batch": found.sequence,
            "source as of": found.observed_at.isoformat(),
            "rows expected": found.expected_rows,
            "rows found": found.found_rows,
            "in quarantine": found.quarantined,
        },
    )


def _why(found: Audit) -> str:
    be = "is" if found.quarantined == 1 else "are"
    quarantined = f"{counted(found.quarantined, 'row')} {be} in quarantine"
    if STAR_TABLES[found.star].base is None:
        return (
            "The calendar has gaps or wrong days, which no batch causes: it was edited by hand, or"
            " this is a bug; run `totesys rebuild`."
        )
    if found.equal_without:
        return (
            f"The warehouse equals the source, except that {quarantined}; fix this in the source."
        )
    if found.explained:
        return (
            f"The warehouse differs from the source, and {quarantined}: fix this in the source."
            " The next audit shows whether anything else differs."
        )
    beyond = f" by more than what is in quarantine ({quarantined})" if found.quarantined else ""
    if found.full_read:
        return (
            f"The warehouse differs from the source{beyond} even after a full read: it was edited"
            " by hand, or this is a bug; run `totesys rebuild`."
        )
    return f"The warehouse differs from the source{beyond}: a full read has been requested."
