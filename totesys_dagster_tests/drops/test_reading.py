"""Files as they are found: each gives exactly what it says, or is refused with a reason."""

from __future__ import annotations

import datetime as dt
import gzip
import io
import zipfile
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from totesys_dagster.catalogue import FileContract
from totesys_dagster.drops import csv_text, parquet, reading
from totesys_dagster.drops.file_feeds import file_feed
from totesys_dagster.feeds.feed import Outcome
from totesys_dagster_tests.drops.conftest import HEADER, TARGETS, outcome

CONTRACT = TARGETS[0]
GOOD = "2024-11,Leeds,GBP,19500000.00\n"


def rows(found: Outcome) -> list[tuple[Any, ...]]:
    """The rows as (month, office, currency, amount as text)."""
    assert found.refused is None, found.refused
    return [
        (row["month"].isoformat(), row["office"], row["currency_code"], str(row["target_amount"]))
        for row in found.rows.to_pylist()
    ]


def refused(found: Outcome) -> str:
    assert found.refused is not None
    assert found.rows.num_rows == 0
    return found.refused


def with_format(**changes: Any) -> Callable[[str | bytes], Outcome]:
    """What a file gives by a contract that declares another form."""
    feed = file_feed(replace(CONTRACT, **changes))

    def read(text: str | bytes) -> Outcome:
        return outcome(text if isinstance(text, bytes) else text.encode(), feed=feed)

    return read


def test_file_gives_its_rows_and_its_name() -> None:
    found = outcome((HEADER + GOOD + "2024-12,Manchester,EUR,0\n").encode(), "a/b c.csv")

    assert rows(found) == [
        ("2024-11-01", "Leeds", "GBP", "19500000.00"),
        ("2024-12-01", "Manchester", "EUR", "0.00"),
    ]
    assert found.rows["file_name"].to_pylist() == ["a/b c.csv"] * 2


@pytest.mark.parametrize(
    ("line", "office"),
    [
        ("2024-11,NA,GBP,1\n", "NA"),
        ("2024-11,null,GBP,1\n", "null"),
        ("2024-11,007,GBP,1\n", "007"),
        ("2024-11,1E5,GBP,1\n", "1E5"),
        ("2024-11,true,GBP,1\n", "true"),
        ("2024-11,Zürich,GBP,1\n", "Zürich"),
        ('2024-11,"Leeds, North",GBP,1\n', "Leeds, North"),
        ('2024-11,"The ""Hub""",GBP,1\n', 'The "Hub"'),
        ('"2024-11","Leeds","GBP","1"\n', "Leeds"),
        ("2024-11,L\xfcbeck \u6771\u4eac \U0001f600,GBP,1\n", "L\xfcbeck \u6771\u4eac \U0001f600"),
    ],
)
def test_text_stays_as_it_is_written(line: str, office: str) -> None:
    [row] = rows(outcome((HEADER + line).encode()))
    assert row[1] == office


