"""Drops views before a change of their tables, and restores them as they were.

A migration drops the warehouse's own views and reports and re-creates them with their grants. It
does the same with views that somebody has built on them, which keep their owner, grants and
comments. Before it changes anything, it names what it cannot restore.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from totesys_dagster.errors import LoadError
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.warehouse import reports
from totesys_dagster.warehouse.plan import Step
from totesys_dagster.warehouse.report_plan import Made, find_reports

# Everything that depends on relations and functions, directly or not, each once, deepest first.
# Only the platform's own functions are followed: those of others are in the way, and PostgreSQL
# names them.
_DEPENDENTS = """
WITH RECURSIVE above AS (
    SELECT 'pg_class'::regclass::oid AS class, oid, 0 AS height
    FROM unnest(%(relations)s::oid[]) AS relations (oid)
    UNION
    SELECT 'pg_proc'::regclass::oid, oid, 0 FROM unnest(%(functions)s::oid[]) AS functions (oid)
    UNION
    SELECT CASE WHEN r.oid IS NULL THEN d.classid ELSE 'pg_class'::regclass::oid END,
           coalesce(r.ev_class, d.objid), a.height + 1
    FROM above AS a
    JOIN pg_depend AS d ON d.refclassid = a.class AND d.refobjid = a.oid
    LEFT JOIN pg_rewrite AS r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    WHERE r.ev_class <> a.oid
       OR d.classid = 'pg_proc'::regclass AND d.objid = ANY(%(ours)s::oid[])
)
SELECT class = 'pg_proc'::regclass, oid::bigint FROM above
GROUP BY class, oid ORDER BY max(height), class, oid
"""

_VIEW = """
SELECT n.nspname, c.relname, c.relkind::text, pg_get_userbyid(c.relowner),
       pg_get_viewdef(c.oid), c.reloptions, obj_description(c.oid, 'pg_class'),
       EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid)
       OR EXISTS (SELECT FROM pg_rewrite WHERE ev_class = c.oid AND rulename <> '_RETURN')
FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
WHERE c.oid = %s
"""

_COLUMN_COMMENTS = """
SELECT attname, col_description(attrelid, attnum)
FROM pg_attribute
WHERE attrelid = %s AND attnum > 0 AND col_description(attrelid, attnum) IS NOT NULL
"""

# The grants on a relation and its columns, or on a function, except those of the owner; NULL is
# PUBLIC.
_GRANTS = """
WITH grants AS (
    SELECT acl.privilege_type, NULL AS attname, acl.grantee, acl.is_grantable
    FROM pg_class AS c CROSS JOIN aclexplode(c.relacl) AS acl
    WHERE c.oid = %(oid)s AND acl.grantee <> c.relowner
    UNION ALL
    SELECT acl.privilege_type, a.attname, acl.grantee, acl.is_grantable
    FROM pg_attribute AS a JOIN pg_class AS c ON c.oid = a.attrelid
    CROSS JOIN aclexplode(a.attacl) AS acl
    WHERE a.attrelid = %(oid)s AND NOT a.attisdropped AND acl.grantee <> c.relowner
    UNION ALL
    SELECT acl.privilege_type, NULL, acl.grantee, acl.is_grantable
    FROM pg_proc AS p CROSS JOIN aclexplode(p.proacl) AS acl
    WHERE p.oid = %(function)s AND acl.grantee <> p.proowner
)
SELECT privilege_type, attname,
       CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END, is_grantable
FROM grants ORDER BY 1, 2, 3
"""


# Those who get default privileges on a new relation of this owner in this schema, which is not what
# people have decided for this one.
_DEFAULT_GRANTEES = """
SELECT DISTINCT CASE WHEN acl.grantee <> 0 THEN pg_get_userbyid(acl.grantee) END
FROM pg_class AS c
JOIN pg_default_acl AS d ON d.defaclrole = c.relowner AND d.defaclobjtype = 'r'
     AND d.defaclnamespace IN (0, c.relnamespace)
