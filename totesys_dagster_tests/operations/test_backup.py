"""A backup of the warehouse is a checkpoint: restored, it goes on with the batches after."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

import psycopg
import pytest

from totesys_dagster import settings
from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.local import stack
from totesys_dagster.local.programs import find_binaries
from totesys_dagster.postgres.sessions import connect
from totesys_dagster.warehouse import ledger
from totesys_dagster.warehouse.load import load_batch
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import DELETE_ORDER_1, EDIT_ORDER_1


def dump(platform: Platform) -> bytes:
    """The warehouse as pg_dump writes it."""
    command = [find_binaries() / "pg_dump", "--no-owner", "--dbname", platform.warehouse_dsn]
    return subprocess.run(command, check=True, capture_output=True).stdout


def restore(dsn: str, backup: bytes) -> None:
    command = [find_binaries() / "psql", "-q", "-v", "ON_ERROR_STOP=1", "--dbname", dsn]
    subprocess.run(command, check=True, input=backup, stdout=subprocess.DEVNULL)


def test_restored_backup_goes_on_with_the_batches_that_it_lacks(
    platform: Platform,
    new_database: Callable[..., str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    platform.first()
    platform.application.execute(EDIT_ORDER_1)
    platform.run()
    backup = dump(platform)
    platform.application.execute(DELETE_ORDER_1)
    platform.run()

    dsn = platform.server.dsn(stack.LOADER, new_database(stack.LOADER))
    restore(dsn, backup)
    monkeypatch.setenv(settings.WAREHOUSE_DSN, dsn)
    with connect(settings.WAREHOUSE_DSN) as restored:
        log = ManifestLog(platform.ingestion)
        held = ledger.check_log(restored, platform.names, log)
        for manifest in log.after(held):
            load_batch(
                restored,
                platform.names,
                manifest,
                platform.ingestion,
                platform.processed,
                quarantine_limit=0,
            )
        same = {
            star: rows(restored, star) == rows(platform.warehouse, star) for star in STAR_TABLES
        }

    assert held == 2
    assert same == dict.fromkeys(STAR_TABLES, True)


def rows(connection: psycopg.Connection, star: str) -> list[tuple[object, ...]]:
    query = f"SELECT * FROM warehouse.{star} ORDER BY 1"
    return connection.execute(query).fetchall()  # type: ignore[arg-type]