@pytest.mark.parametrize(
    "body",
    [
        HEADER.replace("\n", "\r\n") + GOOD.replace("\n", "\r\n"),
        "\ufeff" + HEADER + GOOD,
        "target_amount,currency_code,office,month\n19500000.00,GBP,Leeds,2024-11\n",
        '"month","office","currency_code","target_amount"\n' + GOOD,
    ],
    ids=["CRLF", "mark of UTF-8", "other order", "header in quotes"],
)
def test_form_that_says_the_same_gives_the_same(body: str) -> None:
    assert rows(outcome(body.encode())) == [("2024-11-01", "Leeds", "GBP", "19500000.00")]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (HEADER + "2024-11,Leeds,GBP,195", "does not end with the end of a line"),
        (HEADER.strip(), "does not end with the end of a line"),
        (HEADER.replace("\n", "\r") + GOOD.replace("\n", "\r"), "does not end with the end"),
        ("", "is empty"),
        ("\n", "does not begin with the header"),
        (HEADER, "has no row"),
        (GOOD, "does not begin with the header"),
        ("Targets 2024\n" + HEADER + GOOD, "does not begin with the header"),
        ("month,office,office,target_amount\n" + GOOD, "two columns of one name"),
        ("month,office,currency_code\n2024-11,Leeds,GBP\n", "does not begin with the header"),
        ("month,office,currency_code,amount\n" + GOOD, "does not begin with the header"),
        ("Month,office,currency_code,target_amount\n" + GOOD, "does not begin with the header"),
        (" month,office,currency_code,target_amount\n" + GOOD, "does not begin with the header"),
        (HEADER.replace("\n", ",note\n") + "2024-11,Leeds,GBP,1,x\n", "does not begin with the"),
        (HEADER.replace(",", ";") + "2024-11;Leeds;GBP;1,50\n", "does not begin with the header"),
        ('"month,office\n' + GOOD, "has a header that cannot be read"),
    ],
)
def test_file_that_is_not_as_declared_is_refused_as_a_whole(body: str, why: str) -> None:
    found = outcome(body.encode())

    assert why in refused(found)
    assert not found.faulty


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("2024-11,Leeds,GBP,1,\n", "the line has 5 values where 4 belong"),
        ("2024-11,Leeds,GBP\n", "the line has 3 values where 4 belong"),
        ("2024-11,Leeds;North,GBP,1,50\n", "the line has 5 values where 4 belong"),
        (",,,\n", "the line has no values: remove it"),
        ("\n", "the line has no values: remove it"),
        ('"","","",""\n', "the line has no values: remove it"),
        ("2024-11,,GBP,1\n", "office is missing"),
        ('2024-11,"",GBP,1\n', "office is missing"),
        ("2024-11, Leeds,GBP,1\n", "office has space at its start or end"),
        ("2024-11,Leeds\u00a0,GBP,1\n", "that cannot be seen (U+00A0)"),
        ("2024-11,Le\u200beds,GBP,1\n", "office has a character that cannot be seen"),
        ("2024-11,Z\ufffdrich,GBP,1\n", "office has a character that cannot be seen"),
        ("2024-11,Le\0eds,GBP,1\n", "office has a character that cannot be seen"),
        ("2024-11,Le\x1beds,GBP,1\n", "office has a character that cannot be seen"),
        *(
            (f"2024-11,Le{odd}eds,GBP,1\n", f"that cannot be seen (U+{ord(odd):04X})")
            for odd in "\xa0\xad\u034f\u115f\u2003\u200d\u2028\u2029\u202e\u2066\u2800\u3164\ufe0f"
            "\uffa0\ue000\u0378\U000e0041\U000e0100\U00100000"
        ),
        ("2024-11,Lu\u0308beck,GBP,1\n", "a letter apart from its accent"),
        ("2024-11," + "x" * 101 + ",GBP,1\n", "office is longer than 100 characters"),
        ('2024-11,"Leeds\nNorth",GBP,1\n', "office does not match the pattern of its contract"),
        ("2024-11,Le\reds,GBP,1\n", "office does not match the pattern of its contract"),
        ('2024-11,Le"eds",GBP,1\n', "a quote stands within a value"),
        ('2024-11,"Leeds"x,GBP,1\n', "a quote stands within a value"),
        ('2024-11,"Leeds,GBP,1\n', "a quote is opened and not closed"),
        ("2024-11,Leeds,gbp,1\n", "currency_code does not match"),
        ("2024-11,Leeds,£,1\n", "currency_code does not match"),
        ("01/11/2024,Leeds,GBP,1\n", "month is not a date as yyyy-MM"),
        ("2024-11-01,Leeds,GBP,1\n", "month is not a date as yyyy-MM"),
        ("2024-13,Leeds,GBP,1\n", "month is not a date as yyyy-MM"),
        ("24-11,Leeds,GBP,1\n", "month is not a date as yyyy-MM"),
        ("0024-11,Leeds,GBP,1\n", "month is not a date as yyyy-MM"),
        ("Nov-24,Leeds,GBP,1\n", "month is not a date as yyyy-MM"),
        ("45597,Leeds,GBP,1\n", "month is not a date as yyyy-MM"),
        ("٢٠٢٤-١١,Leeds,GBP,1\n", "month is not a date as yyyy-MM"),
        ("2024-11,Leeds,GBP,\n", "target_amount is missing"),
        ('2024-11,Leeds,GBP,"1,950.00"\n', "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,1 950\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP, 1950\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,+1\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,1E5\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,007\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,.5\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,5.\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,1_000\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,0x10\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,NaN\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,Infinity\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,£5\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,(5)\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,5-\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,１\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,#REF!\n", "target_amount is not an amount"),
        ("2024-11,Leeds,GBP,-1\n", "target_amount is less than 0"),
        ("2024-11,Leeds,GBP,1.005\n", "target_amount has more than 2 decimals"),
        ("2024-11,Leeds,GBP,1.000\n", "target_amount has more than 2 decimals"),
        ("2024-11,Leeds,GBP,1000000000000\n", "target_amount is beyond numeric(14,2)"),
        (GOOD.replace("19500000.00", "1"), "month, office, currency_code are those of line 2"),
    ],
)
def test_faulty_line_refuses_the_file_and_is_named(line: str, why: str) -> None:
    found = outcome((HEADER + GOOD + line).encode())

    assert "1 faulty line, the first of them line 3" in refused(found)
    [faulty] = found.faulty
    assert faulty.line == 3
    assert why in faulty.reasons[0]
    assert faulty.row == line.removesuffix("\n").removesuffix("\r").rstrip("\n")


