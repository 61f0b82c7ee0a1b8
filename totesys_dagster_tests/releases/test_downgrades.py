"""State that a newer release has written: refused with a sentence, and left as it is."""

from __future__ import annotations

import contextlib
import re
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

import dagster
import psycopg
import pytest
from click.testing import CliRunner

from totesys_dagster import cli
from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.dagster_home import opened_instance
from totesys_dagster.errors import LoadError, NewerFormatError, SettingError
from totesys_dagster.lake.receipt import receipt_key
from totesys_dagster.lake.store import Store
from totesys_dagster.local.storage import SqliteStorage
from totesys_dagster.warehouse import ledger, schema
from totesys_dagster.warehouse.migrations import MIGRATIONS
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1
from totesys_dagster_tests.hand_made import manifest_key
from totesys_dagster_tests.orchestra import damage

INSTANCE = Path(__file__).parents[2] / "dagster.yaml"

MIGRATIONS_OF_DAGSTER = Path(dagster.__file__).parent / "_core" / "storage" / "alembic" / "versions"
OLDER = "043_add_run_tags_run_id_index.py"

# Commands that read the lake, and those that read or write the bookkeeping of the warehouse.
OF_LAKE = ("run", "audit", "status", "quarantine --batch 1", "verify", "verify --repair", "rebuild")
OF_WAREHOUSE = (*OF_LAKE, "migrate", "migrate --print")


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(INSTANCE, tmp_path)
    return tmp_path


def refusal(project: Path, command: str) -> str:
    """The sentence with which a command ends."""
    with contextlib.chdir(project):
        done = CliRunner().invoke(cli.main, command.split())
    assert done.exit_code == 1, done.output
    return done.stderr.splitlines()[-1].removeprefix("Error: ")


def newer(store: Store, key: str) -> bytes:
    return store.get(key).replace(b'"format": 3', b'"format": 4')


# The lake


def test_every_command_refuses_a_newer_manifest(platform: Platform, project: Path) -> None:
    platform.first()
    key = manifest_key(1)
    with damage(platform.ingestion, key, newer(platform.ingestion, key)):
        said = {refusal(project, command) for command in OF_LAKE}

    [sentence] = said
    assert sentence == (
        f"{platform.ingestion.uri(key)} is of format 4, which a newer release of totesys_dagster"
        " has written, and this one reads format 3 only: install that release again, or a later"
        " one."
    )


def test_newer_receipt_is_neither_loaded_nor_repaired(platform: Platform, project: Path) -> None:
    platform.first()
    key = receipt_key(STAR_TABLES["dim_staff"], "0000000001")
    written = newer(platform.processed, key)
    with damage(platform.processed, key, written):
        said = {refusal(project, command) for command in ("verify", "verify --repair")}
        kept = platform.processed.get(key)

    assert {sentence.partition(",")[0] for sentence in said} == {
        f"{platform.processed.uri(key)} is of format 4"
    }
    assert kept == written


@pytest.mark.parametrize("name", ["full-read/0000000001/staff", "without/0000000009"])
def test_newer_request_is_refused(platform: Platform, name: str) -> None:
    """A newer release may ask for more than this one understands."""
    platform.first()
    platform.ingestion.put(f"requests/{name}.json", b'{"format": 4}')
    platform.application.execute(EDIT_ORDER_1)
    with pytest.raises(NewerFormatError, match="newer release"):
        platform.capture()


# The warehouse


def newer_migration(platform: Platform, *, needs: int | None) -> None:
    platform.rows("SELECT 1")  # sets the search path
    platform.warehouse.execute(
        "INSERT INTO migration (number, file, needs) VALUES (%s, '0009_later.sql', %s)",
        [MIGRATIONS[-1].number + 1, needs],
    )


def test_every_command_refuses_a_newer_warehouse(platform: Platform, project: Path) -> None:
    platform.first()
    newer_migration(platform, needs=None)
    platform.application.execute(EDIT_ORDER_1)
    [sentence] = {refusal(project, command) for command in OF_WAREHOUSE}

    assert sentence == (
        "The schema warehouse of the warehouse was migrated by a newer release of totesys_dagster"
        " (0009_later.sql), after which this one cannot use it: install that release again, or a"
        " later one."
    )
    assert platform.rows("SELECT max(sequence) FROM batch") == [(1,)]


def test_newer_warehouse_that_names_what_a_release_must_know_is_refused(platform: Platform) -> None:
    newer_migration(platform, needs=MIGRATIONS[-1].number + 1)
    for use in (ledger.head, schema.migrate):
        with pytest.raises(LoadError, match="by a newer release"):
            use(platform.warehouse, platform.names)


def test_newer_warehouse_to_which_files_only_added_goes_on(platform: Platform) -> None:
    """So one release can replace another while both run."""
    platform.first()
    newer_migration(platform, needs=MIGRATIONS[-1].number)
    platform.application.execute(EDIT_ORDER_1)

    assert platform.run() is not None
    assert schema.migrate(platform.warehouse, platform.names) == []


def before_the_first_release(connection: psycopg.Connection) -> None:
    connection.execute("UPDATE migration SET file = '0001_ledger.sql'")
    connection.execute("ALTER TABLE migration DROP COLUMN needs")


def of_another_kind(connection: psycopg.Connection) -> None:
    connection.execute("UPDATE migration SET file = '0001_mine.sql'")


@pytest.mark.parametrize("make", [before_the_first_release, of_another_kind])
def test_warehouse_that_no_release_has_made_says_how_to_start_again(
    platform: Platform, make: Callable[[psycopg.Connection], None]
) -> None:
    platform.rows("SELECT 1")
    make(platform.warehouse)
    for use in (ledger.head, schema.migrate):
        with pytest.raises(LoadError, match="start again with empty zones and another TOTESYS_WAR"):
            use(platform.warehouse, platform.names)


# Dagster's history


@pytest.fixture
def history(project: Path) -> Path:
    """An empty history of Dagster's."""
    SqliteStorage(str(project / ".dagster" / "storage")).dispose()
    return project / ".dagster" / "storage"


def stamp(database: Path, revision: str) -> None:
    """Let the database be one that a Dagster with that migration has left."""
    with contextlib.closing(sqlite3.connect(database)) as connection, connection:
        connection.execute("UPDATE alembic_version SET version_num = ?", [revision])


def test_newer_history_of_dagster_is_refused(history: Path, project: Path) -> None:
    for name in ("history/runs.db", "schedules/schedules.db"):
        before = (history / name).read_bytes()
        stamp(history / name, "of_tomorrow")
        with pytest.raises(SettingError) as refused:
            SqliteStorage(str(history))
        assert str(refused.value).startswith(
            f"A newer version of Dagster has migrated Dagster's history in {history} to of_tomorrow"
        )
        with (
            contextlib.chdir(project),
            pytest.raises(SettingError, match="newer version of Dagster"),
            opened_instance(),
        ):
            pass
        (history / name).write_bytes(before)


def test_older_history_of_dagster_is_opened(history: Path) -> None:
    text = (MIGRATIONS_OF_DAGSTER / OLDER).read_text()
    [older] = re.findall(r'^revision = "(\w+)"', text, re.MULTILINE)
    stamp(history / "history" / "runs.db", older)

    assert SqliteStorage(str(history)).run_storage.get_runs() == []
