"""A delivery goes through the lake into the warehouse once, in order, and can be proved."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from psycopg import sql

from totesys_dagster.errors import LoadError, OtherLakeError, ProcessingError
from totesys_dagster.feeds import process, receive
from totesys_dagster.feeds.feed import Feed, Outcome
from totesys_dagster.feeds.load import FeedLoad
from totesys_dagster.feeds.process import process_again
from totesys_dagster.feeds.status import feed_status
from totesys_dagster.lake.deliveries import Delivery
from totesys_dagster.lake.feed_receipt import feed_receipt_key
from totesys_dagster.lake.parts import read_lines
from totesys_dagster.lake.store import Store
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.operations.repair import repair
from totesys_dagster.operations.verify import verify
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.feeds.conftest import FEED, TABLE, Feeding, read_csv, without_scope
from totesys_dagster_tests.landing import by_night
from totesys_dagster_tests.warehouse.conftest import by_hand


def path_of(platform: Platform, zone: str, key: str) -> Path:
    return Path(getattr(platform, zone).url.removeprefix("file://")) / key


def test_row_has_a_version_for_each_change_and_none_for_what_is_said_again(
    feeding: Feeding,
) -> None:
    for number, rate in enumerate(("0.79", "0.80", "0.80", "0.79"), start=1):
        feeding.receive(f"2024-11-15,USD,{rate}\n2024-11-15,EUR,0.83\n", version=str(number))
    feeding.load()

    assert feeding.versions() == [
        ("15", "EUR", "0.83", 1, False),
        ("15", "USD", "0.79", 1, False),
        ("15", "USD", "0.8", 2, False),
        ("15", "USD", "0.79", 4, False),
    ]
    assert feeding.verify().findings == []


def test_newer_version_of_a_name_replaces_what_that_name_gave(feeding: Feeding) -> None:
    feeding.receive("2024-11-14,USD,1\n2024-11-15,USD,2\n", "a.csv")
    feeding.receive("2024-11-14,EUR,3\n", "b.csv")
    feeding.receive("2024-11-15,USD,2\n", "a.csv", "2")
    feeding.receive("2024-11-14,USD,4\n", "a.csv", "3")
    feeding.load()

    assert feeding.versions() == [
        ("14", "USD", "1", 1, False),
        ("15", "USD", "2", 1, False),
        ("14", "EUR", "3", 2, False),
        ("14", "USD", "1", 3, True),
        ("14", "USD", "4", 4, False),
        ("15", "USD", "2", 4, True),
    ]
    assert feeding.platform.rows("SELECT count(*) FROM current_fact_exchange_rate") == [(2,)]
    assert feeding.verify().findings == []


def test_row_that_another_name_took_over_stays_when_the_first_name_loses_it(
    feeding: Feeding,
) -> None:
    feeding.receive("2024-11-14,USD,1\n2024-11-15,USD,2\n", "a.csv")
    feeding.receive("2024-11-15,USD,3\n", "b.csv")
    feeding.receive("2024-11-14,USD,1\n", "a.csv", "2")
    feeding.load()

    assert feeding.platform.rows(
        "SELECT source, trim_scale(rate_to_gbp)::text FROM current_fact_exchange_rate ORDER BY 1"
    ) == [("a.csv", "1"), ("b.csv", "3")]
    assert feeding.verify().findings == []


def test_feed_that_replaces_nothing_only_adds_and_changes(feeding: Feeding) -> None:
    feeding = without_scope(feeding)
    feeding.receive("2024-11-14,USD,1\n")
    feeding.receive("2024-11-15,USD,2\n", version="2")
    feeding.load()

    assert [version[4] for version in feeding.versions()] == [False, False]
    assert feeding.verify().findings == []


def test_faulty_line_refuses_all_and_what_was_there_stays(feeding: Feeding) -> None:
    platform = feeding.platform
    feeding.receive("2024-11-14,USD,1\n", "a.csv")
    feeding.receive("2024-11-14,USD,2\nrubbish\n", "a.csv", "2")
    loads = feeding.load()

    assert [load.receipt.refused for load in loads] == [None, "a line has no rate"]
    [entry] = loads[1].receipt.quarantine
    assert read_lines(platform.processed, entry) == (
        b'{"line": 2, "reasons": ["no rate"], "row": "rubbish"}\n'
    )
    assert feeding.versions() == [("14", "USD", "1", 1, False)]
    zones = (platform.ingestion, platform.processed)
    status = feed_status(platform.warehouse, platform.names, FEED, *zones)
    assert status.refused == {"a.csv": "a line has no rate"}
    assert "2 deliveries, of which the warehouse holds 2" in status.sentence
    feeding.receive("2024-11-14,USD,3\n", "a.csv", "3")
    feeding.load()
    assert feed_status(platform.warehouse, platform.names, FEED, *zones).refused == {}


def test_thing_is_received_once_whoever_receives_it(feeding: Feeding) -> None:
    threads = [
        threading.Thread(target=feeding.receive, args=("2024-11-14,USD,1\n", f"{n % 4}.csv"))
        for n in range(12)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    log = receive.log_of(FEED, feeding.platform.ingestion)
    assert sorted(delivery.name for delivery in log.after(0)) == [f"{n}.csv" for n in range(4)]
    assert receive.what("3.csv", {"version": "1"}) in receive.received(
        FEED, feeding.platform.ingestion
    )


def test_load_goes_on_where_it_was_killed(feeding: Feeding) -> None:
    for number in range(3):
        feeding.receive(f"2024-11-1{number},USD,1\n", f"{number}.csv")
    platform = feeding.platform
    loading = process.process_up_to(
        FEED,
        receive.log_of(FEED, platform.ingestion).read(2),
        platform.ingestion,
        platform.processed,
    )
    next(loading)  # the first is processed, and no more

    assert [load.delivery.sequence for load in feeding.load()] == [1, 2, 3]
    assert feeding.load() == []
    assert len(feeding.versions()) == 3


def test_function_that_gives_other_rows_is_refused(feeding: Feeding) -> None:
    delivery = feeding.receive("2024-11-14,USD,1\n")
    assert delivery is not None
    feeding.load()
    platform = feeding.platform
    other = Feed("Rates", TABLE, lambda *_: Outcome(TABLE.arrow_schema.empty_table()))
    [(_, before)] = process.process_up_to(FEED, delivery, platform.ingestion, platform.processed)

    with pytest.raises(ProcessingError, match="raise the code_version of fact_exchange_rate"):
        process._write(other, delivery, other.process(delivery, b"", None), platform.processed)
    again = process._write(
        FEED, delivery, read_csv(delivery, b"2024-11-14,USD,1\n", None), platform.processed
    )
    assert again == before


@pytest.mark.parametrize("zone", ["ingestion", "processed"])
def test_changed_object_is_found(feeding: Feeding, zone: str) -> None:
    delivery = feeding.receive("2024-11-14,USD,1\n")
    assert delivery is not None
    [load] = feeding.load()
    key = delivery.body.key if zone == "ingestion" else load.receipt.objects[0].key
    path = path_of(feeding.platform, zone, key)
    path.chmod(0o644)
    path.write_bytes(b"changed")

    findings = feeding.verify().findings

    assert findings
    assert "was changed after it was written" in findings[0]


def test_changed_receipt_and_delivery_are_found(feeding: Feeding) -> None:
    for number in range(2):
        feeding.receive(f"2024-11-1{number},USD,1\n", f"{number}.csv")
    loads = feeding.load()
    verified = feeding.verify()
    assert (verified.deliveries, verified.batches) == (2, 0)
    receipt = path_of(feeding.platform, "processed", feed_receipt_key(TABLE, loads[0].delivery))
    delivery = path_of(feeding.platform, "ingestion", "deliveries/exchange_rate/0000000001.json")
    for path, old, new in ((receipt, b'"rows": 1', b'"rows": 2'), (delivery, b"test", b"tset")):
        path.chmod(0o644)
        data = path.read_bytes()
        path.write_bytes(data.replace(old, new, 1))
        findings = feeding.verify().findings
        assert findings, path
        path.write_bytes(data)

    assert feeding.verify().findings == []


@pytest.mark.parametrize(
    "statement",
    by_night(
        [
            "UPDATE fact_exchange_rate SET rate_to_gbp = 2",
            "DELETE FROM fact_exchange_rate",
            "UPDATE fact_exchange_rate SET is_deleted = TRUE",
        ],
        but=[0],
    ),
)
def test_row_that_was_changed_by_hand_is_found_and_put_right(
    registered: Feeding, statement: str
) -> None:
    platform = registered.platform
    platform.first()
    registered.receive("2024-11-14,USD,1\n")
    registered.load()
    before = registered.versions()
    by_hand(platform, statement)
    parts = (platform.warehouse, platform.names, platform.ingestion, platform.processed)

    [found] = verify(*parts).findings
    rebuilt = rebuild(*parts, quarantine_limit=100)

    assert "fact_exchange_rate differs from what the deliveries of Rates give" in found
    assert rebuilt.different is not None
    assert rebuilt.different["fact_exchange_rate"]
    assert registered.versions() == before
    assert verify(*parts).findings == []
    assert platform.rows("SELECT log, count(*) FROM batch GROUP BY log ORDER BY log") == [
        ("exchange_rate", 1),
        ("totesys", 1),
    ]


def test_warehouse_is_rebuilt_from_nothing_with_its_feeds(registered: Feeding) -> None:
    platform = registered.platform
    platform.first()
    for number in range(3):
        registered.receive(f"2024-11-1{number},USD,{number}\n", "a.csv", str(number))
    registered.load()
    before = registered.versions()
    for schema_ in ("warehouse", "warehouse_bookkeeping", "reports"):
        platform.warehouse.execute(
            sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema_))
        )

    rebuild(
        platform.warehouse,
        platform.names,
        platform.ingestion,
        platform.processed,
        quarantine_limit=100,
    )

    assert registered.versions() == before
    assert registered.verify().findings == []


def test_log_that_is_shorter_than_the_ledger_is_refused(registered: Feeding) -> None:
    platform = registered.platform
    for number in range(2):
        registered.receive(f"2024-11-1{number},USD,1\n", f"{number}.csv")
    registered.load()
    path_of(platform, "ingestion", "deliveries/exchange_rate/0000000002.json").unlink()

    with pytest.raises(OtherLakeError, match="holds 2 deliveries of Rates, but the lake"):
        registered.load()
    with pytest.raises(OtherLakeError):
        rebuild(
            platform.warehouse,
            platform.names,
            platform.ingestion,
            platform.processed,
            quarantine_limit=100,
        )
    [found] = registered.verify().findings
    assert "restore them" in found
    assert len(registered.versions()) == 2


def test_two_rows_of_one_key_load_nothing(feeding: Feeding) -> None:
    feeding.receive("2024-11-14,USD,1\n2024-11-14,USD,2\n")

    with pytest.raises(LoadError, match="delivery 1 of Rates"):
        feeding.load()

    assert feeding.versions() == []
    assert feeding.platform.rows("SELECT count(*) FROM batch") == [(0,)]


def parts(feeding: Feeding) -> tuple[Connection, Names, Store, Store]:
    platform = feeding.platform
    return platform.warehouse, platform.names, platform.ingestion, platform.processed


def loaded_twice(feeding: Feeding) -> list[FeedLoad]:
    feeding.platform.first()
    for number in range(2):
        feeding.receive(f"2024-11-1{number},USD,1\n", f"{number}.csv")
    return feeding.load()


@pytest.mark.parametrize("what", by_night(["objects", "state", "receipt"], but=[0]))
@pytest.mark.parametrize("data", by_night([b"changed", None], but=[0]))
def test_damage_in_the_processed_zone_is_repaired(
    registered: Feeding, what: str, data: bytes | None
) -> None:
    load, _ = loaded_twice(registered)
    key = feed_receipt_key(TABLE, load.delivery)
    if what != "receipt":
        key = getattr(load.receipt, what)[0].key
    path = path_of(registered.platform, "processed", key)
    path.chmod(0o644)
    path.write_bytes(data) if data else path.unlink()

    found = verify(*parts(registered))
    repair(registered.platform.ingestion, registered.platform.processed, found.damaged)

    assert (1, "fact_exchange_rate") in found.damaged
    assert verify(*parts(registered)).findings == []


def test_refusal_in_other_words_is_the_same_result(registered: Feeding) -> None:
    """As after an upgrade to a release that says it better."""
    registered.platform.first()
    registered.receive("no rates\n", "bad.csv")
    [load] = registered.load()
    assert load.receipt.refused

    def reworded(delivery: Delivery, body: bytes, state: pa.Table | None) -> Outcome:
        return replace(read_csv(delivery, body, state), refused="this is not how it should be")

    def accepting(delivery: Delivery, body: bytes, state: pa.Table | None) -> Outcome:
        return replace(read_csv(delivery, body, state), refused=None)

    zones = registered.platform.ingestion, registered.platform.processed
    again = process_again(replace(FEED, process=reworded), load.delivery, *zones)
    assert again == load.receipt
    with pytest.raises(ProcessingError, match="was processed before with another result"):
        process_again(replace(FEED, process=accepting), load.delivery, *zones)


@pytest.mark.long
def test_forged_rows_do_not_take_the_place_of_others(registered: Feeding) -> None:
    """Parquet and a receipt that fit together, and that the delivery does not give."""
    load, _ = loaded_twice(registered)
    before = registered.versions()
    for key in (load.receipt.objects[0].key, feed_receipt_key(TABLE, load.delivery)):
        path_of(registered.platform, "processed", key).unlink()

    def forge(delivery: Delivery, body: bytes, state: pa.Table | None) -> Outcome:
        return read_csv(delivery, body.replace(b",1\n", b",7\n"), state)

    process_again(
        replace(FEED, process=forge),
        load.delivery,
        registered.platform.ingestion,
        registered.platform.processed,
    )

    with pytest.raises(ProcessingError, match="was processed before with another result"):
        rebuild(*parts(registered), quarantine_limit=100)
    assert registered.versions() == before


@pytest.mark.parametrize("number", by_night([1, 2], but=[0]))
def test_delivery_that_was_changed_rebuilds_nothing(registered: Feeding, number: int) -> None:
    loaded_twice(registered)
    before = registered.versions()
    name = f"deliveries/exchange_rate/{number:010}.json"
    path = path_of(registered.platform, "ingestion", name)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b'"test"', b'"tset"'))

    with pytest.raises(OtherLakeError, match="changed after it was written"):
        rebuild(*parts(registered), quarantine_limit=100)
    assert registered.versions() == before