def test_greatest_and_least_amounts_fit() -> None:
    text = "2024-11,A,GBP,999999999999.99\n2024-11,B,GBP,0.01\n2024-11,C,GBP,-0\n"
    assert [row[3] for row in rows(outcome((HEADER + text).encode()))] == [
        "999999999999.99",
        "0.01",
        "0.00",
    ]


def test_all_reasons_of_all_lines_are_kept_with_their_numbers() -> None:
    text = '2024,"Le\neds",GBP,x\n' + GOOD + "2024-12,Leeds,XXX,1\n"
    found = outcome((HEADER + text).encode())

    assert "2 faulty lines" in refused(found)
    assert [(faulty.line, len(faulty.reasons)) for faulty in found.faulty] == [(2, 3), (5, 1)]


def test_file_that_is_wrong_throughout_is_read_no_further(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(reading, "MOST_FAULTY", 5)
    found = outcome((HEADER + "x\n" * 100).encode())

    assert "at least 5 faulty lines" in refused(found)
    assert len(found.faulty) == 5


def test_quote_that_is_never_closed_takes_a_bounded_number_of_lines(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(csv_text, "MOST_LINES", 10)
    found = outcome((HEADER + '2024-11,"Leeds,GBP,1\n' + "x\n" * 100).encode())

    assert found.faulty[0].reasons == ("a quote is opened and not closed",)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ((HEADER + GOOD).encode("utf-16"), "begins with the mark of utf-16"),
        ((HEADER + GOOD).encode("utf-32"), "begins with the mark of utf-32"),
        ((HEADER + "2024-11,Zürich,GBP,1\n").encode("latin-1"), "is not utf-8"),
        ((HEADER + GOOD).encode("utf-16-be"), "does not begin with the header"),
        (gzip.compress((HEADER + GOOD).encode(), mtime=0), "is compressed by gzip"),
        (gzip.compress(b"0" * 10_000_000, mtime=0), "is compressed by gzip"),
        (b"\x28\xb5\x2f\xfd....", "is compressed by zstd"),
        (b"PAR1....PAR1", "is a Parquet file"),
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "is an old Excel workbook"),
        (b"<html>404</html>\n", "does not begin with the header"),
    ],
)
def test_bytes_that_are_something_else_are_refused(body: bytes, why: str) -> None:
    assert why in refused(outcome(body))


