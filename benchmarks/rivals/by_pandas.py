"""What a first script does: a data frame to JSON and Parquet, and its rows inserted one by one.

    python -m benchmarks.rivals.by_pandas SOURCE WAREHOUSE DIRECTORY

Runs in the environment of the other rivals (see `full.py`).
"""

# pandas' stubs know no connection of psycopg2.
# mypy: ignore-errors

import sys
from pathlib import Path

import pandas as pd
import psycopg2
import sqlalchemy

from benchmarks.rivals.figures import CREATE, KEYS, print_figures


def fact(orders: pd.DataFrame) -> pd.DataFrame:
    made = pd.DataFrame({"sales_record_id": range(1, len(orders) + 1)})
    made["sales_order_id"] = orders["sales_order_id"]
    for moment, name in (("created_at", "created"), ("last_updated", "last_updated")):
        made[f"{name}_date"] = orders[moment].dt.date
        made[f"{name}_time"] = orders[moment].dt.time
    made["sales_staff_id"] = orders["staff_id"]
    for name in ("counterparty_id", "units_sold", "unit_price", "currency_id", "design_id"):
        made[name] = orders[name]
    for name in ("agreed_payment_date", "agreed_delivery_date"):
        made[name] = pd.to_datetime(orders[name]).dt.date
    made["agreed_delivery_location_id"] = orders["agreed_delivery_location_id"]
    return made.assign(batch_seq=1, observed_at=pd.Timestamp.now("UTC"), is_deleted=False)


def take(source: str, warehouse: str, directory: str) -> None:
    orders = pd.read_sql("SELECT * FROM sales_order", sqlalchemy.create_engine(source))
    lines = Path(directory, "orders.jsonl")
    orders.to_json(lines, orient="records", lines=True, date_format="iso")
    made = fact(orders)
    made.to_parquet(Path(directory, "fact.parquet"))
    insert = f"INSERT INTO made VALUES ({', '.join(['%s'] * len(made.columns))})"
    with psycopg2.connect(warehouse) as connection, connection.cursor() as cursor:
        cursor.execute(f"{CREATE}; {KEYS}")
        cursor.executemany(insert, made.itertuples(index=False, name=None))


def main(*arguments: str) -> None:
    print_figures(lambda: take(*arguments))


if __name__ == "__main__":
    main(*sys.argv[1:])
