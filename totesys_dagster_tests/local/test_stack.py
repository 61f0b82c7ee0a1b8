"""The embedded default fills in what is not set, and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import LiteralString

import psycopg
import pytest

from totesys_dagster import settings
from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.errors import SettingError
from totesys_dagster.local import stack
from totesys_dagster.local.programs import EmbeddedServerError
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster_tests import warm
from totesys_dagster_tests.conftest import Platform


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("home")


@pytest.fixture
def home(directory: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """One home for these tests; what `start` puts into the environment is taken out again."""
    monkeypatch.setenv(settings.HOME, str(directory))
    before = dict(os.environ)
    yield directory
    for name in set(os.environ) - set(before):
        del os.environ[name]


def test_everything_is_provided_when_nothing_is_set(home: Path) -> None:
    """The server when a setting that leads to it is first read."""
    assert stack.start_when_needed() == {
        settings.SOURCE_DSN,
        settings.WAREHOUSE_DSN,
        settings.INGESTION_URL,
        settings.PROCESSED_URL,
    }

    assert os.environ[settings.INGESTION_URL] == str(home / "lake" / "ingestion")
    assert not any(home.iterdir())
    assert "user=warehouse_admin" in settings.connection_string(settings.admin_setting())
    with psycopg.connect(os.environ[settings.SOURCE_DSN]) as connection:
        assert connection.execute("SELECT count(*) FROM payment").fetchone() == (15_836,)
    with psycopg.connect(os.environ[settings.WAREHOUSE_DSN]) as connection:
        assert connection.execute("SELECT count(*) FROM warehouse.dim_date").fetchone() == (0,)

    # A process that inherits the environment provides the same again.
    assert len(stack.start()) == 4


@pytest.mark.parametrize(
    ("name", "value"), [("TOTESYS_SOURCE_DNS", "x"), (settings.SOURCE_DSN, " ")]
)
def test_nothing_is_provided_in_place_of_what_was_meant(
    name: str, value: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.HOME, str(tmp_path))
    monkeypatch.setenv(name, value)

    with pytest.raises(SettingError, match=name):
        stack.start()

    assert list(tmp_path.iterdir()) == []


def test_database_of_others_under_the_name_of_a_half_made_one_is_left_alone(
    server: Server,
) -> None:
    with psycopg.connect(server.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
        connection.execute("CREATE DATABASE totesys_new")
        with pytest.raises(EmbeddedServerError, match="totesys_new of postgres"):
            stack._create_source(connection, server)
        connection.execute("DROP DATABASE totesys_new")


def test_installation_without_the_simulator_says_what_to_set(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As from a wheel, which has the platform alone."""
    monkeypatch.setitem(sys.modules, "totesys_simulator", None)
    with (
        server.connect(SUPERUSER, "postgres") as connection,
        pytest.raises(SettingError, match=f"{settings.SOURCE_DSN} is not set, .*: set it, or work"),
    ):
        stack._create_source(connection, server)


def test_definitions_start_no_server_until_a_database_is_needed(tmp_path: Path) -> None:
    """To look at the definitions, as `dagster definitions validate` does, needs none."""
    code = (
        "from totesys_dagster.local.definitions import defs; from totesys_dagster import settings;"
        f" from pathlib import Path; home = Path({str(tmp_path / 'home')!r});"
        " assert defs.resolve_job_def('capture'); assert not home.exists();"
        " assert settings.admin_setting() == settings.WAREHOUSE_ADMIN_DSN"
    )
    environment = {**os.environ, settings.HOME: str(tmp_path / "home")}
    done = warm.run(code, env=environment)
    assert done.returncode == 0, done.stderr


