"""What is asked of a source about itself, and what happens where its role may not ask."""

from __future__ import annotations

import json
from collections.abc import Sequence
from importlib import resources
from pathlib import Path

import psycopg
import pytest

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.ingestion.identity import unknown
from totesys_dagster.local import stack
from totesys_dagster.local.programs import find_binaries
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster_tests.clusters import Cluster, clusters
from totesys_dagster_tests.edits import EDIT_ORDER_1, EDIT_ORDER_1_BACK, new_design
from totesys_dagster_tests.ingestion.histories.conftest import (
    Site,
    catch_up,
    full_reads,
    is_of_another_history,
    statement,
    transactions,
)
from totesys_dagster_tests.test_cli import totesys

pytestmark = pytest.mark.long

SYSTEM = ["pg_control_system()"]
TIMELINE = [
    "pg_control_checkpoint()",
    "pg_control_recovery()",
    "pg_walfile_name(pg_lsn)",
    "pg_current_wal_lsn()",
]
REPLAY = ["pg_last_wal_replay_lsn()"]
START = ["pg_postmaster_start_time()", "pg_stat_get_bgwriter_stat_reset_time()"]
ALL = [*SYSTEM, *TIMELINE, *REPLAY, *START]


def revoke(cluster: Cluster, functions: Sequence[str]) -> None:
    names = ", ".join(functions)
    cluster.execute(f"REVOKE EXECUTE ON FUNCTION {names} FROM PUBLIC, {stack.EXTRACTOR}")


@pytest.mark.parametrize("functions", [SYSTEM, TIMELINE, REPLAY, START, ALL], ids=" ".join)
@pytest.mark.parametrize("on", ["primary", "standby"])
def test_captures_work_where_the_role_may_not_ask(
    site: Site, functions: list[str], on: str
) -> None:
    revoke(site.primary, functions)
    source = site.primary
    if on == "standby":
        source = site.standby()
        catch_up(source, site.primary)
        site.look_at(source)
    site.captured()
    cursor = site.poll(site.poll().cursor).cursor
    quiet = [site.poll(cursor).quiet for _ in range(5)]
    with psycopg.connect(site.primary.dsn(stack.APPLICATION)) as late:
        late.execute(statement(EDIT_ORDER_1))
        site.primary.write(new_design(5))
        if on == "standby":
            catch_up(source, site.primary)
        site.captured()
        cursor = site.poll(site.poll().cursor).cursor
        late.commit()
    if on == "standby":
        catch_up(source, site.primary)
    found = site.poll(cursor)
    batch = site.captured()

    assert found.changed == ["sales_order"]
    # Where the change token cannot be asked for, every poll looks.
    assert any(quiet) is (functions in (SYSTEM, TIMELINE))
    assert full_reads(batch) == {}
    assert batch.source.system_identifier is None or functions not in (SYSTEM, ALL)
    assert batch.source.timeline is None or functions not in (TIMELINE, ALL)
    assert site.differences(site.primary) == []


def test_status_says_what_cannot_be_asked(site: Site) -> None:
    said = []
    for functions in ([], SYSTEM, TIMELINE, START):
        revoke(site.primary, functions or ["pg_ls_waldir()"])
        site.primary.write(EDIT_ORDER_1, EDIT_ORDER_1_BACK)
        said.append(unknown(site.captured().source))

    assert said[0] is None
    assert said[1:] == [
        f"The source does not tell its role {what}: another server or a restored backup is"
        " noticed by its start or by what differs, at the latest by the hourly audit; let its"
        " administrator run ingestion/sql/extractor.sql, which grants the role access."
        for what in (
            "its system identifier",
            "its system identifier and its timeline",
            "its system identifier, its timeline and when it was started",
        )
    ]


