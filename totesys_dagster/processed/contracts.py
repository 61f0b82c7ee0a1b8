"""Which rows of a source table the platform accepts, as the catalogue declares them.

A row that breaks its contract is quarantined with the reasons: it is never dropped, and never
corrected by guessing. Columns that a star table does not use are not in the contract: they may
contain anything that JSON allows. The checks work on whole columns; single rows are inspected only
after their column has failed.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from totesys_dagster.catalogue import (
    TIMESTAMP_PATTERN,
    SourceColumn,
    SourceTable,
    Type,
)
from totesys_dagster.processed.parsing import Findings, QuarantinedRow, parse

# A date outside these years counts as a mistake: the calendar would have to extend to it.
FIRST_DAY = dt.date(2000, 1, 1)
LAST_DAY = dt.date(2099, 12, 31)
# The text form of a moment with a time zone.
UTC = "+00:00"


@dataclass(frozen=True)
class Accepted:
    """The rows of a part that keep the contract, in Arrow types; the index is their line number."""

    frame: pd.DataFrame
    quarantined: tuple[QuarantinedRow, ...]


def accept(
    table: SourceTable,
    data: bytes,
    currencies: Mapping[str, str],
    parents: Mapping[str, Collection[int]] | None = None,
) -> Accepted:
    """Read a part of `table` (JSON Lines) and split it into accepted and quarantined rows.

    Only the columns of `table` are read (see `catalogue.contract`). `currencies` are the known ones
    by code; `parents` maps a column to the keys that it may refer to, for joined rows. The frame
    has the columns of `table` in its order: integers, text, decimals, bool, date32 and
    timestamp[us] (naive, as in ToteSys).
    """
    findings = Findings()
    rows, findings.read = parse(table, data, findings)
    columns = {
        column.name: _check(column, rows[column.name].combine_chunks(), currencies, findings)
        for column in table.columns
    }
    _check_unique(table, columns[table.key], findings)
    for name, keys in (parents or {}).items():
        unmatched = _unknown(columns[name], keys)
        findings.against_rows(
            unmatched, f"{name} refers to a row that is not in the batch, or is in quarantine"
        )
    return Accepted(_frame(pa.table(columns), findings), findings.quarantined(data))


def _frame(rows: pa.Table, findings: Findings) -> pd.DataFrame:
    """The rows without findings."""
    # In this thread: a part is small, and others are read in parallel.
    frame: pd.DataFrame = rows.to_pandas(types_mapper=pd.ArrowDtype, use_threads=False)
    frame.index = pd.Index(findings.read, name="line")
    if findings.lines:  # to drop nothing takes as long as to drop something
        frame = frame.drop(index=findings.lines, errors="ignore")
    return frame


def _check(
    column: SourceColumn, values: pa.Array, currencies: Mapping[str, str], findings: Findings
) -> pa.Array:
    """Check a column against its declaration. Returns the values in their final type."""
    if not column.nullable and values.null_count:
        findings.against_rows(values.is_null(), f"{column.name} is missing")
    if column.type is Type.DATE:
        values = _dates(column.name, values, findings)
    elif column.type is Type.TIMESTAMP:
        values = _timestamps(column.name, values, findings)
    if column.type is Type.MONEY or column.minimum is not None:
        _check_bounds(column, values, findings)
    if column.currency:
        unknown = _unknown(values, currencies)
        findings.against_rows(unknown, f"{column.name} is not a known code")
    return values


def _unknown(values: pa.Array, known: Iterable[object]) -> pa.BooleanArray:
    """Where there is a value but it is not a known one."""
    is_known = pc.is_in(values, pa.array(list(known), values.type))
    return pc.and_(values.is_valid(), pc.invert(is_known))


def _check_bounds(column: SourceColumn, values: pa.Array, findings: Findings) -> None:
    """Check the bounds. Single values are inspected only if the least or greatest is out."""
    least, most = (bound.as_py() for bound in pc.min_max(values).values())
    if least is None:
        return
    # The JSON reader counts the digits of 123456789 as they are written, and stores it as
    # 123456789.00, which has one too many for numeric(10,2).
    limit = 10 ** (column.digits[0] - column.digits[1])
    if column.type is Type.MONEY and (least <= -limit or most >= limit):
        beyond = pc.or_(pc.less_equal(values, -limit), pc.greater_equal(values, limit))
        findings.against_rows(beyond, f"{column.name} is beyond {column.sql_type}")
    if column.minimum is not None and least < column.minimum:
        low = pc.less(values, column.minimum)
        findings.against_rows(low, f"{column.name} is less than {column.minimum}")


def _dates(name: str, texts: pa.StringArray, findings: Findings) -> pa.Date32Array:
    """Text to date32. There are few distinct dates, so each is checked once, exactly."""
    encoded = texts.dictionary_encode()
    days = [_day(text) for text in encoded.dictionary.to_pylist()]
    dates = pa.array(days, pa.date32()).take(encoded.indices)
    _find_lost(dates, texts, f"{name} is not a date YYYY-MM-DD of the years 2000 to 2099", findings)
    return dates


def _find_lost(values: pa.Array, texts: pa.StringArray, reason: str, findings: Findings) -> None:
    """Record the reason against the rows that have a text but got no value."""
    if values.null_count > texts.null_count:
        findings.against_rows(pc.and_(values.is_null(), texts.is_valid()), reason)


def _day(text: str | None) -> dt.date | None:
    """The date in `text`; None if it is not one. `fromisoformat` alone accepts other forms, too."""
    if text is None or len(text) != len("YYYY-MM-DD") or not text.isascii():
        return None
    try:
        day = dt.date.fromisoformat(text)
    except ValueError:
        return None
    return day if day.isoformat() == text and FIRST_DAY <= day <= LAST_DAY else None


def _timestamps(name: str, texts: pa.StringArray, findings: Findings) -> pa.TimestampArray:
    """Text to timestamp[us]: the whole column at once, value by value only if that fails."""
    shaped = pc.match_substring_regex(texts, TIMESTAMP_PATTERN)
    of_shape = pc.if_else(shaped, texts, pa.scalar(None, pa.string()))
    if pc.any(pc.ends_with(of_shape, UTC)).as_py():
        of_shape = pc.replace_substring(of_shape, UTC, "")
    try:
        moments = of_shape.cast(pa.timestamp("us"))
    except pa.ArrowInvalid:
        moments = pa.array([_moment(text) for text in of_shape.to_pylist()], pa.timestamp("us"))
    first = pa.scalar(dt.datetime.combine(FIRST_DAY, dt.time.min), pa.timestamp("us"))
    last = pa.scalar(dt.datetime.combine(LAST_DAY, dt.time.max), pa.timestamp("us"))
    inside = pc.and_(pc.greater_equal(moments, first), pc.less_equal(moments, last))
    moments = pc.if_else(inside, moments, pa.scalar(None, pa.timestamp("us")))
    _find_lost(moments, texts, f"{name} is not a timestamp of the years 2000 to 2099", findings)
    return moments


def _moment(text: str | None) -> dt.datetime | None:
    try:
        return dt.datetime.fromisoformat(text) if text else None
    except ValueError:
        return None


def _check_unique(table: SourceTable, keys: pa.Array, findings: Findings) -> None:
    """Accept none of the rows that share a key: which one is right cannot be known."""
    if pc.count_distinct(keys, mode="only_valid").as_py() == len(keys) - keys.null_count:
        return
    counted = keys.drop_null().value_counts()
    often = counted.field("values").filter(pc.greater(counted.field("counts"), 1))
    twice = pc.is_in(keys, often)
    findings.against_rows(twice, f"{table.key} is in the batch more than once")
