"""What follows from all declarations together: joins, references and the order of loading."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from totesys_dagster.catalogue.model import Join, Kind, StarColumn, StarTable, Type
from totesys_dagster.catalogue.source import SOURCE_TABLES
from totesys_dagster.errors import DeclarationError


def assemble(declared: Iterable[StarTable]) -> list[StarTable]:
    """The star tables, each with its joins, sources and references; dimensions before facts.

    Raises DeclarationError where a declaration does not say how a table is looked up, or is none
    of a table that the warehouse can hold.
    """
    declared = list(declared)
    for star in declared:
        require_sound(star)
    order = list(Kind)
    stars = sorted(map(_joined, declared), key=lambda star: order.index(star.kind))
    calendar = next((star.name for star in stars if star.kind is Kind.CALENDAR), None)
    dimensions = _dimensions(stars)
    bases = sorted({star.base for star in stars if star.kind is Kind.FACT and star.base})
    return [
        replace(star, sources=tuple(bases))
        if star.base is None
        else _referring(star, dimensions, calendar)
        for star in stars
    ]


# What every table and its views have beside the declared columns, and PostgreSQL's own.
TAKEN = frozenset(
    {"batch_seq", "observed_at", "is_deleted", "version", "valid_from", "valid_to"}
    | {"ctid", "xmin", "xmax", "cmin", "cmax", "tableoid"}
)


def require_sound(star: StarTable) -> None:
    """Raise DeclarationError unless a table is declared as all others are."""
    names = [*star.column_names, star.record_id]
    twice = {name for name in names if name and (names.count(name) > 1 or name in TAKEN)}
    if twice:
        raise DeclarationError(
            f"{star.name} declares a column {min(twice)}, and has one already: give it another"
            " name."
        )
    if (star.kind is Kind.FACT) != (star.record_id is not None):
        raise DeclarationError(
            f"{star.name}: a fact has a `record_id`, and no other table has one."
        )
    if star.base is None:
        return
    if star.base not in SOURCE_TABLES:
        raise DeclarationError(f"{star.name}: there is no table {star.base} in catalogue/source.")
    key = (star.base, SOURCE_TABLES[star.base].key)
    if star.columns[0].source != key:
        raise DeclarationError(
            f"{star.name} has to begin with the key of its base: carry({'.'.join(key)!r})."
        )
    if any(join.child != star.base for join in star.joins):
        raise DeclarationError(
            f"{star.name}: a table is looked up from the base, {star.base}, and from no other."
        )


def _dimensions(stars: Iterable[StarTable]) -> dict[str | None, str]:
    """The dimension that a key of each source table refers to: of several, the one of its name."""
    found: dict[str | None, list[str]] = {}
    for star in stars:
        if star.kind is Kind.DIMENSION:
            found.setdefault(star.base, []).append(star.name)
    chosen = {}
    for base, names in found.items():
        if len(names) > 1 and f"dim_{base}" not in names:
            raise DeclarationError(
                f"{' and '.join(names)} are made of {base}, so that a fact's column might refer to"
                f" either: call the one that is meant dim_{base}."
            )
        chosen[base] = names[0] if len(names) == 1 else f"dim_{base}"
    return chosen


def _joined(star: StarTable) -> StarTable:
    """The star with its joins: a table that columns come from is looked up by the base's column
    that refers to it."""
    if star.base is None:
        return star
    taken = [table for column in star.columns for table, _ in column.takes]
    known = {join.parent: join for join in star.joins}
    parents = dict.fromkeys(table for table in taken if table != star.base)
    joins = tuple(known.get(parent) or _join(star, star.base, parent) for parent in parents)
    # A row that refers to none has no value of theirs.
    base = SOURCE_TABLES[star.base]
    optional = {join.parent for join in joins if base.column(join.child_column).nullable}
    columns = tuple(
        replace(c, nullable=c.nullable or any(table in optional for table, _ in c.takes))
        for c in star.columns
    )
    return replace(star, columns=columns, joins=joins, sources=(star.base, *parents))


def _join(star: StarTable, base: str, parent: str) -> Join:
    columns = [c.name for c in SOURCE_TABLES[base].columns if c.references == parent]
    if len(columns) != 1:
        raise DeclarationError(
            f"{star.name} takes columns of {parent}, to which {len(columns)} columns of {base}"
            f" refer: declare its `joins`, or a reference to {parent} in source/{base}.py."
        )
    return Join(base, columns[0], parent, SOURCE_TABLES[parent].key)


def _referring(
    star: StarTable, dimensions: dict[str | None, str], calendar: str | None
) -> StarTable:
    """A fact's columns refer to the dimensions of what they hold: a day, or the key of a row."""
    if star.kind is not Kind.FACT:
        return star

    def dimension(column: StarColumn) -> str | None:
        if column.type is Type.DATE:
            return calendar
        if column.source is None:
            return None
        table, name = column.source
        return dimensions.get(SOURCE_TABLES[table].column(name).references)

    columns = tuple(replace(column, references=dimension(column)) for column in star.columns)
    return replace(star, columns=columns)


def joins_of(stars: Sequence[StarTable]) -> tuple[Join, ...]:
    """Every pair of source tables whose rows are processed together. A batch that holds a changed
    row of one holds the rows of the other that belong to it."""
    return tuple(dict.fromkeys(join for star in stars for join in star.joins))