@pytest.mark.long
def test_command_says_what_cannot_be_asked(site: Site, tmp_path: Path) -> None:
    (tmp_path / "dagster.yaml").write_text("telemetry:\n  enabled: false\n")
    revoke(site.primary, ALL)
    first = totesys(tmp_path, "run", "--json")
    again = totesys(tmp_path, "run", "--json")
    status = totesys(tmp_path, "status", "--json")
    words = totesys(tmp_path, "status")

    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    assert json.loads(again.stdout)["batches"] == []
    said = json.loads(status.stdout)["lake"]["source_identity"]
    assert said.startswith("The source does not tell its role its system identifier, its timeline")
    assert "The source does not tell its role" in words.stdout


def extractor(cluster: Cluster, role: str) -> None:
    """Run extractor.sql as the documentation says."""
    text = resources.files("totesys_dagster.ingestion") / "sql" / "extractor.sql"
    with psycopg.connect(cluster.dsn(role), autocommit=True) as connection:
        connection.execute(statement(text.read_text()))


def test_extractor_grants_what_is_asked_for(site: Site) -> None:
    revoke(site.primary, ALL)
    extractor(site.primary, SUPERUSER)
    standby = site.standby()

    assert unknown(site.captured().source) is None
    site.look_at(standby)
    catch_up(standby, site.primary)
    site.primary.write(EDIT_ORDER_1)
    catch_up(standby, site.primary)
    assert unknown(site.captured().source) is None


def test_administrator_who_may_not_grant_it_makes_the_role_all_the_same(site: Site) -> None:
    """On Amazon RDS, for instance, nobody is superuser."""
    revoke(site.primary, ALL)
    site.primary.execute(
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM {stack.EXTRACTOR}",
        f"ALTER ROLE {stack.APPLICATION} CREATEROLE",
    )
    if site.platform.source.info.server_version >= 160000:
        site.primary.execute(f"GRANT {stack.EXTRACTOR} TO {stack.APPLICATION} WITH ADMIN OPTION")
    extractor(site.primary, stack.APPLICATION)
    manifest = site.captured()

    assert manifest.tables["payment"].rows == 3
    assert manifest.source.system_identifier is None


@pytest.mark.parametrize("functions", [SYSTEM, [*SYSTEM, *TIMELINE]], ids=" ".join)
@pytest.mark.parametrize("on", ["primary", "standby"])
def test_another_server_of_the_same_shape_is_noticed(
    site: Site, stopped: Cluster, functions: list[str], on: str
) -> None:
    """It has a database of the same number and name, the same tables, and more transactions."""
    other = site.clusters.copy(stopped, "other")
    other.start()
    for cluster in (site.primary, other):
        revoke(cluster, functions)
    other.write("UPDATE payment SET payment_amount = 5 WHERE payment_id = 1")
    transactions(other, 100)
    places = [site.primary, other]
    if on == "standby":
        places = [site.standby(cluster) for cluster in places]
        for standby, cluster in zip(places, [site.primary, other], strict=True):
            catch_up(standby, cluster)
    site.look_at(places[0])
    site.captured()
    site.look_at(places[1])

    assert site.poll().changed == [*SOURCE_TABLES]
    assert is_of_another_history(site.captured())
    assert site.differences(other) == []


@pytest.mark.long
@pytest.mark.parametrize("mode", ["--copy", "--link"])
def test_source_that_is_upgraded_is_read_in_full(site: Site, mode: str) -> None:
    """pg_upgrade keeps rows, their transaction ids and all numbers; the identifier is a new one."""
    later = find_binaries()
    if later == site.primary.binaries:
        pytest.skip("there is no later server here")
    site.captured()
    site.primary.stop()
    with clusters(later) as others:
        upgraded = others.new("--no-data-checksums")
        upgraded.program(
            "pg_upgrade",
            *("--old-bindir", site.primary.binaries, "--old-datadir", site.primary.data),
            *("--new-bindir", upgraded.binaries, "--new-datadir", upgraded.data),
            *("--username", SUPERUSER, "--socketdir", "/var/tmp", mode),
        )
        upgraded.start()
        site.look_at(upgraded)
        upgraded.write(EDIT_ORDER_1)
        first = site.captured()
        upgraded.write(EDIT_ORDER_1_BACK)
        second = site.captured()

        assert is_of_another_history(first)
        assert full_reads(second) == {}
        assert site.differences(upgraded) == []
