"""The feeds of the platform."""

from totesys_dagster.drops.file_feeds import FILE_FEEDS
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.rates.process import EXCHANGE_RATES

FEEDS: tuple[Feed, ...] = (EXCHANGE_RATES, *(feed for _, feed in FILE_FEEDS))