@pytest.mark.parametrize("name", ["targets.csv", "targets.xlsx", "targets.zip"])
def test_archive_and_workbook_are_refused_whatever_their_name(name: str) -> None:
    sink = io.BytesIO()
    with zipfile.ZipFile(sink, "w") as archive:
        archive.writestr("xl/workbook.xml", HEADER)

    assert "is a ZIP archive or an Excel workbook: save the sheet as CSV" in refused(
        outcome(sink.getvalue(), name)
    )


@pytest.mark.parametrize("name", ["targets", "targets.txt", "targets.csv.bak", "csv"])
def test_name_with_another_ending_is_refused(name: str) -> None:
    if name == "csv":
        assert rows(outcome((HEADER + GOOD).encode(), name))
    else:
        assert "does not end in .csv or .jsonl" in refused(outcome((HEADER + GOOD).encode(), name))


def test_ending_is_known_in_capitals() -> None:
    assert rows(outcome((HEADER + GOOD).encode(), "TARGETS.CSV"))


def test_file_that_was_too_large_is_refused_without_its_body() -> None:
    process = TARGETS[1].process
    assert "has 9 bytes, more than TOTESYS_DROP_BYTES allowed" in refused(
        process(_sized("9"), b"", None)
    )


def _sized(size: str) -> Any:
    class Sized:
        name, identity = "a.csv", {"size": size}

    return Sized()


# Other forms that a contract may declare


def test_semicolons_with_decimal_commas() -> None:
    read = with_format(delimiter=";", decimal_separator=",")
    header = HEADER.replace(",", ";")

    assert rows(read(header + "2024-11;Leeds;GBP;1950,5\n"))[0][3] == "1950.50"
    assert "target_amount is not an amount" in refused(read(header + "2024-11;Leeds;GBP;1.950,5\n"))
    assert "target_amount is not an amount" in refused(read(header + "2024-11;Leeds;GBP;1950.5\n"))


def test_tabs_and_no_header() -> None:
    read = with_format(delimiter="\t", header=False)

    assert rows(read(GOOD.replace(",", "\t")))[0][1] == "Leeds"
    assert "month is not a date" in refused(read(HEADER.replace(",", "\t")))


@pytest.mark.parametrize("encoding", ["iso-8859-1", "windows-1252"])
def test_other_encoding_is_read_as_declared_and_utf8_is_not_taken_for_it(encoding: str) -> None:
    read = with_format(encoding=encoding)
    text = HEADER + "2024-11,Zürich,GBP,1\n"

    assert rows(read(text.encode(encoding)))[0][1] == "Zürich"
    assert "is utf-8, and its contract declares" in refused(read(text))


def test_utf16_is_read_where_it_is_declared() -> None:
    read = with_format(encoding="utf-16")

    assert rows(read((HEADER + "2024-11,Zürich,GBP,1\n").encode("utf-16")))[0][1] == "Zürich"
    assert "is not utf-16" in refused(read(b"\xff\xfe\x00\xd8"))


@pytest.mark.parametrize(
    ("form", "text", "day"),
    [
        ("dd/MM/yyyy", "01/02/2024", dt.date(2024, 2, 1)),
        ("MM/dd/yyyy", "01/02/2024", dt.date(2024, 1, 2)),
        ("yyyyMMdd", "20240229", dt.date(2024, 2, 29)),
        ("dd.MM.yyyy", "31.12.2024", dt.date(2024, 12, 31)),
        ("yyyy-MM-dd", "2023-02-29", None),
        ("yyyy-MM-dd", "2024-2-1", None),
    ],
)
def test_dates_are_read_as_declared(form: str, text: str, day: dt.date | None) -> None:
    month = replace(CONTRACT.columns[0], date_format=form)
    read = with_format(columns=(month, *CONTRACT.columns[1:]))
    found = read(f"{HEADER}{text},Leeds,GBP,1\n")

    if day is None:
        assert "month is not a date as yyyy-MM-dd" in refused(found)
    else:
        assert found.rows["month"].to_pylist() == [day]


# JSON Lines

