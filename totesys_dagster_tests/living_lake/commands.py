"""Runs commands of `totesys` one after the other, in one process, and prints what each gave.

    python commands.py '["run", "--json"]' '["status", "--json"]'

By its path, so that the platform is that of the current directory, whose catalogue a test has
changed. `["sensors"]` is no command of `totesys`: it ticks the sensors and does what they ask for,
until they ask for nothing any more.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path.cwd()))

MOST_TICKS = 12


def command(arguments: list[str]) -> dict[str, Any]:
    """Run a command as a person would."""
    from click.testing import CliRunner

    from totesys_dagster.cli import main

    result = CliRunner().invoke(main, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return {"code": result.exit_code, "out": result.stdout, "err": result.stderr}


def sensors() -> dict[str, Any]:
    """Tick the sensors in turn, and run what they ask for; the jobs that ran, and what failed."""
    import dagster as dg

    from totesys_dagster.definitions import defs
    from totesys_dagster.resources import Lake

    ran, failed = [], []
    with tempfile.TemporaryDirectory() as home, dg.DagsterInstance.local_temp(home) as instance:
        # As the Dagster does that took them: one without them would first bring its history back.
        batches = [manifest.batch for manifest in Lake().log().after(0)]
        instance.add_dynamic_partitions("batch", batches)
        for _ in range(MOST_TICKS):
            asked = 0
            for name in ("source_changes", "new_batches"):
                for request in _tick(instance, defs.resolve_sensor_def(name)):
                    asked += 1
                    result = defs.resolve_job_def(str(request.job_name)).execute_in_process(
                        instance=instance,
                        partition_key=request.partition_key,
                        asset_selection=request.asset_selection,
                        tags=dict(request.tags),
                        raise_on_error=False,
                    )
                    ran.append(request.job_name)
                    if not result.success:
                        failed.append(str(request.job_name))
            if not asked:
                break
    return {"code": len(failed), "out": json.dumps(ran), "err": json.dumps(failed)}


def _tick(instance: Any, sensor: Any) -> list[Any]:
    import dagster as dg

    from totesys_dagster.resources import Lake, SourceDatabase, Warehouse

    resources = {"source": SourceDatabase(), "lake": Lake(), "warehouse": Warehouse()}
    context = dg.build_sensor_context(
        instance=instance,
        resources={name: resources[name] for name in sensor.required_resource_keys},
    )
    answer = sensor(context)
    if not isinstance(answer, dg.SensorResult):
        return []
    for request in answer.dynamic_partitions_requests or []:
        if isinstance(request, dg.AddDynamicPartitionsRequest):
            instance.add_dynamic_partitions(request.partitions_def_name, request.partition_keys)
        else:
            for key in request.partition_keys:
                instance.delete_dynamic_partition(request.partitions_def_name, key)
    return list(answer.run_requests or [])


if __name__ == "__main__":
    asked = [json.loads(argument) for argument in sys.argv[1:]]
    given = [sensors() if one == ["sensors"] else command(one) for one in asked]
    sys.stdout = sys.__stdout__
    print("\n" + json.dumps(given))
