"""A standby takes the place of its primary, and hands the same transaction ids out again."""

from __future__ import annotations

import pytest

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster_tests.clusters import Cluster
from totesys_dagster_tests.edits import EDIT_ORDER_1, EDIT_ORDER_1_BACK, new_design, new_sale
from totesys_dagster_tests.ingestion.histories.conftest import (
    Site,
    catch_up,
    full_reads,
    is_of_another_history,
    next_id,
    transactions,
)
from totesys_dagster_tests.landing import by_night

# What the old primary had committed, and the platform taken, when it was lost.
LOST = (
    EDIT_ORDER_1,
    "UPDATE payment SET payment_amount = payment_amount + 1 WHERE payment_id = 2",
    new_sale(9),
    "DELETE FROM payment WHERE payment_id = 3",
)
# What the new one commits under the same ids.
INSTEAD = (
    "UPDATE payment SET payment_amount = payment_amount + 5 WHERE payment_id = 1",
    new_design(7),
    "UPDATE staff SET first_name = 'Ann' WHERE staff_id = 2",
    new_sale(8),
)


def timeline_on_disk(cluster: Cluster) -> int:
    """What pg_control says, which the first checkpoint brings up to date."""
    return int(cluster.value("SELECT timeline_id FROM pg_control_checkpoint()"))


def lose_primary(site: Site) -> Cluster:
    """A batch holds commits that the standby has never got when it takes over."""
    standby = site.standby()
    assert site.run() is not None
    catch_up(standby, site.primary)
    standby.cut_off()
    site.primary.write(*LOST)
    assert site.run() is not None
    site.primary.crash()
    standby.hold("checkpointer")
    standby.promote()
    site.look_at(standby)
    return standby


def checkpoint(standby: Cluster) -> None:
    """The first one after the promotion."""
    query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
    standby.let_go([standby.value(query)])
    standby.execute("CHECKPOINT")
    assert timeline_on_disk(standby) == 2


@pytest.mark.parametrize(
    "more", by_night([0, 20], but=[1]), ids=["behind the batch", "past the batch"]
)
def test_promoted_standby_is_read_in_full_before_its_first_checkpoint(
    site: Site, more: int
) -> None:
    standby = lose_primary(site)
    standby.write(*INSTEAD[: None if more else 2])
    transactions(standby, more)
    assert (next_id(standby) >= site.head().snapshot.xmax) is bool(more)
    manifest = site.captured()
    assert timeline_on_disk(standby) == 1

    assert is_of_another_history(manifest)
    assert manifest.source.timeline == 2
    assert site.differences(standby) == []
    assert all(found.equal for found in site.audit().values())


@pytest.mark.long
def test_after_a_failover_batches_are_small_again(site: Site) -> None:
    standby = lose_primary(site)
    standby.write(*INSTEAD)
    site.captured()
    nothing = site.poll()
    standby.write(EDIT_ORDER_1)
    delta = site.captured()
    checkpoint(standby)
    standby.write(EDIT_ORDER_1_BACK)
    after_checkpoint = site.captured()

    assert nothing.changed == []
    assert not nothing.audit_due
    assert full_reads(delta) == full_reads(after_checkpoint) == {}
    assert site.differences(standby) == []


@pytest.mark.long
def test_failover_is_found_by_the_next_poll(site: Site) -> None:
    standby = site.standby()
    site.run()
    cursor = site.poll().cursor
    catch_up(standby, site.primary)
    site.primary.crash()
    standby.promote()
    site.look_at(standby)

    assert site.poll(cursor).changed == [*SOURCE_TABLES]


@pytest.mark.long
def test_whole_path_after_a_failover(site: Site) -> None:
    standby = lose_primary(site)
    standby.write(*INSTEAD)
    [report] = site.whole_path()
    again = site.whole_path()

    assert is_of_another_history(report.manifest)
    assert report.checks_failed == []
    assert again == []
    assert site.differences(standby) == []


@pytest.mark.long
def test_old_primary_that_comes_back_is_read_in_full(site: Site) -> None:
    """Two primaries at once, each with commits of its own: what is read last counts."""
    standby = lose_primary(site)
    standby.write(*INSTEAD)
    site.captured()
    site.primary.start()
    site.look_at(site.primary)
    manifest = site.captured()

    assert is_of_another_history(manifest)
    assert site.differences(site.primary) == []


@pytest.mark.long
def test_old_primary_that_follows_the_new_one_goes_on(site: Site) -> None:
    """It is set back by pg_rewind, and then read as a standby of the new primary."""
    site.primary.execute("ALTER SYSTEM SET wal_log_hints TO on")
    site.primary.restart()
    standby = lose_primary(site)
    standby.write(*INSTEAD)
    site.captured()
    old = site.primary
    old.start()
    old.stop()
    checkpoint(standby)
    old.program(
        "pg_rewind", "--target-pgdata", old.data, f"--source-server={standby.dsn()}", "--no-sync"
    )
    (old.data / "standby.signal").touch()
    old.configure(primary_conninfo=site.clusters.conninfo(standby))
    old.start()
    site.look_at(old)
    catch_up(old, standby)
    for _ in range(3):
        standby.write(EDIT_ORDER_1, EDIT_ORDER_1_BACK)
        catch_up(old, standby)
        assert full_reads(site.captured()) == {}

    assert site.differences(standby) == []
