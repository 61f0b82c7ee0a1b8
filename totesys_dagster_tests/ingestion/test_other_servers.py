"""The whole path on an older PostgreSQL, where the system has one."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from totesys_dagster import settings
from totesys_dagster.lake.store import Store
from totesys_dagster.local import postgres, simulator, stack
from totesys_dagster.local.postgres import SUPERUSER, Server
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.operations.verify import verify
from totesys_dagster.postgres import Names, connect
from totesys_dagster.warehouse import audit, schema
from totesys_dagster_tests.conftest import Platform, few_rows
from totesys_dagster_tests.edits import DELETE_ORDER_1, EDIT_ORDER_1, new_sale


def system_binaries() -> Path | None:
    """The programs of the system's own server: where Debian keeps them, else in the path."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("postgres"):
        candidates.append(Path(found).resolve().parent)
    complete = (place for place in candidates if (place / "initdb").exists())
    return next(complete, None)


BINARIES = system_binaries()


@pytest.fixture
def system_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Server:
    """A server of the system's programs; it stops when the session's process ends."""
    if BINARIES is None:
        pytest.skip("the system has no PostgreSQL server besides the wheel's")
    monkeypatch.setenv(postgres.BINARIES, str(BINARIES))
    server = postgres.start(tmp_path / "home", stack.ROLES)
    with psycopg.connect(server.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
        if admin.info.server_version < schema.OLDEST_SERVER:
            pytest.skip("the system's PostgreSQL server is too old for a warehouse")
        stack.create_roles(admin, server)
        for database, owner in (("source", stack.APPLICATION), ("warehouse", stack.LOADER)):
            admin.execute(
                sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(
                    sql.Identifier(database), sql.Identifier(owner)
                )
            )
    return server


@pytest.fixture
def platform_there(
    system_server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Platform]:
    """A platform over a few rows with source and warehouse on that server."""
    server = system_server
    application = psycopg.connect(server.dsn(stack.APPLICATION, "source"), autocommit=True)
    simulator.create_source(application)
    few_rows(application)
    with psycopg.connect(server.dsn(SUPERUSER, "source"), autocommit=True) as admin:
        stack.grant_extractor(admin)
    monkeypatch.setenv(settings.SOURCE_DSN, server.dsn(stack.EXTRACTOR, "source"))
    monkeypatch.setenv(settings.WAREHOUSE_DSN, server.dsn(stack.LOADER, "warehouse"))
    platform = Platform(
        server,
        "source",
        "warehouse",
        application,
        connect(settings.SOURCE_DSN),
        connect(settings.WAREHOUSE_DSN),
        Names("warehouse"),
        Store((tmp_path / "ingestion").as_uri(), settings.INGESTION_URL),
        Store((tmp_path / "processed").as_uri(), settings.PROCESSED_URL),
    )
    schema.migrate(platform.warehouse, platform.names)
    yield platform
    for connection in (platform.application, platform.source, platform.warehouse):
        connection.close()


def test_whole_path_on_the_server_of_the_system(platform_there: Platform) -> None:
    """Every feature that another version could lack: see it work once."""
    platform = platform_there
    loads = [platform.run()]
    platform.application.execute(EDIT_ORDER_1)
    loads.append(platform.run())
    with platform.writer() as late:
        late.execute(new_sale(9))
        late.execute("PREPARE TRANSACTION 'order 9'")
    platform.application.execute(DELETE_ORDER_1)
    loads.append(platform.run())
    platform.application.execute("COMMIT PREPARED 'order 9'")
    loads.append(platform.run())

    assert [loaded and loaded.sequence for loaded in loads] == [1, 2, 3, 4]
    assert all(a.equal for loaded in loads if loaded for a in loaded.audits.values())
    assert platform.rows(
        "SELECT sales_order_id, design_id, batch_seq, is_deleted"
        " FROM fact_sales_order ORDER BY sales_record_id"
    ) == [(1, 1, 1, False), (2, 2, 1, False), (1, 2, 2, False), (1, 2, 3, True), (9, 1, 4, False)]
    assert platform.rows(
        "SELECT payment_amount FROM current_fact_payment WHERE payment_id = 9"
    ) == [(Decimal("4200.00"),)]
    assert audit.request_full_reads(platform.warehouse, platform.names, platform.ingestion) == []
    assert verify(platform.warehouse, platform.names, platform.ingestion, platform.processed).passed
    rebuilt = rebuild(
        platform.warehouse,
        platform.names,
        platform.ingestion,
        platform.processed,
        quarantine_limit=0,
        progress=lambda _done, _all: None,
    )
    assert rebuilt.different is not None
    assert set(rebuilt.different.values()) == {0}
