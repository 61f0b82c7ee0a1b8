"""The verdict on a tortured platform: its history, its lake, and a rebuild from that lake."""

from __future__ import annotations

import psycopg

from totesys_dagster import settings
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.store import Store
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.operations.verify import verify
from totesys_dagster.postgres import Names, connect
from totesys_dagster_tests.torture import oracle


def judge(
    source: psycopg.Connection, names: Names, ingestion: Store, processed: Store
) -> oracle.Verdict:
    """Compare the warehouse of the settings with the oracle, verify the lake, and rebuild."""
    manifests = list(ManifestLog(ingestion).after(0))
    with connect(settings.admin_setting()) as warehouse:
        verdict = oracle.judge(source, warehouse, manifests)
        findings = verify(warehouse, names, ingestion, processed).findings
        rebuilt = rebuild(
            warehouse,
            names,
            ingestion,
            processed,
            quarantine_limit=0,
        )
    verdict.broken_links = len(findings)
    verdict.examples += findings
    verdict.rebuilt_otherwise = sum((rebuilt.different or {}).values())
    return verdict
