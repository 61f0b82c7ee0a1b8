"""The jobs that people and sensors launch."""

from typing import Any

import dagster as dg

from totesys_dagster.catalogue import INGESTION, PROCESSED, WAREHOUSE
from totesys_dagster.orchestration.audits import audit_job
from totesys_dagster.orchestration.checks import LOG
from totesys_dagster.orchestration.history import keep_history
from totesys_dagster.orchestration.whole_path import run_path
from totesys_dagster.page.assets import PAGE
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse, clear_failures
from totesys_dagster.runs.tags import (
    BATCH,
    BATCH_STAGE,
    CAPTURE,
    CAPTURE_STAGE,
    LOAD,
    LOAD_STAGE,
    PAGE_STAGE,
    PROCESS,
    PROCESS_STAGE,
    REPORTS_PAGE,
    STAGE_TAG,
    VERIFY_LAKE,
    VERIFY_STAGE,
    WHOLE_PATH,
    WHOLE_STAGE,
)

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
    description="Load all that is processed into the warehouse, in the order of the log.",
    tags={STAGE_TAG: LOAD_STAGE},
)

batch_job = dg.define_asset_job(
    BATCH,
    selection=dg.AssetSelection.groups(INGESTION, PROCESSED, WAREHOUSE),
    description="Take a batch the whole way: capture, process, load and audit. The sensors start it"
    " for the tables that have changed.",
    tags={STAGE_TAG: BATCH_STAGE},
)

verify_lake = dg.define_asset_job(
    VERIFY_LAKE,
    selection=dg.AssetSelection.checks_for_assets(LOG.key),
    description="Verify the lake: the chain of manifests, every object, and the last audits.",
    tags={STAGE_TAG: VERIFY_STAGE},
)

page = dg.define_asset_job(
    REPORTS_PAGE,
    selection=dg.AssetSelection.assets(PAGE),
    description="Publish the page of the reports, where a batch has come since the last one.",
    tags={STAGE_TAG: PAGE_STAGE},
)


@dg.op
def capture_process_load(
    context: dg.OpExecutionContext, source: SourceDatabase, lake: Lake, warehouse: Warehouse
) -> None:
    """Take one batch the whole way now, in a run of its own, which the log names."""
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
    batch_job,
    whole_path,
    audit_job,
    verify_lake,
    keep_history,
    page,
]
