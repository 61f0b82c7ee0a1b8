"""Restores Dagster's history if it was lost, or if somebody took a batch off the list.

Lake and ledger know what was materialized. A batch is put on the list only after everything about
it is reported, so a batch that is interrupted in between is reported again.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import dagster as dg

from totesys_dagster.catalogue import INGESTION, PROCESSED, STAR_TABLES, WAREHOUSE
from totesys_dagster.ingestion.io_manager import described as raw_described
from totesys_dagster.lake.manifest import Manifest, batch_key
from totesys_dagster.lake.receipt import read_receipt, touched_stars
from totesys_dagster.metadata import BATCHES, asset_key
from totesys_dagster.orchestration.leaving import PARTITIONED
from totesys_dagster.orchestration.listed import Listed, put_on_list, sequence_of
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.processed.io_manager import described as star_described
from totesys_dagster.resources import Lake
from totesys_dagster.runs.history import put_in_order
from totesys_dagster.runs.unfinished import PARTITION_TAG, unfinished
from totesys_dagster.warehouse import ledger
from totesys_dagster.warehouse.assets import described as loads_described
from totesys_dagster.warehouse.loads import Loads

# After this many seconds, the rest waits for the next time.
SECONDS = 90

# Marks the materializations that this module reports.
REPORTED_FROM = "reported from"

Known = dict[dg.AssetKey, set[str]]


@dataclass
class Returned:
    """How many batches and tables were reported."""

    batches: int = 0
    tables: int = 0


def bring_back(
    context: dg.OpExecutionContext,
    listed: Listed,
    lake: Lake,
    connection: Connection,
    names: Names,
) -> Returned:
    """Report what Dagster lacks: of the batches that it should list, newest first, and of the
    warehouse's tables."""
    instance, returned, until = context.instance, Returned(), time.monotonic() + SECONDS
    known = {key: set(instance.get_materialized_partitions(key)) for key in PARTITIONED}
    for batch in _lacking(instance, listed, known):
        if time.monotonic() > until:
            break
        if not unfinished(instance, {PARTITION_TAG: batch}):
            returned.batches += _report_batch(context, lake, batch, known)
    put_in_order(instance, str(BATCHES.name))
    _show_newest(context)
    returned.tables = _report_warehouse(context, lake, connection, names)
    return returned


def _lacking(instance: dg.DagsterInstance, listed: Listed, known: Known) -> Iterator[str]:
    """The batches that are not on the list, or for which Dagster knows of nothing captured or of
    nothing processed. To find partial gaps, all manifests would have to be read."""
    on_list = set(instance.get_dynamic_partitions(str(BATCHES.name)))
    zones = [
        set[str]().union(*(batches for key, batches in known.items() if key.path[0] == zone))
        for zone in (INGESTION, PROCESSED)
    ]
    for sequence in sorted(listed.young, reverse=True):
        batch = batch_key(sequence)
        if not all(batch in batches for batches in (on_list, *zones)):
            yield batch


def _report_batch(context: dg.OpExecutionContext, lake: Lake, batch: str, known: Known) -> bool:
    """Report what Dagster lacks of a batch, and list it. Returns whether anything was missing."""
    instance, name = context.instance, str(BATCHES.name)
    # Not through the log of the run, which keeps what it has read.
    manifest = lake.log().read(int(batch))
    missing = [
        (key, said)
        for key, said in _materialized(lake, manifest)
        if batch not in known.setdefault(key, set())
    ]
    was_listed = instance.has_dynamic_partition(name, batch)
    if missing and was_listed:
        instance.delete_dynamic_partition(name, batch)
    for key, said in missing:
        metadata = {**said, REPORTED_FROM: "the lake"}
        context.log_event(dg.AssetMaterialization(key, partition=batch, metadata=metadata))
    if missing or not was_listed:
        put_on_list(instance, batch)
    return bool(missing) or not was_listed


def _materialized(
    lake: Lake, manifest: Manifest
) -> Iterator[tuple[dg.AssetKey, Mapping[str, Any]]]:
    """The tables of both zones that a batch materialized, with the metadata of each."""
    raw, processed, log = lake.ingestion(), lake.processed(), lake.log()
    for table, entry in manifest.tables.items():
        if entry.read != "none" or entry.deleted:
            deleted = log.deleted(manifest, table)
            said = raw_described(raw, table, manifest.batch, entry.objects, deleted)
            yield asset_key(INGESTION, table), said
    for star in touched_stars(manifest):
        # None if it was processed by another declaration: processing it again reports it.
        if receipt := read_receipt(processed, star, manifest):
            said = star_described(processed, star, receipt, manifest, log)
            yield asset_key(PROCESSED, star.name), said


def _show_newest(context: dg.OpExecutionContext) -> None:
    """Report a table's newest batch again if an older one was reported after it: the UI shows the
    last report as the table's state."""
    instance = context.instance
    for record in instance.get_asset_records(PARTITIONED):
        key, entry = record.asset_entry.asset_key, record.asset_entry.last_materialization
        last = entry.asset_materialization if entry else None
        if last is None or REPORTED_FROM not in last.metadata:
            continue
        newest = max(filter(sequence_of, instance.get_materialized_partitions(key)))
        if last.partition != newest:
            wanted = dg.AssetRecordsFilter(asset_key=key, asset_partitions=[newest])
            [found] = instance.fetch_materializations(wanted, limit=1).records
            assert found.asset_materialization is not None
            context.log_event(found.asset_materialization)


def _report_warehouse(
    context: dg.OpExecutionContext, lake: Lake, connection: Connection, names: Names
) -> int:
    """Report the last load of each table without one in Dagster. Returns how many."""
    reported, log = 0, lake.log()
    for star, sequence in ledger.last_touched(connection, names).items():
        key = asset_key(WAREHOUSE, star)
        if star not in STAR_TABLES or context.instance.get_latest_materialization_event(key):
            continue
        loads = Loads(last=sequence)
        loads.add(ledger.outcome(connection, names, log.read(sequence)))
        said = loads_described(names, star, loads.tables[star])
        metadata = {**said, REPORTED_FROM: "the ledger"}
        context.log_event(dg.AssetMaterialization(key, metadata=metadata))
        reported += 1
    return reported
