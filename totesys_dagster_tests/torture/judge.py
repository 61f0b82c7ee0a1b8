"""The verdict on a tortured platform: its history, its lake, and a rebuild from that lake.

Before that rebuild comes another one, from a lake in which somebody has forged a receipt.
"""

from __future__ import annotations

from collections.abc import Callable

import pyarrow as pa
import pyarrow.compute as pc

from totesys_dagster import settings
from totesys_dagster.catalogue import STAR_TABLES, revision
from totesys_dagster.errors import TotesysError
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.parts import part_stem
from totesys_dagster.lake.receipt import read_receipt, read_star, receipt_key, write_star
from totesys_dagster.lake.store import Store
from totesys_dagster.operations.rebuild import Rebuilt, rebuild
from totesys_dagster.operations.repair import repair
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

    What was changed `by_hand` leaves traces in the history, of which `verify` tells where they are
    in past rows of dimensions. A rebuild does away with them: what comes out is compared with the
    oracle again, verified again, and compared with one more rebuild.
    """
    manifests = list(ManifestLog(ingestion).after(0))

    def rebuild_once(warehouse: Connection) -> Rebuilt:
        return rebuild(
            warehouse, names, ingestion, processed, quarantine_limit=settings.quarantine_limit()
        )

    with connect(settings.admin_setting()) as warehouse:
        trusting = _rebuild_forged(ingestion, processed, lambda: rebuild_once(warehouse))
        verdict = oracle.judge(log, warehouse, manifests, by_hand=by_hand, large=large)
        findings = verify(warehouse, names, ingestion, processed).findings
        rebuilt = rebuild_once(warehouse)
        if by_hand:
            traces = tuple(f"The history of {star} is not what the lake" for star, _ in by_hand)
            findings = [finding for finding in findings if not finding.startswith(traces)]
            findings += verify(warehouse, names, ingestion, processed).findings
            verdict.add(oracle.judge(log, warehouse, manifests, large=large))
            rebuilt = rebuild_once(warehouse)
    verdict.broken_links = len(findings)
    verdict.examples += findings
    verdict.rebuilt_otherwise = sum((rebuilt.different or {}).values()) + trusting
    return verdict


def _rebuild_forged(ingestion: Store, processed: Store, rebuild_once: Callable[[], object]) -> int:
    """Rebuild from a lake with a forged receipt, and make that again: 1 if the rebuild trusted it,
    0 if it refused, or there is nothing to forge."""
    number = forge(ingestion, processed)
    if not number:
        return 0
    try:
        rebuild_once()
    except TotesysError:
        return 0
    else:
        return 1
    finally:
        repair(ingestion, processed, [(number, FORGED)])


FORGED = "fact_sales_order"


def forge(ingestion: Store, processed: Store) -> int:
    """Forge the receipt of the last batch with orders: names, hashes and counts agree, and a number
    of bags is another one. Returns the batch, 0 where there is none."""
    star, found = STAR_TABLES[FORGED], None
    for manifest in ManifestLog(ingestion).after(0):
        receipt = read_receipt(processed, star, manifest)
        found = receipt if receipt is not None and receipt.objects else found
    if found is None:
        return 0
    rows = read_star(processed, star, found.objects[0])
    at = star.column_names.index("units_sold")
    other = pc.add(rows["units_sold"], pa.scalar(1, pa.int32()))
    stem = part_stem("rows", f"{star.name}/{revision(star)}", found.batch)
    entry = write_star(processed, star, stem, 0, rows.set_column(at, "units_sold", other))
    forged = found.model_copy(update={"objects": (entry, *found.objects[1:])})
    processed.replace(receipt_key(star, found.batch), forged.to_bytes())
    return found.sequence
