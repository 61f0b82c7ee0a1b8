"""The same three zones by DuckDB and its extension for PostgreSQL, in a few lines of SQL.

    python -m benchmarks.rivals.by_duckdb SOURCE WAREHOUSE DIRECTORY

Runs in an environment of its own (see `full.py`), where a wheel brings the extension.
"""

# DuckDB's extension is no dependency of this project.
# mypy: ignore-errors

import sys
from pathlib import Path

import duckdb
import duckdb_extension_postgres_scanner

from benchmarks.rivals.figures import FACT, KEYS, print_figures

ORDERS = """read_json('orders.jsonl', columns = {
    sales_order_id: 'int', created_at: 'timestamp', last_updated: 'timestamp', design_id: 'int',
    staff_id: 'int', counterparty_id: 'int', units_sold: 'int', unit_price: 'decimal(10,2)',
    currency_id: 'int', agreed_delivery_date: 'date', agreed_payment_date: 'date',
    agreed_delivery_location_id: 'int'})"""
THREE_ZONES = f"""
ATTACH '{{source}}' AS source (TYPE postgres, READ_ONLY);
ATTACH '{{warehouse}}' AS warehouse (TYPE postgres);
COPY (FROM source.public.sales_order) TO 'orders.jsonl' (FORMAT json);
COPY ({FACT.format("{orders}")}) TO 'fact.parquet' (COMPRESSION zstd);
CREATE TABLE warehouse.public.made AS FROM 'fact.parquet';
CALL postgres_execute('warehouse', '{KEYS}');
"""


def main(source: str, warehouse: str, directory: str) -> None:
    wheel = Path(duckdb_extension_postgres_scanner.__file__).parent
    [extension] = wheel.rglob(f"v{duckdb.__version__}/*.duckdb_extension")
    connection = duckdb.connect()
    connection.execute(f"LOAD '{extension}'; SET file_search_path TO '{directory}'")
    statements = THREE_ZONES.format(source=source, warehouse=warehouse, orders=ORDERS)
    print_figures(lambda: connection.execute(statements) and None)


if __name__ == "__main__":
    main(*sys.argv[1:])
