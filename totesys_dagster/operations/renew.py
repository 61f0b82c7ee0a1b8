"""Tables whose declaration has changed, rebuilt from the lake.

A new table gets the rows that the lake has for it, a new column its value in each version, and a
column that is computed differently its new values. Old batches are processed again for that. A run,
an audit or `totesys migrate` does this, whichever comes first, and asks only if it takes long.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, replace

from totesys_dagster.catalogue import STAR_TABLES, Kind, StarTable, archived
from totesys_dagster.errors import LoadError, RebuildRunningError
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.receipt import touched_stars
from totesys_dagster.lake.schemas import columns_of
from totesys_dagster.lake.store import Store
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.postgres.sessions import Connection, Names, failures, transaction
from totesys_dagster.warehouse import ledger, schema, state
from totesys_dagster.words import counted

# A person is asked if it takes longer than this. The estimate uses these rates, which two busy
# cores achieve: of batches, of loads of a table, and of rows.
LONGEST_SECONDS = 600
BATCHES_A_SECOND = 100
LOADS_A_SECOND = 20
ROWS_A_SECOND = 40_000


@dataclass(frozen=True)
class Due:
    """The tables to be rebuilt; the batches, loads and rows that this takes, and about how long.

    `lost` are columns that would lose their values in old batches, because those batches have no
    column of the name that is now declared. `dropped` are the tables that were dropped.
    """

    stars: tuple[StarTable, ...]
    batches: int = 0
    loads: int = 0
    rows: int = 0
    lost: tuple[str, ...] = ()
    dropped: tuple[str, ...] = ()

    @property
    def seconds(self) -> float:
        return (
            self.batches / BATCHES_A_SECOND
            + self.loads / LOADS_A_SECOND
            + self.rows / ROWS_A_SECOND
        )

    @property
    def is_asked_for(self) -> bool:
        """Whether a person must decide: it takes long, or values would be lost."""
        return self.seconds > LONGEST_SECONDS or bool(self.lost)

    @property
    def news(self) -> str:
        """For a person who does not have to do anything."""
        return (
            f"{self._why}: the next `totesys run`, or the sensors,"
            " will rebuild it from the lake and compare it."
        )

    @property
    def _why(self) -> str:
        if self.dropped:
            return f"{', '.join(self.dropped)} was dropped, and is empty"
        return f"The declaration of {', '.join(star.name for star in self.stars)} has changed"

    @property
    def question(self) -> str:
        """For a person who has to decide."""
        names = ", ".join(star.name for star in self.stars)
        if self.lost:
            return (
                f"{', '.join(self.lost)}: old batches do not have the column that is now declared."
                " If ToteSys has renamed it, declare `formerly` with its old name; if it is a"
                f" different one, `totesys rebuild` rebuilds {names} without values for them."
            )
        minutes = max(1, round(self.seconds / 60))
        then = (
            "`totesys rebuild`; until then, nothing is loaded."
            if self.dropped
            else "`totesys rebuild` when convenient; until then, batches are loaded but not"
            " compared."
        )
        return (
            f"{self._why}, and rebuilding it from {counted(self.batches, 'batch')} takes about"
            f" {counted(minutes, 'minute')}: run {then}"
        )


def due(connection: Connection, names: Names, log: ManifestLog) -> Due:
    """What must be rebuilt in a migrated warehouse. Raises LoadError or LakeError."""
    stars = outdated(connection, names)
    if not stars:
        return Due(())
    head = ledger.head(connection, names)
    with failures(LoadError, "a read of the tables' declarations"), transaction(connection):
        before = state.states(connection, names)
    dropped = tuple(star.name for star in state.dropped(before))
    known = Due(tuple(stars), batches=head, dropped=dropped)
    if known.is_asked_for:  # reading the manifests would take long, too
        return known
    tables = {source for star in stars for source in star.sources}
    loads = rows = 0
    schemas: set[tuple[str, str]] = set()
    for manifest in log.after(0):
        if manifest.sequence > head:
            break
        entries = {name: manifest.tables[name] for name in tables & manifest.tables.keys()}
        loads += len({star.name for star in touched_stars(manifest)} & {s.name for s in stars})
        rows += sum(entry.rows for entry in entries.values())
        schemas |= {(name, entry.schema_sha256) for name, entry in entries.items() if entry.rows}
    columns = [(table, columns_of(log.store, table, sha256)) for table, sha256 in schemas]
    lost = [f"{s.name}.{c}" for s in stars for c in _lost(s, before.get(s.name), columns)]
    return replace(known, loads=loads, rows=rows, lost=tuple(lost))


def _lost(
    star: StarTable, before: state.State | None, archived_: Iterable[tuple[str, Collection[str]]]
) -> list[str]:
    """The columns that used to come from another source column, if a batch lacks the present one.
    `archived_` are the tables with the columns that batches have."""
    if before is None or star.base is None:
        return []
    came = {column["name"]: column["of"] for column in before.definition.get("columns", [])}
    absent = {
        (table, name)
        for table, columns in archived_
        if table in star.sources
        for name in archived(star, table, columns).absent
    }
    return [
        column.name
        for column in star.columns
        if came.get(column.name, []) not in ([], [".".join(source) for source in column.takes])
        and not absent.isdisjoint(column.takes)
    ]


def outdated(connection: Connection, names: Names) -> list[StarTable]:
    """The tables of a warehouse that are not the result of their declaration. Raises LoadError."""
    head = ledger.head(connection, names)
    if not head:
        return []
    with failures(LoadError, "a read of the tables' declarations"), transaction(connection):
        found = state.states(connection, names)
        return [*state.outdated(found), *state.behind(found, head)]


def renew(
    connection: Connection,
    names: Names,
    ingestion: Store,
    processed: Store,
    *,
    quarantine_limit: int,
    progress: Callable[[str], object] = lambda _: None,
    however_long: bool = False,
) -> Due:
    """Rebuild the tables that need it, as a role that may. Returns what was due.

    With `however_long`, does it without asking a person. Raises LoadError or LakeError.
    """
    log = ManifestLog(ingestion)
    found = due(connection, names, log)
    if not found.stars or (found.is_asked_for and not however_long):
        return found
    for star in found.stars:
        progress(f"Rebuilding {star.name} from {counted(found.batches, 'batch')}")
    everything = len(found.stars) == len(STAR_TABLES)
    deadline, waiting = time.monotonic() + LONGEST_SECONDS, False
    while True:
        try:
            rebuild(
                connection,
                names,
                ingestion,
                processed,
                quarantine_limit=quarantine_limit,
                only=None if everything else _in_order(found.stars),
            )
            return found
        except RebuildRunningError:
            if time.monotonic() > deadline:
                return Due(())  # the next check finds it still due
            if not waiting:
                progress("Waiting for the rebuild that another process has started")
                waiting = True
            time.sleep(1)
        if not outdated(connection, names):
            return found


def may_renew(connection: Connection, names: Names) -> bool:
    """Whether the current user may rebuild tables. Raises LoadError."""
    with failures(LoadError, "a read of the warehouse's roles"), transaction(connection):
        return schema.may_change(connection, names)


def _in_order(stars: Sequence[StarTable]) -> list[StarTable]:
    """Dimensions before the facts that refer to them."""
    order = list(Kind)
    return sorted(stars, key=lambda star: order.index(star.kind))
