"""Real parts for tests: the embedded PostgreSQL server, databases made from templates, a lake.

One server serves the whole session. A database is copied from a template in milliseconds, so every
test gets its own and none can disturb another. All files are in memory where there is plenty of it.
"""

from __future__ import annotations

import datetime as dt
import functools
import gc
import itertools
import json
import os
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar, cast
from urllib.parse import unquote, urlsplit

import botocore.session
import psycopg
import pytest
from alembic.config import Config
from alembic.script import ScriptDirectory
from botocore.loaders import create_loader
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from totesys_dagster import settings, zone_urls
from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.ingestion import capture
from totesys_dagster.lake import probe
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.receipt import Receipt, touched_stars
from totesys_dagster.lake.store import Store
from totesys_dagster.local import programs, stack, supervisor
from totesys_dagster.local import server as postgres
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.postgres.patience import PatientConnection
from totesys_dagster.postgres.sessions import Connection, Names, connect
from totesys_dagster.processed.process import process_star
from totesys_dagster.warehouse import audit, healing, ledger, schema
from totesys_dagster.warehouse.ledger import Loaded
from totesys_dagster.warehouse.load import load_batch
from totesys_dagster.warehouse.standing import Audit
from totesys_dagster_tests import clusters, made_up
from totesys_simulator import simulator

Result = TypeVar("Result")

LAST_DAY = dt.date(2024, 11, 15)

_numbers = itertools.count(1)
_administrators: dict[str, psycopg.Connection] = {}
_making = threading.Lock()

# Where pytest makes its directories: no test is about a disk.
if clusters.roomy():
    os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", clusters.MEMORY)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """No setting of the developer's machine reaches a test, and none of a test another."""
    for name in [*os.environ]:
        if name.startswith("TOTESYS_") and name != settings.POSTGRES_BIN:
            monkeypatch.delenv(name)
    monkeypatch.delenv("DAGSTER_HOME", raising=False)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: a third of the time, a test waits for something else.
    On two cores, three workers take four fifths of the time of two."""
    return (os.cpu_count() or 1) + 1


def pytest_collection_finish() -> None:
    """All that is imported by now stays: the collector of garbage need not look at it again."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session", autouse=True)
