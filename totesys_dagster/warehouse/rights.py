"""Who may do what in the warehouse, if the roles of `roles.sql` exist."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from psycopg import sql

from totesys_dagster.catalogue import WAREHOUSE_TABLES, Kind, StarTable
from totesys_dagster.postgres.sessions import Names
from totesys_dagster.warehouse import ddl, reports
from totesys_dagster.warehouse.plan import Found
from totesys_dagster.warehouse.tables import pasts


def grants(names: Names, made: Iterable[str], found: Found) -> list[sql.Composed]:
    """What the loader and the reader may do with the tables that are `made`, with the views that
    were not `found`, and with the bookkeeping. Earlier grants and revocations on others stay.

    The loader can neither change nor delete a past version or a row of the ledger: history is
    written once, enforced by privileges. The reader sees views, and no table except the calendar,
    which has no views: over all versions of orders, 6,269 payments looked overdue instead of 6,106.
    """
    made = set(made)
    stars = [star for star in WAREHOUSE_TABLES.values() if star.name in made]
    past = [table for name, table in pasts().items() if name in made]
    shown = [
        names.table(view.name)
        for star in WAREHOUSE_TABLES.values()
        for view in ddl.views(names, star)
        if star.name in made or view.name not in found.views
    ]
    shown += [names.table(star.name) for star in stars if star.kind is Kind.CALENDAR]
    both = sql.SQL(", ").join(map(sql.Identifier, (names.schema, names.bookkeeping)))
    fragments: dict[str, sql.Composable] = {
        "both": both,
        "bookkeeping": sql.Identifier(names.bookkeeping),
        "loader": sql.Identifier(ddl.LOADER),
        "reader": sql.Identifier(ddl.READER),
        "schema": sql.Identifier(names.schema),
        "shown": sql.SQL(", ").join(shown),
        "all": _tables(names, [*stars, *past]),
        "versions": _tables(names, [*(s for s in stars if s.kind is Kind.FACT), *past]),
        "dimensions": _tables(names, [s for s in stars if s.kind is not Kind.FACT]),
        "ledger": sql.SQL(", ").join(map(names.ledger, (*ddl.LEDGER, *ddl.PAGES))),
        "state": names.ledger("star"),
        "reporting": names.ledger("reporting_currency"),
    }
    nothing = [
        name
        for name in ("shown", "all", "versions", "dimensions")
        if not fragments[name].as_string(None)
    ]
    return [
        sql.SQL(statement).format(**fragments)
        for statement in _GRANTS
        if not any(f"{{{name}}}" in statement for name in nothing)
    ]


_GRANTS = (
    "GRANT USAGE ON SCHEMA {both} TO {loader}",
    "GRANT USAGE ON SCHEMA {schema} TO {reader}",
    "GRANT SELECT ON ALL TABLES IN SCHEMA {bookkeeping} TO {loader}",
    "GRANT SELECT ON {shown} TO {loader}, {reader}",
    "GRANT SELECT ON {all} TO {loader}",
    "GRANT INSERT ON {versions} TO {loader}",
    "GRANT INSERT, UPDATE ON {dimensions} TO {loader}",
    "GRANT INSERT ON {ledger} TO {loader}",
    "GRANT INSERT, UPDATE ON {state} TO {loader}",
    "GRANT INSERT ON {reporting} TO {loader}",
    "GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA {bookkeeping} TO {loader}",
)


def report_grants(names: Names, found: Found) -> Iterator[sql.Composed]:
    """What the loader and the reader may do with new reports."""
    roles = sql.SQL(", ").join(map(sql.Identifier, (ddl.LOADER, ddl.READER)))
    yield sql.SQL("GRANT USAGE ON SCHEMA {} TO {}").format(sql.Identifier(names.reports), roles)
    new = [report for report in reports.declared() if report.name not in found.reports]
    for report in new:
        what = sql.SQL("SELECT ON {}").format(names.report(report.name))
        if report.parameters is not None:
            what = sql.SQL("EXECUTE ON {}").format(report.kind_and_name(names))
        yield sql.SQL("GRANT {} TO {}").format(what, roles)


def _tables(names: Names, stars: Iterable[StarTable]) -> sql.Composed:
    return sql.SQL(", ").join(names.table(star.name) for star in stars)
