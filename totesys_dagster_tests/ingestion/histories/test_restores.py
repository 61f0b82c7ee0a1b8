"""A source that is set back, made anew, or put in the place of another one.

What tells them apart is the identifier of the server, its timeline, the number and name of the
database, those of its tables, and the start of the server.
"""

from __future__ import annotations

import subprocess

import psycopg
import pytest

from totesys_dagster.catalogue import OTHER_TABLES, SOURCE_TABLES
from totesys_dagster.ingestion.changes import RESHAPED
from totesys_dagster.lake import key_sets
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster_tests.clusters import SOURCE, Cluster, wait_for
from totesys_dagster_tests.edits import EDIT_ORDER_1, EDIT_ORDER_1_BACK, new_design, new_sale
from totesys_dagster_tests.ingestion.histories.conftest import (
    Site,
    create_source,
    full_reads,
    ids_to,
    is_of_another_history,
    new_cluster,
    next_id,
    statement,
    transactions,
)
from totesys_dagster_tests.operations.erasing import place

pytestmark = pytest.mark.long

EDITS = (
    "UPDATE payment SET payment_amount = payment_amount + 1 WHERE payment_id = 2",
    new_sale(9),
    "DELETE FROM payment WHERE payment_id = 3",
    new_design(9),
)
OTHER_EDITS = (
    "UPDATE staff SET first_name = 'Ann' WHERE staff_id = 1",
    "UPDATE payment SET payment_amount = payment_amount + 7 WHERE payment_id = 1",
    new_sale(8),
)


def set_back(site: Site) -> Cluster:
    """A disk as it was before the last batch, with the server's identifier and timeline."""
    site.primary.stop()
    disk = site.clusters.copy(site.primary)
    site.primary.start()
    site.captured()
    site.primary.write(*EDITS)
    site.captured()
    site.primary.stop()
    disk.start()
    site.look_at(disk)
    return disk


def test_disk_that_is_set_back_is_read_in_full(site: Site) -> None:
    disk = set_back(site)
    disk.write(OTHER_EDITS[0])
    assert next_id(disk) < site.head().snapshot.xmax
    manifest = site.captured()

    assert is_of_another_history(manifest)
    assert site.differences(disk) == []
    assert site.run() is None
    assert not site.poll().audit_due