def _models_of_aws_are_read_once() -> Iterator[None]:
    """A session of boto3 reads megabytes of JSON, for a quarter of a second, and each client of
    another environment is of a session of its own."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(botocore.session, "create_loader", functools.cache(create_loader))
        yield


@pytest.fixture(scope="session", autouse=True)
def _migrations_of_dagster_are_read_once() -> Iterator[None]:
    """Each new storage of Dagster is stamped with its last migration, to find which alembic imports
    all ninety: most of the tenth of a second that an ephemeral instance takes."""
    known: dict[tuple[str | None, ...], ScriptDirectory] = {}
    read = ScriptDirectory.from_config

    def once(config: Config) -> ScriptDirectory:
        place = (config.config_file_name, config.get_main_option("script_location"))
        if place not in known:
            known[place] = read(config)
        return known[place]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ScriptDirectory, "from_config", once)
        yield


@pytest.fixture(scope="session", autouse=True)
def _no_server_left(
    tmp_path_factory: pytest.TempPathFactory, in_memory: Path | None
) -> Iterator[None]:
    """No server outlives the session. Its files do so for a moment, as nobody need wait for the
    removal of so many."""
    yield
    places = [tmp_path_factory.getbasetemp(), *([in_memory] if in_memory else [])]
    removed: list[str | Path] = []
    for state in [state for place in places for state in place.rglob("server.json")]:
        directory = json.loads(state.read_text())["directory"]
        supervisor.stop(Path(directory) / "data", None, at_once=True)
        removed += [directory, state.parent]
    removed += [in_memory] if in_memory else []
    subprocess.Popen(["rm", "-rf", *removed], start_new_session=True)


@pytest.fixture(scope="session")
def in_memory() -> Path | None:
    """A directory in memory that the server can enter, None where there is little. Of the 300 files
    of a database, a disk makes a copy in 80 to 180 milliseconds, memory in 25."""
    binaries = programs.find_binaries()
    if clusters.place(binaries, programs.find_account()) != clusters.MEMORY:
        return None
    made = Path(tempfile.mkdtemp(prefix="totesys-tests-", dir=clusters.MEMORY))
    made.chmod(0o755)
    return made


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, in_memory: Path | None) -> Server:
    """The embedded server, in a directory of its own; it stops when the session's process ends."""
    home = in_memory / "server" if in_memory else tmp_path_factory.mktemp("server")
    server = postgres.start(home, stack.ROLES)
    with psycopg.connect(server.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
        _spare_hashes(connection, server)
        stack.create_roles(connection, server)
        # It opens transactions when it pleases, and some tests watch every transaction.
        connection.execute("ALTER SYSTEM SET autovacuum TO off")
        # No test cuts this server's power, and half a thousand databases take long to sync.
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            connection.execute(f"ALTER SYSTEM SET {setting} TO off")
        connection.execute("SELECT pg_reload_conf()")
    return server


def _spare_hashes(connection: psycopg.Connection, server: Server) -> None:
    """Of a password, each of thousands of connections computes 4096 hashes, 3 milliseconds."""
    if connection.info.server_version >= 160000:
        connection.execute("SET scram_iterations TO 1")
        connection.execute(
            sql.SQL("ALTER ROLE {} PASSWORD {}").format(
                sql.Identifier(SUPERUSER), sql.Literal(server.passwords[SUPERUSER])
            )
        )


@pytest.fixture(scope="session")
def new_database(server: Server) -> Callable[[str, str], str]:
    """Makes a database owned by a role, from a template, and returns its name."""

    def make(owner: str, template: str = "template0", encoding: str | None = None) -> str:
        name = f"test_{next(_numbers)}"
        _create_database(server, name, owner, template, encoding)
        return name

    return make


def _create_database(
    server: Server,
    name: str,
    owner: str,
    template: str,
    encoding: str | None = None,
    oid: int | None = None,
) -> None:
    """`encoding` is that of the template unless another one is asked for. One that is given its
    number takes the place of the one of its name."""
    connection = _administrator(server)
    query = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE {}").format(
        sql.Identifier(name), sql.Identifier(owner), sql.Identifier(template)
    )
    if encoding:
        query += sql.SQL(" ENCODING {}").format(sql.Literal(encoding))
    if oid is not None:
        query += sql.SQL(" OID {}").format(sql.Literal(oid))
        _drop_database(server, name)
    if connection.info.server_version >= 150000:
        query += sql.SQL(" STRATEGY file_copy")  # the other one takes half as long again
    connection.execute(query)


def _drop_database(server: Server, name: str) -> None:
    """Drop a database, whoever is still connected to it: half a thousand are gigabytes."""
    statement = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
    try:
        _administrator(server).execute(statement)
    except psycopg.OperationalError:  # the test has let the server crash
        _administrator(server).execute(statement)


def _administrator(server: Server) -> psycopg.Connection:
    """A connection that stays: two thousand of them would take ten seconds."""
    dsn = server.dsn(SUPERUSER, "postgres")
    if dsn not in _administrators or _administrators[dsn].closed:
        _administrators[dsn] = psycopg.connect(dsn, autocommit=True)
    return _administrators[dsn]


def _template(
    server: Server,
    name: str,
    fill: Callable[[psycopg.Connection], None],
    encoding: str | None = None,
) -> str:
    _create_database(server, name, stack.APPLICATION, "template0", encoding)
    with psycopg.connect(server.dsn(stack.APPLICATION, name), autocommit=True) as connection:
        simulator.create_source(connection)
        fill(connection)
    with psycopg.connect(server.dsn(SUPERUSER, name), autocommit=True) as admin:
        stack.grant_extractor(admin)
    return name


@pytest.fixture(scope="session")
def bare_template(server: Server) -> str:
    """ToteSys without a row."""
    return _template(server, "template_bare", lambda _: None)


@pytest.fixture(scope="session")
def small_template(server: Server) -> str:
    """ToteSys with a few rows in each table: see `few_rows`."""
    return _template(server, "template_small", few_rows)


