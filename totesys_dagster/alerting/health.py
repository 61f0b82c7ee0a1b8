"""A look at the three systems: whether each can be used, and what waits to be loaded.

They are looked at side by side, as each can take half a minute to say nothing.
"""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial

from pydantic import BaseModel, ConfigDict

from totesys_dagster.alerting.incidents import AT_ONCE, Recovery, Trouble
from totesys_dagster.alerting.remedies import (
    LAKE,
    NOTHING_IS_CAPTURED,
    SOURCE,
    WAREHOUSE,
)
from totesys_dagster.errors import LakeError, OtherLakeError, SchemaChangedError, TotesysError
from totesys_dagster.ingestion.identity import LaggingReplicaError
from totesys_dagster.ingestion.poll import PollCursor, poll
from totesys_dagster.ingestion.source_view import open_view
from totesys_dagster.parallel import ahead
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.warehouse.ledger import check_log

# How often the source is asked for changes, which may scan its tables; a look at it does not.
POLL_EVERY = dt.timedelta(minutes=1)

# How long people are not notified that a system cannot be read.
GRACE = dt.timedelta(minutes=1)


class Changes(BaseModel):
    """What the last poll found: changes that came after batch `after`, or None."""

    model_config = ConfigDict(frozen=True)

    polled: dt.datetime | None = None
    cursor: PollCursor = PollCursor()
    after: int | None = None


@dataclass(frozen=True)
class Position:
    """The numbers of the last batch loaded and of the last committed, and two batches' keys.

    `batch` is the last one loaded, `next` the first that the warehouse lacks.
    """

    loaded: int
    committed: int
    batch: str | None
    next: str | None


@dataclass(frozen=True)
class Systems:
    """What was found. `changes` and `position` are None where a system did not tell."""

    observations: list[Trouble | Recovery]
    changes: Changes | None
    position: Position | None


def look_around(
    source: SourceDatabase, lake: Lake, warehouse: Warehouse, before: Changes, now: dt.datetime
) -> Systems:
    """Look at source, lake and warehouse. Raises nothing that a system may be the reason of."""
    looks: tuple[Callable[[], object], ...] = (
        partial(_changes, source, lake, before, now),
        partial(_check, lake),
        partial(_position, lake, warehouse),
    )
    changes, checked, position = ahead(_try, looks, threads=len(looks))
    return Systems(
        list(_observations({SOURCE: changes, LAKE: checked, WAREHOUSE: position})),
        changes if isinstance(changes, Changes) else None,
        position if isinstance(position, Position) else None,
    )


def _observations(found: Mapping[str, object]) -> Iterator[Trouble | Recovery]:
    """What is said of each system. Source and warehouse are compared with the lake: where that
    failed, nothing is said of them."""
    errors: dict[str, TotesysError] = {}
    for name, answer in found.items():
        if isinstance(answer, TotesysError):
            errors.setdefault(LAKE if isinstance(answer, LakeError) else name, answer)
    for name, answer in found.items():
        if name in errors:
            yield _trouble(name, errors[name])
        elif not isinstance(answer, TotesysError):
            yield Recovery(name, f"The {name} can be read again.")


def _trouble(name: str, error: TotesysError) -> Trouble:
    if isinstance(error, SchemaChangedError):
        title = "the source's tables have changed, and nothing is captured"
        return Trouble(name, title, str(error), remedy=NOTHING_IS_CAPTURED)
    # A restart or a failover soon ends; another lake than the warehouse's stays.
    grace = AT_ONCE if isinstance(error, OtherLakeError) else GRACE
    return Trouble(name, f"the {name} cannot be read", str(error), grace=grace)


def _try(look: Callable[[], object]) -> object:
    """What the look finds, or the error that says why it finds nothing."""
    try:
        return look()
    except TotesysError as error:
        return error


def _check(lake: Lake) -> None:
    lake.ingestion().check()
    lake.processed().check()


def _changes(source: SourceDatabase, lake: Lake, before: Changes, now: dt.datetime) -> Changes:
    """Open a view of the source's tables, and from time to time look for changes in them."""
    with source.connect() as connection:
        if before.polled and dt.timedelta(0) <= now - before.polled < POLL_EVERY:
            with open_view(connection):
                return before
        try:
            found = poll(connection, lake.ingestion(), before.cursor, now)
        except LaggingReplicaError:  # it answers, and has nothing new to tell
            return before.model_copy(update={"polled": now})
    after = found.cursor.sequence if found.changed else None
    return Changes(polled=now, cursor=found.cursor, after=after)


def _position(lake: Lake, warehouse: Warehouse) -> Position:
    log = lake.log()
    with warehouse.connect() as connection:
        loaded = check_log(connection, warehouse.names(), log)
    head = log.head()
    committed = head.sequence if head else 0
    return Position(
        loaded,
        committed,
        batch=log.read(loaded).batch if loaded else None,
        next=log.read(loaded + 1).batch if committed > loaded else None,
    )