def test_lost_key_sets_do_not_stop_the_capture_of_another_history(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody needs the keys of the former one but to count them."""
    monkeypatch.setattr(key_sets, "FEW_RANGES", 0)
    disk = set_back(site)
    for key in site.platform.ingestion.list("keys"):
        place(site.platform.ingestion, key).unlink()
    manifest = site.captured()

    assert is_of_another_history(manifest)
    assert {entry.inserted for entry in manifest.tables.values()} == {None}
    assert site.differences(disk) == []


@pytest.mark.parametrize("more", [0, 50], ids=["as many ids", "more ids"])
def test_disk_that_is_set_back_and_has_gone_on_is_found(site: Site, more: int) -> None:
    disk = set_back(site)
    disk.write(*OTHER_EDITS)
    ids_to(disk, site.head().snapshot.xmax + more)
    with psycopg.connect(disk.dsn(), autocommit=True) as connection:
        connection.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000))")
    if more:
        disk.write(EDIT_ORDER_1)
    site.whole_path()

    assert site.differences(disk) == []
    assert site.whole_path() == []


def test_backup_that_is_restored_to_a_point_in_time_is_read_in_full(site: Site) -> None:
    """It begins a timeline of its own."""
    primary = site.primary
    backup = site.standby()
    backup.stop()
    (backup.data / "standby.signal").unlink()
    site.captured()
    primary.write(*EDITS)
    site.captured()
    primary.stop()
    (backup.data / "recovery.signal").touch()
    backup.configure(primary_conninfo="", restore_command="false")
    backup.start()
    wait_for(lambda: not backup.value("SELECT pg_is_in_recovery()"))
    transactions(backup, 50)
    site.look_at(backup)
    manifest = site.captured()

    assert manifest.source.timeline == 2
    assert is_of_another_history(manifest)
    assert site.differences(backup) == []


@pytest.mark.parametrize("by", [-20, 3_000_000, 1_600_000_000])
def test_ids_that_are_reset_are_noticed(site: Site, by: int) -> None:
    """pg_resetwal sets the next id where an administrator wants it."""
    primary = site.primary
    transactions(primary, 40)
    site.captured()
    primary.write(*EDITS)
    site.captured()
    next_ = next_id(primary) + by
    primary.stop()
    if by > 0:
        # The state of the transactions from there on.
        segment = primary.data / "pg_xact" / f"{next_ // 2**20:04X}"
        segment.write_bytes(bytes(256 * 1024))
        segment.chmod(0o600)
        subprocess.run(["chown", "--reference", primary.data, segment], check=True)
    primary.program("pg_resetwal", "--next-transaction-id", str(next_), primary.data)
    primary.start()
    if by < 0:
        # What was written under the ids that are yet to come shows only then.
        transactions(primary, 60)
    primary.write(*OTHER_EDITS)
    reports = site.whole_path()
    primary.write(EDIT_ORDER_1)
    delta = site.captured()

    assert is_of_another_history(reports[0].manifest) is (by > 1_500_000_000)
    assert full_reads(delta) == {}
    assert site.differences(primary) == []


def administer(cluster: Cluster, *statements: str) -> None:
    cluster.execute(*statements, database="postgres")


@pytest.mark.parametrize("more", [0, 3000], ids=["fewer ids", "more ids"])
def test_database_that_is_dropped_and_made_again_is_read_in_full(site: Site, more: int) -> None:
    site.captured()
    site.primary.write(*EDITS)
    site.captured()
    for connection in (site.platform.application, site.platform.source):
        connection.close()
    administer(site.primary, f"DROP DATABASE {SOURCE}")
    create_source(site.primary, SOURCE)
    transactions(site.primary, more)
    manifest = site.captured()

    assert is_of_another_history(manifest)
    assert site.differences(site.primary) == []


@pytest.mark.parametrize("template", ["template0", SOURCE], ids=["made anew", "a copy"])
def test_databases_that_swap_their_names_are_read_in_full(site: Site, template: str) -> None:
    """A copy has the numbers of the tables, and the ids of the rows as well."""
    for connection in (site.platform.application, site.platform.source):
        connection.close()
    if template == SOURCE:
        administer(site.primary, f"CREATE DATABASE other TEMPLATE {SOURCE}")
    else:
        create_source(site.primary, "other")
    site.captured()
    cursor = site.poll(site.poll().cursor).cursor
    site.primary.execute(OTHER_EDITS[0], database="other")
    site.platform.source.close()
    administer(
        site.primary,
        f"ALTER DATABASE {SOURCE} RENAME TO old",
        f"ALTER DATABASE other RENAME TO {SOURCE}",
    )

    assert site.poll(cursor).changed == [*SOURCE_TABLES]
    assert is_of_another_history(site.captured())
    assert site.differences(site.primary) == []


def test_copy_under_the_number_of_a_dropped_database_is_found(site: Site) -> None:
    """An administrator may choose a database's number, as pg_upgrade does. The copy has that of
    each table, too, and nothing tells it from the database of before, but what it holds."""
    if site.platform.source.info.server_version < 150000:
        pytest.skip("numbers are chosen from PostgreSQL 15 on")
    number = site.primary.value("SELECT oid FROM pg_database WHERE datname = current_database()")
    for connection in (site.platform.application, site.platform.source):
        connection.close()
    administer(site.primary, f"CREATE DATABASE other TEMPLATE {SOURCE}")
    site.captured()
    site.primary.write(*EDITS)
    site.captured()
    site.platform.source.close()
    administer(
        site.primary,
        f"DROP DATABASE {SOURCE}",
        f"CREATE DATABASE {SOURCE} OID {number} TEMPLATE other OWNER {stack.APPLICATION}",
    )
    site.whole_path()

    assert site.differences(site.primary) == []


@pytest.mark.parametrize(
    "options",
    [("--clean",), ("--data-only", "--superuser", SUPERUSER, "--disable-triggers")],
    ids=["tables made anew", "rows only"],
)
def test_dump_that_is_restored_into_the_database_is_taken(
    site: Site, options: tuple[str, ...]
) -> None:
    primary = site.primary
    dump = primary.data.parent / "dump"
    primary.program("pg_dump", "--format", "custom", "--file", dump, "--dbname", primary.dsn())
    site.captured()
    primary.write(*EDITS)
    site.captured()
    site.platform.source.close()
    if "--data-only" in options:
        primary.write(f"TRUNCATE {', '.join([*SOURCE_TABLES, *OTHER_TABLES])} CASCADE")
    primary.program("pg_restore", *options, "--dbname", primary.dsn(), dump)
    restored = site.captured()
    primary.write(EDIT_ORDER_1)
    delta = site.captured()

    anew = dict.fromkeys(SOURCE_TABLES, RESHAPED) if "--clean" in options else {}
    assert full_reads(restored) == anew
    assert full_reads(delta) == {}
    assert site.differences(primary) == []


@pytest.fixture
def subscriber(site: Site) -> Cluster:
    """A server that gets every row of the primary by logical replication."""
    made = new_cluster(site.clusters)
    made.write(f"TRUNCATE {', '.join(SOURCE_TABLES)} CASCADE")
    tables = ", ".join(SOURCE_TABLES)
    site.primary.execute(f"CREATE PUBLICATION everything FOR TABLE {tables}")
    publisher = f"{site.clusters.conninfo(site.primary)} dbname={SOURCE}"
    made.execute(f"CREATE SUBSCRIPTION everything CONNECTION '{publisher}' PUBLICATION everything")
    return made


def arrive(site: Site, subscriber: Cluster) -> None:
    """Wait until a subscriber has all that was committed on the primary."""
    position = site.primary.position()
    flushed = f"SELECT count(*) FROM pg_replication_slots WHERE confirmed_flush_lsn < '{position}'"
    ready = "SELECT count(*) FROM pg_subscription_rel WHERE srsubstate <> 'r'"
    wait_for(lambda: not subscriber.value(ready))
    wait_for(lambda: not site.primary.value(flushed))


def test_subscriber_is_a_source_like_any_other(site: Site, subscriber: Cluster) -> None:
    site.look_at(subscriber)
    arrive(site, subscriber)
    site.captured()
    batches = []
    for edits in ([EDIT_ORDER_1], [*EDITS], [EDIT_ORDER_1_BACK]):
        site.primary.write(*edits)
        arrive(site, subscriber)
        batches.append(site.captured())
    with psycopg.connect(site.primary.dsn(stack.APPLICATION)) as late:
        late.execute(statement(EDIT_ORDER_1))
        site.primary.write(new_design(5))
        arrive(site, subscriber)
        batches.append(site.captured())
        late.commit()
    arrive(site, subscriber)
    batches.append(site.captured())

    assert [full_reads(batch) for batch in batches] == [{}] * 5
    assert site.differences(site.primary) == []


def test_subscriber_in_the_place_of_its_publisher_is_read_in_full(
    site: Site, subscriber: Cluster
) -> None:
    site.captured()
    arrive(site, subscriber)
    site.look_at(subscriber)

    assert is_of_another_history(site.captured())
    assert site.differences(site.primary) == []
