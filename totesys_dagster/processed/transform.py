"""From the source rows of one part to a star table's rows: accept, transform, complete, declare.

Pure functions over bytes and frames. They need pandas, which takes as long to import as half of
Dagster; so what only captures, or serves the UI, does not import this module (see `process.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from totesys_dagster.catalogue import STAR_TABLES, SourceTable, StarTable, contract
from totesys_dagster.errors import ProcessingError
from totesys_dagster.processed import dimensions, facts
from totesys_dagster.processed.contracts import Accepted, Rejected, accept

# Row for row: the frame of the base, then the whole frames of the tables that it looks up, then, of
# a table with a currency's code, the known currencies.
Transform = Callable[..., pd.DataFrame]

TRANSFORMS: dict[str, Transform] = {
    "dim_staff": dimensions.dim_staff,
    "dim_location": dimensions.dim_location,
    "dim_currency": dimensions.dim_currency,
    "dim_design": dimensions.dim_design,
    "dim_counterparty": dimensions.dim_counterparty,
    "dim_payment_type": dimensions.dim_payment_type,
    "dim_transaction": dimensions.dim_transaction,
    "fact_sales_order": facts.fact_sales_order,
    "fact_purchase_order": facts.fact_purchase_order,
    "fact_payment": facts.fact_payment,
}


@dataclass(frozen=True)
class Part:
    """A star table's rows from one part, in its declared schema, and the source rows set aside."""

    rows: pa.Table
    rejected: tuple[Rejected, ...]


def whole(table: SourceTable, parts: Iterable[bytes], currencies: Mapping[str, str]) -> Accepted:
    """All accepted rows of a table that others look up; such tables are small."""
    accepted = [accept(table, data, currencies) for data in parts]
    accepted = accepted or [accept(table, b"", currencies)]
    frame = pd.concat([part.frame for part in accepted], ignore_index=True)
    return Accepted(frame, tuple(rejected for part in accepted for rejected in part.rejected))


def transform(
    star: StarTable,
    data: bytes,
    parents: Mapping[str, pd.DataFrame],
    currencies: Mapping[str, str],
) -> Part:
    """The rows of `star` from a part of its base table (JSON Lines) and the whole of its parents.

    `parents` are the accepted rows of the tables that it looks up, by name, in the order of
    `star.sources`; `currencies` are the known ones by code. Raises ProcessingError when the
    transform breaks its declaration.
    """
    assert star.base is not None
    table = contract(star, star.base)
    keys = {j.child_column: parents[j.parent][j.parent_column] for j in star.joins}
    accepted = accept(table, data, currencies, keys)
    lists = [currencies] if table.names_currencies else []
    frame = TRANSFORMS[star.name](accepted.frame, *parents.values(), *lists)
    complete = _complete(star, frame, accepted, data)
    return Part(to_arrow(star, complete.frame), complete.rejected)


def calendar(columns: Iterable[pa.ChunkedArray]) -> pa.Table | None:
    """`dim_date` from the first to the last of the dates (date32) in the columns, both included;
    None where there is no date."""
    bounds = [day for dates in columns for day in pc.min_max(dates).as_py().values()]
    if not bounds:
        return None
    return to_arrow(STAR_TABLES["dim_date"], dimensions.dim_date(min(bounds), max(bounds)))


def _complete(star: StarTable, frame: pd.DataFrame, accepted: Accepted, data: bytes) -> Accepted:
    """Set aside the rows that lack a value which the warehouse requires."""
    gaps = {
        column.name: frame.index[frame[column.name].isna()]
        for column in star.columns
        if not column.nullable and pa.array(frame[column.name]).null_count
    }
    if not gaps:
        return Accepted(frame, accepted.rejected)
    reasons: dict[int, list[str]] = {}
    for name, lines in gaps.items():
        for line in lines:
            reasons.setdefault(line, []).append(f"{name} is missing, which {star.name} requires")
    text = data.split(b"\n")
    rejected = [Rejected(text[line], tuple(reasons[line])) for line in sorted(reasons)]
    return Accepted(frame.drop(index=list(reasons)), (*accepted.rejected, *rejected))


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
