"""The UI's metadata of tables, from the catalogue and from rows."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import dagster as dg
import pyarrow as pa

from totesys_dagster import settings
from totesys_dagster.catalogue import INGESTION, PROCESSED, WAREHOUSE, SourceTable, StarTable

BATCHES = dg.DynamicPartitionsDefinition(name="batch")
# The batch of a run that the platform itself launched.
BATCH_TAG = "totesys/batch"

OWNERS = ["team:data-engineering"]
PREVIEW_ROWS = 5


def asset_key(zone: str, table: str) -> dg.AssetKey:
    """The key of a table in a zone, of two parts: `processed/dim_staff`."""
    return dg.AssetKey([zone, table])


def use(text: str) -> str:
    """How a person launches a job, in Markdown."""
    return f"\n\n**To launch it**: {text}"


def remedy(text: str, section: str) -> str:
    """What to do when a check or a job fails, in Markdown, and where to read more."""
    return f"\n\n**When it fails**: {text} See *{section}* in `docs/operations.md`."


def source_definition(table: SourceTable) -> dict[str, Any]:
    """Static metadata of a raw table: its columns as ToteSys declares them."""
    columns = [
        dg.TableColumn(
            column.name,
            column.sql_type,
            description=column.full_description,
            constraints=dg.TableColumnConstraints(
                nullable=column.nullable, unique=column.name == table.key
            ),
        )
        for column in table.columns
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/table_name": f"public.{table.name}",
    }


def star_definition(star: StarTable, zone: str) -> dict[str, Any]:
    """Static metadata of a star table in a zone: its name there, its columns and their lineage."""
    types = star.stored_schema
    columns = [
        dg.TableColumn(
            column.name,
            column.sql_type if zone == WAREHOUSE else str(types.field(column.name).type),
            description=column.description,
            constraints=dg.TableColumnConstraints(
                nullable=column.nullable, unique=zone == PROCESSED and column.name == star.key
            ),
        )
        for column in star.columns
    ]
    return {
        "dagster/column_schema": dg.TableSchema(columns),
        "dagster/column_lineage": dg.TableColumnLineage(_lineage(star, zone)),
        "dagster/table_name": _table_name(star, zone),
    }


def _table_name(star: StarTable, zone: str) -> str:
    return f"{settings.warehouse_schema()}.{star.name}" if zone == WAREHOUSE else star.name


def _lineage(star: StarTable, zone: str) -> Mapping[str, Sequence[dg.TableColumnDep]]:
    if zone == WAREHOUSE:
        upstream = asset_key(PROCESSED, star.name)
        return {name: [dg.TableColumnDep(upstream, name)] for name in star.column_names}
    return {
        column.name: [dg.TableColumnDep(asset_key(INGESTION, t), name) for t, name in column.takes]
        for column in star.columns
        if column.takes
    }


def link(key: dg.AssetKey, text: str) -> str:
    """A link to an asset's page, in Markdown."""
    return f"[{text}](/assets/{'/'.join(key.path)})"


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def preview(rows: pa.Table, pii: Collection[str]) -> dg.MarkdownMetadataValue:
    """The first rows as a Markdown table, without the columns of PII."""
    shown = [name for name in rows.column_names if name not in pii]
    first = rows.select(shown).slice(0, PREVIEW_ROWS).to_pylist()
    cells = ([_cell(row[name]) for name in shown] for row in first)
    return dg.MetadataValue.md(table(shown, cells))


def _cell(value: object) -> str:
    if value is None:
        return ""
    return str(value).replace("|", "\\|").replace("\n", " ")


def pii_columns(star: StarTable) -> set[str]:
    """The columns of a star table that hold PII."""
    return {column.name for column in star.columns if column.pii}
