"""Dagster's history in both of its databases: of what left, nothing is left behind."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as db
import yaml
from dagster._core.storage.partition_status_cache import get_and_update_asset_status_cache_value
from psycopg.conninfo import conninfo_to_dict

from totesys_dagster import dagster_insides as insides
from totesys_dagster import settings
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster.local import stack
from totesys_dagster.local.server import Server
from totesys_dagster.metadata import BATCH_TAG, BATCHES, asset_key
from totesys_dagster_tests.landing import by_night
from totesys_dagster_tests.orchestra import Orchestra
from totesys_dagster_tests.orchestration.histories import (
    keep,
    latest,
    launched,
    load_by_hand,
    runs,
    take_batches,
)

ROOT = Path(settings.__file__).parents[1]
ORDERS = asset_key("processed", "fact_sales_order")


def sqlite(tmp_path: Path) -> dict[str, Any]:
    """The storage of dagster.yaml."""
    storage: dict[str, Any] = yaml.safe_load((ROOT / "dagster.yaml").read_text())["storage"]
    storage["custom"]["config"]["base_dir"] = str(tmp_path / "storage")
    return storage


def postgres(server: Server, database: str) -> dict[str, Any]:
    """The storage of deploy/dagster.yaml."""
    dsn = conninfo_to_dict(server.dsn(stack.LOADER, database))
    return {
        "postgres": {
            "postgres_db": {
                "scheme": "postgresql+psycopg2",
                "hostname": dsn["host"],
                "port": int(str(dsn["port"])),
                "db_name": database,
                "username": dsn["user"],
                "password": dsn["password"],
            }
        }
    }


@pytest.fixture(params=by_night(["sqlite", "postgres"], but=[0]))
def stored(
    request: pytest.FixtureRequest,
    orchestra: Orchestra,
    server: Server,
    new_database: Callable[..., str],
    tmp_path: Path,
) -> Iterator[Orchestra]:
    """The orchestra, with its history in a database."""
    storage = (
        sqlite(tmp_path)
        if request.param == "sqlite"
        else postgres(server, new_database(stack.LOADER))
    )
    with dg.DagsterInstance.local_temp(str(tmp_path), overrides={"storage": storage}) as instance:
        orchestra.instance = instance
        yield orchestra


def rows_of_run(instance: dg.DagsterInstance, run_id: str) -> dict[str, int]:
    """How many rows of Dagster's tables are of a run, by table."""
    events = instance.event_log_storage
    assert isinstance(events, insides.SqlEventLogStorage)
    with events.index_connection() as connection:
        found = {
            table: connection.execute(
                db.text(f"SELECT count(*) FROM {table} WHERE run_id = :run"), {"run": run_id}
            ).scalar_one()
            for table in ("event_logs", "asset_check_executions")
        }
        # Of no run: whose event is gone.
        found["asset_event_tags"] = connection.execute(
            db.text(
                "SELECT count(*) FROM asset_event_tags"
                " WHERE event_id NOT IN (SELECT id FROM event_logs)"
            )
        ).scalar_one()
    return found | {"runs": len(instance.get_runs(dg.RunsFilter(run_ids=[run_id])))}


def counted_by_ui(instance: dg.DagsterInstance) -> set[str]:
    """The batches of an asset that the UI counts as materialized; Dagster keeps them with it."""
    status = get_and_update_asset_status_cache_value(instance, ORDERS, BATCHES)
    assert status is not None
    return set(status.deserialize_materialized_partition_subsets(BATCHES).get_partition_keys())


def test_nothing_of_a_run_that_left_is_left_behind(
    stored: Orchestra, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(settings.LISTED_BATCHES, "1")
    stored.platform.first()
    second, third = take_batches(stored, 2)
    [gone] = stored.instance.get_runs(dg.RunsFilter(tags={BATCH_TAG: second}))
    before = latest(stored.instance)
    assert counted_by_ui(stored.instance) == {second, third}
    logs = list(tmp_path.rglob(f"{gone.run_id}/compute_logs"))
    assert logs
    assert rows_of_run(stored.instance, gone.run_id)["asset_check_executions"] > 0

    assert keep(stored).success

    assert stored.partitions() == [third]
    assert stored.instance.get_materialized_partitions(ORDERS) == {third}
    assert counted_by_ui(stored.instance) == {third}
    assert set(rows_of_run(stored.instance, gone.run_id).values()) == {0}
    assert not list(tmp_path.rglob(f"{gone.run_id}/compute_logs"))
    assert before.items() <= latest(stored.instance).items()


@pytest.mark.long
def test_batch_returns_at_its_place(stored: Orchestra) -> None:
    keys = load_by_hand(stored, 3)
    stored.instance.delete_dynamic_partition("batch", keys[1])

    assert keep(stored).success

    assert stored.partitions() == keys
    stored.instance.add_dynamic_partitions("batch", [batch_key(4)])
    assert stored.partitions() == [*keys, batch_key(4)]


@pytest.mark.long
def test_history_that_is_kept_twice_at_once_is_kept(
    stored: Orchestra, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = load_by_hand(stored, 6)
    for key in keys:
        launched(stored, key)
    stays = launched(stored, keys[-1])
    stored.instance.delete_dynamic_partition("batch", keys[4])
    monkeypatch.setenv(settings.LISTED_BATCHES, "3")
    done: list[bool] = []
    both = [threading.Thread(target=lambda: done.append(keep(stored).success)) for _ in range(2)]
    for thread in both:
        thread.start()
    for thread in both:
        thread.join()

    assert done == [True, True]
    assert stored.partitions() == keys[3:]
    assert len(runs(stored)) == 4
    assert stays in runs(stored)
    assert stored.instance.get_materialized_partitions(ORDERS) == set(keys[3:])