@pytest.fixture(scope="session")
def latin_template(server: Server) -> str:
    """ToteSys with the same few rows, in a database that keeps text as LATIN1."""
    return _template(server, "template_latin", few_rows, "LATIN1")


@pytest.fixture(scope="session")
def full_template(server: Server) -> str:
    """ToteSys at its real size."""
    return _template(
        server, "template_full", lambda c: simulator.fill_history(c, last_day=LAST_DAY)
    )


@pytest.fixture(scope="session")
def warehouse_template(server: Server, new_database: Callable[..., str]) -> str:
    """A warehouse without a batch."""
    name = new_database(stack.LOADER)
    with psycopg.connect(server.dsn(stack.LOADER, name), autocommit=True) as connection:
        schema.migrate(connection, Names("warehouse"))
    return name


def few_rows(connection: psycopg.Connection) -> None:
    """Two or three rows a table, with the traps of the real data: the same in every test. A table
    that was added to ToteSys since has one."""
    connection.execute(
        """
        INSERT INTO address VALUES
            (1, '6826 Herzog Via', NULL, 'Avon', 'New Patienceburgh', '02841', 'Turkey',
             '0803 637401', '2022-11-03 14:20:49.962', '2022-11-03 14:20:49.962'),
            (2, '179 Alexie Cliffs', 'Flat 2', NULL, 'Aliso Viejo', '99305-7380',
             'Democratic People''s Republic of Korea', '9621 880720', '2022-11-03 14:20:49',
             '2022-11-03 14:20:49');
        INSERT INTO counterparty VALUES
            (1, 'Fahey, "Sons" and Co', 2, 'Micheal Toy', NULL,
             '2022-11-03 14:20:51.563', '2022-11-03 14:20:51.563'),
            (2, 'O''Keefe \\ Söhne', 1, NULL, 'Jean Hane III',
             '2022-11-03 14:20:51.563', '2022-11-03 14:20:51.563');
        INSERT INTO currency VALUES
            (1, 'GBP', '2022-11-03 14:20:49.962', '2022-11-03 14:20:49.962'),
            (2, 'USD', '2022-11-03 14:20:49.962', '2022-11-03 14:20:49.962'),
            (3, 'EUR', '2022-11-03 14:20:49.962', '2022-11-03 14:20:49.962');
        INSERT INTO department VALUES
            (1, 'Sales', 'Manchester', 'Richard Roma',
             '2022-11-03 14:20:49.962', '2022-11-03 14:20:49.962'),
            (2, 'Purchasing', 'Leds', NULL,
             '2022-11-03 14:20:49.962', '2022-11-03 14:20:49.962');
        INSERT INTO design VALUES
            (1, '2022-11-03 14:20:49.962', 'Wooden', '/usr/local', 'wooden-20220717-npgz.json',
             '2022-11-03 14:20:49.962'),
            (2, '2022-11-03 14:20:49.962', 'Bronze', '/private', 'bronze-20221024-4dds.json',
             '2022-11-03 14:20:49.962');
        INSERT INTO payment_type VALUES
            (1, 'SALES_RECEIPT', '2022-11-03 14:20:49.962', '2022-11-03 14:20:49.962'),
            (3, 'PURCHASE_PAYMENT', '2022-11-03 14:20:49.962', '2022-11-03 14:20:49.962');
        INSERT INTO staff VALUES
            (1, 'Jeremie', 'O''Keefe', 1, 'jeremie.okeefe@terrifictotes.com',
             '2022-11-03 14:20:51.563', '2022-11-03 14:20:51.563'),
            (2, 'Deron', 'Beier', 2, 'deron.beier@terrifictotes.com',
             '2022-11-03 14:20:51.563', '2022-11-03 14:20:51.563');
        INSERT INTO sales_order VALUES
            (1, '2022-11-03 14:20:52.186', '2022-11-03 14:20:52.186', 1, 1, 1, 42972, 3.94, 2,
             '2022-11-07', '2022-11-08', 2),
            (2, '2022-11-04 09:00:00', '2022-11-04 09:00:00', 2, 1, 2, 1001, 2.10, 1,
             '2022-11-05', '2022-11-04', 1);
        INSERT INTO purchase_order VALUES
            (1, '2022-11-03 14:20:52.187', '2022-11-03 14:20:52.187', 2, 2, '014OEPM', 371,
             361.39, 3, '2022-11-09', '2022-11-07', 1);
        INSERT INTO transaction VALUES
            (1, 'PURCHASE', NULL, 1, '2022-11-03 14:20:52.187', '2022-11-03 14:20:52.187'),
            (2, 'SALE', 1, NULL, '2022-11-03 14:20:52.186', '2022-11-03 14:20:52.186'),
            (3, 'SALE', 2, NULL, '2022-11-04 09:00:00', '2022-11-04 09:00:00');
        INSERT INTO payment VALUES
            (1, '2022-11-03 14:20:52.186', '2022-11-03 14:20:52.186', 2, 1, 169309.68, 2, 1,
             FALSE, '2022-11-08', 67305075, 31622269),
            (2, '2022-11-03 14:20:52.187', '2022-11-03 14:20:52.187', 1, 2, 134075.69, 3, 3,
             FALSE, '2022-11-07', 81718079, 47839086),
            (3, '2022-11-04 09:00:00', '2022-11-04 09:00:00', 3, 2, 2102.10, 1, 1,
             FALSE, '2022-11-04', 67305075, 47839086);
        """
    )
    made_up.fill(connection)
    for table in SOURCE_TABLES.values():
        connection.execute(
            sql.SQL("SELECT setval(pg_get_serial_sequence(%s, %s), max({})) FROM {}").format(
                sql.Identifier(table.key), sql.Identifier(table.name)
            ),
            [table.name, table.key],
        )


