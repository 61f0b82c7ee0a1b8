"""Dagster's history in SQLite, made so that it is there in full or not at all.

Dagster makes its databases in place. Two processes that do so at once, as `dagster dev` and
`totesys run` on a fresh clone, break them for good: of four tries with three processes two ended
with "more than one head present". One that is killed meanwhile leaves them half made.
"""

import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from totesys_dagster.dagster_insides import ConfigurableClassData, DagsterSqliteStorage
from totesys_dagster.local import locks


class SqliteStorage(DagsterSqliteStorage):
    """Dagster's own storage; only its first start is another."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        _create(Path(base_dir))
        super().__init__(base_dir, inst_data)

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "SqliteStorage":
        return cls(config_value["base_dir"], inst_data)


def _create(place: Path) -> None:
    """Make the databases under another name and rename them, unless they are there."""
    if place.exists():
        return
    place.parent.mkdir(parents=True, exist_ok=True)
    with locks.exclusive(place.with_name(f"{place.name}.lock")):
        if place.exists():
            return
        new = place.with_name(f"{place.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        DagsterSqliteStorage(str(new)).dispose()
        new.rename(place)
