"""Files through the lake into the warehouse: each version once, whole or not at all."""

from __future__ import annotations

import json
import os
import random
import threading
from collections.abc import Callable

import pytest
from rich.console import Console

from totesys_dagster import settings
from totesys_dagster.drops import deliver as delivering
from totesys_dagster.drops.place import Drop, Drops, Read
from totesys_dagster.errors import DropsError
from totesys_dagster.feeds import load
from totesys_dagster.feeds.receive import log_of, read_body
from totesys_dagster.lake.deliveries import DeliveryLog
from totesys_dagster.lake.parts import read_lines
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.operations.renew import Due
from totesys_dagster.operations.verify import verify
from totesys_dagster.report import Status
from totesys_dagster_tests.drops.conftest import LONG_AGO, TARGETS, Dropping, closed

FEED = TARGETS[1]
LEEDS = "2024-11,Leeds,GBP,10.00\n"
YORK = "2024-11,York,GBP,20.00\n"


def test_files_are_loaded_once(dropping: Dropping) -> None:
    dropping.drop(LEEDS, "a b#ü.csv")
    dropping.drop(YORK, "b.csv")
    loads = dropping.take()

    assert [load.delivery.name for load in loads] == ["a b#ü.csv", "b.csv"]
    assert dropping.current() == [
        ("2024-11", "Leeds GBP", "10.00"),
        ("2024-11", "York GBP", "20.00"),
    ]
    assert dropping.take() == []
    body = read_body(dropping.platform.ingestion, loads[0].delivery)
    assert body == (dropping.targets / "a b#ü.csv").read_bytes()
    assert dropping.findings() == []


def test_newer_version_of_a_file_replaces_what_it_gave_and_history_stays(
    dropping: Dropping,
) -> None:
    dropping.drop(LEEDS + YORK)
    dropping.take()
    dropping.drop("2024-11,Leeds,GBP,11.00\n")
    dropping.take()

    assert dropping.current() == [("2024-11", "Leeds GBP", "11.00")]
    assert dropping.platform.rows(
        "SELECT office, target_amount::text, batch_seq, is_deleted FROM fact_sales_target"
        " ORDER BY sales_target_record_id"
    ) == [
        ("Leeds", "10.00", 1, False),
        ("York", "20.00", 1, False),
        ("Leeds", "11.00", 2, False),
        ("York", "20.00", 2, True),
    ]
    assert dropping.findings() == []


def test_same_bytes_once_more_change_nothing_and_what_was_there_before_comes_back(
    dropping: Dropping,
) -> None:
    for rows in (LEEDS, LEEDS, YORK, LEEDS):
        dropping.drop(rows)
        dropping.take()

    assert dropping.current() == [("2024-11", "Leeds GBP", "10.00")]
    assert dropping.platform.rows("SELECT count(*) FROM fact_sales_target") == [(5,)]
    assert dropping.findings() == []


def amounts(dropping: Dropping) -> dict[str, tuple[str, str]]:
    """By month."""
    rows = dropping.platform.rows(
        "SELECT to_char(month, 'MM'), file_name, target_amount::text FROM current_fact_sales_target"
    )
    return {month: (name, amount) for month, name, amount in rows}


def months(*given: str, amount: int) -> str:
    return "".join(f"2025-{month},Leeds,GBP,{amount}\n" for month in given)


def test_row_that_the_newest_file_no_longer_has_comes_back_from_the_file_that_has_it(
    dropping: Dropping,
) -> None:
    dropping.platform.first()
    dropping.drop(months("01", "02", amount=1), "a.csv")
    dropping.drop(months("01", amount=5), "c.csv")
    dropping.drop(months("01", "03", amount=2), "b.csv")
    dropping.take()
    assert amounts(dropping)["01"] == ("b.csv", "2.00")

    dropping.drop(months("03", amount=2), "b.csv")
    [load] = dropping.take()
    assert (load.inserted, load.updated, load.deleted) == (0, 1, 0)
    assert amounts(dropping)["01"] == ("c.csv", "5.00")
    dropping.drop(months("04", amount=5), "c.csv")
    dropping.take()
    assert amounts(dropping)["01"] == ("a.csv", "1.00")
    dropping.drop(months("02", amount=1), "a.csv")
    dropping.take()
    assert sorted(amounts(dropping)) == ["02", "03", "04"]

    platform = dropping.platform
    before = platform.rows("SELECT * FROM fact_sales_target ORDER BY 1")
    parts = (platform.warehouse, platform.names, platform.ingestion, platform.processed)
    assert dropping.findings() == []
    rebuild(*parts, quarantine_limit=100)
    assert platform.rows("SELECT * FROM fact_sales_target ORDER BY 1") == before


