"""The jobs that people and sensors launch."""

from typing import Any

import dagster as dg

from totesys_dagster.catalogue import INGESTION, PROCESSED, WAREHOUSE
from totesys_dagster.metadata import remedy, use
from totesys_dagster.orchestration.audits import audit_job
from totesys_dagster.orchestration.checks import LOG
from totesys_dagster.orchestration.file_jobs import FILE_JOBS
from totesys_dagster.orchestration.history import keep_history
from totesys_dagster.orchestration.rates import exchange_rate_history, exchange_rates
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

# Feeds have their own runs.
FEED_ASSETS = dg.AssetSelection.tag("kind", "feed")

capture = dg.define_asset_job(
    CAPTURE,
    selection=dg.AssetSelection.groups(INGESTION) - FEED_ASSETS,
    description="Capture one batch: what changed in ToteSys since the previous one. Its partition"
    " is the batch. A batch that exists is not captured again."
    + use(
        "use `whole_path` instead, which needs no partition and also loads the warehouse. The"
        " sensors launch this job when the warehouse cannot follow at once."
    )
    + remedy("the sensors try again after a pause; nothing is lost.", "A run is stuck"),
    tags={STAGE_TAG: CAPTURE_STAGE},
)

process = dg.define_asset_job(
    PROCESS,
    selection=dg.AssetSelection.groups(PROCESSED) - FEED_ASSETS,
    description="Process a batch: from raw tables to star tables in Parquet. Processing it again is"
    " harmless: the same rows give the same objects."
    + use("choose the batch as partition and, unless you want all, the tables. No configuration.")
    + remedy("the run's error names the batch and what to do.", "Rows are in quarantine"),
    tags={STAGE_TAG: PROCESS_STAGE},
)

load = dg.define_asset_job(
    LOAD,
    selection=dg.AssetSelection.groups(WAREHOUSE) - FEED_ASSETS,
    description="Load all processed batches into the warehouse, in the order of the log. Loading"
    " again is harmless: each batch is loaded once."
    + use("there is nothing to choose. No partition, no configuration.")
    + remedy("the run's error names the batch and what to do.", "The warehouse is lost, or wrong"),
    tags={STAGE_TAG: LOAD_STAGE},
)

batch_job = dg.define_asset_job(
    BATCH,
    selection=dg.AssetSelection.groups(INGESTION, PROCESSED, WAREHOUSE) - FEED_ASSETS,
    description="Take a batch all the way: capture, process, load and audit. The sensors start it"
    " for the tables that have changed."
    + use(
        "choose the batch as partition. A batch that exists is not captured again. To take what"
        " has changed since, launch `whole_path`."
    )
    + remedy(
        "the sensors retry it after a pause, which doubles each time, up to 15 minutes. If rows in"
        " quarantine stop a batch, its check `contract` says so.",
        "Rows are in quarantine",
    ),
    tags={STAGE_TAG: BATCH_STAGE},
)

verify_lake = dg.define_asset_job(
    VERIFY_LAKE,
    selection=dg.AssetSelection.checks_for_assets(LOG.key),
    description="Verify the lake: the chain of manifests, every object, and the last audits."
    + use("there is nothing to choose. It only reads.")
    + remedy("the check lists the findings.", "An object of the lake is lost or damaged"),
    tags={STAGE_TAG: VERIFY_STAGE},
)

page = dg.define_asset_job(
    REPORTS_PAGE,
    selection=dg.AssetSelection.assets(PAGE),
    description="Publish the report page, if a batch has been loaded since the last one."
    + use("there is nothing to choose. A page that you launch is not mailed.")
    + remedy("its error says why; the schedule retries later in the evening.", "A run is stuck"),
    tags={STAGE_TAG: PAGE_STAGE},
)


@dg.op
def capture_process_load(
    context: dg.OpExecutionContext, source: SourceDatabase, lake: Lake, warehouse: Warehouse
) -> None:
    """Take what changed all the way now, in separate runs."""
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
    context.log.info(f"Taken all the way: {', '.join(batches) or 'nothing, as nothing changed'}.")


@dg.job(
    name=WHOLE_PATH,
    description="Poll the source now, and take what changed all the way to the warehouse."
    + use("when you do not want to wait for the sensors. No partition, no configuration.")
    + remedy("its error quotes that of the run that failed.", "A run is stuck"),
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
    exchange_rates,
    exchange_rate_history,
    page,
    *FILE_JOBS.values(),
]