CROSS JOIN aclexplode(d.defaclacl) AS acl
WHERE c.oid = %(oid)s AND acl.grantee <> c.relowner
"""


@dataclass(frozen=True)
class _Saved:
    """A view that somebody else created, as it was."""

    name: str
    relation: sql.Identifier
    owner: str
    query: str
    options: Sequence[str]
    comment: str | None
    columns: Sequence[tuple[str, str]]
    grants: Sequence[sql.Composed]

    def steps(self) -> Iterator[Step]:
        """The statements that re-create it, as its owner."""
        name = self.name
        yield Step(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(self.owner)), view=name)
        options = sql.SQL("WITH ({}) ").format(sql.SQL(", ".join(self.options)))
        create = sql.SQL("CREATE VIEW {} {}AS\n{}").format(
            self.relation,
            options if self.options else sql.SQL(""),
            sql.SQL(self.query.strip().rstrip(";")),
        )
        yield Step(create, f"the view {name} is re-created", view=name)
        if self.comment:
            comment = sql.SQL("COMMENT ON VIEW {} IS {}")
            yield Step(comment.format(self.relation, sql.Literal(self.comment)), view=name)
        for column, text in self.columns:
            comment = sql.SQL("COMMENT ON COLUMN {}.{} IS {}")
            yield Step(
                comment.format(self.relation, sql.Identifier(column), sql.Literal(text)), view=name
            )
        for grant in self.grants:
            yield Step(grant, view=name)


@dataclass(frozen=True)
class _Own:
    """One of the warehouse's views or reports that is dropped: its name in DROP and GRANT, the
    statements that give its grants to its successor, and what to say if it has none."""

    kind_and_name: sql.Composable
    grants: Sequence[sql.Composed]
    what: str | None = None


def drop_and_restore(
    connection: Connection,
    names: Names,
    role: sql.SQL | sql.Composed,
    views: Sequence[str],
    answers: Sequence[str],
    tables: Sequence[str],
) -> tuple[list[Step], list[Step]]:
    """The statements that drop the named views and reports (`answers`) and everything that depends
    on them and on the tables, and those that restore what is not the warehouse's own, and the
    grants of what is. `role` is the statement that sets the role of the migration.

    Raises LoadError if something that cannot be restored is in the way, and psycopg.Error.
    """
    connection.execute("SET LOCAL search_path TO pg_catalog, pg_temp")
    made = find_reports(connection, names) if names.with_reports else {}
    oids = _oids(connection, names, [*views, *tables])
    drop: list[Step] = []
    back: list[Step] = []
    for is_function, oid in _dependents(connection, oids.values(), made, answers):
        if not is_function and oid in [oids[name] for name in tables if name in oids]:
            continue
        own = _own(connection, names, views, oids, made, (is_function, oid))
        if own is not None:
            back += map(Step, own.grants)
            drop.insert(0, Step(sql.SQL("DROP {}").format(own.kind_and_name), own.what))
            continue
        saved = _save(connection, oid)
        back += [*saved.steps(), Step(sql.SQL("RESET ROLE")), Step(role)]
        drop[:0] = [
            Step(sql.SQL("RESET ROLE")),
            Step(sql.SQL("DROP VIEW {}").format(saved.relation), view=saved.name),
            Step(role),
        ]
    return drop, back


def _dependents(
    connection: Connection, relations: Iterable[int], made: Mapping[str, Made], named: Sequence[str]
) -> list[tuple[bool, int]]:
    """Everything that depends on relations and reports, and these themselves, deepest first:
    whether it is a function, and its id."""
    roots = [made[name] for name in named]
    parameters = {
        "relations": [*relations, *(one.oid for one in roots if one.is_view)],
        "functions": [one.oid for one in roots if not one.is_view],
        "ours": [one.oid for one in made.values() if not one.is_view],
    }
    return connection.execute(_DEPENDENTS, parameters).fetchall()


def _own(
    connection: Connection,
    names: Names,
    views: Sequence[str],
    oids: Mapping[str, int],
    made: Mapping[str, Made],
    found: tuple[bool, int],
) -> _Own | None:
    """An object as the warehouse's own; None if it is somebody else's."""
    is_function, oid = found
    for name in views:
        if oids.get(name) == oid and not is_function:
            relation = names.table(name)
            return _Own(sql.SQL("VIEW {}").format(relation), _grants(connection, oid, relation))
    for name, one in made.items():
        if (one.oid, one.is_view) != (oid, not is_function):
            continue
        what = sql.SQL(one.kind_and_name)
        if name not in {report.name for report in reports.declared()}:
            return _Own(what, (), f"{name} is dropped, because what it reads is no longer declared")
        if is_function:
            return _Own(what, _function_grants(connection, oid, what))
        return _Own(what, _grants(connection, oid, names.report(name)))
    return None


def _oids(connection: Connection, names: Names, relations: Sequence[str]) -> dict[str, int]:
    query = """
        SELECT relname, oid::bigint FROM pg_class
        WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relname = ANY(%s)
    """
    return dict(connection.execute(query, [names.schema, list(relations)]).fetchall())


def _save(connection: Connection, oid: int) -> _Saved:
    row: Any = connection.execute(_VIEW, [oid]).fetchone()
    schema, name, kind, owner, query, options, comment, has_more = row
    if kind != "v" or has_more:
        what = "is a materialized view" if kind == "m" else "has triggers or rules"
        raise LoadError(
            f"{schema}.{name} depends on the warehouse's views, which must be re-created, and"
            f" {what}, so it could not be restored as it was: drop it, run `totesys migrate`, and"
            " re-create it."
        )
    relation = sql.Identifier(schema, name)
    columns = connection.execute(_COLUMN_COMMENTS, [oid]).fetchall()
    grants = _grants(connection, oid, relation)
    name = f"{schema}.{name}"
    return _Saved(name, relation, owner, query, options or (), comment, columns, grants)


def _grants(connection: Connection, oid: int, relation: sql.Identifier) -> list[sql.Composed]:
    """The statements that give a new relation the grants of this one, and no others."""
    statements = [
        sql.SQL("REVOKE ALL ON {} FROM {}").format(relation, _grantee(name))
        for (name,) in connection.execute(_DEFAULT_GRANTEES, {"oid": oid}).fetchall()
    ]
    found = connection.execute(_GRANTS, {"oid": oid, "function": None}).fetchall()
    return [*statements, *(_grant(relation, *one) for one in found)]


def _function_grants(
    connection: Connection, oid: int, function: sql.Composable
) -> list[sql.Composed]:
    """The same for a function, which PUBLIC may call unless that was revoked."""
    revoke = sql.SQL("REVOKE ALL ON {} FROM PUBLIC").format(function)
    found = connection.execute(_GRANTS, {"oid": None, "function": oid}).fetchall()
    return [revoke, *(_grant(function, *one) for one in found)] if found else []


def _grant(
    what: sql.Composable, privilege: str, column: str | None, grantee: str | None, grantable: bool
) -> sql.Composed:
    of = sql.SQL(" ({})").format(sql.Identifier(column)) if column else sql.SQL("")
    return sql.SQL("GRANT {}{} ON {} TO {}{}").format(
        sql.SQL(privilege),
        of,
        what,
        _grantee(grantee),
        sql.SQL(" WITH GRANT OPTION" if grantable else ""),
    )


def _grantee(name: str | None) -> sql.Composable:
    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)
