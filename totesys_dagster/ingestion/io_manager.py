"""The I/O manager that stores raw tables in the ingestion zone.

It only wraps `TableRead.write` and `RawTable`: names, hashes and the rule that nothing is
overwritten live there, and are the same without Dagster.
"""

import dagster as dg

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.ingestion.capture import TableRead
from totesys_dagster.lake import key_ranges
from totesys_dagster.lake.parts import part_stem
from totesys_dagster.lake.raw import RawTable
from totesys_dagster.resources import Lake, clear_failures


class JsonLinesIOManager(dg.ConfigurableIOManager):
    """Raw tables as JSON Lines in the ingestion zone."""

    lake: dg.ResourceDependency[Lake]

    def handle_output(self, context: dg.OutputContext, obj: TableRead) -> None:
        store = self.lake.ingestion()
        with clear_failures():
            obj.write(store)
        folder = part_stem("rows", obj.table, obj.batch).rpartition("/")[0]
        context.add_output_metadata(
            {
                "dagster/partition_row_count": obj.rows,
                "dagster/uri": store.uri(folder),
                "deleted keys": key_ranges.count(obj.deleted_keys),
                "objects": len(obj.objects),
                "bytes": obj.bytes,
            }
        )

    def load_input(self, context: dg.InputContext) -> RawTable:
        table = SOURCE_TABLES[context.asset_key.path[-1]]
        with clear_failures():
            store = self.lake.ingestion()
            return RawTable(table, self.lake.log().find(context.partition_key), store)
