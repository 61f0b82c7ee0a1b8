"""The warehouse's tables: made once, under any name, and by one process at a time."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator

import psycopg
import pytest

from totesys_dagster import settings
from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.errors import LoadError
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.postgres.sessions import Connection, Names, connect
from totesys_dagster.warehouse import ddl, ledger, schema
from totesys_dagster.warehouse.tables import all_tables
from totesys_dagster_tests import made_up
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1

FILES = ["0001_bookkeeping.sql"]
MADE = [*FILES, *(f"{name} is made" for name in all_tables())]


@pytest.fixture
def dsn(server: Server, new_database: Callable[..., str]) -> str:
    """The loader's way to an empty database that it owns."""
    return server.dsn(stack.LOADER, new_database(stack.LOADER))


@pytest.fixture
def connection(dsn: str) -> Iterator[Connection]:
    """A connection to an empty database as its owner."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        yield connection


def tables(connection: Connection, schema_name: str) -> list[str]:
    query = "SELECT tablename FROM pg_tables WHERE schemaname = %s ORDER BY 1"
    return [name for (name,) in connection.execute(query, [schema_name])]


def test_first_migration_makes_the_tables_and_the_ledger(connection: Connection) -> None:
    assert schema.migrate(connection, Names("warehouse")) == MADE

    assert tables(connection, "warehouse") == sorted(all_tables())
    assert tables(connection, "warehouse_bookkeeping") == [
        "audit",
        "batch",
        "batch_table",
        "declaration",
        "migration",
        "page",
        "page_mail",
        "quarantine",
        "released",
        "report",
        "reporting_currency",
        "star",
    ]


@pytest.mark.long
def test_second_migration_does_nothing(connection: Connection) -> None:
    schema.migrate(connection, Names("warehouse"))
    made_up.insert(connection, STAR_TABLES["dim_currency"])

    assert schema.migrate(connection, Names("warehouse")) == []
    assert connection.execute("SELECT count(*) FROM warehouse.dim_currency").fetchone() == (1,)


def test_migration_that_fails_leaves_nothing(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The last statements are of a role that there is not."""
    monkeypatch.setattr(schema, "_role_exists", lambda *_: True)
    monkeypatch.setattr(ddl, "READER", "nobody_of_that_name")
    monkeypatch.setattr(schema, "_hash", schema._hash.__wrapped__)
    with pytest.raises(
        LoadError, match="PostgreSQL stopped the creation of the warehouse's tables"
    ):
        schema.migrate(connection, Names("warehouse"))

    assert tables(connection, "warehouse_bookkeeping") == []


