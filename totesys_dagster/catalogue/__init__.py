"""What the tables are: eleven of ToteSys and eleven of the warehouse, each declared once."""

from totesys_dagster.catalogue.model import (
    ARROW_TYPES,
    TIMESTAMP_PATTERN,
    Join,
    Kind,
    Part,
    SourceColumn,
    SourceTable,
    StarColumn,
    StarTable,
    Type,
)
from totesys_dagster.catalogue.source import OTHER_TABLES, SOURCE_TABLES
from totesys_dagster.catalogue.stars import JOINS, STAR_TABLES, contract, needed_columns
from totesys_dagster.catalogue.zones import INGESTION, PROCESSED, WAREHOUSE

__all__ = [
    "ARROW_TYPES",
    "INGESTION",
    "JOINS",
    "OTHER_TABLES",
    "PROCESSED",
    "SOURCE_TABLES",
    "STAR_TABLES",
    "TIMESTAMP_PATTERN",
    "WAREHOUSE",
    "Join",
    "Kind",
    "Part",
    "SourceColumn",
    "SourceTable",
    "StarColumn",
    "StarTable",
    "Type",
    "contract",
    "needed_columns",
]
