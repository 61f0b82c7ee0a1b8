"""How commands begin: reading makes nothing, and neither does a setting that cannot be used."""

from __future__ import annotations

import os
import shutil
import time
from pathlib import Path

import pytest

from totesys_dagster import settings
from totesys_dagster.local.server import free_port
from totesys_dagster_tests.test_cli import INSTANCE, here, totesys

READING = (
    *("status", "quarantine", "verify", "verify --repair", "report", "connect", "psql"),
    *("psql source --write", "migrate --print", "rebuild"),
)
STORAGE = """
storage:
  postgres:
    postgres_db:
      scheme: postgresql+psycopg2
      hostname: 127.0.0.1
      port: {port}
      db_name: dagster
      username: dagster
      password:
        env: {password}
"""


@pytest.fixture(autouse=True)
def unset(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is set, and what a command sets is unset after the test."""
    for name in [*settings.SETTINGS, settings.EMBEDDED, "DAGSTER_HOME"]:
        monkeypatch.setenv(name, "")
        monkeypatch.delenv(name)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    for name in (INSTANCE, INSTANCE.with_name("workspace.yaml")):
        shutil.copy(name, tmp_path)
    return tmp_path


@pytest.mark.parametrize("command", READING)
def test_reading_makes_nothing(tmp_path: Path, command: str) -> None:
    done = here(tmp_path, *command.split())

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        f"Error: Nothing is in {tmp_path} yet: `totesys run` in the project's directory starts it;"
        " if it was started elsewhere, go to that directory first.\n"
    )
    assert [*tmp_path.iterdir()] == []


def test_reading_says_which_home_is_empty(tmp_path: Path) -> None:
    done = here(tmp_path, "status", **{settings.HOME: str(tmp_path / "home")})

    assert f"Nothing is in TOTESYS_HOME ({tmp_path}/home) yet" in done.stderr


@pytest.mark.parametrize("command", ["run", "audit", "demo", "simulate", "migrate", "web"])
def test_nothing_is_made_outside_of_a_project(tmp_path: Path, command: str) -> None:
    done = here(tmp_path, command)

    assert done.returncode == 1
    assert "There is no dagster.yaml here" in done.stderr
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        (settings.INGESTION_URL, "https://example.com/lake", "neither a directory nor a place"),
        (settings.PROCESSED_URL, "dagster.yaml/lake", "is in or under a file; name a directory"),
        (settings.DROPS_URL, "gs://drops", "neither a directory nor a place"),
        (settings.SOURCE_DSN, "nonsense", "is not a PostgreSQL connection string"),
        (settings.WAREHOUSE_DSN, "postgresql://a:b@127.0.0.1:1/x", "Connection refused"),
        (settings.WAREHOUSE_SCHEMA, "pg_totesys", "must be a name"),
        (settings.QUARANTINE_LIMIT, "many", "must be a whole number"),
        (settings.HOME, "dagster.yaml/home", "is in or under a file"),
    ],
)
def test_refused_setting_leaves_nothing_behind(
    project: Path, name: str, value: str, said: str
) -> None:
    before = sorted(project.iterdir())
    done = here(project, "run", **{name: value})

    assert done.returncode == 1
    assert f"{name} " in done.stderr
    assert said in done.stderr
    assert sorted(project.iterdir()) == before


# Somebody's UI may be on the default port.
PORT = ("--port", str(free_port(None)))


@pytest.mark.parametrize("command", [("run",), ("dev", *PORT), ("web", *PORT)], ids=lambda c: c[0])
def test_storage_that_does_not_answer_is_said_soon(project: Path, command: tuple[str, ...]) -> None:
    port = free_port(None)
    (project / "dagster.yaml").write_text(STORAGE.format(port=port, password="PATH"))
    begun = time.monotonic()
    done = here(project, *command)

    assert time.monotonic() - begun < 8
    assert done.stderr.removeprefix("Starting …\n") == (
        "Error: Dagster cannot use the dagster.yaml of this directory: connection failed:"
        f' connection to server at "127.0.0.1", port {port} failed: Connection refused; correct the'
        " directory, its dagster.yaml, or the storage that it names.\n"
    )
    assert os.environ["PATH"] not in done.stderr


def test_variables_that_an_instance_takes_are_named(project: Path) -> None:
    home = project / "deploy"
    home.mkdir()
    (home / "dagster.yaml").write_text(STORAGE.format(port=1, password="NO_SUCH_PASSWORD"))
    # Compose's own file, which has the names of settings, too.
    (home / "compose.yaml").touch()
    (home / ".env").write_text("TOTESYS_UI_URL=https://dagster.example.com\n")
    done = here(project, "run", DAGSTER_HOME=str(home))

    assert "it takes NO_SUCH_PASSWORD from the environment, and they are not set" in done.stderr


def test_file_of_settings_that_cannot_be_read_is_one_sentence(project: Path) -> None:
    (project / ".env").write_text('TOTESYS_POLL_SECONDS="5\n')
    done = totesys(project, "status")

    assert done.stderr == (
        f"Error: Line 1 of {project}/.env cannot be read: write NAME=value, with the same quote at"
        " both ends of the value or with none.\n"
    )
