"""What each release has left behind, taken to the code of today.

`make archive` wrote one archive at each release: a lake, a warehouse, a source and Dagster's
history. The restored source is another server with other transaction ids, as after a move.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
from psycopg.errors import DuplicateObject, DuplicateTable, UniqueViolation

from tools import archive
from tools.archive import DATABASES, RELEASES, ROOT, SENSOR, totesys
from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES, Kind
from totesys_dagster.dagster_home import opened_instance
from totesys_dagster.definitions import defs
from totesys_dagster.local import server as postgres
from totesys_dagster.local import stack
from totesys_dagster.local.programs import find_binaries
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.orchestration import rates
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster_tests.rates.conftest import use_history

ARCHIVES = sorted(RELEASES.glob("*.tar.xz"))
BATCHES = len(archive.EDITS) + 1
SOURCE_SQL = ROOT / "totesys_simulator" / "source.sql"

Rows = Mapping[str, list[Mapping[str, Any]]]


@dataclass
class Kept:
    """An unpacked archive: a project, and the rows that its warehouse showed then."""

    server: Server
    then: Rows

    def now(self) -> Rows:
        """What the warehouse shows now, of what it showed then: later columns do not count."""
        found = archive.shown(self.server)
        return {
            name: sorted(
                ({key: row[key] for key in rows[0]} for row in found[name]), key=json.dumps
            )
            for name, rows in self.then.items()
        }


@pytest.fixture(scope="module")
def server_apart(tmp_path_factory: pytest.TempPathFactory, in_memory: Path | None) -> Server:
    """A server of its own, with the roles that a user creates."""
    return postgres.start(
        in_memory / "releases" if in_memory else tmp_path_factory.mktemp("releases"), stack.ROLES
    )


@pytest.fixture(params=ARCHIVES, ids=lambda path: path.name.removesuffix(".tar.xz"))
def kept(
    request: pytest.FixtureRequest,
    server_apart: Server,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Kept]:
    with tarfile.open(request.param) as packed:
        packed.extractall(tmp_path, filter="data")
    shutil.copy(ROOT / "dagster.yaml", tmp_path)
    use_history(monkeypatch, archive.BANK)
    archive.create_databases(server_apart)
    for name in DATABASES:
        restore(server_apart.dsn(SUPERUSER, name), tmp_path / f"{name}.sql")
    bring_tables(server_apart)
    then = json.loads((tmp_path / "expected.json").read_text())
    ordered = {name: sorted(rows, key=json.dumps) for name, rows in then.items()}
    with archive.environment(server_apart, tmp_path), contextlib.chdir(tmp_path):
        yield Kept(server_apart, ordered)
    with server_apart.connect(SUPERUSER, "postgres") as admin:
        for name in DATABASES:
            admin.execute(f"DROP DATABASE {name} WITH (FORCE)".encode())


def restore(dsn: str, file: Path) -> None:
    command = [find_binaries() / "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", file, "--dbname", dsn]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)


def bring_tables(server: Server) -> None:
    """Let the source have the tables, too, that ToteSys has got since the release."""
    there = (DuplicateTable, DuplicateObject, UniqueViolation)
    with server.connect(stack.APPLICATION, "source") as application:
        for statement in SOURCE_SQL.read_text().split(";\n"):
            with contextlib.suppress(*there):
                application.execute(statement.encode())
    with server.connect(SUPERUSER, "source") as admin:
        stack.grant_extractor(admin)


def test_there_is_an_archive_of_each_release() -> None:
    """A version with a date in the changelog is released."""
    heads = (ROOT / "CHANGELOG.md").read_text().split("\n## [")[1:]
    released = [
        head.split("]")[0] for head in heads if head.split("\n")[0].split()[-1][0].isdigit()
    ]
    names = [path.name.removesuffix(".tar.xz") for path in ARCHIVES]

    assert names
    assert set(released) <= {*names}


def test_state_of_a_release_is_what_it_was(kept: Kept) -> None:
    totesys("migrate")
    warehouse = json.loads(totesys("status", "--json"))["warehouse"]

    tables = {name: warehouse["tables"][name] for name in unchanged(kept.then)}

    assert (warehouse["batches"], warehouse["outdated"]) == (BATCHES, [])
    assert {(table["equal"], table["proved"]) for table in tables.values()} == {(True, True)}
    assert warehouse["equal"] or tables.keys() < STAR_TABLES.keys()
    assert json.loads(totesys("verify", "--json"))["findings"] == []
    assert kept.now() == kept.then


def unchanged(then: Rows) -> set[str]:
    """The tables that have no column which the release had not, the calendar if that is so of all
    facts: what was proved of them holds."""
    known = {
        name.removeprefix("warehouse.").removeprefix("current_"): rows[0].keys()
        for name, rows in then.items()
        if rows
    }
    same = {
        name
        for name, star in STAR_TABLES.items()
        if name in known and {*star.column_names} <= known[name]
    }
    facts = {name for name, star in STAR_TABLES.items() if star.kind is Kind.FACT}
    return same if facts <= same else same - {"dim_date"}


def test_state_of_a_release_goes_on(kept: Kept, monkeypatch: pytest.MonkeyPatch) -> None:
    """The source is another server: it is read in full, which brings only what has changed."""
    is_due = rates.is_due  # asked on the day of the archive: each later day has rates of its own
    monkeypatch.setattr(
        rates, "is_due", lambda known, _today: is_due(known, known and known.known.as_of)
    )
    totesys("migrate")
    runs = count_runs()
    with kept.server.connect(stack.APPLICATION, "source") as application:
        application.execute("UPDATE sales_order SET units_sold = 7 WHERE sales_order_id = 2")
    [batch] = json.loads(totesys("run", "--json"))["batches"]
    changed = {
        name: (table["new"], table["changed"], table["deleted"])
        for name, table in batch["tables"].items()
    }
    now = kept.now()
    others = [name for name in now if not name.endswith(("batch", "fact_sales_order"))]

    assert batch["sequence"] == BATCHES + 1
    assert len(Lake().log().read(BATCHES + 1).tables) == len(SOURCE_TABLES)
    assert changed.pop("fact_sales_order") == (0, 1, 0)
    assert set(changed.values()) == {(0, 0, 0)}
    assert versions(now) == [*versions(kept.then)[:-1], *superseded(kept.then, now)]
    assert {name: now[name] for name in others} == {name: kept.then[name] for name in others}
    assert count_runs() == runs + 1
    rebuilt = json.loads(totesys("rebuild", "--json"))
    assert set(rebuilt["different"].values()) == {0}


def versions(rows: Rows) -> list[Mapping[str, Any]]:
    """The history of all sales orders, with those of order 2 at the end."""
    return sorted(
        rows["warehouse.history_fact_sales_order"],
        key=lambda row: (row["sales_order_id"] == 2, row["sales_order_id"], row["version"]),
    )


def superseded(then: Rows, now: Rows) -> Iterator[Mapping[str, Any]]:
    """The version of order 2 that was current, which ends now, and the one that is."""
    last, new = versions(then)[-1], versions(now)[-1]
    yield last | {"valid_to": new["valid_from"]}
    lineage = {"version", "batch_seq", "observed_at", "valid_from", "sales_record_id"}
    yield last | {"units_sold": 7} | {name: new[name] for name in lineage}


def count_runs() -> int:
    with opened_instance() as instance:
        return instance.get_runs_count()


@pytest.mark.usefixtures("kept")
def test_history_of_dagster_is_readable() -> None:
    table = dg.AssetKey(["warehouse", "fact_sales_order"])
    with opened_instance() as instance:
        runs = instance.get_runs()
        materialized = instance.fetch_materializations(table, limit=100).records
        [state] = [s for s in instance.all_instigator_state() if s.instigator_name == SENSOR]
        batches = instance.get_dynamic_partitions("batch")

        assert len(runs) > BATCHES
        assert all(run.is_success for run in runs)
        assert len(materialized) == len(batches) == BATCHES
        assert isinstance(tick(instance, state), dg.SensorResult)


def tick(instance: dg.DagsterInstance, state: Any) -> object:
    """What the sensor answers that goes on with the cursor of then."""
    cursor = state.instigator_data.cursor
    context = dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        resources={"source": SourceDatabase(), "lake": Lake(), "warehouse": Warehouse()},
    )
    answer = defs.resolve_sensor_def(SENSOR)(context)
    assert cursor
    assert context.cursor != cursor
    return answer


@pytest.mark.long
def test_archive_of_today_can_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise, nobody finds out before the day of a release."""
    monkeypatch.setattr(archive, "RELEASES", tmp_path)
    archive.main()
    [written] = tmp_path.iterdir()

    assert files_of(written) == files_of(ARCHIVES[-1])


def files_of(path: Path) -> set[str]:
    """The files of an archive, except those of the lake."""
    with tarfile.open(path) as opened:
        return {name for name in opened.getnames() if not name.startswith("lake/")}
