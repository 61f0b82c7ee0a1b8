"""What a run of a batch is planned to materialize and check: Dagster plans events only for that.

If a batch turns out to touch more, that is materialized and checked, too.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import NamedTuple

import dagster as dg

from totesys_dagster.catalogue import (
    INGESTION,
    PROCESSED,
    SOURCE_TABLES,
    STAR_TABLES,
    WAREHOUSE,
    StarTable,
)
from totesys_dagster.lake.receipt import stars_reading
from totesys_dagster.metadata import asset_key
from totesys_dagster.processed.assets import CONTRACT


class Selection(NamedTuple):
    """Assets, and those of their checks that can stop the run: each planned check costs two more
    events."""

    assets: list[dg.AssetKey]
    checks: list[dg.AssetCheckKey]


def to_capture(changed: Collection[str]) -> Selection:
    """For a run that captures these tables and takes them all the way. If no star reads them,
    nothing in the run would make a load wait for the commit, so `new_batches` loads the batch.
    """
    raw = [asset_key(INGESTION, table) for table in SOURCE_TABLES if table in changed]
    stars = stars_reading(changed)
    rest = to_process_and_load(stars) if stars else Selection([], [])
    return Selection([*raw, *rest.assets], rest.checks)


def to_process(stars: Iterable[StarTable]) -> Selection:
    keys = [asset_key(PROCESSED, star.name) for star in stars]
    return Selection(keys, [dg.AssetCheckKey(key, CONTRACT) for key in keys])


def to_load(stars: Collection[StarTable]) -> Selection:
    """A batch that touches no table is loaded, too."""
    return Selection(
        [asset_key(WAREHOUSE, star.name) for star in stars or STAR_TABLES.values()], []
    )


def to_process_and_load(stars: Collection[StarTable]) -> Selection:
    processed = to_process(stars)
    return Selection([*processed.assets, *to_load(stars).assets], processed.checks)
