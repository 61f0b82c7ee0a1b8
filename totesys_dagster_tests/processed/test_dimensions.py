"""The eight dimensions: rows of ToteSys in, rows of the warehouse out."""

from __future__ import annotations

import datetime as dt
import locale
import shutil
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest

from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.errors import ProcessingError
from totesys_dagster.processed.calendar import days_between
from totesys_dagster.processed.transform import _computed, to_arrow
from totesys_dagster_tests.processed.rows import as_stored, frame, shown, transformed


def schema(*nullable: str, **types: pa.DataType) -> pa.Schema:
    """Columns in order with their types; those named first may be NULL."""
    return pa.schema(
        [pa.field(name, type_, nullable=name in nullable) for name, type_ in types.items()]
    )


def declared(star: str, *rows: pd.DataFrame) -> pa.Schema:
    """The stored columns in order with their types, and whether the catalogue lets them be NULL."""
    types = shown(star, to_arrow(STAR_TABLES[star], transformed(star, *rows))).schema
    nullable = {c.name: c.nullable for c in STAR_TABLES[star].columns}
    return pa.schema([field.with_nullable(nullable[field.name]) for field in types])


# --- dim_date ---------------------------------------------------------------------------------

WHOLE_CENTURY = (dt.date(2000, 1, 1), dt.date(2099, 12, 31))
QUARTERS = {1: 1, 2: 1, 3: 1, 4: 2, 5: 2, 6: 2, 7: 3, 8: 3, 9: 3, 10: 4, 11: 4, 12: 4}


def calendar(first: dt.date, last: dt.date) -> list[tuple[Any, ...]]:
    return as_stored("dim_date", days_between(first, last))


def test_date_has_its_parts_and_names() -> None:
    assert calendar(dt.date(2022, 11, 3), dt.date(2022, 11, 3)) == [
        (dt.date(2022, 11, 3), 2022, 11, 3, 4, "Thursday", "November", 4)
    ]


def test_calendar_has_every_day_from_first_to_last() -> None:
    assert calendar(dt.date(2024, 2, 28), dt.date(2024, 3, 1)) == [
        (dt.date(2024, 2, 28), 2024, 2, 28, 3, "Wednesday", "February", 1),
        (dt.date(2024, 2, 29), 2024, 2, 29, 4, "Thursday", "February", 1),
        (dt.date(2024, 3, 1), 2024, 3, 1, 5, "Friday", "March", 1),
    ]


def test_week_begins_with_monday_and_ends_with_sunday() -> None:
    week = calendar(dt.date(2024, 11, 18), dt.date(2024, 11, 24))

    assert [(day[4], day[5]) for day in week] == [
        (1, "Monday"),
        (2, "Tuesday"),
        (3, "Wednesday"),
        (4, "Thursday"),
        (5, "Friday"),
        (6, "Saturday"),
        (7, "Sunday"),
    ]


def test_quarter_changes_with_every_third_month() -> None:
    year = calendar(dt.date(2023, 1, 1), dt.date(2023, 12, 31))

    assert {day[2]: day[7] for day in year} == QUARTERS


def test_every_day_of_the_century_is_as_the_c_library_says() -> None:
    assert locale.setlocale(locale.LC_TIME) == "C"

    for day in calendar(*WHOLE_CENTURY):
        date = day[0]
        assert day[1:7] == (
            int(date.strftime("%Y")),
            int(date.strftime("%m")),
            int(date.strftime("%d")),
            int(date.strftime("%u")),
            date.strftime("%A"),
            date.strftime("%B"),
        )


def test_century_has_no_gap() -> None:
    days = [day[0] for day in calendar(*WHOLE_CENTURY)]

    assert len(days) == len(set(days)) == 36525
    assert (min(days), max(days)) == WHOLE_CENTURY


