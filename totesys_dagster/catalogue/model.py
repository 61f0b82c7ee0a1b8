"""The vocabulary in which tables are declared: types, columns, tables.

A declaration says everything the platform needs to know about a table, once. Parquet schemas,
contracts, transforms, the warehouse's SQL, Athena's tables, the audit's SQL, column lineage and the
column lists of the UI are made from it.
"""

from __future__ import annotations

import enum
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

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

    INTEGER = enum.auto()  # 32 bits
    BIG_INTEGER = enum.auto()  # 64 bits
    TEXT = enum.auto()
    MONEY = enum.auto()  # a decimal everywhere, never a binary float
    BOOLEAN = enum.auto()
    DATE = enum.auto()
    TIME = enum.auto()
    TIMESTAMP = enum.auto()  # without time zone, as ToteSys keeps it


# The digits of an amount, and how many of them come after the point: numeric(10,2).
Digits = tuple[int, int]
MONEY_DIGITS: Digits = (10, 2)

_ARROW_TYPES: dict[Type, pa.DataType] = {
    Type.INTEGER: pa.int32(),
    Type.BIG_INTEGER: pa.int64(),
    Type.TEXT: pa.string(),
    Type.BOOLEAN: pa.bool_(),
    Type.DATE: pa.date32(),
    Type.TIME: pa.time64("us"),
    Type.TIMESTAMP: pa.timestamp("us"),
}


def _arrow_type(type_: Type, digits: Digits) -> pa.DataType:
    return pa.decimal128(*digits) if type_ is Type.MONEY else _ARROW_TYPES[type_]


@dataclass(frozen=True)
class SourceColumn:
    """A column of a ToteSys table and its contract.

    `sql_type` is what PostgreSQL's `format_type` prints for it, with the schema of a type that is
    not PostgreSQL's own. A `DATE` is stored by ToteSys as text `YYYY-MM-DD`. `minimum` bounds its
    values, `currency` makes them codes of currencies; `pii` keeps it out of previews.
    `references` names the table whose key it holds, `formerly` the names that it had before, by
    which older batches have it.
    """

    name: str
    type: Type
    sql_type: str
    description: str
    nullable: bool = False
    pii: bool = False
    minimum: int | None = None
    currency: bool = False
    digits: Digits = MONEY_DIGITS
    references: str | None = None
    formerly: tuple[str, ...] = ()

    @property
    def arrow_type(self) -> pa.DataType:
        """The type of its accepted values."""
        return _arrow_type(self.type, self.digits)

    @property
    def full_description(self) -> str:
        """The description, and the table that it refers to."""
        if self.references is None:
            return self.description
        return f"{self.description.removesuffix('.')} (`{self.references}`)."


@dataclass(frozen=True)
class SourceTable:
    """A table of ToteSys, its columns in the order in which ToteSys declares them."""

    name: str
    description: str
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

    def column(self, name: str) -> SourceColumn:
        """The column of that name. Raises KeyError."""
        try:
            return self.columns[self.column_names.index(name)]
        except ValueError:
            raise KeyError(f"{self.name} has no column {name}") from None

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


class Component(enum.Enum):
    """Which part of a source timestamp a star column holds."""

    DATE = "date"
    TIME = "time"


# A column of ToteSys, by table and name.
Source = tuple[str, str]


@dataclass(frozen=True)
class Computed:
    """How a column is computed: a function of whole columns, and the source columns it takes.

    The function gets a `pandas.Series` in Arrow types for each of them, row for row, then, with
    `currencies`, the names of the known currencies by code; it gives a Series of the same rows.
    """

    function: Callable[..., Any]
    takes: tuple[Source, ...]
    currencies: bool = False


@dataclass(frozen=True)
class StarColumn:
    """A column of a warehouse table.

    `source` is the ToteSys column that it carries; None when it is `computed`, or a day's
    attribute. `references` names the dimension whose key the column holds.
    """

    name: str
    type: Type
    sql_type: str
    description: str
    source: Source | None = None
    component: Component | None = None
    computed: Computed | None = None
    nullable: bool = False
    pii: bool = False
    digits: Digits = MONEY_DIGITS
    references: str | None = None

    @property
    def arrow_type(self) -> pa.DataType:
        """The type of its values, in frames and tables."""
        return _arrow_type(self.type, self.digits)

    @property
    def takes(self) -> tuple[Source, ...]:
        """The source columns that it is made of."""
        if self.source is not None:
            return (self.source,)
        return self.computed.takes if self.computed else ()


class Kind(enum.Enum):
    """What a star table is. In this order a batch is loaded: facts refer to what comes before."""

    CALENDAR = "calendar"
    DIMENSION = "dimension"
    FACT = "fact"


@dataclass(frozen=True)
class StarTable:
    """A table of the warehouse, its columns in the order of the warehouse's schema.

    `base` is the source table that gives it one row per row (None for the calendar), `joins` the
    tables looked up from it. The first column is the business key. `record_id` is the extra first
    column of a fact, which numbers the *versions* of its rows. Raise `code_version` when the
    function of a computed column gives other values for the same rows; the platform notices
    whatever else changes.

    A table that a feed fills, and not ToteSys, names the `feed`; its business key may be several
    columns, the `key_columns`. `terms` is what else a contract says of which rows it gets.
    """

    name: str
    kind: Kind
    description: str
    columns: tuple[StarColumn, ...]
    base: str | None = None
    joins: tuple[Join, ...] = ()
    sources: tuple[str, ...] = field(default=())
    record_id: str | None = None
    code_version: int = 1
    feed: str | None = None
    key_columns: tuple[str, ...] = ()
    terms: str | None = None

    @property
    def key(self) -> str:
        return self.columns[0].name

    @property
    def keys(self) -> tuple[str, ...]:
        """The columns that are the business key together: one, but in the table of a feed."""
        return self.key_columns or (self.key,)

    @cached_property
    def column_names(self) -> tuple[str, ...]:
        """The business columns: neither the record id nor the lineage columns."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def arrow_schema(self) -> pa.Schema:
        """The schema of the table's rows, as frames and tables have it.

        Only the key is never NULL: a batch may be older than a column.
        """
        return pa.schema(
            [
                pa.field(column.name, column.arrow_type, nullable=column.name not in self.keys)
                for column in self.columns
            ]
        )

    def takes(self, source: str) -> frozenset[str]:
        """The columns of a source table that the star depends on: it is made of them, or joins by
        them.

        The others are archived, and whatever they hold is no concern of the star.
        """
        carried = {taken for column in self.columns for taken in column.takes}
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
