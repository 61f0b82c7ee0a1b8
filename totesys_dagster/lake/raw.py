"""A source table of a committed batch, read back from the ingestion zone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from totesys_dagster.catalogue import SourceTable
from totesys_dagster.lake.manifest import Manifest, TableEntry
from totesys_dagster.lake.parts import read_lines
from totesys_dagster.lake.schemas import columns_of
from totesys_dagster.lake.store import Store


@dataclass(frozen=True)
class RawTable:
    """The rows of `table` in batch `manifest`: JSON Lines in parts of bounded size."""

    table: SourceTable
    manifest: Manifest
    store: Store

    @property
    def entry(self) -> TableEntry:
        return self.manifest.tables[self.table.name]

    @property
    def columns(self) -> frozenset[str]:
        """The names of the columns that the table had then. Raises LakeError."""
        return columns_of(self.store, self.table.name, self.entry.schema_sha256)

    def parts(self) -> Iterator[bytes]:
        """The rows, part by part. Raises LakeError if a part is not what was written."""
        for entry in self.entry.objects:
            yield read_lines(self.store, entry)
