"""From the source rows of one part to a star table's rows: accept, transform, complete, declare.

Pure functions over bytes and frames. They need pandas, which takes half as long to import as
Dagster, so processes that only capture or serve the UI do not import this module (see
`process.py`).
"""

from __future__ import annotations

import traceback
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from totesys_dagster.catalogue import Archived, Component, StarColumn, StarTable
from totesys_dagster.errors import ProcessingError
from totesys_dagster.processed.calendar import days_between
from totesys_dagster.processed.contracts import Accepted, accept
from totesys_dagster.processed.parsing import QuarantinedRow


@dataclass(frozen=True)
class Transformed:
    """A star table's rows from one part, in its declared schema, and the rows quarantined."""

    rows: pa.Table
    quarantined: tuple[QuarantinedRow, ...]


def whole(table: Archived, parts: Iterable[bytes], currencies: Mapping[str, str]) -> Accepted:
    """All accepted rows of a looked-up table; such tables are small."""
    accepted = [_accept(table, data, currencies) for data in parts]
    accepted = accepted or [_accept(table, b"", currencies)]
    frame = pd.concat([part.frame for part in accepted], ignore_index=True)
    return Accepted(
        frame, tuple(quarantined for part in accepted for quarantined in part.quarantined)
    )


def _accept(
    table: Archived,
    data: bytes,
    currencies: Mapping[str, str],
    parents: Mapping[str, Collection[int]] | None = None,
) -> Accepted:
    """The rows that keep the contract, their columns named as they are declared."""
    names = {declared: name for name, declared in table.declared.items()}
    keys = {names.get(column, column): keys for column, keys in (parents or {}).items()}
    accepted = accept(table.contract, data, currencies, keys)
    if not table.declared:
        return accepted
    return Accepted(accepted.frame.rename(columns=dict(table.declared)), accepted.quarantined)


def transform(
    star: StarTable,
    table: Archived,
    data: bytes,
    parents: Mapping[str, pd.DataFrame],
    currencies: Mapping[str, str],
) -> Transformed:
    """The rows of `star` from a part of its base table (JSON Lines) and its whole parents.

    `table` is the base in the batch, `parents` the accepted rows of the looked-up tables, by name;
    `currencies` are the known ones by code. Raises ProcessingError if a computed column breaks its
    declaration.
    """
    keys = {j.child_column: parents[j.parent][j.parent_column] for j in star.joins}
    accepted = _accept(table, data, currencies, keys)
    frame = project(star, accepted.frame, parents, currencies)
    complete = _complete(star, frame, accepted, data)
    return Transformed(to_arrow(star, complete.frame), complete.quarantined)


def project(
    star: StarTable,
    base: pd.DataFrame,
    parents: Mapping[str, pd.DataFrame],
    currencies: Mapping[str, str],
) -> pd.DataFrame:
    """The columns of a star table, row for row of its base: carried, looked up, or computed.

    Frames have Arrow types (see `contracts.accept`). Raises ProcessingError if a function does not
    return one value for each row.
    """
    indexed = {j.parent: parents[j.parent].set_index(j.parent_column) for j in star.joins}
    by = {j.parent: base[j.child_column] for j in star.joins}

    def source(table: str, name: str) -> pd.Series:
        return base[name] if table == star.base else by[table].map(indexed[table][name])

    def value(column: StarColumn) -> pd.Series:
        values = [source(*taken) for taken in column.takes]
        if column.computed is not None:
            lists = [currencies] if column.computed.currencies else []
            return _computed(star, column, base.index, [*values, *lists])
        if column.component is None:
            return values[0]
        moments = values[0].dt
        component: pd.Series = moments.date if column.component is Component.DATE else moments.time
        return component

    return pd.DataFrame({column.name: value(column) for column in star.columns})


def _computed(
    star: StarTable, column: StarColumn, rows: pd.Index, arguments: Iterable[object]
) -> pd.Series:
    assert column.computed is not None
    try:
        values: object = column.computed.function(*arguments)
    except Exception as error:  # any function may have been declared
        frame = traceback.extract_tb(error.__traceback__)[-1]
        raise ProcessingError(
            f"The function of {star.name}.{column.name} failed with {type(error).__name__} (line"
            f" {frame.lineno} of {Path(frame.filename).name}): correct it in the catalogue."
        ) from error
    if isinstance(values, pd.Series) and values.index.equals(rows):
        return values
    raise ProcessingError(
        f"The function of {star.name}.{column.name} did not return one value for each row: it must"
        " return a Series with the index of its input."
    )


def calendar(star: StarTable, columns: Iterable[pa.ChunkedArray]) -> pa.Table | None:
    """The calendar from the first to the last date (date32) in the columns, inclusive; None if
    there is no date."""
    bounds = [day for dates in columns for day in pc.min_max(dates).as_py().values() if day]
    if not bounds:
        return None
    return to_arrow(star, days_between(min(bounds), max(bounds)))


def _complete(star: StarTable, frame: pd.DataFrame, accepted: Accepted, data: bytes) -> Accepted:
    """Quarantine the rows that lack a value that the warehouse requires."""
    gaps = {
        column.name: frame.index[frame[column.name].isna()]
        for column in star.columns
        if not column.nullable and pa.array(frame[column.name]).null_count
    }
    if not gaps:
        return Accepted(frame, accepted.quarantined)
    reasons: dict[int, list[str]] = {}
    for name, lines in gaps.items():
        for line in lines:
            reasons.setdefault(line, []).append(f"{name} is missing, which {star.name} requires")
    text = data.split(b"\n")
    quarantined = [QuarantinedRow(text[line], tuple(reasons[line])) for line in sorted(reasons)]
    return Accepted(frame.drop(index=list(reasons)), (*accepted.quarantined, *quarantined))


def to_arrow(star: StarTable, frame: pd.DataFrame) -> pa.Table:
    """The frame in the declared schema: names, order, types and nullability, or ProcessingError."""
    if tuple(frame.columns) != star.column_names:
        raise ProcessingError(
            f"The transform of {star.name} gave the columns {', '.join(frame.columns)}, but the"
            f" catalogue declares {', '.join(star.column_names)}: fix the one that is wrong."
        )
    try:
        return pa.Table.from_pandas(
            frame, schema=star.arrow_schema, preserve_index=False, nthreads=1
        ).replace_schema_metadata(None)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ProcessingError(
            f"The transform of {star.name} gave values that the catalogue does not declare"
            f" ({str(error).partition(chr(10))[0]}): fix the one that is wrong."
        ) from None