@dataclass
class Platform:
    """A source, a lake and a warehouse, connected as the real ones are, without Dagster.

    A database is made when somebody in this process first connects to it or asks for its name, and
    a connection when it is first asked for. A test that starts processes calls `make()`.
    """

    server: Server
    _source: str  # the names of the databases
    _warehouse: str
    names: Names
    ingestion: Store
    processed: Store
    kept: Kept | None = None  # None where the source is not the one that states are kept of
    unmade: dict[str, str] = field(default_factory=dict)  # their templates, by name

    @cached_property
    def application(self) -> psycopg.Connection:
        """Writes to the source as ToteSys does."""
        return psycopg.connect(
            self.server.dsn(stack.APPLICATION, self.source_database), autocommit=True
        )

    @cached_property
    def source(self) -> Connection:
        """The extractor's connection."""
        self._make(self._source)
        return connect(settings.SOURCE_DSN)

    @cached_property
    def warehouse(self) -> Connection:
        """The loader's connection."""
        self._make(self._warehouse)
        return connect(settings.WAREHOUSE_DSN)

    @property
    def source_database(self) -> str:
        self._make(self._source)
        return self._source

    @property
    def warehouse_database(self) -> str:
        self._make(self._warehouse)
        return self._warehouse

    @property
    def source_dsn(self) -> str:
        return self.server.dsn(stack.EXTRACTOR, self.source_database)

    @property
    def warehouse_dsn(self) -> str:
        return self.server.dsn(stack.LOADER, self.warehouse_database)

    def make(self) -> Platform:
        """Make the databases that are not made yet."""
        for database in [*self.unmade]:
            self._make(database)
        return self

    def _make(self, database: Any) -> None:
        with _making:  # the threads of a test may connect at once
            if template := self.unmade.get(database):
                is_source = database == self._source
                _create_database(
                    self.server,
                    database,
                    stack.APPLICATION if is_source else stack.LOADER,
                    template,
                    oid=Kept.OID if is_source and self.kept is not None else None,
                )
                del self.unmade[database]

    def writer(self) -> psycopg.Connection:
        """One more connection of the application, to hold a transaction open on."""
        return psycopg.connect(self.server.dsn(stack.APPLICATION, self.source_database))

    def capture(
        self, *, full: tuple[str, ...] = (), part_bytes: int = 1 << 20, whole: bool = False
    ) -> Manifest | None:
        """Capture a batch, None when nothing changed."""
        with capture.open_capture(
            self.source,
            self.ingestion,
            run_id="test",
            part_bytes=part_bytes,
            full=full,
            whole=whole,
        ) as batch:
            if not batch.changed:
                return None
            for read in batch.reads():
                read.write(self.ingestion)
            return batch.commit()

    def process(self, manifest: Manifest) -> dict[str, Receipt]:
        """Process every table that the batch touches."""
        return {
            star.name: process_star(star, manifest, self.ingestion, self.processed)
            for star in touched_stars(manifest)
        }

    def load(self, manifest: Manifest, *, quarantine_limit: int = 100) -> Loaded:
        return load_batch(
            self.warehouse,
            self.names,
            manifest,
            self.ingestion,
            self.processed,
            quarantine_limit=quarantine_limit,
        )

    def run(self, *, full: tuple[str, ...] = ()) -> Loaded | None:
        """Take what changed the whole way, None when nothing did."""
        manifest = self.capture(full=full)
        if manifest is None:
            return None
        self.process(manifest)
        return self.load(manifest)

    def first(self) -> Loaded:
        """Take the first batch of a source to which nothing has happened yet the whole way: it is
        the same in all tests, is taken once, and is copied from then on."""
        loaded = self.come_to("first", Platform.run, source=False)
        assert loaded is not None
        return loaded

    def first_capture(self) -> Manifest:
        """Capture that batch, and no more."""
        manifest = self.come_to("captured", Platform.capture, source=False, warehouse=False)
        assert manifest is not None
        return manifest

    def come_to(
        self,
        state: str,
        steps: Callable[[Platform], Result],
        *,
        source: bool = True,
        warehouse: bool = True,
    ) -> Result:
        """Bring a platform of which nothing was asked yet into a state that many tests begin with,
        by these steps or, in a test that is not the first with it, by a copy of what they led to:
        of the lake and of those databases that the steps change. The source's count of deleted rows
        is not copied; it begins anew, as after a crash."""
        if self.kept is None:
            return steps(self)
        if state in self.kept.results:
            self.close()
            self.kept.bring_back(state, self)
        else:
            result = steps(self)
            self.close()
            self.kept.keep(state, self, result, source=source, warehouse=warehouse)
        self.ingestion = Store(self.ingestion.url, self.ingestion.setting)
        self.processed = Store(self.processed.url, self.processed.setting)
        return cast("Result", self.kept.results[state])

    def come_back(self, database: str, template: str) -> None:
        """Let a database be a copy of this one, once it is asked for."""
        if database not in self.unmade:
            _drop_database(self.server, database)
        self.unmade[database] = template

    def close(self) -> None:
        """Close the connections; each is opened again when it is asked for."""
        for name in ("application", "source", "warehouse"):
            if name in self.__dict__:
                self.__dict__.pop(name).close()

    def audit(self) -> Mapping[str, Audit]:
        """Digest the source, compare every table with it, and ask for what is to be healed."""
        with capture.open_capture(
            self.source, self.ingestion, run_id="audit", part_bytes=1 << 20, whole=True
        ) as batch:
            found = batch.write_audit()
        with ledger.exclusive(self.warehouse, self.names):
            audits = audit.audit_source(self.warehouse, self.names, found)
        assert audits is not None
        healing.request_healing(self.warehouse, self.names, self.ingestion, found.stars)
        return audits

    def rows(self, query: str) -> list[tuple]:  # type: ignore[type-arg]
        """What a query over the warehouse gives; its tables need no schema name."""
        self.warehouse.execute("SET search_path TO warehouse, warehouse_bookkeeping")
        return self.warehouse.execute(query).fetchall()  # type: ignore[arg-type]


