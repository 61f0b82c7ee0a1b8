"""The present contents of the warehouse."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES, StarTable
from totesys_dagster.errors import LoadError
from totesys_dagster.postgres.sessions import Connection, Names, failures, one, transaction
from totesys_dagster.warehouse import state
from totesys_dagster.warehouse.quarantine import quarantine_of
from totesys_dagster.warehouse.standing import Audit, Standing, standings
from totesys_dagster.warehouse.tables import kept
from totesys_dagster.words import counted

# Without a join, whose plan depends on what PostgreSQL expects to find.
CURRENT_AND_VERSIONS = """
SELECT count(*) FILTER (WHERE live > coalesce(deleted, 0)), coalesce(sum(versions), 0)::bigint
FROM (
    SELECT max(batch_seq) FILTER (WHERE NOT is_deleted) AS live,
           max(batch_seq) FILTER (WHERE is_deleted) AS deleted,
           count(*) AS versions
    FROM {} GROUP BY {}
) AS rows
"""


@dataclass(frozen=True)
class TableStanding:
    """The results of a table's last audits, and its rows in quarantine."""

    star: str
    quarantined: int
    standing: Standing


@dataclass(frozen=True)
class TableStatus(TableStanding):
    """The same, and the numbers of a table's current rows and of all versions."""

    current: int
    versions: int


def table_standings(connection: Connection, names: Names) -> list[TableStanding]:
    """The last audits of the warehouse's tables. Counts no rows. Raises LoadError."""
    last = standings(connection, names)
    with failures(LoadError, "a read of the tables' declarations"), transaction(connection):
        not_comparable = state.not_comparable(state.states(connection, names))
    last |= dict.fromkeys(not_comparable, Standing(None, None))
    return [
        TableStanding(star.name, quarantine_of(connection, names, star).count, last[star.name])
        for star in STAR_TABLES.values()
    ]


def table_status(connection: Connection, names: Names) -> list[TableStatus]:
    """The status of the warehouse's tables. Raises LoadError.

    Counts rows, which takes a second per million or more.
    """
    result = []
    for table in table_standings(connection, names):
        star = STAR_TABLES[table.star]
        query = sql.SQL(CURRENT_AND_VERSIONS).format(
            names.table(star.name), sql.Identifier(star.key)
        )
        with failures(LoadError, "a read of the warehouse's tables"), transaction(connection):
            current, versions = one(connection, query)
            versions += sum(_count(connection, names, kept_) for kept_ in kept(star)[1:])
        result.append(TableStatus(**vars(table), current=current, versions=versions))
    return result


def _count(connection: Connection, names: Names, table: StarTable) -> int:
    row = one(connection, sql.SQL("SELECT count(*) FROM {}").format(names.table(table.name)))
    return int(row[0])


def all_equal(tables: Iterable[TableStanding]) -> bool:
    """Whether every table equals the source, as far as it was compared."""
    return all(table.standing.equal for table in tables)


def conclusion(tables: Sequence[TableStanding]) -> str:
    """One sentence: whether the warehouse equals the source, what is proved, and as of when."""
    found = [one for table in tables for one in table.standing.audits if not one.equal]
    if found:
        return _difference(tables, found)
    missing = [table.star for table in tables if table.standing.whole is None]
    if 0 < len(missing) < len(tables):
        return (
            f"Not compared with the source yet: {', '.join(missing)}; `totesys audit` does so now,"
            " the platform within the hour. The other tables equal it."
        )
    proved = [table.standing.whole for table in tables if table.standing.whole]
    if not proved:
        return "The warehouse holds no batch yet."
    oldest = min(proved, key=lambda found: found.observed_at)
    return (
        f"The warehouse equals the source: every table is proved as of batch {oldest.sequence} or"
        f" later, and as of {oldest.observed_at:%Y-%m-%d %H:%M:%S} UTC."
    )


def _difference(tables: Sequence[TableStanding], found: Sequence[Audit]) -> str:
    names = ", ".join(dict.fromkeys(one.star for one in found))
    quarantined = sum(table.quarantined for table in tables)
    which = "`totesys quarantine` lists them; correct them in ToteSys"
    if all(one.equal_without for one in found):
        return (
            "The warehouse equals the source but for what is in quarantine"
            f" ({counted(quarantined, 'row')} of {names}): {which}."
        )
    if all(one.explained for one in found):
        return (
            f"The warehouse differs from the source, and {counted(quarantined, 'row')} of {names}"
            f" are in quarantine: {which}. Whether anything else differs is not known yet."
        )
    return (
        f"The warehouse does NOT equal the source: {names}. The next run reads these tables again;"
        " if that does not help, `totesys rebuild` replaces rows that differ from the lake's."
    )
