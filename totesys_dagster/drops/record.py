"""What is read of a file before its values are cast: records, and why a file is refused."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal


class RefusedFileError(Exception):
    """Nothing of the file can be taken: the part of a sentence that says why, and what to do."""


class Cell(str):
    """What stands between two delimiters, which may be of any type."""

    __slots__ = ()


class Number(str):
    """A number of JSON, as it is written."""

    __slots__ = ()


Value = Cell | Number | str | bool | int | Decimal | dt.date | None


@dataclass(frozen=True)
class Record:
    """A line, or the line on which it begins: its values in the order of the contract's columns, or
    why there are none. `text` is what stands there."""

    line: int
    values: Sequence[Value]
    text: str
    reason: str | None = None
