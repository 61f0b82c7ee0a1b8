"""The comparable job by dlt: sales orders to Parquet files, and to PostgreSQL by ADBC.

    python -m benchmarks.rivals.by_dlt WAY SOURCE WAREHOUSE DIRECTORY

Runs in an environment of its own (see `full.py`), which has nothing of this project.
"""

# dlt is no dependency of this project.
# mypy: ignore-errors

import os
import sys
from pathlib import Path

import adbc_driver_postgresql.dbapi  # noqa: F401 (which dlt imports at its first use of it)
import connectorx  # noqa: F401 (the same)
import dlt
import pyarrow
from dlt.destinations import filesystem, postgres
from dlt.sources.sql_database import sql_table

from benchmarks.rivals.figures import print_figures

PRICE = pyarrow.decimal128(10, 2)
TWO_PARTITIONS = {"partition_num": 2, "partition_on": "sales_order_id"}
# Who reads, and how. ConnectorX makes any numeric column a decimal128(38,10), so what is declared
# has to be said again to be kept; SQLAlchemy, which reads for pyarrow, knows it.
WAYS = {
    "partitions": {"backend": "connectorx", "backend_kwargs": TWO_PARTITIONS},
    "exact": {"backend": "connectorx"},
    "pyarrow": {"backend": "pyarrow"},
}


def as_declared(orders: pyarrow.Table) -> pyarrow.Table:
    at = orders.schema.get_field_index("unit_price")
    return orders.set_column(at, "unit_price", orders.column(at).cast(PRICE))


def take(way: str, source: str, warehouse: str, directory: str) -> None:
    """Take the table both ways, one after the other, as two pipelines."""
    place = Path(directory)
    destinations = {
        "files": filesystem(bucket_url=(place / "files").as_uri()),
        "warehouse": postgres(credentials=warehouse),
    }
    for name, destination in destinations.items():
        table = sql_table(
            credentials=source,
            table="sales_order",
            schema="public",
            chunk_size=100_000,
            reflection_level="full_with_precision",
            **WAYS[way],
        )
        if way == "exact":
            table = table.add_map(as_declared)
        pipeline = dlt.pipeline(
            f"{way}_{name}",
            destination=destination,
            dataset_name="orders",
            pipelines_dir=str(place / "pipelines"),
        )
        pipeline.run(table, loader_file_format="parquet", write_disposition="replace")


def main(*arguments: str) -> None:
    # dlt's fastest settings: Arrow from end to end, large chunks, no normalizing of values.
    os.environ["NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID"] = "false"
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"
    print_figures(lambda: take(*arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
