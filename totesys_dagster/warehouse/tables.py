"""The tables of a warehouse: the declared ones, and for each dimension one of its past versions.

A dimension has the current version of each row, since facts refer to it and audits compare it. Past
versions are in a separate, append-only table.
"""

from __future__ import annotations

from dataclasses import replace

from totesys_dagster.catalogue import STAR_TABLES, WAREHOUSE_TABLES, Kind, StarTable


def past(star: StarTable) -> StarTable:
    """The table of a dimension's superseded versions. A value can be missing in it, because a batch
    can be older than a column."""
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
