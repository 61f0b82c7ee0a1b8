"""What a run of a batch is to materialize and to check: Dagster plans events for that alone.

What a batch touches beyond it is materialized and checked all the same.
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
    """Assets, and of their checks those that may stop the run: each that is planned costs two
    events more."""

    assets: list[dg.AssetKey]
    checks: list[dg.AssetCheckKey]


def to_capture(changed: Collection[str]) -> Selection:
    """For a run that captures these tables and takes them the whole way. Where no star reads them,
    nothing in the run would hold a load back until the batch is committed: `new_batches` loads it.
    """
    raw = [asset_key(INGESTION, table) for table in SOURCE_TABLES if table in changed]
    stars = stars_reading(changed)
    rest = to_process_and_load(stars) if stars else Selection([], [])
    return Selection([*raw, *rest.assets], rest.checks)


def to_process(stars: Iterable[StarTable]) -> Selection:
    keys = [asset_key(PROCESSED, star.name) for star in stars]
    return Selection(keys, [dg.AssetCheckKey(key, CONTRACT) for key in keys])


def to_load(stars: Collection[StarTable]) -> Selection:
    """A batch that touches no table is loaded as well."""
    return Selection(
        [asset_key(WAREHOUSE, star.name) for star in stars or STAR_TABLES.values()], []
    )


def to_process_and_load(stars: Collection[StarTable]) -> Selection:
    processed = to_process(stars)
    return Selection([*processed.assets, *to_load(stars).assets], processed.checks)
