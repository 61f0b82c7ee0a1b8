"""What the tables are: those of ToteSys and those of the warehouse, each declared once.

A table's module bears its name: `source/staff.py`, `stars/dim_staff.py`.
"""

from collections import ChainMap
from collections.abc import Mapping

from totesys_dagster.catalogue.assemble import joins_of
from totesys_dagster.catalogue.contract import (
    Archived,
    archived,
    contract,
    definition,
    needed_columns,
    relaxed,
    revision,
)
from totesys_dagster.catalogue.feeds import CONTRACTS, FEED_TABLES
from totesys_dagster.catalogue.files import FileColumn, FileContract
from totesys_dagster.catalogue.model import (
    TIMESTAMP_PATTERN,
    Component,
    Join,
    Kind,
    SourceColumn,
    SourceTable,
    StarColumn,
    StarTable,
    Type,
)
from totesys_dagster.catalogue.source import OTHER_TABLES, SOURCE_TABLES
from totesys_dagster.catalogue.stars import STAR_TABLES
from totesys_dagster.catalogue.zones import INGESTION, PROCESSED, WAREHOUSE

# All that the warehouse holds: the stars that ToteSys fills, and the tables that feeds fill.
WAREHOUSE_TABLES: Mapping[str, StarTable] = ChainMap(FEED_TABLES, STAR_TABLES)

JOINS: tuple[Join, ...] = joins_of(list(STAR_TABLES.values()))

__all__ = [
    "CONTRACTS",
    "FEED_TABLES",
    "INGESTION",
    "JOINS",
    "OTHER_TABLES",
    "PROCESSED",
    "SOURCE_TABLES",
    "STAR_TABLES",
    "TIMESTAMP_PATTERN",
    "WAREHOUSE",
    "WAREHOUSE_TABLES",
    "Archived",
    "Component",
    "FileColumn",
    "FileContract",
    "Join",
    "Kind",
    "SourceColumn",
    "SourceTable",
    "StarColumn",
    "StarTable",
    "Type",
    "archived",
    "contract",
    "definition",
    "needed_columns",
    "relaxed",
    "revision",
]