@pytest.mark.usefixtures("home")
def test_inherited_address_is_not_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that inherits the environment uses the server as one of its users, wherever it
    listens by now."""
    monkeypatch.setenv(settings.EMBEDDED, f"{settings.SOURCE_DSN} {settings.WAREHOUSE_DSN}")
    monkeypatch.setenv(settings.SOURCE_DSN, "host=127.0.0.1 port=1 dbname=totesys user=x")
    monkeypatch.setenv(settings.WAREHOUSE_DSN, "host=127.0.0.1 port=1 dbname=warehouse user=x")
    stack.start_when_needed()

    with psycopg.connect(settings.connection_string(settings.SOURCE_DSN)) as connection:
        assert connection.execute("SELECT current_user").fetchone() == (stack.EXTRACTOR,)


@pytest.mark.long
def test_two_first_starts_at_once_provide_one_stack(tmp_path: Path) -> None:
    """Roles and databases are made by one of them; the other waits and uses them."""
    code = "from totesys_dagster.local import stack; stack.start(); input()"
    both = [
        subprocess.Popen(
            [sys.executable, "-c", code],
            env={**os.environ, settings.HOME: str(tmp_path / "home")},
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(2)
    ]
    for process in both:
        _, errors = process.communicate("\n", timeout=300)
        assert process.returncode == 0, errors


@pytest.mark.parametrize(
    "forbidden",
    [
        "UPDATE warehouse.fact_payment SET paid = TRUE",
        "DELETE FROM warehouse.fact_sales_order",
        "TRUNCATE warehouse.fact_purchase_order",
        "DELETE FROM warehouse.dim_staff",
        "UPDATE warehouse_bookkeeping.batch SET run_id = ''",
        "DELETE FROM warehouse_bookkeeping.audit",
        "CREATE TABLE warehouse.mine (id int)",
        "CREATE SCHEMA mine",
        "DROP TABLE warehouse.dim_staff",
    ],
)
@pytest.mark.usefixtures("home")
def test_loader_cannot_rewrite_history(forbidden: LiteralString) -> None:
    stack.start()

    with (
        psycopg.connect(os.environ[settings.WAREHOUSE_DSN]) as connection,
        pytest.raises(psycopg.errors.InsufficientPrivilege),
    ):
        connection.execute(forbidden)


def test_real_source_gets_a_lake_and_a_warehouse_of_its_own(
    home: Path, server: Server, small_template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Batches of two sources never mix in one log."""
    real = server.dsn(stack.EXTRACTOR, small_template)
    monkeypatch.setenv(settings.SOURCE_DSN, real)

    assert settings.SOURCE_DSN not in stack.start()

    assert os.environ[settings.SOURCE_DSN] == real
    assert Path(os.environ[settings.INGESTION_URL]).parent.name.startswith("lake_")
    assert Path(os.environ[settings.INGESTION_URL]).parent.parent == home


@pytest.mark.long
@pytest.mark.usefixtures("home")
def test_sources_that_only_libpq_tells_apart_get_lakes_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "services.conf").write_text("[one]\nhost=one\n[two]\nhost=two\n")
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "services.conf"))
    lakes = set()
    for source in ("service=one", "service=two"):
        monkeypatch.setenv(settings.SOURCE_DSN, source)
        monkeypatch.delenv(settings.INGESTION_URL, raising=False)
        stack.start()
        lakes.add(os.environ[settings.INGESTION_URL])

    assert len(lakes) == 2


def test_nothing_is_started_when_all_is_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.HOME, str(tmp_path))
    monkeypatch.setenv(settings.SOURCE_DSN, "host=source")
    monkeypatch.setenv(settings.WAREHOUSE_DSN, "host=warehouse")
    monkeypatch.setenv(settings.INGESTION_URL, "s3://bucket/ingestion")
    monkeypatch.setenv(settings.PROCESSED_URL, "s3://bucket/processed")

    assert stack.start() == set()
    monkeypatch.delenv(settings.EMBEDDED)
    assert list(tmp_path.iterdir()) == []


def test_table_of_the_catalogue_that_the_embedded_totesys_lacks_is_named(
    server: Server, platform: Platform
) -> None:
    platform.application.execute("DROP TABLE transaction CASCADE")

    with (
        psycopg.connect(server.dsn(SUPERUSER, platform.source_database)) as admin,
        pytest.raises(EmbeddedServerError, match=r"transaction.*source\.sql"),
    ):
        stack.grant_extractor(admin)


def test_extractor_reads_the_declared_tables_and_nothing_else(
    server: Server, small_template: str
) -> None:
    with psycopg.connect(
        server.dsn(stack.EXTRACTOR, small_template), autocommit=True
    ) as connection:
        tables = connection.execute(
            "SELECT table_name::text, string_agg(privilege_type, ',')"
            " FROM information_schema.table_privileges WHERE grantee = current_user"
            " GROUP BY 1"
        ).fetchall()
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT * FROM _prisma_migrations")

    assert dict(tables) == dict.fromkeys(SOURCE_TABLES, "SELECT")
