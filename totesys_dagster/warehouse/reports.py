"""The reports: views and functions that answer a question, each from a file in `sql/reports`.

A file begins with comments that say what it answers (Question, Unit, Grain, Trap) and what it
needs: the columns of the tables that it Reads, the Columns that it returns and, if it is a
function, its Parameters. Then comes its query, with braces around the names of relations: tables
and views of the warehouse, tables of the ledger (`ledger_batch`), and other reports.

Pure text: nothing here queries a database.
"""

from __future__ import annotations

import re
import string
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources

from psycopg import sql

from totesys_dagster.catalogue import WAREHOUSE_TABLES
from totesys_dagster.postgres.sessions import Names
from totesys_dagster.warehouse.ddl import Attribute
from totesys_dagster.warehouse.report_columns import column

_LEDGER = "ledger_"
_TERM = re.compile(r"^-- (Question|Unit|Grain|Trap|Reads|Parameters|Columns): (.*)$")
_READ = re.compile(r"(\w+) \(([^)]*)\)")
SCHEMA_COMMENT = "Answers to questions: begin here. Each view and function says what its trap is."


@dataclass(frozen=True)
class Report:
    """A view, or a function if it has parameters. `reads` names the columns of the warehouse's
    tables that it needs, except those of the lineage; `query` is its text with the names of
    relations in braces."""

    name: str
    terms: Mapping[str, str]
    reads: Mapping[str, frozenset[str]]
    query: str

    @property
    def parameters(self) -> str | None:
        """The names and types of its parameters; None for a view."""
        return self.terms.get("Parameters")

    @property
    def columns(self) -> tuple[Attribute, ...]:
        """Raises KeyError if the table of one is not declared."""
        return tuple(column(name) for name in self.terms["Columns"].split(", "))

    @cached_property
    def relations(self) -> tuple[str, ...]:
        """The relations that its query names, each once."""
        found = [name for _, name, _, _ in string.Formatter().parse(self.query) if name]
        return tuple(dict.fromkeys(found))

    @property
    def signature(self) -> str:
        """What CREATE OR REPLACE cannot change: parameters and columns, as `report_plan` reads them
        from a database."""
        columns = ", ".join(f"{c.name} {c.type}" for c in self.columns)
        if self.parameters is None:
            return f"VIEW({columns})"
        # PostgreSQL does not keep precision and scale of a function's columns.
        return f"({self.parameters}) TABLE({_without_digits(columns)})"

    @property
    def comment(self) -> str:
        """The comment for people. That of a function also explains its columns, for which
        PostgreSQL has no comments."""
        said = "{Question} Unit: {Unit} Grain: {Grain} Trap: {Trap}".format(**self.terms)
        if self.parameters is None:
            return said
        return f"{said} Columns: " + " ".join(f"{c.name}: {c.comment}" for c in self.columns)

    def kind_and_name(self, names: Names) -> sql.Composed:
        """Its kind and name, as in DROP, GRANT and COMMENT."""
        if self.parameters is None:
            return sql.SQL("VIEW {}").format(names.report(self.name))
        types = ", ".join(one.partition(" ")[2] for one in self.parameters.split(", "))
        return sql.SQL("FUNCTION {}({})").format(names.report(self.name), sql.SQL(types))

    def create(self, names: Names, *, anew: bool, options: Sequence[str] = ()) -> sql.Composed:
        """The statement: `anew` if there is none, otherwise it replaces the existing one."""
        fragments = {
            "create": sql.SQL("CREATE" if anew else "CREATE OR REPLACE"),
            "name": names.report(self.name),
            "options": sql.SQL("WITH ({}) ".format(", ".join(options)) if options else ""),
            "parameters": sql.SQL(self.parameters or ""),
            "columns": sql.SQL(", ").join(
                sql.SQL("{} {}").format(sql.Identifier(c.name), sql.SQL(_without_digits(c.type)))
                for c in self.columns
            ),
            "query": sql.SQL(self.query).format(
                **{name: _relation(names, name) for name in self.relations}
            ),
        }
        return sql.SQL(_VIEW if self.parameters is None else _FUNCTION).format(**fragments)


_VIEW = "{create} VIEW {name} {options}AS\n{query}"
# Its names are resolved once, at creation, whatever the caller's search path; and PostgreSQL knows
# its dependencies.
_FUNCTION = """{create} FUNCTION {name}({parameters})
RETURNS TABLE ({columns})
LANGUAGE sql STABLE PARALLEL SAFE
BEGIN ATOMIC
{query};
END"""


def _without_digits(types: str) -> str:
    return re.sub(r"\(\d+,\d+\)", "", types)


def _relation(names: Names, name: str) -> sql.Identifier:
    if name in all_reports():
        return names.report(name)
    if name.startswith(_LEDGER):
        return names.ledger(name.removeprefix(_LEDGER))
    return names.table(name)


@cache
def all_reports() -> Mapping[str, Report]:
    """The report of each file, by name."""
    files = (resources.files("totesys_dagster.warehouse") / "sql" / "reports").iterdir()
    found = (
        _parse(file.name.removesuffix(".sql"), file.read_text(encoding="utf-8")) for file in files
    )
    return {report.name: report for report in sorted(found, key=lambda report: report.name)}


def _parse(name: str, text: str) -> Report:
    lines = text.splitlines()
    terms = [_TERM.match(line) for line in lines]
    length = terms.index(None)
    known = {term[1]: term[2] for term in terms[:length] if term}
    reads = {table: frozenset(c.split(", ")) for table, c in _READ.findall(known.get("Reads", ""))}
    return Report(name, known, reads, "\n".join(lines[length:]))


def declared() -> list[Report]:
    """The reports that can be created, in order: those whose tables, columns and other reports are
    all declared, each after those that it reads."""
    made: dict[str, Report] = {}
    waiting = [report for report in all_reports().values() if _is_declared(report)]
    while ready := [r for r in waiting if {*r.relations} & {*all_reports()} <= {*made}]:
        made |= {report.name: report for report in ready}
        waiting = [report for report in waiting if report.name not in made]
    return list(made.values())


def _is_declared(report: Report) -> bool:
    return all(
        table in WAREHOUSE_TABLES and columns <= {*WAREHOUSE_TABLES[table].column_names}
        for table, columns in report.reads.items()
    )


def comments(names: Names) -> Iterable[sql.Composed]:
    """The comments on the schema, the reports and the columns of views."""
    comment = sql.SQL("COMMENT ON {} IS {}")
    schema = sql.SQL("SCHEMA {}").format(sql.Identifier(names.reports))
    yield comment.format(schema, sql.Literal(SCHEMA_COMMENT))
    for report in declared():
        yield comment.format(report.kind_and_name(names), sql.Literal(report.comment))
        if report.parameters is None:
            for c in report.columns:
                place = sql.SQL("COLUMN {}.{}").format(
                    names.report(report.name), sql.Identifier(c.name)
                )
                yield comment.format(place, sql.Literal(c.comment))
