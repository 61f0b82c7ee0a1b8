"""The star tables in the processed zone: an asset each, created from the catalogue.

Its inputs are the tables that it reads: raw ones, except for the calendar, which is made from the
facts. `process.py` and `transform.py` do the work.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from totesys_dagster import descriptions, settings
from totesys_dagster.catalogue import INGESTION, PROCESSED, STAR_TABLES, Kind, StarTable, revision
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.quarantined import read_quarantine, too_many
from totesys_dagster.lake.raw import RawTable
from totesys_dagster.lake.receipt import ProcessedTable, Receipt, read_receipt
from totesys_dagster.lake.requests import accepted_rows
from totesys_dagster.metadata import (
    BATCHES,
    OWNERS,
    asset_key,
    remedy,
    star_definition,
)
from totesys_dagster.processed.process import FACTS, StarRows, calendar_rows, star_rows
from totesys_dagster.resources import Lake, clear_failures
from totesys_dagster.words import counted

CONTRACT = "contract"  # the check
# How many keys the check names for each broken rule; `totesys quarantine` lists all.
SHOWN_KEYS = 20

_CONTRACT_DESCRIPTION = (
    "Every row keeps its contract. Too many rows that do not will stop the batch."
    + remedy(
        "its metadata has the reasons, and `totesys quarantine --batch N` lists every row. Correct"
        " the rows in ToteSys, and the next batch brings them. To load a stopped batch, run"
        " `TOTESYS_QUARANTINE_LIMIT=<rows> totesys run`.",
        "Rows are in quarantine",
    )
)

Results = Iterator[dg.Output[StarRows] | dg.AssetCheckResult]


def _asset(star: StarTable) -> dg.AssetsDefinition:
    """The asset of a star table. Only a multi-asset may omit both output and check."""
    key = asset_key(PROCESSED, star.name)

    @dg.multi_asset(
        name="__".join(key.path),
        ins=_inputs(star),
        outs={star.name: _out(star, key)},
        partitions_def=BATCHES,
        can_subset=True,
        check_specs=[
            dg.AssetCheckSpec(CONTRACT, asset=key, blocking=True, description=_CONTRACT_DESCRIPTION)
        ],
    )
    def process(context: dg.AssetExecutionContext, **tables: Any) -> Results:
        if not context.has_partition_key:
            yield from _last_contract_check(context, star)
        elif star.base is not None:
            yield from _write(star_rows(star, *(tables[name] for name in star.sources)))
        elif waits_for := [one.star.name for one in tables.values() if one.is_missing]:
            # A fact changed after the poll, and this run has no step for it.
            context.log.info(f"{star.name} waits for {', '.join(waits_for)} to be processed.")
        else:
            yield from _write(calendar_rows(star, *tables.values()))

    return process


def _out(star: StarTable, key: dg.AssetKey) -> dg.AssetOut:
    return dg.AssetOut(
        key=key,
        description=descriptions.processed(star),
        is_required=False,
        io_manager_key="processed_io",
        group_name=PROCESSED,
        kinds={"pandas", "parquet"},
        owners=OWNERS,
        tags={"zone": PROCESSED, "kind": star.kind.value},
        metadata=star_definition(star, PROCESSED),
        code_version=revision(star),
    )


def _inputs(star: StarTable) -> dict[str, dg.AssetIn]:
    """The tables that the asset reads, each as an object that reads it part by part."""
    if star.kind is Kind.CALENDAR:
        return {
            fact.name: dg.AssetIn(asset_key(PROCESSED, fact.name), dagster_type=ProcessedTable)
            for fact in FACTS
        }
    return {
        name: dg.AssetIn(asset_key(INGESTION, name), dagster_type=RawTable) for name in star.sources
    }


def _write(rows: StarRows) -> Results:
    """Pass the rows to the I/O manager, which consumes them; then check the quarantine."""
    with clear_failures():
        yield dg.Output(rows, output_name=rows.star.name)
        assert rows.receipt is not None
        yield _contract_check(rows.star, rows.manifest, rows.receipt)


def _last_contract_check(
    context: dg.AssetExecutionContext, star: StarTable
) -> Iterator[dg.AssetCheckResult]:
    """The check of the last batch of the table, where a person executes it alone."""
    key, lake = asset_key(PROCESSED, star.name), Lake()
    entry = context.instance.get_latest_materialization_event(key)
    batch = entry.asset_materialization.partition if entry and entry.asset_materialization else None
    with clear_failures():
        manifest = lake.log().find(batch) if batch else None
        receipt = manifest and read_receipt(lake.processed(), star, manifest)
        if manifest and receipt:
            context.log.info(f"The last batch of {star.name} is {manifest.batch}.")
            yield _contract_check(star, manifest, receipt)
        else:
            context.log.info(f"No batch of {star.name} is processed yet.")


def _contract_check(star: StarTable, manifest: Manifest, receipt: Receipt) -> dg.AssetCheckResult:
    count, lake, limit = receipt.quarantined, Lake(), settings.quarantine_limit()
    if count > limit:
        limit = max(limit, accepted_rows(lake.ingestion(), manifest))
    stopped = count > limit
    description = (
        f"{counted(count, 'row')} in quarantine for breaking the contract." if count else None
    )
    if stopped:
        description = too_many(manifest.sequence, {star.name: count}, limit)
    return dg.AssetCheckResult(
        asset_key=asset_key(PROCESSED, star.name),
        check_name=CONTRACT,
        passed=not count,
        severity=dg.AssetCheckSeverity.ERROR if stopped else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={
            "rows": receipt.rows,
            "quarantined rows": count,
            **_quarantine(lake, receipt),
        },
    )


def _quarantine(lake: Lake, receipt: Receipt) -> dict[str, Any]:
    if not receipt.quarantined:
        return {}
    return {
        "quarantine": ", ".join(entry.key for entry in receipt.quarantine),
        "reasons": dg.MetadataValue.md(_reasons(lake, receipt)),
    }


def _reasons(lake: Lake, receipt: Receipt) -> str:
    """The rows in quarantine as a Markdown table: the number and the first keys for each reason."""
    keys: dict[tuple[str, str], list[int | None]] = {}
    for row in read_quarantine(lake.processed(), receipt):
        for reason in row.reasons:
            keys.setdefault((row.table, reason), []).append(row.key)
    lines = ["| table | reason | rows | keys |", "| --- | --- | ---: | --- |"]
    for (table, reason), found in sorted(keys.items(), key=lambda one: -len(one[1])):
        first = ", ".join("?" if key is None else str(key) for key in found[:SHOWN_KEYS])
        more = " …" if len(found) > SHOWN_KEYS else ""
        lines.append(f"| {table} | {reason} | {len(found):,} | {first}{more} |")
    return "\n".join(lines)


STAR_ASSETS = [_asset(star) for star in STAR_TABLES.values()]
