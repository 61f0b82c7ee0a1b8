"""An address behind which there are several servers: a primary and its standbys, or standbys only.

Each connection leads to the next of them, in turn.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from totesys_dagster import settings
from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.ingestion import blocks, changes, source_view
from totesys_dagster.ingestion.blocks import Readers
from totesys_dagster.ingestion.known import Known
from totesys_dagster.local import stack
from totesys_dagster.postgres.sessions import connect
from totesys_dagster_tests.clusters import Cluster
from totesys_dagster_tests.edits import (
    DELETE_ORDER_1,
    EDIT_ORDER_1,
    EDIT_ORDER_1_BACK,
    new_design,
    new_sale,
)
from totesys_dagster_tests.endpoint import Endpoint
from totesys_dagster_tests.ingestion.histories.conftest import (
    Site,
    catch_up,
    full_reads,
    statement,
)
from totesys_dagster_tests.ingestion.test_capture import lines

pytestmark = pytest.mark.long

Place = tuple[list[Cluster], Endpoint]

KINDS = {"primary and standby": 1, "two standbys": 2, "primary and two standbys": 2}


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, site: Site) -> Place:
    """The servers, and the address that leads to all of them."""
    standbys = [site.standby() for _ in range(KINDS[request.param])]
    servers = [*([site.primary] if "primary" in request.param else []), *standbys]
    address = site.endpoint(*servers)
    site.look_at(address)
    return servers, address


def write(site: Site, servers: list[Cluster], *statements: str) -> None:
    """Write, and wait until every server has it."""
    site.primary.write(*statements)
    for server in servers:
        if server is not site.primary:
            catch_up(server, site.primary)


def test_large_tables_are_read_over_one_connection_where_the_next_leads_elsewhere(
    site: Site, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "LARGE_BLOCKS", 1)
    monkeypatch.setattr(blocks, "READERS", 3)
    servers, address = place
    site.connect()
    address.taken.clear()
    manifest = site.platform.capture()

    assert manifest is not None
    assert len(address.taken) == 1  # a second one was tried, which led to another server
    for table in SOURCE_TABLES:
        query = f"SELECT row_to_json(r)::text FROM {table} AS r"
        source = sorted(row for (row,) in servers[-1].execute(query))
        assert sorted(line.decode() for line in lines(site.platform, manifest, table)) == source


def test_large_tables_are_read_side_by_side_where_hosts_are_named(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Further connections go to the one of several hosts that the first has come to."""
    monkeypatch.setattr(blocks, "LARGE_BLOCKS", 1)
    monkeypatch.setattr(blocks, "READERS", 3)
    servers = [site.standby(), site.standby()]
    for server in servers:
        catch_up(server, site.primary)
    ports = ",".join(str(server.server.port) for server in servers)
    hosts = make_conninfo(
        site.primary.dsn(stack.EXTRACTOR),
        host="127.0.0.1,127.0.0.1",
        port=ports,
        load_balance_hosts="random",
    )
    monkeypatch.setenv(settings.SOURCE_DSN, hosts)
    with connect(settings.SOURCE_DSN) as source, source_view.open_view(source) as view:
        readers = Readers(view)
        found = {connection.info.port for connection in readers.connections()}
        count = len(readers.connections())
        readers.close()

    assert count == 3
    assert len(found) == 1


def test_every_version_arrives_once(site: Site, place: Place) -> None:
    servers, _ = place
    site.captured()
    batches = [
        (write(site, servers, *edits), site.captured())[1]
        for edits in (
            [EDIT_ORDER_1],
            [EDIT_ORDER_1_BACK, new_sale(7)],
            [new_sale(9), new_design(9)],
            [EDIT_ORDER_1],
            [DELETE_ORDER_1],
            ["UPDATE staff SET first_name = 'Ann' WHERE staff_id = 2"],
        )
    ]

    assert [full_reads(batch) for batch in batches] == [{}] * 6
    # Two at first, three edits, two new ones, and a deletion.
    assert site.versions() == 8
    assert site.differences(site.primary) == []
    write(site, servers)  # autovacuum may have written meanwhile
    assert all(found.equal for found in site.audit().values())


def test_transactions_that_commit_late_arrive(site: Site, place: Place) -> None:
    """Servers tell different things of transactions that are running; nothing may fall between."""
    servers, _ = place
    site.captured()
    with psycopg.connect(site.primary.dsn(stack.APPLICATION)) as late:
        for number in range(8):
            late.execute(statement(EDIT_ORDER_1 if number % 2 else EDIT_ORDER_1_BACK))
            late.execute("SAVEPOINT here")
            late.execute(statement(new_design(20 + number)))
            write(site, servers, new_sale(30 + number))
            site.run()
            if number % 3 == 1:
                late.commit()
                write(site, servers)
                site.run()
    write(site, servers)
    site.run()

    assert site.differences(site.primary) == []
    assert site.run() is None


