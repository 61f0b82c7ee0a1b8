"""Casts values to their column of the contract: each is valid as written, or faulty."""

from __future__ import annotations

import datetime as dt
import re
import unicodedata
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from totesys_dagster.catalogue import FileColumn, FileContract, Type
from totesys_dagster.characters import is_unseen
from totesys_dagster.drops.record import Cell, Number, Value

# The allowed dates; a year of two digits would be in the first century.
FIRST_DAY, LAST_DAY = dt.date(1900, 1, 1), dt.date(2199, 12, 31)
_GREATEST_INTEGER = 2**63

_SPACING = frozenset("\n\r\t")

# Each distinct value of a column is cast once, up to this many.
MOST_REMEMBERED = 10_000


class FaultyValueError(ValueError):
    """A value breaks the contract. The message says why, without quoting it."""


Cast = Callable[[Value], Any]


def caster(contract: FileContract, column: FileColumn) -> Cast:
    """The function that gives a column's values their final type. It raises FaultyValueError."""
    cast = _CASTS[column.type]
    separator = contract.decimal_separator
    known: dict[tuple[type, Value], Any] = {}

    def remembered(value: Value) -> Any:
        if value is None or value == "":
            return _missing(column, value)
        key = (type(value), value)
        if key not in known:
            if len(known) >= MOST_REMEMBERED:
                known.clear()
            known[key] = cast(column, value, separator)
        return known[key]

    return remembered


def _missing(column: FileColumn, value: Value) -> str | None:
    if not column.column.nullable:
        raise FaultyValueError(f"{column.name} is missing")
    if value is not None and column.type is not Type.TEXT:
        raise _wrong(column)
    return "" if value is not None else None


def _text(column: FileColumn, value: Value, _: str) -> str:
    if isinstance(value, Number) or not isinstance(value, str):
        raise FaultyValueError(f"{column.name} is not text")
    text = str(value)
    odd = next((one for one in text if is_unseen(one) and one not in _SPACING), None)
    if odd is not None:
        raise FaultyValueError(
            f"{column.name} has a character that cannot be seen (U+{ord(odd):04X})"
        )
    if not unicodedata.is_normalized("NFC", text):
        raise FaultyValueError(
            f"{column.name} has a letter apart from its accent, and is to be written in Unicode's"
            " form NFC"
        )
    if text != text.strip():
        raise FaultyValueError(f"{column.name} has space at its start or end")
    if column.longest is not None and len(text) > column.longest:
        raise FaultyValueError(f"{column.name} is longer than {column.longest} characters")
    if column.pattern is not None and not re.fullmatch(column.pattern, text):
        raise FaultyValueError(f"{column.name} does not match the pattern of its contract")
    return text


def _integer(column: FileColumn, value: Value, _: str) -> int:
    if isinstance(value, Cell | Number):
        if not re.fullmatch(r"-?(0|[1-9][0-9]{0,18})", value):
            raise _wrong(column)
        number = int(value)
    elif isinstance(value, int) and not isinstance(value, bool):
        number = value
    else:
        raise _wrong(column)
    if not -_GREATEST_INTEGER <= number < _GREATEST_INTEGER:
        raise _wrong(column)
    _require_bounds(column, Decimal(number))
    return number


def _amount(column: FileColumn, value: Value, separator: str) -> Decimal:
    precision, scale = column.column.digits
    if isinstance(value, str):
        # In JSON and Parquet the point is the point.
        point = re.escape(separator if isinstance(value, Cell) else ".")
        match = re.fullmatch(rf"(-?)(0|[1-9][0-9]*)(?:{point}([0-9]+))?", value)
        if match is None:
            raise _wrong(column)
        sign, whole, fraction = match.groups()
        if len(fraction or "") > scale:
            raise FaultyValueError(f"{column.name} has more than {scale} decimals")
        if len(whole) > precision - scale and whole != "0":
            raise FaultyValueError(f"{column.name} is beyond {column.column.sql_type}")
        amount = Decimal(f"{sign}{whole}.{fraction or 0}")
    elif isinstance(value, Decimal | int) and not isinstance(value, bool):
        amount = _fitting(column, Decimal(value))
    else:
        raise _wrong(column)
    _require_bounds(column, amount)
    return amount


def _fitting(column: FileColumn, amount: Decimal) -> Decimal:
    """An amount of another precision or scale, if nothing is lost."""
    precision, scale = column.column.digits
    digits, exponent = amount.as_tuple().digits, int(amount.as_tuple().exponent)
    spare = -exponent - scale
    if spare > 0 and any(digits[-spare:]):
        raise FaultyValueError(f"{column.name} has more than {scale} decimals")
    if amount.adjusted() >= precision - scale and amount:
        raise FaultyValueError(f"{column.name} is beyond {column.column.sql_type}")
    return amount


def _boolean(column: FileColumn, value: Value, _: str) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, Cell) and value in ("true", "false"):
        return value == "true"
    raise _wrong(column)


def _date(column: FileColumn, value: Value, _: str) -> dt.date:
    if isinstance(value, dt.date) and not isinstance(value, dt.datetime):
        day = value
    elif isinstance(value, str) and not isinstance(value, Number):
        day = _parsed(column, value)
    else:
        raise _wrong(column)
    if not FIRST_DAY <= day <= LAST_DAY or ("dd" not in column.date_format and day.day != 1):
        raise _wrong(column)
    return day


def _parsed(column: FileColumn, text: str) -> dt.date:
    pattern = re.escape(column.date_format)
    for part, digits in (("yyyy", 4), ("MM", 2), ("dd", 2)):
        pattern = pattern.replace(part, f"(?P<{part}>[0-9]{{{digits}}})")
    match = re.fullmatch(pattern, text)
    if match is None:
        raise _wrong(column)
    try:
        found = {"dd": "1"} | match.groupdict()
        return dt.date(int(found["yyyy"]), int(found["MM"]), int(found["dd"]))
    except ValueError:
        raise _wrong(column) from None


def _require_bounds(column: FileColumn, number: Decimal) -> None:
    if column.minimum is not None and number < column.minimum:
        raise FaultyValueError(f"{column.name} is less than {column.minimum}")
    if column.maximum is not None and number > column.maximum:
        raise FaultyValueError(f"{column.name} is more than {column.maximum}")


def _wrong(column: FileColumn) -> FaultyValueError:
    return FaultyValueError(f"{column.name} is not {_MEANT[column.type].format(column=column)}")


_MEANT = {
    Type.TEXT: "text",
    Type.BIG_INTEGER: "a whole number in plain digits",
    Type.MONEY: "an amount in plain digits: no plus, space, exponent or separator of thousands",
    Type.BOOLEAN: "true or false",
    Type.DATE: "a date as {column.date_format}",
}
_CASTS: dict[Type, Callable[[FileColumn, Value, str], Any]] = {
    Type.TEXT: _text,
    Type.BIG_INTEGER: _integer,
    Type.MONEY: _amount,
    Type.BOOLEAN: _boolean,
    Type.DATE: _date,
}
