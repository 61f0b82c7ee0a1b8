"""From a batch's source rows to a star table's Parquet files: read, accept, transform, write.

Rows stream through part by part, so memory is bounded by the size of a part. Nothing here knows
Dagster: the assets and the rebuild run the same functions.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES, Kind, StarTable
from totesys_dagster.errors import ObjectConflictError, ProcessingError
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.parts import (
    ObjectEntry,
    part_stem,
    read_lines,
    read_table,
    write_lines,
    write_table,
)
from totesys_dagster.lake.raw import RawTable
from totesys_dagster.lake.receipt import ProcessedTable, Receipt, read_receipt, receipt_key
from totesys_dagster.lake.store import Store
from totesys_dagster.parallel import AT_ONCE, ahead
from totesys_dagster.processed import dimensions, facts
from totesys_dagster.processed.contracts import Accepted, Rejected, accept

QUARANTINE_PART_BYTES = 16 * 1024 * 1024
FACTS = [star for star in STAR_TABLES.values() if star.kind is Kind.FACT]

# Row for row: the frame of the base, then the whole frames of the tables that it looks up.
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


@dataclass
class StarRows:
    """A star table of a batch on its way to the lake.

    `parts` gives the rows once; `read`, `rejected` and, when written, `receipt` fill up meanwhile.
    """

    star: StarTable
    manifest: Manifest
    parts: Iterator[pa.Table] = field(default_factory=lambda: iter(()))
    deleted: Iterator[int] = field(default_factory=lambda: iter(()))
    reconcile: bool = False
    read: int = 0
    rejected: list[tuple[str, Rejected]] = field(default_factory=list)
    receipt: Receipt | None = None

    def write(self, store: Store) -> Receipt:
        """Write the parts, the deleted keys, the quarantine and last the receipt.

        Raises LakeError, or ProcessingError when the batch was processed before with another
        result.
        """
        folder = f"{self.star.name}/v{self.star.version}"
        stem = part_stem("rows", folder, self.manifest.batch)
        objects = [
            write_table(store, stem, number, part)
            for number, part in enumerate(part for part in self.parts if part.num_rows)
        ]
        gone = pa.table({self.star.key: pa.array(self.deleted, pa.int32())})
        stem = part_stem("deleted", folder, self.manifest.batch)
        deleted = [write_table(store, stem, 0, gone)] if gone.num_rows else []
        stem = part_stem("quarantine", folder, self.manifest.batch)
        quarantine = write_lines(store, stem, self._dead_letters(), QUARANTINE_PART_BYTES)
        self.receipt = Receipt(
            star=self.star.name,
            version=self.star.version,
            batch=self.manifest.batch,
            sequence=self.manifest.sequence,
            manifest_sha256=self.manifest.sha256,
            reconcile=self.reconcile,
            read=self.read,
            rows=sum(entry.rows for entry in objects),
            objects=tuple(objects),
            deleted=tuple(deleted),
            quarantined=len(self.rejected),
            quarantine=tuple(quarantine),
        )
        self._put_receipt(store)
        return self.receipt

    def _dead_letters(self) -> Iterator[bytes]:
        """The rejected rows as JSON Lines: the table, the reasons, and the row as it arrived."""
        for table, rejected in self.rejected:
            letter = {
                "table": table,
                "reasons": rejected.reasons,
                "row": rejected.line.decode(errors="backslashreplace"),
            }
            yield json.dumps(letter).encode() + b"\n"

    def _put_receipt(self, store: Store) -> None:
        assert self.receipt is not None
        try:
            store.put(receipt_key(self.star, self.manifest.batch), self.receipt.to_bytes())
        except ObjectConflictError:
            before = read_receipt(store, self.star, self.manifest)
            if before is None or not same_rows(store, before, self.receipt):
                raise ProcessingError(
                    f"Batch {self.manifest.batch} of {self.star.name} was processed before with"
                    " another result, and objects are never overwritten: if the transform was"
                    f" changed on purpose, raise the version of {self.star.name} in the catalogue."
                ) from None
            self.receipt = before


def same_rows(store: Store, left: Receipt, right: Receipt) -> bool:
    """Whether two receipts stand for the same rows; another pyarrow writes other bytes."""
    plain = {"objects": (), "deleted": (), "quarantine": ()}
    if left.model_copy(update=plain) != right.model_copy(update=plain):
        return False
    return all(
        _read_all(store, one) == _read_all(store, other)
        for one, other in [(left.objects, right.objects), (left.deleted, right.deleted)]
    )


def _read_all(store: Store, entries: Sequence[ObjectEntry]) -> pa.Table | None:
    return pa.concat_tables([read_table(store, entry) for entry in entries]) if entries else None


def star_rows(star: StarTable, *tables: RawTable) -> StarRows:
    """A star table's rows from the batch's source tables, given in the order of `star.sources`.

    Nothing is read before the rows are written. Raises LakeError while it is.
    """
    base = tables[0]
    rows = StarRows(
        star, base.manifest, deleted=base.deleted_keys(), reconcile=base.entry.reconcile
    )
    rows.parts = _transformed(rows, base, tables[1:])
    return rows


def calendar_rows(*facts: ProcessedTable) -> StarRows:
    """The calendar over every date that the batch's facts use. Raises LakeError when written."""
    rows = StarRows(STAR_TABLES["dim_date"], facts[0].manifest)
    rows.parts = _calendar(rows, facts)
    return rows


