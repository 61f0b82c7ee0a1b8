"""A server that loses commits in a crash, or hands the ids of lost transactions out again.

A crash leaves identifier and timeline as they are. The new start of the server shows it, or that
its statistics begin anew, where a backend alone was killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
from collections.abc import Callable

import psycopg
import pytest

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.ingestion import changes
from totesys_dagster.local import stack
from totesys_dagster_tests.clusters import Cluster, wait_for
from totesys_dagster_tests.edits import EDIT_ORDER_1, EDIT_ORDER_1_BACK, new_design, new_sale
from totesys_dagster_tests.ingestion.histories.conftest import (
    Site,
    full_reads,
    ids_to,
    is_of_another_history,
    next_id,
    statement,
)

pytestmark = pytest.mark.long

# What brings the write-ahead log to the disk by itself.
WRITERS = ("walwriter", "background writer", "checkpointer")

Crash = Callable[[Cluster, list[int]], None]


def power_cut(cluster: Cluster, _held: list[int]) -> None:
    cluster.crash()
    cluster.start()


def killed_backend(cluster: Cluster, held: list[int]) -> None:
    """A backend dies by SIGKILL, and the server recovers without a new start."""
    with psycopg.connect(cluster.dsn(), autocommit=True) as victim:
        started, counted_since = _started(victim)
        for process in (victim.info.backend_pid, *held):
            os.kill(process, signal.SIGKILL)
        wait_for(lambda: _is_gone(victim))

    def has_recovered() -> bool:
        # The server may take a moment to notice the death, and still be there until then.
        with contextlib.suppress(psycopg.OperationalError), psycopg.connect(cluster.dsn()) as other:
            again, since = _started(other)
            assert again == started
            return bool(since != counted_since)
        return False

    wait_for(has_recovered)


def _started(connection: psycopg.Connection) -> tuple[object, object]:
    [row] = connection.execute(
        "SELECT pg_postmaster_start_time(), pg_stat_get_bgwriter_stat_reset_time()"
    ).fetchall()
    return row


def _is_gone(connection: psycopg.Connection) -> bool:
    try:
        connection.execute("SELECT 1")
    except psycopg.OperationalError:
        return True
    return False


CRASHES = pytest.mark.parametrize("crash", [power_cut, killed_backend], ids=lambda c: c.__name__)


def lose_commits(site: Site, crash: Crash) -> None:
    """A batch holds commits that are gone after the crash."""
    primary = site.primary
    primary.configure(synchronous_commit="off")
    primary.restart()
    site.captured()
    primary.execute("CHECKPOINT")
    held = primary.hold(*WRITERS)
    primary.write(
        "UPDATE payment SET payment_amount = payment_amount + 1 WHERE payment_id = 2",
        new_sale(9),
        EDIT_ORDER_1,
    )
    assert site.captured().tables["payment"].rows == 2
    crash(primary, held)
    assert primary.value("SELECT count(*) FROM sales_order") == 2


@CRASHES
def test_crash_that_loses_commits_means_a_full_read(site: Site, crash: Crash) -> None:
    lose_commits(site, crash)
    polled = site.poll()
    manifest = site.captured()

    assert polled.changed == [*SOURCE_TABLES]
    assert is_of_another_history(manifest)
    assert site.differences(site.primary) == []


@pytest.mark.parametrize(
    ("crash", "touched", "large"),
    [
        (power_cut, True, False),
        (power_cut, False, True),
        (killed_backend, True, True),
        (killed_backend, False, False),
    ],
)
def test_lost_commits_whose_ids_are_used_again_are_found(
    site: Site, crash: Crash, touched: bool, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", -1)
    lose_commits(site, crash)
    xmax = site.head().snapshot.xmax
    site.primary.write("UPDATE staff SET first_name = 'Ann' WHERE staff_id = 1")
    ids_to(site.primary, xmax)
    # The log has come as far as well.
    with psycopg.connect(site.primary.dsn(), autocommit=True) as connection:
        connection.execute("SELECT pg_logical_emit_message(false, 'test', repeat('x', 100000))")
    if touched:
        site.primary.write("UPDATE payment SET paid = TRUE WHERE payment_id = 3")
    reports = site.whole_path()

    assert not any(is_of_another_history(report.manifest) for report in reports)
    assert site.differences(site.primary) == []
    assert not site.poll().audit_due


def lose_rollback(site: Site, crash: Crash) -> None:
    """The id of a transaction that was rolled back is handed out again: nothing shows in the ids,
    which seem to stand still."""
    primary = site.primary
    site.captured()
    primary.execute("CHECKPOINT")
    primary.write(EDIT_ORDER_1)
    held = primary.hold(*WRITERS)
    before = next_id(primary)
    with psycopg.connect(primary.dsn(stack.APPLICATION)) as writer:
        writer.execute(statement(new_design(9)))
        writer.rollback()
    assert next_id(primary) == before + 1
    site.captured()
    crash(primary, held)
    assert next_id(primary) == before


@CRASHES
@pytest.mark.parametrize("large", [True, False], ids=["large", "small"])
def test_id_of_a_rolled_back_transaction_that_is_used_again_is_found(
    site: Site, crash: Crash, large: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if large:
        monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", -1)
    lose_rollback(site, crash)
    site.primary.write("UPDATE staff SET first_name = 'Ann' WHERE staff_id = 1")
    assert next_id(site.primary) == site.head().snapshot.xmax
    polled = site.poll()
    manifest = site.captured()

    assert polled.changed or polled.audit_due
    assert full_reads(manifest).keys() == {"department", "staff"}
    assert site.differences(site.primary) == []


@CRASHES
def test_poll_after_a_crash_is_not_quiet(site: Site, crash: Crash) -> None:
    """Not even where the snapshot is that of before."""
    primary = site.primary
    site.captured()
    primary.write(EDIT_ORDER_1)
    held = primary.hold(*WRITERS)
    with psycopg.connect(primary.dsn(stack.APPLICATION)) as writer:
        writer.execute(statement(new_design(9)))
        writer.rollback()
    site.captured()
    cursor = site.poll().cursor
    snapshot = primary.value("SELECT pg_current_snapshot()::text")
    assert site.poll(cursor).quiet
    crash(primary, held)
    primary.write("UPDATE staff SET first_name = 'Ann' WHERE staff_id = 1")
    assert primary.value("SELECT pg_current_snapshot()::text") == snapshot

    assert site.poll(cursor).audit_due or site.poll(cursor).changed


@CRASHES
def test_crash_that_lost_nothing_means_no_full_read(site: Site, crash: Crash) -> None:
    site.captured()
    crash(site.primary, [])
    due = site.poll()
    found = site.audit()
    again = site.poll()
    site.primary.write(EDIT_ORDER_1)

    assert (due.changed, due.audit_due) == ([], True)
    assert all(one.equal for one in found.values())
    assert (again.changed, again.audit_due) == ([], False)
    assert full_reads(site.captured()) == {}


def test_restart_means_no_full_read(site: Site) -> None:
    site.captured()
    site.primary.restart()
    site.primary.write(EDIT_ORDER_1)
    first = site.captured()
    site.primary.write(EDIT_ORDER_1_BACK)
    second = site.captured()

    assert full_reads(first) == full_reads(second) == {}
    assert not site.poll().audit_due
    assert site.differences(site.primary) == []
