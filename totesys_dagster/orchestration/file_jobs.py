"""The jobs that take the files of a contract all the way to the warehouse."""

from typing import Any

import dagster as dg

from totesys_dagster.catalogue import INGESTION, PROCESSED, WAREHOUSE
from totesys_dagster.drops.file_feeds import FILE_FEEDS
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.metadata import asset_key, remedy, use
from totesys_dagster.runs.tags import FEED_STAGE, FEED_TAG, STAGE_TAG


def _job(feed: Feed) -> Any:
    return dg.define_asset_job(
        f"take_{feed.name}",
        selection=dg.AssetSelection.assets(
            asset_key(INGESTION, feed.name),
            asset_key(PROCESSED, feed.name),
            asset_key(WAREHOUSE, feed.table.name),
        ),
        description=f"{feed.title}: take delivered files all the way to the warehouse."
        + use("there is nothing to choose. The sensor `new_files` launches it when a file waits.")
        + remedy("its error names the file and what to do.", "A delivery is refused"),
        tags={STAGE_TAG: FEED_STAGE, FEED_TAG: feed.name},
    )


# By feed name.
FILE_JOBS: dict[str, Any] = {feed.name: _job(feed) for _, feed in FILE_FEEDS}
