"""The capture of a batch: which rows it holds, exactly as in the source, and when it exists."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import psycopg
import pytest
from psycopg import sql

from totesys_dagster import settings
from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.errors import CommitConflictError, LakeError, SourceError
from totesys_dagster.ingestion import changes, identity
from totesys_dagster.ingestion.capture import (
    Capture,
    check_batch_key,
    next_batch,
    open_capture,
)
from totesys_dagster.ingestion.poll import changed_tables
from totesys_dagster.lake import requests
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.parts import read_lines
from totesys_dagster.lake.raw import RawTable
from totesys_dagster.lake.receipt import touched_stars
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster.postgres.sessions import Connection, connect
from totesys_dagster_tests import hand_made
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import (
    DELETE_ORDER_1,
    EDIT_ORDER_1,
    EDIT_ORDER_1_BACK,
    new_design,
    new_sale,
)
from totesys_dagster_tests.landing import by_night


def captured(platform: Platform, *, part_bytes: int = 1 << 20) -> Manifest:
    manifest = platform.capture(part_bytes=part_bytes)
    assert manifest is not None
    return manifest


@contextmanager
def capturing(
    platform: Platform,
    connection: Connection | None = None,
) -> Iterator[Capture]:
    """A capture to be looked into before it commits."""
    with open_capture(
        connection or platform.source,
        platform.ingestion,
        run_id="test",
        part_bytes=4096,
    ) as capture:
        yield capture


def write(platform: Platform, capture: Capture) -> None:
    for read in capture.reads():
        read.write(platform.ingestion)


def lines(platform: Platform, manifest: Manifest, table: str) -> list[bytes]:
    """The rows that a batch holds of a table, as they are stored."""
    parts = RawTable(SOURCE_TABLES[table], manifest, platform.ingestion).parts()
    return [line for part in parts for line in part.removesuffix(b"\n").split(b"\n")]


def keys(platform: Platform, manifest: Manifest, table: str) -> list[int]:
    """The keys of the rows that a batch holds of a table."""
    key = SOURCE_TABLES[table].key
    return sorted(json.loads(line)[key] for line in lines(platform, manifest, table))


def deleted(platform: Platform, manifest: Manifest, table: str) -> list[int]:
    gone = manifest.tables[table].deleted_keys
    ranges = gone.read(platform.ingestion) if gone else []
    return [key for low, high in ranges for key in range(low, high + 1)]


def counted_as_deleted(platform: Platform, manifest: Manifest) -> dict[str, int]:
    """How many keys the source lacks since the last batch, where it lacks any."""
    log = ManifestLog(platform.ingestion)
    counts = {name: log.deleted(manifest, name) for name in manifest.tables}
    return {name: count for name, count in counts.items() if count}


def held(platform: Platform, manifest: Manifest) -> dict[str, list[int]]:
    """The keys of all rows that a batch holds, by table."""
    return {
        name: keys(platform, manifest, name) for name in SOURCE_TABLES if manifest.tables[name].rows
    }


def marked_changed(manifest: Manifest) -> list[str]:
    return [name for name, entry in manifest.tables.items() if entry.changed]


# One snapshot


def test_groups_are_whole_though_orders_arrive_between_the_reads(platform: Platform) -> None:
    """An order, its transaction and its payment are committed together, here before every read."""
    order_ids = itertools.count(10)
    with capturing(platform) as capture:
        for read in capture.reads():
            platform.application.execute(new_sale(next(order_ids)))
            read.write(platform.ingestion)
        first = capture.commit()
    second = captured(platform)

    assert keys(platform, first, "sales_order") == [1, 2]
    assert keys(platform, first, "transaction") == [1, 2, 3]
    assert keys(platform, first, "payment") == [1, 2, 3]
    entered = [*range(10, next(order_ids))]
    assert held(platform, second) == {
        "payment": entered,
        "sales_order": entered,
        "transaction": entered,
    }


def test_digest_is_of_the_same_snapshot_as_the_rows(platform: Platform) -> None:
    with capturing(platform) as capture:
        write(platform, capture)
        platform.application.execute(new_sale(10))
        manifest = capture.commit()

    assert manifest.stars["fact_sales_order"].whole.rows == 2
    assert manifest.tables["sales_order"].keys.count == 2


def test_truncate_waits_for_the_capture(platform: Platform) -> None:
    """A snapshot does not protect from it: a table that was truncated reads as empty in all."""
    platform.application.execute("SET lock_timeout TO '50ms'")
    with capturing(platform) as capture:
        with pytest.raises(psycopg.errors.LockNotAvailable):
            platform.application.execute("TRUNCATE payment")
        write(platform, capture)
        manifest = capture.commit()

    assert keys(platform, manifest, "payment") == [1, 2, 3]


def test_capture_waits_for_a_truncate_and_takes_its_snapshot_then(platform: Platform) -> None:
    """With a snapshot of before it would see the table empty and the new design not at all."""
    platform.first_capture()
    with platform.writer() as writer, ThreadPoolExecutor(1) as background:
        writer.execute(f"TRUNCATE payment; {new_design(3)}")
        capture = background.submit(captured, platform)
        waiting = "SELECT FROM pg_locks WHERE pid = %s AND NOT granted"
        pid = platform.source.info.backend_pid
        while not platform.application.execute(waiting, [pid]).fetchall():
            assert not capture.done()
        writer.commit()
        manifest = capture.result(timeout=20)

    assert held(platform, manifest) == {"design": [3]}
    assert deleted(platform, manifest, "payment") == [1, 2, 3]


# Exact JSON Lines


def test_rows_are_json_lines_as_postgresql_prints_them(platform: Platform) -> None:
    manifest = captured(platform)

    [order] = lines(platform, manifest, "purchase_order")
    assert order == (
        b'{"purchase_order_id":1,"created_at":"2022-11-03T14:20:52.187",'
        b'"last_updated":"2022-11-03T14:20:52.187","staff_id":2,"counterparty_id":2,'
        b'"item_code":"014OEPM","item_quantity":371,"item_unit_price":361.39,"currency_id":3,'
        b'"agreed_delivery_date":"2022-11-09","agreed_payment_date":"2022-11-07",'
        b'"agreed_delivery_location_id":1}'
    )
    assert b'"unit_price":2.10,' in lines(platform, manifest, "sales_order")[1]
    assert b'"created_at":"2022-11-04T09:00:00",' in lines(platform, manifest, "sales_order")[1]
    assert (
        b'"sales_order_id":null,"purchase_order_id":1,'
        in lines(platform, manifest, "transaction")[0]
    )


# What people write, and the string that it is as JSON.
TEXTS = [
    ('Fahey, "Sons" and Co', rb'"Fahey, \"Sons\" and Co"'),
    ("O'Keefe \\ Söhne", '"O\'Keefe \\\\ Söhne"'.encode()),
    ("one\ntwo\r\nthree", rb'"one\ntwo\r\nthree"'),
    ("a\tb", rb'"a\tb"'),
    ("line\u2028separator", '"line\u2028separator"'.encode()),
    ("/usr/local", b'"/usr/local"'),
    ("\x01\x02\x1f\x7f", rb'"\u0001\u0002\u001f' + b'\x7f"'),
    ("\\.", rb'"\\."'),
    ("", b'""'),
    (r"\u0000", rb'"\\u0000"'),
]


def test_text_arrives_as_it_is(platform: Platform) -> None:
    platform.application.cursor().executemany(
        "INSERT INTO design VALUES (%s, '2022-11-03', %s, '/usr', 'f', '2022-11-03')",
        [(key, text) for key, (text, _) in enumerate(TEXTS, 10)],
    )
    manifest = captured(platform)

    assert lines(platform, manifest, "design")[2:] == [
        b'{"design_id":%d,"created_at":"2022-11-03T00:00:00","design_name":%s,' % (key, stored)
        + b'"file_location":"/usr","file_name":"f","last_updated":"2022-11-03T00:00:00"}'
        for key, (_, stored) in enumerate(TEXTS, 10)
    ]


def test_column_that_the_catalogue_does_not_know_is_archived(platform: Platform) -> None:
    platform.application.execute("ALTER TABLE currency ADD COLUMN symbol text DEFAULT '£'")
    manifest = captured(platform)

    assert lines(platform, manifest, "currency")[0] == (
        b'{"currency_id":1,"currency_code":"GBP","created_at":"2022-11-03T14:20:49.962",'
        b'"last_updated":"2022-11-03T14:20:49.962","symbol":"\xc2\xa3"}'
    )


def test_line_breaks_within_a_json_value_do_not_break_the_line(platform: Platform) -> None:
    """A new column of type json prints as it was written."""
    platform.application.execute(
        """ALTER TABLE currency ADD COLUMN notes json DEFAULT E'{\\n  "a": "b\\\\nc"\\r\\n}'"""
    )
    manifest = captured(platform)

    assert [json.loads(line)["notes"] for line in lines(platform, manifest, "currency")] == [
        {"a": "b\nc"},
        {"a": "b\nc"},
        {"a": "b\nc"},
    ]


# Which rows


def test_silent_edit_brings_its_row_and_no_other(platform: Platform) -> None:
    platform.first_capture()
    platform.application.execute(EDIT_ORDER_1)
    manifest = captured(platform)

    assert held(platform, manifest) == {"sales_order": [1]}
    assert manifest.tables["sales_order"].read == "delta"


def test_edit_and_its_undoing_are_in_a_batch_each(platform: Platform) -> None:
    platform.first_capture()
    designs = []
    for edit in (EDIT_ORDER_1, EDIT_ORDER_1_BACK):
        platform.application.execute(edit)
        [line] = lines(platform, captured(platform), "sales_order")
        designs.append(json.loads(line)["design_id"])

    assert designs == [2, 1]


@pytest.mark.parametrize(
    ("edit", "rows"),
    by_night(
        [
            (
                "UPDATE department SET location = 'Leeds' WHERE department_id = 2",
                {"department": [2], "staff": [2]},
            ),
            (
                "UPDATE address SET city = 'Oslo' WHERE address_id = 1",
                {"address": [1], "counterparty": [2]},
            ),
            (
                "INSERT INTO staff VALUES (3, 'A', 'B', 1, 'a.b@terrifictotes.com', now(), now())",
                {"department": [1], "staff": [3]},
            ),
            (
                "UPDATE counterparty SET legal_address_id = 1 WHERE counterparty_id = 1",
                {"address": [1], "counterparty": [1]},
            ),
        ],
        but=[0, 3],
    ),
)
def test_rows_come_with_those_that_they_are_joined_with(
    platform: Platform, edit: str, rows: dict[str, list[int]]
) -> None:
    platform.first_capture()
    platform.application.execute(edit)
    manifest = captured(platform)

    assert held(platform, manifest) == rows
    assert marked_changed(manifest) == [name for name in rows if name in edit.split()]


def test_new_staff_does_not_touch_departments_nor_a_new_counterparty_locations(
    platform: Platform,
) -> None:
    platform.first_capture()
    platform.application.execute(
        "UPDATE counterparty SET commercial_contact = 'A' WHERE counterparty_id = 1"
    )
    manifest = captured(platform)

    assert held(platform, manifest) == {"address": [2], "counterparty": [1]}
    assert [star.name for star in touched_stars(manifest)] == ["dim_counterparty"]


def test_department_without_staff_touches_no_star(platform: Platform) -> None:
    platform.first_capture()
    platform.application.execute(
        "INSERT INTO department VALUES (3, 'IT', NULL, NULL, now(), now())"
    )
    manifest = captured(platform)

    assert held(platform, manifest) == {"department": [3]}
    assert touched_stars(manifest) == []


# Deletions


@pytest.mark.parametrize(
    ("action", "deleted_keys"),
    by_night(
        [
            ("DELETE FROM payment WHERE payment_id = 2", [2]),
            ("DELETE FROM payment WHERE payment_id = 3", [3]),  # the highest key
            ("DELETE FROM payment", [1, 2, 3]),
            ("TRUNCATE payment", [1, 2, 3]),
        ],
        but=[0, 3],
    ),
)
def test_deleted_keys_are_listed(platform: Platform, action: str, deleted_keys: list[int]) -> None:
    platform.first_capture()
    platform.application.execute(action)
    manifest = captured(platform)

    assert deleted(platform, manifest, "payment") == deleted_keys
    assert held(platform, manifest) == {}
    assert not manifest.tables["payment"].reconcile


def test_full_read_counts_the_keys_that_are_gone(platform: Platform) -> None:
    """Some are gone, and others came; those of the first batch are all new."""
    first = platform.first_capture()
    platform.application.execute("DELETE FROM payment WHERE payment_id <> 3")
    platform.application.execute(new_sale(9))
    manifest = platform.capture(full=("payment",))

    assert manifest is not None
    assert manifest.tables["payment"].reconcile
    assert manifest.tables["payment"].inserted == 1
    assert counted_as_deleted(platform, first) == {}
    assert counted_as_deleted(platform, manifest) == {"payment": 2}


def test_another_history_counts_the_keys_that_only_the_last_one_had(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.first_capture()
    platform.application.execute("DELETE FROM payment WHERE payment_id = 2")
    monkeypatch.setattr(identity, "comparable", lambda *_: False)
    manifest = captured(platform)

    assert {entry.reason for entry in manifest.tables.values()} == {changes.OTHER_HISTORY}
    assert {entry.inserted for entry in manifest.tables.values()} == {0}
    assert counted_as_deleted(platform, manifest) == {"payment": 1}


def test_deletion_leaves_the_other_rows_alone(platform: Platform) -> None:
    platform.first_capture()
    platform.application.execute(DELETE_ORDER_1)
    manifest = captured(platform)

    assert {name: deleted(platform, manifest, name) for name in marked_changed(manifest)} == {
        "payment": [1],
        "sales_order": [1],
        "transaction": [2],
    }
    assert held(platform, manifest) == {}


def test_deletion_is_listed_once(platform: Platform) -> None:
    platform.first_capture()
    platform.application.execute("DELETE FROM payment WHERE payment_id = 2")
    captured(platform)

    assert platform.capture() is None


SPARE_DESIGN_AGAIN = "DELETE FROM design WHERE design_id = 3"


def test_row_deleted_and_inserted_again_is_a_changed_row(platform: Platform) -> None:
    platform.application.execute(new_design(3))
    captured(platform)
    platform.application.execute(f"{SPARE_DESIGN_AGAIN}; {new_design(3)}")
    manifest = captured(platform)

    assert held(platform, manifest) == {"design": [3]}
    assert deleted(platform, manifest, "design") == []


def test_key_can_be_used_again_batches_later(platform: Platform) -> None:
    found = []
    platform.application.execute(new_design(3))
    captured(platform)
    for action in (SPARE_DESIGN_AGAIN, new_design(3)):
        platform.application.execute(action)
        manifest = captured(platform)
        found.append((held(platform, manifest), deleted(platform, manifest, "design")))

    assert found == [({}, [3]), ({"design": [3]}, [])]


def test_row_that_came_and_went_between_two_batches_was_never_there(platform: Platform) -> None:
    platform.first_capture()
    platform.application.execute(f"{new_design(3)}; {SPARE_DESIGN_AGAIN}")

    assert platform.capture() is None


# Large tables, of which keys and digests are read once in an hour only


@pytest.fixture
def large(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """A platform for which every table is large, with a first batch."""
    monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", -1)
    captured(platform)
    return platform


@pytest.fixture
def an_hour_later(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Lets the hour between two readings of keys pass."""
    return lambda: monkeypatch.setattr(changes, "WHOLE_EVERY", dt.timedelta(0))


