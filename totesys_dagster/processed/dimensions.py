"""The eight dimensions, as pure functions of accepted source rows.

Each takes frames in Arrow types (see `contracts.accept`) and gives one row for each row of the
first, with the same index and the columns of the star table in their order. The calendar is made
from dates instead.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping

import pandas as pd
import pyarrow as pa

DAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
MONTH_NAMES = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)


def dim_date(first: dt.date, last: dt.date) -> pd.DataFrame:
    """Every day from `first` to `last`, both included. Names are English whatever the locale."""
    days = [first + dt.timedelta(days=n) for n in range((last - first).days + 1)]
    integer, text = pd.ArrowDtype(pa.int32()), pd.ArrowDtype(pa.string())
    return pd.DataFrame(
        {
            "date_id": pd.Series(days, dtype=pd.ArrowDtype(pa.date32())),
            "year": pd.Series([day.year for day in days], dtype=integer),
            "month": pd.Series([day.month for day in days], dtype=integer),
            "day": pd.Series([day.day for day in days], dtype=integer),
            "day_of_week": pd.Series([day.isoweekday() for day in days], dtype=integer),
            "day_name": pd.Series([DAY_NAMES[day.weekday()] for day in days], dtype=text),
            "month_name": pd.Series([MONTH_NAMES[day.month - 1] for day in days], dtype=text),
            "quarter": pd.Series([(day.month - 1) // 3 + 1 for day in days], dtype=integer),
        }
    )


def dim_staff(staff: pd.DataFrame, department: pd.DataFrame) -> pd.DataFrame:
    """Members of staff with the name and town of their department."""
    departments = department.set_index("department_id")
    return pd.DataFrame(
        {
            "staff_id": staff["staff_id"],
            "first_name": staff["first_name"],
            "last_name": staff["last_name"],
            "department_name": staff["department_id"].map(departments["department_name"]),
            "location": staff["department_id"].map(departments["location"]),
            "email_address": staff["email_address"],
        }
    )


def dim_location(address: pd.DataFrame) -> pd.DataFrame:
    """Addresses; `address_id` is called `location_id` here."""
    return pd.DataFrame(
        {
            "location_id": address["address_id"],
            "address_line_1": address["address_line_1"],
            "address_line_2": address["address_line_2"],
            "district": address["district"],
            "city": address["city"],
            "postal_code": address["postal_code"],
            "country": address["country"],
            "phone": address["phone"],
        }
    )


def dim_currency(currency: pd.DataFrame, currencies: Mapping[str, str]) -> pd.DataFrame:
    """Currencies with the name that ISO 4217 gives to their code: `currencies` has it for each."""
    return pd.DataFrame(
        {
            "currency_id": currency["currency_id"],
            "currency_code": currency["currency_code"],
            "currency_name": currency["currency_code"].map(currencies),
        }
    )


def dim_design(design: pd.DataFrame) -> pd.DataFrame:
    """Designs as they are."""
    return pd.DataFrame(
        {
            "design_id": design["design_id"],
            "design_name": design["design_name"],
            "file_location": design["file_location"],
            "file_name": design["file_name"],
        }
    )


def dim_counterparty(counterparty: pd.DataFrame, address: pd.DataFrame) -> pd.DataFrame:
    """Counterparties with their registered address; contacts are not carried."""
    addresses = address.set_index("address_id")

    def legal(column: str) -> pd.Series:
        return counterparty["legal_address_id"].map(addresses[column])

    return pd.DataFrame(
        {
            "counterparty_id": counterparty["counterparty_id"],
            "counterparty_legal_name": counterparty["counterparty_legal_name"],
            "counterparty_legal_address_line_1": legal("address_line_1"),
            "counterparty_legal_address_line_2": legal("address_line_2"),
            "counterparty_legal_district": legal("district"),
            "counterparty_legal_city": legal("city"),
            "counterparty_legal_postal_code": legal("postal_code"),
            "counterparty_legal_country": legal("country"),
            "counterparty_legal_phone_number": legal("phone"),
        }
    )


def dim_payment_type(payment_type: pd.DataFrame) -> pd.DataFrame:
    """Kinds of payment as they are."""
    return pd.DataFrame(
        {
            "payment_type_id": payment_type["payment_type_id"],
            "payment_type_name": payment_type["payment_type_name"],
        }
    )


def dim_transaction(transaction: pd.DataFrame) -> pd.DataFrame:
    """Transactions; at most one of the two order keys is set, what is not set stays NULL."""
    return pd.DataFrame(
        {
            "transaction_id": transaction["transaction_id"],
            "transaction_type": transaction["transaction_type"],
            "sales_order_id": transaction["sales_order_id"],
            "purchase_order_id": transaction["purchase_order_id"],
        }
    )
