"""A source that is a standby for good: what its primary does arrives by way of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import psycopg
import pytest

from totesys_dagster.errors import SourceError
from totesys_dagster.ingestion import blocks, capture, changes
from totesys_dagster.ingestion.capture import Capture, TableRead
from totesys_dagster.ingestion.changes import Findings
from totesys_dagster.ingestion.source_view import SourceView
from totesys_dagster.local import stack
from totesys_dagster.postgres import sessions as postgres
from totesys_dagster_tests.clusters import Cluster, wait_for
from totesys_dagster_tests.edits import (
    DELETE_ORDER_1,
    EDIT_ORDER_1,
    EDIT_ORDER_1_BACK,
    new_design,
    new_sale,
)
from totesys_dagster_tests.ingestion.histories.conftest import (
    Site,
    catch_up,
    full_reads,
    is_of_another_history,
    statement,
)

pytestmark = pytest.mark.long

# A query on the standby that is in the way of the replay is canceled at once.
IMPATIENT = {"max_standby_streaming_delay": "0", "hot_standby_feedback": "off"}


@pytest.fixture
def standby(site: Site) -> Cluster:
    made = site.standby()
    site.look_at(made)
    return made


def write(site: Site, standby: Cluster, *statements: str) -> None:
    """Write on the primary, and wait until the standby has it."""
    site.primary.write(*statements)
    catch_up(standby, site.primary)


def test_whatever_the_primary_does_arrives(site: Site, standby: Cluster) -> None:
    first = site.captured()
    batches = []
    for edits in (
        [EDIT_ORDER_1],
        [EDIT_ORDER_1_BACK, new_sale(9)],
        [DELETE_ORDER_1],
        ["TRUNCATE payment"],
        [f"BEGIN; SAVEPOINT a; {new_design(3)}; ROLLBACK TO a; {new_design(4)}; COMMIT"],
        [f"BEGIN; {new_design(5)}; ROLLBACK", new_design(6)],
    ):
        write(site, standby, *edits)
        batches.append(site.captured())

    assert first.snapshot.replica
    assert [full_reads(batch) for batch in batches] == [{}] * 6
    assert site.run() is None
    assert site.differences(site.primary) == []
    assert all(found.equal for found in site.audit().values())


def test_transactions_that_commit_late_arrive(site: Site, standby: Cluster) -> None:
    """A standby does not list what is running, and knows it all the same."""
    with psycopg.connect(site.primary.dsn(stack.APPLICATION)) as late:
        late.execute(statement(EDIT_ORDER_1))
        late.execute("SAVEPOINT here")
        late.execute(statement(new_design(3)))
        write(site, standby, new_sale(9), f"BEGIN; {new_sale(8)}; PREPARE TRANSACTION 'order 8'")
        first = site.captured()
        write(site, standby, new_design(4))
        second = site.captured()
        assert site.run() is None
        late.commit()
    catch_up(standby, site.primary)
    third = site.captured()
    write(site, standby, "COMMIT PREPARED 'order 8'")
    fourth = site.captured()

    assert first.snapshot.running == ()
    assert [full_reads(batch) for batch in (second, third, fourth)] == [{}] * 3
    assert third.tables["sales_order"].rows == 2  # order 9 is met again
    assert site.run() is None
    assert site.versions() == 5
    assert site.differences(site.primary) == []


def test_poll_is_quiet_until_the_standby_replays(site: Site, standby: Cluster) -> None:
    site.captured()
    cursor = site.poll(site.poll().cursor).cursor
    quiet = [site.poll(cursor).quiet for _ in range(5)]
    with psycopg.connect(site.primary.dsn(stack.APPLICATION)) as late:
        late.execute(statement(EDIT_ORDER_1))
        write(site, standby, new_design(3))
        site.captured()
        cursor = site.poll().cursor
        # The newest transaction stays the same.
        late.commit()
    catch_up(standby, site.primary)

    assert any(quiet)
    assert site.poll(cursor).changed == ["sales_order"]


def test_large_tables_are_read_over_several_connections(
    site: Site, standby: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "LARGE_BLOCKS", 1)
    monkeypatch.setattr(blocks, "READERS", 3)
    place = site.endpoint(standby)
    site.look_at(place)
    site.captured()

    assert len(place.taken) == 3
    assert site.differences(site.primary) == []


def be_in_the_way(site: Site, standby: Cluster) -> None:
    """Let the replay come to where versions are removed that an open view still sees."""
    site.primary.write("UPDATE payment SET paid = TRUE")
    site.primary.execute("VACUUM payment")
    catch_up(standby, site.primary)


def require_remedy(error: SourceError) -> None:
    for words in ("conflict with recovery", "max_standby_streaming_delay", "hot_standby_feedback"):
        assert words in str(error)
    assert "\n" not in str(error)


@pytest.mark.parametrize("readers", [1, 3])
def test_capture_in_the_way_of_the_replay_is_said_with_its_remedy(
    site: Site, monkeypatch: pytest.MonkeyPatch, readers: int
) -> None:
    if readers > 1:
        monkeypatch.setattr(blocks, "LARGE_BLOCKS", 1)
        monkeypatch.setattr(blocks, "READERS", readers)
    standby = site.standby(**IMPATIENT)
    site.look_at(standby)
    begun = Capture.reads

    def reads(self: Capture) -> Iterator[TableRead]:
        for read in begun(self):
            if read.table == "design":
                be_in_the_way(site, standby)
            yield read

    with monkeypatch.context() as patch:
        patch.setattr(Capture, "reads", reads)
        with pytest.raises(SourceError) as refused:
            site.capture()

    require_remedy(refused.value)
    site.captured()
    assert site.differences(site.primary) == []


def test_poll_in_the_way_of_the_replay_is_said_with_its_remedy(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    standby = site.standby(**IMPATIENT)
    site.look_at(standby)
    site.captured()
    examine = changes.examine

    def later(view: SourceView, *arguments: Any, **options: Any) -> Findings:
        be_in_the_way(site, standby)
        return examine(view, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(changes, "examine", later)
        with pytest.raises(SourceError) as refused:
            site.poll()

    require_remedy(refused.value)
    assert site.poll().changed == ["payment"]


def test_standby_that_holds_its_primary_back_is_read_in_peace(site: Site) -> None:
    standby = site.standby(max_standby_streaming_delay="0", hot_standby_feedback="on")
    site.look_at(standby)
    site.captured()
    write(site, standby, "UPDATE payment SET paid = TRUE")
    site.connect()
    platform = site.platform
    with capture.open_capture(
        platform.source, platform.ingestion, run_id="held", part_bytes=1 << 20
    ) as batch:
        holds = "SELECT count(*) FROM pg_stat_replication WHERE backend_xmin IS NOT NULL"
        wait_for(lambda: site.primary.value(holds))
        be_in_the_way(site, standby)
        for read in batch.reads():
            read.write(platform.ingestion)
        manifest = batch.commit()

    assert manifest.tables["payment"].rows == 3


def test_table_that_is_locked_on_the_primary_is_said_so(
    site: Site, standby: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The lock of a migration is replayed, and is held on the standby as well."""
    site.captured()
    site.connect()
    quick = postgres.LOCAL_SETTINGS.replace("lock_timeout TO '10s'", "lock_timeout TO '50ms'")
    monkeypatch.setattr(postgres, "LOCAL_SETTINGS", quick)
    with psycopg.connect(site.primary.dsn(stack.APPLICATION)) as migration:
        migration.execute("LOCK TABLE design IN ACCESS EXCLUSIVE MODE")
        catch_up(standby, site.primary)
        with pytest.raises(SourceError, match="locked by a migration"):
            site.platform.capture()
    catch_up(standby, site.primary)

    assert site.run() is None


