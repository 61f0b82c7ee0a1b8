"""Which assets a run of a batch is to materialize: Dagster plans events for each, and for no other.

What a batch touches beyond that is materialized all the same.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

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


def to_capture(changed: Collection[str]) -> list[dg.AssetKey]:
    """The assets of a run that captures these tables and takes them the whole way."""
    raw = [asset_key(INGESTION, table) for table in SOURCE_TABLES if table in changed]
    return [*raw, *to_process(stars_reading(changed)), *to_load(stars_reading(changed))]


def to_process(stars: Iterable[StarTable]) -> list[dg.AssetKey]:
    """The assets of a run that processes these tables."""
    return [asset_key(PROCESSED, star.name) for star in stars]


def to_load(stars: Collection[StarTable]) -> list[dg.AssetKey]:
    """The assets of a run that loads these tables. A batch that touches none is loaded as well."""
    return [asset_key(WAREHOUSE, star.name) for star in stars or STAR_TABLES.values()]
