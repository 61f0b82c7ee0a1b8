"""The verdict on a tortured platform: its history, its lake, and a rebuild from that lake."""

from __future__ import annotations

from totesys_dagster import settings
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.store import Store
from totesys_dagster.operations.rebuild import Rebuilt, rebuild
from totesys_dagster.operations.verify import verify
from totesys_dagster.postgres.sessions import Connection, Names, connect
from totesys_dagster_tests.torture import oracle
from totesys_dagster_tests.torture.oracle import ByHand, Log, Verdict


def judge(
    log: Log,
    names: Names,
    ingestion: Store,
    processed: Store,
    *,
    by_hand: ByHand = (),
    large: bool = False,
) -> Verdict:
    """Compare the warehouse of the settings with the oracle, verify the lake, and rebuild.

    What was changed `by_hand` leaves traces in the history, which a rebuild does away with: what
    comes out is compared with the oracle again, and with one more rebuild.
    """
    manifests = list(ManifestLog(ingestion).after(0))

    def rebuild_once(warehouse: Connection) -> Rebuilt:
        return rebuild(
            warehouse, names, ingestion, processed, quarantine_limit=settings.quarantine_limit()
        )

    with connect(settings.admin_setting()) as warehouse:
        verdict = oracle.judge(log, warehouse, manifests, by_hand=by_hand, large=large)
        findings = verify(warehouse, names, ingestion, processed).findings
        rebuilt = rebuild_once(warehouse)
        if by_hand:
            verdict.add(oracle.judge(log, warehouse, manifests, large=large))
            rebuilt = rebuild_once(warehouse)
    verdict.broken_links = len(findings)
    verdict.examples += findings
    verdict.rebuilt_otherwise = sum((rebuilt.different or {}).values())
    return verdict