LINE = '{"month":"2024-11","office":"Leeds","currency_code":"GBP","target_amount":%s}\n'


def json_of(body: str | bytes) -> Outcome:
    return outcome(body.encode() if isinstance(body, str) else body, "targets.jsonl")


@pytest.mark.parametrize("amount", ["0.1", "123456789012.99", '"19.5"', "0.10", "7"])
def test_amounts_of_json_are_exact(amount: str) -> None:
    [row] = rows(json_of(LINE % amount))
    assert Decimal(row[3]) == Decimal(amount.strip('"'))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (LINE % "1e5", "target_amount is not an amount"),
        (LINE % "1.005", "target_amount has more than 2 decimals"),
        (LINE % "0.1000000000000000055", "target_amount has more than 2 decimals"),
        (LINE % "NaN", "NaN and Infinity are not JSON"),
        (LINE % "-Infinity", "NaN and Infinity are not JSON"),
        (LINE % "null", "target_amount is missing"),
        (LINE % "true", "target_amount is not an amount"),
        (LINE % "[1]", "target_amount is not a single value"),
        (LINE % '{"a":1}', "target_amount is not a single value"),
        (LINE % '1,"office":"York"', "a name stands twice"),
        (LINE % '1,"note":"x"', "a name that its contract does not declare"),
        (LINE % '"1,5"', "target_amount is not an amount"),
        (LINE.replace('"Leeds"', "5") % "1", "office is not text"),
        (LINE.replace('"Leeds"', "true") % "1", "office is not text"),
        (LINE.replace("Leeds", "Le\\u0000eds") % "1", "office has a character that cannot"),
        (LINE.replace("Leeds", "Le\\ud800eds") % "1", "office has a character that cannot"),
        (LINE.replace('"2024-11"', "202411") % "1", "month is not a date"),
        (LINE.replace('"office":"Leeds",', "") % "1", "office is not there"),
        ("[]\n", "the line is not an object"),
        ("5\n", "the line is not an object"),
        ("\n", "the line is empty"),
        ("{\n", "the line is not JSON"),
        ((LINE % "1").replace("\n", "{}\n"), "the line is not JSON"),
        ("[" * 100_000 + "\n", "the line is not JSON"),
        (LINE % ("9" * 5000), "target_amount is beyond"),
    ],
)
def test_faulty_line_of_json_is_named(line: str, why: str) -> None:
    good = (LINE % "1").replace("2024-11", "2024-10")
    found = json_of(good + line)

    assert "line 2" in refused(found)
    assert why in found.faulty[0].reasons[0]


def test_json_that_is_cut_off_or_no_lines_is_refused() -> None:
    assert "does not end with the end of a line" in refused(json_of((LINE % "1").rstrip()))
    assert "faulty lines" in refused(json_of("[\n  {},\n  {}\n]\n"))
    assert "is not utf-8" in refused(json_of((LINE % "1").replace("e", "é").encode("latin-1")))


# Parquet


def parquet_of(**columns: Any) -> bytes:
    given: dict[str, Any] = {
        "month": pa.array([dt.date(2024, 11, 1)]),
        "office": pa.array(["Leeds"]),
        "currency_code": pa.array(["GBP"]),
        "target_amount": pa.array([Decimal("1.50")], pa.decimal128(14, 2)),
    } | columns
    sink = io.BytesIO()
    pq.write_table(pa.table({k: v for k, v in given.items() if v is not None}), sink)
    return sink.getvalue()


def of_parquet(body: bytes) -> Outcome:
    return outcome(body, "targets.parquet")


@pytest.mark.parametrize(
    "columns",
    [
        {},
        {"office": pa.array(["Leeds"]).dictionary_encode()},
        {"office": pa.array(["Leeds"], pa.large_string())},
        {"month": pa.array(["2024-11"])},
        {"target_amount": pa.array([Decimal("1.5000")], pa.decimal128(20, 4))},
        {"target_amount": pa.array([Decimal("1.5")], pa.decimal256(50, 1))},
        {"target_amount": pa.array(["1.50"])},
    ],
)
def test_types_that_hold_the_same_give_the_same(columns: dict[str, Any]) -> None:
    assert rows(of_parquet(parquet_of(**columns))) == [("2024-11-01", "Leeds", "GBP", "1.50")]


