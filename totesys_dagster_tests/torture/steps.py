"""The protocol's steps, as places where a process of the platform can be made to kill itself.

`arm` wraps functions of the platform in a process under torture. A process that comes to a step
for which an order lies in the directory takes it (only one process can) and dies by SIGKILL.
"""

from __future__ import annotations

import functools
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import totesys_dagster.warehouse.assets as warehouse_assets
from totesys_dagster.ingestion import capture, digests
from totesys_dagster.lake.store import Store
from totesys_dagster.orchestration import audits
from totesys_dagster.warehouse import audit, copy, load, table_load

ORDERS = "TORTURE_ORDERS"  # the directory of the orders


def _zone(store: Store) -> str:
    return "capture" if "INGESTION" in store.setting else "process"


def _object_step(when: str, store: Store, key: str, *_: object) -> str:
    """Which step a put is: by its zone, and by whether it writes a part or ends a batch's step."""
    kind = key.partition("/")[0]
    if kind == "manifests":
        return f"capture: {when} the manifest"
    if kind == "audits":
        return f"audit: {when} the audit object"
    if kind == "requests":
        return f"heal: {when} a request"
    if kind == "receipts":
        return f"process: {when} a receipt"
    return f"{_zone(store)}: {when} an object"


# Each step by name; those of objects are distinguished by the object's key.
STEPS = (
    "capture: snapshot open",
    "capture: before an object",
    "capture: after an object",
    "capture: before the manifest",
    "capture: after the manifest",
    "process: before an object",
    "process: after an object",
    "process: before a receipt",
    "process: after a receipt",
    "load: after the ledger",
    "load: in the middle of COPY",
    "load: between two tables",
    "load: before the commit",
    "load: after the commit",
    "load: before it is recorded",
    "audit: before the audit object",
    "audit: after the audit object",
    "audit: before the commit",
    "audit: after the commit",
    "heal: before a request",
    "heal: after a request",
    "heal: after a digest without keys",
)


def stage(step: str) -> str:
    """The stage of a step: capture, process, load, audit, or heal."""
    return step.partition(":")[0]


def order(directory: Path, step: str) -> Path:
    """The file that orders a death at a step."""
    return directory / f"order {step}"


def die_if_ordered(step: str) -> None:
    """Kill this process if there is an order for this step."""
    directory = Path(os.environ[ORDERS])
    try:
        order(directory, step).rename(directory / f"taken-{os.getpid()}")
    except FileNotFoundError:
        return
    with (directory / "deaths").open("a") as deaths:
        deaths.write(f"{time.time()}\t{step}\n")
    os.kill(os.getpid(), signal.SIGKILL)


def _around(
    owner: Any,
    name: str,
    before: Callable[..., str] | None = None,
    after: Callable[..., str] | None = None,
) -> None:
    function = getattr(owner, name)

    @functools.wraps(function)
    def wrapped(*arguments: Any, **options: Any) -> Any:
        if before:
            die_if_ordered(before(*arguments))
        result = function(*arguments, **options)
        if after:
            die_if_ordered(after(*arguments))
        return result

    setattr(owner, name, wrapped)


def arm() -> None:
    """Wrap the platform's functions in this process."""

    def named(step: str) -> Callable[..., str]:
        return lambda *_: step

    _around(capture.Capture, "reads", before=named("capture: snapshot open"))
    _around(
        Store,
        "put",
        before=functools.partial(_object_step, "before"),
        after=functools.partial(_object_step, "after"),
    )
    _around(load, "write_ledger", after=named("load: after the ledger"))
    _around(copy, "_batches", after=named("load: in the middle of COPY"))
    _around(table_load.TableLoader, "run", after=named("load: between two tables"))
    _around(audit, "audit_batch", after=named("load: before the commit"))
    _around(audit, "audit_source", after=named("audit: before the commit"))
    _around(audits, "request_healing", before=named("audit: after the commit"))
    _around(digests, "without", after=named("heal: after a digest without keys"))
    _around(warehouse_assets, "load_batch", after=named("load: after the commit"))
    _around(warehouse_assets, "_report", before=named("load: before it is recorded"))
