"""The vocabulary in which tables are declared: types, columns, tables.

A declaration says everything the platform needs to know about a table, once. Parquet schemas,
contracts, column lineage, the audit's SQL and the column lists of the UI are read from it.
"""

from __future__ import annotations

import enum
from collections.abc import Collection
from dataclasses import dataclass, field, replace
from functools import cached_property

import pyarrow as pa

# How a timestamp arrives in JSON, for Arrow's regular expressions and for PostgreSQL's alike. Hours
# and seconds are bounded: Python 3.14 takes 24:00:00 for the day after. A column with a time zone
# ends in that of the session, which is UTC, as what ToteSys writes without one is.
TIMESTAMP_PATTERN = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"
    r"(\+00:00)?$"
)


class Type(enum.Enum):
    """What a value means, independent of how a zone stores it."""

    INTEGER = enum.auto()
    TEXT = enum.auto()
    MONEY = enum.auto()  # numeric(10,2): a decimal everywhere, never a binary float
    BOOLEAN = enum.auto()
    DATE = enum.auto()
    TIME = enum.auto()
    TIMESTAMP = enum.auto()  # without time zone, as ToteSys keeps it


ARROW_TYPES: dict[Type, pa.DataType] = {
    Type.INTEGER: pa.int32(),
    Type.TEXT: pa.string(),
    Type.MONEY: pa.decimal128(10, 2),
    Type.BOOLEAN: pa.bool_(),
    Type.DATE: pa.date32(),
    Type.TIME: pa.time64("us"),
    Type.TIMESTAMP: pa.timestamp("us"),
}


@dataclass(frozen=True)
class SourceColumn:
    """A column of a ToteSys table and its contract.

    `sql_type` is what PostgreSQL's `format_type` prints for it, with the schema of a type that is
    not PostgreSQL's own. A `DATE` is stored by ToteSys as text `YYYY-MM-DD`. `minimum` bounds its
    values, `currency` makes them codes of currencies; `personal` keeps it out of previews.
    """

    name: str
    type: Type
    sql_type: str
    meaning: str
    nullable: bool = False
    personal: bool = False
    minimum: int | None = None
    currency: bool = False


@dataclass(frozen=True)
class SourceTable:
    """A table of ToteSys, its columns in the order in which ToteSys declares them."""

    name: str
    meaning: str
    columns: tuple[SourceColumn, ...]

    @property
    def key(self) -> str:
        """The primary key: in ToteSys always one integer column on a sequence."""
        return f"{self.name}_id"

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)

    @property
    def names_currencies(self) -> bool:
        """Whether any column holds codes of currencies."""
        return any(column.currency for column in self.columns)

    def only(self, names: Collection[str]) -> SourceTable:
        """The same table with no other columns than those named, in its order."""
        return replace(self, columns=tuple(c for c in self.columns if c.name in names))


@dataclass(frozen=True)
class Join:
    """Rows of `child` are processed together with the rows of `parent` that they refer to."""

    child: str
    child_column: str
    parent: str
    parent_column: str


class Part(enum.Enum):
    """Which part of a source timestamp a star column holds."""

    DATE = "date"
    TIME = "time"


@dataclass(frozen=True)
class StarColumn:
    """A column of a warehouse table.

    `source` is the ToteSys column that it is made of, as `(table, column)`; None when it is
    computed from something else, which `meaning` then says. `references` names the dimension
    whose key the column holds.
    """

    name: str
    type: Type
    sql_type: str
    meaning: str
    source: tuple[str, str] | None = None
    part: Part | None = None
    nullable: bool = False
    personal: bool = False
    references: str | None = None


class Kind(enum.Enum):
    CALENDAR = "calendar"
    DIMENSION = "dimension"
    FACT = "fact"


@dataclass(frozen=True)
class StarTable:
    """A table of the warehouse, its columns in the order of the warehouse's schema.

    `base` is the source table that gives it one row per row (None for the calendar), `joins` the
    tables looked up from it, `key` the business key. `record_id` is the extra first column of a
    fact, which numbers the *versions* of its rows. `version` goes into object keys: raise it when
    a changed transform gives other rows for the same batch.
    """

    name: str
    kind: Kind
    meaning: str
    columns: tuple[StarColumn, ...]
    key: str
    base: str | None = None
    joins: tuple[Join, ...] = ()
    sources: tuple[str, ...] = field(default=())
    record_id: str | None = None
    version: int = 1

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """The business columns: neither the record id nor the lineage columns."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The schema of the table's rows, as frames and tables have it."""
        return pa.schema(
            [
                pa.field(column.name, ARROW_TYPES[column.type], nullable=column.nullable)
                for column in self.columns
            ]
        )

    def takes(self, source: str) -> frozenset[str]:
        """The columns of a source table that the star depends on: it carries them or joins by them.

        The others are archived, and whatever they hold is no concern of the star.
        """
        carried = {column.source for column in self.columns if column.source}
        joined = {(join.child, join.child_column) for join in self.joins}
        joined |= {(join.parent, join.parent_column) for join in self.joins}
        return frozenset(column for table, column in carried | joined if table == source)

    @cached_property
    def stored_schema(self) -> pa.Schema:
        """The schema of the table's Parquet files: a time of day is stored as microseconds since
        midnight, since Athena and Spark cannot read Parquet's TIME."""
        return pa.schema(
            [
                field.with_type(pa.int64()) if pa.types.is_time(field.type) else field
                for field in self.arrow_schema
            ]
        )

    @cached_property
    def references(self) -> tuple[tuple[str, str], ...]:
        """`(column, dimension)` for every column that holds a dimension's key."""
        return tuple((c.name, c.references) for c in self.columns if c.references)
