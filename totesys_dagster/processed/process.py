"""From a batch's source rows to a star table's Parquet files: read, accept, transform, write.

Rows stream through part by part, so memory is bounded by the size of a part. Nothing here knows
Dagster: the assets and the rebuild run the same functions.

`transform.py` processes the rows of a part. It is imported only when there are some: the code
server and runs that only capture never need it, and start sooner without pandas.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pyarrow as pa

from totesys_dagster.catalogue import (
    SOURCE_TABLES,
    STAR_TABLES,
    Kind,
    StarTable,
    archived,
    relaxed,
    revision,
)
from totesys_dagster.errors import ObjectConflictError, ProcessedOtherwiseError
from totesys_dagster.lake import references
from totesys_dagster.lake.key_sets import KeySet
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.parts import (
    part_stem,
    read_lines,
    read_table,
    write_lines,
)
from totesys_dagster.lake.raw import RawTable
from totesys_dagster.lake.receipt import (
    ProcessedTable,
    Receipt,
    read_receipt,
    receipt_key,
    sound_receipt,
    write_star,
)
from totesys_dagster.lake.store import Store
from totesys_dagster.parallel import AT_ONCE, ahead

if TYPE_CHECKING:
    from totesys_dagster.processed.parsing import QuarantinedRow

QUARANTINE_PART_BYTES = 16 * 1024 * 1024
FACTS = [star for star in STAR_TABLES.values() if star.kind is Kind.FACT]


@dataclass
class StarRows:
    """A star table of a batch on its way to the lake.

    `parts` yields the rows once. Meanwhile `read` and `quarantined` fill up; once written,
    `receipt` is set.
    """

    star: StarTable
    manifest: Manifest
    parts: Iterator[pa.Table] = field(default_factory=lambda: iter(()))
    deleted_keys: KeySet | None = None
    reconcile: bool = False
    read: int = 0
    quarantined: list[tuple[str, QuarantinedRow]] = field(default_factory=list)
    receipt: Receipt | None = None

    def write(self, store: Store) -> Receipt:
        """Write the parts, the quarantine and last the receipt.

        Raises LakeError, or ProcessedOtherwiseError if the batch was processed before with another
        result.
        """
        try:
            return self._write(store)
        except ObjectConflictError:
            raise self._processed_otherwise(store) from None

    def _processed_otherwise(self, store: Store) -> ProcessedOtherwiseError:
        return ProcessedOtherwiseError(
            f"Batch {self.manifest.batch} of {self.star.name} was processed before with another"
            " result, and objects are never overwritten: if the transform was changed on purpose,"
            f" raise the code_version of {self.star.name} in the catalogue; if not,"
            f" {store.uri(receipt_key(self.star, self.manifest.batch))} or an object that it names"
            f" was changed after it was written, and {store.remedy}."
        )

    def _write(self, store: Store) -> Receipt:
        folder = f"{self.star.name}/{revision(self.star)}"
        stem = part_stem("rows", folder, self.manifest.batch)
        objects = [
            write_star(store, self.star, stem, number, part)
            for number, part in enumerate(part for part in self.parts if part.num_rows)
        ]
        stem = part_stem("quarantine", folder, self.manifest.batch)
        quarantine = write_lines(store, stem, self._quarantine_lines(), QUARANTINE_PART_BYTES)
        self.receipt = Receipt(
            log=self.manifest.log,
            star=self.star.name,
            code_version=self.star.code_version,
            sequence=self.manifest.sequence,
            manifest_sha256=self.manifest.sha256,
            reconcile=self.reconcile,
            deleted_keys=self.deleted_keys,
            read=self.read,
            rows=sum(entry.rows for entry in objects),
            objects=tuple(objects),
            quarantined=len(self.quarantined),
            quarantine=tuple(quarantine),
        )
        self._put_receipt(store)
        return self.receipt

    def _quarantine_lines(self) -> Iterator[bytes]:
        """The quarantined rows as JSON Lines: the table, the reasons, and the row as it arrived."""
        for table, quarantined in self.quarantined:
            line = {
                "table": table,
                "reasons": quarantined.reasons,
                "row": quarantined.line.decode(errors="backslashreplace"),
            }
            yield json.dumps(line).encode() + b"\n"

    def _put_receipt(self, store: Store) -> None:
        assert self.receipt is not None
        try:
            store.put(receipt_key(self.star, self.manifest.batch), self.receipt.to_bytes())
        except ObjectConflictError:
            before = read_receipt(store, self.star, self.manifest)
            if before is None or not same_rows(store, before, self.receipt):
                raise
            self.receipt = before


def same_rows(store: Store, left: Receipt, right: Receipt) -> bool:
    """Whether two receipts have the same rows. Another version of pyarrow writes other bytes, and
    another release may give the reasons in other words."""
    objects = {"objects", "quarantine"}
    if left.model_dump(exclude=objects) != right.model_dump(exclude=objects):
        return False
    return _read_all(store, left.objects) == _read_all(store, right.objects) and (
        _quarantined(store, left.quarantine) == _quarantined(store, right.quarantine)
    )


def _quarantined(store: Store, entries: Sequence[ObjectEntry]) -> list[tuple[str, str]]:
    """The table and the text of each row in quarantine."""
    lines = b"".join(read_lines(store, entry) for entry in entries).split(b"\n")[:-1]
    return [(found["table"], found["row"]) for found in map(json.loads, lines)]


def _read_all(store: Store, entries: Sequence[ObjectEntry]) -> pa.Table | None:
    """The rows of all parts, regardless of the nullability of columns."""
    tables = [read_table(store, entry) for entry in entries]
    plain = [pa.table(table.columns, names=table.column_names) for table in tables]
    return pa.concat_tables(plain) if plain else None


def star_rows(star: StarTable, *tables: RawTable) -> StarRows:
    """A star table's rows from the batch's source tables, given in the order of `star.sources`.

    Nothing is read before the rows are written. Raises LakeError while it is.
    """
    base = tables[0]
    rows = StarRows(
        star, base.manifest, deleted_keys=base.entry.deleted_keys, reconcile=base.entry.reconcile
    )
    rows.parts = _transformed(rows, base, tables[1:])
    return rows


def calendar_rows(calendar: StarTable, *facts: ProcessedTable) -> StarRows:
    """The calendar over every date that the batch's facts use. Raises LakeError when written."""
    rows = StarRows(calendar, facts[0].manifest)
    rows.parts = _calendar(rows, facts)
    return rows


