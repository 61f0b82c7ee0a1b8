"""The jobs that people and sensors launch."""

import warnings
from typing import Any

import dagster as dg

from totesys_dagster.catalogue import INGESTION, PROCESSED, WAREHOUSE
from totesys_dagster.orchestration.archive import archive_batches
from totesys_dagster.orchestration.audits import audit_job
from totesys_dagster.orchestration.checks import LOG
from totesys_dagster.orchestration.whole_path import run_path
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse, clear_failures
from totesys_dagster.runs.tags import (
    CAPTURE,
    CAPTURE_STAGE,
    LOAD,
    LOAD_STAGE,
    PROCESS,
    PROCESS_AND_LOAD,
    PROCESS_STAGE,
    STAGE_TAG,
    VERIFY_LAKE,
    VERIFY_STAGE,
    WHOLE_PATH,
    WHOLE_STAGE,
)

# A backfill loads in one run but processes in many, which matters to no run of this job: it is
# always given one batch.
warnings.filterwarnings("ignore", message="Asset job process_and_load materializes assets with")

capture = dg.define_asset_job(
    CAPTURE,
    selection=dg.AssetSelection.groups(INGESTION),
    description="Capture one batch. Its partition is the batch: add the next sequence, ten digits"
    " long.",
    tags={STAGE_TAG: CAPTURE_STAGE},
)

process = dg.define_asset_job(
    PROCESS,
    selection=dg.AssetSelection.groups(PROCESSED),
    description="Process a batch: raw tables to Parquet tables of the stars.",
    tags={STAGE_TAG: PROCESS_STAGE},
)

load = dg.define_asset_job(
    LOAD,
    selection=dg.AssetSelection.groups(WAREHOUSE),
    description="Load processed batches into the warehouse, several of them in one run, in order.",
    tags={STAGE_TAG: LOAD_STAGE},
)

process_and_load = dg.define_asset_job(
    PROCESS_AND_LOAD,
    selection=dg.AssetSelection.groups(PROCESSED, WAREHOUSE),
    description="Process a batch and load it into the warehouse.",
    tags={STAGE_TAG: LOAD_STAGE},
)

verify_lake = dg.define_asset_job(
    VERIFY_LAKE,
    selection=dg.AssetSelection.checks_for_assets(LOG.key),
    description="Verify the lake: the chain of manifests, every object, and the last audits.",
    tags={STAGE_TAG: VERIFY_STAGE},
)


@dg.op
def capture_process_load(
    context: dg.OpExecutionContext, source: SourceDatabase, lake: Lake, warehouse: Warehouse
) -> None:
    """Take one batch the whole way now. Each step is a run of its own, listed in the log."""
    with clear_failures():
        reports = run_path(
            context.instance,
            context.repository_def.get_job,
            source,
            lake,
            warehouse,
            progress=context.log.info,
        )
    batches = [report.manifest.batch for report in reports]
    context.log.info(f"Taken the whole way: {', '.join(batches) or 'nothing, nothing changed'}.")


@dg.job(
    name=WHOLE_PATH,
    description="Look at the source now and take what changed all the way to the warehouse.",
    tags={STAGE_TAG: WHOLE_STAGE},
)
def whole_path() -> None:
    capture_process_load()


JOBS: list[Any] = [
    capture,
    process,
    load,
    process_and_load,
    whole_path,
    audit_job,
    verify_lake,
    archive_batches,
]
