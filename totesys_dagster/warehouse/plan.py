"""What a warehouse lacks of what is declared, as a list of statements.

Tables, columns and views that others depend on stay as they are if possible: a new column goes to
the end of its table, and what is no longer declared is kept but no longer filled.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from psycopg import sql

from totesys_dagster.catalogue import WAREHOUSE_TABLES, StarTable
from totesys_dagster.errors import LoadError
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.warehouse import ddl, report_plan, reports
from totesys_dagster.warehouse.ddl import Attribute, View
from totesys_dagster.warehouse.report_plan import Made
from totesys_dagster.warehouse.tables import all_tables


@dataclass(frozen=True)
class Step:
    """A statement; what it changes about the tables, if anything; and somebody's view that it drops
    or restores, if any."""

    statement: sql.SQL | sql.Composed
    what: str | None = None
    view: str | None = None


@dataclass(frozen=True)
class Column:
    """A column of an existing table or view. `required`: an INSERT must name it."""

    type: str
    required: bool
    number: int


@dataclass(frozen=True)
class Found:
    """The tables that the platform created in a schema, the views there with their options (such as
    `security_invoker`), the foreign keys (table and column), the stars that were ever loaded, each
    with all columns that it ever had, and the reports.

    If somebody else has used a name that is needed, creating a table or view of that name fails.
    """

    tables: Mapping[str, Mapping[str, Column]] = field(default_factory=dict)
    views: Mapping[str, Mapping[str, Column]] = field(default_factory=dict)
    options: Mapping[str, Sequence[str]] = field(default_factory=dict)
    foreign_keys: frozenset[tuple[str, str]] = frozenset()
    stars: Mapping[str, frozenset[str]] = field(default_factory=dict)
    reports: Mapping[str, Made] = field(default_factory=dict)


# The statements that drop views, and those that restore what others built on them, given the names
# of views and reports to re-create or drop, and of tables with columns that change their type.
DropAndRestore = Callable[
    [Sequence[str], Sequence[str], Sequence[str]], tuple[list[Step], list[Step]]
]

_COLUMNS = """
SELECT c.relname, c.relkind = 'v', a.attname, format_type(a.atttypid, a.atttypmod),
       a.attnotnull AND NOT a.atthasdef AND a.attidentity = '', a.attnum
FROM pg_class AS c JOIN pg_attribute AS a ON a.attrelid = c.oid
WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relkind IN ('r', 'p', 'v')
  AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY c.relname, a.attnum