def test_row_does_not_come_back_from_a_file_that_has_dropped_it_too(dropping: Dropping) -> None:
    for rows, name in (
        (months("01", "02", amount=1), "a.csv"),
        (months("01", "03", amount=2), "b.csv"),
        (months("02", amount=1), "a.csv"),
        (months("03", amount=2), "b.csv"),
    ):
        dropping.drop(rows, name)
        dropping.take()

    assert sorted(amounts(dropping)) == ["02", "03"]
    assert dropping.findings() == []


def test_row_comes_back_from_the_last_version_of_a_file_that_was_accepted(
    dropping: Dropping,
) -> None:
    for rows, name in (
        (months("01", amount=1), "a.csv"),
        (months("01", "03", amount=2), "b.csv"),
        ("2025-01,Leeds,GBP,x\n", "a.csv"),
        (months("03", amount=2), "b.csv"),
    ):
        dropping.drop(rows, name)
        dropping.take()

    assert amounts(dropping)["01"] == ("a.csv", "1.00")
    assert dropping.findings() == []


def test_file_that_is_only_written_anew_takes_nothing_from_a_newer_one(dropping: Dropping) -> None:
    dropping.drop(months("01", amount=1), "a.csv")
    dropping.drop(months("01", amount=2), "b.csv")
    dropping.take()
    dropping.drop(months("01", amount=1), "a.csv")

    [load] = dropping.take()
    assert (load.inserted, load.updated, load.deleted) == (0, 0, 0)
    assert amounts(dropping) == {"01": ("b.csv", "2.00")}
    assert dropping.take() == []
    assert dropping.findings() == []


@pytest.mark.long
@pytest.mark.parametrize("seed", range(3))
def test_load_and_verify_agree_on_files_that_overlap_at_random(
    dropping: Dropping, seed: int
) -> None:
    chance = random.Random(seed)
    for _ in range(30):
        chosen = chance.sample(["01", "02", "03"], chance.randint(1, 3))
        amount = chance.choice(["1", "2", "2", "x"])
        rows = "".join(f"2025-{month},Leeds,GBP,{amount}\n" for month in sorted(chosen))
        dropping.drop(rows, f"{chance.choice('abc')}.csv")
        dropping.deliver()
    dropping.load()

    assert dropping.findings() == []


def test_file_that_is_deleted_changes_nothing(dropping: Dropping) -> None:
    path = dropping.drop(LEEDS)
    dropping.take()
    path.unlink()

    assert dropping.take() == []
    assert dropping.current() == [("2024-11", "Leeds GBP", "10.00")]


def test_file_that_sorts_and_is_dated_before_all_others_is_found(dropping: Dropping) -> None:
    dropping.drop(YORK, "b.csv")
    dropping.take()
    path = dropping.drop(LEEDS, "a.csv")
    os.utime(path, (LONG_AGO - 86400,) * 2)

    assert [load.delivery.name for load in dropping.take()] == ["a.csv"]


def test_file_with_one_faulty_line_is_refused_until_it_is_replaced(dropping: Dropping) -> None:
    dropping.drop(LEEDS)
    dropping.take()
    dropping.drop("2024-11,Leeds,GBP,12.00\n2024-12,York,GBP,1E5\n")
    [load] = dropping.take()

    assert dropping.current() == [("2024-11", "Leeds GBP", "10.00")]
    [entry] = load.receipt.quarantine
    faulty = json.loads(read_lines(dropping.platform.processed, entry))
    assert (faulty["line"], faulty["row"]) == (3, "2024-12,York,GBP,1E5")
    assert faulty["reasons"][0].startswith("target_amount is not an amount in plain digits")
    assert "the first of them line 3" in dropping.status().refused["a.csv"]
    dropping.drop(YORK)
    dropping.take()
    assert dropping.status().refused == {}
    assert dropping.current() == [("2024-11", "York GBP", "20.00")]
    assert dropping.findings() == []


