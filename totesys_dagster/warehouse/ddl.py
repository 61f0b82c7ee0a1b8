"""The SQL of what is declared: tables, views, comments, keys, functions and grants.

Pure text: nothing here asks a database. `plan.py` says which of it a database lacks.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES, Kind, StarTable
from totesys_dagster.lake.log import TOTESYS
from totesys_dagster.postgres.sessions import Names
from totesys_dagster.warehouse.tables import kept, past

# From here on foreign keys may be declared that the server does not check row by row.
NOT_ENFORCED_SINCE = 180000

# The roles of roles.sql. Where they exist, the owner owns what is made.
OWNER, LOADER, READER = "warehouse_owner", "warehouse_loader", "warehouse_reader"


@dataclass(frozen=True)
class Attribute:
    """A column as the warehouse has it: a declared one, a number of versions, or the lineage."""

    name: str
    type: str
    not_null: bool
    comment: str
    more: str = ""  # what follows the type


_BATCH = Attribute(
    "batch_seq",
    "integer",
    True,
    "The batch that brought the row; in a dimension, its current values.",
)
_OBSERVED = Attribute(
    "observed_at",
    "timestamp with time zone",
    True,
    "When the source was read with this version.",
)
_DELETED = Attribute(
    "is_deleted",
    "boolean",
    True,
    "Whether the source had deleted the row by then.",
    "DEFAULT FALSE",
)
_VERSION = Attribute(
    "version", "bigint", False, "Number of this version of the row, starting at 1."
)
_VALID_FROM = Attribute(
    "valid_from", "timestamp with time zone", False, "When the version became current."
)
_VALID_TO = Attribute(
    "valid_to", "timestamp with time zone", False, "When it ceased to be current; NULL while it is."
)
LINEAGE = (_BATCH, _OBSERVED, _DELETED)
VERSIONS = (_VERSION, _VALID_FROM, _VALID_TO)


def attributes(star: StarTable) -> tuple[Attribute, ...]:
    """The columns of a star's table, in the order in which a new one has them."""
    declared = tuple(
        Attribute(c.name, c.sql_type, not c.nullable, c.description) for c in star.columns
    )
    if star.record_id is None:
        return (*declared, _BATCH, _DELETED)
    number = Attribute(
        star.record_id, "serial", True, "Number of the version, in the order of batches."
    )
    return (number, *declared, *LINEAGE)


def create_table(names: Names, star: StarTable) -> sql.Composed:
    """The table with its keys."""
    lines = [
        sql.SQL(" ").join([sql.Identifier(a.name), *_definition(a, _is_key(star, a))])
        for a in attributes(star)
    ]
    if star.kind is Kind.FACT:
        lines.append(sql.SQL("UNIQUE ({}, batch_seq)").format(listed(star.keys)))
    elif len(star.keys) > 1:
        lines.append(sql.SQL("PRIMARY KEY ({})").format(listed(star.keys)))
    return sql.SQL("CREATE TABLE {} (\n    {}\n)").format(
        names.table(star.name), sql.SQL(",\n    ").join(lines)
    )


def listed(columns: Iterable[str], alias: str | None = None) -> sql.Composed:
    """Columns with commas between them, of the table called `alias` where that is said."""
    of = [alias] if alias else []
    return sql.SQL(", ").join(sql.Identifier(*of, column) for column in columns)


def _is_key(star: StarTable, attribute: Attribute) -> bool:
    """Whether the column alone is the primary key."""
    return [attribute.name] == ([star.record_id] if star.record_id else [*star.keys])


def _definition(attribute: Attribute, primary: bool) -> list[sql.Composable]:
    words = [attribute.type]
    if primary:
        words.append("PRIMARY KEY")
    elif attribute.not_null:
        words.append("NOT NULL")
    if attribute.more:
        words.append(attribute.more)
    return [sql.SQL(word) for word in words]


def add_column(names: Names, star: StarTable, attribute: Attribute) -> sql.Composed:
    """The column at the end of a table that has rows: those have no value for it yet, and the
    release before, which does not know it, goes on loading. So it may be NULL."""
    return sql.SQL("ALTER TABLE {} ADD COLUMN {} {}").format(
        names.table(star.name), sql.Identifier(attribute.name), sql.SQL(attribute.type)
    )


