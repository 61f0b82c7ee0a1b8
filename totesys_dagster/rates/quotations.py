"""Reads what the two sources give: the European Central Bank's history, and a day's body.

A quotation gives pounds sterling for one unit of each currency, with 18 decimals, as in the
warehouse. A body comes from outside, so nothing about it is taken for granted.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal, DecimalException

from totesys_dagster import strict_json
from totesys_dagster.feeds.feed import Faulty

# The currency of every rate, and the currencies that have one. Bodies are archived whole: if you
# add a currency and raise the table's code_version, it has rates from the first day on.
BASE = "GBP"
CURRENCIES = ("EUR", "USD")

# The bank's history has 2 MB.
LARGEST_HISTORY = 64 * 1024 * 1024

_DIGITS = Decimal("1e-18")
_LARGEST = Decimal("1e8")
_EXACT = Context(prec=60)
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"[0-9]{1,12}(\.[0-9]{1,12})?")

Quotation = Mapping[str, Decimal]


class FaultyBodyError(ValueError):
    """A body is not what its source gives. The message says why, without quoting it."""


@dataclass(frozen=True)
class History:
    """The quotations of a history, their lines, and the lines that have none although the bank
    quoted something."""

    quotations: dict[dt.date, Quotation]
    lines: dict[dt.date, tuple[int, str]]
    faulty: list[Faulty]


def read_day(body: bytes, day: dt.date) -> Quotation:
    """The quotation in the daily source's body for a day. Raises FaultyBodyError."""
    try:
        data = json.loads(
            body,
            **strict_json.hooks(
                Decimal,
                lambda name: FaultyBodyError(f"{name} stands where a number is due"),
                lambda: FaultyBodyError("a key comes twice in it"),
            ),
        )
    except FaultyBodyError:
        raise
    except (ValueError, RecursionError, DecimalException):
        raise FaultyBodyError("it is not JSON") from None
    if not isinstance(data, dict):
        raise FaultyBodyError("it is no object of JSON")
    if data.get("date") != day.isoformat():
        raise FaultyBodyError("its date is not the day that was asked for")
    units = data.get(BASE.lower())
    if not isinstance(units, dict):
        raise FaultyBodyError(f"it has no rates of {BASE}")
    if units.get(BASE.lower(), Decimal(1)) != 1:
        raise FaultyBodyError(f"one {BASE} is not one {BASE} in it")
    return {code: _inverse(code, units.get(code.lower())) for code in CURRENCIES}


def _inverse(code: str, units: object) -> Decimal:
    """Pounds sterling for one unit, given the number of units for one pound."""
    if units is None:
        raise FaultyBodyError(f"it has no rate of {code}")
    if not isinstance(units, Decimal):
        raise FaultyBodyError(f"the rate of {code} is no number")
    return _rate(code, Decimal(1), units)


def _rate(code: str, dividend: Decimal, divisor: Decimal) -> Decimal:
    """The quotient. Raises FaultyBodyError unless it is a rate that the warehouse can store."""
    try:
        quotient = _EXACT.divide(dividend, divisor) if divisor > 0 else Decimal(0)
        rate = _EXACT.quantize(quotient, _DIGITS)
    except DecimalException:
        rate = Decimal(0)
    if not 0 < rate < _LARGEST:
        raise FaultyBodyError(f"the rate of {code} is not above zero, or beyond all bounds")
    return rate


def read_history(body: bytes) -> History:
    """The quotations in the bank's history as published. Raises FaultyBodyError."""
    head, *lines = _text(body).split("\n")
    columns = {name.strip(): place for place, name in enumerate(head.split(","))}
    missing = [name for name in ("Date", BASE, *CURRENCIES) if name not in columns | {"EUR": 0}]
    if missing:
        raise FaultyBodyError(f"it has no column {missing[0]}")
    found = History({}, {}, [])
    # No cell is quoted. Cells after the last one that is needed are not split.
    cells = max(columns.get(code, 0) for code in ("Date", BASE, *CURRENCIES)) + 1
    for number, line in enumerate(lines, start=2):
        if not line.strip():
            continue
        row = line.split(",", cells)
        try:
            day = _day(row[columns["Date"]])
            if day in found.quotations:
                raise FaultyBodyError("its day comes twice")
            quotation = _line(row, columns)
        except FaultyBodyError as error:
            found.faulty.append(Faulty(number, (str(error),), line))
            continue
        if quotation:
            found.quotations[day], found.lines[day] = quotation, (number, line)
    if not found.quotations:
        raise FaultyBodyError("it has no quotation")
    return found


def _text(body: bytes) -> str:
    """The CSV in the archive, read up to a limit: an archive's own sizes cannot be trusted."""
    try:
        with zipfile.ZipFile(io.BytesIO(body)) as archive:
            [name] = archive.namelist()
            with archive.open(name) as file:
                data = file.read(LARGEST_HISTORY + 1)
    except (zipfile.BadZipFile, ValueError, OSError, EOFError, NotImplementedError, RuntimeError):
        raise FaultyBodyError("it is no ZIP archive of one file") from None
    except Exception as error:  # zlib, bz2 and lzma have errors of their own
        raise FaultyBodyError(f"its archive is damaged ({type(error).__name__})") from None
    if len(data) > LARGEST_HISTORY:
        raise FaultyBodyError("it is beyond all bounds")
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise FaultyBodyError("it is not text in UTF-8") from None


def _day(text: str) -> dt.date:
    try:
        if _DAY.fullmatch(text):
            return dt.date.fromisoformat(text)
    except ValueError:
        pass
    raise FaultyBodyError("it begins with no day")


def _line(row: Sequence[str], columns: Mapping[str, int]) -> Quotation | None:
    """The quotation of a line (the bank's base is the euro); None if the bank quoted nothing."""
    texts = {code: _cell(row, columns[code]) for code in (BASE, *CURRENCIES) if code != "EUR"}
    if None in texts.values():
        return None
    per_euro = {"EUR": Decimal(1)}
    for code, text in texts.items():
        if text is None or not _NUMBER.fullmatch(text) or not (value := Decimal(text)):
            raise FaultyBodyError(f"the rate of {code} is no number above zero")
        per_euro[code] = value
    return {code: _rate(code, per_euro[BASE], per_euro[code]) for code in CURRENCIES}


def _cell(row: Sequence[str], place: int) -> str | None:
    text = row[place].strip() if place < len(row) else ""
    return None if text in ("", "N/A") else text
