"""The feeds of the platform."""

from totesys_dagster.feeds.feed import Feed

FEEDS: tuple[Feed, ...] = ()