def test_two_processes_that_migrate_at_once_migrate_once(dsn: str) -> None:
    """Both find everything missing; the one that waits for the lock then finds nothing left."""
    results: list[list[str]] = []
    both = threading.Barrier(2)

    def migrate() -> None:
        with psycopg.connect(dsn, autocommit=True) as connection:
            both.wait()
            results.append(schema.migrate(connection, Names("warehouse")))

    threads = [threading.Thread(target=migrate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(results) == [[], MADE]


@pytest.mark.parametrize(
    "name",
    [
        'we"ird; drop schema public',
        pytest.param("o'keefe", marks=pytest.mark.long),
        pytest.param("Grün", marks=pytest.mark.long),
        pytest.param("select", marks=pytest.mark.long),
        pytest.param("a.b", marks=pytest.mark.long),
        pytest.param("{x}", marks=pytest.mark.long),
        pytest.param("\\", marks=pytest.mark.long),
        pytest.param("a b", marks=pytest.mark.long),
        pytest.param("x" * 51, marks=pytest.mark.long),
    ],
)
def test_schema_may_have_any_name(platform: Platform, name: str) -> None:
    platform.names = Names(name)
    schema.migrate(platform.warehouse, platform.names)
    platform.run()
    platform.application.execute(EDIT_ORDER_1)
    loaded = platform.run()

    assert loaded is not None
    assert loaded.audits["fact_sales_order"].equal
    assert tables(platform.warehouse, name) == tables(platform.warehouse, "warehouse")
    assert platform.rows("SELECT * FROM batch") == []


@pytest.mark.long
def test_two_warehouses_in_one_database_do_not_meet(connection: Connection) -> None:
    schema.migrate(connection, Names("one"))
    schema.migrate(connection, Names("two"))
    connection.execute("INSERT INTO one.dim_currency VALUES (1, 'GBP', 'Pound Sterling', 1)")

    assert connection.execute("SELECT count(*) FROM two.dim_currency").fetchone() == (0,)


def test_old_server_is_refused(connection: Connection, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(schema, "OLDEST_SERVER", 990000)
    version = connection.info.server_version // 10000
    with pytest.raises(LoadError) as refused:
        schema.migrate(connection, Names("warehouse"))

    assert str(refused.value) == (
        f"TOTESYS_WAREHOUSE_DSN points to PostgreSQL {version}: the warehouse needs PostgreSQL 14"
        " or later."
    )


def test_database_in_another_encoding_is_refused(
    server: Server, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its texts would be digested as other bytes than the source's, so nothing would be equal."""
    database = new_database(SUPERUSER, encoding="LATIN1")
    monkeypatch.setenv(settings.WAREHOUSE_DSN, server.dsn(SUPERUSER, database))
    with connect(settings.WAREHOUSE_DSN) as connection, pytest.raises(LoadError) as refused:
        schema.migrate(connection, Names("warehouse"))

    assert str(refused.value) == (
        "The database of TOTESYS_WAREHOUSE_DSN does not hash rows as others do, so the audit could"
        " not compare them with the source's: create it with ENCODING 'UTF8', on a server of"
        " PostgreSQL 14 to 18."
    )


def test_role_that_may_not_create_is_told_who_may(
    server: Server, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    database = new_database(SUPERUSER)
    monkeypatch.setenv(settings.WAREHOUSE_DSN, server.dsn(stack.LOADER, database))
    with connect(settings.WAREHOUSE_DSN) as connection, pytest.raises(LoadError) as refused:
        schema.migrate(connection, Names("warehouse"))

    assert "run `totesys migrate` with TOTESYS_WAREHOUSE_ADMIN_DSN" in str(refused.value)


@pytest.mark.long
def test_role_that_may_not_even_look_is_told_so(
    connection: Connection, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    schema.migrate(connection, Names("warehouse"))
    monkeypatch.setenv(
        settings.WAREHOUSE_DSN, server.dsn(stack.APPLICATION, connection.info.dbname)
    )
    with connect(settings.WAREHOUSE_DSN) as stranger, pytest.raises(LoadError) as refused:
        schema.migrate(stranger, Names("warehouse"))

    assert str(refused.value) == (
        "PostgreSQL stopped the creation of the warehouse's tables (42501): permission denied for"
        " schema warehouse_bookkeeping; grant the role of TOTESYS_WAREHOUSE_DSN what it lacks."
    )


def test_warehouse_that_is_not_made_yet_holds_no_batch(connection: Connection) -> None:
    assert ledger.head(connection, Names("warehouse")) == 0


def test_every_reference_of_a_fact_is_a_foreign_key_that_is_not_enforced(
    connection: Connection,
) -> None:
    if connection.info.server_version < 180000:
        pytest.skip("NOT ENFORCED came with PostgreSQL 18")
    schema.migrate(connection, Names("warehouse"))
    keys = connection.execute(
        """
        SELECT conrelid::regclass::text, count(*), bool_or(conenforced) FROM pg_constraint
        WHERE contype = 'f' AND connamespace = 'warehouse'::regnamespace GROUP BY 1 ORDER BY 1
        """
    ).fetchall()

    assert keys == [
        (f"warehouse.{name}", len(star.references), False)
        for name, star in sorted(STAR_TABLES.items())
        if star.references
    ]


@pytest.mark.long
def test_server_without_unenforced_keys_does_without_keys(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on PostgreSQL 17."""
    monkeypatch.setattr(schema, "NOT_ENFORCED_SINCE", 990000)

    assert schema.migrate(connection, Names("warehouse")) == MADE
    assert not schema.pending(connection, Names("warehouse"))
    assert (
        connection.execute(
            "SELECT FROM pg_constraint WHERE contype = 'f' AND connamespace ="
            " 'warehouse'::regnamespace"
        ).fetchall()
        == []
    )