@pytest.mark.parametrize(
    ("columns", "why"),
    [
        ({"target_amount": pa.array([1.5])}, "has binary floats in target_amount"),
        ({"target_amount": pa.array([1.5], pa.float32())}, "has binary floats"),
        ({"target_amount": pa.array([True])}, "has the type bool in target_amount"),
        ({"office": pa.array([5])}, "has the type int64 in office"),
        ({"office": pa.array([b"Leeds"])}, "has the type binary in office"),
        ({"office": pa.array([["Leeds"]])}, "has the type list"),
        ({"month": pa.array([dt.datetime(2024, 11, 1)])}, "has the type timestamp"),  # noqa: DTZ001
        ({"office": None}, "does not have the columns"),
        ({"note": pa.array(["x"])}, "does not have the columns"),
        ({"month": pa.array([dt.date(2024, 11, 2)])}, "month is not a date"),
        ({"month": pa.array([None], pa.date32())}, "month is missing"),
        (
            {"target_amount": pa.array([Decimal("1.0050")], pa.decimal128(20, 4))},
            "has more than 2 decimals",
        ),
        (
            {"target_amount": pa.array([Decimal(10) ** 15], pa.decimal128(20, 2))},
            "target_amount is beyond",
        ),
        ({"target_amount": pa.array([Decimal("-1.00")])}, "target_amount is less than 0"),
    ],
)
def test_parquet_of_other_types_or_values_is_refused(columns: dict[str, Any], why: str) -> None:
    assert why in refused(of_parquet(parquet_of(**columns)))


def test_two_columns_of_one_name_in_parquet_are_refused() -> None:
    table = pq.read_table(pa.BufferReader(parquet_of(office=None)))
    table = table.append_column("office", pa.array(["A"])).append_column("office", pa.array(["B"]))
    sink = io.BytesIO()
    pq.write_table(table, sink)

    assert "does not have the columns" in refused(of_parquet(sink.getvalue()))


def test_damaged_parquet_is_refused_wherever_it_is_damaged() -> None:
    """Every byte of a small file turned over, and every length cut off: never a crash."""
    body = parquet_of()
    good = rows(of_parquet(body))
    for place in range(0, len(body), 7):
        for damaged in (
            body[:place] + bytes([body[place] ^ 0xFF]) + body[place + 1 :],
            body[:place],
        ):
            found = of_parquet(damaged)
            assert found.refused or found.rows.num_rows == len(good)
    assert "is damaged, or no Parquet file" in refused(of_parquet(b"PAR1"))
    assert "is damaged, or no Parquet file" in refused(of_parquet((HEADER + GOOD).encode()))


def test_parquet_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parquet, "MOST_UNPACKED", 10)
    assert "says that it unpacks to more than" in refused(of_parquet(parquet_of()))


def test_text_that_stands_in_many_rows_is_counted_in_each(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "MOST_UNPACKED", 1000)
    many = {
        "month": pa.array([dt.date(2024, 11, 1)] * 50),
        "office": pa.array(["x" * 90] * 50),
        "currency_code": pa.array(["GBP"] * 50),
        "target_amount": pa.array([Decimal("1.50")] * 50),
    }
    assert "unpacks to more than 1,000 characters" in refused(of_parquet(parquet_of(**many)))


def test_same_file_gives_the_same_outcome() -> None:
    body = (HEADER + GOOD + "x\n").encode()
    assert outcome(body) == outcome(body)


def test_contract_of_another_kind_of_file_declares_its_types() -> None:
    contract: FileContract = replace(CONTRACT, file_types=("jsonl",))
    assert "does not end in .jsonl" in refused(
        outcome((HEADER + GOOD).encode(), feed=file_feed(contract))
    )
