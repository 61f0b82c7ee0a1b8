"""The overview: whether the warehouse is right and how fresh it is, on one page of the UI.

`overview/heartbeat` is materialized whenever every table has been compared with the source as of a
later moment. That happens with each batch, and at least hourly if none comes. So one freshness
policy on this asset tells a platform that is stuck from a source that is quiet: a table that nobody
edits on a weekend is not late. A sensor reports the heartbeat, without a run.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import dagster as dg

from totesys_dagster.catalogue import STAR_TABLES, WAREHOUSE
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.metadata import OWNERS, asset_key, link, remedy, table
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.resources import Lake, Warehouse, clear_failures
from totesys_dagster.warehouse import ledger
from totesys_dagster.warehouse.standing import Standing, standings
from totesys_dagster.warehouse.status import TableStatus, conclusion, table_status
from totesys_dagster.words import counted

OVERVIEW = "overview"
EQUAL = "equal"  # the check
FRESH_AS_OF = "fresh as of"
STATES = "states"
# How often it is reported while batches come. A report counts the rows of every table.
EVERY = dt.timedelta(minutes=5)
# An audit runs every hour; two of them may fail, or wait for a lock.
WARN_AFTER, FAIL_AFTER = dt.timedelta(minutes=90), dt.timedelta(hours=3)
SECTION = "The warehouse is behind"

HEARTBEAT = dg.AssetSpec(
    asset_key(OVERVIEW, "heartbeat"),
    deps=[asset_key(WAREHOUSE, star) for star in STAR_TABLES],
    description="Is the warehouse right, and how fresh is it? **Keep this page open**: its metadata"
    " has a line for each table.\n\n"
    "It is materialized when every table has again been compared with ToteSys: with batches (every"
    f" {EVERY.seconds // 60} minutes at most), and at least hourly if nothing changes. So a"
    " quiet weekend stays green.\n\n"
    f"**When it is late** ({WARN_AFTER.seconds // 60} minutes: warning;"
    f" {FAIL_AFTER.seconds // 3600} hours: failed): the platform is stuck, or cannot reach"
    " ToteSys, lake or warehouse. Under *Automation*, the last ticks of `source_changes` and"
    f" `new_batches` say why; `totesys status` says what waits. See *{SECTION}* in"
    " `docs/operations.md`.",
    group_name=OVERVIEW,
    kinds={"postgres"},
    owners=OWNERS,
    tags={"zone": OVERVIEW},
    freshness_policy=dg.FreshnessPolicy.time_window(fail_window=FAIL_AFTER, warn_window=WARN_AFTER),
)


@dataclass(frozen=True)
class Beat:
    """The state of the warehouse, `fresh_as_of` a moment of the source."""

    fresh_as_of: dt.datetime
    tables: Sequence[TableStatus]
    batch: int
    observed_at: dt.datetime
    loaded_at: dt.datetime
    head: Manifest | None

    @property
    def waiting(self) -> int:
        """How many of the lake's batches are not loaded."""
        return (self.head.sequence if self.head else 0) - self.batch

    def metadata(self, off: Sequence[str]) -> dict[str, Any]:
        """What the page shows: a table for people, and numbers that Dagster plots. `off` names the
        sensors and schedules that are switched off."""
        return {
            "overview": dg.MetadataValue.md(self._markdown(off)),
            "verdict": conclusion(self.tables),
            FRESH_AS_OF: dg.MetadataValue.timestamp(self.fresh_as_of),
            "batch": self.batch,
            "batches waiting": self.waiting,
            "rows": sum(table.current for table in self.tables),
            "versions": sum(table.versions for table in self.tables),
            "in quarantine": sum(table.quarantined for table in self.tables),
            "seconds from snapshot to load": self.seconds,
            STATES: states({one.star: one.standing for one in self.tables}),
        }

    @property
    def seconds(self) -> float:
        """The time from the last batch's snapshot to its load."""
        return round((self.loaded_at - self.observed_at).total_seconds(), 3)

    def _markdown(self, off: Sequence[str]) -> str:
        lines = [f"**{conclusion(self.tables)}**"]
        if self.waiting:
            lines.append(f"{counted(self.waiting, 'batch')} of the lake wait to be loaded.")
        if off:
            lines.append(f"**Switched off**: {', '.join(off)}. Switch on under *Automation*.")
        header = ["table", "rows", "versions", "in quarantine", "state", "as of batch", FRESH_AS_OF]
        return "\n\n".join([*lines, table(header, map(_row, self.tables))])


