"""The tables of a warehouse: those that are declared, and beside each dimension its past versions.

A dimension holds the current version of each row, as facts refer to it and audits compare it. What
its rows held before is in a table of its own, to which rows are only added.
"""

from __future__ import annotations

from dataclasses import replace

from totesys_dagster.catalogue import STAR_TABLES, WAREHOUSE_TABLES, Kind, StarTable


def past(star: StarTable) -> StarTable:
    """The table of the versions of a dimension's rows that others have followed. A value may be
    missing in it: a batch may be older than a column."""
    columns = (replace(c, nullable=c.name != star.key, references=None) for c in star.columns)
    return replace(
        star,
        name=f"past_{star.name}",
        description=f"Versions of the rows of {star.name} that later ones have followed.",
        columns=tuple(columns),
        key_columns=(star.key, "batch_seq"),
    )


def kept(star: StarTable) -> tuple[StarTable, ...]:
    """The tables that a load of the star writes."""
    return (star, past(star)) if star.kind is Kind.DIMENSION else (star,)


def pasts() -> dict[str, StarTable]:
    """The tables of past versions, by name."""
    return {table.name: table for star in STAR_TABLES.values() for table in kept(star)[1:]}


def all_tables() -> dict[str, StarTable]:
    """All tables of the warehouse, by name."""
    return {**WAREHOUSE_TABLES, **pasts()}