@dataclass
class Kept:
    """States of the platform over a few rows that tests begin with, as databases and directories to
    be copied. A lake knows its source by name and number of the database: each test's has the same,
    one after the other."""

    server: Server
    small_template: str
    directory: Path
    results: dict[str, object] = field(default_factory=dict)  # what the steps gave, by state
    _lakes: dict[str, Path] = field(default_factory=dict)
    _templates: dict[tuple[str, str], str] = field(default_factory=dict)

    SOURCE = "test_source"
    OID = 1_000_000

    def keep(
        self, state: str, platform: Platform, result: object, *, source: bool, warehouse: bool
    ) -> None:
        self._lakes[state] = self.directory / str(next(_numbers))
        for zone in (platform.ingestion, platform.processed):
            if _place(zone).exists():
                shutil.copytree(_place(zone), self._lakes[state] / _place(zone).name)
        for database, owner, changed in (
            (platform._source, stack.APPLICATION, source),
            (platform._warehouse, stack.LOADER, warehouse),
        ):
            if changed:
                template = self._templates[state, owner] = f"template_{next(_numbers)}"
                _create_database(self.server, template, owner, database)
        self.results[state] = result

    def bring_back(self, state: str, platform: Platform) -> None:
        if source := self._templates.get((state, stack.APPLICATION)):
            platform.come_back(platform._source, source)
        if warehouse := self._templates.get((state, stack.LOADER)):
            platform.come_back(platform._warehouse, warehouse)
        for zone in (platform.ingestion, platform.processed):
            if (kept := self._lakes[state] / _place(zone).name).exists():
                shutil.copytree(kept, _place(zone))
                probe._proven.add(zone._backend.address)  # as it was when the copy was made


