"""Which rows a delta reads: the changed ones, and those that a star joins with them."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg import sql

from totesys_dagster.catalogue import JOINS
from totesys_dagster.ingestion import scans
from totesys_dagster.ingestion.changes import TableState


def row_condition(
    table: str, states: Mapping[str, TableState], watermark: int
) -> sql.Composable | None:
    """The condition for the rows of `table` in the batch; None if there are none.

    A row is in the batch if it changed, or if a row that it is processed together with did.
    """
    own = _changed_condition(states[table], watermark)
    joined = [] if states[table].full else _joined(table, states, watermark)
    if not joined:
        return own
    # Collect the rows' locations, and join with those. With alternatives, "changed OR its parent IN
    # (...)", PostgreSQL keeps the parents in memory and, if they do not fit, scans all of them for
    # each row.
    ctids = (
        [] if own is None else [sql.SQL("{rows} WHERE {own}").format(rows=_ctids(table), own=own)]
    )
    return sql.SQL("({table}.tableoid, {table}.ctid) IN ({ctids})").format(
        table=sql.Identifier(table), ctids=sql.SQL(" UNION ALL ").join([*ctids, *joined])
    )


def _ctids(table: str) -> sql.Composed:
    return sql.SQL("SELECT {0}.tableoid, {0}.ctid FROM public.{0}").format(sql.Identifier(table))


def _joined(table: str, states: Mapping[str, TableState], watermark: int) -> list[sql.Composed]:
    """Queries for the ctids of the rows that are joined with a changed row of another table."""
    queries = []
    for join in JOINS:
        if join.child == table:
            other, here, there = join.parent, join.child_column, join.parent_column
        elif join.parent == table:
            other, here, there = join.child, join.parent_column, join.child_column
        else:
            continue
        changed = _changed_condition(states[other], watermark)
        if changed is not None:
            queries.append(
                sql.SQL("{rows} JOIN public.{other} ON {here} = {there} WHERE {changed}").format(
                    rows=_ctids(table),
                    other=sql.Identifier(other),
                    here=sql.Identifier(table, here),
                    there=sql.Identifier(other, there),
                    changed=changed,
                )
            )
    return queries


def _changed_condition(state: TableState, watermark: int) -> sql.Composable | None:
    if state.full:
        return sql.SQL("TRUE")
    if not state.rows_changed:
        return None
    return scans.written(state.table, watermark, state.ctids)