def test_standby_that_was_restarted_is_compared_as_a_whole(site: Site, standby: Cluster) -> None:
    site.captured()
    cursor = site.poll().cursor
    standby.restart()
    catch_up(standby, site.primary)
    found = site.poll(cursor)
    site.audit()
    again = site.poll(cursor)
    write(site, standby, EDIT_ORDER_1)
    delta = site.captured()

    assert (found.changed, found.audit_due) == ([], True)
    assert (again.changed, again.audit_due) == ([], False)
    assert full_reads(delta) == {}


def test_standby_that_was_made_anew_from_a_primary_set_back_is_found(site: Site) -> None:
    """Primary and standby have the identifier and the timeline of before."""
    site.primary.stop()
    disk = site.clusters.copy(site.primary)
    site.primary.start()
    standby = site.standby()
    site.look_at(standby)
    site.captured()
    write(site, standby, EDIT_ORDER_1, "UPDATE payment SET payment_amount = 1 WHERE payment_id = 1")
    site.captured()
    site.primary.crash()
    standby.crash()
    disk.start()
    new = site.standby(disk)
    disk.write(*[f"UPDATE staff SET first_name = 'A{n}' WHERE staff_id = 1" for n in range(9)])
    catch_up(new, disk)
    site.look_at(new)
    site.whole_path()

    assert site.differences(disk) == []


def test_standby_that_is_promoted_is_read_in_full_once(site: Site, standby: Cluster) -> None:
    site.captured()
    standby.hold("checkpointer")
    standby.promote()
    standby.write(EDIT_ORDER_1)
    promoted = site.captured()
    standby.write(EDIT_ORDER_1_BACK)
    after = site.captured()

    assert is_of_another_history(promoted)
    assert full_reads(after) == {}
    assert site.differences(standby) == []


def test_promotion_during_a_capture_does_no_harm(site: Site, standby: Cluster) -> None:
    site.captured()
    write(site, standby, EDIT_ORDER_1)
    site.connect()
    platform = site.platform
    with capture.open_capture(
        platform.source, platform.ingestion, run_id="promoted", part_bytes=1 << 20
    ) as batch:
        standby.promote()
        standby.write(EDIT_ORDER_1_BACK)
        for read in batch.reads():
            read.write(platform.ingestion)
        manifest = batch.commit()
    platform.process(manifest)
    platform.load(manifest)
    after = site.captured()

    assert full_reads(manifest) == {}
    assert is_of_another_history(after)
    assert site.differences(standby) == []
