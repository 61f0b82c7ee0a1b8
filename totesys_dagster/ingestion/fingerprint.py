"""Everything in PostgreSQL's catalogue that decides which rows a table shows, and how they print.

A catalogue change can change rows without giving them a new transaction id: a partition is
attached, a table is swapped with another by renaming, a label of an enum is renamed, a column is
dropped and added again with another default. So all of this belongs to a table's fingerprint, and
the table is read in full when the fingerprint changes.

The files that store the rows are not part of it. `VACUUM FULL`, `CLUSTER` and a move to another
tablespace write new files but leave the rows as they were. The table is then digested, and read in
full only if the digest differs.

Anything that would hide rows, or has no transaction ids, is refused before anything is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.errors import SchemaChangedError
from totesys_dagster.lake.schemas import Schema
from totesys_dagster.lake.store import sha256
from totesys_dagster.postgres.sessions import Connection, transaction

# Access methods whose rows have transaction ids: the heap, and Percona's encrypted heap.
HEAPS = {"heap", "tde_heap"}

# Types from this oid on were created by users, who can change them.
_FIRST_USER_OID = 16384


@dataclass(frozen=True)
class Column:
    """A column as the source declares it now; `type` as `format_type` prints it. `has_cast` means
    that its type, or one that it consists of, has a user-defined cast to JSON."""

    name: str
    type: str
    not_null: bool
    has_cast: bool = False


@dataclass(frozen=True)
class TableSchema:
    """A source table now: its columns in order, and everything else that its rows depend on.

    `shape` decides which rows it shows and how they print; `storage` names the files that store
    them. `deletions` have been counted since the last reset of statistics, with a small delay.
    `toasted` means that values are stored outside its rows; otherwise no row exceeds a few blocks.
    """

    table: str
    columns: tuple[Column, ...]
    shape: Mapping[str, Any]
    storage: str
    estimated_rows: int
    deletions: int
    toasted: bool = False

    @cached_property
    def entry(self) -> Schema:
        """The entry of the schema registry."""
        columns = tuple((c.name, c.type, c.not_null) for c in self.columns)
        return Schema(table=self.table, columns=columns, shape=dict(self.shape))

    @cached_property
    def sha256(self) -> str:
        """The fingerprint: equal hashes mean that the same rows show and print in the same way."""
        return sha256(self.entry.to_bytes())

    @cached_property
    def types(self) -> Mapping[str, str]:
        """The type of each column, by name."""
        return {column.name: column.type for column in self.columns}


# A table and everything that inherits from it: partitions, and tables that INHERIT, whose rows a
# SELECT shows, too.
_TREE = """
WITH RECURSIVE tree AS (
    SELECT c.oid AS root, c.relname AS name, c.oid AS member
    FROM pg_class AS c
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(%(tables)s)
    UNION
    SELECT t.root, t.name, i.inhrelid FROM tree AS t JOIN pg_inherits AS i ON i.inhparent = t.member
)
"""

_DELETIONS = f"""{_TREE}
SELECT name, coalesce(sum(pg_stat_get_tuples_deleted(member)), 0)::bigint FROM tree GROUP BY name
"""  # nosec B608

_RELATIONS = f"""{_TREE}
SELECT t.name, t.root = t.member, m.oid::bigint, m.relname, m.relkind::text, a.amname,
       t.root = t.member AND row_security_active(m.oid),
       pg_relation_filenode(m.oid)::bigint,
       -- A table that was never analyzed is taken for one of narrow rows.
       CASE WHEN m.relkind = 'p' THEN 0 WHEN m.reltuples < 0 THEN pg_relation_size(m.oid) / 100
            ELSE m.reltuples END::bigint,
       coalesce(pg_relation_size(nullif(m.reltoastrelid, 0)), 0) > 0,
       (SELECT jsonb_agg(jsonb_build_array(
                    c.attnum, c.attname, format_type(c.atttypid, c.atttypmod),
                    c.attgenerated, c.attmissingval::text,
                    CASE WHEN c.attgenerated <> '' THEN pg_get_expr(d.adbin, d.adrelid) END)
                ORDER BY c.attnum)
        FROM pg_attribute AS c
        LEFT JOIN pg_attrdef AS d ON (d.adrelid, d.adnum) = (c.attrelid, c.attnum)
        WHERE c.attrelid = m.oid AND c.attnum > 0 AND NOT c.attisdropped),
       (SELECT array_agg(c.attname::text ORDER BY c.attnum)
        FROM pg_attribute AS c
        WHERE c.attrelid = m.oid AND c.attnum > 0 AND NOT c.attisdropped AND c.attnotnull)
