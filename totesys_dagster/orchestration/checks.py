"""The lake as an asset, and the check that verifies it.

A run of batches includes every check of the assets that it selects. The verification reads the
whole lake, so it belongs to an asset that no such run selects: the log, which the raw and processed
tables make together. The log is external to Dagster, because no run materializes it.
"""

import datetime as dt
import time
from typing import Any

import dagster as dg

from totesys_dagster.catalogue import INGESTION, PROCESSED, SOURCE_TABLES, STAR_TABLES
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster.lake.verification import Verification
from totesys_dagster.metadata import OWNERS, asset_key, remedy
from totesys_dagster.operations.verify import due_at_night, verify
from totesys_dagster.resources import Lake, Warehouse, clear_failures
from totesys_dagster.words import counted

# About how many batches are verified per night; in a longer log, the older ones take turns.
NIGHTLY_BATCHES = 20_000
# How many findings the UI lists; `totesys verify` prints them all.
SHOWN = 20
# After how many batches the run logs its progress.
LOG_EVERY = 1000

LAKE = "lake"
# Names the metadata of the last verification.
VERIFICATION = "last verification"
LOG = dg.AssetSpec(
    asset_key(LAKE, "log"),
    deps=[
        *(asset_key(INGESTION, name) for name in SOURCE_TABLES),
        *(asset_key(PROCESSED, name) for name in STAR_TABLES),
    ],
    description="The log of batches: manifests, each with the hash of the one before it, and the"
    " objects of both zones that they name. The warehouse can be rebuilt from it alone.\n\n"
    "Its metadata shows its last batch and when it was last verified. The check `verified` reads it"
    " every night; *Execute* runs it now. `docs/lake-format.md` describes every object.",
    group_name=LAKE,
    kinds={"json", "parquet"},
    owners=OWNERS,
    tags={"zone": LAKE},
)


@dg.asset_check(
    asset=LOG.key,
    name="verified",
    blocking=True,  # fails the run, which sends an alert
    description="The chain of manifests is unbroken, every object of the lake is what was written,"
    " the last audit of each table found the warehouse equal to the source, and the past rows of"
    " dimensions are what the lake says. Beyond"
    f" {NIGHTLY_BATCHES:,} batches, the newest are verified every night and the older ones in turn;"
    " `totesys verify` verifies all."
    + remedy(
        "its metadata lists the findings. The warehouse is not touched: restore an object from"
        " the bucket's older versions, rebuild what differs, then run `totesys verify`.",
        "An object of the lake is lost or damaged",
    ),
)
def lake_verified(
    context: dg.AssetCheckExecutionContext, lake: Lake, warehouse: Warehouse
) -> dg.AssetCheckResult:
    """Do what `totesys verify` does, for part of a long log."""
    start = time.monotonic()
    night = dt.datetime.now(dt.UTC).toordinal()

    def tell(done: int, all_: int) -> None:
        if done % LOG_EVERY == 0:
            context.log.info(f"Verified batch {done} of {all_}.")

    with clear_failures(), warehouse.connect() as connection:
        found = verify(
            connection,
            warehouse.names(),
            lake.ingestion(),
            lake.processed(),
            progress=tell,
            blocks=lambda last: due_at_night(last, NIGHTLY_BATCHES, night),
        )
    if head := lake.log().head():
        context.op_execution_context.log_event(
            dg.AssetMaterialization(LOG.key, metadata=_verified(found, head.sequence))
        )
    return _result(found, time.monotonic() - start)


def _verified(found: Verification, batches: int) -> dict[str, Any]:
    """The log's metadata after a verification."""
    now = f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M:%S} UTC"
    outcome = counted(len(found.findings), "finding") if found.findings else "all as written"
    what = (
        f"{counted(found.batches, 'batch')}, {counted(found.deliveries, 'delivery')},"
        f" {counted(found.objects, 'object')}, {counted(found.bytes, 'byte')}"
    )
    return {
        "head": batch_key(batches),
        "batches": batches,
        VERIFICATION: f"{now}: {what}, {outcome}",
    }


def _result(found: Verification, seconds: float) -> dg.AssetCheckResult:
    return dg.AssetCheckResult(
        passed=found.passed,
        severity=dg.AssetCheckSeverity.ERROR,
        description=_description(found.findings),
        metadata={
            "batches": found.batches,
            "deliveries": found.deliveries,
            "objects": found.objects,
            "bytes": found.bytes,
            "audits": found.audits,
            "seconds": round(seconds, 3),
            **_listed(found.findings[:SHOWN]),
        },
    )


def _listed(findings: list[str]) -> dict[str, dg.MarkdownMetadataValue]:
    lines = "\n".join(f"1. {finding}" for finding in findings)
    return {"findings": dg.MetadataValue.md(lines)} if findings else {}


def _description(findings: list[str]) -> str | None:
    """The first finding, which is the first broken link, and how many more there are."""
    if not findings:
        return None
    others = len(findings) - 1
    more = f" ({others} more finding{'s' if others > 1 else ''})" if others else ""
    return findings[0] + more
