"""Write tables.json, the columns of both zones for Athena, from the platform's catalogue.

    python terraform/modules/catalog/make_tables.py

A test holds that the file says what the catalogue says.
"""

import json
from pathlib import Path

from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES
from totesys_dagster.catalogue.model import Type

FILE = Path(__file__).with_name("tables.json")

# A time of day is stored as a number, as Athena cannot read Parquet's TIME.
PARQUET_TYPES = {
    Type.INTEGER: "int",
    Type.TEXT: "string",
    Type.MONEY: "decimal(10,2)",
    Type.BOOLEAN: "boolean",
    Type.DATE: "date",
    Type.TIME: "bigint",
    Type.TIMESTAMP: "timestamp",
}

MICROSECONDS = " In microseconds since midnight."


def tables() -> str:
    """The content of the file."""
    ingestion = {
        table.name: {
            "meaning": table.meaning,
            # Rows as they arrived, bad ones included: every value is text, to be cast in the query.
            "columns": [
                {"name": column.name, "type": "string", "meaning": column.meaning}
                for column in table.columns
            ],
        }
        for table in SOURCE_TABLES.values()
    }
    processed = {
        star.name: {
            "meaning": star.meaning,
            "version": star.version,
            "columns": [
                {
                    "name": column.name,
                    "type": PARQUET_TYPES[column.type],
                    "meaning": column.meaning + (MICROSECONDS if column.type is Type.TIME else ""),
                }
                for column in star.columns
            ],
        }
        for star in STAR_TABLES.values()
    }
    return json.dumps({"ingestion": ingestion, "processed": processed}, indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(tables())
