"""The values of a contract in ODCS, each understood or refused with a sentence."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from totesys_dagster.catalogue.files import ENCODINGS, FILE_TYPES, ISO_DATE
from totesys_dagster.catalogue.model import Digits, Kind, Type
from totesys_dagster.catalogue.stars import STAR_TABLES
from totesys_dagster.characters import is_unseen
from totesys_dagster.errors import DeclarationError

# PostgreSQL takes 63 bytes, and the names of views and keys are longer than the table's.
LONGEST_NAME = 40
# Bytes; file systems take 255 for a folder's name.
LONGEST_LOCATION = 200
DELIMITERS = ",;|:^~#\t"

# Which rules a contract may give for the values of a type.
OPTIONS = {
    Type.TEXT: {"pattern", "maxLength"},
    Type.BIG_INTEGER: {"minimum", "maximum"},
    Type.MONEY: {"minimum", "maximum"},
    Type.BOOLEAN: set[str](),
    Type.DATE: {"format"},
}

_NAME = re.compile(r"[a-z][a-z0-9_]*")
_NUMERIC = re.compile(r"(?:numeric|decimal)\(([0-9]{1,2}), ?([0-9]{1,2})\)")
_NUMBER = re.compile(r"-?[0-9]{1,40}(\.[0-9]{1,40})?")
_LENGTH = re.compile(r"[1-9][0-9]{0,8}")
_POSITION = re.compile(r"[1-9][0-9]{0,2}")
_DATE_FORMAT = re.compile(r"(?=.*yyyy)(?=.*MM)(?:(?:yyyy|MM|dd)[-./ ]?)+")


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """A mapping. Raises DeclarationError for anything else."""
    if not isinstance(value, dict):
        raise DeclarationError(f"{what} is not a list of names with values")
    return value


def text(values: Mapping[str, Any], name: str, default: str | None = None) -> str:
    """A text that is there, or has a default. Raises DeclarationError."""
    value = values.get(name, default)
    if not isinstance(value, str) or (not value and default is None):
        raise DeclarationError(f"`{name}` is missing, or is no text")
    if any(is_unseen(letter) and letter not in "\n\t\xa0" for letter in value):
        raise DeclarationError(f"`{name}` has a character that cannot be seen")
    return value


def flag(values: Mapping[str, Any], name: str, *, default: bool) -> bool:
    """True or false. Raises DeclarationError."""
    found = text(values, name, str(default)).lower()
    if found not in ("true", "false"):
        raise DeclarationError(f"`{name}` is true or false")
    return found == "true"


def identifier(name: str) -> str:
    """A name for a table or column. Raises DeclarationError."""
    if not _NAME.fullmatch(name) or len(name) > LONGEST_NAME:
        raise DeclarationError(
            f"{name!r} is no name for a table or column here: write up to {LONGEST_NAME} lower-case"
            " letters, digits and underscores"
        )
    return name


def require_known(values: Mapping[str, Any], known: set[str], what: str) -> None:
    """Raise DeclarationError where a mapping has a name that nothing holds to."""
    unknown = sorted(str(name) for name in values if name not in known)
    if unknown:
        raise DeclarationError(
            f"{what} has {unknown[0]!r}, which nothing here holds to: take it out"
            + (f", or use one of {listed(sorted(known))}" if len(known) < 9 else "")
        )


def listed(names: Iterable[str]) -> str:
    """Names in a sentence."""
    return ", ".join(names)


def digits(name: str, declared: Mapping[str, Any]) -> Digits:
    """Precision and scale of a number. Raises DeclarationError."""
    match = _NUMERIC.fullmatch(text(declared, "physicalType", ""))
    if not match or not 0 <= int(match[2]) <= int(match[1]) <= 38 or not int(match[1]):
        raise DeclarationError(f"{name} is a number: give its digits by `physicalType`, such as"
                               " numeric(14,2), of 38 at most")  # fmt: skip
    return int(match[1]), int(match[2])


def bounds(
    name: str, options: Mapping[str, Any], greatest: Decimal
) -> tuple[Decimal | None, Decimal | None]:
    """The least and the greatest value of a column whose type holds less than `greatest`.

    Raises DeclarationError, also where no value can be within them.
    """
    least = _number(name, options, "minimum")
    most = _number(name, options, "maximum")
    if least is not None and most is not None and least > most:
        raise DeclarationError(f"the minimum of {name} is more than its maximum")
    if (least is not None and least >= greatest) or (most is not None and most <= -greatest):
        raise DeclarationError(f"no value of the type of {name} is within its minimum and maximum")
    return least, most


def _number(name: str, options: Mapping[str, Any], option: str) -> Decimal | None:
    if option not in options:
        return None
    number = text(options, option)
    if not _NUMBER.fullmatch(number):
        raise DeclarationError(f"the {option} of {name} is no number in plain digits")
    return Decimal(number)


def longest(name: str, options: Mapping[str, Any]) -> int | None:
    """The most characters of a text. Raises DeclarationError."""
    if "maxLength" not in options:
        return None
    number = text(options, "maxLength")
    if not _LENGTH.fullmatch(number):
        raise DeclarationError(f"the maxLength of {name} is no whole number from 1 on")
    return int(number)


def listed_in(name: str, type_: Type, custom: Mapping[str, Any]) -> tuple[str, str] | None:
    """The dimension and its column in which values are expected. Raises DeclarationError."""
    if "listedIn" not in custom:
        return None
    table, _, column = text(custom, "listedIn").partition(".")
    star = STAR_TABLES.get(table)
    dimension = star is not None and star.kind is Kind.DIMENSION
    found = {one.name: one.type for one in star.columns} if star and dimension else {}
    if found.get(column) is not type_:
        raise DeclarationError(
            f"the listedIn of {name} is no column of a dimension with values of its type: write"
            " it like dim_staff.location"
        )
    return table, column


def pattern(name: str, options: Mapping[str, Any]) -> str | None:
    """A regular expression. Raises DeclarationError."""
    if "pattern" not in options:
        return None
    found = text(options, "pattern")
    try:
        with warnings.catch_warnings(action="ignore"):
            re.compile(found)
    except (re.error, OverflowError, RecursionError) as error:
        raise DeclarationError(
            f"the pattern of {name} is no regular expression ({error})"
        ) from None
    return found


def date_format(name: str, options: Mapping[str, Any]) -> str:
    """How a date is written. Raises DeclarationError."""
    form = text(options, "format", ISO_DATE)
    if not _DATE_FORMAT.fullmatch(form) or any(form.count(p) > 1 for p in ("yyyy", "MM", "dd")):
        raise DeclarationError(
            f"the format of {name} is {form!r}: write yyyy, MM and, unless it is a month, dd, such"
            " as dd/MM/yyyy"
        )
    return form


def in_order(keys: Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The columns of the key by their positions, where they have any. Raises DeclarationError."""
    positions = [text(one, "primaryKeyPosition") for one in keys if "primaryKeyPosition" in one]
    if not positions:
        return list(keys)
    numbers = [int(position) for position in positions if _POSITION.fullmatch(position)]
    if len({*numbers}) < len(keys):
        raise DeclarationError(
            "`primaryKeyPosition` is a whole number from 1 on for each column of the key, and for"
            " each another one"
        )
    return [one for _, one in sorted(zip(numbers, keys, strict=True), key=lambda pair: pair[0])]


