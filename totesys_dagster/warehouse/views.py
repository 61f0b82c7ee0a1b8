"""Views taken out of the way of a change of the tables below them, and put back as they were.

A migration drops the warehouse's own views and re-creates them with their grants. It does the same
with a view that somebody has built on them, which keeps its owner, its grants and its comments. It
names what it cannot put back before it changes anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from totesys_dagster.errors import LoadError
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.warehouse.plan import Step

# All that is built on relations, however many views lie between, each once, the deepest first.
_DEPENDENTS = """
WITH RECURSIVE above AS (
    SELECT oid, 0 AS height FROM unnest(%(roots)s::oid[]) AS roots (oid)
    UNION
    SELECT r.ev_class, a.height + 1
    FROM above AS a
    JOIN pg_depend AS d ON d.refclassid = 'pg_class'::regclass AND d.refobjid = a.oid
         AND d.classid = 'pg_rewrite'::regclass
    JOIN pg_rewrite AS r ON r.oid = d.objid AND r.ev_class <> a.oid
)
SELECT oid, max(height) FROM above GROUP BY oid ORDER BY max(height), oid
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

# The grants on a relation and its columns, but for what the owner has by himself; NULL is PUBLIC.
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
)
SELECT privilege_type, attname,
       CASE WHEN grantee <> 0 THEN pg_get_userbyid(grantee) END, is_grantable
FROM grants ORDER BY 1, 2, 3
"""


# Whom a new relation of this owner in this schema is granted something by default: not what people
# have decided of this one.
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
    """A view that somebody has built, as it was."""

    name: str
    relation: sql.Identifier
    owner: str
    query: str
    options: Sequence[str]
    comment: str | None
    columns: Sequence[tuple[str, str]]
    grants: Sequence[sql.Composed]

    def steps(self) -> Iterator[Step]:
        """The statements that make it again, as its owner."""
        name = self.name
        yield Step(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(self.owner)), view=name)
        options = sql.SQL("WITH ({}) ").format(sql.SQL(", ".join(self.options)))
        create = sql.SQL("CREATE VIEW {} {}AS\n{}").format(
            self.relation,
            options if self.options else sql.SQL(""),
            sql.SQL(self.query.strip().rstrip(";")),
        )
        yield Step(create, f"the view {name} is made again", view=name)
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


def drop_and_restore(
    connection: Connection,
    names: Names,
    role: sql.SQL | sql.Composed,
    views: Sequence[str],
    tables: Sequence[str],
) -> tuple[list[Step], list[Step]]:
    """The statements that drop the views named and all that is built on them and on the tables, and
    those that put the latter back; `role` is the statement that sets the role of the migration.

    Raises LoadError where something is in the way that cannot be put back, and psycopg.Error.
    """
    roots = _oids(connection, names, [*views, *tables])
    kept = set(_oids(connection, names, tables).values())
    ours = {oid for name, oid in roots.items() if name in views}
    drop: list[Step] = []
    back: list[Step] = []
    connection.execute("SET LOCAL search_path TO pg_catalog, pg_temp")
    above = connection.execute(_DEPENDENTS, {"roots": list(roots.values())}).fetchall()
    for oid, _ in above:
        if oid in kept:
            continue
        if oid in ours:
            [name] = [name for name, root in roots.items() if root == oid]
            back += map(Step, _grants(connection, oid, names.table(name)))
            drop.insert(0, Step(sql.SQL("DROP VIEW {}").format(names.table(name))))
            continue
        saved = _save(connection, oid)
        back += saved.steps()
        drop[:0] = [
            Step(sql.SQL("RESET ROLE")),
            Step(sql.SQL("DROP VIEW {}").format(saved.relation), view=saved.name),
            Step(role),
        ]
    return drop, [*back, Step(sql.SQL("RESET ROLE")), Step(role)] if back else back


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
            f"{schema}.{name} is built on the warehouse's views, which have to be made anew, and"
            f" {what}, so it could not be put back as it was: drop it, run `totesys migrate`, and"
            " make it again."
        )
    relation = sql.Identifier(schema, name)
    columns = connection.execute(_COLUMN_COMMENTS, [oid]).fetchall()
    grants = _grants(connection, oid, relation)
    name = f"{schema}.{name}"
    return _Saved(name, relation, owner, query, options or (), comment, columns, grants)


def _grants(connection: Connection, oid: int, relation: sql.Identifier) -> list[sql.Composed]:
    """The statements after which a new relation has the grants of this one, and no others."""
    statements = [
        sql.SQL("REVOKE ALL ON {} FROM {}").format(relation, _grantee(name))
        for (name,) in connection.execute(_DEFAULT_GRANTEES, {"oid": oid}).fetchall()
    ]
    found = connection.execute(_GRANTS, {"oid": oid}).fetchall()
    for privilege, column, grantee, grantable in found:
        of = sql.SQL(" ({})").format(sql.Identifier(column)) if column else sql.SQL("")
        statement = sql.SQL("GRANT {}{} ON {} TO {}").format(
            sql.SQL(privilege), of, relation, _grantee(grantee)
        )
        statements.append(statement + sql.SQL(" WITH GRANT OPTION" if grantable else ""))
    return statements


def _grantee(name: str | None) -> sql.Composable:
    return sql.SQL("PUBLIC") if name is None else sql.Identifier(name)
