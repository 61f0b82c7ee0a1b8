"""Polls: what they find, and which tables of a large source they leave alone."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import psycopg
import pytest

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.ingestion import blocks, capture, changes, fingerprint, scans
from totesys_dagster.ingestion import poll as poll_module
from totesys_dagster.ingestion.poll import THOROUGH_EVERY, Poll, PollCursor, poll
from totesys_dagster.ingestion.source_view import SourceView
from totesys_dagster.lake import requests
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.requests import Requests
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1, EDIT_ORDER_1_BACK, new_design, new_sale
from totesys_dagster_tests.landing import by_night

NOW = dt.datetime(2024, 11, 15, 12, tzinfo=dt.UTC)
LATER = NOW + THOROUGH_EVERY

FACT_TABLES = {"sales_order", "transaction", "payment"}


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables that were scanned for changed rows, in order."""
    tables: list[str] = []

    def note(scan: str) -> None:
        real = getattr(scans, scan)

        def noted(view: SourceView, table: str, *rest: object) -> object:
            tables.append(table)
            return real(view, table, *rest)

        monkeypatch.setattr(scans, scan, noted)

    note("recent_rows")
    note("has_new_rows")
    return tables


@pytest.fixture
def large(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform for which every table is large, with a first batch."""
    monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", 0)
    platform.come_to("all tables are large", _analyzed, warehouse=False)
    return platform


def _analyzed(platform: Platform) -> None:
    platform.application.execute("ANALYZE")
    assert platform.capture() is not None


def look(platform: Platform, cursor: PollCursor, now: dt.datetime = NOW) -> Poll:
    return poll(platform.source, platform.ingestion, cursor, now)


def write(platform: Platform, statement: str) -> None:
    """Write as the application does, and let the server count it now and not in a second."""
    platform.application.execute(statement)
    platform.application.execute("SELECT pg_stat_force_next_flush()")
    platform.application.execute("SELECT 1")


def test_first_poll_finds_all_tables(platform: Platform) -> None:
    assert look(platform, PollCursor()).changed == [*SOURCE_TABLES]


def test_poll_is_quiet_until_a_transaction_ends(platform: Platform) -> None:
    platform.first_capture()
    first = look(platform, PollCursor())
    assert first.changed == []
    # Between two looks the server may have vacuumed something by itself, but not every time.
    second = [look(platform, look(platform, first.cursor).cursor) for _ in range(5)]
    assert any(one.quiet for one in second)

    platform.application.execute(EDIT_ORDER_1)
    assert look(platform, second[-1].cursor).changed == ["sales_order"]


def test_small_tables_are_looked_at_whatever_was_counted(
    platform: Platform, looked_at: list[str]
) -> None:
    platform.first_capture()
    cursor = look(platform, PollCursor()).cursor
    assert cursor.counters == {}
    looked_at.clear()
    platform.application.execute(new_design(9))

    assert look(platform, cursor).changed == ["design"]
    assert sorted(looked_at) == [*SOURCE_TABLES]


def test_large_tables_without_a_write_are_left_alone(large: Platform, looked_at: list[str]) -> None:
    cursor = look(large, PollCursor()).cursor
    looked_at.clear()
    write(large, new_sale(9))

    found = look(large, cursor)
    assert set(found.changed) == FACT_TABLES
    assert set(looked_at) == FACT_TABLES


def test_batch_holds_what_no_counter_told_of(large: Platform) -> None:
    """A poll found a design; the capture that follows looks at every table."""
    cursor = look(large, PollCursor()).cursor
    write(large, new_design(9))
    found = look(large, cursor)
    large.application.execute(new_sale(9))

    assert found.changed == ["design"]
    manifest = large.capture()
    assert manifest is not None
    changed = {name for name, table in manifest.tables.items() if table.changed}
    assert changed == {"design", *FACT_TABLES}


def test_write_that_is_counted_late_is_found_then(large: Platform, looked_at: list[str]) -> None:
    cursor = look(large, PollCursor()).cursor
    write(large, EDIT_ORDER_1)
    # As if the counters had been read after the write, though it was counted before the look.
    late = cursor.model_copy(update={"counters": poll_module._counters(large.source)})
    looked_at.clear()
    assert look(large, late).changed == []
    assert looked_at == []

    assert look(large, late, LATER).changed == ["sales_order"]


def test_truncated_table_is_found(large: Platform) -> None:
    cursor = look(large, PollCursor()).cursor
    large.application.execute("TRUNCATE payment")

    assert look(large, cursor).changed == ["payment"]


@pytest.mark.parametrize("after", [NOW, LATER])
def test_batch_that_was_due_stays_due_until_it_is_there(
    large: Platform, after: dt.datetime
) -> None:
    cursor = look(large, PollCursor()).cursor
    write(large, EDIT_ORDER_1)
    found = look(large, cursor)
    again = look(large, found.cursor, after)
    assert again.changed == found.changed == ["sales_order"]

    assert large.capture() is not None
    assert look(large, again.cursor, after).changed == []


def test_write_after_the_snapshot_of_a_concurrent_capture_is_found(large: Platform) -> None:
    """Two daemons, or a sensor and `totesys run`: the other's batch is older than this look."""
    cursor = look(large, PollCursor()).cursor
    write(large, EDIT_ORDER_1)
    with (
        psycopg.connect(large.source_dsn, autocommit=True) as other,
        capture.open_capture(other, large.ingestion, run_id="other", part_bytes=1 << 20) as early,
    ):
        write(large, EDIT_ORDER_1_BACK)
        found = look(large, cursor)
        for read in early.reads():
            read.write(large.ingestion)
        early.commit()

    again = look(large, found.cursor)
    assert again.changed == found.changed == ["sales_order"]
    assert large.capture() is not None
    assert look(large, again.cursor).changed == []


def test_captured_table_is_not_looked_at_again(large: Platform, looked_at: list[str]) -> None:
    cursor = look(large, PollCursor()).cursor
    write(large, EDIT_ORDER_1)
    cursor = look(large, cursor).cursor
    assert large.capture() is not None
    looked_at.clear()
    write(large, "CREATE TABLE scratch (id int)")

    assert look(large, cursor).changed == []
    assert looked_at == []


def test_requested_table_is_looked_at(large: Platform) -> None:
    cursor = look(large, PollCursor()).cursor
    requests.put_full_read(large.ingestion, "design", 1, "it was asked for")

    assert look(large, cursor).changed == ["design"]


def test_column_that_was_added_is_found(large: Platform) -> None:
    cursor = look(large, PollCursor()).cursor
    large.application.execute("ALTER TABLE design ADD COLUMN colour text DEFAULT 'red'")

    assert look(large, cursor).changed == ["design"]


def test_server_that_counts_nothing_is_looked_through(
    large: Platform, looked_at: list[str]
) -> None:
    cursor = look(large, PollCursor()).cursor
    looked_at.clear()
    large.source.execute("SELECT 1")
    assert set(cursor.counters) >= FACT_TABLES
    nothing = cursor.model_copy(update={"counters": {}, "token": ""})

    assert look(large, nothing).changed == []
    assert sorted(looked_at) == [*SOURCE_TABLES]


@pytest.fixture
def minutes_later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets the minutes pass until counted deletions make keys due."""
    return lambda: monkeypatch.setattr(changes, "WHOLE_AFTER_DELETES", dt.timedelta(0))


def test_counted_deletion_from_a_large_table_waits_for_minutes_only(
    large: Platform, minutes_later: Callable[[], None]
) -> None:
    cursor = look(large, PollCursor()).cursor
    write(large, "DELETE FROM payment WHERE payment_id = 2")
    at_once = look(large, cursor)
    assert at_once.changed == []

    minutes_later()
    assert look(large, at_once.cursor, LATER).changed == ["payment"]
    manifest = large.capture()
    assert manifest is not None
    assert manifest.tables["payment"].deleted == 1
    assert manifest.tables["payment"].keys.deletions == 1


def test_rows_that_came_before_the_keys_were_due_mean_no_full_read(
    large: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in (7, 8):
        write(large, new_design(number))
        assert large.capture() is not None
    monkeypatch.setattr(changes, "WHOLE_EVERY", dt.timedelta(0))
    write(large, "DELETE FROM design WHERE design_id = 7")
    manifest = large.capture()

    assert manifest is not None
    assert {entry.read for entry in manifest.tables.values()} <= {"none", "delta"}
    assert manifest.tables["design"].reconcile


def test_keys_that_were_found_unchanged_are_not_due_again(
    large: Platform, minutes_later: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A deletion that was rolled back is counted, too."""
    cursor = look(large, PollCursor()).cursor
    write(large, "BEGIN; DELETE FROM payment WHERE payment_id = 2; ROLLBACK")
    minutes_later()
    found = look(large, cursor)
    assert found.changed == []
    assert set(found.cursor.keys_seen) == {"payment"}

    monkeypatch.setattr(changes, "WHOLE_AFTER_DELETES", dt.timedelta(minutes=5))
    read: list[str] = []
    monkeypatch.setattr(scans, "key_ranges", lambda _, table, *__: read.append(table))
    look(large, found.cursor, LATER)
    assert read == []


@pytest.fixture
def keys_read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The tables whose keys were read, in order."""
    tables: list[str] = []
    real = scans.key_ranges

    def noted(view: SourceView, table: str, *rest: Any) -> object:
        tables.append(table)
        return real(view, table, *rest)

    monkeypatch.setattr(scans, "key_ranges", noted)
    return tables


@dataclass
class Clocks:
    """The host's and the source's clock, which only pass when told to."""

    now: dt.datetime
    observed: dt.datetime

    def pass_(self, **time: float) -> None:
        self.now += dt.timedelta(**time)
        self.observed += dt.timedelta(**time)


@pytest.fixture
def clocks(large: Platform, monkeypatch: pytest.MonkeyPatch) -> Clocks:
    """Both clocks, at the moment when the last batch compared the keys."""
    log = ManifestLog(large.ingestion)
    clocks = Clocks(NOW, log.read(log.end()).observed_at)
    monkeypatch.setattr(SourceView, "observed_at", property(lambda _: clocks.observed))
    return clocks


def test_deletion_is_searched_for_five_minutes_after_the_last_comparison(
    large: Platform, clocks: Clocks, keys_read: list[str]
) -> None:
    """The poll that checks every table at minute 4 comes too early for it, the next one late."""
    cursor = look(large, PollCursor(), clocks.now - dt.timedelta(minutes=1)).cursor
    clocks.pass_(minutes=1)
    write(large, "DELETE FROM payment WHERE payment_id = 2")
    for seconds in (0, 120, 60, 59):
        clocks.pass_(seconds=seconds)
        found = look(large, cursor, clocks.now)
        assert (found.changed, keys_read) == ([], [])
        cursor = found.cursor
    clocks.pass_(seconds=1)

    assert look(large, cursor, clocks.now).changed == ["payment"]
    assert keys_read == ["payment"]
    manifest = large.capture()
    assert manifest is not None
    assert manifest.tables["payment"].deleted == 1


def test_search_that_is_due_makes_a_quiet_poll_look(large: Platform, clocks: Clocks) -> None:
    """Nothing happens in the source after the deletion."""
    write(large, "DELETE FROM payment WHERE payment_id = 2")
    cursor = look(large, PollCursor(), clocks.now).cursor
    assert cursor.keys_at == clocks.now + changes.WHOLE_AFTER_DELETES
    clocks.pass_(minutes=4)
    cursor = cursor.model_copy(update={"thorough_at": clocks.now})
    # Autovacuum may run between two polls, but not every time.
    assert any(look(large, cursor, clocks.now).quiet for _ in range(5))
    clocks.pass_(minutes=1)

    assert look(large, cursor, clocks.now).changed == ["payment"]


def test_lost_cursor_delays_no_search(
    large: Platform, clocks: Clocks, keys_read: list[str]
) -> None:
    cursor = look(large, PollCursor(), clocks.now).cursor
    write(large, "DELETE FROM payment WHERE payment_id = 2")
    look(large, cursor, clocks.now)
    clocks.pass_(minutes=4)
    cursor = look(large, PollCursor(), clocks.now).cursor
    assert keys_read == []
    clocks.pass_(minutes=1)

    assert look(large, cursor, clocks.now).changed == ["payment"]


def test_each_table_is_searched_when_its_own_time_has_come(
    large: Platform, clocks: Clocks, keys_read: list[str]
) -> None:
    """Only the keys of the tables with deletions are read, and once each."""
    cursor = look(large, PollCursor(), clocks.now).cursor
    clocks.pass_(minutes=4)
    write(large, "BEGIN; DELETE FROM payment WHERE payment_id = 2; ROLLBACK")
    cursor = look(large, cursor, clocks.now).cursor
    clocks.pass_(minutes=1)
    cursor = look(large, cursor, clocks.now).cursor
    assert keys_read == ["payment"]
    write(large, "DELETE FROM payment WHERE transaction_id = 2")
    write(large, "DELETE FROM transaction WHERE transaction_id = 2")
    found = look(large, cursor, clocks.now)
    assert (found.changed, keys_read) == (["transaction"], ["payment", "transaction"])
    manifest = large.capture()
    assert manifest is not None
    assert manifest.tables["transaction"].deleted == 1


def test_batch_of_another_table_delays_no_search(large: Platform, clocks: Clocks) -> None:
    cursor = look(large, PollCursor(), clocks.now - dt.timedelta(minutes=1)).cursor
    clocks.pass_(minutes=3)
    write(large, "DELETE FROM payment WHERE payment_id = 2")
    cursor = look(large, cursor, clocks.now).cursor
    write(large, new_design(9))
    found = look(large, cursor, clocks.now)
    assert found.changed == ["design"]
    assert large.capture() is not None
    clocks.pass_(minutes=1)  # the poll that checks every table
    cursor = look(large, found.cursor, clocks.now).cursor
    clocks.pass_(minutes=1)

    assert look(large, cursor, clocks.now).changed == ["payment"]


def test_deletion_that_was_rolled_back_is_searched_for_once(
    large: Platform, clocks: Clocks, keys_read: list[str]
) -> None:
    write(large, "BEGIN; DELETE FROM payment WHERE payment_id = 2; ROLLBACK")
    cursor = PollCursor()
    for _ in range(9):
        cursor = look(large, cursor, clocks.now).cursor
        clocks.pass_(minutes=5)

    assert keys_read == ["payment"]
    write(large, "DELETE FROM payment WHERE payment_id = 2")
    assert look(large, cursor, clocks.now).changed == ["payment"]


def test_deletion_that_is_counted_before_it_is_seen_is_searched_for(
    large: Platform, clocks: Clocks, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is committed and counted between the snapshot and the read of the catalogue."""
    real = fingerprint.read_schemas

    def late(*arguments: Any) -> Any:
        write(large, "DELETE FROM payment WHERE payment_id = 2")
        return real(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(fingerprint, "read_schemas", late)
        write(large, new_design(9))
        clocks.pass_(hours=2)
        manifest = large.capture()
    assert manifest is not None
    assert manifest.tables["payment"].deleted == 0
    assert manifest.tables["payment"].keys.observed_at == clocks.observed
    clocks.pass_(minutes=5)

    assert look(large, PollCursor(), clocks.now).changed == ["payment"]


def test_full_run_after_a_search_was_put_off_leaves_none(
    large: Platform, clocks: Clocks, keys_read: list[str]
) -> None:
    """`totesys run` searches at once, and the sensors' poll has nothing left to search for."""
    write(large, "DELETE FROM payment WHERE payment_id = 2")
    cursor = look(large, PollCursor(), clocks.now).cursor
    found = poll_module.changed_tables(large.source, large.ingestion)
    assert (found.changed, found.whole) == (["payment"], True)
    manifest = large.capture(whole=True)
    assert manifest is not None
    assert manifest.tables["payment"].deleted == 1
    keys_read.clear()
    clocks.pass_(minutes=5)

    found = look(large, cursor, clocks.now)
    assert (found.changed, found.cursor.keys_at, keys_read) == ([], None, [])


def test_audit_that_is_due_does_not_make_polls_read_keys_of_large_tables(
    large: Platform, keys_read: list[str]
) -> None:
    """It may wait for the warehouse, and polls come every few seconds."""
    cursor = look(large, PollCursor()).cursor
    Requests(large.ingestion).put_without({"fact_payment": (3,)})
    for seconds in (5, 10, 15):
        found = look(large, cursor, NOW + dt.timedelta(seconds=seconds))
        assert (found.changed, found.audit_due, found.quiet) == ([], True, False)
        cursor = found.cursor

    assert keys_read == []


MANY_ORDERS = """
INSERT INTO sales_order
SELECT number, '2024-11-15 12:00', '2024-11-15 12:00', 1, 1, 1, 1000, 2.50, 1, '2024-11-20',
       '2024-11-19', 1
FROM generate_series(10001, 30000) AS numbers (number)
"""


@pytest.fixture
def many(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """The same with 20,000 more orders, whose last blocks are looked at first. Each block has room
    for the new version of an order in it."""
    monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", 0)
    monkeypatch.setattr(blocks, "LARGE_BLOCKS", 1)
    platform.come_to("many orders", _with_many_orders, warehouse=False)
    return platform


def _with_many_orders(platform: Platform) -> None:
    _analyzed(platform)
    platform.application.execute(MANY_ORDERS)
    platform.application.execute(
        "DELETE FROM sales_order WHERE sales_order_id > 10000 AND sales_order_id % 20 = 10"
    )
    platform.application.execute("VACUUM ANALYZE sales_order")
    assert platform.capture() is not None


def rows_read(platform: Platform, cursor: PollCursor) -> tuple[list[str], int]:
    """The changed tables, and how many orders the server read to find them."""
    count = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'sales_order'"

    def read() -> int:
        platform.source.execute("SELECT pg_stat_force_next_flush()")
        platform.source.execute("SELECT 1")
        platform.source.execute("SELECT pg_stat_clear_snapshot()")
        row = platform.source.execute(count).fetchone()
        assert row is not None
        return int(row[0])

    before = read()
    found = look(platform, cursor)
    return found.changed, read() - before


@pytest.mark.long
def test_poll_reads_the_end_of_a_large_table_first(many: Platform) -> None:
    cursor = look(many, PollCursor()).cursor
    write(many, new_sale(30001))
    changed, read = rows_read(many, cursor)

    assert set(changed) == FACT_TABLES
    assert 0 < read < 1000


@pytest.mark.parametrize("order", by_night([10001, 10002, 15000, 29999, 30000], but=[0, 4]))
def test_poll_finds_an_edit_wherever_it_is(many: Platform, order: int) -> None:
    cursor = look(many, PollCursor()).cursor
    write(many, f"UPDATE sales_order SET units_sold = 7 WHERE sales_order_id = {order}")
    changed, _ = rows_read(many, cursor)

    assert changed == ["sales_order"]


@pytest.mark.parametrize(
    "news",
    by_night(
        [
            "UPDATE sales_order SET units_sold = 9 WHERE sales_order_id = 29951",
            "UPDATE sales_order SET units_sold = 9 WHERE sales_order_id = 10001",
            new_sale(30001),
        ],
        but=[0],
    ),
)
def test_poll_knows_the_rows_that_the_last_batch_saw(many: Platform, news: str) -> None:
    """A long transaction keeps the watermark back: its rows are recent, but no news."""
    with psycopg.connect(many.application.info.dsn, password=many.application.info.password) as old:
        old.execute("SELECT pg_current_xact_id()")
        many.application.execute(
            "UPDATE sales_order SET units_sold = 8 WHERE sales_order_id BETWEEN 29900 AND 29990"
        )
        assert many.capture() is not None
        write(many, "SELECT pg_current_xact_id()")
        quiet = look(many, PollCursor())
        assert quiet.changed == []
        write(many, news)
        changed, _ = rows_read(many, quiet.cursor)

    assert "sales_order" in changed


@pytest.mark.long
def test_many_changed_rows_are_read_without_their_places(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert platform.run() is not None
    monkeypatch.setattr(scans, "MOST_CTIDS", 1)
    platform.application.execute("UPDATE sales_order SET units_sold = units_sold + 1")
    manifest = platform.capture()

    assert manifest is not None
    assert manifest.tables["sales_order"].rows == 2
