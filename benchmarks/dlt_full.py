"""The comparable job by dlt: sales orders to Parquet files, and to PostgreSQL by ADBC.

    python benchmarks/dlt_full.py BACKEND SOURCE_DSN WAREHOUSE_DSN DIRECTORY

Runs in an environment of its own (see `full.py`), which has nothing of this project. Prints the
seconds, the rows that arrived and the peak memory as JSON.
"""

# dlt is no dependency of this project.
# mypy: ignore-errors

import json
import os
import resource
import sys
import time
from pathlib import Path

import dlt
from dlt.destinations import filesystem, postgres
from dlt.sources.sql_database import sql_table


def main(backend: str, source: str, warehouse: str, directory: str) -> None:
    """Take the table both ways, one after the other, as two pipelines."""
    # dlt's fastest settings: Arrow from end to end, large chunks, no normalizing of values.
    os.environ["NORMALIZE__PARQUET_NORMALIZER__ADD_DLT_LOAD_ID"] = "false"
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"
    os.environ["RUNTIME__LOG_LEVEL"] = "CRITICAL"
    place = Path(directory, "dlt")
    destinations = {
        "files": filesystem(bucket_url=(place / "files").as_uri()),
        "warehouse": postgres(credentials=warehouse),
    }
    began = time.perf_counter()
    for name, destination in destinations.items():
        table = sql_table(
            credentials=source,
            table="sales_order",
            schema="public",
            backend=backend,
            chunk_size=100_000,
            reflection_level="full_with_precision",
        )
        pipeline = dlt.pipeline(
            f"{backend}_{name}",
            destination=destination,
            dataset_name="orders",
            pipelines_dir=str(place / "pipelines"),
        )
        # ADBC, which loads Parquet files into PostgreSQL, refuses the decimals that pyarrow makes;
        # those of ConnectorX are binary floats, and pass.
        by_csv = name == "warehouse" and backend == "pyarrow"
        form = "csv" if by_csv else "parquet"
        pipeline.run(table, loader_file_format=form, write_disposition="replace")
    seconds = time.perf_counter() - began
    with pipeline.sql_client() as client:
        rows = client.execute_sql("SELECT count(*) FROM sales_order")[0][0]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(json.dumps({"seconds": seconds, "rows": rows, "megabytes": peak}))


if __name__ == "__main__":
    main(*sys.argv[1:])
