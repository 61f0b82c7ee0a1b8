"""The three facts: rows of ToteSys in, rows of the warehouse out."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.processed.transform import to_arrow
from totesys_dagster_tests.processed.rows import as_stored, frame, shown, transformed

MOMENTS = {
    "created_date": pa.date32(),
    "created_time": pa.time64("us"),
    "last_updated_date": pa.date32(),
    "last_updated_time": pa.time64("us"),
}


def types_of(star: str, rows: pd.DataFrame) -> dict[str, pa.DataType]:
    """The stored columns in order; none of these may be NULL."""
    schema = shown(star, to_arrow(STAR_TABLES[star], rows)).schema
    assert not any(c.nullable for c in STAR_TABLES[star].columns if c.name in schema.names)
    return {field.name: field.type for field in schema}


def moment(*parts: int) -> dt.datetime:
    return dt.datetime(*parts)  # type: ignore[arg-type]  # noqa: DTZ001


SALES_ORDERS = frame(
    "sales_order",
    {
        "sales_order_id": 2,
        "created_at": moment(2022, 11, 3, 14, 20, 52, 186000),
        "last_updated": moment(2022, 11, 4, 9, 0),
        "design_id": 9,
        "staff_id": 16,
        "counterparty_id": 18,
        "units_sold": 84754,
        "unit_price": Decimal("2.10"),
        "currency_id": 3,
        "agreed_delivery_date": dt.date(2022, 11, 10),
        "agreed_payment_date": dt.date(2022, 11, 3),
        "agreed_delivery_location_id": 4,
    },
    {
        "sales_order_id": 1,
        "created_at": moment(2024, 2, 29, 23, 59, 59, 999000),
        "last_updated": moment(2024, 3, 1),
        "design_id": 3,
        "staff_id": 19,
        "counterparty_id": 8,
        "units_sold": 1001,
        "unit_price": Decimal("4.00"),
        "currency_id": 2,
        "agreed_delivery_date": dt.date(2025, 12, 9),
        "agreed_payment_date": dt.date(2024, 2, 29),
        "agreed_delivery_location_id": 8,
    },
)


def test_sales_order_has_its_moments_split_and_payment_before_delivery() -> None:
    assert as_stored("fact_sales_order", transformed("fact_sales_order", SALES_ORDERS)) == [
        (
            2,
            dt.date(2022, 11, 3),
            dt.time(14, 20, 52, 186000),
            dt.date(2022, 11, 4),
            dt.time(9, 0),
            16,
            18,
            84754,
            Decimal("2.10"),
            3,
            9,
            dt.date(2022, 11, 3),
            dt.date(2022, 11, 10),
            4,
        ),
        (
            1,
            dt.date(2024, 2, 29),
            dt.time(23, 59, 59, 999000),
            dt.date(2024, 3, 1),
            dt.time(0, 0),
            19,
            8,
            1001,
            Decimal("4.00"),
            2,
            3,
            dt.date(2024, 2, 29),
            dt.date(2025, 12, 9),
            8,
        ),
    ]


def test_sales_order_has_its_columns_in_order_and_type() -> None:
    types = types_of("fact_sales_order", transformed("fact_sales_order", SALES_ORDERS))

    assert list(types.items()) == list(
        {
            "sales_order_id": pa.int32(),
            **MOMENTS,
            "sales_staff_id": pa.int32(),
            "counterparty_id": pa.int32(),
            "units_sold": pa.int32(),
            "unit_price": pa.decimal128(10, 2),
            "currency_id": pa.int32(),
            "design_id": pa.int32(),
            "agreed_payment_date": pa.date32(),
            "agreed_delivery_date": pa.date32(),
            "agreed_delivery_location_id": pa.int32(),
        }.items()
    )


PURCHASE_ORDERS = frame(
    "purchase_order",
    {
        "purchase_order_id": 1,
        "created_at": moment(2022, 11, 3, 14, 20, 52, 187000),
        "last_updated": moment(2022, 11, 3, 14, 20, 52, 187000),
        "staff_id": 12,
        "counterparty_id": 11,
        "item_code": "014OEPM",
        "item_quantity": 371,
        "item_unit_price": Decimal("361.39"),
        "currency_id": 2,
        "agreed_delivery_date": dt.date(2022, 11, 9),
        "agreed_payment_date": dt.date(2022, 11, 7),
        "agreed_delivery_location_id": 25,
    },
    {
        "purchase_order_id": 2,
        "created_at": moment(2022, 11, 3, 14, 20, 52),
        "last_updated": moment(2022, 11, 3, 14, 20, 52),
        "staff_id": 20,
        "counterparty_id": 17,
        "item_code": "01E5",
        "item_quantity": 999,
        "item_unit_price": Decimal("3.30"),
        "currency_id": 2,
        "agreed_delivery_date": dt.date(2022, 11, 8),
        "agreed_payment_date": dt.date(2022, 11, 7),
        "agreed_delivery_location_id": 2,
    },
)


def test_purchase_order_has_its_moments_split_and_delivery_before_payment() -> None:
    assert as_stored(
        "fact_purchase_order", transformed("fact_purchase_order", PURCHASE_ORDERS)
    ) == [
        (
            1,
            dt.date(2022, 11, 3),
            dt.time(14, 20, 52, 187000),
            dt.date(2022, 11, 3),
            dt.time(14, 20, 52, 187000),
            12,
            11,
            "014OEPM",
            371,
            Decimal("361.39"),
            2,
            dt.date(2022, 11, 9),
            dt.date(2022, 11, 7),
            25,
        ),
        (
            2,
            dt.date(2022, 11, 3),
            dt.time(14, 20, 52),
            dt.date(2022, 11, 3),
            dt.time(14, 20, 52),
            20,
            17,
            "01E5",
            999,
            Decimal("3.30"),
            2,
            dt.date(2022, 11, 8),
            dt.date(2022, 11, 7),
            2,
        ),
    ]


def test_purchase_order_has_its_columns_in_order_and_type() -> None:
    types = types_of("fact_purchase_order", transformed("fact_purchase_order", PURCHASE_ORDERS))

    assert list(types.items()) == list(
        {
            "purchase_order_id": pa.int32(),
            **MOMENTS,
            "staff_id": pa.int32(),
            "counterparty_id": pa.int32(),
            "item_code": pa.string(),
            "item_quantity": pa.int32(),
            "item_unit_price": pa.decimal128(10, 2),
            "currency_id": pa.int32(),
            "agreed_delivery_date": pa.date32(),
            "agreed_payment_date": pa.date32(),
            "agreed_delivery_location_id": pa.int32(),
        }.items()
    )


PAYMENTS = frame(
    "payment",
    {
        "payment_id": 2,
        "created_at": moment(2022, 11, 3, 14, 20, 52, 187000),
        "last_updated": moment(2022, 11, 4, 7, 55, 0, 5000),
        "transaction_id": 3,
        "counterparty_id": 15,
        "payment_amount": Decimal("981451.44"),
        "currency_id": 2,
        "payment_type_id": 3,
        "paid": True,
        "payment_date": dt.date(2022, 11, 4),
        "company_ac_number": 67305075,
        "counterparty_ac_number": 31622269,
    },
    {
        "payment_id": 3,
        "created_at": moment(2022, 11, 3, 14, 20, 52, 186000),
        "last_updated": moment(2022, 11, 3, 14, 20, 52, 186000),
        "transaction_id": 2,
        "counterparty_id": 18,
        "payment_amount": Decimal("-65.70"),
        "currency_id": 3,
        "payment_type_id": 2,
        "paid": False,
        "payment_date": dt.date(2022, 11, 3),
        "company_ac_number": 81718079,
        "counterparty_ac_number": 47839086,
    },
)


def test_payment_has_its_moments_split_and_no_account_numbers() -> None:
    assert as_stored("fact_payment", transformed("fact_payment", PAYMENTS)) == [
        (
            2,
            dt.date(2022, 11, 3),
            dt.time(14, 20, 52, 187000),
            dt.date(2022, 11, 4),
            dt.time(7, 55, 0, 5000),
            3,
            15,
            Decimal("981451.44"),
            2,
            3,
            True,
            dt.date(2022, 11, 4),
        ),
        (
            3,
            dt.date(2022, 11, 3),
            dt.time(14, 20, 52, 186000),
            dt.date(2022, 11, 3),
            dt.time(14, 20, 52, 186000),
            2,
            18,
            Decimal("-65.70"),
            3,
            2,
            False,
            dt.date(2022, 11, 3),
        ),
    ]


def test_payment_has_its_columns_in_order_and_type() -> None:
    types = types_of("fact_payment", transformed("fact_payment", PAYMENTS))

    assert list(types.items()) == list(
        {
            "payment_id": pa.int32(),
            **MOMENTS,
            "transaction_id": pa.int32(),
            "counterparty_id": pa.int32(),
            "payment_amount": pa.decimal128(10, 2),
            "currency_id": pa.int32(),
            "payment_type_id": pa.int32(),
            "paid": pa.bool_(),
            "payment_date": pa.date32(),
        }.items()
    )


FACTS: list[Any] = [
    ("fact_sales_order", SALES_ORDERS),
    ("fact_purchase_order", PURCHASE_ORDERS),
    ("fact_payment", PAYMENTS),
]


@pytest.mark.parametrize(("star", "rows"), FACTS)
def test_no_rows_give_no_rows_in_the_same_columns(star: str, rows: Any) -> None:
    assert as_stored(star, transformed(star, rows.iloc[:0])) == []


@pytest.mark.parametrize(("star", "rows"), FACTS)
def test_rows_keep_their_line_numbers_and_frames_stay_as_they_were(star: str, rows: Any) -> None:
    given = rows.set_index(pd.Index([4, 0]))
    before = given.copy()

    found = transformed(star, given)

    assert list(found.index) == [4, 0]
    pd.testing.assert_frame_equal(given, before)
