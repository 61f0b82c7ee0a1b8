"""What the platform accepts of ToteSys: every value exactly as it is, or the row not at all."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Collection, Mapping
from decimal import Decimal
from typing import Any

import pandas as pd
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from totesys_dagster.catalogue import SOURCE_TABLES, SourceTable
from totesys_dagster.processed import contracts
from totesys_dagster.processed.contracts import Accepted
from totesys_dagster_tests.processed.rows import CURRENCIES, LINES, line

unhurried = settings(deadline=None)  # a busy machine is no failure

NO_DATE = "is not a date YYYY-MM-DD of the years 2000 to 2099"
NO_TIMESTAMP = "is not a timestamp of the years 2000 to 2099"


def accept(
    table: SourceTable, data: bytes, parents: Mapping[str, Collection[int]] | None = None
) -> Accepted:
    """A part of `table` with all of its columns, by the few currencies that there are here."""
    return contracts.accept(table, data, CURRENCIES, parents)


def orders(*lines: bytes) -> Accepted:
    """A part of sales_order with these lines."""
    return accept(SOURCE_TABLES["sales_order"], b"".join(lines))


def values(accepted: Accepted, column: str) -> list[Any]:
    """A column of the accepted rows as plain Python values."""
    found: list[Any] = pa.array(accepted.frame[column]).to_pylist()
    return found


def reasons(data: bytes, table: str = "sales_order") -> tuple[str, ...]:
    """Why the only row of a part is quarantined."""
    accepted = accept(SOURCE_TABLES[table], data)
    assert accepted.frame.empty
    (quarantined,) = accepted.quarantined
    return quarantined.reasons


# --- values that must arrive exactly ---------------------------------------------------------

# Table, column, JSON text, value; timestamps by their parts, as ToteSys keeps no time zone.
LAST_MOMENT = (2099, 12, 31, 23, 59, 59, 999999)
EXACT = [
    # money: no binary float holds these
    ("sales_order", "unit_price", "2.10", Decimal("2.10")),
    ("sales_order", "unit_price", "2.00", Decimal("2.00")),
    ("sales_order", "unit_price", "4.00", Decimal("4.00")),
    ("sales_order", "unit_price", "0.00", Decimal("0.00")),
    ("sales_order", "unit_price", "3", Decimal("3.00")),
    ("purchase_order", "item_unit_price", "3.32", Decimal("3.32")),
    ("purchase_order", "item_unit_price", "999.07", Decimal("999.07")),
    ("payment", "payment_amount", "65.78", Decimal("65.78")),
    ("payment", "payment_amount", "981451.44", Decimal("981451.44")),
    ("payment", "payment_amount", "99999999.99", Decimal("99999999.99")),
    ("payment", "payment_amount", "-2102.10", Decimal("-2102.10")),
    # whole numbers
    ("sales_order", "units_sold", "1", 1),
    ("sales_order", "units_sold", "1001", 1001),
    ("sales_order", "units_sold", "99973", 99973),
    ("sales_order", "units_sold", "2147483647", 2147483647),
    ("purchase_order", "item_quantity", "1", 1),
    ("purchase_order", "item_quantity", "999", 999),
    ("payment", "company_ac_number", "10000000", 10000000),
    ("payment", "counterparty_ac_number", "99999999", 99999999),
    ("transaction", "sales_order_id", "11187", 11187),
    ("transaction", "sales_order_id", "null", None),
    ("transaction", "purchase_order_id", "null", None),
    # booleans
    ("payment", "paid", "true", True),
    ("payment", "paid", "false", False),
    # timestamps, with and without fractions of seconds
    ("sales_order", "created_at", '"2022-11-03T14:20:52.186"', (2022, 11, 3, 14, 20, 52, 186000)),
    ("sales_order", "created_at", '"2022-11-03T14:20:52"', (2022, 11, 3, 14, 20, 52)),
    ("sales_order", "created_at", '"2022-11-03T14:20:52.1"', (2022, 11, 3, 14, 20, 52, 100000)),
    ("sales_order", "created_at", '"2022-11-03T14:20:52.10"', (2022, 11, 3, 14, 20, 52, 100000)),
    ("sales_order", "created_at", '"2022-11-03T00:00:00"', (2022, 11, 3)),
    ("sales_order", "created_at", '"2022-11-03T14:20:52+00:00"', (2022, 11, 3, 14, 20, 52)),
    ("sales_order", "created_at", '"2024-02-29T23:59:59.999"', (2024, 2, 29, 23, 59, 59, 999000)),
    ("sales_order", "created_at", '"2023-03-26T01:30:00"', (2023, 3, 26, 1, 30)),  # clocks skip it
    ("sales_order", "created_at", '"2000-01-01T00:00:00"', (2000, 1, 1)),
    ("sales_order", "created_at", '"2099-12-31T23:59:59.999999"', LAST_MOMENT),
    # dates
    ("sales_order", "agreed_delivery_date", '"2022-11-07"', dt.date(2022, 11, 7)),
    ("sales_order", "agreed_delivery_date", '"2024-02-29"', dt.date(2024, 2, 29)),
    ("sales_order", "agreed_delivery_date", '"2000-01-01"', dt.date(2000, 1, 1)),
    ("sales_order", "agreed_delivery_date", '"2099-12-31"', dt.date(2099, 12, 31)),
    # text that looks like something else
    ("purchase_order", "item_code", '"014OEPM"', "014OEPM"),
    ("purchase_order", "item_code", '"01E5"', "01E5"),
    ("purchase_order", "item_code", '"0000123"', "0000123"),
    ("address", "postal_code", '"02841"', "02841"),
    ("address", "postal_code", '"99305-7380"', "99305-7380"),
    ("address", "phone", '"0803 637401"', "0803 637401"),
    ("address", "city", '"NaN"', "NaN"),
    ("address", "city", '"null"', "null"),
    ("address", "city", '"true"', "true"),
    ("address", "city", '"2022-11-03"', "2022-11-03"),
    ("address", "city", '""', ""),
    ("address", "city", '" "', " "),
    ("address", "address_line_2", "null", None),
    ("address", "address_line_2", '"Flat 2"', "Flat 2"),
    ("address", "district", "null", None),
    ("department", "location", '"Leds"', "Leds"),
    ("department", "location", "null", None),
    # text with characters that others trip over
    ("staff", "last_name", '"O\'Keefe"', "O'Keefe"),
    ("address", "country", '"People\'s Republic, Democratic"', "People's Republic, Democratic"),
    ("counterparty", "commercial_contact", '"Fahey, \\"Sons\\" & Co"', 'Fahey, "Sons" & Co'),
    ("design", "file_location", '"/usr/local/src"', "/usr/local/src"),
    ("design", "file_location", '"C:\\\\totes\\\\new"', "C:\\totes\\new"),
    ("address", "city", '"a\\tb\\nc\\rd"', "a\tb\nc\rd"),
    ("address", "city", '"a\u2028b\u2029c\x85d"', "a\u2028b\u2029c\x85d"),
    ("address", "city", '"a\\u2028b"', "a\u2028b"),
    ("address", "city", '"a\\u000bb\\u001cc"', "a\x0bb\x1cc"),
    ("address", "city", '"\\\\u0000"', "\\u0000"),  # an escaped backslash, not an escaped NUL
    ("address", "city", '"\U0001f45c \U0001f469‍\U0001f4bb"', "\U0001f45c \U0001f469‍\U0001f4bb"),
    ("address", "city", '"\\ud83d\\udc5c"', "\U0001f45c"),
    ("address", "city", '"القاهرة ירושלים"', "القاهرة ירושלים"),
    ("address", "city", '"e\u0301 é \ufeff"', "e\u0301 é \ufeff"),
    ("address", "city", '"Robert\'); DROP TABLE staff;--"', "Robert'); DROP TABLE staff;--"),
    ("address", "city", '"=HYPERLINK(\\"http://x\\")"', '=HYPERLINK("http://x")'),
    ("address", "city", '"+1,-1;@SUM(A1)"', "+1,-1;@SUM(A1)"),
    ("currency", "currency_code", '"EUR"', "EUR"),
]  # fmt: skip


@pytest.mark.parametrize(("table", "column", "text", "value"), EXACT)
def test_value_arrives_exactly(table: str, column: str, text: str, value: Any) -> None:
    if isinstance(value, tuple):
        value = dt.datetime(*value)  # noqa: DTZ001

    accepted = accept(SOURCE_TABLES[table], line(table, **{column: text}))

    assert accepted.quarantined == ()
    (arrived,) = values(accepted, column)
    assert arrived == value
    assert str(arrived) == str(value)  # 2.1 is not 2.10, and True is not 1


def test_columns_come_in_the_declared_order_and_types() -> None:
    types = orders(line("sales_order")).frame.dtypes

    assert {name: str(type_) for name, type_ in types.items()} == {
        "sales_order_id": "int32[pyarrow]",
        "created_at": "timestamp[us][pyarrow]",
        "last_updated": "timestamp[us][pyarrow]",
        "design_id": "int32[pyarrow]",
        "staff_id": "int32[pyarrow]",
        "counterparty_id": "int32[pyarrow]",
        "units_sold": "int32[pyarrow]",
        "unit_price": "decimal128(10, 2)[pyarrow]",
        "currency_id": "int32[pyarrow]",
        "agreed_delivery_date": "date32[day][pyarrow]",
        "agreed_payment_date": "date32[day][pyarrow]",
        "agreed_delivery_location_id": "int32[pyarrow]",
    }


@pytest.mark.parametrize("table", LINES)
def test_row_of_every_table_is_accepted(table: str) -> None:
    accepted = accept(SOURCE_TABLES[table], line(table))

    assert accepted.quarantined == ()
    assert tuple(accepted.frame.columns) == SOURCE_TABLES[table].column_names
    assert len(accepted.frame) == 1


@pytest.mark.parametrize("table", LINES)
def test_empty_part_has_the_same_columns_and_types(table: str) -> None:
    empty = accept(SOURCE_TABLES[table], b"")

    assert empty.quarantined == ()
    pd.testing.assert_series_equal(
        empty.frame.dtypes, accept(SOURCE_TABLES[table], line(table)).frame.dtypes
    )


def test_nullable_whole_numbers_stay_whole_beside_null() -> None:
    accepted = accept(
        SOURCE_TABLES["transaction"],
        line("transaction", transaction_id="1", sales_order_id="3", purchase_order_id="null")
        + line("transaction", transaction_id="2", sales_order_id="null", purchase_order_id="7"),
    )

    assert [repr(value) for value in values(accepted, "sales_order_id")] == ["3", "None"]
    assert [repr(value) for value in values(accepted, "purchase_order_id")] == ["None", "7"]


@unhurried
@given(st.lists(st.decimals(-99_999_999, 99_999_999, places=2), min_size=1, max_size=30))
def test_money_is_exact_to_the_cent(amounts: list[Decimal]) -> None:
    data = b"".join(
        line("payment", payment_id=str(number), payment_amount=f"{amount:f}")
        for number, amount in enumerate(amounts)
    )

    assert values(accept(SOURCE_TABLES["payment"], data), "payment_amount") == amounts


@unhurried
@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")), st.booleans())
def test_any_text_arrives_as_it_is(text: str, escaped: bool) -> None:
    data = line("address", city=json.dumps(text, ensure_ascii=escaped))

    assert values(accept(SOURCE_TABLES["address"], data), "city") == [text]


@pytest.mark.parametrize("size", [1 << 20, 3 << 20])
def test_long_text_arrives_whole_among_short_ones(size: int) -> None:
    data = b"".join(
        line("address", address_id=str(number), city=f'"{"é" * length}"')
        for number, length in enumerate([1, size, 2])
    )

    assert [len(text) for text in values(accept(SOURCE_TABLES["address"], data), "city")] == [
        1,
        size,
        2,
    ]


def test_large_part_keeps_its_order() -> None:
    count = (3 << 20) // len(line("sales_order"))

    accepted = orders(*(line("sales_order", sales_order_id=str(n)) for n in range(count)))

    assert values(accepted, "sales_order_id") == list(range(count))
    assert list(accepted.frame.index) == list(range(count))


# --- values that break the contract ----------------------------------------------------------

CANNOT_BE_READ = "cannot be read: "
WRONG_VALUES = [
    # column, JSON text, reason
    ("unit_price", '"NaN"', CANNOT_BE_READ + "a value is not a valid decimal128 number"),
    ("unit_price", "NaN", CANNOT_BE_READ + "a value is not a valid decimal128 number"),
    ("unit_price", '"Infinity"', CANNOT_BE_READ + "a value is not a valid decimal128 number"),
    ("unit_price", "-Infinity", CANNOT_BE_READ + "a value is not a valid decimal128 number"),
    ("unit_price", "2.105", "the value requires scale 3"),
    ("unit_price", "2.0000001", "the value requires scale 7"),
    ("unit_price", "100000000.00", "the value requires precision 11"),
    ("unit_price", "100000000", "unit_price is beyond numeric(10,2)"),
    ("unit_price", "1e9", "unit_price is beyond numeric(10,2)"),
    ("unit_price", "-0.01", "unit_price is less than 0"),
    ("unit_price", '""', CANNOT_BE_READ + "Empty string cannot be converted to decimal128"),
    ("unit_price", "true", "Column(/unit_price) changed from number_or_string to boolean"),
    ("unit_price", "null", "unit_price is missing"),
    ("units_sold", "12.0", "Failed to convert JSON to int32, the value does not fit"),
    ("units_sold", "1e3", "Failed to convert JSON to int32, the value does not fit"),
    ("units_sold", "12.5", "Failed to convert JSON to int32, the value does not fit"),
    ("units_sold", "2147483648", "Failed to convert JSON to int32, the value does not fit"),
    ("units_sold", "9" * 40, "Failed to convert JSON to int32, the value does not fit"),
    ("units_sold", "NaN", "Failed to convert JSON to int32, the value does not fit"),
    ("units_sold", '"12"', "Column(/units_sold) changed from number to string"),
    ("units_sold", "false", "Column(/units_sold) changed from number to boolean"),
    ("units_sold", "[12]", "Column(/units_sold) changed from number to array"),
    ("units_sold", '{"a":1}', "Column(/units_sold) changed from number to object"),
    ("units_sold", "-1", "units_sold is less than 1"),
    ("units_sold", "0", "units_sold is less than 1"),
    ("units_sold", "null", "units_sold is missing"),
    ("sales_order_id", "null", "sales_order_id is missing"),
    ("created_at", "null", "created_at is missing"),
    ("created_at", "1667485252", "Column(/created_at) changed from string to number"),
    ("agreed_delivery_date", "null", "agreed_delivery_date is missing"),
    ("agreed_delivery_date", "20221107", "changed from string to number"),
]


@pytest.mark.parametrize(("column", "text", "reason"), WRONG_VALUES)
def test_wrong_value_sets_the_row_aside(column: str, text: str, reason: str) -> None:
    (found,) = reasons(line("sales_order", **{column: text}))

    assert found.endswith(reason)


@pytest.mark.parametrize(
    "text",
    [
        "now",
        "today",
        "infinity",
        "",
        "2022-13-45",
        "2023-02-30",
        "2023-02-29",
        "2022-00-10",
        "01/02/2023",
        "07-11-2022",
        "2022-1-7",
        "20221107",
        "2022-W45-1",
        "2022-311",
        "22-11-07",
        "10000-01-01",
        "1999-12-31",
        "2100-01-01",
        "0000-00-00",
        "2022-11-07T00:00:00",
        "2022-11-07 ",
        " 2022-11-07",
        "2022-11-07\\n",
        "2022−11−07",
        "２０２２-11-07",
        "7 November 2022",
    ],
)
@pytest.mark.parametrize("column", ["agreed_delivery_date", "agreed_payment_date"])
def test_text_that_is_no_date_sets_the_row_aside(column: str, text: str) -> None:
    assert reasons(line("sales_order", **{column: f'"{text}"'})) == (f"{column} {NO_DATE}",)


@pytest.mark.parametrize(
    "text",
    [
        "now",
        "infinity",
        "-infinity",
        "",
        "2022-11-03",
        "2022-11-03T14:20",
        "2022-11-03 14:20:52",
        "2022-11-03T14:20:52Z",
        "2022-11-03T14:20:52+01:00",
        "2022-11-03T14:20:52.186+00",
        "2022-11-03T23:59:60",
        "2022-11-03T24:00:00",
        "2022-11-03T25:00:00",
        "2022-11-03T14:60:00",
        "2023-02-30T14:20:52",
        "2022-13-03T14:20:52",
        "2022-11-03T14:20:52.",
        "2022-11-03T14:20:52,186",
        "2022-11-03T14:20:52.1861234",
        "10000-01-01T00:00:00",
        "1999-12-31T23:59:59.999",
        "2100-01-01T00:00:00",
        "0044-03-15T00:00:00 BC",
        "2022-11-03T14:20:52\\n",
        "２０２２-11-03T14:20:52",
    ],
)
@pytest.mark.parametrize("column", ["created_at", "last_updated"])
def test_text_that_is_no_timestamp_sets_the_row_aside(column: str, text: str) -> None:
    assert reasons(line("sales_order", **{column: f'"{text}"'})) == (f"{column} {NO_TIMESTAMP}",)


def test_wrong_timestamp_spoils_no_other() -> None:
    accepted = orders(
        line("sales_order", sales_order_id="1", created_at='"2022-11-03T14:20:52.186"'),
        line("sales_order", sales_order_id="2", created_at='"2023-02-30T14:20:52.186"'),
        line("sales_order", sales_order_id="3", created_at='"2022-11-03T14:20:52"'),
    )

    assert values(accepted, "created_at") == [
        dt.datetime(2022, 11, 3, 14, 20, 52, 186000),  # noqa: DTZ001
        dt.datetime(2022, 11, 3, 14, 20, 52),  # noqa: DTZ001
    ]


@pytest.mark.parametrize("code", ["ZZZ", "CHF", "gbp", "GB", "GBP ", "", "£"])
def test_code_that_is_not_in_the_list_sets_the_currency_aside(code: str) -> None:
    found = reasons(line("currency", currency_code=f'"{code}"'), "currency")

    assert found == ("currency_code is not a known code",)


@pytest.mark.parametrize(
    ("table", "column"),
    [
        (table, column)
        for table, columns in LINES.items()
        for column in columns
        if not {c.name: c.nullable for c in SOURCE_TABLES[table].columns}[column]
    ],
)
def test_missing_value_or_key_of_a_required_column_sets_the_row_aside(
    table: str, column: str
) -> None:
    row = json.loads(line(table))
    del row[column]

    assert reasons(line(table, **{column: "null"}), table) == (f"{column} is missing",)
    assert reasons(json.dumps(row).encode() + b"\n", table) == (f"{column} is missing",)


def test_column_that_the_catalogue_does_not_know_is_left_out() -> None:
    """A column that is new in ToteSys is archived, and processed once the catalogue has it."""
    accepted = orders(line("sales_order", discount='{"percent": [1, 2.5, null]}'))

    assert tuple(accepted.frame.columns) == SOURCE_TABLES["sales_order"].column_names


def test_keys_may_come_in_any_order() -> None:
    backwards = dict(reversed(list(json.loads(line("sales_order")).items())))

    accepted = orders(json.dumps(backwards).encode() + b"\n")

    pd.testing.assert_frame_equal(accepted.frame, orders(line("sales_order")).frame)


def test_every_reason_of_a_row_is_given() -> None:
    assert reasons(
        line("sales_order", units_sold="0", agreed_payment_date='"now"', created_at="null")
    ) == (
        "created_at is missing",
        "units_sold is less than 1",
        f"agreed_payment_date {NO_DATE}",
    )


# --- lines that are broken -------------------------------------------------------------------

GOOD = line("sales_order").rstrip(b"\n")
NOT_AN_OBJECT = "the line is not a JSON object"
BROKEN_LINES = [
    ("empty", b"", NOT_AN_OBJECT),
    ("blank", b"  ", NOT_AN_OBJECT),
    ("null", b"null", NOT_AN_OBJECT),
    ("array", b"[" + GOOD + b"]", NOT_AN_OBJECT),
    ("number", b"1", NOT_AN_OBJECT),
    ("text", b'"' + GOOD.replace(b'"', b'\\"') + b'"', NOT_AN_OBJECT),
    ("truncated", GOOD[:-5], NOT_AN_OBJECT),
    ("beheaded", GOOD[5:], NOT_AN_OBJECT),
    ("byte order mark", b"\xef\xbb\xbf" + GOOD, NOT_AN_OBJECT),
    ("comma after", GOOD + b",", NOT_AN_OBJECT),
    ("NUL after", GOOD + b"\0", NOT_AN_OBJECT),
    ("unclosed text", GOOD.replace(b'"2022-11-07"', b'"2022-11-07'), ""),
    ("two objects", GOOD + GOOD, "there is more than one row on the line"),
    ("two objects, spaced", GOOD + b" " + GOOD, "there is more than one row on the line"),
    ("null between objects", GOOD + b"null" + GOOD, "there is more than one row on the line"),
    ("object and closing brace", GOOD + b"}", ""),
    ("comma before the brace", GOOD[:-1] + b",}", ""),
    ("single quotes", GOOD.replace(b'"', b"'"), ""),
    ("comment", b"{/* */" + GOOD[1:], ""),
    ("leading zero", GOOD.replace(b"42972", b"042972"), ""),
    ("raw tab in a text", GOOD.replace(b"2022-11-07", b"2022-11\t07"), ""),
    ("raw NUL in a text", GOOD.replace(b"2022-11-07", b"2022-11\x0007"), ""),
    (
        "escaped NUL",
        GOOD.replace(b"2022-11-07", b"2022\\u0000"),
        "a text holds the character NUL",
    ),
    ("escaped NUL after a backslash", GOOD.replace(b"2022-11-07", b"\\\\\\u0000"), "character NUL"),
    ("escaped lone surrogate", GOOD.replace(b"2022-11-07", b"\\ud800"), "surrogate pair"),
    ("encoded lone surrogate", GOOD.replace(b"2022-11-07", b"\xed\xa0\x80"), "not UTF-8"),
    ("Latin-1", GOOD.replace(b"2022-11-07", "Müller".encode("latin-1")), "not UTF-8"),
    ("overlong UTF-8", GOOD.replace(b"2022-11-07", b"\xc0\xaf"), "not UTF-8"),
    ("truncated UTF-8", GOOD.replace(b"2022-11-07", b"\xf0\x9f\x91"), "not UTF-8"),
    (
        "duplicate key",
        GOOD[:-1] + b',"units_sold":1}',
        "Column(/units_sold) was specified twice",
    ),
]
NAMES = [name for name, _, _ in BROKEN_LINES]


@pytest.mark.parametrize(("name", "broken", "reason"), BROKEN_LINES, ids=NAMES)
def test_broken_line_is_quarantined(name: str, broken: bytes, reason: str) -> None:
    (found,) = reasons(broken + b"\n")

    assert found.startswith(CANNOT_BE_READ), name
    assert reason in found


@pytest.mark.parametrize(("name", "broken", "reason"), BROKEN_LINES, ids=NAMES)
def test_broken_line_spoils_no_other(name: str, broken: bytes, reason: str) -> None:
    accepted = orders(
        line("sales_order", sales_order_id="1"),
        broken + b"\n",
        line("sales_order", sales_order_id="2"),
        broken + b"\n",
        line("sales_order", sales_order_id="3"),
    )

    assert values(accepted, "sales_order_id") == [1, 2, 3], name
    assert list(accepted.frame.index) == [0, 2, 4]
    assert [quarantined.line for quarantined in accepted.quarantined] == [broken, broken]
    assert all(reason in quarantined.reasons[0] for quarantined in accepted.quarantined)


@pytest.mark.parametrize(
    ("table", "column"), [(table, column) for table, columns in LINES.items() for column in columns]
)
def test_column_that_a_row_has_twice_sets_it_aside(table: str, column: str) -> None:
    """Most readers take the last one silently; the same value twice is no better."""
    row = line(table).rstrip(b"\n")
    broken = []
    for name in (column, f"\\u{ord(column[0]):04x}{column[1:]}"):
        for value in (LINES[table][column], "null"):
            again = f'"{name}":{value}'.encode()
            broken += [b"{" + again + b"," + row[1:], row[:-1] + b"," + again + b"}"]

    accepted = accept(SOURCE_TABLES[table], b"\n".join([*broken, b""]))

    assert accepted.frame.empty
    assert [quarantined.line for quarantined in accepted.quarantined] == broken
    assert {quarantined.reasons for quarantined in accepted.quarantined} == {
        (f"cannot be read: Column(/{column}) was specified twice",)
    }


def test_lines_that_make_up_for_each_other_are_quarantined() -> None:
    """Three lines that hold three objects, but not one each."""
    accepted = orders(
        b'{"note":\n',
        b"{}," + line("sales_order", sales_order_id="1")[1:],
        line("sales_order", sales_order_id="2").rstrip() + line("sales_order", sales_order_id="3"),
        b"{}\n",
    )

    assert accepted.frame.empty
    assert [quarantined.line[:9] for quarantined in accepted.quarantined] == [
        b'{"note":',
        b'{},"sales',
        b'{"sales_o',
        b"{}",
    ]


def test_object_over_two_lines_is_no_row_even_when_another_line_has_two() -> None:
    accepted = orders(
        b'{"note":\n',
        b'{"a":1},' + line("sales_order", sales_order_id="1")[1:],
        line("sales_order", sales_order_id="2").rstrip() + line("sales_order", sales_order_id="3"),
    )

    assert accepted.frame.empty


def test_quarantined_line_is_kept_as_it_arrived() -> None:
    broken = b'{"sales_order_id": 1,\r\t"city": "M\xfcller \\u2028"}'

    (quarantined,) = orders(broken + b"\n").quarantined

    assert quarantined.line == broken


# --- rows that break the contract together ----------------------------------------------------


def test_of_rows_with_the_same_key_none_is_accepted() -> None:
    accepted = orders(
        line("sales_order", sales_order_id="1", units_sold="5"),
        line("sales_order", sales_order_id="2"),
        line("sales_order", sales_order_id="1", units_sold="6"),
    )

    assert values(accepted, "sales_order_id") == [2]
    assert [quarantined.reasons for quarantined in accepted.quarantined] == [
        ("sales_order_id is in the batch more than once",)
    ] * 2


def test_rows_without_a_key_do_not_share_one() -> None:
    accepted = orders(
        line("sales_order", sales_order_id="null"), line("sales_order", sales_order_id="null")
    )

    assert [quarantined.reasons for quarantined in accepted.quarantined] == [
        ("sales_order_id is missing",)
    ] * 2


def test_row_that_refers_to_no_parent_is_quarantined() -> None:
    accepted = accept(
        SOURCE_TABLES["staff"],
        line("staff", staff_id="1", department_id="1")
        + line("staff", staff_id="2", department_id="9"),
        {"department_id": [1, 2]},
    )

    assert values(accepted, "staff_id") == [1]
    assert [quarantined.reasons for quarantined in accepted.quarantined] == [
        ("department_id refers to a row that is not in the batch, or is in quarantine",)
    ]


# --- no value of a row leaks into a reason ----------------------------------------------------

SECRET = "hunter2"


@pytest.mark.parametrize("column", LINES["payment"])
@pytest.mark.parametrize(
    "text",
    [
        f'"{SECRET}"',
        f'"\\n{SECRET}"',
        f'"{SECRET}\\nb"',
        f'"a\\n{SECRET}\\nb"',
        f'"it\'s {SECRET} is not it"',
        f'"couldn\'t parse: {SECRET}"',
        f'"1.5 {SECRET}"',
        f'["{SECRET}"]',
        f'{{"{SECRET}": "{SECRET}"}}',
        f'"{SECRET}\\ud800"',
        f'"{SECRET}',
    ],
)
def test_text_of_a_wrong_row_is_in_no_reason(column: str, text: str) -> None:
    accepted = accept(SOURCE_TABLES["payment"], line("payment", **{column: text}))

    assert SECRET not in repr([quarantined.reasons for quarantined in accepted.quarantined])
    assert accepted.quarantined


@pytest.mark.parametrize("column", LINES["payment"])
@pytest.mark.parametrize(
    "text", ["8675309.25", "-8675309", "86753098675309", "8.675309", "8675309e9", "8675309e-9"]
)
def test_digits_of_a_wrong_row_are_in_no_reason(column: str, text: str) -> None:
    quarantined = accept(SOURCE_TABLES["payment"], line("payment", **{column: text})).quarantined

    assert "675309" not in repr([row.reasons for row in quarantined])


@unhurried
@given(st.sampled_from(list(LINES["payment"])), st.text(), st.text())
def test_no_text_around_a_secret_brings_it_into_a_reason(
    column: str, before: str, after: str
) -> None:
    text = json.dumps(before + SECRET + after)

    quarantined = accept(SOURCE_TABLES["payment"], line("payment", **{column: text})).quarantined

    assert SECRET not in repr([row.reasons for row in quarantined])
    assert all("\n" not in reason for row in quarantined for reason in row.reasons)


# --- against an independent reader ------------------------------------------------------------

EDITS = st.tuples(
    st.integers(min_value=0, max_value=len(GOOD)),
    st.integers(min_value=0, max_value=3),
    st.sampled_from([b"", *(bytes([byte]) for byte in b'{}[]",:\\0179.eE+- \tnultrfa\x00\xff')]),
)


def edited(edits: list[tuple[int, int, bytes]]) -> bytes:
    """The good line with a few bytes replaced, removed or added."""
    data = GOOD
    for position, length, replacement in edits:
        data = data[:position] + replacement + data[position + length :]
    return data


def as_json(value: Any) -> Any:
    return value.isoformat() if isinstance(value, dt.date) else value


def python_reads(data: bytes) -> dict[str, Any]:
    """The row as Python's strict JSON reader sees it; duplicate keys are errors."""

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        row = dict(pairs)
        assert {key for key, _ in pairs if [k for k, _ in pairs].count(key) > 1}.isdisjoint(
            SOURCE_TABLES["sales_order"].column_names
        )
        return row

    row: dict[str, Any] = json.loads(data.decode(), parse_float=Decimal, object_pairs_hook=once)
    return row


