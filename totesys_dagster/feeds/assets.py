"""The assets that every feed has: its processed deliveries, and its table in the warehouse.

They have no partitions: each takes everything that was delivered and not yet taken. How deliveries
are received differs from feed to feed, so the raw asset is declared with the feed.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dagster as dg

from totesys_dagster import descriptions, settings
from totesys_dagster.catalogue import INGESTION, PROCESSED, WAREHOUSE
from totesys_dagster.characters import visible
from totesys_dagster.errors import LoadError
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.feeds.load import FeedLoad, load_all
from totesys_dagster.feeds.process import process_up_to
from totesys_dagster.feeds.receive import log_of
from totesys_dagster.feeds.refused import refused
from totesys_dagster.feeds.verify import verify_feed
from totesys_dagster.lake.feed_receipt import FeedReceipt
from totesys_dagster.lake.receipt import read_star
from totesys_dagster.lake.verification import Verification
from totesys_dagster.metadata import OWNERS, asset_key, preview, remedy, star_definition
from totesys_dagster.postgres.sessions import Connection, Names, failures
from totesys_dagster.resources import Lake, Warehouse, clear_failures
from totesys_dagster.warehouse.assets import migrate
from totesys_dagster.words import counted

_CONTRACT = "No delivery is refused, except those that were replaced." + remedy(
    "`totesys status` names what was refused; correct it and deliver it again.",
    "A delivery is refused",
)
_AUDIT = (
    "Every version is what the deliveries in the lake give, found out by other code than that which"
    " loads them."
    + remedy(
        "`totesys rebuild` replaces rows that differ with the lake's.",
        "The warehouse is lost, or wrong",
    )
)

LISTED = "listed"
_EXPECTED = "Every value is one that the dimension has in which its contract expects it." + remedy(
    "correct the file and deliver it again under its name, or do nothing if the value is right.",
    "A delivery is refused",
)


def _spec(
    feed: Feed, key: dg.AssetKey, deps: Sequence[dg.AssetKey], description: str, kinds: set[str]
) -> dg.AssetSpec:
    zone = key.path[0]
    return dg.AssetSpec(
        key,
        deps=deps,
        description=description,
        group_name=zone,
        kinds=kinds,
        owners=OWNERS,
        tags={"zone": zone, "kind": "feed"},
        metadata=star_definition(feed.table, zone),
    )


def processed_asset(feed: Feed, *more: dg.AssetKey) -> dg.AssetsDefinition:
    """`processed/<feed>`: Parquet of every delivery, and the check `contract`. `more` are other raw
    assets with deliveries in the feed's log, besides the one with its name."""
    key = asset_key(PROCESSED, feed.name)

    @dg.multi_asset(
        name=f"process_{feed.name}",
        specs=[
            _spec(
                feed,
                key,
                [asset_key(INGESTION, feed.name), *more],
                f"{feed.title}, as Parquet. {feed.table.description}",
                {"parquet"},
            )
        ],
        check_specs=[dg.AssetCheckSpec("contract", asset=key, description=_CONTRACT)],
    )
    def process(
        context: dg.AssetExecutionContext, lake: Lake
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        with clear_failures():
            ingestion, processed = lake.ingestion(), lake.processed()
            head, receipt = log_of(feed, ingestion).head(), None
            if head is None:
                context.log.info(f"{feed.title}: nothing has been delivered yet.")
            else:
                [*_, (_, receipt)] = process_up_to(feed, head, ingestion, processed)
            yield dg.MaterializeResult(asset_key=key, metadata=_processed(feed, lake, receipt))
            found = refused(feed, ingestion, processed)
            yield dg.AssetCheckResult(
                asset_key=key,
                check_name="contract",
                passed=not found,
                severity=dg.AssetCheckSeverity.WARN,
                description=f"{counted(len(found), 'delivery')} refused." if found else None,
                metadata={visible(name): why for name, why in [*found.items()][:20]},
            )

    return process


def _processed(feed: Feed, lake: Lake, receipt: FeedReceipt | None) -> dict[str, Any]:
    if receipt is None:
        return {"deliveries": 0}
    found: dict[str, Any] = {"deliveries": receipt.sequence, "rows of the last one": receipt.rows}
    if receipt.objects:
        rows = read_star(lake.processed(), feed.table, receipt.objects[0])
        found["dagster/uri"] = lake.processed().uri(receipt.objects[0].key)
        found["preview"] = preview(rows, ())
    return found


def warehouse_asset(
    feed: Feed, prepare: Callable[[Connection, Names], object] = lambda *_: None
) -> dg.AssetsDefinition:
    """`warehouse/<table>`: every delivery loaded, and the checks `audit` and, if the feed knows
    doubts, `listed`. `prepare` is called first, with a migrated warehouse."""
    key = asset_key(WAREHOUSE, feed.table.name)

    @dg.multi_asset(
        name=f"load_{feed.name}",
        specs=[
            _spec(
                feed,
                key,
                [asset_key(PROCESSED, feed.name)],
                descriptions.warehouse(feed.table),
                {"postgres", "table"},
            )
        ],
        check_specs=[
            dg.AssetCheckSpec("audit", asset=key, description=_AUDIT),
            *([dg.AssetCheckSpec(LISTED, asset=key, description=_EXPECTED)] if feed.doubts else []),
        ],
    )
    def load(
        context: dg.AssetExecutionContext, lake: Lake, warehouse: Warehouse
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        with clear_failures(), warehouse.connect() as connection:
            ingestion, processed, names = lake.ingestion(), lake.processed(), warehouse.names()
            migrate(connection, warehouse)
            prepare(connection, names)
            loads = []
            for one in load_all(connection, names, feed, ingestion, processed):
                loads.append(one)
                context.log.info(
                    f"Loaded delivery {one.delivery.sequence}, {visible(one.delivery.name)}."
                )
            yield dg.MaterializeResult(asset_key=key, metadata=_loaded(loads))
            found = verify_feed(connection, names, feed, ingestion, processed)
            yield from _checked(feed, key, found, connection, names)

    return load


def _checked(
    feed: Feed, key: dg.AssetKey, found: Verification, connection: Connection, names: Names
) -> Iterator[dg.AssetCheckResult]:
    """The checks of a feed's table in the warehouse."""
    yield dg.AssetCheckResult(
        asset_key=key,
        check_name="audit",
        passed=found.passed,
        description=" ".join(found.findings[:5]) or None,
        metadata={"deliveries": found.batches, "objects": found.objects},
    )
    if feed.doubts:
        with failures(LoadError, f"a read of {feed.table.name}"):
            doubts = feed.doubts(connection, names)
        yield dg.AssetCheckResult(
            asset_key=key,
            check_name=LISTED,
            passed=not doubts,
            severity=dg.AssetCheckSeverity.WARN,
            description=" ".join(doubts) or None,
        )


def _loaded(loads: list[FeedLoad]) -> dict[str, Any]:
    return {
        "deliveries loaded": len(loads),
        "new": sum(load.inserted for load in loads),
        "changed": sum(load.updated for load in loads),
        "deleted": sum(load.deleted for load in loads),
        "schema": settings.warehouse_schema(),
    }