def test_deletion_from_a_large_table_waits_for_the_hour(
    large: Platform, an_hour_later: Callable[[], None]
) -> None:
    large.application.execute("DELETE FROM payment WHERE payment_id = 2")
    within_the_hour = large.capture()
    an_hour_later()
    manifest = captured(large)

    assert within_the_hour is None
    assert deleted(large, manifest, "payment") == [2]


def test_rows_of_a_large_table_do_not_wait(large: Platform) -> None:
    large.application.execute(new_sale(9))
    manifest = captured(large)

    assert held(large, manifest) == {"payment": [9], "sales_order": [9], "transaction": [9]}
    assert manifest.tables["payment"].keys.sequence == 1
    assert manifest.tables["payment"].inserted is None
    entry = manifest.stars["fact_payment"]
    assert entry.whole.sequence == 1
    assert entry.touched is not None
    assert entry.touched.rows == 1


def test_row_that_came_and_went_between_two_key_readings_is_found(
    large: Platform, an_hour_later: Callable[[], None]
) -> None:
    """The batch of its coming is in the lake, yet it is in neither set of keys."""
    large.application.execute(new_design(3))
    came = captured(large)
    large.application.execute(SPARE_DESIGN_AGAIN)
    an_hour_later()
    manifest = captured(large)

    assert held(large, came) == {"design": [3]}
    assert manifest.tables["design"].reconcile
    assert manifest.tables["design"].keys.read(large.ingestion) == [(1, 2)]
    assert marked_changed(manifest) == ["design"]
    assert counted_as_deleted(large, manifest) == {}


