"""Write the archive of this release: `make archive`.

It holds the state that a user of this release has: a lake of four batches and a delivered file, the
warehouse and the source as plain SQL, Dagster's history, and the rows that the warehouse shows.
Make one when you release, and keep the old ones: `totesys_dagster_tests/releases/` takes each of
them to the code of the day.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import platform
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from click.testing import CliRunner
from psycopg import sql

from totesys_dagster import cli, settings
from totesys_dagster.dagster_home import opened_instance
from totesys_dagster.local import server as postgres
from totesys_dagster.local import stack, supervisor
from totesys_dagster.local.programs import find_binaries
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster_tests.conftest import few_rows
from totesys_dagster_tests.drops.conftest import HEADER, LONG_AGO
from totesys_dagster_tests.edits import DELETE_ORDER_1, EDIT_ORDER_1, new_design, new_sale
from totesys_dagster_tests.rates.conftest import history, use_history
from totesys_simulator import simulator

ROOT = Path(__file__).parents[1]
RELEASES = ROOT / "totesys_dagster_tests" / "releases"
DATABASES = ("source", "warehouse")
SENSOR = "source_changes"
LARGEST_BYTES = 300_000

# The installed history of rates is larger than all else. Tests install this one with each archive.
BANK = history(*(f"2024-11-{day},1.0666,0.83" for day in ("08", "11", "12", "13")))

RENAME = "UPDATE department SET department_name = 'Trade' WHERE department_id = 1"
BREAK = "UPDATE payment SET payment_date = 'soon' WHERE payment_id = 3"
MEND = "UPDATE payment SET payment_date = '2022-11-04' WHERE payment_id = 3"
# What happens in the source before each batch after the first: an edit that leaves last_updated as
# it was and a row that breaks its contract; a deletion and a changed dimension; the row mended.
EDITS = (
    f"{EDIT_ORDER_1}; {BREAK}; {new_design(9)}",
    f"{DELETE_ORDER_1}; {RENAME}; DELETE FROM design WHERE design_id = 9",
    f"{MEND}; {new_sale(7)}",
)
TARGETS = "2024-11,Manchester,GBP,1000.00\n2024-11,Leds,USD,250.50\n"

# Where the archive says that it was made.
ELSEWHERE = "/opt/totesys"


def main() -> None:
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    target = RELEASES / f"{version}.tar.xz"
    with tempfile.TemporaryDirectory(prefix="totesys-release-") as directory:
        place = Path(directory)
        place.chmod(0o755)  # the server's user passes through
        data = _packed(_made(place))
    if len(data) > LARGEST_BYTES:
        sys.exit(f"The archive has {len(data):,} bytes, above the {LARGEST_BYTES:,} agreed upon.")
    target.write_bytes(data)
    target.chmod(0o644)
    print(f"Wrote {target} ({len(data):,} bytes).")


def _made(place: Path) -> Path:
    """Make the state of a project, and return its directory."""
    project = place / "project"
    project.mkdir()
    shutil.copy(ROOT / "dagster.yaml", project)
    server = postgres.start(place / "server", stack.ROLES)
    try:
        create_databases(server)
        with environment(server, project), contextlib.chdir(project):
            with pytest.MonkeyPatch.context() as patch:
                use_history(patch, BANK)
                _story(server)
            _tick(project)
        for name in DATABASES:
            (project / f"{name}.sql").write_bytes(_dump(server, name))
        (project / "expected.json").write_text(json.dumps(shown(server), indent=1))
    finally:
        _stop(place / "server")
    for database in (project / ".dagster").rglob("*.db"):
        _anonymize(database, project)
    return project


def _stop(home: Path) -> None:
    files = Path(json.loads((home / "server.json").read_text())["directory"])
    supervisor.stop(files / "data", None, at_once=True)
    shutil.rmtree(files)


def create_databases(server: Server) -> None:
    """A source and a warehouse, both empty, with the roles that a user creates."""
    with server.connect(SUPERUSER, "postgres") as admin:
        stack.create_roles(admin, server)
        for name in DATABASES:
            admin.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        admin.execute(
            sql.SQL("ALTER DATABASE source OWNER TO {}").format(sql.Identifier(stack.APPLICATION))
        )
    with server.connect(SUPERUSER, "warehouse") as admin:
        roles = resources.files("totesys_dagster.warehouse") / "sql" / "roles.sql"
        admin.execute(roles.read_text(encoding="utf-8"))


@contextlib.contextmanager
def environment(server: Server, project: Path) -> Iterator[None]:
    """The settings of a project whose systems are all its own."""
    values = {
        settings.SOURCE_DSN: server.dsn(stack.EXTRACTOR, "source"),
        settings.WAREHOUSE_DSN: server.dsn(stack.LOADER, "warehouse"),
        settings.WAREHOUSE_ADMIN_DSN: server.dsn(stack.ADMIN, "warehouse"),
        settings.INGESTION_URL: str(project / "lake" / "ingestion"),
        settings.PROCESSED_URL: str(project / "lake" / "processed"),
        settings.DROPS_URL: str(project / "drops"),
        settings.RATES_URL: "off",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in values.items():
            patch.setenv(name, value)
        yield


def _story(server: Server) -> None:
    with server.connect(stack.APPLICATION, "source") as application:
        simulator.create_source(application)
        few_rows(application)
        with server.connect(SUPERUSER, "source") as admin:
            stack.grant_extractor(admin)
        _deliver(Path("drops", "sales_target", "targets.csv"))
        totesys("migrate")
        totesys("run")
        for edit in EDITS:
            application.execute(edit.encode())
            totesys("run")
    _publish()
    totesys("verify")


def _deliver(file: Path) -> None:
    file.parent.mkdir(parents=True)
    file.write_text(HEADER + TARGETS)
    os.utime(file, (LONG_AGO, LONG_AGO))


def totesys(*arguments: str) -> str:
    """Run a command in this process and this directory, and return what it prints."""
    done = CliRunner().invoke(cli.main, arguments)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done.stdout


def _publish() -> None:
    from totesys_dagster.definitions import defs

    with opened_instance() as instance:
        defs.resolve_job_def("reports_page").execute_in_process(instance=instance)


def _tick(project: Path) -> None:
    """Keep the cursor that the sensor of the source leaves."""
    from totesys_dagster.definitions import defs
    from totesys_dagster.resources import Lake, SourceDatabase, Warehouse

    with opened_instance() as instance:
        context = dg.build_sensor_context(
            instance=instance,
            resources={"source": SourceDatabase(), "lake": Lake(), "warehouse": Warehouse()},
        )
        defs.resolve_sensor_def(SENSOR)(context)
    module = ["-m", "totesys_dagster.definitions", SENSOR]
    subprocess.run(
        [sys.executable, "-m", "dagster", "sensor", "cursor", "--set", context.cursor, *module],
        env={**os.environ, "DAGSTER_HOME": str(project)},
        check=True,
        capture_output=True,
    )


def _dump(server: Server, database: str) -> bytes:
    """The database as plain SQL, with owners and rights."""
    program = find_binaries() / "pg_dump"
    dsn = server.dsn(SUPERUSER, database)
    return subprocess.run([program, "--dbname", dsn], check=True, capture_output=True).stdout


def shown(server: Server) -> dict[str, list[Mapping[str, Any]]]:
    """The ledger, and all rows of the histories and current views, by name and in order."""
    with server.connect(SUPERUSER, "warehouse") as connection:
        query = (
            "SELECT format('%I.%I', schemaname, viewname) FROM pg_views"
            " WHERE schemaname = 'warehouse' ORDER BY 1"
        )
        views = [name for (name,) in connection.execute(query)]
        names = ["warehouse_bookkeeping.batch", "warehouse.dim_date", *views]
        return {
            name: [row for (row,) in connection.execute(_ROWS.format(name).encode())]
            for name in names
        }


_ROWS = "SELECT to_jsonb(r) FROM {} AS r ORDER BY to_jsonb(r)::text"  # nosec B608


def _anonymize(database: Path, project: Path) -> None:
    """Take the directories and the name of this machine out of a database of Dagster's."""
    names = {str(project): ELSEWHERE, str(ROOT): ELSEWHERE, f"{platform.node()}:": "localhost:"}
    connection = sqlite3.connect(database)
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    for (table,) in tables:
        columns = connection.execute(f"PRAGMA table_info({table})").fetchall()
        for column in (name for _, name, type_, *_ in columns if type_ not in ("INTEGER", "BLOB")):
            for name, other in names.items():
                connection.execute(
                    f'UPDATE {table} SET "{column}" = replace("{column}", ?, ?)'
                    f' WHERE instr("{column}", ?)',
                    [name, other, name],
                )
    connection.commit()
    connection.execute("PRAGMA journal_mode = DELETE")
    connection.execute("VACUUM")
    connection.close()


def _packed(project: Path) -> bytes:
    """What there is to keep, the same bytes for the same files."""
    kept = [*(project / "lake").rglob("*"), *(project / ".dagster" / "storage").rglob("*.db")]
    kept += [project / f"{name}.sql" for name in DATABASES] + [project / "expected.json"]
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:xz", preset=9) as archive:
        for path in sorted(path for path in kept if path.is_file()):
            name = path.relative_to(project)
            if "probe" in name.parts:  # the proof that a store is sound is of the store alone
                continue
            member = tarfile.TarInfo(str(name))
            member.size = path.stat().st_size
            with path.open("rb") as file:
                archive.addfile(member, file)
    return buffer.getvalue()


if __name__ == "__main__":
    main()
