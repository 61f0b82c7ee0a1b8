"""The tables of the warehouse that feeds fill, and not ToteSys: one module for each."""

from totesys_dagster.catalogue.discover import discover
from totesys_dagster.catalogue.model import StarTable

FEED_TABLES: dict[str, StarTable] = {table.name: table for table in discover(__name__)}