def test_large_table_that_shrinks_gives_up_what_came_meanwhile(
    large: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A TRUNCATE makes the estimated size nothing: the keys are read at once then."""
    large.application.execute(new_design(3))
    captured(large)
    large.application.execute(SPARE_DESIGN_AGAIN)
    monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", 1_000_000)
    manifest = captured(large)

    assert manifest.tables["design"].reconcile


def test_large_table_that_is_read_in_full_reads_its_keys(large: Platform) -> None:
    large.application.execute("DELETE FROM payment WHERE payment_id = 2")
    requests.put_full_read(large.ingestion, "payment", 1, "it was asked for")
    entry = captured(large).tables["payment"]

    assert (entry.read, entry.reconcile, entry.keys.count) == ("full", True, 2)


# Full reads on request


def test_requested_table_is_read_in_full_once(platform: Platform) -> None:
    platform.first_capture()
    requests.put_full_read(platform.ingestion, "design", 1, "it was asked for")
    manifest = captured(platform)

    assert held(platform, manifest) == {"design": [1, 2]}
    assert manifest.tables["design"].read == "full"
    assert manifest.tables["design"].last_full == 2
    assert platform.capture() is None


def test_table_can_be_read_in_full_by_name(platform: Platform) -> None:
    platform.first_capture()
    manifest = platform.capture(full=("staff",))

    assert manifest is not None
    assert held(platform, manifest) == {"department": [1, 2], "staff": [1, 2]}
    assert marked_changed(manifest) == ["staff"]


def test_request_shows_as_a_change_before_the_capture(platform: Platform) -> None:
    platform.first_capture()
    requests.put_full_read(platform.ingestion, "design", 1, "it was asked for")

    assert changed_tables(platform.source, platform.ingestion).changed == ["design"]


# Keys of batches

NOON = dt.datetime(2026, 11, 23, 12, 0, 0, tzinfo=dt.UTC)


def test_batch_is_named_by_its_number() -> None:
    assert next_batch(None) == "0000000001"
    assert next_batch(hand_made.manifest(41)) == "0000000042"


@pytest.mark.parametrize(
    "batch",
    ["", "now", "42", "0000000043", "9999999999", "2099-01-01T00-00-00Z", "0000000042/..", "../x"],
)
def test_key_that_a_person_made_up_is_refused_and_told_the_next(batch: str) -> None:
    with pytest.raises(LakeError, match=r"named by sequence, and the next one is 0000000042\.$"):
        check_batch_key(batch, hand_made.manifest(41))


def test_batch_that_is_committed_is_not_captured_again() -> None:
    head = hand_made.manifest(41)
    check_batch_key("0000000042", head)

    with pytest.raises(CommitConflictError, match="the lake already goes up to batch 0000000041"):
        check_batch_key("0000000041", head)


# Captures that fail, and captures that meet


def test_capture_that_is_broken_off_leaves_no_batch(platform: Platform) -> None:
    with capturing(platform) as capture:
        write(platform, capture)
    left = platform.ingestion.list("rows")
    manifest = captured(platform)

    assert left != []
    assert manifest.sequence == 1
    assert keys(platform, manifest, "payment") == [1, 2, 3]


def test_capture_whose_connection_is_killed_leaves_no_batch(platform: Platform) -> None:
    pid = platform.source.info.backend_pid
    admin_dsn = platform.server.dsn(SUPERUSER, platform.source_database)
    with (
        psycopg.connect(admin_dsn, autocommit=True) as admin,
        capturing(platform) as capture,
    ):
        write(platform, capture)
        admin.execute("SELECT pg_terminate_backend(%s, 5000)", [pid])
        with pytest.raises(SourceError, match=r"PostgreSQL stopped the digest of "):
            capture.commit()
    with connect(settings.SOURCE_DSN) as platform.source:
        manifest = captured(platform)

    assert manifest.sequence == 1
    assert keys(platform, manifest, "payment") == [1, 2, 3]


def test_error_of_the_lake_is_not_hidden_by_the_source(platform: Platform) -> None:
    """The transaction is then left in the middle of a COPY."""

    def fill_the_lake() -> None:
        with capturing(platform) as capture:
            next(next(capture.reads()).streams[0])
            raise LakeError("the lake is full")

    with pytest.raises(LakeError, match="the lake is full"):
        fill_the_lake()


@pytest.mark.parametrize("first_wins", [True, False])
def test_of_two_captures_that_race_one_commits_and_nothing_is_lost(
    platform: Platform, first_wins: bool
) -> None:
    """The second sees an edit that the first does not."""
    platform.first_capture()
    platform.application.execute(new_sale(9))
    with connect(settings.SOURCE_DSN) as other, capturing(platform) as first:
        write(platform, first)
        platform.application.execute(EDIT_ORDER_1)
        with capturing(platform, other) as second:
            write(platform, second)
            winner, loser = (first, second) if first_wins else (second, first)
            won = winner.commit()
            with pytest.raises(CommitConflictError, match="another capture took sequence 2 first"):
                loser.commit()
    after = platform.capture()

    batches = [won, after] if after else [won]
    orders = [keys(platform, batch, "sales_order") for batch in batches]
    assert orders == ([[9], [1]] if first_wins else [[1, 9]])


# Parts


def test_parts_are_bounded_and_end_with_a_line(platform: Platform) -> None:
    platform.application.execute(
        "INSERT INTO design SELECT n, now(), repeat('x', 500), '/', 'f', now()"
        " FROM generate_series(3, 102) AS n"
    )
    manifest = captured(platform, part_bytes=4096)
    parts = [read_lines(platform.ingestion, e) for e in manifest.tables["design"].objects]

    longest = max(len(line) for part in parts for line in part.splitlines(keepends=True))
    assert len(parts) > 10
    assert all(4096 <= len(part) < 4096 + longest for part in parts[:-1])
    assert all(part.endswith(b"\n") for part in parts)
    assert keys(platform, manifest, "design") == [*range(1, 103)]


# What the extractor may do


@pytest.mark.parametrize(
    "statement",
    [
        "SELECT FROM public._prisma_migrations",
        "INSERT INTO design (design_name) VALUES ('A')",
        "UPDATE sales_order SET design_id = 2",
        "DELETE FROM payment",
        "TRUNCATE payment",
        "CREATE TABLE public.mine ()",
        "SELECT setval('design_design_id_seq', 99)",
        "BEGIN; LOCK TABLE payment IN EXCLUSIVE MODE",
    ],
)
def test_extractor_may_neither_write_nor_read_more(platform: Platform, statement: str) -> None:
    """Not even where its role's default, to read only, is switched off."""
    platform.source.execute("SET default_transaction_read_only TO off")

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        platform.source.execute(statement)


def test_extractor_may_read_the_tables_of_the_catalogue(platform: Platform) -> None:
    for table in SOURCE_TABLES:
        query = sql.SQL("SELECT * FROM {}").format(sql.Identifier("public", table))
        assert platform.source.execute(query).fetchall() != []


def test_key_that_the_source_holds_twice_is_one_of_its_keys(platform: Platform) -> None:
    """ToteSys lost a primary key: sets of keys stay sets, and what is deleted is found."""
    platform.application.execute(
        "ALTER TABLE design DROP CONSTRAINT design_pkey CASCADE;"
        " INSERT INTO design SELECT * FROM design WHERE design_id = 1"
    )
    first = platform.capture()
    platform.application.execute("DELETE FROM design WHERE design_id = 2")
    second = platform.capture()

    assert first is not None
    assert first.tables["design"].keys.read(platform.ingestion) == [(1, 2)]
    assert second is not None
    assert second.tables["design"].deleted == 1
