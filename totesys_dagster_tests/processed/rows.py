"""Rows of ToteSys as the tests write them: JSON Lines for contracts, frames for transforms."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pyarrow as pa

from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES
from totesys_dagster.processed.transform import project, to_arrow

# A good row of each table, as `row_to_json` prints it.
LINES = {
    "address": {
        "address_id": "1",
        "address_line_1": '"6826 Herzog Via"',
        "address_line_2": "null",
        "district": '"Avon"',
        "city": '"New Patienceburgh"',
        "postal_code": '"28441"',
        "country": '"Turkey"',
        "phone": '"1803 637401"',
        "created_at": '"2022-11-03T14:20:49.962"',
        "last_updated": '"2022-11-03T14:20:49.962"',
    },
    "counterparty": {
        "counterparty_id": "1",
        "counterparty_legal_name": '"Fahey and Sons"',
        "legal_address_id": "1",
        "commercial_contact": "null",
        "delivery_contact": "null",
        "created_at": '"2022-11-03T14:20:51.563"',
        "last_updated": '"2022-11-03T14:20:51.563"',
    },
    "currency": {
        "currency_id": "1",
        "currency_code": '"GBP"',
        "created_at": '"2022-11-03T14:20:49.962"',
        "last_updated": '"2022-11-03T14:20:49.962"',
    },
    "department": {
        "department_id": "1",
        "department_name": '"Sales"',
        "location": '"Manchester"',
        "manager": "null",
        "created_at": '"2022-11-03T14:20:49.962"',
        "last_updated": '"2022-11-03T14:20:49.962"',
    },
    "design": {
        "design_id": "1",
        "created_at": '"2022-11-03T14:20:49.962"',
        "design_name": '"Wooden"',
        "file_location": '"/usr"',
        "file_name": '"wooden-20220717-npgz.json"',
        "last_updated": '"2022-11-03T14:20:49.962"',
    },
    "payment": {
        "payment_id": "1",
        "created_at": '"2022-11-03T14:20:52.186"',
        "last_updated": '"2022-11-03T14:20:52.186"',
        "transaction_id": "2",
        "counterparty_id": "1",
        "payment_amount": "169309.68",
        "currency_id": "2",
        "payment_type_id": "1",
        "paid": "false",
        "payment_date": '"2022-11-08"',
        "company_ac_number": "67305075",
        "counterparty_ac_number": "31622269",
    },
    "payment_type": {
        "payment_type_id": "1",
        "payment_type_name": '"SALES_RECEIPT"',
        "created_at": '"2022-11-03T14:20:49.962"',
        "last_updated": '"2022-11-03T14:20:49.962"',
    },
    "purchase_order": {
        "purchase_order_id": "1",
        "created_at": '"2022-11-03T14:20:52.187"',
        "last_updated": '"2022-11-03T14:20:52.187"',
        "staff_id": "2",
        "counterparty_id": "2",
        "item_code": '"ZDOI5EA"',
        "item_quantity": "371",
        "item_unit_price": "361.39",
        "currency_id": "3",
        "agreed_delivery_date": '"2022-11-09"',
        "agreed_payment_date": '"2022-11-07"',
        "agreed_delivery_location_id": "1",
    },
    "sales_order": {
        "sales_order_id": "1",
        "created_at": '"2022-11-03T14:20:52.186"',
        "last_updated": '"2022-11-03T14:20:52.186"',
        "design_id": "1",
        "staff_id": "1",
        "counterparty_id": "1",
        "units_sold": "42972",
        "unit_price": "3.94",
        "currency_id": "2",
        "agreed_delivery_date": '"2022-11-07"',
        "agreed_payment_date": '"2022-11-08"',
        "agreed_delivery_location_id": "2",
    },
    "staff": {
        "staff_id": "1",
        "first_name": '"Jeremie"',
        "last_name": '"Franey"',
        "department_id": "1",
        "email_address": '"jeremie.franey@terrifictotes.com"',
        "created_at": '"2022-11-03T14:20:51.563"',
        "last_updated": '"2022-11-03T14:20:51.563"',
    },
    "transaction": {
        "transaction_id": "1",
        "transaction_type": '"SALE"',
        "sales_order_id": "1",
        "purchase_order_id": "null",
        "created_at": '"2022-11-03T14:20:52.186"',
        "last_updated": '"2022-11-03T14:20:52.186"',
    },
}


# The currencies that there are in most tests.
CURRENCIES = {"EUR": "Euro", "GBP": "Pound Sterling", "JPY": "Yen", "USD": "US Dollar"}


def line(table: str, **changes: str | None) -> bytes:
    """A good row of a table as a line, but for the columns given as JSON text.

    A column that is given as None is left out.
    """
    columns = LINES[table] | changes
    text = ",".join(f'"{name}":{value}' for name, value in columns.items() if value is not None)
    return f"{{{text}}}\n".encode()


def frame(table: str, *rows: dict[str, Any]) -> pd.DataFrame:
    """Accepted rows of a source table; columns that a test does not show are NULL."""
    schema = pa.schema((c.name, c.arrow_type) for c in SOURCE_TABLES[table].columns)
    accepted: pd.DataFrame = pa.Table.from_pylist(list(rows), schema).to_pandas(
        types_mapper=pd.ArrowDtype
    )
    return accepted


def transformed(star: str, base: pd.DataFrame, *parents: pd.DataFrame) -> pd.DataFrame:
    """A star table's rows, from accepted rows of its base and of the tables that it looks up."""
    table = STAR_TABLES[star]
    named = dict(zip(table.sources[1:], parents, strict=True))
    return project(table, base, named, CURRENCIES)


def as_stored(star: str, rows: pd.DataFrame) -> list[tuple[Any, ...]]:
    """What a transform gave, through the types in which the processed zone stores it."""
    return as_tuples(to_arrow(STAR_TABLES[star], rows))


def as_tuples(table: pa.Table) -> list[tuple[Any, ...]]:
    """The rows of a table as plain Python values."""
    return list(zip(*(column.to_pylist() for column in table.columns), strict=True))
