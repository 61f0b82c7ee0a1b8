"""Which declared reports a warehouse has, and which it lacks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.warehouse import reports


@dataclass(frozen=True)
class Made:
    """A report that the platform created: its id in PostgreSQL, its signature (see `Report`), its
    kind and name for DROP, and its options if it is a view."""

    oid: int
    is_view: bool
    signature: str
    kind_and_name: str
    options: Sequence[str]


# Those that are noted, and those with our comment: dropping the other two schemas of a warehouse
# leaves reports that read no table. PostgreSQL qualifies and quotes the names itself, since our
# schemas are not in the search path.
_MADE = """
SELECT c.relname, c.oid::bigint, TRUE, 'VIEW(' || string_agg(
           a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum
       ) || ')', 'VIEW ' || c.oid::regclass, coalesce(c.reloptions, '{}')
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND c.relkind = 'v'
  AND a.attnum > 0 AND (
    c.relname = ANY(%(noted)s::text[])
    OR (c.relname, obj_description(c.oid, 'pg_class')) IN (
        SELECT * FROM unnest(%(declared)s::text[], %(comments)s::text[])
    )
)
GROUP BY c.oid
UNION ALL
SELECT proname, oid::bigint, FALSE,
       '(' || pg_get_function_identity_arguments(oid) || ') ' || pg_get_function_result(oid),
       'FUNCTION ' || oid::regprocedure, '{}'
FROM pg_proc
WHERE pronamespace = to_regnamespace(quote_ident(%(schema)s))
  AND proname = ANY(%(noted)s::text[])
"""


def find_reports(connection: Connection, names: Names) -> dict[str, Made]:
    """The reports that the platform created in a warehouse, within a transaction.

    Raises psycopg.Error.
    """
    declared = reports.declared()
    parameters = {
        "schema": names.reports,
        "noted": _noted(connection, names),
        "declared": [report.name for report in declared],
        "comments": [report.comment for report in declared],
    }
    found = connection.execute(_MADE, parameters).fetchall()
    return {name: Made(*about) for name, *about in found}


def _noted(connection: Connection, names: Names) -> list[str]:
    table = names.ledger("report").as_string(connection)
    if connection.execute("SELECT to_regclass(%s)", [table]).fetchone() == (None,):
        return []
    query = sql.SQL("SELECT name FROM {}").format(names.ledger("report"))
    return [name for (name,) in connection.execute(query)]


def in_the_way(made: Mapping[str, Made]) -> list[str]:
    """The existing reports that must be dropped: they have other columns or are not declared."""
    declared = {report.name: report.signature for report in reports.declared()}
    return [name for name, one in made.items() if declared.get(name) != one.signature]


def statements(names: Names, made: Mapping[str, Made]) -> Iterator[sql.Composed]:
    """Create or replace the declared reports."""
    declared = reports.declared()
    for report in declared:
        there = made.get(report.name)
        options = there.options if there else ()
        yield report.create(names, anew=there is None, options=options)
    known = sql.SQL("{}::text[]").format(sql.Literal([r.name for r in declared]))
    table = names.ledger("report")
    yield sql.SQL("DELETE FROM {} WHERE name <> ALL({})").format(table, known)
    yield sql.SQL("INSERT INTO {} (name) SELECT unnest({}) ON CONFLICT DO NOTHING").format(
        table, known
    )
