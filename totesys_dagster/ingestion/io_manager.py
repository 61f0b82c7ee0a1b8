"""The I/O manager that stores raw tables in the ingestion zone.

It only wraps `TableRead.write` and `RawTable`, which implement names, hashes and the rule that
nothing is overwritten, and work the same without Dagster.
"""

from collections.abc import Sequence
from typing import Any

import dagster as dg

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.ingestion.capture import TableRead
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.parts import part_stem
from totesys_dagster.lake.raw import RawTable
from totesys_dagster.lake.store import Store
from totesys_dagster.resources import Lake, clear_failures


def write(read: TableRead, store: Store) -> dict[str, Any]:
    """Write a table of a batch and return the metadata of its materialization."""
    with clear_failures():
        read.write(store)
    return described(store, read.table, read.batch, read.objects, read.deleted)


def described(
    store: Store, table: str, batch: str, objects: Sequence[ObjectEntry], deleted: int
) -> dict[str, Any]:
    """The metadata of the materialization of a table of a batch."""
    return {
        "dagster/partition_row_count": sum(entry.rows for entry in objects),
        "dagster/uri": store.uri(part_stem("rows", table, batch).rpartition("/")[0]),
        "deleted keys": deleted,
        "objects": len(objects),
        "bytes": sum(entry.bytes for entry in objects),
    }


class JsonLinesIOManager(dg.ConfigurableIOManager):
    """Raw tables as JSON Lines in the ingestion zone."""

    lake: dg.ResourceDependency[Lake]

    def handle_output(self, context: dg.OutputContext, obj: TableRead | RawTable) -> None:
        with clear_failures():
            store = self.lake.ingestion()
        if isinstance(obj, RawTable):  # of a batch that was captured before
            name, batch, entry = obj.table.name, obj.manifest.batch, obj.entry
            deleted = self.lake.log().deleted(obj.manifest, name)
            said = described(store, name, batch, entry.objects, deleted)
        else:
            said = write(obj, store)
        context.add_output_metadata(said)

    def load_input(self, context: dg.InputContext) -> RawTable:
        table = SOURCE_TABLES[context.asset_key.path[-1]]
        with clear_failures():
            store = self.lake.ingestion()
            return RawTable(table, self.lake.batch_of(context), store)