@pytest.fixture
def german(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The locale of the process is German, made for the test where the system lacks it."""
    before = locale.setlocale(locale.LC_ALL)
    if localedef := shutil.which("localedef"):
        command = [
            localedef,
            "-i",
            "de_DE",
            "-f",
            "UTF-8",
            "--no-archive",
            str(tmp_path / "de_DE.UTF-8"),
        ]
        if subprocess.run(command, capture_output=True, check=False).returncode == 0:
            monkeypatch.setenv("LOCPATH", str(tmp_path))
    try:
        locale.setlocale(locale.LC_ALL, "de_DE.UTF-8")
    except locale.Error:
        pytest.skip("there is no German locale here, and none can be made")
    yield
    locale.setlocale(locale.LC_ALL, before)


@pytest.mark.long
@pytest.mark.usefixtures("german")
def test_names_are_english_whatever_the_locale() -> None:
    assert dt.date(2024, 3, 5).strftime("%A %B") == "Dienstag März"

    assert calendar(dt.date(2024, 3, 5), dt.date(2024, 3, 5)) == [
        (dt.date(2024, 3, 5), 2024, 3, 5, 2, "Tuesday", "March", 1)
    ]


def test_dim_date_has_its_columns_in_order_and_type() -> None:
    first = dt.date(2022, 11, 3)

    types = shown("dim_date", to_arrow(STAR_TABLES["dim_date"], days_between(first, first))).schema
    assert not any(c.nullable for c in STAR_TABLES["dim_date"].columns if c.name in types.names)

    assert dict(zip(types.names, types.types, strict=True)) == {
        "date_id": pa.date32(),
        "year": pa.int32(),
        "month": pa.int32(),
        "day": pa.int32(),
        "day_of_week": pa.int32(),
        "day_name": pa.string(),
        "month_name": pa.string(),
        "quarter": pa.int32(),
    }


# --- dim_staff --------------------------------------------------------------------------------

DEPARTMENTS = frame(
    "department",
    {"department_id": 2, "department_name": "Purchasing", "location": "Manchester"},
    {"department_id": 1, "department_name": "Sales", "location": "Leds"},
    {"department_id": 8, "department_name": "HR", "location": None, "manager": "Mark Hanna"},
)

STAFF = frame(
    "staff",
    {
        "staff_id": 3,
        "first_name": "Jeanette",
        "last_name": "O'Keefe",
        "department_id": 1,
        "email_address": "jeanette.okeefe@terrifictotes.com",
    },
    {
        "staff_id": 1,
        "first_name": "Jérémie",
        "last_name": "Franey, Jr.",
        "department_id": 2,
        "email_address": "jeremie.franey@terrifictotes.com",
    },
    {
        "staff_id": 2,
        "first_name": "Deron",
        "last_name": "Beier",
        "department_id": 1,
        "email_address": "deron.beier@terrifictotes.com",
    },
)


def test_staff_come_with_name_and_town_of_their_department() -> None:
    assert as_stored("dim_staff", transformed("dim_staff", STAFF, DEPARTMENTS)) == [
        (3, "Jeanette", "O'Keefe", "Sales", "Leds", "jeanette.okeefe@terrifictotes.com"),
        (
            1,
            "Jérémie",
            "Franey, Jr.",
            "Purchasing",
            "Manchester",
            "jeremie.franey@terrifictotes.com",
        ),
        (2, "Deron", "Beier", "Sales", "Leds", "deron.beier@terrifictotes.com"),
    ]


def test_department_without_a_town_gives_none() -> None:
    (row,) = transformed(
        "dim_staff", frame("staff", {"staff_id": 1, "department_id": 8}), DEPARTMENTS
    ).to_dict("records")

    assert row["department_name"] == "HR"
    assert pd.isna(row["location"])


def test_staff_are_joined_by_key_whatever_the_order_of_departments() -> None:
    backwards = DEPARTMENTS.iloc[::-1]

    assert as_stored("dim_staff", transformed("dim_staff", STAFF, backwards)) == as_stored(
        "dim_staff", transformed("dim_staff", STAFF, DEPARTMENTS)
    )


def test_dim_staff_has_its_columns_in_order_and_type() -> None:
    assert declared("dim_staff", STAFF, DEPARTMENTS) == schema(
        staff_id=pa.int32(),
        first_name=pa.string(),
        last_name=pa.string(),
        department_name=pa.string(),
        location=pa.string(),
        email_address=pa.string(),
    )


# --- dim_location and dim_counterparty --------------------------------------------------------

ADDRESSES = frame(
    "address",
    {
        "address_id": 15,
        "address_line_1": "605 Haskell Trafficway",
        "address_line_2": "Axel Freeway",
        "district": None,
        "city": "East Bobbie",
        "postal_code": "88253-4257",
        "country": "Democratic People's Republic of Korea",
        "phone": "9687 937447",
    },
    {
        "address_id": 1,
        "address_line_1": "6826 Herzog Via",
        "address_line_2": None,
        "district": "Avon",
        "city": "New Patienceburgh",
        "postal_code": "02841",
        "country": "Turkey",
        "phone": "0803 637401",
    },
)


def test_locations_are_addresses_under_another_key() -> None:
    assert as_stored("dim_location", transformed("dim_location", ADDRESSES)) == [
        (
            15,
            "605 Haskell Trafficway",
            "Axel Freeway",
            None,
            "East Bobbie",
            "88253-4257",
            "Democratic People's Republic of Korea",
            "9687 937447",
        ),
        (
            1,
            "6826 Herzog Via",
            None,
            "Avon",
            "New Patienceburgh",
            "02841",
            "Turkey",
            "0803 637401",
        ),
    ]


def test_dim_location_has_its_columns_in_order_and_type() -> None:
    assert declared("dim_location", ADDRESSES) == schema(
        "address_line_2",
        "district",
        location_id=pa.int32(),
        address_line_1=pa.string(),
        address_line_2=pa.string(),
        district=pa.string(),
        city=pa.string(),
        postal_code=pa.string(),
        country=pa.string(),
        phone=pa.string(),
    )


COUNTERPARTIES = frame(
    "counterparty",
    {
        "counterparty_id": 1,
        "counterparty_legal_name": "Fahey, Leffler and Sons",
        "legal_address_id": 15,
        "commercial_contact": "Micheal Toy",
        "delivery_contact": "Mrs. Lucy Runolfsdottir",
    },
    {
        "counterparty_id": 2,
        "counterparty_legal_name": "O'Keefe & Söhne",
        "legal_address_id": 1,
        "commercial_contact": None,
        "delivery_contact": None,
    },
)


def test_counterparties_come_with_their_registered_address() -> None:
    assert as_stored(
        "dim_counterparty", transformed("dim_counterparty", COUNTERPARTIES, ADDRESSES)
    ) == [
        (
            1,
            "Fahey, Leffler and Sons",
            "605 Haskell Trafficway",
            "Axel Freeway",
            None,
            "East Bobbie",
            "88253-4257",
            "Democratic People's Republic of Korea",
            "9687 937447",
        ),
        (
            2,
            "O'Keefe & Söhne",
            "6826 Herzog Via",
            None,
            "Avon",
            "New Patienceburgh",
            "02841",
            "Turkey",
            "0803 637401",
        ),
    ]


def test_dim_counterparty_has_its_columns_in_order_and_type() -> None:
    assert declared("dim_counterparty", COUNTERPARTIES, ADDRESSES) == schema(
        "counterparty_legal_address_line_2",
        "counterparty_legal_district",
        counterparty_id=pa.int32(),
        counterparty_legal_name=pa.string(),
        counterparty_legal_address_line_1=pa.string(),
        counterparty_legal_address_line_2=pa.string(),
        counterparty_legal_district=pa.string(),
        counterparty_legal_city=pa.string(),
        counterparty_legal_postal_code=pa.string(),
        counterparty_legal_country=pa.string(),
        counterparty_legal_phone_number=pa.string(),
    )


# --- dim_currency -----------------------------------------------------------------------------


def test_currencies_have_the_names_of_the_list() -> None:
    currencies = frame(
        "currency",
        {"currency_id": 1, "currency_code": "GBP"},
        {"currency_id": 2, "currency_code": "USD"},
        {"currency_id": 3, "currency_code": "EUR"},
        {"currency_id": 9, "currency_code": "JPY"},
        {"currency_id": 10, "currency_code": "GBP"},
    )

    assert as_stored("dim_currency", transformed("dim_currency", currencies)) == [
        (1, "GBP", "Pound Sterling"),
        (2, "USD", "US Dollar"),
        (3, "EUR", "Euro"),
        (9, "JPY", "Yen"),
        (10, "GBP", "Pound Sterling"),
    ]


def test_dim_currency_has_its_columns_in_order_and_type() -> None:
    currencies = frame("currency", {"currency_id": 1, "currency_code": "GBP"})

    assert declared("dim_currency", currencies) == schema(
        currency_id=pa.int32(), currency_code=pa.string(), currency_name=pa.string()
    )


# --- dim_design -------------------------------------------------------------------------------


def test_designs_are_as_they_are() -> None:
    designs = frame(
        "design",
        {
            "design_id": 8,
            "design_name": "Wooden",
            "file_location": "/usr",
            "file_name": "wooden-20220717-npgz.json",
        },
        {
            "design_id": 51,
            "design_name": "Bronze",
            "file_location": "C:\\totes/new",
            "file_name": "",
        },
    )

    assert as_stored("dim_design", transformed("dim_design", designs)) == [
        (8, "Wooden", "/usr", "wooden-20220717-npgz.json"),
        (51, "Bronze", "C:\\totes/new", ""),
    ]


def test_dim_design_has_its_columns_in_order_and_type() -> None:
    assert declared("dim_design", frame("design")) == schema(
        design_id=pa.int32(),
        design_name=pa.string(),
        file_location=pa.string(),
        file_name=pa.string(),
    )


# --- dim_payment_type and dim_transaction -----------------------------------------------------


def test_payment_types_are_as_they_are() -> None:
    payment_types = frame(
        "payment_type",
        {"payment_type_id": 1, "payment_type_name": "SALES_RECEIPT"},
        {"payment_type_id": 2, "payment_type_name": "SALES_REFUND"},
        {"payment_type_id": 3, "payment_type_name": "PURCHASE_PAYMENT"},
        {"payment_type_id": 4, "payment_type_name": "PURCHASE_REFUND"},
    )

    assert as_stored("dim_payment_type", transformed("dim_payment_type", payment_types)) == [
        (1, "SALES_RECEIPT"),
        (2, "SALES_REFUND"),
        (3, "PURCHASE_PAYMENT"),
        (4, "PURCHASE_REFUND"),
    ]


def test_dim_payment_type_has_its_columns_in_order_and_type() -> None:
    assert declared("dim_payment_type", frame("payment_type")) == schema(
        payment_type_id=pa.int32(), payment_type_name=pa.string()
    )


TRANSACTIONS = frame(
    "transaction",
    {"transaction_id": 1, "transaction_type": "PURCHASE", "purchase_order_id": 2},
    {"transaction_id": 2, "transaction_type": "SALE", "sales_order_id": 1},
    {"transaction_id": 3, "transaction_type": "SALE"},  # its order was deleted
)


def test_transactions_keep_their_order_and_null() -> None:
    assert repr(as_stored("dim_transaction", transformed("dim_transaction", TRANSACTIONS))) == repr(
        [
            (1, "PURCHASE", None, 2),
            (2, "SALE", 1, None),
            (3, "SALE", None, None),
        ]
    )


def test_dim_transaction_has_its_columns_in_order_and_type() -> None:
    assert declared("dim_transaction", TRANSACTIONS) == schema(
        "sales_order_id",
        "purchase_order_id",
        transaction_id=pa.int32(),
        transaction_type=pa.string(),
        sales_order_id=pa.int32(),
        purchase_order_id=pa.int32(),
    )


# --- all of them ------------------------------------------------------------------------------

TRANSFORMED = [
    ("dim_staff", ("staff", "department")),
    ("dim_location", ("address",)),
    ("dim_currency", ("currency",)),
    ("dim_design", ("design",)),
    ("dim_counterparty", ("counterparty", "address")),
    ("dim_payment_type", ("payment_type",)),
    ("dim_transaction", ("transaction",)),
]


@pytest.mark.parametrize(("star", "sources"), TRANSFORMED)
def test_no_rows_give_no_rows_in_the_same_columns(star: str, sources: tuple[str, ...]) -> None:
    assert as_stored(star, transformed(star, *(frame(source) for source in sources))) == []


def test_rows_keep_their_line_numbers_and_frames_stay_as_they_were() -> None:
    """The line numbers lead from a row that is quarantined later to the line that it came from."""
    staff = STAFF.set_index(pd.Index([4, 0, 7]))
    before = staff.copy(), DEPARTMENTS.copy()

    found = transformed("dim_staff", staff, DEPARTMENTS)

    assert list(found.index) == [4, 0, 7]
    pd.testing.assert_frame_equal(staff, before[0])
    pd.testing.assert_frame_equal(DEPARTMENTS, before[1])


@pytest.mark.parametrize(
    ("function", "why"),
    [
        (
            lambda *_: 1 / 0,
            r"failed with ZeroDivisionError \(line \d+ of test_dimensions\.py\): corr",
        ),
        (lambda codes, _: codes.head(1), "did not return one value for each row"),
        (lambda *_: ["Pound"], "did not return one value for each row"),
    ],
)
def test_function_that_cannot_compute_is_named(function: Callable[..., Any], why: str) -> None:
    """A newcomer's mistake is one sentence, and not the frames of pandas."""
    star = STAR_TABLES["dim_currency"]
    [computed] = [column for column in star.columns if column.computed]
    assert computed.computed is not None
    column = replace(computed, computed=replace(computed.computed, function=function))
    codes = pd.Series(["GBP", "EUR"])
    with pytest.raises(ProcessingError, match=rf"^The function of dim_currency\.\w+ {why}"):
        _computed(star, column, codes.index, [codes, {}])
