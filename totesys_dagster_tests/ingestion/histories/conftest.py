"""A platform whose source is on servers that a test may copy, kill, promote and set back."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import dagster as dg
import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from totesys_dagster import settings, zone_urls
from totesys_dagster.definitions import defs
from totesys_dagster.ingestion.changes import OTHER_HISTORY
from totesys_dagster.ingestion.poll import Poll, PollCursor, poll
from totesys_dagster.lake.audits import AuditLog
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.store import Store
from totesys_dagster.local import programs, stack
from totesys_dagster.local.server import Server
from totesys_dagster.orchestration.whole_path import BatchReport, run_path
from totesys_dagster.postgres.sessions import Names, connect
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.warehouse.audit import Audit
from totesys_dagster.warehouse.ledger import Loaded
from totesys_dagster_tests.clusters import SOURCE, Cluster, Clusters, clusters
from totesys_dagster_tests.conftest import Platform, few_rows
from totesys_dagster_tests.endpoint import Endpoint, endpoint
from totesys_dagster_tests.ingestion.test_other_servers import any_binaries
from totesys_simulator import simulator

NOW = dt.datetime(2024, 11, 15, 12, tzinfo=dt.UTC)

# What both sides must agree on, by the query of the source and that of the warehouse: asked here of
# the rows themselves, and not of the digests that the platform compares.
SAME = {
    "SELECT sales_order_id, design_id, units_sold, unit_price FROM sales_order": (
        "SELECT sales_order_id, design_id, units_sold, unit_price FROM current_fact_sales_order"
    ),
    "SELECT purchase_order_id, staff_id, item_unit_price FROM purchase_order": (
        "SELECT purchase_order_id, staff_id, item_unit_price FROM current_fact_purchase_order"
    ),
    "SELECT payment_id, payment_amount, paid FROM payment": (
        "SELECT payment_id, payment_amount, paid FROM current_fact_payment"
    ),
    "SELECT design_id, design_name FROM design": (
        "SELECT design_id, design_name FROM dim_design WHERE NOT is_deleted"
    ),
    "SELECT staff_id, first_name FROM staff": (
        "SELECT staff_id, first_name FROM dim_staff WHERE NOT is_deleted"
    ),
}


@dataclass
class Site:
    """A platform, the server that its source was on at first, and more of them when needed."""

    platform: Platform
    clusters: Clusters
    primary: Cluster
    _stack: ExitStack
    _patch: pytest.MonkeyPatch
    _instance: dg.DagsterInstance | None = None

    def standby(self, of: Cluster | None = None, **configuration: str) -> Cluster:
        return self.clusters.standby(of or self.primary, **configuration)

    def endpoint(self, *of: Cluster) -> Endpoint:
        """An address that leads to these servers in turn."""
        return self._stack.enter_context(endpoint([one.server.port for one in of]))

    def look_at(self, place: Cluster | Endpoint) -> None:
        """Let the source's setting point there."""
        port = place.port if isinstance(place, Endpoint) else place.server.port
        dsn = make_conninfo(self.primary.dsn(stack.EXTRACTOR), port=port)
        self._patch.setenv(settings.SOURCE_DSN, dsn)

    def connect(self) -> None:
        """Connect anew, as every look of the platform does."""
        if "source" in vars(self.platform):  # or this would be two looks
            self.platform.source.close()
        self.platform.source = connect(settings.SOURCE_DSN)

    def capture(self) -> Manifest | None:
        self.connect()
        return self.platform.capture()

    def run(self) -> Loaded | None:
        self.connect()
        return self.platform.run()

    def captured(self) -> Manifest:
        """Take a batch, which has to be due, the whole way."""
        manifest = self.capture()
        assert manifest is not None
        self.platform.process(manifest)
        self.platform.load(manifest)
        return manifest

    def poll(self, cursor: PollCursor | None = None, now: dt.datetime = NOW) -> Poll:
        self.connect()
        return poll(self.platform.source, self.platform.ingestion, cursor or PollCursor(), now)

    def audit(self) -> Mapping[str, Audit]:
        self.connect()
        return self.platform.audit()

    @property
    def instance(self) -> dg.DagsterInstance:
        if self._instance is None:
            self._instance = self._stack.enter_context(dg.DagsterInstance.ephemeral())
        return self._instance

    def whole_path(self) -> list[BatchReport]:
        """What `totesys run` does, in this process."""
        places = (SourceDatabase(), Lake(), Warehouse())
        return run_path(self.instance, defs.resolve_job_def, *places)

    def tick(self) -> str | dg.SensorResult:
        """What the sensor of the source answers, or why it skips."""
        context = dg.build_sensor_context(
            instance=self.instance,
            resources={"source": SourceDatabase(), "lake": Lake(), "warehouse": Warehouse()},
        )
        answer = defs.resolve_sensor_def("source_changes")(context)
        if isinstance(answer, dg.SkipReason):
            return answer.skip_message or ""
        assert isinstance(answer, dg.SensorResult)
        return answer

    def head(self) -> Manifest:
        head = ManifestLog(self.platform.ingestion).head()
        assert head is not None
        return head

    def audits(self) -> int:
        """How many audit objects the lake has."""
        return AuditLog(self.platform.ingestion).end()

    def differences(self, source: Cluster) -> list[str]:
        """The queries to which the source and the warehouse give other rows."""
        return [
            ours
            for theirs, ours in SAME.items()
            if sorted(source.execute(theirs)) != sorted(self.platform.rows(ours))
        ]

    def versions(self, table: str = "fact_sales_order") -> int:
        """How many versions a fact has."""
        return int(self.platform.rows(f"SELECT count(*) FROM {table}")[0][0])