def require_format(custom: Mapping[str, Any]) -> None:
    """Raise DeclarationError unless files can be written as the custom properties say."""
    types = custom.get("fileTypes", FILE_TYPES)
    if (
        not isinstance(types, list | tuple)
        or not types
        or not all(isinstance(one, str) and one in FILE_TYPES for one in types)
        or len({*types}) < len(types)
    ):
        raise DeclarationError(f"its fileTypes are a list of {listed(FILE_TYPES)}, each once")
    delimiter, separator = custom.get("delimiter", ","), custom.get("decimalSeparator", ".")
    if len(delimiter) != 1 or delimiter not in DELIMITERS:
        raise DeclarationError(
            f"its delimiter is one character of {' '.join(DELIMITERS.strip())} or a tab"
        )
    if separator not in (".", ","):
        raise DeclarationError("its decimalSeparator is . or ,")
    if delimiter == separator:
        raise DeclarationError(f"its delimiter and its decimalSeparator are both {delimiter}")
    if custom.get("encoding", "utf-8").lower() not in ENCODINGS:
        raise DeclarationError(f"its encoding is one of {listed(ENCODINGS)}")


def location(folder: str) -> str:
    """The folder of the files. Raises DeclarationError."""
    found = folder.strip("/")
    parts = found.split("/")
    if (
        not found
        or any(part != part.strip() or part.startswith((".", "_", "~$")) for part in parts)
        or not all(parts)
        or any(is_unseen(letter) or letter == "\\" for letter in found)
        or len(found.encode()) > LONGEST_LOCATION
    ):
        raise DeclarationError(
            "its location is a folder's name, such as sales_target; none of its parts begins with"
            " . or _ or ~$, as such files are passed by"
        )
    return found
