"""Reads a file according to its contract: all of its rows, or why the file is refused."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from totesys_dagster import settings
from totesys_dagster.catalogue import FileContract
from totesys_dagster.catalogue.files import CSV, JSON_LINES, PARQUET
from totesys_dagster.drops.cast import FaultyValueError, caster
from totesys_dagster.drops.csv_text import read_csv
from totesys_dagster.drops.decode import decode, require_no_other_kind
from totesys_dagster.drops.json_text import read_json
from totesys_dagster.drops.parquet import MOST_UNPACKED, read_parquet
from totesys_dagster.drops.record import Record, RefusedFileError
from totesys_dagster.feeds.feed import Faulty, Outcome, Process
from totesys_dagster.lake.deliveries import Delivery
from totesys_dagster.words import counted

# If a file is wrong throughout, this many faulty lines are enough.
MOST_FAULTY = 1000
LONGEST_TEXT = 2000


def reader(contract: FileContract) -> Process:
    """The function that reads the deliveries of a contract."""

    def process(delivery: Delivery, body: bytes, _: pa.Table | None) -> Outcome:
        nothing = contract.table.arrow_schema.empty_table()
        try:
            _require_whole(delivery, body)
            rows = _Rows(contract, delivery.name)
            for record in _records(contract, delivery.name, body):
                rows.add(record)
                if len(rows.faulty) >= MOST_FAULTY:
                    break
            return Outcome(nothing, rows.refused, rows.faulty) if rows.refused else rows.outcome()
        except RefusedFileError as error:
            return Outcome(nothing, f"The file {error}.")

    return process


def _require_whole(delivery: Delivery, body: bytes) -> None:
    """A file that was too large when it came is in the log without its body."""
    size = int(delivery.identity.get("size", len(body)))
    if size != len(body):
        raise RefusedFileError(
            f"has {size:,} bytes, more than {settings.DROP_BYTES} allowed when it came: deliver it"
            " in parts, or raise that setting and deliver it again"
        )


def _records(contract: FileContract, name: str, body: bytes) -> Iterator[Record]:
    ending = name.rpartition(".")[2].lower()
    if ending not in contract.file_types:
        require_no_other_kind(body)
        raise RefusedFileError(
            f"has a name that does not end in {' or '.join(f'.{t}' for t in contract.file_types)},"
            " the types that its contract declares: deliver it as one of them"
        )
    if ending == PARQUET:
        return read_parquet(contract, body)
    text = decode(body, "utf-8" if ending == JSON_LINES else contract.encoding)
    return {CSV: read_csv, JSON_LINES: read_json}[ending](contract, text)


class _Rows:
    """The rows of a file, column by column, and what is wrong with it."""

    def __init__(self, contract: FileContract, name: str) -> None:
        self._contract = contract
        self._name = name
        self._casts = [caster(contract, column) for column in contract.columns]
        self._columns: list[list[Any]] = [[] for _ in contract.columns]
        self._keys: dict[tuple[Any, ...], int] = {}
        self._key_places = [contract.column_names.index(key) for key in contract.keys]
        self._letters = 0
        self.faulty: list[Faulty] = []

    def add(self, record: Record) -> None:
        """Cast a record. Raises RefusedFileError if the rows exceed the limit of size."""
        values, reasons = self._cast(record)
        if not reasons:
            key = tuple(values[place] for place in self._key_places)
            before = self._keys.setdefault(key, record.line)
            if before != record.line:
                reasons = [f"{', '.join(self._contract.keys)} are those of line {before}"]
        if reasons:
            text = record.text[:LONGEST_TEXT].encode(errors="backslashreplace").decode()
            self.faulty.append(Faulty(record.line, tuple(reasons), text))
            return
        for column, value in zip(self._columns, values, strict=True):
            column.append(value)

    def _cast(self, record: Record) -> tuple[list[Any], list[str]]:
        if record.reason is not None:
            return [], [record.reason]
        values: list[Any] = []
        reasons: list[str] = []
        for cast, value in zip(self._casts, record.values, strict=True):
            try:
                values.append(cast(value))
            except FaultyValueError as error:
                reasons.append(str(error))
            if isinstance(value, str):
                self._letters += len(value)
        if self._letters > MOST_UNPACKED:
            raise RefusedFileError(
                f"unpacks to more than {MOST_UNPACKED:,} characters: deliver it in parts"
            )
        return values, reasons

    @property
    def refused(self) -> str | None:
        """Why the file is refused as a whole; None if it is not."""
        if not self.faulty:
            return None if self._keys else "The file has no row: deliver it again with its rows."
        first = self.faulty[0]
        more = "at least " if len(self.faulty) >= MOST_FAULTY else ""
        return (
            f"The file has {more}{counted(len(self.faulty), 'faulty line')}, the first of them line"
            f" {first.line} ({'; '.join(first.reasons)}): correct it and deliver it again under its"
            " name."
        )

    def outcome(self) -> Outcome:
        table = self._contract.table
        columns = [*self._columns, [self._name] * len(self._keys)]
        arrays = [
            pa.array(column, field.type)
            for column, field in zip(columns, table.arrow_schema, strict=True)
        ]
        return Outcome(pa.Table.from_arrays(arrays, schema=table.arrow_schema))
