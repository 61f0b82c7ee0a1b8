"""The platform behind PgBouncer in transaction mode, which others use as well."""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from totesys_dagster import settings
from totesys_dagster.catalogue import STAR_TABLES, WAREHOUSE_TABLES
from totesys_dagster.errors import LoadError
from totesys_dagster.ingestion import blocks
from totesys_dagster.ingestion.poll import PollCursor, poll
from totesys_dagster.local.server import Server
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.operations.verify import verify
from totesys_dagster.postgres import sessions as postgres
from totesys_dagster.postgres.sessions import Connection, beside, connect, transaction
from totesys_dagster.warehouse import healing, ledger, schema
from totesys_dagster.warehouse.load import load_batch
from totesys_dagster.warehouse.status import table_status
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import DELETE_ORDER_1, EDIT_ORDER_1
from totesys_dagster_tests.pooler import PROGRAM, pooler
from totesys_dagster_tests.postgres.test_sessions import totesys

pytestmark = pytest.mark.skipif(
    PROGRAM is None, reason="there is no pgbouncer here: apt-get install pgbouncer"
)

DATABASES = [settings.SOURCE_DSN, settings.WAREHOUSE_DSN]

# All that a session keeps between two transactions, but for how it came about.
KEPT = """
SELECT name, setting FROM pg_settings WHERE name <> 'application_name'
UNION ALL SELECT 'statement', name FROM pg_prepared_statements
UNION ALL SELECT 'lock', objid::text FROM pg_locks
          WHERE locktype = 'advisory' AND pid = pg_backend_pid()
UNION ALL SELECT 'table', relname FROM pg_class WHERE relnamespace = pg_my_temp_schema()
ORDER BY 1, 2
"""

HOSTILE = """
SET search_path TO ''; SET datestyle TO 'German'; SET intervalstyle TO 'sql_standard';
SET timezone TO 'Asia/Tokyo'; SET client_encoding TO 'LATIN1'; SET bytea_output TO 'escape';
SET quote_all_identifiers TO on; SET extra_float_digits TO -15; SET row_security TO on;
SET statement_timeout TO '50ms'; SET lock_timeout TO '1ms';
SET idle_in_transaction_session_timeout TO '50ms';
SET default_transaction_isolation TO 'serializable';
PREPARE _pg3_0 AS SELECT 1
"""
TABLES = "CREATE TEMP TABLE pg_class (relname name); CREATE TEMP TABLE pg_roles (rolname name)"


@pytest.fixture
def pooled(
    platform: Platform, server: Server, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Platform]]:
    """Puts the platform behind a pooler with so many sessions for each of its databases."""
    running = []

    def make(sessions: int, patience: int = 20) -> Platform:
        context = pooler(server, sessions, patience)
        port = context.__enter__()
        running.append(context)
        for setting in DATABASES:
            monkeypatch.setenv(setting, make_conninfo(os.environ[setting], port=port))
        platform.source.close()
        platform.warehouse.close()
        platform.source = connect(settings.SOURCE_DSN)
        platform.warehouse = connect(settings.WAREHOUSE_DSN)
        return platform

    yield make
    platform.source.close()
    platform.warehouse.close()
    for context in running:
        context.__exit__(None, None, None)


def stranger(setting: str) -> psycopg.Connection:
    """Somebody else in the same pool: the same role in the same database."""
    return psycopg.connect(os.environ[setting], autocommit=True, prepare_threshold=None)


def everything(platform: Platform) -> None:
    """All that the platform does with its two databases, over three batches, and exact."""
    names, ingestion, processed = platform.names, platform.ingestion, platform.processed
    cursor = PollCursor()
    for statement in ("SELECT", EDIT_ORDER_1, DELETE_ORDER_1):
        platform.application.execute(statement)
        found = poll(platform.source, ingestion, cursor, dt.datetime.now(dt.UTC))
        cursor = found.cursor
        assert found.changed
        loaded = platform.run()
        assert loaded is not None
        assert all(found.equal for found in loaded.audits.values())
    assert not poll(platform.source, ingestion, cursor, dt.datetime.now(dt.UTC)).changed
    assert schema.migrate(platform.warehouse, names) == []
    platform.audit()
    assert healing.request_healing(platform.warehouse, names, ingestion) == []
    assert len(table_status(platform.warehouse, names)) == len(STAR_TABLES)
    assert verify(platform.warehouse, names, ingestion, processed).passed
    assert ledger.head(platform.warehouse, names) == 3


