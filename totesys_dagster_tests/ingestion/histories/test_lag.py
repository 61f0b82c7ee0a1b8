"""A standby that lags behind the last batch: nothing is lost there, and it catches up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest

from totesys_dagster.alerting.health import Changes, look_around
from totesys_dagster.alerting.incidents import Recovery
from totesys_dagster.definitions import defs
from totesys_dagster.ingestion.identity import LaggingReplicaError
from totesys_dagster.lake.manifest import batch_key
from totesys_dagster.local import stack
from totesys_dagster.metadata import BATCH_TAG
from totesys_dagster.orchestration.whole_path import RunFailedError
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.runs.unfinished import SENSOR_TAG
from totesys_dagster_tests.clusters import Cluster, wait_for
from totesys_dagster_tests.edits import EDIT_ORDER_1, EDIT_ORDER_1_BACK, new_design, new_sale
from totesys_dagster_tests.ingestion.histories.conftest import (
    NOW,
    Site,
    catch_up,
    full_reads,
    statement,
)

pytestmark = pytest.mark.long


def paused(site: Site) -> Cluster:
    standby = site.standby()
    standby.pause()
    return standby


def delayed(site: Site) -> Cluster:
    return site.standby(recovery_min_apply_delay="1h")


def go_on(standby: Cluster, site: Site) -> None:
    """Let a standby come as far as its primary."""
    standby.resume()
    standby.reload(recovery_min_apply_delay="0")
    catch_up(standby, site.primary)


@pytest.fixture(params=[paused, delayed], ids=lambda make: make.__name__)
def late(request: pytest.FixtureRequest, site: Site) -> Cluster:
    """A standby that the source's setting points to; the last batch holds what it has not got."""
    standby: Cluster = request.param(site)
    site.captured()
    site.primary.write(EDIT_ORDER_1, new_sale(9))
    site.captured()
    site.look_at(standby)
    return standby


def refused(action: Callable[[], object]) -> str:
    with pytest.raises(LaggingReplicaError) as refusal:
        action()
    text = str(refusal.value)
    assert "\n" not in text
    assert "batch 0000000002" in text
    assert "nothing was captured" in text
    return text


def test_nothing_is_captured_from_a_standby_that_lags(site: Site, late: Cluster) -> None:
    before = site.platform.ingestion.list("")
    for action in (site.capture, site.poll, site.audit):
        refused(action)
    assert site.platform.ingestion.list("") == before

    go_on(late, site)
    assert site.run() is None
    site.primary.write(EDIT_ORDER_1_BACK)
    catch_up(late, site.primary)
    assert full_reads(site.captured()) == {}
    assert site.versions() == 5
    assert site.differences(site.primary) == []


def test_sensor_skips_while_a_standby_lags(site: Site, late: Cluster) -> None:
    answer = site.tick()
    assert isinstance(answer, str)
    assert "batch 0000000002" in answer

    go_on(late, site)
    site.primary.write(EDIT_ORDER_1_BACK)
    catch_up(late, site.primary)
    assert not isinstance(site.tick(), str)


def test_run_says_that_a_standby_lags(site: Site, late: Cluster) -> None:
    refused(site.whole_path)

    go_on(late, site)
    site.whole_path()
    assert site.differences(site.primary) == []


def test_run_that_meets_a_standby_that_lags_is_not_undone(site: Site, late: Cluster) -> None:
    """The batch is taken from the primary, and what follows leads to the standby."""
    site.primary.write(EDIT_ORDER_1_BACK)
    place = site.endpoint(*[site.primary] * 3, *[late] * 20)
    site.look_at(place)
    [report] = site.whole_path()

    assert report.manifest.sequence == 3
    assert late.server.port in place.taken
    assert site.differences(site.primary) == []


def test_capture_that_meets_a_standby_that_lags_says_so(site: Site, late: Cluster) -> None:
    """The change is seen on the primary, and the capture leads to the standby."""
    site.primary.write(EDIT_ORDER_1_BACK)
    site.look_at(site.endpoint(site.primary, site.primary, late))
    with pytest.raises(RunFailedError) as failed:
        site.whole_path()

    assert "batch 0000000002" in str(failed.value)
    assert "a replica" in str(failed.value)