def _place(zone: Store) -> Path:
    """The directory that a zone is."""
    return Path(unquote(urlsplit(zone.url).path))


@pytest.fixture(scope="session")
def kept(
    server: Server, small_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Kept | None:
    with psycopg.connect(server.dsn(SUPERUSER, "postgres")) as connection:
        if connection.info.server_version < 150000:  # gives databases their number
            return None
    return Kept(server, small_template, tmp_path_factory.mktemp("kept"))


@pytest.fixture
def platform_on(
    server: Server,
    warehouse_template: str,
    kept: Kept | None,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Callable[[str], Platform]]:
    """Makes a platform whose source is a copy of a template; its settings are set as well."""
    opened: list[Platform] = []

    def make(template: str) -> Platform:
        keeps = kept is not None and template == kept.small_template and not opened
        source = Kept.SOURCE if keeps else f"test_{next(_numbers)}"
        warehouse = f"test_{next(_numbers)}"
        monkeypatch.setenv(settings.SOURCE_DSN, server.dsn(stack.EXTRACTOR, source))
        monkeypatch.setenv(settings.WAREHOUSE_DSN, server.dsn(stack.LOADER, warehouse))
        monkeypatch.setenv(settings.INGESTION_URL, str(tmp_path / "ingestion"))
        monkeypatch.setenv(settings.PROCESSED_URL, str(tmp_path / "processed"))
        platform = Platform(
            server,
            source,
            warehouse,
            Names("warehouse"),
            Store(zone_urls.zone_url(settings.INGESTION_URL), settings.INGESTION_URL),
            Store(zone_urls.zone_url(settings.PROCESSED_URL), settings.PROCESSED_URL),
            kept if keeps else None,
            {source: template, warehouse: warehouse_template},
        )
        opened.append(platform)
        return platform

    open_ = PatientConnection.connect

    def connect_to(conninfo: str, **more: Any) -> Any:
        for platform in opened:
            platform._make(conninfo_to_dict(conninfo).get("dbname"))
        return open_(conninfo, **more)

    monkeypatch.setattr(PatientConnection, "connect", connect_to)
    yield make
    for platform in opened:
        platform.close()
        for database in {platform._source, platform._warehouse} - platform.unmade.keys():
            _drop_database(server, database)


@pytest.fixture
def platform(platform_on: Callable[[str], Platform], small_template: str) -> Platform:
    """A platform over a few rows."""
    return platform_on(small_template)


@pytest.fixture
def full_platform(platform_on: Callable[[str], Platform], full_template: str) -> Platform:
    """A platform over the simulated business at its real size."""
    return platform_on(full_template)


@pytest.fixture
def empty_source(server: Server, new_database: Callable[..., str]) -> Iterator[psycopg.Connection]:
    """An autocommit connection to a fresh, empty database, as its owner."""
    name = new_database(stack.APPLICATION)
    with psycopg.connect(server.dsn(stack.APPLICATION, name), autocommit=True) as connection:
        yield connection
