"""Sessions are not ours alone: a role presets them, and a pooler lends them to others between two
transactions. So everything runs in a transaction with settings of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psycopg
import pytest
from click.testing import CliRunner
from psycopg import sql

from totesys_dagster import cli, settings
from totesys_dagster.local import server as local
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.postgres import sessions as postgres
from totesys_dagster.postgres.sessions import READ_COMMITTED, begin, beside, connect, transaction
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1
from totesys_dagster_tests.ingestion.test_other_servers import any_binaries
from totesys_dagster_tests.session_settings import BY_BEGIN, CHECKED, HARMLESS, SET


def preset(platform: Platform, database: str, name: str, value: str) -> None:
    """Let the sessions of a database begin with a setting."""
    with psycopg.connect(platform.server.dsn(SUPERUSER, database), autocommit=True) as admin:
        admin.execute(
            sql.SQL("ALTER DATABASE {} SET {} TO {}").format(
                sql.Identifier(database), sql.Identifier(name), value
            )
        )


class Guarded(psycopg.Cursor[Any]):
    """A cursor that refuses a statement which is not under the platform's settings."""

    def _guard(self) -> None:
        with psycopg.Cursor(self.connection) as cursor:
            shown = cursor.execute("SHOW intervalstyle").fetchone()
        assert shown == ("postgres",), "this statement runs outside postgres.transaction()"

    def execute(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        if not (isinstance(query, bytes) and query.startswith(b"BEGIN ")):
            self._guard()
        return super().execute(query, *args, **kwargs)

    def copy(self, *args: Any, **kwargs: Any) -> Any:
        self._guard()
        return super().copy(*args, **kwargs)


@pytest.fixture
def guarded(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Iterator[Platform]:
    """A platform whose connections find another setting outside of our transactions."""
    for database in (platform.source_database, platform.warehouse_database):
        preset(platform, database, "intervalstyle", "sql_standard")
    open_one = postgres._open

    def open_guarded(dsn: str) -> postgres.Connection:
        connection = open_one(dsn)
        connection.cursor_factory = Guarded
        return connection

    monkeypatch.setattr(postgres, "_open", open_guarded)
    with connect(settings.WAREHOUSE_DSN) as platform.warehouse:
        yield platform


def totesys(*arguments: str) -> None:
    done = CliRunner().invoke(cli.main, arguments, catch_exceptions=False)
    assert done.exit_code == 0, done.output


@pytest.mark.long
def test_no_statement_runs_outside_our_transactions(
    guarded: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(AssertionError, match=r"outside postgres\.transaction"):
        guarded.warehouse.execute("SELECT 1")
    for command in ("run", "status", "verify", "rebuild", "migrate"):
        totesys(command)
    guarded.application.execute(EDIT_ORDER_1)
    totesys("run", "--full", "design")


def test_nothing_that_is_set_outlives_its_transaction(platform: Platform) -> None:
    query = "SELECT name, setting FROM pg_settings WHERE name <> 'transaction_isolation'"
    with connect(settings.WAREHOUSE_DSN) as connection:
        before = connection.execute(query).fetchall()
        with transaction(connection):
            inside = connection.execute(query).fetchall()
        after = connection.execute(query).fetchall()

    assert before == after
    assert before != inside
    assert platform.rows("SELECT count(*) FROM pg_prepared_statements") == [(0,)]


def test_transaction_takes_no_snapshot_before_its_first_query(platform: Platform) -> None:
    """A capture locks the tables before it takes its snapshot."""
    begin(platform.source, "ISOLATION LEVEL REPEATABLE READ, READ ONLY")
    platform.application.execute("DELETE FROM payment")
    counted = platform.source.execute("SELECT count(*) FROM public.payment").fetchone()
    platform.source.rollback()

    assert counted == (0,)


OWN_TABLE = "CREATE TABLE warehouse.own (id integer PRIMARY KEY)"


def test_inner_transaction_is_taken_back_alone(platform: Platform) -> None:
    platform.warehouse.execute(OWN_TABLE)
    insert = "INSERT INTO warehouse.own VALUES (%s)"
    with transaction(platform.warehouse):
        platform.warehouse.execute(insert, [1])
        with pytest.raises(psycopg.errors.UniqueViolation), transaction(platform.warehouse):
            platform.warehouse.cursor().executemany(insert, [[2], [2]])

    assert platform.rows("SELECT id FROM own") == [(1,)]


def test_transaction_that_fails_is_taken_back(platform: Platform) -> None:
    platform.warehouse.execute(OWN_TABLE)
    insert = "INSERT INTO warehouse.own VALUES (%s)"
    with pytest.raises(psycopg.errors.UniqueViolation), transaction(platform.warehouse):
        platform.warehouse.cursor().executemany(insert, [[2], [2]])

    assert platform.rows("SELECT id FROM own") == []


def test_statements_are_never_prepared_in_the_session(platform: Platform) -> None:
    for _ in range(10):
        with transaction(platform.warehouse):
            platform.warehouse.execute("SELECT %s::int", [1])

    assert platform.rows("SELECT count(*) FROM pg_prepared_statements") == [(0,)]


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize("setting", [settings.SOURCE_DSN, settings.WAREHOUSE_DSN])
def test_connection_beside_another_is_to_the_same_database(setting: str) -> None:
    with connect(setting) as connection, beside(connection) as other:
        begin(other, READ_COMMITTED)
        assert other.info.dbname == connection.info.dbname
        assert other.info.user == connection.info.user
        assert other.info.backend_pid != connection.info.backend_pid


@pytest.fixture(params=any_binaries(), ids=str)
def any_server(
    request: pytest.FixtureRequest, server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Server:
    """The embedded server, and those of other versions that this machine has."""
    if request.param is None:
        return server
    monkeypatch.setenv(settings.POSTGRES_BIN, str(request.param))
    return local.start(tmp_path / "home")


def test_every_setting_of_a_session_is_set_or_checked_or_harmless(any_server: Server) -> None:
    query = """
        SELECT lower(name) FROM pg_settings
        WHERE context IN ('user', 'superuser', 'backend', 'superuser-backend')
          AND name NOT LIKE '%.%'
    """
    with psycopg.connect(any_server.dsn(SUPERUSER, "postgres")) as connection:
        found = {name for (name,) in connection.execute(query)}
    listed = [*SET, *BY_BEGIN, *CHECKED, *HARMLESS]

    assert found - {*listed} == set()
    assert len(listed) == len({*listed})
    assert SET - {"transaction_timeout"} <= found
    assert found >= CHECKED