@pytest.mark.usefixtures("late")
@pytest.mark.parametrize("job", ["capture", "audit"])
def test_run_of_a_sensor_that_meets_a_standby_that_lags_ends_quietly(site: Site, job: str) -> None:
    """The sensor has asked another server; it asks again at its next tick."""
    tags = {SENSOR_TAG: "source_changes"}
    partition = batch_key(3) if job == "capture" else None
    if partition:
        tags[BATCH_TAG] = partition
        site.instance.add_dynamic_partitions("batch", [partition])
    result = defs.resolve_job_def(job).execute_in_process(
        instance=site.instance, partition_key=partition, tags=tags, raise_on_error=False
    )

    assert result.success
    assert site.head().sequence == 2
    assert site.audits() == 0
    assert site.instance.get_dynamic_partitions("batch") == []


@pytest.mark.usefixtures("late")
def test_standby_that_lags_is_no_trouble() -> None:
    """A system that cannot be read is an alert."""
    found = look_around(SourceDatabase(), Lake(), Warehouse(), Changes(), NOW)

    assert {type(one) for one in found.observations} == {Recovery}
    assert found.changes is not None
    assert found.changes.after is None


@pytest.fixture
def open_transaction(site: Site) -> Iterator[psycopg.Connection]:
    """A transaction of the application that stays open."""
    with psycopg.connect(site.primary.dsn(stack.APPLICATION)) as connection:
        connection.execute(statement(EDIT_ORDER_1))
        yield connection


@pytest.mark.parametrize("first", ["primary", "standby"])
@pytest.mark.parametrize("then", ["primary", "standby"])
def test_transaction_that_commits_between_two_servers_arrives(
    site: Site, open_transaction: psycopg.Connection, first: str, then: str
) -> None:
    servers = {"primary": site.primary, "standby": site.standby()}
    site.primary.write(new_design(3))
    catch_up(servers["standby"], site.primary)
    site.look_at(servers[first])
    site.captured()
    site.primary.write(new_design(4))
    catch_up(servers["standby"], site.primary)
    site.look_at(servers[then])
    while_open = site.captured()
    again = site.run()
    open_transaction.commit()
    catch_up(servers["standby"], site.primary)
    late = site.captured()

    assert again is None
    assert full_reads(while_open) == full_reads(late) == {}
    assert late.tables["sales_order"].rows == 1
    assert site.differences(site.primary) == []


def test_standby_that_lacks_only_a_late_commit_lags(
    site: Site, open_transaction: psycopg.Connection
) -> None:
    """Its newest transaction is that of the batch; an older one has not arrived yet."""
    standby = site.standby()
    site.primary.write(new_design(3))
    catch_up(standby, site.primary)
    standby.pause()
    open_transaction.commit()
    site.captured()
    site.look_at(standby)

    with pytest.raises(LaggingReplicaError):
        site.capture()


def test_standby_that_sees_one_commit_and_lacks_another_lags(site: Site) -> None:
    """Commits become visible on the primary in another order than they are replayed in: here one
    waits for a synchronous standby, and another does not."""
    standby, primary = site.standby(), site.primary
    with (
        psycopg.connect(primary.dsn(stack.APPLICATION)) as waiting,
        psycopg.connect(primary.dsn(stack.APPLICATION)) as other,
        ThreadPoolExecutor(1) as thread,
        ExitStack() as let_go,
    ):
        waiting.execute(statement(EDIT_ORDER_1))
        other.execute("SET synchronous_commit TO local")
        other.execute(statement(new_sale(9)))
        primary.write("SET synchronous_commit TO local", new_design(3))
        catch_up(standby, primary)
        primary.reload(synchronous_standby_names="nobody")
        # However the test ends, it must not wait for ever.
        let_go.callback(primary.reload, synchronous_standby_names="")
        committing = thread.submit(waiting.commit)
        sees = "SELECT count(*) FROM sales_order WHERE sales_order_id = 1 AND design_id = 2"
        wait_for(lambda: standby.value(sees))
        standby.pause()
        other.commit()
        assert not primary.value(sees)
        site.captured()
        site.look_at(standby)
        with pytest.raises(LaggingReplicaError):
            site.capture()
        standby.resume()
        wait_for(lambda: standby.value("SELECT count(*) FROM sales_order WHERE sales_order_id = 9"))
        ahead = site.captured()
        assert full_reads(ahead) == {}
        assert site.differences(standby) == []

        # The primary shows less than the standby did, and yet it has lost nothing.
        site.look_at(primary)
        with pytest.raises(LaggingReplicaError):
            site.capture()
        primary.reload(synchronous_standby_names="")
        committing.result(timeout=20)
    assert site.run() is None
    assert site.differences(primary) == []