def rebuilt(platform: Platform, connection: Connection) -> dict[str, int] | None:
    return rebuild(
        connection, platform.names, platform.ingestion, platform.processed, quarantine_limit=0
    ).different


def test_one_session_is_enough_and_keeps_nothing(pooled: Callable[..., Platform]) -> None:
    platform = pooled(1)
    with stranger(settings.SOURCE_DSN) as source, stranger(settings.WAREHOUSE_DSN) as warehouse:
        sessions = (source, warehouse)
        before = [session.execute(KEPT).fetchall() for session in sessions]
        everything(platform)
        after = [session.execute(KEPT).fetchall() for session in sessions]

    assert after == before


def test_what_others_leave_in_a_session_changes_nothing(pooled: Callable[..., Platform]) -> None:
    platform = pooled(1)
    with stranger(settings.WAREHOUSE_DSN) as other:
        other.execute(TABLES)
    for setting in DATABASES:
        with stranger(setting) as other:
            other.execute(HOSTILE)
    everything(platform)


@pytest.mark.long
def test_commands_work_with_two_sessions(
    pooled: Callable[..., Platform], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = pooled(2)
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    monkeypatch.chdir(tmp_path)
    totesys("run")
    platform.application.execute(EDIT_ORDER_1)
    for command in ("run", "status", "verify", "rebuild", "migrate"):
        totesys(command)


@pytest.mark.long
def test_rebuild_leaves_no_lock_behind(pooled: Callable[..., Platform]) -> None:
    platform = pooled(2)
    platform.run()
    unchanged = dict.fromkeys(WAREHOUSE_TABLES, 0)
    for _ in range(2):
        with connect(settings.WAREHOUSE_DSN) as connection:
            assert rebuilt(platform, connection) == unchanged
    with stranger(settings.WAREHOUSE_DSN) as other:
        locks = other.execute("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'")
        assert locks.fetchone() == (0,)


def test_rebuild_says_that_one_session_is_not_enough(pooled: Callable[..., Platform]) -> None:
    platform = pooled(1, patience=1)
    with pytest.raises(LoadError, match="had no session free: raise its pool size"):
        rebuilt(platform, platform.warehouse)


@pytest.mark.long
def test_large_table_is_read_by_one_session_where_there_is_no_other(
    pooled: Callable[..., Platform], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The pooler would let it wait for a minute, with the snapshot open."""
    monkeypatch.setattr(postgres, "CONNECT_SECONDS", 2)
    monkeypatch.setattr(blocks, "LARGE_BLOCKS", 1)
    platform = pooled(1, patience=60)
    with transaction(platform.source), pytest.raises(psycopg.OperationalError) as refused:
        beside(platform.source)
    loaded = platform.run()

    assert "query_wait_timeout" not in str(refused.value)
    assert loaded is not None
    assert all(found.equal for found in loaded.audits.values())


def test_loads_of_one_batch_at_once_load_it_once(pooled: Callable[..., Platform]) -> None:
    platform = pooled(2)
    manifest = platform.capture()
    assert manifest is not None
    platform.process(manifest)

    def load_it(_: int) -> bool:
        with connect(settings.WAREHOUSE_DSN) as connection:
            return load_batch(
                connection,
                platform.names,
                manifest,
                platform.ingestion,
                platform.processed,
                quarantine_limit=0,
            ).already

    with ThreadPoolExecutor(4) as threads:
        already = list(threads.map(load_it, range(4)))

    assert sorted(already) == [False, True, True, True]
    assert platform.rows("SELECT count(*) FROM batch") == [(1,)]
