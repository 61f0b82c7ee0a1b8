"""What is sent about an incident, and when: decisions over plain values."""

from __future__ import annotations

import datetime as dt
import re
from dataclasses import replace

import pytest
from pydantic import TypeAdapter

from totesys_dagster.alerting.freshness import Waiting, judge
from totesys_dagster.alerting.incidents import Incident, Message, Recovery, Trouble, decide
from totesys_dagster.alerting.remedies import NOTHING_IS_CAPTURED, REMEDIES, remedy_of
from totesys_dagster.cli import main
from totesys_dagster_tests.test_links import anchors
from totesys_dagster_tests.test_words import ROOT

NOON = dt.datetime(2026, 3, 2, 12, tzinfo=dt.UTC)
MINUTE = dt.timedelta(minutes=1)

KEPT = TypeAdapter(dict[str, Incident])

DOWN = Trouble("warehouse", "the warehouse cannot be read", "It refuses.")
UP = Recovery("warehouse", "It can be read again.")


def rows(table: str) -> Trouble:
    return Trouble(
        "quarantine", "rows are in quarantine", f"{table}: 1 rows.", table, "load", "b1", "r1"
    )


def tell(*ticks: list[Trouble | Recovery], busy: tuple[str, ...] = ()) -> list[list[str]]:
    """The subjects of each tick, a minute apart. Incidents pass through JSON, as in a cursor."""
    incidents: dict[str, Incident] = {}
    subjects = []
    for number, seen in enumerate(ticks):
        incidents, messages = decide(incidents, seen, NOON + number * MINUTE, busy=busy)
        incidents = KEPT.validate_json(KEPT.dump_json(incidents))
        subjects.append([message.subject for message in messages])
    return subjects


def test_trouble_is_sent_once_and_so_is_its_end() -> None:
    assert tell([DOWN], [DOWN], [DOWN], [UP], [UP]) == [
        ["[totesys_dagster] the warehouse cannot be read"],
        [],
        [],
        ["[totesys_dagster] resolved: the warehouse cannot be read"],
        [],
    ]


def test_trouble_that_comes_back_is_a_new_incident() -> None:
    assert [len(said) for said in tell([DOWN], [UP], [DOWN], [UP])] == [1, 1, 1, 1]


def test_trouble_that_is_resolved_before_it_is_sent_is_not_sent() -> None:
    assert tell([DOWN, UP], [UP]) == [[], []]


def test_trouble_that_ends_and_returns_between_two_looks_is_sent_as_such() -> None:
    assert tell([DOWN], [UP, DOWN]) == [
        ["[totesys_dagster] the warehouse cannot be read"],
        [
            "[totesys_dagster] resolved: the warehouse cannot be read",
            "[totesys_dagster] the warehouse cannot be read",
        ],
    ]


def test_causes_that_are_found_together_are_one_message() -> None:
    [message] = decide({}, [rows("fact_payment"), rows("dim_date")], NOON)[1]

    assert message.body.startswith("fact_payment: 1 rows.\ndim_date: 1 rows.\n\n")


def test_new_cause_is_sent_and_a_known_one_that_returns_is_not() -> None:
    mended = Recovery("quarantine", "mended", "dim_date")
    ticks = [[rows("fact_payment")], [rows("dim_date")], [mended], [rows("dim_date")]]

    assert [len(said) for said in tell(*ticks)] == [1, 1, 0, 0]


def test_incident_is_over_when_its_last_cause_is() -> None:
    ticks: list[list[Trouble | Recovery]] = [
        [rows("fact_payment"), rows("dim_date")],
        [Recovery("quarantine", "mended", "dim_date")],
        [Recovery("quarantine", "mended", "fact_payment")],
    ]
    assert tell(*ticks)[1:] == [[], ["[totesys_dagster] resolved: rows are in quarantine"]]


def test_recovery_of_all_ends_every_cause() -> None:
    assert len(tell([rows("a"), rows("b")], [Recovery("quarantine", "mended")])[1]) == 1


def test_message_says_what_where_and_when() -> None:
    incidents, messages = decide(
        {},
        [rows("fact_payment")],
        NOON,
        "https://dagster.example.com",
        "https://example.com/blob/1",
    )
    later = NOON + dt.timedelta(hours=2, minutes=5, seconds=7)
    _, ends = decide(incidents, [Recovery("quarantine", "All is equal.")], later)

    assert messages == [
        Message(
            "[totesys_dagster] rows are in quarantine",
            "fact_payment: 1 rows.\n"
            "\n"
            "What to do: The batch is loaded without these rows. `totesys quarantine` lists them"
            " with their reasons; once they are corrected in ToteSys, the next batch brings them.\n"
            "More: https://example.com/blob/1/docs/operations.md#rows-are-in-quarantine\n"
            "\n"
            "Job: load\n"
            "Batch: b1\n"
            "Dagster run: https://dagster.example.com/runs/r1\n"
            "Seen: 2026-03-02 12:00:00 UTC\n"
            "\n"
            "You will be notified when it is resolved.\n",
        )
    ]
    assert ends == [
        Message(
            "[totesys_dagster] resolved: rows are in quarantine",
            "All is equal.\n"
            "\n"
            "Batch: b1\n"
            "Began: 2026-03-02 12:00:00 UTC\n"
            "Resolved: 2026-03-02 14:05:07 UTC, after 2 h 5 min\n",
        )
    ]


def test_without_the_address_of_the_ui_the_run_is_named() -> None:
    [message] = decide({}, [rows("fact_payment")], NOON)[1]

    assert "Dagster run: r1\n" in message.body


def test_what_belongs_to_no_run_names_none() -> None:
    [message] = decide({}, [DOWN], NOON, "https://dagster.example.com")[1]

    assert "run" not in message.body
    assert "Batch" not in message.body