def full_reads(manifest: Manifest | None) -> dict[str, str]:
    """The tables that a batch has read in full, with the reason."""
    tables = manifest.tables if manifest else {}
    return {name: entry.reason for name, entry in tables.items() if entry.read == "full"}


def is_of_another_history(manifest: Manifest | None) -> bool:
    """Whether every table was read in full because the source is another one."""
    return manifest is not None and all(
        entry.reason == OTHER_HISTORY for entry in manifest.tables.values()
    )


@pytest.fixture(scope="session", params=any_binaries(), ids=str)
def binaries(request: pytest.FixtureRequest) -> Path:
    """The programs of the embedded server, and of those of other versions that are here."""
    found = request.param or programs.find_binaries()
    assert isinstance(found, Path)
    return found


@pytest.fixture(scope="session")
def stopped(binaries: Path) -> Iterator[Cluster]:
    """A server with a source of a few rows, to be copied."""
    with clusters(binaries) as made:
        cluster = new_cluster(made)
        cluster.stop()
        yield cluster


def new_cluster(made: Clusters) -> Cluster:
    """A running server with a source of a few rows, made from nothing."""
    cluster = made.new()
    cluster.start()
    with psycopg.connect(cluster.dsn(database="postgres"), autocommit=True) as admin:
        stack.create_roles(admin, cluster.server)
    create_source(cluster, SOURCE)
    return cluster


def create_source(cluster: Cluster, name: str) -> None:
    """Make ToteSys with its few rows."""
    create = sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(
        sql.Identifier(name), sql.Identifier(stack.APPLICATION)
    )
    with psycopg.connect(cluster.dsn(database="postgres"), autocommit=True) as admin:
        admin.execute(create)
    dsn = cluster.dsn(stack.APPLICATION, name)
    with psycopg.connect(dsn, autocommit=True) as application:
        simulator.create_source(application)
        few_rows(application)
    with psycopg.connect(cluster.dsn(database=name), autocommit=True) as admin:
        stack.grant_extractor(admin)


@pytest.fixture
def site(
    stopped: Cluster,
    server: Server,
    new_database: Callable[..., str],
    warehouse_template: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    """A platform over a few rows that are on a server of its own; the warehouse is elsewhere."""
    with ExitStack() as stack_:
        made = stack_.enter_context(clusters(stopped.binaries))
        primary = made.copy(stopped, "primary")
        primary.start()
        warehouse = new_database(stack.LOADER, warehouse_template)
        monkeypatch.setenv(settings.SOURCE_DSN, primary.dsn(stack.EXTRACTOR))
        monkeypatch.setenv(settings.WAREHOUSE_DSN, server.dsn(stack.LOADER, warehouse))
        monkeypatch.setenv(settings.INGESTION_URL, str(tmp_path / "ingestion"))
        monkeypatch.setenv(settings.PROCESSED_URL, str(tmp_path / "processed"))
        platform = Platform(
            primary.server,
            SOURCE,
            warehouse,
            Names("warehouse"),
            Store(zone_urls.zone_url(settings.INGESTION_URL), settings.INGESTION_URL),
            Store(zone_urls.zone_url(settings.PROCESSED_URL), settings.PROCESSED_URL),
        )
        site = Site(platform, made, primary, stack_, monkeypatch)
        yield site
        platform.close()


def catch_up(standby: Cluster, primary: Cluster) -> None:
    """Wait until a standby has replayed all that was committed on the primary."""
    standby.wait_for_replay(primary.position())


def transactions(cluster: Cluster, count: int) -> None:
    """Hand out so many transaction ids."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        for _ in range(count):
            connection.execute("SELECT pg_current_xact_id()")


def ids_to(cluster: Cluster, xid: int) -> None:
    """Hand out transaction ids until the next one is `xid`."""
    transactions(cluster, xid - next_id(cluster))
    assert next_id(cluster) == xid


def next_id(cluster: Cluster) -> int:
    """The transaction id that is handed out next, where none is running."""
    return int(cluster.value("SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"))


def statement(text: str) -> Any:
    """SQL that is not a literal, for a connection."""
    return text