def note_column(names: Names, star: StarTable, attribute: Attribute) -> sql.Composed:
    """Note that the platform has made a column, which nobody else's is taken for."""
    return sql.SQL(
        "INSERT INTO {} AS state (star, revision, definition, columns, sequence)"
        " VALUES ({}, '', '{{}}', ARRAY[{}], 0)"
        " ON CONFLICT (star) DO UPDATE SET columns = state.columns || excluded.columns"
    ).format(names.ledger("star"), sql.Literal(star.name), sql.Literal(attribute.name))


def change_type(names: Names, table: str, column: str, type_: str) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} ALTER COLUMN {} TYPE {}").format(
        names.table(table), sql.Identifier(column), sql.SQL(type_)
    )


def drop_not_null(names: Names, table: str, column: str) -> sql.Composed:
    return sql.SQL("ALTER TABLE {} ALTER COLUMN {} DROP NOT NULL").format(
        names.table(table), sql.Identifier(column)
    )


@dataclass(frozen=True)
class View:
    """A view: its columns, and the query for them."""

    name: str
    columns: tuple[Attribute, ...]
    query: sql.Composed
    comment: str

    def create(self, names: Names, *, anew: bool, options: Sequence[str] = ()) -> sql.Composed:
        """The statement: `anew` where there is none, else in the place of the one there. A view
        that is replaced has the options of the statement, and no others."""
        return sql.SQL("CREATE {}VIEW {} {}AS\n{}").format(
            sql.SQL("" if anew else "OR REPLACE "),
            names.table(self.name),
            sql.SQL("WITH ({}) ".format(", ".join(options)) if options else ""),
            self.query,
        )


_CURRENT_DIMENSION = "SELECT\n    {columns}\nFROM {table}\nWHERE NOT is_deleted"
# The latest version is the one that no later version follows, rather than the first of all when
# they are sorted: so a question about a month reads that month's versions only, and all cores may
# help with one about all. No version of the first batch follows another one: of a million orders
# most are in it, and to look among the others takes half the time.
_CURRENT_FACT = """SELECT
    {columns}
FROM {table} AS fact
WHERE NOT is_deleted AND NOT EXISTS (
    SELECT FROM {table} AS later
    WHERE {same_key} AND later.batch_seq > fact.batch_seq AND later.batch_seq > 1
)"""
_HISTORY = """SELECT
    {columns},
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM {table}
WINDOW versions AS (PARTITION BY {keys} ORDER BY batch_seq)"""

# A dimension holds the current version of each row; when its batch was read, the ledger knows.
_HISTORY_DIMENSION = """SELECT
    {declared},
    batch_seq,
    observed_at,
    is_deleted,
    row_number() OVER versions AS version,
    observed_at AS valid_from,
    lead(observed_at) OVER versions AS valid_to
FROM (
    SELECT {columns} FROM {past}
    UNION ALL
    SELECT {columns} FROM {table}
) AS held
JOIN {batch} AS batch ON batch.log = {log} AND batch.sequence = held.batch_seq
WINDOW versions AS (PARTITION BY {keys} ORDER BY batch_seq)"""


