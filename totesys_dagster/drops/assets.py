"""The assets of each file contract: delivered files, processed ones, and the table."""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from totesys_dagster.catalogue import INGESTION, FileContract
from totesys_dagster.characters import visible
from totesys_dagster.drops.deliver import Delivered, deliver
from totesys_dagster.drops.file_feeds import FILE_FEEDS
from totesys_dagster.drops.place import Drops
from totesys_dagster.feeds.assets import processed_asset, warehouse_asset
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.metadata import OWNERS, asset_key, remedy
from totesys_dagster.resources import Lake, clear_failures
from totesys_dagster.words import counted

TAKEN = "taken"
# How many names the UI lists.
SHOWN = 20


def raw_asset(contract: FileContract, feed: Feed) -> dg.AssetsDefinition:
    """`ingestion/<feed>`: every file as it was delivered, and the check `taken`."""
    key = asset_key(INGESTION, feed.name)

    @dg.multi_asset(
        name=f"deliver_{feed.name}",
        specs=[
            dg.AssetSpec(
                key,
                description=f"{feed.title}: each file under {contract.location} in the place of the"
                " drops, byte for byte as it came. Another version of a file is a delivery of its"
                " own.",
                group_name=INGESTION,
                kinds={"file"},
                owners=OWNERS,
                tags={"zone": INGESTION, "kind": "feed"},
                metadata=_definition(contract),
            )
        ],
        check_specs=[
            dg.AssetCheckSpec(
                TAKEN,
                asset=key,
                description="Every file in the place of the drops could be read."
                + remedy("let the platform read what it names.", "A delivery is refused"),
            )
        ],
    )
    def take(
        context: dg.AssetExecutionContext, lake: Lake
    ) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
        with clear_failures():
            done = deliver(feed, contract, Drops(), lake.ingestion(), context.run.run_id)
        for delivery in done.deliveries:
            context.log.info(f"Took delivery {delivery.sequence}, {visible(delivery.name)}.")
        yield dg.MaterializeResult(asset_key=key, metadata=_delivered(done))
        yield _taken(key, done)

    return take


def _definition(contract: FileContract) -> dict[str, Any]:
    columns = [
        dg.TableColumn(
            column.name,
            column.column.sql_type,
            description=column.column.description,
            constraints=dg.TableColumnConstraints(
                nullable=column.column.nullable, unique=contract.keys == (column.name,)
            ),
        )
        for column in contract.columns
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/table_name": contract.location,
    }


def _delivered(done: Delivered) -> dict[str, Any]:
    names = ", ".join(visible(delivery.name) for delivery in done.deliveries[:SHOWN])
    return {
        "deliveries": len(done.deliveries),
        "bytes": sum(delivery.body.bytes for delivery in done.deliveries),
        "replaced while they were read": len(done.replaced),
        **({"files": names} if names else {}),
    }


def _taken(key: dg.AssetKey, done: Delivered) -> dg.AssetCheckResult:
    found = done.unreadable
    return dg.AssetCheckResult(
        asset_key=key,
        check_name=TAKEN,
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{counted(len(found), 'path')} cannot be read." if found else None,
        metadata={visible(name): visible(why) for name, why in [*found.items()][:SHOWN]},
    )


FILE_ASSETS = [
    asset
    for contract, feed in FILE_FEEDS
    for asset in (raw_asset(contract, feed), processed_asset(feed), warehouse_asset(feed))
]
