"""The whole platform, wired together: this is what Dagster loads.

    ToteSys ── ingestion/* ──▶ lake ── processed/* ──▶ lake ── warehouse/* ──▶ warehouse

Follow it from here: `ingestion.assets`, `processed.assets` and `warehouse.assets` hold the assets,
`drops.assets` those of files that others deliver,
`orchestration` the jobs, sensors and schedules that run them, and the check of the lake as a whole.
All settings come from the environment.
`totesys_dagster.local.definitions` is the same with an embedded default for what is not set.
"""

import os
from pathlib import Path

import dagster as dg

from totesys_dagster import json_logs, private, settings
from totesys_dagster.alerting.alerts import alerts
from totesys_dagster.code_links import linked
from totesys_dagster.dagster_insides import detach_tails
from totesys_dagster.drops.assets import FILE_ASSETS
from totesys_dagster.ingestion.assets import raw_tables
from totesys_dagster.ingestion.io_manager import JsonLinesIOManager
from totesys_dagster.orchestration.checks import LOG, lake_verified
from totesys_dagster.orchestration.jobs import JOBS
from totesys_dagster.orchestration.overview import HEARTBEAT, warehouse_is_equal
from totesys_dagster.orchestration.schedules import schedules
from totesys_dagster.orchestration.sensors import sensors
from totesys_dagster.page.assets import reports_page
from totesys_dagster.processed.assets import STAR_ASSETS
from totesys_dagster.processed.io_manager import ParquetIOManager
from totesys_dagster.rates.assets import RATE_ASSETS, sources_agree
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.warehouse.assets import warehouse_tables
from totesys_dagster.warehouse.report_assets import REPORT_SPECS

private.write_privately()
settings.require_known(os.environ, Path(".env"))
json_logs.configure()
detach_tails()

_assets = linked(
    [
        raw_tables,
        *STAR_ASSETS,
        warehouse_tables,
        *RATE_ASSETS,
        *FILE_ASSETS,
        reports_page,
        *REPORT_SPECS,
        LOG,
        HEARTBEAT,
    ]
)

_lake = Lake()

defs = dg.Definitions(
    assets=_assets,
    asset_checks=[lake_verified, sources_agree, warehouse_is_equal],
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
    # The steps of a run share one process: starting one per step would take longer than the steps.
    executor=dg.in_process_executor,
)
