"""Rows of ToteSys as the tests write them: JSON Lines for contracts, frames for transforms."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pandas as pd
import pyarrow as pa

from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES, StarTable
from totesys_dagster.processed.transform import project, to_arrow
from totesys_dagster_tests import made_up

# A good row of each table, as `row_to_json` prints it. Columns and tables that were added since are
# made up.
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

# The columns that the tests' rows of a star show. One that was added since changes no row here:
# `catalogue/test_catalogue.py` lists all.
SHOWN = {
    star: names.split()
    for star, names in {
        "dim_date": "date_id year month day day_of_week day_name month_name quarter",
        "dim_counterparty": """
            counterparty_id counterparty_legal_name counterparty_legal_address_line_1
            counterparty_legal_address_line_2 counterparty_legal_district
            counterparty_legal_city counterparty_legal_postal_code
            counterparty_legal_country counterparty_legal_phone_number
        """,
        "dim_currency": "currency_id currency_code currency_name",
        "dim_design": "design_id design_name file_location file_name",
        "dim_location": """
            location_id address_line_1 address_line_2 district city postal_code country
            phone
        """,
        "dim_payment_type": "payment_type_id payment_type_name",
        "dim_staff": "staff_id first_name last_name department_name location email_address",
        "dim_transaction": "transaction_id transaction_type sales_order_id purchase_order_id",
        "fact_payment": """
            payment_id created_date created_time last_updated_date last_updated_time
            transaction_id counterparty_id payment_amount currency_id payment_type_id paid
            payment_date
        """,
        "fact_purchase_order": """
            purchase_order_id created_date created_time last_updated_date last_updated_time
            staff_id counterparty_id item_code item_quantity item_unit_price currency_id
            agreed_delivery_date agreed_payment_date agreed_delivery_location_id
        """,
        "fact_sales_order": """
            sales_order_id created_date created_time last_updated_date last_updated_time
            sales_staff_id counterparty_id units_sold unit_price currency_id design_id
            agreed_payment_date agreed_delivery_date agreed_delivery_location_id
        """,
    }.items()
}

# The currencies that there are in most tests.
CURRENCIES = {"EUR": "Euro", "GBP": "Pound Sterling", "JPY": "Yen", "USD": "US Dollar"}


def line(table: str, **changes: str | None) -> bytes:
    """A good row of a table as a line, but for the columns given as JSON text.

    A column that is given as None is left out.
    """
    columns = made_up.as_json(SOURCE_TABLES[table]) | LINES.get(table, {}) | changes
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


def shown(star: str, table: pa.Table) -> pa.Table:
    """A star's table with the columns that the tests' rows show, in the star's order."""
    names = table.column_names
    return table.select([name for name in names if name in SHOWN.get(star, names)])


def as_ordered(star: str) -> StarTable:
    """A star with the columns that the tests' rows show."""
    table = STAR_TABLES[star]
    return replace(table, columns=tuple(c for c in table.columns if c.name in SHOWN[star]))


def as_stored(star: str, rows: pd.DataFrame) -> list[tuple[Any, ...]]:
    """What a transform gave, through the types in which the processed zone stores it."""
    return as_tuples(star, to_arrow(STAR_TABLES[star], rows))


def as_tuples(star: str, table: pa.Table) -> list[tuple[Any, ...]]:
    """The rows of a star's table as plain Python values."""
    columns = shown(star, table).columns
    return list(zip(*(column.to_pylist() for column in columns), strict=True))
