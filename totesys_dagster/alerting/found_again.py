"""What is wrong if Dagster's database was lost, and the memory of open incidents with it.

Lake and ledger still say what is in quarantine, what differs and which files are refused. Failed
runs fail again, and systems are looked at anyway.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterator

import dagster as dg

from totesys_dagster.alerting.ended_runs import TITLES
from totesys_dagster.alerting.health import Position
from totesys_dagster.alerting.incidents import PREFIX, Message, Trouble
from totesys_dagster.alerting.remedies import (
    DIFFERENCE_KEY,
    DOCUMENT,
    QUARANTINE_KEY,
    REFUSED_KEY,
)
from totesys_dagster.characters import visible
from totesys_dagster.drops.file_feeds import FILE_FEEDS
from totesys_dagster.feeds.receive import log_of
from totesys_dagster.feeds.refused import refused
from totesys_dagster.orchestration.history import was_lost
from totesys_dagster.resources import Lake, Warehouse
from totesys_dagster.warehouse import schema
from totesys_dagster.warehouse.status import table_standings
from totesys_dagster.words import counted

PLACE = f"{DOCUMENT}#dagsters-history-was-lost"


def look(
    instance: dg.DagsterInstance, lake: Lake, warehouse: Warehouse, position: Position
) -> list[Trouble] | None:
    """What is wrong, if the memory was lost; None if it was not. Raises TotesysError."""
    if not position.loaded or not was_lost(instance, lake.log().read(position.loaded)):
        return None
    return [*_of_tables(warehouse), *_of_files(lake)]


def message(found: list[Trouble], now: dt.datetime, code_url: str | None) -> Message:
    """What to tell people about the loss."""
    open_ = "; ".join(dict.fromkeys(one.title for one in found))
    said = f"Still wrong, with a message of its own: {open_}." if found else "No table is wrong."
    return Message(
        f"{PREFIX} Dagster's history was lost",
        "Dagster's database is new, and the incidents before it are not known: you will not be"
        " notified of their end. No data is lost, and the history returns from the lake.\n"
        f"{said} Failed runs are repeated, and the lake is verified at night; whatever fails again"
        " has a new message.\n\n"
        "What to do: `totesys status` shows the present state, and `totesys verify` checks the"
        " lake now.\n"
        f"More: {f'{code_url}/{PLACE}' if code_url else PLACE}\n"
        f"Seen: {now:%Y-%m-%d %H:%M:%S} UTC\n",
    )


def _of_tables(warehouse: Warehouse) -> Iterator[Trouble]:
    with warehouse.connect() as connection:
        names = warehouse.names()
        if schema.pending(connection, names):
            return
        tables = table_standings(connection, names)
    for table in tables:
        star = table.star
        if any(not one.equal and not one.explained for one in table.standing.audits):
            said = f"{star}: The warehouse differs from the source."
            yield Trouble(DIFFERENCE_KEY, TITLES[DIFFERENCE_KEY], said, cause=star)
        if table.quarantined:
            said = f"{star}: {counted(table.quarantined, 'row')} in quarantine."
            yield Trouble(QUARANTINE_KEY, TITLES[QUARANTINE_KEY], said, cause=star)


def _of_files(lake: Lake) -> Iterator[Trouble]:
    ingestion, processed = lake.ingestion(), lake.processed()
    for _, feed in FILE_FEEDS:
        if log_of(feed, ingestion).end() and (names := [*refused(feed, ingestion, processed)]):
            said = f"{feed.name}: refused: {visible(', '.join(names))}."
            yield Trouble(REFUSED_KEY, TITLES[REFUSED_KEY], said, cause=feed.name)
