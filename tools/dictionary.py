"""The data dictionary: what every table, view, report and column of the warehouse is."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from totesys_dagster.catalogue import WAREHOUSE_TABLES, Kind, StarColumn, StarTable, Type, revision
from totesys_dagster.postgres.sessions import Names
from totesys_dagster.warehouse import ddl, reports

_HEAD = """\
# Data dictionary

Every table, view, report and column that the warehouse's readers see. `make render` writes this
file from the catalogue; [insights.md](insights.md) shows how to query.

Start with the [reports](#reports), which answer questions. Behind them are three stars. For each
table below, readers see two views: `current_<table>`, with one row for each row that ToteSys has,
and `history_<table>`, with every version of it. They see the calendar `dim_date` itself. A version
may refer to a dimension row that ToteSys has deleted since and `current_*` no longer has: use a
LEFT JOIN, or join with the history of the dimension.

"""
_LINEAGE_HEAD = """\
## Columns of every table

"""
_NAMES = Names("warehouse")


def dictionary() -> str:
    """The whole document, in Markdown."""
    facts = [star for star in WAREHOUSE_TABLES.values() if star.kind is Kind.FACT]
    others = [star for star in WAREHOUSE_TABLES.values() if star.kind is not Kind.FACT]
    parts = [_HEAD, "## The stars\n\n"]
    parts += [f"{_diagram(fact)}\n" for fact in facts if fact.references]
    parts += ["## Facts\n\n", *(_table(fact) for fact in facts)]
    parts += ["## Dimensions\n\n", *(_table(star) for star in others)]
    parts += [_LINEAGE_HEAD, _columns((a.name, a.type, a.comment) for a in ddl.LINEAGE), "\n"]
    parts += ["Histories also have:\n\n"]
    parts += [_columns((a.name, a.type, a.comment) for a in ddl.VERSIONS), "\n"]
    parts += ["## Reports\n\n", *(_report(report) for report in reports.declared())]
    return "".join(parts).rstrip("\n") + "\n"


def _diagram(fact: StarTable) -> str:
    dimensions = dict.fromkeys(name for _, name in fact.references)
    lines = [
        *_entity(fact),
        *(line for name in dimensions for line in _entity(WAREHOUSE_TABLES[name])),
        *_relations(fact),
    ]
    return "\n".join(["```mermaid", "erDiagram", *(f"    {line}" for line in lines), "```", ""])


def _entity(star: StarTable) -> Iterator[str]:
    """Types in one word each, since a diagram takes no spaces or commas in them."""
    yield f"{star.name} {{"
    for column in star.columns:
        # A fact's business key has a row for each version.
        key = " PK" if column.name == star.key and star.kind is not Kind.FACT else ""
        key = " FK" if column.references else key
        yield f"    {_word(column.type)} {column.name}{key}"
    yield "}"


def _word(type_: Type) -> str:
    return type_.name.lower().rpartition("_")[2]


def _relations(fact: StarTable) -> Iterator[str]:
    nullable = {column.name for column in fact.columns if column.nullable}
    for column, dimension in fact.references:
        some = "|o" if column in nullable else "||"
        yield f'{dimension} {some}--o{{ {fact.name} : "{column}"'


def _table(star: StarTable) -> str:
    views = ", ".join(f"`{view.name}`" for view in ddl.views(_NAMES, star)) or f"`{star.name}`"
    made_of = ", ".join(f"`{source}`" for source in star.sources)
    origin = f"filled by the feed `{star.feed}`" if star.feed else f"built from {made_of}"
    key = ", ".join(f"`{column}`" for column in star.keys)
    number = [(a.name, "integer", a.comment) for a in ddl.attributes(star)[: bool(star.record_id)]]
    rows = [*number, *((c.name, _sql_type(c), _meaning(c)) for c in star.columns)]
    folder = "" if star.feed else f" In the lake: `rows/{star.name}/{revision(star)}`."
    return (
        f"### {star.name}\n\n{star.description} Readers see {views}; {origin}."
        f" Its key is {key}.{folder}\n\n{_columns(rows)}\n"
    )


def _sql_type(column: StarColumn) -> str:
    return column.sql_type + (", may be NULL" if column.nullable else "")


def _meaning(column: StarColumn) -> str:
    meaning = column.description
    if column.references:
        meaning += f" Refers to `{column.references}`."
    return meaning + (" PII." if column.pii else "")


def _columns(rows: Iterable[tuple[str, str, str]]) -> str:
    lines = ["| Column | Type | What it means |", "| --- | --- | --- |"]
    for name, type_, meaning in rows:
        lines.append(f"| `{name}` | {type_} | {meaning.replace('|', '&#124;')} |")
    return "\n".join(lines) + "\n"


def _report(report: reports.Report) -> str:
    call = f"({report.parameters})" if report.parameters else ""
    terms = "\n".join(f"* {name}: {report.terms[name]}" for name in ("Unit", "Grain", "Trap"))
    rows = ((c.name, c.type, c.comment) for c in report.columns)
    return (
        f"### {report.name}\n\n{report.terms['Question']} `reports.{report.name}{call}`\n\n"
        f"{terms}\n\n{_columns(rows)}\n"
    )
