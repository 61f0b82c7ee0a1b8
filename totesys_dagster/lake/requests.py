"""Requests for a full read of a table, as objects that are written once.

An audit that finds the warehouse unequal to the source puts one; the next capture reads the table
in full. A request is answered by any later batch that did so, which its manifest says.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.store import Store

_PREFIX = "requests/full-read"
_KEY = re.compile(rf"{_PREFIX}/(\d+)/(\w+)\.json")


def put(store: Store, table: str, sequence: int) -> None:
    """Ask that a batch after number `sequence` reads `table` in full. Raises LakeError."""
    data = json.dumps({"table": table, "after": sequence}).encode() + b"\n"
    store.put(f"{_PREFIX}/{sequence:010d}/{table}.json", data)


def pending(store: Store, head: Manifest | None) -> Collection[str]:
    """The tables whose full read was asked for and has not happened. Raises LakeError."""
    if head is None:
        return set()
    found = (_KEY.fullmatch(key) for key in store.list(_PREFIX))
    return {
        match[2]
        for match in found
        if match and match[2] in SOURCE_TABLES and head.tables[match[2]].last_full <= int(match[1])
    }
