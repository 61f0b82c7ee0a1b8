"""What the audits request from the next captures, so that the warehouse equals the source again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from totesys_dagster.catalogue import STAR_TABLES, Kind
from totesys_dagster.lake.manifest import StarEntry
from totesys_dagster.lake.requests import Requests, put_full_read
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.warehouse.quarantine import last_ready_orphan, quarantine_of
from totesys_dagster.warehouse.standing import Audit, Standing, standings

# Why a table is read in full.
DIFFERED = "the warehouse was found to differ from it"
ARRIVED = "dimension rows that orphans of it refer to have arrived"


def request_healing(
    connection: Connection,
    names: Names,
    ingestion: Store,
    compared: Mapping[str, StarEntry] | None = None,
) -> list[str]:
    """Write the audits' requests into the lake: full reads, and digests without the keys in
    quarantine. The latter end once all tables equal what was `compared`. Returns the tables to
    read in full. Idempotent. Raises LoadError or LakeError.
    """
    last = standings(connection, names)
    wanted = full_reads_wanted(connection, names, last)
    for table, (sequence, reason) in wanted.items():
        put_full_read(ingestion, table, sequence, reason)
    stars = _quarantined(connection, names, last)
    if stars or any(entry.without for entry in (compared or {}).values()):
        requests = Requests(ingestion)
        before = requests.without()
        if stars != (before.stars if before else {}):
            requests.put_without(stars)
    return sorted(wanted)


def _quarantined(
    connection: Connection, names: Names, last: Mapping[str, Standing]
) -> dict[str, tuple[int, ...]]:
    """The keys in quarantine now of each table that may differ because of them, unless there are
    too many to digest the table without them."""
    stars = sorted({found.star for found in _audits(last) if not found.equal and found.quarantined})
    keys = {star: quarantine_of(connection, names, STAR_TABLES[star]).keys for star in stars}
    return {star: one for star, one in keys.items() if one}


def _audits(last: Mapping[str, Standing]) -> Iterator[Audit]:
    return (found for standing in last.values() for found in standing.audits)


def full_reads_wanted(
    connection: Connection, names: Names, last: Mapping[str, Standing]
) -> dict[str, tuple[int, str]]:
    """The source tables to read in full: after which batch, and why. Raises LoadError.

    A table must be read if it differs by more than its quarantine and was not just read in full
    (which did not help), or if the dimension row that its orphans lacked has arrived.
    """
    wanted: dict[str, tuple[int, str]] = {}
    for found in _audits(last):
        base = STAR_TABLES[found.star].base
        # Quarantine may explain the difference, or it is not known yet whether it does fully.
        if base and not (found.equal or found.full_read or found.explained):
            wanted[base] = (found.sequence, DIFFERED)
    for star in STAR_TABLES.values():
        if star.kind is Kind.FACT and star.base:
            sequence = last_ready_orphan(connection, names, star)
            if sequence:
                wanted[star.base] = max(wanted.get(star.base, (0, "")), (sequence, ARRIVED))
    return wanted