def test_refused_file_that_is_taken_away_is_refused_no_more(dropping: Dropping) -> None:
    path = dropping.drop("milk\n", "notes.txt")
    dropping.drop("2024-11,Leeds,GBP,x\n")
    dropping.take()
    assert sorted(dropping.status().refused) == ["a.csv", "notes.txt"]

    path.unlink()
    assert sorted(dropping.status().refused) == ["a.csv"]
    dropping.directory.rename(dropping.directory.with_name("elsewhere"))  # cannot be listed
    assert sorted(dropping.status().refused) == ["a.csv", "notes.txt"]


def test_name_of_a_file_is_printed_without_what_moves_a_terminal(
    dropping: Dropping, capsys: pytest.CaptureFixture[str]
) -> None:
    dropping.drop("2024-11,Leeds,GBP,x\n", "a\x1b[31m\n\u202e[b].csv")
    dropping.take()

    status = Status("", None, 0, (), Due(()), [dropping.status()])
    status.print(Console(width=200), declared=True)
    printed = capsys.readouterr().out
    assert "a\\x1b[31m\\n\\u202e[b].csv was refused" in printed
    assert "(a\\x1b[31m\\n\\u202e[b].csv) arrived" in printed
    assert "\x1b" not in printed


def test_file_that_is_too_large_is_refused_unread_until_a_smaller_one_comes(
    dropping: Dropping, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.DROP_BYTES, "70")
    dropping.drop(LEEDS * 10)
    [load] = dropping.take()

    assert load.delivery.body.bytes == 0
    assert "more than TOTESYS_DROP_BYTES allowed" in dropping.status().refused["a.csv"]
    dropping.drop(LEEDS)
    dropping.take()
    assert dropping.status().refused == {}