# Grace

BLIP = replace(DOWN, grace=2 * MINUTE)
DIED = Trouble(
    "batch 7", "batch 7 failed", "It died.", batch="7", run_id="r1",
    grace=2 * MINUTE, next_run={"totesys/batch": "7"},
)  # fmt: skip
LOADED = Recovery("batch 7", "Batch 7 is loaded.")


def test_trouble_that_ends_within_its_grace_is_no_message() -> None:
    assert tell([BLIP], [BLIP], [UP], []) == [[], [], [], []]


def test_trouble_that_outlasts_its_grace_is_one_message_and_one_for_its_end() -> None:
    assert [len(said) for said in tell([BLIP], [BLIP], [BLIP], [BLIP], [UP])] == [0, 0, 1, 0, 1]


def test_grace_does_not_start_again_after_the_clock_went_back() -> None:
    held = decide({}, [BLIP], NOON + 60 * MINUTE)[0]
    assert decide(held, [BLIP], NOON)[1] == []


def test_run_whose_next_run_succeeds_is_no_message() -> None:
    assert tell([DIED], [LOADED], [], []) == [[], [], [], []]


def test_run_whose_next_run_fails_is_one_message_at_once() -> None:
    told = tell([DIED], [replace(DIED, run_id="r2")], [replace(DIED, run_id="r3")], [LOADED])

    assert [len(said) for said in told] == [0, 1, 0, 1]


def test_two_failures_between_two_looks_are_one_message_at_once() -> None:
    assert [len(said) for said in tell([DIED, replace(DIED, run_id="r2")])] == [1]


def test_run_that_nobody_repeats_is_a_message_after_its_grace() -> None:
    assert [len(said) for said in tell([DIED], [], [], [])] == [0, 0, 1, 0]


def test_while_the_next_run_is_at_work_it_decides() -> None:
    assert tell([DIED], [], [], [], busy=("batch 7",)) == [[], [], [], []]
    assert len(tell([DIED], [replace(DIED, run_id="r2")], busy=("batch 7",))[1]) == 1


def test_next_run_that_hangs_decides_for_a_quarter_of_an_hour() -> None:
    told = tell([DIED], *[[]] * 15, busy=("batch 7",))

    assert [len(said) for said in told] == [*[0] * 15, 1]


def test_run_that_failed_because_a_system_is_down_adds_nothing() -> None:
    failed = replace(DIED, reason=DOWN.reason)

    assert tell([failed], [DOWN], [], []) == [[], ["[totesys_dagster] " + DOWN.title], [], []]
    assert tell([DOWN, failed], []) == [["[totesys_dagster] " + DOWN.title], []]


def test_all_that_is_wrong_with_a_batch_is_one_message() -> None:
    changed = Trouble(
        "schema", "the tables have changed", "x is text.", "x", batch="7", grace=9 * MINUTE
    )
    told = tell([changed, DIED], [replace(DIED, run_id="r2")], *[[]] * 9)

    assert [said for said in told if said] == [
        ["[totesys_dagster] the tables have changed; batch 7 failed"]
    ]


# What to do


@pytest.mark.parametrize("key", [*REMEDIES, "batch 0000000001", "publish_page"])
def test_every_message_names_a_command_and_a_section_that_exists(key: str) -> None:
    [message] = decide({}, [Trouble(key, "something is wrong", "It is.")], NOON)[1]

    assert re.search(r"^What to do: .*`totesys [a-z]+.*`", message.body, re.MULTILINE)
    [section] = re.findall(r"^More: docs/operations\.md#(.*)$", message.body, re.MULTILINE)
    assert section in anchors(ROOT / "docs/operations.md")


def test_commands_of_remedies_exist() -> None:
    remedies = [NOTHING_IS_CAPTURED, *map(remedy_of, [*REMEDIES, "batch 1", "other"])]
    named = {name for one in remedies for name in re.findall(r"`totesys (\w+)", one.text)}

    assert named <= {*main.commands}


def test_trouble_may_have_a_remedy_of_its_own() -> None:
    gone = Trouble("source", "changed", "A column is gone.", remedy=NOTHING_IS_CAPTURED)
    [message] = decide({}, [gone], NOON)[1]

    assert f"What to do: {NOTHING_IS_CAPTURED.text}\n" in message.body


# Freshness

LATE = Trouble("behind", "the warehouse is behind", "Nothing was loaded.")


def late_at(*looks: tuple[int, int, bool]) -> list[bool | None]:
    """Of looks (minute, batches loaded, something waits), each verdict: late, recovered or None.

    The limit is 15 minutes.
    """
    state, verdicts = Waiting(), []
    for minute, loaded, waits in looks:
        now = NOON + minute * MINUTE
        state, said = judge(state, now, 15 * MINUTE, loaded, LATE if waits else None)
        verdicts.append(None if said is None else isinstance(said, Trouble))
    return verdicts


def test_wait_is_late_when_it_is_over_the_limit() -> None:
    assert late_at((0, 7, True), (14, 7, True), (15, 7, True)) == [None, None, True]


def test_quiet_source_is_never_late() -> None:
    assert late_at((0, 7, False), (600, 7, False)) == [False, False]


def test_wait_begins_when_something_waits_and_not_with_the_last_batch() -> None:
    assert late_at((0, 7, False), (600, 7, True), (614, 7, True)) == [False, None, None]


def test_backlog_that_gets_shorter_is_not_late() -> None:
    looks = [(0, 7, True), (10, 8, True), (20, 9, True), (30, 10, True)]

    assert late_at(*looks) == [None, False, False, False]


def test_loaded_batch_ends_the_wait_though_others_wait() -> None:
    assert late_at((0, 7, True), (15, 7, True), (16, 8, True)) == [None, True, False]
