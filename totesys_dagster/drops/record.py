"""What is read of a file before its values are cast: records, and why a file is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal


class RefusedFileError(Exception):
    """The file is refused. The message is part of a sentence: why, and what to do."""


class Cell(str):
    """The text between two delimiters, which can be of any type."""

    __slots__ = ()


class Number(str):
    """A JSON number, as written."""

    __slots__ = ()


Value = Cell | Number | str | bool | int | Decimal | dt.date | None


@dataclass(frozen=True)
class Record:
    """A record and its first line: its values in the order of the contract's columns, or why there
    are none. `text` is its text in the file."""

    line: int
    values: Sequence[Value]
    text: str
    reason: str | None = None
