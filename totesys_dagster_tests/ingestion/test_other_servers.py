"""The whole path on other versions of PostgreSQL: the system's, and those that are named.

OTHER_POSTGRES_BIN names directories with the programs of further servers, separated by colons.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg import sql

from totesys_dagster import settings
from totesys_dagster.lake.store import Store
from totesys_dagster.local import server as postgres
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.operations.verify import verify
from totesys_dagster.postgres.sessions import Names, transaction
from totesys_dagster.warehouse import healing, report_plan, reports, schema
from totesys_dagster_tests.conftest import Platform, few_rows
from totesys_dagster_tests.edits import DELETE_ORDER_1, EDIT_ORDER_1, new_sale
from totesys_simulator import simulator


def other_binaries() -> list[Path]:
    """The programs of the system's own server, if it has one, and of those that are named."""
    candidates = sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if found := shutil.which("postgres"):
        candidates.append(Path(found).resolve().parent)
    system = [place for place in candidates if (place / "initdb").exists()][:1]
    named = os.environ.get("OTHER_POSTGRES_BIN", "").split(":")
    return [*system, *(Path(place) for place in named if place)]


def any_binaries() -> list[Any]:
    """None for the embedded server, and the programs of others, whose tests are long."""
    return [None, *(pytest.param(place, marks=pytest.mark.long) for place in other_binaries())]


@pytest.fixture(params=other_binaries() or [None], ids=str)
def other_server(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Server:
    """A server of other programs; it stops when the session's process ends."""
    if request.param is None:
        pytest.skip("the system has no PostgreSQL server besides the wheel's")
    monkeypatch.setenv(settings.POSTGRES_BIN, str(request.param))
    server = postgres.start(tmp_path / "home", stack.ROLES)
    with psycopg.connect(server.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
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
    other_server: Server,
    server: Server,
    new_database: Callable[..., str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Platform]:
    """A platform over a few rows with source and warehouse on that server.

    Of a version that is too old for a warehouse, the warehouse is on the embedded one.
    """
    application = psycopg.connect(other_server.dsn(stack.APPLICATION, "source"), autocommit=True)
    simulator.create_source(application)
    few_rows(application)
    with psycopg.connect(other_server.dsn(SUPERUSER, "source"), autocommit=True) as admin:
        stack.grant_extractor(admin)
    warehouse = other_server.dsn(stack.LOADER, "warehouse")
    if application.info.server_version < schema.OLDEST_SERVER:
        warehouse = server.dsn(stack.LOADER, new_database(stack.LOADER))
    monkeypatch.setenv(settings.SOURCE_DSN, other_server.dsn(stack.EXTRACTOR, "source"))
    monkeypatch.setenv(settings.WAREHOUSE_DSN, warehouse)
    platform = Platform(
        other_server,
        "source",
        "warehouse",
        Names("warehouse"),
        Store((tmp_path / "ingestion").as_uri(), settings.INGESTION_URL),
        Store((tmp_path / "processed").as_uri(), settings.PROCESSED_URL),
    )
    platform.application = application
    schema.migrate(platform.warehouse, platform.names)
    yield platform
    platform.close()


def test_whole_path_on_another_version(platform_there: Platform) -> None:
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
    platform.application.execute("UPDATE staff SET department_id = 2 WHERE staff_id = 1")
    loads.append(platform.run())

    assert [loaded and loaded.sequence for loaded in loads] == [1, 2, 3, 4, 5]
    assert all(a.equal for loaded in loads if loaded for a in loaded.audits.values())
    assert platform.rows(
        "SELECT sales_order_id, design_id, batch_seq, is_deleted"
        " FROM fact_sales_order ORDER BY sales_record_id"
    ) == [(1, 1, 1, False), (2, 2, 1, False), (1, 2, 2, False), (1, 2, 3, True), (9, 1, 4, False)]
    assert platform.rows(
        "SELECT payment_amount FROM current_fact_payment WHERE payment_id = 9"
    ) == [(Decimal("4200.00"),)]
    assert platform.rows(
        "SELECT department_name, batch_seq, valid_to IS NULL FROM history_dim_staff"
        " WHERE staff_id = 1 ORDER BY version"
    ) == [("Sales", 1, False), ("Purchasing", 5, True)]
    assert healing.request_healing(platform.warehouse, platform.names, platform.ingestion) == []
    assert verify(platform.warehouse, platform.names, platform.ingestion, platform.processed).passed
    rebuilt = rebuild(
        platform.warehouse,
        platform.names,
        platform.ingestion,
        platform.processed,
        quarantine_limit=0,
    )
    assert rebuilt.different is not None
    assert set(rebuilt.different.values()) == {0}


@pytest.mark.long
def test_reports_on_another_version(platform_there: Platform) -> None:
    """Create them, query them, and re-create them when a column of a table below changes."""
    platform = platform_there
    platform.run()
    platform.application.execute(EDIT_ORDER_1)
    platform.run()
    platform.application.execute(DELETE_ORDER_1)
    platform.run()
    with transaction(platform.warehouse):
        made = report_plan.find_reports(platform.warehouse, platform.names)

    assert {name: one.signature for name, one in made.items()} == {
        report.name: report.signature for report in reports.declared()
    }
    assert platform.rows("SELECT currency_code, revenue FROM reports.revenue_by_currency") == [
        ("GBP", Decimal("2102.10"))
    ]
    assert platform.rows("SELECT direction, payments FROM reports.overdue('2022-11-05')") == [
        ("receivable", 1)
    ]
    assert platform.rows("SELECT design_id, is_deleted FROM reports.order_history(1)") == [
        (1, False),
        (2, False),
        (2, True),
    ]
    assert platform.rows("SELECT changed FROM reports.order_amendments ORDER BY batch_seq") == [
        ("design_id",),
        ("is_deleted",),
    ]
    assert platform.rows("SELECT sales_order_id FROM reports.orders_as_of(now())") == [(2,)]
    platform.warehouse.execute("DROP VIEW warehouse.current_dim_design CASCADE")
    platform.warehouse.execute("DELETE FROM warehouse_bookkeeping.declaration")
    schema.migrate(platform.warehouse, platform.names)
    assert platform.rows("SELECT design_id FROM reports.designs_never_sold") == [(1,)]