def process_star(
    star: StarTable, manifest: Manifest, ingestion: Store, processed: Store
) -> Receipt:
    """Process one table of a batch outside of Dagster, if that has not been done.

    With the calendar, the facts that it is made from are processed.
    """
    done = read_receipt(processed, star, manifest)
    if done is not None:
        return done
    if star.kind is Kind.CALENDAR:
        facts = [ProcessedTable(fact, manifest, processed) for fact in FACTS]
        for fact in facts:
            if fact.touched:
                process_star(fact.star, manifest, ingestion, processed)
        return calendar_rows(*facts).write(processed)
    tables = [RawTable(SOURCE_TABLES[name], manifest, ingestion) for name in star.sources]
    return star_rows(star, *tables).write(processed)


def _transformed(
    rows: StarRows, base: RawTable, parents: tuple[RawTable, ...]
) -> Iterator[pa.Table]:
    star, transform = rows.star, TRANSFORMS[rows.star.name]
    whole = {raw.table.name: _whole(rows, raw) for raw in parents}
    keys = {j.child_column: whole[j.parent][j.parent_column] for j in star.joins}

    def one_part(entry: ObjectEntry) -> tuple[pa.Table, int, Sequence[Rejected]]:
        data = read_lines(base.store, entry)
        accepted = accept(base.table, data, keys)
        frame = transform(accepted.frame, *whole.values())
        complete = _complete(star, frame, accepted, data)
        return to_arrow(star, complete.frame), entry.rows, complete.rejected

    for part, read, refused in ahead(one_part, base.entry.objects, AT_ONCE):
        rows.read += read
        rows.rejected += [(base.table.name, rejected) for rejected in refused]
        yield part


def _whole(rows: StarRows, raw: RawTable) -> pd.DataFrame:
    """All accepted rows of a table that others look up; such tables are small."""
    accepted = [accept(raw.table, data) for data in raw.parts()] or [accept(raw.table, b"")]
    for part in accepted:
        rows.rejected += [(raw.table.name, rejected) for rejected in part.rejected]
    return pd.concat([part.frame for part in accepted], ignore_index=True)


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
            f" catalogue declares {', '.join(star.column_names)}: mend the one that is wrong."
        )
    try:
        return pa.Table.from_pandas(
            frame, schema=star.arrow_schema, preserve_index=False
        ).replace_schema_metadata(None)
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise ProcessingError(
            f"The transform of {star.name} gave values that the catalogue does not declare"
            f" ({str(error).partition(chr(10))[0]}): mend the one that is wrong."
        ) from None


def _calendar(rows: StarRows, facts: Sequence[ProcessedTable]) -> Iterator[pa.Table]:
    """The days from the first to the last date that the facts of the batch use."""
    bounds = [day for fact in facts if fact.touched for day in _bounds(fact)]
    if bounds:
        frame = dimensions.dim_date(min(bounds), max(bounds))
        rows.read = len(frame)
        yield to_arrow(rows.star, frame)


def _bounds(fact: ProcessedTable) -> Iterator[dt.date]:
    """The first and the last date of each of the fact's columns that refer to the calendar."""
    columns = [name for name, dimension in fact.star.references if dimension == "dim_date"]
    for part in fact.parts(columns):
        for dates in part.columns:
            yield from pc.min_max(dates).as_py().values()
