"""What the tables are: those of ToteSys and those of the warehouse, each declared once.

A table's module bears its name: `source/staff.py`, `stars/dim_staff.py`.
"""

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

JOINS: tuple[Join, ...] = joins_of(list(STAR_TABLES.values()))

__all__ = [
    "INGESTION",
    "JOINS",
    "OTHER_TABLES",
    "PROCESSED",
    "SOURCE_TABLES",
    "STAR_TABLES",
    "TIMESTAMP_PATTERN",
    "WAREHOUSE",
    "Archived",
    "Component",
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
