"""What happens in the source, and what somebody does to the warehouse by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import psycopg
import pytest

from totesys_dagster.ingestion import changes
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.postgres.sessions import Names
from totesys_dagster.warehouse import healing, schema
from totesys_dagster.warehouse.ledger import Loaded
from totesys_dagster_tests.conftest import Platform


@pytest.fixture(scope="session")
def migrated(server: Server, new_database: Callable[..., str]) -> str:
    """A warehouse that is the administrator's, to be copied."""
    name = new_database(SUPERUSER)
    with psycopg.connect(server.dsn(SUPERUSER, name), autocommit=True) as connection:
        schema.migrate(connection, Names("warehouse"))
    return name


@pytest.fixture
def admin(
    server: Server, new_database: Callable[..., str], migrated: str
) -> Iterator[psycopg.Connection]:
    """The administrator's connection to a warehouse whose roles are apart."""
    name = new_database(SUPERUSER, migrated)
    with psycopg.connect(server.dsn(SUPERUSER, name), autocommit=True) as connection:
        yield connection


@pytest.fixture
def large(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform for which every table is large, with a first batch."""
    monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", -1)
    platform.come_to("first of large tables", Platform.run, source=False)
    return platform


def change(platform: Platform, statement: str) -> Loaded:
    """Let something happen in the source and take it the whole way."""
    platform.application.execute(statement)  # type: ignore[call-overload]
    loaded = platform.run()
    assert loaded is not None
    return loaded


def by_hand(platform: Platform, edit: str) -> None:
    """Change the warehouse behind the platform's back."""
    platform.warehouse.execute("SET search_path TO warehouse, warehouse_bookkeeping")
    platform.warehouse.execute(edit)  # type: ignore[call-overload]


def ask(platform: Platform) -> list[str]:
    """The source tables that are asked for in full after a load."""
    return healing.request_healing(platform.warehouse, platform.names, platform.ingestion)


def bad_payment(key: int) -> str:
    """A payment that goes to quarantine."""
    return f"UPDATE payment SET payment_date = 'soon' WHERE payment_id = {key}"


def good_payment(key: int) -> str:
    """The payment as it was before: see `few_rows`."""
    day = {1: "2022-11-08", 2: "2022-11-07", 3: "2022-11-04"}[key]
    return f"UPDATE payment SET payment_date = '{day}' WHERE payment_id = {key}"


def wrong_payment(key: int) -> str:
    """An edit of a payment in the warehouse by hand."""
    return f"UPDATE fact_payment SET payment_amount = payment_amount + 1 WHERE payment_id = {key}"
