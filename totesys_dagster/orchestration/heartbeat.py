"""The sensor that reports what no run materializes: the heartbeat, the log of the lake, and the
reports. It launches no runs."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import Any

import dagster as dg
from pydantic import BaseModel

from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.orchestration import overview
from totesys_dagster.orchestration.checks import LOG, VERIFICATION
from totesys_dagster.orchestration.overview import EQUAL, HEARTBEAT
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.resources import Lake, Warehouse
from totesys_dagster.warehouse import report_assets, schema
from totesys_dagster.warehouse.standing import standings

# How many manifests one tick reads to count the lake's bytes; the next tick continues.
MANIFESTS = 500

Event = dg.AssetMaterialization | dg.AssetObservation | dg.AssetCheckEvaluation


class Counted(BaseModel):
    """The cursor: up to which batch bytes are counted, and which reports have been reported."""

    batches: int = 0
    bytes: int = 0
    reports: str = ""


def report(
    context: dg.SensorEvaluationContext, lake: Lake, warehouse: Warehouse
) -> dg.SensorResult | dg.SkipReason:
    """What is new since the last report. Raises TotesysError."""
    instance, log, counted = context.instance, lake.log(), _remembered(context.cursor)
    _count(log, counted)
    with warehouse.connect() as connection:
        events = [*_beat(instance, connection, warehouse.names(), lake)]
        has_reports = schema.is_up_to_date(connection, warehouse.names())
    head = log.head()
    if events and head:
        events += _lake(instance, head, counted)
    if head and has_reports and counted.reports != report_assets.DEFINITIONS:
        events += report_assets.materializations()
        counted.reports = report_assets.DEFINITIONS
    context.update_cursor(counted.model_dump_json())
    return dg.SensorResult(asset_events=events) if events else dg.SkipReason("Nothing is news.")


def _beat(
    instance: dg.DagsterInstance, connection: Connection, names: Names, lake: Lake
) -> Iterator[Event]:
    standing = standings(connection, names)
    if not overview.is_due(last_of(instance, HEARTBEAT.key), standing):
        return
    if beat := overview.beat(connection, names, lake, standing):
        metadata = beat.metadata(switched_off(instance))
        yield dg.AssetMaterialization(HEARTBEAT.key, metadata=metadata)
        said = overview.verdict(standing)
        yield dg.AssetCheckEvaluation(asset_key=HEARTBEAT.key, check_name=EQUAL, **said)


def last_of(instance: dg.DagsterInstance, key: dg.AssetKey) -> dg.AssetMaterialization | None:
    """The last materialization of an asset."""
    entry = instance.get_latest_materialization_event(key)
    return entry.asset_materialization if entry else None


def switched_off(instance: dg.DagsterInstance) -> list[str]:
    """The sensors and schedules that somebody switched off, if the instance records that."""
    states = instance.all_instigator_state() if instance.schedule_storage else ()
    return sorted(one.name for one in states if one.status.value == "STOPPED")


def _count(log: ManifestLog, counted: Counted) -> None:
    """Count the bytes of the batches committed since."""
    if counted.batches > log.end():  # another lake
        counted.batches = counted.bytes = 0
    for manifest in itertools.islice(log.after(counted.batches), MANIFESTS):
        counted.batches, counted.bytes = manifest.sequence, counted.bytes + manifest.bytes


def _lake(
    instance: dg.DagsterInstance, head: Manifest, counted: Counted
) -> Iterator[dg.AssetMaterialization]:
    last = last_of(instance, LOG.key)
    before: Mapping[str, Any] = last.metadata if last else {}
    whole = {"bytes captured": counted.bytes} if counted.batches == head.sequence else {}
    yield dg.AssetMaterialization(
        LOG.key,
        metadata={
            "head": head.batch,
            "committed as of": dg.MetadataValue.timestamp(head.observed_at),
            "hash of the head": head.sha256[:16],
            "batches": head.sequence,
            **whole,
            VERIFICATION: before.get(VERIFICATION, "not yet: launch `verify_lake`"),
        },
    )


def _remembered(cursor: str | None) -> Counted:
    """The last report's cursor; a new one if a person or another release has set another."""
    with suppress(ValueError):
        return Counted.model_validate_json(cursor or "")
    return Counted()
