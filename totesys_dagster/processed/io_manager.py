"""The I/O manager that stores star tables in the processed zone.

It only wraps `StarRows.write` and the readers, which work the same without Dagster.
"""

from typing import TYPE_CHECKING, Any

import dagster as dg
import pyarrow as pa

from totesys_dagster.catalogue import STAR_TABLES, StarTable, revision
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.parts import part_stem
from totesys_dagster.lake.receipt import ProcessedTable, Receipt, read_star
from totesys_dagster.lake.store import Store
from totesys_dagster.metadata import pii_columns, preview
from totesys_dagster.processed.process import StarRows
from totesys_dagster.resources import Lake, clear_failures

if TYPE_CHECKING:
    import pandas as pd


def described(
    store: Store, star: StarTable, receipt: Receipt, manifest: Manifest, log: ManifestLog
) -> dict[str, Any]:
    """The metadata of the materialization of a batch's table, except its first rows."""
    folder = part_stem("rows", f"{star.name}/{revision(star)}", receipt.batch)
    return {
        "dagster/partition_row_count": receipt.rows,
        "dagster/uri": store.uri(folder.rpartition("/")[0]),
        "deleted keys": log.deleted(manifest, star.base) if star.base else 0,
        "quarantined rows": receipt.quarantined,
        "bytes": sum(entry.bytes for entry in receipt.objects),
    }


class ParquetIOManager(dg.ConfigurableIOManager):
    """Star tables as Parquet in the processed zone.

    An input annotated `pandas.DataFrame` gets Arrow types, one annotated `ProcessedTable` the parts
    of one batch to read, any other a `pyarrow.Table`. The rows of several batches are concatenated
    in the order of the log.
    """

    lake: dg.ResourceDependency[Lake]

    def handle_output(self, context: dg.OutputContext, obj: StarRows) -> None:
        with clear_failures():
            store = self.lake.processed()
            receipt = obj.write(store)
            first = read_star(store, obj.star, receipt.objects[0]) if receipt.objects else None
            metadata = described(store, obj.star, receipt, obj.manifest, self.lake.log())
        if first is not None:
            metadata["preview"] = preview(first, pii_columns(obj.star))
        context.add_output_metadata(metadata)

    def load_input(self, context: dg.InputContext) -> "pa.Table | pd.DataFrame | ProcessedTable":
        star, wanted = STAR_TABLES[context.asset_key.path[-1]], context.dagster_type.typing_type
        with clear_failures():
            log, store = self.lake.log(), self.lake.processed()
            if wanted is ProcessedTable:
                return ProcessedTable(star, self.lake.batch_of(context), store)
            manifests = [log.find(batch) for batch in context.asset_partition_keys]
            manifests.sort(key=lambda manifest: manifest.sequence)
            batches = [ProcessedTable(star, manifest, store) for manifest in manifests]
            parts = [part for batch in batches for part in batch.parts()]

        import pandas as pd  # only now: most runs never load a frame

        table = pa.concat_tables([star.arrow_schema.empty_table(), *parts])
        return table.to_pandas(types_mapper=pd.ArrowDtype) if wanted is pd.DataFrame else table
