"""What a contract says of the files that fill a table: how they are written, and their values."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from totesys_dagster.catalogue.model import StarColumn, StarTable, Type

CSV, JSON_LINES, PARQUET = "csv", "jsonl", "parquet"
FILE_TYPES = (CSV, JSON_LINES, PARQUET)
ENCODINGS = ("utf-8", "utf-16", "iso-8859-1", "iso-8859-15", "windows-1252")
ISO_DATE = "yyyy-MM-dd"


@dataclass(frozen=True)
class FileColumn:
    """A column that files have: what it is in the warehouse, and which values it takes.

    A text has to match the whole `pattern`; a date is written as `date_format` says, with `yyyy`,
    `MM` and `dd`. A value that no row of the dimension and column `listed_in` has is doubtful.
    """

    column: StarColumn
    pattern: str | None = None
    longest: int | None = None
    minimum: Decimal | None = None
    maximum: Decimal | None = None
    date_format: str = ISO_DATE
    listed_in: tuple[str, str] | None = None

    @property
    def name(self) -> str:
        return self.column.name

    @property
    def type(self) -> Type:
        return self.column.type


@dataclass(frozen=True)
class FileContract:
    """Files of one kind, and the table that they fill.

    They lie under `location` in the place of the drops. The table has their columns and, last, the
    `name_column`, by which a newer version of a file replaces what its name gave.
    """

    title: str
    table: StarTable
    columns: tuple[FileColumn, ...]
    location: str
    name_column: str
    file_types: tuple[str, ...] = FILE_TYPES
    delimiter: str = ","
    encoding: str = "utf-8"
    header: bool = True
    decimal_separator: str = "."

    @property
    def column_names(self) -> tuple[str, ...]:
        """The columns of a file."""
        return tuple(column.name for column in self.columns)

    @property
    def keys(self) -> tuple[str, ...]:
        return self.table.keys
