"""Schemas in which others were first: nothing of theirs is changed, what is in the way is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from totesys_dagster import settings
from totesys_dagster.errors import LoadError
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.postgres.sessions import Connection, Names, connect
from totesys_dagster.warehouse import schema

OBJECTS = """
SELECT nspname || '.' || relname, relkind
FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
WHERE nspname LIKE 'warehouse%' ORDER BY 1
"""


@pytest.fixture
def admin(
    server: Server, new_database: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> Iterator[psycopg.Connection]:
    """An administrator of an empty database, to which the loader's setting points."""
    name = new_database(stack.LOADER)
    monkeypatch.setenv(settings.WAREHOUSE_DSN, server.dsn(stack.LOADER, name))
    with psycopg.connect(server.dsn(SUPERUSER, name), autocommit=True) as connection:
        yield connection


@pytest.fixture
def loader(admin: psycopg.Connection) -> Iterator[Connection]:  # noqa: ARG001
    with connect(settings.WAREHOUSE_DSN) as connection:
        yield connection


FOREIGN = """
    CREATE EXTENSION IF NOT EXISTS postgres_fdw;
    CREATE SERVER other FOREIGN DATA WRAPPER postgres_fdw;
    CREATE SCHEMA warehouse AUTHORIZATION warehouse_loader;
    CREATE FOREIGN TABLE warehouse.dim_date (date_id date) SERVER other
"""
THEIRS = "CREATE SCHEMA warehouse AUTHORIZATION warehouse_loader; CREATE"

# What is there already, and the words of PostgreSQL.
IN_THE_WAY = [
    (FOREIGN, 'relation "dim_date" already exists'),
    (f"{THEIRS} TABLE warehouse.fact_payment (mine integer)", '"fact_payment" already exists'),
    (f"{THEIRS} VIEW warehouse.dim_staff AS SELECT 1 AS mine", '"dim_staff" already exists'),
    (f"{THEIRS} VIEW warehouse.current_dim_staff AS SELECT 1", "current_dim_staff"),
    (f"{THEIRS} TYPE warehouse.dim_staff AS ENUM ()", 'type "dim_staff" already exists'),
]


@pytest.mark.parametrize(("statement", "said"), IN_THE_WAY)
def test_what_is_in_the_way_of_a_migration_is_named_and_left_alone(
    admin: psycopg.Connection, loader: Connection, statement: str, said: str
) -> None:
    admin.execute(statement)  # type: ignore[call-overload]
    before = admin.execute(OBJECTS).fetchall()
    with pytest.raises(LoadError) as refused:
        schema.migrate(loader, Names("warehouse"))

    assert said in str(refused.value)
    assert "let TOTESYS_WAREHOUSE_SCHEMA name another schema" in str(refused.value)
    assert admin.execute(OBJECTS).fetchall() == before


def test_bookkeeping_of_others_is_named_and_left_alone(
    admin: psycopg.Connection, loader: Connection
) -> None:
    admin.execute(
        "CREATE SCHEMA warehouse_bookkeeping AUTHORIZATION warehouse_loader;"
        " CREATE TABLE warehouse_bookkeeping.migration (version text);"
        " GRANT SELECT ON warehouse_bookkeeping.migration TO warehouse_loader"
    )
    before = admin.execute(OBJECTS).fetchall()
    with pytest.raises(LoadError, match="the table is not the platform's"):
        schema.migrate(loader, Names("warehouse"))

    assert admin.execute(OBJECTS).fetchall() == before


def test_schema_of_others_is_left_alone(admin: psycopg.Connection, loader: Connection) -> None:
    admin.execute("CREATE SCHEMA warehouse; CREATE TABLE warehouse.mine (mine integer)")
    before = admin.execute(OBJECTS).fetchall()
    with pytest.raises(LoadError, match="set to a role that may"):
        schema.migrate(loader, Names("warehouse"))

    assert admin.execute(OBJECTS).fetchall() == before
