"""Everything of the platform, wired together: this is what Dagster loads.

    ToteSys ── ingestion/* ──▶ lake ── processed/* ──▶ lake ── warehouse/* ──▶ warehouse

Follow it from here: `ingestion.assets`, `processed.assets` and `warehouse.assets` hold the assets,
`drops.assets` those of files that others deliver,
`orchestration` the jobs, sensors and schedules that run them, and the check of the lake as a whole.
All settings come from the environment.
`totesys_dagster.local.definitions` is the same with an embedded default for what is not set.
"""

import os
import warnings
from pathlib import Path

import dagster as dg

from totesys_dagster import private, settings
from totesys_dagster.alerting.alerts import alerts
from totesys_dagster.drops.assets import FILE_ASSETS
from totesys_dagster.ingestion.assets import raw_tables
from totesys_dagster.ingestion.io_manager import JsonLinesIOManager
from totesys_dagster.orchestration.checks import LOG, lake_verified
from totesys_dagster.orchestration.jobs import JOBS
from totesys_dagster.orchestration.schedules import schedules
from totesys_dagster.orchestration.sensors import sensors
from totesys_dagster.page.assets import reports_page
from totesys_dagster.processed.assets import STAR_ASSETS
from totesys_dagster.processed.io_manager import ParquetIOManager
from totesys_dagster.rates.assets import RATE_ASSETS, sources_agree
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.warehouse.assets import warehouse_tables

private.write_privately()
settings.require_known(os.environ, Path(".env"))

with warnings.catch_warnings():
    # Links to code are beta in Dagster 1.13; without them the UI shows all but the links.
    warnings.simplefilter("ignore", dg.BetaWarning)
    _assets = dg.with_source_code_references(
        [
            raw_tables,
            *STAR_ASSETS,
            warehouse_tables,
            *RATE_ASSETS,
            *FILE_ASSETS,
            reports_page,
            LOG,
        ]
    )

_lake = Lake()

defs = dg.Definitions(
    assets=_assets,
    asset_checks=[lake_verified, sources_agree],
    jobs=JOBS,
    sensors=[*sensors(), alerts],
    schedules=schedules(),
    resources={
        "source": SourceDatabase(),
        "lake": _lake,
        "warehouse": Warehouse(),
        "ingestion_io": JsonLinesIOManager(lake=_lake),
        "processed_io": ParquetIOManager(lake=_lake),
    },
    # The steps of a run share one process: starting one for each would take longer than they do.
    executor=dg.in_process_executor,
)
