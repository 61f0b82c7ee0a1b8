"""What a feed is: a log, the table that it fills, and the function that reads a delivery."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pyarrow as pa

from totesys_dagster.catalogue import StarTable
from totesys_dagster.lake.deliveries import Delivery


@dataclass(frozen=True)
class Faulty:
    """A line of a delivery that breaks the contract: its number, from 1 on, why, and its text."""

    line: int
    reasons: tuple[str, ...]
    row: str


@dataclass(frozen=True)
class Outcome:
    """What a delivery gives: `rows` in the table's `arrow_schema`.

    One that is `refused` has no rows of its own and replaces nothing; it may have others, as the
    rates that are carried over the day of a refused body. `state` is handed to the next
    delivery, as it is.
    """

    rows: pa.Table
    refused: str | None = None
    faulty: Sequence[Faulty] = ()
    state: pa.Table | None = None


# Reads a delivery: given it, its body, and the state that the delivery before it has left. The
# same input gives the same outcome, whenever and wherever.
Process = Callable[[Delivery, bytes, pa.Table | None], Outcome]


@dataclass(frozen=True)
class Feed:
    """A feed. `title` is what people call it.

    A delivery replaces what the table had of the same value in the column `replaces` (as the name
    of a file): rows that it no longer has are deleted. Without one, rows are added and changed
    only. `lying` gives the names that can still be delivered, where that can be known: what was
    refused and is not among them any more was taken back.
    """

    title: str
    table: StarTable
    process: Process
    replaces: str | None = None
    lying: Callable[[], frozenset[str]] | None = None

    @property
    def name(self) -> str:
        """The name of its log, and of its raw asset."""
        assert self.table.feed is not None
        return self.table.feed