@pytest.mark.long
@settings(max_examples=400, deadline=None)
@given(st.lists(EDITS, min_size=1, max_size=3))
def test_what_is_accepted_of_a_damaged_line_is_what_it_says(
    edits: list[tuple[int, int, bytes]],
) -> None:
    data = edited(edits)
    accepted = orders(data + b"\n")
    if accepted.frame.empty:
        assert [quarantined.line for quarantined in accepted.quarantined] == [data]
        return

    row = python_reads(data)

    for column in SOURCE_TABLES["sales_order"].columns:
        (value,) = values(accepted, column.name)
        said = row[column.name]
        if isinstance(value, dt.datetime):
            assert dt.datetime.fromisoformat(said) == value
        elif isinstance(value, Decimal):
            assert Decimal(said) == value
        else:
            assert as_json(value) == said


SOME_LINES = st.lists(st.sampled_from([None, *(broken for _, broken, _ in BROKEN_LINES)]))


@unhurried
@given(SOME_LINES)
def test_every_line_is_either_accepted_or_quarantined(kinds: list[bytes | None]) -> None:
    lines = [
        line("sales_order", sales_order_id=str(number)) if kind is None else kind + b"\n"
        for number, kind in enumerate(kinds)
    ]

    accepted = orders(*lines)

    good = [number for number, kind in enumerate(kinds) if kind is None]
    assert list(accepted.frame.index) == good
    assert values(accepted, "sales_order_id") == good
    assert [quarantined.line for quarantined in accepted.quarantined] == [
        k for k in kinds if k is not None
    ]
