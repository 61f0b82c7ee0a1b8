"""What a star table asks of the source tables that it is made of, and a name for all of that."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from totesys_dagster.catalogue.model import (
    Kind,
    SourceColumn,
    SourceTable,
    StarColumn,
    StarTable,
)
from totesys_dagster.catalogue.source import SOURCE_TABLES
from totesys_dagster.catalogue.stars import STAR_TABLES


def contract(star: StarTable, source: str) -> SourceTable:
    """A source table as `star` needs it: with the columns that it takes, and no others."""
    return SOURCE_TABLES[source].only(star.takes(source))


@dataclass(frozen=True)
class Archived:
    """A star and one of its source tables, as a batch has that table.

    `contract` names the columns as the batch does, `declared` has the declared name of each that
    was called something else then. A column that the source did not have may be NULL, in the star
    too.
    """

    contract: SourceTable
    declared: Mapping[str, str]
    absent: frozenset[str]


def archived(star: StarTable, source: str, columns: Collection[str]) -> Archived:
    """What `star` asks of a source table that had these columns when it was archived."""
    asked = contract(star, source)
    names = {column.name: _archived_name(column, columns) for column in asked.columns}
    absent = frozenset(name for name in names if names[name] not in columns)
    return Archived(
        replace(
            asked,
            columns=tuple(
                replace(c, name=names[c.name], nullable=c.nullable or c.name in absent)
                for c in asked.columns
            ),
        ),
        {name: declared for declared, name in names.items() if name != declared},
        absent,
    )


def _archived_name(column: SourceColumn, columns: Collection[str]) -> str:
    names = (column.name, *column.formerly)
    return next((name for name in names if name in columns), column.name)


def relaxed(star: StarTable, absent: Collection[tuple[str, str]]) -> StarTable:
    """The star, its columns nullable that are made of source columns which did not exist."""
    if not absent:
        return star
    return replace(
        star,
        columns=tuple(
            replace(c, nullable=c.nullable or not set(c.takes).isdisjoint(absent))
            for c in star.columns
        ),
    )


def needed_columns(source: str) -> frozenset[str]:
    """The columns of a source table that any star takes: without the others nothing is lost."""
    return frozenset().union(*(star.takes(source) for star in STAR_TABLES.values()))


@cache
def revision(star: StarTable) -> str:
    """The name of what a star's declaration makes of a batch, such as `v1-0d9f3a21`: its
    `code_version`, and a hash of all else in it that decides which rows a batch gives.

    Two declarations with the same name give the same rows for the same batch. Objects of the
    processed zone lie in a folder of this name, so that those of different declarations never meet.
    """
    text = json.dumps(definition(star), sort_keys=True)
    return f"v{star.code_version}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def definition(star: StarTable) -> dict[str, Any]:
    """All of a declaration that decides which rows a batch gives."""
    sources = star.sources if star.base else ()
    calendar = star.kind is Kind.CALENDAR
    days = [c for fact in STAR_TABLES.values() for c in _days(fact, star)] if calendar else []
    return {
        "base": star.base,
        "joins": [[j.child, j.child_column, j.parent, j.parent_column] for j in star.joins],
        "columns": [_column(column) for column in star.columns],
        "contracts": {
            source: {column.name: _term(column) for column in contract(star, source).columns}
            for source in sources
        },
        "days": days,
        "code_version": star.code_version,
        **({"terms": star.terms} if star.terms else {}),
    }


def _days(fact: StarTable, calendar: StarTable) -> list[str]:
    """The columns of a fact that refer to the calendar."""
    return [f"{fact.name}.{column}" for column, name in fact.references if name == calendar.name]


def _column(column: StarColumn) -> Mapping[str, Any]:
    return {
        "name": column.name,
        "type": str(column.arrow_type),
        "of": [".".join(source) for source in column.takes],
        "component": column.component.value if column.component else None,
        "computed": column.computed.function.__name__ if column.computed else None,
        "nullable": column.nullable,
    }


def _term(column: SourceColumn) -> Mapping[str, Any]:
    return {
        "type": str(column.arrow_type),
        "nullable": column.nullable,
        "minimum": column.minimum,
        "currency": column.currency,
        "formerly": list(column.formerly),
    }