def views(names: Names, star: StarTable) -> list[View]:
    """The views of a star table: `current_*` has one row for each business key that the source has,
    `history_*` every version. The calendar, from which nothing is deleted, has none."""
    columns = attributes(star)
    fragments: dict[str, sql.Composable] = {
        "columns": sql.SQL(",\n    ").join(sql.Identifier(column.name) for column in columns),
        "table": names.table(star.name),
        "declared": sql.SQL(",\n    ").join(map(sql.Identifier, star.column_names)),
        "past": names.table(past(star).name),
        "batch": names.ledger("batch"),
        "log": sql.Literal(TOTESYS),
        "keys": listed(star.keys),
        "same_key": sql.SQL(" AND ").join(
            sql.SQL("later.{0} = fact.{0}").format(sql.Identifier(key)) for key in star.keys
        ),
    }

    def view(prefix: str, query: str, comment: str, shown: Sequence[Attribute]) -> View:
        composed = sql.SQL(query).format(**fragments)
        return View(f"{prefix}_{star.name}", tuple(shown), composed, comment)

    if star.kind is Kind.CALENDAR:
        return []
    current = f"{star.description} Only the rows that the source has now."
    if star.kind is Kind.DIMENSION:
        history = f"{star.description} Every version, and the time during which it was current."
        shown = [a for a in columns if a not in LINEAGE]
        return [
            view("current", _CURRENT_DIMENSION, current, columns),
            view("history", _HISTORY_DIMENSION, history, [*shown, *LINEAGE, *VERSIONS]),
        ]
    history = f"{star.description} With its number, and the time during which it was current."
    return [
        view("current", _CURRENT_FACT, f"{current} Each in its latest version.", columns),
        view("history", _HISTORY, history, [*columns, *VERSIONS]),
    ]


def comments(names: Names, star: StarTable) -> list[sql.Composed]:
    """What the table, its views and their columns mean, for people and tools that ask for it."""
    relations = [(names.table(s.name), s.description, attributes(s), "TABLE") for s in kept(star)]
    relations += [(names.table(v.name), v.comment, v.columns, "VIEW") for v in views(names, star)]
    statements = []
    for relation, description, columns, kind in relations:
        statements.append(
            sql.SQL("COMMENT ON {} {} IS {}").format(
                sql.SQL(kind), relation, sql.Literal(description)
            )
        )
        statements += [
            sql.SQL("COMMENT ON COLUMN {}.{} IS {}").format(
                relation, sql.Identifier(column.name), sql.Literal(column.comment)
            )
            for column in columns
        ]
    return statements


def foreign_key(names: Names, star: StarTable, column: str, dimension: str) -> sql.Composed:
    """A key for people and tools to see. It is not enforced: the load proves all keys of a batch at
    once, in the transaction that writes it; row by row, nine keys make COPY 16 times slower."""
    return sql.SQL("ALTER TABLE {} ADD FOREIGN KEY ({}) REFERENCES {} NOT ENFORCED").format(
        names.table(star.name), sql.Identifier(column), names.table(dimension)
    )


def facts() -> list[StarTable]:
    return [star for star in STAR_TABLES.values() if star.kind is Kind.FACT]


def functions(names: Names) -> list[sql.Composed]:
    """The functions of `functions.sql`, which the loader calls for what only the owner may do."""
    rows = sql.SQL(",\n        ").join(
        sql.SQL("({}, {}, {})").format(
            *map(sql.Literal, (star.name, star.record_id or "", star.key))
        )
        for star in facts()
    )
    columns = sql.SQL(",\n        ").join(
        sql.SQL("({}, {})").format(sql.Literal(star.name), sql.Literal(column.name))
        for star in STAR_TABLES.values()
        for column in star.columns
        if column.name != star.key
    )
    return [
        sql.SQL(_KEYS_OF).format(name=names.ledger("keys_of"), rows=rows),
        sql.SQL(_MAY_BE_NULL).format(name=names.ledger("may_be_null"), rows=columns),
    ]


_KEYS_OF = """CREATE OR REPLACE FUNCTION {name}(
    fact text, OUT record_id text, OUT business_key text
)
LANGUAGE sql STRICT AS $body$
    SELECT record_id, business_key
    FROM (VALUES
        {rows}
    ) AS facts (name, record_id, business_key)
    WHERE name = fact
$body$"""

_MAY_BE_NULL = """CREATE OR REPLACE FUNCTION {name}(star text, attribute text) RETURNS boolean
LANGUAGE sql STRICT AS $body$
    SELECT (star, attribute) IN (VALUES
        {rows}
    )
$body$"""


# The tables of the bookkeeping to which rows are only ever added.
LEDGER = ("batch", "batch_table", "quarantine", "released", "audit")
# Those about pages, which no rebuild makes anew.
PAGES = ("page", "page_mail")
