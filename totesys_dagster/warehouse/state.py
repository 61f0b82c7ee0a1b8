"""The state of each table of the warehouse: which declaration and which batches made it.

Each load continues a table with the next batch. If its declaration has changed in the meantime, its
rows are the result of another one until it is rebuilt from the lake (`operations/renew.py`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql
from psycopg.types.json import Jsonb

from totesys_dagster.catalogue import STAR_TABLES, StarTable, definition, revision
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.warehouse.tables import kept

# In place of a revision: the table was dropped and made again, and is empty until it is rebuilt.
DROPPED = "dropped"


@dataclass(frozen=True)
class State:
    """The declaration of a table, and the last batch up to which the table is its result. `renewed`
    means that the table was rebuilt, so earlier audits no longer count."""

    revision: str
    definition: Mapping[str, Any]
    sequence: int
    renewed: bool


def states(connection: Connection, names: Names) -> dict[str, State]:
    """The state of each table that was ever loaded, within a transaction. Raises psycopg.Error."""
    query = sql.SQL("SELECT star, revision, definition, sequence, renewed FROM {}").format(
        names.ledger("star")
    )
    return {star: State(*state) for star, *state in connection.execute(query)}


def outdated(found: Mapping[str, State]) -> list[StarTable]:
    """The tables that are the result of another or an unknown declaration."""
    return [star for star in STAR_TABLES.values() if not _is_of(star, found.get(star.name))]


def dropped(found: Mapping[str, State]) -> list[StarTable]:
    """The tables that are empty because they, or their past versions, were dropped."""
    return [
        star
        for star in STAR_TABLES.values()
        if star.name in found and found[star.name].revision == DROPPED
    ]


def not_comparable(found: Mapping[str, State]) -> list[str]:
    """The outdated tables whose current rows may differ from the source's for that reason: not
    those whose declaration merely had more columns."""
    empty = dropped(found)
    return [
        star.name
        for star in outdated(found)
        if star in empty
        or star.name not in found
        or not _is_part(definition(star), found[star.name].definition)
    ]


def behind(found: Mapping[str, State], head: int) -> list[StarTable]:
    """The tables with the right declaration into which a release with another one has loaded since:
    its rows are missing, or have no values in columns that it does not know."""
    return [
        star
        for star in STAR_TABLES.values()
        if _is_of(star, found.get(star.name)) and found[star.name].sequence < head
    ]


def _kept(star: StarTable) -> list[str]:
    """The names of the tables that a load of the star writes."""
    return [table.name for table in kept(star)]


def _is_of(star: StarTable, state: State | None) -> bool:
    return state is not None and state.revision == revision(star)


def _is_part(now: Mapping[str, Any], before: Mapping[str, Any]) -> bool:
    """Whether a definition only leaves out columns of another one."""
    columns = [column for column in before.get("columns", ()) if column in now["columns"]]
    known = before.get("contracts", {})
    contracts = {
        source: {name: known.get(source, {}).get(name) for name in terms}
        for source, terms in now["contracts"].items()
    }
    apart = {"columns", "contracts"}
    return (
        columns == now["columns"]
        and contracts == now["contracts"]
        and {k: v for k, v in now.items() if k not in apart}
        == {k: v for k, v in before.items() if k not in apart}
    )


def carry_on(connection: Connection, names: Names, sequence: int) -> list[str]:
    """Note that a batch was loaded, in its transaction. Returns the tables that cannot be compared
    with the source. Raises psycopg.Error."""
    if sequence == 1:
        note(connection, names, STAR_TABLES.values(), sequence, renewed=False)
        return []
    query = sql.SQL(
        """
        UPDATE {star} AS state SET sequence = %(now)s
        FROM unnest(%(stars)s::text[], %(revisions)s::text[]) AS declared (star, revision)
        WHERE (state.star, state.revision) = (declared.star, declared.revision)
          AND state.sequence = %(now)s - 1
        """
    ).format(star=names.ledger("star"))
    declared = [(name, revision(star)) for star in STAR_TABLES.values() for name in _kept(star)]
    parameters = {
        "now": sequence,
        "stars": [name for name, _ in declared],
        "revisions": [its for _, its in declared],
    }
    connection.execute(query, parameters)
    return not_comparable(states(connection, names))


def note(
    connection: Connection,
    names: Names,
    stars: Iterable[StarTable],
    sequence: int,
    *,
    renewed: bool,
) -> None:
    """Note that tables are the result of their declarations up to a batch. Raises psycopg.Error."""
    query = sql.SQL(
        """
        INSERT INTO {} AS state (star, revision, definition, columns, sequence, renewed)
        VALUES (%s, %s, %s, %s, %s, %s)
        ON CONFLICT (star) DO UPDATE
        SET revision = excluded.revision, definition = excluded.definition,
            columns = ARRAY(SELECT unnest(state.columns) UNION SELECT unnest(excluded.columns)),
            sequence = excluded.sequence, renewed = excluded.renewed
        """
    ).format(names.ledger("star"))
    for star in stars:
        declared = [revision(star), Jsonb(definition(star)), list(star.column_names)]
        for name in _kept(star):
            connection.execute(query, [name, *declared, sequence, renewed])