def test_tables_are_compared_as_a_whole_once_for_each_server(
    site: Site, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that was not seen before is looked at more closely; after that, all are known."""
    monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", -1)
    # A primary counts deletions, and a standby none: they had better not be compared.
    monkeypatch.setattr(changes, "WHOLE_AFTER_DELETES", dt.timedelta(0))
    servers, address = place
    write(
        site,
        servers,
        "DELETE FROM payment WHERE payment_id = 3",
        "SELECT pg_stat_force_next_flush()",
    )
    site.captured()
    for server in servers:
        site.look_at(server)
        if site.poll().audit_due:
            site.audit()
    site.look_at(address)
    audits = site.audits()
    assert audits == len(servers) - 1
    batches = []
    for number in range(4):
        write(site, servers, new_sale(7 + number))
        batches.append(site.captured())
        assert not site.poll().audit_due

    assert [full_reads(batch) for batch in batches] == [{}] * 4
    for batch in batches:
        assert {star.whole.sequence for star in batch.stars.values()} == {1}
    assert site.audits() == audits


@pytest.mark.parametrize(("seconds", "due"), [(-30, False), (-90, True)])
def test_clocks_of_servers_may_differ_by_seconds(site: Site, seconds: int, due: bool) -> None:
    """Those of the next server are behind those of the last batch."""
    at = site.captured().observed_at
    site.connect()
    with source_view.open_view(site.platform.source) as view:
        earlier = at + dt.timedelta(seconds=seconds)
        behind = replace(view, identity=replace(view.identity, observed_at=earlier))
        known = Known.of(site.platform.ingestion)

        assert (changes.audit_in(behind, known) == dt.timedelta(0)) is due


def test_failover_behind_an_address_means_one_full_read(site: Site) -> None:
    """A standby that follows the new primary knows the old timeline for minutes."""
    first, second = site.standby(), site.standby()
    site.look_at(site.endpoint(site.primary, first, second))
    site.captured()
    for server in (first, second):
        catch_up(server, site.primary)
    site.primary.crash()
    first.hold("checkpointer")
    first.promote()
    second.reload(primary_conninfo=site.clusters.conninfo(first))
    old, site.primary = site.primary, first
    site.look_at(site.endpoint(first, second))
    assert old.server.port != first.server.port
    batches = []
    for number in range(4):
        write(site, [first, second], new_sale(7 + number))
        batches.append(site.captured())

    assert len(full_reads(batches[0])) == len(SOURCE_TABLES)
    assert [full_reads(batch) for batch in batches[1:]] == [{}] * 3
    assert site.differences(first) == []


def test_snapshot_of_the_same_name_on_another_server_is_not_taken_for_ours(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A snapshot is named by the number of a session and by those of its transactions, so that
    another server may have one of that name: of its backup, for instance."""
    standby = site.standby()
    catch_up(standby, site.primary)
    address = site.endpoint(site.primary, standby)
    site.look_at(address)
    monkeypatch.setattr(blocks, "READERS", 2)
    with connect(settings.SOURCE_DSN) as source, source_view.open_view(source) as view:
        row = view.connection.execute("SELECT pg_export_snapshot()").fetchone()
        assert row is not None
        name = row[0]
        # The next export of this transaction has the next number.
        wanted = f"{name.rpartition('-')[0]}-2"
        site.primary.write("DELETE FROM payment")
        catch_up(standby, site.primary)
        theirs = _export_as(standby, wanted)
        readers = Readers(view)
        counts = [
            connection.execute("SELECT count(*) FROM public.payment").fetchone()
            for connection in readers.connections()
        ]
        readers.close()
        theirs.close()

    assert counts == [(3,)]


def _export_as(cluster: Cluster, name: str) -> psycopg.Connection:
    """A transaction that has exported a snapshot of that name."""
    session, transaction, _ = (int(part, 16) for part in name.split("-"))
    sessions = []
    while True:
        sessions.append(psycopg.connect(cluster.dsn(), autocommit=True))
        number, last = _transaction(sessions[-1])
        if number == session and last < transaction:
            break
        assert len(sessions) < 30
    while last < transaction - 1:
        _, last = _transaction(sessions[-1])
    for other in sessions[:-1]:
        other.close()
    connection = sessions[-1]
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    exported = [connection.execute("SELECT pg_export_snapshot()").fetchone() for _ in range(2)]
    assert (name,) in exported
    return connection


def _transaction(connection: psycopg.Connection) -> tuple[int, int]:
    """The numbers of a session and of the transaction that this query is."""
    query = "SELECT virtualtransaction FROM pg_locks WHERE pid = pg_backend_pid()"
    row = connection.execute(query).fetchone()
    assert row is not None
    session, _, number = row[0].partition("/")
    return int(session), int(number)