def _row(one: TableStatus) -> list[str]:
    whole = one.standing.whole
    return [
        link(asset_key(WAREHOUSE, one.star), one.star),
        f"{one.current:,}",
        f"{one.versions:,}",
        f"{one.quarantined:,}",
        state(one.standing),
        f"{whole.sequence}" if whole else "–",
        f"{whole.observed_at.astimezone(dt.UTC):%Y-%m-%d %H:%M:%S} UTC" if whole else "–",
    ]


def state(standing: Standing) -> str:
    """The result of a table's last comparisons with the source, in a word."""
    differing = [found for found in standing.audits if not found.equal]
    if not standing.audits:
        return "not compared"
    if not differing:
        return "equal"
    if all(found.equal_without for found in differing):
        return "equal but for quarantine"
    return "**differs**"


def states(standing: Mapping[str, Standing]) -> str:
    """The states of all tables in short: `11 equal`."""
    found = [state(one).strip("*") for one in standing.values()]
    return ", ".join(f"{found.count(word)} {word}" for word in dict.fromkeys(sorted(found)))


def moment(standing: Mapping[str, Standing]) -> dt.datetime | None:
    """The moment of the source as of which every table has been compared as a whole; None if one
    never was."""
    seen = [one.whole.observed_at if one.whole else None for one in standing.values()]
    known = [at for at in seen if at is not None]
    return min(known) if known and len(known) == len(seen) else None


def is_due(last: dg.AssetMaterialization | None, standing: Mapping[str, Standing]) -> bool:
    """Whether there is news since the last report."""
    at = moment(standing)
    # A materialization that a person reported by hand does not say how the tables were.
    if at is None or last is None or not {FRESH_AS_OF, STATES} <= {*last.metadata}:
        return at is not None
    before = dt.datetime.fromtimestamp(float(str(last.metadata[FRESH_AS_OF].value)), dt.UTC)
    return at - before >= EVERY or last.metadata[STATES].value != states(standing)


def beat(
    connection: Connection, names: Names, lake: Lake, standing: Mapping[str, Standing]
) -> Beat | None:
    """The state of the warehouse; None before its first batch. Raises LoadError or LakeError."""
    at, newest = moment(standing), ledger.newest(connection, names)
    if at is None or newest is None:
        return None
    return Beat(at, table_status(connection, names), *newest, lake.log().head())


@dg.asset_check(
    asset=HEARTBEAT.key,
    name=EQUAL,
    description="Every table of the warehouse equals ToteSys, as far as it was compared."
    + remedy(
        "the check `audit` of the table that differs says why. The platform reads again in full"
        " what differs.",
        "The warehouse is lost, or wrong",
    ),
)
def warehouse_is_equal(warehouse: Warehouse) -> dg.AssetCheckResult:
    """Read the result from the ledger. This compares nothing itself."""
    with clear_failures(), warehouse.connect() as connection:
        return dg.AssetCheckResult(**verdict(standings(connection, warehouse.names())))


def verdict(standing: Mapping[str, Standing]) -> dict[str, Any]:
    """What the check says."""
    differing = [star for star, one in standing.items() if one.equal is False]
    return {
        "passed": not differing,
        "severity": dg.AssetCheckSeverity.WARN,
        "description": f"{', '.join(differing)}: not equal." if differing else None,
        "metadata": {STATES: states(standing)},
    }
