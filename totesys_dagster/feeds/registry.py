"""The feeds of the platform."""

from totesys_dagster.drops.file_feeds import FILE_FEEDS
from totesys_dagster.feeds.feed import Feed

FEEDS: tuple[Feed, ...] = tuple(feed for _, feed in FILE_FEEDS)