FROM tree AS t
JOIN pg_class AS m ON m.oid = t.member
LEFT JOIN pg_am AS a ON a.oid = m.relam
ORDER BY t.name, t.root <> t.member, m.oid
"""  # nosec B608

# The user-defined types of columns, with the types that they consist of: the labels of an enum, the
# attributes of a composite, the base of a domain. Also the columns whose type has a cast to JSON:
# `to_json` would call its function, which is user-defined and can return anything.
_TYPES = """
WITH RECURSIVE used AS (
    SELECT c.relname AS name, a.attname AS attribute, a.atttypid AS type
    FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
    WHERE c.relnamespace = 'public'::regnamespace AND c.relname = ANY(%(tables)s)
      AND a.attnum > 0 AND NOT a.attisdropped AND a.atttypid >= %(first)s
    UNION
    SELECT u.name, u.attribute, made_of.type
    FROM used AS u JOIN pg_type AS t ON t.oid = u.type CROSS JOIN LATERAL (
        SELECT t.typelem UNION ALL SELECT t.typbasetype
        UNION ALL SELECT r.rngsubtype FROM pg_range AS r WHERE r.rngtypid = t.oid
        UNION ALL SELECT a.atttypid FROM pg_attribute AS a
                  WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0
                    AND NOT a.attisdropped
    ) AS made_of (type)
    WHERE made_of.type >= %(first)s
)
SELECT u.name, jsonb_agg(
    DISTINCT jsonb_build_array(
        t.oid::bigint, format_type(t.oid, NULL), t.typtype,
        format_type(t.typbasetype, t.typtypmod),
        (SELECT jsonb_agg(jsonb_build_array(e.oid::bigint, e.enumlabel) ORDER BY e.oid)
         FROM pg_enum AS e WHERE e.enumtypid = t.oid),
        (SELECT jsonb_agg(
             jsonb_build_array(a.attnum, a.attname, format_type(a.atttypid, a.atttypmod))
             ORDER BY a.attnum)
         FROM pg_attribute AS a
         WHERE a.attrelid = t.typrelid AND t.typrelid <> 0 AND a.attnum > 0
           AND NOT a.attisdropped),
        k.oid IS NOT NULL
    )),
    array_agg(DISTINCT u.attribute::text) FILTER (WHERE k.oid IS NOT NULL)
FROM used AS u JOIN pg_type AS t ON t.oid = u.type
LEFT JOIN pg_cast AS k
    ON k.castsource = t.oid AND k.casttarget = 'json'::regtype AND k.castmethod = 'f'
GROUP BY u.name
"""


@dataclass(frozen=True)
class _Member:
    """A relation whose rows a table shows: the table itself, or one that inherits from it."""

    name: str
    is_root: bool
    oid: int
    relation: str
    kind: str
    access_method: str | None
    hides_rows: bool
    file: int | None
    rows: int
    toasted: bool
    columns: list[list[Any]] | None
    not_null: list[str] | None


def deletions(connection: Connection) -> dict[str, int]:
    """How many deletions the server has counted in each table, to be queried before the snapshot is
    taken: a deletion that is counted later may be missing from the snapshot.

    Raises psycopg.Error.
    """
    with transaction(connection):
        return dict(connection.execute(_DELETIONS, {"tables": list(SOURCE_TABLES)}).fetchall())


def read_schemas(connection: Connection, counted: Mapping[str, int]) -> dict[str, TableSchema]:
    """The source's tables, within an open transaction; `counted` are the `deletions` in them.

    Raises SourceError if one cannot be captured, and psycopg.Error.
    """
    tables: dict[str, list[_Member]] = {name: [] for name in SOURCE_TABLES}
    parameters = {"tables": list(SOURCE_TABLES), "first": _FIRST_USER_OID}
    for row in connection.execute(_RELATIONS, parameters).fetchall():
        tables[row[0]].append(_Member(*row))
    types = {name: found for name, *found in connection.execute(_TYPES, parameters)}
    return {
        name: _schema(name, members, counted.get(name, 0), *types.get(name, ([], None)))
        for name, members in tables.items()
    }


def _schema(
    name: str,
    members: list[_Member],
    deletions: int,
    types: list[Any],
    casts: list[str] | None,
) -> TableSchema:
    for member in members:
        _require_rows(member)
    root = next((member for member in members if member.is_root), None)
    if root is None:
        raise SchemaChangedError(
            f"The source has no table {name}: TOTESYS_SOURCE_DSN points to another database, or the"
            " table was renamed."
        )
    required = set(root.not_null or ())
    columns = tuple(
        Column(c[1], c[2], c[1] in required, c[1] in (casts or ())) for c in root.columns or ()
    )
    return TableSchema(
        name,
        columns,
        {
            "relations": [[m.oid, m.relation, m.kind, m.columns] for m in members],
            "types": types,
        },
        " ".join(f"{m.oid}/{m.file}" for m in members if m.file is not None),
        sum(m.rows for m in members),
        deletions,
        any(m.toasted for m in members),
    )


_KINDS = {"v": "a view", "m": "a materialized view", "f": "a foreign table", "S": "a sequence"}


def _require_rows(member: _Member) -> None:
    """Raise SchemaChangedError unless all rows of the relation are shown, with their transaction
    ids."""
    table = member.name
    what = f"The source's {table}" if member.is_root else f"{member.relation}, a part of {table},"
    if member.kind not in "rp":
        kind = _KINDS.get(member.kind, "no table")
        raise SchemaChangedError(
            f"{what} is {kind}, whose rows have no transaction ids, by which changes are found:"
            " nothing was captured; point TOTESYS_SOURCE_DSN to the database that holds the"
            " table."
        )
    if member.access_method not in (None, *HEAPS):
        raise SchemaChangedError(
            f"{what} is stored by the access method {member.access_method}, whose rows have no"
            " transaction ids, by which changes are found: nothing was captured; keep the table in"
            " PostgreSQL's heap."
        )
    if member.hides_rows:
        raise SchemaChangedError(
            f"{what} has row security, which may hide rows from the role of TOTESYS_SOURCE_DSN, and"
            " hidden rows would be taken for deleted: nothing was captured; let the table's owner"
            f" disable it (ALTER TABLE {member.relation} DISABLE ROW LEVEL SECURITY), or give the"
            " role BYPASSRLS."
        )