def test_two_at_once_take_each_file_once(dropping: Dropping) -> None:
    for number in range(8):
        dropping.drop(f"2024-11,Office {number},GBP,1\n", f"{number}.csv")
    threads = [threading.Thread(target=dropping.deliver) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    log = log_of(FEED, dropping.platform.ingestion)
    assert sorted(d.name for d in log.after(0)) == [f"{number}.csv" for number in range(8)]
    assert len(dropping.load()) == 8
    assert dropping.findings() == []


def test_file_that_is_replaced_while_it_is_read_comes_with_the_next_look(
    dropping: Dropping, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropping.drop(LEEDS)
    read = Drops.read

    def replaced(self: Drops, drop: Drop) -> Read | None:
        dropping.drop(YORK)
        return read(self, drop)

    with monkeypatch.context() as patch:
        patch.setattr(Drops, "read", replaced)
        done = dropping.deliver()

    assert (done.deliveries, done.replaced) == ([], ["a.csv"])
    dropping.take()
    assert dropping.current() == [("2024-11", "York GBP", "20.00")]


class _Killed(BaseException):
    """As SIGKILL: nothing catches it."""


@pytest.mark.parametrize("after", ["read", "body", "delivery", "processed"])
def test_killed_anywhere_nothing_is_lost_or_doubled(
    dropping: Dropping, monkeypatch: pytest.MonkeyPatch, after: str
) -> None:
    dropping.drop(LEEDS, "a.csv")
    dropping.drop(YORK, "b.csv")
    with monkeypatch.context() as patch:
        _die(patch, after)
        with pytest.raises(_Killed):
            dropping.take()
    dropping.take()

    assert dropping.current() == [
        ("2024-11", "Leeds GBP", "10.00"),
        ("2024-11", "York GBP", "20.00"),
    ]
    log = log_of(FEED, dropping.platform.ingestion)
    assert [delivery.name for delivery in log.after(0)] == ["a.csv", "b.csv"]
    assert dropping.findings() == []


def _die(patch: pytest.MonkeyPatch, after: str) -> None:
    owner, name = {
        "read": (delivering, "receive"),
        "body": (DeliveryLog, "append"),
        "delivery": (load, "process_up_to"),
        "processed": (load, "load_delivery"),
    }[after]

    def die(*_: object, **__: object) -> None:
        raise _Killed

    patch.setattr(owner, name, die)


def unreadable(names: set[str]) -> Callable[[Drops, Drop], Read | None]:
    """`Drops.read` in which these files may not be read."""
    read = Drops.read

    def denied(self: Drops, drop: Drop) -> Read | None:
        if drop.name in names:
            raise DropsError(f"{drop.name} may not be read.")
        return read(self, drop)

    return denied


def test_files_that_cannot_be_read_hold_up_no_other(
    dropping: Dropping, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = [f"{number}.csv" for number in range(5)]
    for name in names:
        dropping.drop(LEEDS, name)
    dropping.drop(YORK, "last.csv")
    monkeypatch.setattr(Drops, "read", unreadable({*names}))
    done = dropping.deliver()

    assert [delivery.name for delivery in done.deliveries] == ["last.csv"]
    assert done.unreadable == {name: f"{name} may not be read." for name in names}


def test_directory_that_cannot_be_read_holds_up_no_other(dropping: Dropping) -> None:
    dropping.drop(LEEDS)
    dropping.drop(YORK, "north/b.csv")
    with closed(dropping.targets) as path:
        done = dropping.deliver()
    [(name, why)] = done.unreadable.items()

    assert [delivery.name for delivery in done.deliveries] == ["a.csv", "north/b.csv"]
    assert name == path.relative_to(dropping.targets).as_posix()
    assert why.startswith(
        f"TOTESYS_DROPS_URL (file://{dropping.directory}) cannot be read: {path} "
    )
    assert why.endswith(", and what waits there is taken.")


def test_refused_file_stays_refused_while_a_directory_cannot_be_read(dropping: Dropping) -> None:
    """It may be in there."""
    path = dropping.drop("2024-11,Leeds,GBP,many\n")
    dropping.take()
    path.unlink()
    with closed(dropping.targets):
        assert [*dropping.status().refused] == ["a.csv"]

    assert dropping.status().refused == {}


def test_place_that_takes_long_to_fail_is_not_tried_for_each_file(
    dropping: Dropping, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(3):
        dropping.drop(LEEDS, f"{number}.csv")
    monkeypatch.setattr(delivering, "UNREADABLE_SECONDS", 0.0)
    monkeypatch.setattr(Drops, "read", unreadable({"0.csv"}))

    with pytest.raises(DropsError, match=r"0\.csv"):
        dropping.deliver()
    assert dropping.load() == []


@pytest.mark.long
def test_thousand_files_are_taken(dropping: Dropping) -> None:
    for number in range(1000):
        dropping.drop(f"2024-11,Office {number},GBP,{number}\n", f"{number}.csv")

    assert len(dropping.take()) == 1000
    assert dropping.take() == []
    assert len(dropping.current()) == 1000
    assert dropping.findings() == []


@pytest.mark.long
def test_rebuild_gives_the_same_and_verify_goes_through_the_files(dropping: Dropping) -> None:
    platform = dropping.platform
    platform.first()
    for rows in (LEEDS, YORK, "2024-11,York,GBP,x\n"):
        dropping.drop(rows)
        dropping.take()
    before = platform.rows("SELECT * FROM fact_sales_target ORDER BY 1")
    parts = (platform.warehouse, platform.names, platform.ingestion, platform.processed)

    rebuilt = rebuild(*parts, quarantine_limit=100)

    assert rebuilt.different is not None
    assert not any(rebuilt.different.values())
    assert platform.rows("SELECT * FROM fact_sales_target ORDER BY 1") == before
    assert verify(*parts).findings == []


@pytest.mark.long
def test_target_and_revenue_stand_side_by_side(dropping: Dropping) -> None:
    """Order 1 is of Manchester, in USD; order 2 of the town that ToteSys calls Leds, in GBP."""
    platform = dropping.platform
    platform.application.execute("UPDATE sales_order SET staff_id = 2 WHERE sales_order_id = 2")
    platform.run()
    dropping.drop(
        "2022-11,Leds,GBP,4000.00\n2022-11,Leeds,GBP,204.20\n2022-11,Leeds,EUR,7\n"
        "2022-12,York,GBP,0\n"
    )
    dropping.take()

    assert platform.rows(
        "SELECT to_char(month, 'YYYY-MM'), office, currency_code, orders, revenue::text,"
        " target_amount::text, difference::text, percent_of_target::text, unfinished"
        " FROM reports.revenue_against_target ORDER BY 1, 2, 3"
    ) == [
        ("2022-11", "Leeds", "EUR", None, None, "7.00", None, None, False),
        ("2022-11", "Leeds", "GBP", 1, "2102.10", "4204.20", "-2102.10", "50.0", False),
        ("2022-11", "Manchester", "USD", 1, "169309.68", None, None, None, False),
        ("2022-12", "York", "GBP", None, None, "0.00", None, None, False),
    ]