def process_star(
    star: StarTable,
    manifest: Manifest,
    ingestion: Store,
    processed: Store,
    *,
    again: bool = False,
) -> Receipt:
    """Process one table of a batch outside Dagster, unless it is processed.

    The calendar also processes the facts that it is made from. With `again`, even a processed table
    is processed, which proves that the result is the same. Raises LakeError, or
    ProcessedOtherwiseError if the result differs.
    """
    done = None if again else sound_receipt(processed, star, manifest)
    if done is not None:
        return done
    if star.kind is Kind.CALENDAR:
        facts = [ProcessedTable(fact, manifest, processed) for fact in FACTS]
        for fact in facts:
            if fact.touched:
                process_star(fact.star, manifest, ingestion, processed)
        return calendar_rows(star, *facts).write(processed)
    tables = [RawTable(SOURCE_TABLES[name], manifest, ingestion) for name in star.sources]
    return star_rows(star, *tables).write(processed)


def _transformed(
    rows: StarRows, base: RawTable, parents: tuple[RawTable, ...]
) -> Iterator[pa.Table]:
    from totesys_dagster.processed.transform import Transformed, transform, whole

    tables = {
        raw.table.name: archived(rows.star, raw.table.name, raw.columns) for raw in (base, *parents)
    }
    absent = [(source, name) for source, table in tables.items() for name in table.absent]
    star = relaxed(rows.star, absent)
    judged = any(table.contract.names_currencies for table in tables.values())
    known = _currencies(base.manifest, base.store) if judged else {}
    frames = {}
    for raw in parents:
        accepted = whole(tables[raw.table.name], raw.parts(), known)
        frames[raw.table.name] = accepted.frame
        rows.quarantined += [(raw.table.name, quarantined) for quarantined in accepted.quarantined]

    def one_part(entry: ObjectEntry) -> tuple[int, Transformed]:
        lines = read_lines(base.store, entry)
        return entry.rows, transform(star, tables[base.table.name], lines, frames, known)

    for read, part in ahead(one_part, base.entry.objects, AT_ONCE):
        rows.read += read
        rows.quarantined += [(base.table.name, quarantined) for quarantined in part.quarantined]
        yield part.rows


def _currencies(manifest: Manifest, store: Store) -> Mapping[str, str]:
    """The currencies that the rows of a batch are checked against, by code: those known at its
    capture."""
    return references.read(store, references.CURRENCIES, manifest.references[references.CURRENCIES])


def _calendar(rows: StarRows, facts: Sequence[ProcessedTable]) -> Iterator[pa.Table]:
    """The days from the first to the last date that the facts of the batch use."""
    from totesys_dagster.processed.transform import calendar

    touched = [fact for fact in facts if fact.touched]
    days = calendar(rows.star, (dates for fact in touched for dates in _dates(fact, rows.star)))
    if days is not None:
        rows.read = days.num_rows
        yield days


def _dates(fact: ProcessedTable, calendar: StarTable) -> Iterator[pa.ChunkedArray]:
    """The fact's columns that refer to the calendar, part by part."""
    columns = [name for name, dimension in fact.star.references if dimension == calendar.name]
    for part in fact.parts(columns):
        yield from part.columns
