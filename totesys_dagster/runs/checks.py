"""Checks that a run reports although Dagster did not plan them for it."""

from __future__ import annotations

import dagster as dg


def log_check(
    context: dg.OpExecutionContext | dg.AssetExecutionContext, check: dg.AssetCheckResult
) -> None:
    """Report a check of an asset in a separate event. It stops nothing."""
    assert check.asset_key is not None
    # Missing in Dagster's types, although Dagster accepts it, as from an asset.
    context.log_event(
        dg.AssetCheckEvaluation(  # type: ignore[arg-type]
            asset_key=check.asset_key,
            check_name=str(check.check_name),
            passed=check.passed,
            metadata=dict(check.metadata),
            severity=check.severity,
            description=check.description,
        )
    )
