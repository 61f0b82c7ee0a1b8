"""What a feed is: a log, the table that it fills, and the function that reads a delivery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from totesys_dagster.catalogue import StarTable
from totesys_dagster.lake.deliveries import Delivery
from totesys_dagster.postgres.sessions import Connection, Names


@dataclass(frozen=True)
class Faulty:
    """A line of a delivery that breaks the contract: its number, from 1 on, why, and its text."""

    line: int
    reasons: tuple[str, ...]
    row: str


@dataclass(frozen=True)
class Outcome:
    """The result of a delivery: `rows` in the table's `arrow_schema`.

    A `refused` delivery has no rows of its own and replaces nothing; it can have other rows, such
    as the carried rates for the day of a refused body. `state` is passed unchanged to the next
    delivery.
    """

    rows: pa.Table
    refused: str | None = None
    faulty: Sequence[Faulty] = ()
    state: pa.Table | None = None


# Reads a delivery, given its body and the state that the previous delivery has left. The same input
# always gives the same outcome.
Process = Callable[[Delivery, bytes, pa.Table | None], Outcome]


@dataclass(frozen=True)
class Feed:
    """A feed. `title` is what people call it.

    A delivery replaces the table's rows with the same value in the column `replaces` (such as the
    name of a file): rows that it no longer has are deleted. Without such a column, rows are only
    added and changed. `lying` returns the names that can still be delivered, if that can be known:
    a refused name that is no longer among them was removed. `doubts` says in sentences what is
    doubtful about the current rows; they are loaded all the same.
    """

    title: str
    table: StarTable
    process: Process
    replaces: str | None = None
    lying: Callable[[], frozenset[str]] | None = None
    doubts: Callable[[Connection, Names], list[str]] | None = None

    @property
    def name(self) -> str:
        """The name of its log, and of its raw asset."""
        assert self.table.feed is not None
        return self.table.feed