"""
_OPTIONS = """
SELECT relname, reloptions FROM pg_class
WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relkind = 'v' AND reloptions IS NOT NULL
"""
_FOREIGN_KEYS = """
SELECT c.relname, a.attname
FROM pg_constraint AS k
JOIN pg_class AS c ON c.oid = k.conrelid
JOIN pg_attribute AS a ON a.attrelid = c.oid AND a.attnum = k.conkey[1]
WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND k.contype = 'f'
"""


def find(connection: Connection, names: Names) -> Found:
    """What a warehouse has, within a transaction. Raises psycopg.Error."""
    tables: dict[str, dict[str, Column]] = {}
    views: dict[str, dict[str, Column]] = {}
    for relation, is_view, name, *column in connection.execute(_COLUMNS, [names.schema]):
        (views if is_view else tables).setdefault(relation, {})[name] = Column(*column)
    ours = {name: columns for name, columns in tables.items() if "batch_seq" in columns}
    keys = connection.execute(_FOREIGN_KEYS, [names.schema]).fetchall()
    options: dict[str, list[str]] = dict(connection.execute(_OPTIONS, [names.schema]).fetchall())
    return Found(
        ours,
        views,
        options,
        frozenset(keys),
        _stars(connection, names),
        report_plan.find_reports(connection, names) if names.with_reports else {},
    )


def _stars(connection: Connection, names: Names) -> dict[str, frozenset[str]]:
    table = names.ledger("star").as_string(connection)
    if connection.execute("SELECT to_regclass(%s)", [table]).fetchone() == (None,):
        return {}
    query = sql.SQL("SELECT star, columns FROM {}").format(names.ledger("star"))
    return {star: frozenset(columns) for star, columns in connection.execute(query)}


def no_views(
    _views: Sequence[str], _reports: Sequence[str], _tables: Sequence[str]
) -> tuple[list[Step], list[Step]]:
    """For a warehouse in which no view is in the way."""
    return [], []


def plan(
    names: Names, found: Found, drop_and_restore: DropAndRestore, *, foreign_keys: bool
) -> list[Step]:
    """The statements that bring the tables of a warehouse to what is declared.

    If the table of a feed cannot become what is declared, it stays as it is and holds up no other.
    """
    made = [s for s in all_tables().values() if s.feed is None or unfit(names, s, found) is None]
    stars = [star for star in made if star.name in WAREHOUSE_TABLES]
    tables = [step for star in made for step in _table(names, star, found)]
    retyped = [star.name for star in made if _retyped(star, found)]
    anew = [
        view.name
        for star in stars
        for view in ddl.views(names, star)
        if _is_there(star, view, found)
        and (star.name in retyped or not _same(found.views[view.name], view.columns))
    ]
    out_of_the_way, back = drop_and_restore(anew, report_plan.in_the_way(found.reports), retyped)
    return [
        *out_of_the_way,
        *tables,
        *(
            Step(
                view.create(
                    names,
                    anew=view.name in anew or not _is_there(star, view, found),
                    options=found.options.get(view.name, ()),
                )
            )
            for star in stars
            for view in ddl.views(names, star)
        ),
        *(map(Step, report_plan.statements(names, found.reports)) if names.with_reports else ()),
        *back,
        *(_foreign_keys(names, stars, found) if foreign_keys else []),
        *(Step(statement) for star in stars for statement in ddl.comments(names, star)),
        *(map(Step, reports.comments(names)) if names.with_reports else ()),
        *_withdrawn(names, found),
    ]


def unfit(names: Names, star: StarTable, found: Found) -> str | None:
    """Why an existing table cannot become what is declared; None if it can."""
    try:
        _table(names, star, found)
    except LoadError as error:
        return str(error)
    return None


def _is_there(star: StarTable, view: View, found: Found) -> bool:
    return star.name in found.tables and view.name in found.views


def _same(found: Mapping[str, Column], declared: Iterable[Attribute]) -> bool:
    """Whether a view has these columns, in this order."""
    return [(name, column.type) for name, column in found.items()] == [
        (attribute.name, _printed(attribute.type)) for attribute in declared
    ]


def _printed(type_: str) -> str:
    return "integer" if type_ == "serial" else type_


def _retyped(star: StarTable, found: Found) -> list[Attribute]:
    """The existing columns whose type does not hold all values of the declared one.

    Raises LoadError if the declared type does not hold all values of the existing one.
    """
    there = found.tables.get(star.name, {})
    retyped = []
    for attribute in ddl.attributes(star):
        type_ = _printed(attribute.type)
        if attribute.name not in there or _holds(there[attribute.name].type, type_):
            continue
        if not _holds(type_, there[attribute.name].type):
            raise LoadError(
                f"{star.name}.{attribute.name} is {there[attribute.name].type} in the warehouse,"
                f" but the catalogue declares {type_}, which cannot hold its values: give the"
                " column another name."
            )
        retyped.append(attribute)
    return retyped


def _holds(type_: str, other: str) -> bool:
    """Whether a column of one type holds every value of another one."""
    if type_ == other:
        return True
    if {type_, other} <= {"text", "character varying"}:
        return True
    if type_ in _WHOLE and other in _WHOLE:
        return _WHOLE.index(type_) >= _WHOLE.index(other)
    if type_.startswith("numeric") and other.startswith("numeric"):
        (before, after), (others_before, others_after) = _digits(type_), _digits(other)
        return before >= others_before and after >= others_after
    return type_ == "numeric" and other in _WHOLE


_WHOLE = ["smallint", "integer", "bigint"]


def _digits(type_: str) -> tuple[float, float]:
    """The digits of a numeric type before the point and after it."""
    if "(" not in type_:
        return math.inf, math.inf
    precision, scale = map(int, type_.partition("(")[2].rstrip(")").split(","))
    return precision - scale, scale


def _table(names: Names, star: StarTable, found: Found) -> list[Step]:
    there = found.tables.get(star.name)
    if there is None:
        return [Step(ddl.create_table(names, star), f"{star.name} is made")]
    _require_same_kind(star, there)
    steps = []
    for attribute in ddl.attributes(star):
        place = f"{star.name}.{attribute.name}"
        if attribute.name not in there:
            steps.append(Step(ddl.add_column(names, star, attribute), f"{place} is added"))
            steps.append(Step(ddl.note_column(names, star, attribute)))
        elif not _is_ours(star, attribute.name, found):
            raise LoadError(
                f"{names.schema}.{place} was added by somebody else, but the catalogue declares a"
                " column of that name: rename one of them."
            )
        elif there[attribute.name].required and not attribute.not_null:
            drop = ddl.drop_not_null(names, star.name, attribute.name)
            steps.append(Step(drop, f"{place} may be NULL"))
    for attribute in _retyped(star, found):
        change = ddl.change_type(names, star.name, attribute.name, attribute.type)
        what = f"{star.name}.{attribute.name} becomes {attribute.type}"
        steps.append(Step(change, what))
    for name in _no_longer_fed(star, found):
        what = f"{star.name}.{name} is no longer filled, and may be NULL"
        steps.append(Step(ddl.drop_not_null(names, star.name, name), what))
    return steps


def _require_same_kind(star: StarTable, there: Mapping[str, Column]) -> None:
    """Raise LoadError if a table would have to number or identify its rows in another way."""
    was_fact = "observed_at" in there
    lacks = [name for name in (star.record_id, star.key) if name and name not in there]
    if lacks or was_fact != (star.record_id is not None):
        raise LoadError(
            f"{star.name} exists with another key, `record_id` or kind than the catalogue"
            " declares, and these cannot be changed: revert the change, or give the table"
            " another name."
        )


def _is_ours(star: StarTable, name: str, found: Found) -> bool:
    """Whether the platform created a column. Those of others come after its own."""
    there = found.tables[star.name]
    lineage = {attribute.name for attribute in ddl.attributes(star)} - set(star.column_names)
    return (
        name in lineage
        or there[name].number < there["batch_seq"].number
        or name in found.stars.get(star.name, ())
    )


def _no_longer_fed(star: StarTable, found: Found) -> list[str]:
    """The columns that the platform created, that are no longer declared, and that an INSERT would
    have to name. Columns that somebody else added are theirs."""
    there = found.tables[star.name]
    declared = {attribute.name for attribute in ddl.attributes(star)}
    return [
        name
        for name, column in there.items()
        if name not in declared and column.required and _is_ours(star, name, found)
    ]


def _foreign_keys(names: Names, stars: Iterable[StarTable], found: Found) -> Iterable[Step]:
    for star in stars:
        for column, dimension in star.references:
            if (star.name, column) not in found.foreign_keys:
                yield Step(ddl.foreign_key(names, star, column, dimension))


def _withdrawn(names: Names, found: Found) -> Iterable[Step]:
    """Comment on tables that are no longer declared, and on their views, which readers see."""
    text = sql.Literal("No longer filled: the catalogue does not declare it any more.")
    for name in sorted(set(found.stars) - set(all_tables())):
        if name in found.tables:
            yield Step(sql.SQL("COMMENT ON TABLE {} IS {}").format(names.table(name), text))
        for view in sorted({f"current_{name}", f"history_{name}"} & set(found.views)):
            yield Step(sql.SQL("COMMENT ON VIEW {} IS {}").format(names.table(view), text))
