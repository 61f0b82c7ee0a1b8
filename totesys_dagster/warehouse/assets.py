"""The tables of the warehouse, as one multi-asset: a batch is loaded in one transaction.

Several batches load in one run, in the order of the log, whatever order they were asked for in.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.catalogue import PROCESSED, STAR_TABLES, WAREHOUSE
from totesys_dagster.errors import ObjectMissingError
from totesys_dagster.lake.manifest import Manifest, ManifestLog, StarEntry
from totesys_dagster.metadata import (
    BATCHES,
    OWNERS,
    asset_key,
    star_definition,
)
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.resources import Lake, Warehouse, clear_failures
from totesys_dagster.warehouse import schema
from totesys_dagster.warehouse.healing import request_healing
from totesys_dagster.warehouse.ledger import Loaded
from totesys_dagster.warehouse.load import load_batch
from totesys_dagster.warehouse.standing import Audit
from totesys_dagster.words import counted

SPECS = [
    dg.AssetSpec(
        asset_key(WAREHOUSE, star.name),
        deps=[asset_key(PROCESSED, star.name)],
        description=star.description,
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
            "The calendar has no gap and every day is right."
            if star.base is None
            else "The current rows equal the source's: with each batch all rows of a small table,"
            " and of a large one those that the batch holds; all rows of it at least hourly."
        ),
    )
    for star in STAR_TABLES.values()
]

with warnings.catch_warnings():
    # Beta in Dagster 1.13, and needed: the batches of a backfill have to load in order.
    warnings.simplefilter("ignore", dg.BetaWarning)
    _ONE_RUN = dg.BackfillPolicy.single_run()


@dg.multi_asset(
    name="load",
    specs=SPECS,
    check_specs=CHECKS,
    partitions_def=BATCHES,
    can_subset=True,
    backfill_policy=_ONE_RUN,
)
def warehouse_tables(
    context: dg.AssetExecutionContext, lake: Lake, warehouse: Warehouse
) -> Iterator[dg.AssetCheckResult]:
    """Load batches: dimensions get their latest values, facts a version for each change."""
    with clear_failures(), warehouse.connect() as connection:
        names, log, processed = warehouse.names(), lake.log(), lake.processed()
        migrate(connection, warehouse)
        audits: dict[str, Audit] = {}
        compared: Mapping[str, StarEntry] = {}
        for manifest in _in_order(context, log):
            compared = manifest.stars
            loaded = load_batch(
                connection,
                names,
                manifest,
                log.store,
                processed,
                quarantine_limit=settings.quarantine_limit(),
            )
            _report(context, names, loaded)
            for star, found in loaded.audits.items():
                audits[star] = _worse(audits.get(star), found)
        request_healing(connection, names, log.store, compared)
        selected = context.selected_asset_check_keys
        for star, found in audits.items():
            if dg.AssetCheckKey(asset_key(WAREHOUSE, star), "audit") in selected:
                yield audit_check(found)


def migrate(connection: Connection, warehouse: Warehouse) -> None:
    """Bring the warehouse to what is declared, as the role that may, where one is set.

    `connection` looks whether there is anything to do. Raises LoadError or SettingError.
    """
    names = warehouse.names()
    if not schema.is_up_to_date(connection, names):
        with warehouse.connect_as_admin() as admin:
            schema.migrate(admin, names)


def _worse(before: Audit | None, found: Audit) -> Audit:
    """What holds of a table after two batches of a run: what a batch finds of some keys does not
    mend the difference that another has found."""
    if before is None or before.equal or found.scope == "whole" or not found.equal:
        return found
    return before


def _in_order(context: dg.AssetExecutionContext, log: ManifestLog) -> Sequence[Manifest]:
    """The manifests of the run's batches, oldest first.

    A range may span keys of captures that never committed; a single one must be in the lake.
    """
    keys = context.partition_keys
    manifests = []
    for key in keys:
        try:
            manifests.append(log.find(key))
        except ObjectMissingError:
            if len(keys) == 1:
                raise
            context.log.info(f"Batch {key} was never committed: there is nothing to load.")
    return sorted(manifests, key=lambda manifest: manifest.sequence)


def _report(context: dg.AssetExecutionContext, names: Names, loaded: Loaded) -> None:
    """Materialize what the batch touched, and nothing else, under the batch's own key."""
    if loaded.already:
        context.log.info(f"Batch {loaded.batch} was loaded before: nothing is left to do.")
    else:
        # terraform/modules/alerts counts this line, and raises an alarm when it stays away.
        context.log.info(f"Batch {loaded.batch} is loaded as number {loaded.sequence}.")
    for star, table in loaded.tables.items():
        key = asset_key(WAREHOUSE, star)
        if key not in context.selected_asset_keys:
            continue
        context.log_event(
            dg.AssetMaterialization(
                key,
                partition=loaded.batch,
                metadata={
                    "dagster/partition_row_count": table.staged,
                    "dagster/table_name": f"{names.schema}.{star}",
                    "sequence": loaded.sequence,
                    "new rows": table.inserted,
                    "new versions": table.updated,
                    "deletions": table.deleted,
                    "orphans": table.orphans,
                },
            )
        )


def audit_check(found: Audit) -> dg.AssetCheckResult:
    """What the check `audit` of a table says of a comparison."""
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
    quarantined = f"{counted(found.quarantined, 'row')} of it {be} in quarantine"
    if STAR_TABLES[found.star].base is None:
        return (
            "The calendar has gaps or wrong days, which no batch brings: it was edited by hand, or"
            " this is a bug; run `totesys rebuild`."
        )
    if found.equal_without:
        return f"The warehouse equals the source but for this: {quarantined}; fix it in the source."
    if found.explained:
        return (
            f"The warehouse differs from the source, and {quarantined}: fix it in the source;"
            " whether anything else differs is compared next."
        )
    beyond = f" by more than what is in quarantine ({quarantined})" if found.quarantined else ""
    if found.full_read:
        return (
            f"The warehouse differs from the source{beyond} even after a full read: it was edited"
            " by hand, or this is a bug; run `totesys rebuild`."
        )
    return f"The warehouse differs from the source{beyond}: a full read has been asked for."
