"""One incident is one mail, whatever tells of it: recorded logs, replayed through the filters,
alarms and rules of terraform/modules/alerts, and the mails that the platform itself sent meanwhile.

`python -m totesys_dagster_tests.deployment.record` makes the records anew.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from totesys_dagster_tests.deployment import alarms
from totesys_dagster_tests.deployment.alarms import CLUSTER, event_matches, event_pattern
from totesys_dagster_tests.deployment.replay import STORIES, Line, Record

MINUTE, HOUR = 60, 3600
POLL_SECONDS = 30  # the default of terraform/modules/platform
WEEKEND = 62 * HOUR


def ends(record: Record) -> int:
    return int(record.lines[-1].at) + 1


def going_on(record: Record, since: float, until: float) -> Iterator[Line]:
    """The ticks of a quiet minute, over and over, each as often as in production."""
    seen = {}
    for line in record.lines:
        if line.group == "code" and '"event": "tick"' in line.message:
            seen[json.loads(line.message)["sensor"]] = line
    assert set(seen) == {"source_changes", "alerts"}
    second = since
    while second < until:
        for line in seen.values():
            yield replace(line, at=second)
        second += POLL_SECONDS


def after(record: Record, more: float) -> list[Line]:
    """The story, and what follows: the platform lives."""
    end = ends(record)
    return [*record.lines, *going_on(Record.read("quiet"), end, end + more)]


def incidents(record: Record) -> list[str]:
    """What the platform itself began to tell of."""
    subjects = [subject.removeprefix("[totesys_dagster] ") for subject in record.mails]
    return [subject for subject in subjects if not subject.startswith("resolved: ")]


# Logs


@pytest.mark.parametrize("story", STORIES)
def test_what_production_logs_is_json_without_colours(story: str) -> None:
    lines = Record.read(story).lines

    for line in lines:
        assert {"event", "level", "logger", "timestamp"} <= set(json.loads(line.message)), line
        assert "\\u001b" not in line.message
        assert "\x1b" not in line.message


@pytest.mark.parametrize(
    ("story", "by_the_platform"),
    [
        ("quiet", []),
        ("deployment", []),
        ("failed_run", ["process of batch 0000000002 failed"]),
        ("mended", ["rows are in quarantine"]),
        ("killed_task", []),
    ],
)
def test_each_incident_is_one_mail(story: str, by_the_platform: list[str]) -> None:
    record = Record.read(story)

    assert alarms.mails(after(record, 30 * MINUTE), ends(record) + 30 * MINUTE) == []
    assert incidents(record) == by_the_platform


def test_records_are_of_what_they_are_called() -> None:
    def errors(story: str, group: str) -> list[dict[str, Any]]:
        logged = [json.loads(one.message) for one in Record.read(story).lines if one.group == group]
        return [one for one in logged if one["level"] in ("error", "critical")]

    assert len(errors("deployment", "daemon")) > 1
    assert any(one.get("dagster_event") == "RUN_FAILURE" for one in errors("failed_run", "process"))
    assert errors("quiet", "daemon") == errors("quiet", "code") == []


# Life


def test_quiet_weekend_is_no_mail() -> None:
    assert alarms.mails(going_on(Record.read("quiet"), 0, WEEKEND), WEEKEND) == []


@pytest.mark.parametrize("minutes", [8, 30])
def test_ten_minutes_without_a_tick_are_one_mail(minutes: int) -> None:
    quiet = Record.read("quiet")
    stands = [*going_on(quiet, 0, HOUR), *going_on(quiet, HOUR + minutes * MINUTE, 3 * HOUR)]

    assert alarms.mails(stands, 3 * HOUR) == (["platform"] if minutes > 10 else [])


@pytest.mark.parametrize("sensor", ["source_changes", "alerts"])
def test_end_of_either_sensor_is_one_mail(sensor: str) -> None:
    lines = [
        line
        for line in going_on(Record.read("quiet"), 0, HOUR)
        if line.at < 20 * MINUTE or f'"{sensor}"' not in line.message
    ]

    assert alarms.mails(lines, HOUR) == ["platform"]


def test_messages_that_cannot_be_sent_are_one_mail_by_another_way() -> None:
    def stuck(line: Line) -> Line:
        return replace(line, message=line.message.replace('"undelivered": 0', '"undelivered": 2'))

    assert alarms.mails(map(stuck, going_on(Record.read("quiet"), 0, HOUR)), HOUR) == ["platform"]


def test_outage_that_everything_sees_is_one_mail() -> None:
    """No code location: no ticks, no alerts, errors of the daemon, a service without a task."""
    refused = next(
        line
        for line in Record.read("deployment").lines
        if line.group == "daemon" and '"level": "error"' in line.message
    )
    begins = 20 * MINUTE
    lines = [
        *going_on(Record.read("quiet"), 0, begins),
        *(replace(refused, at=second) for second in range(begins, 2 * HOUR, 20)),
    ]
    running = {second: float(second < begins) for second in range(0, 2 * HOUR, MINUTE)}

    assert alarms.mails(lines, 2 * HOUR, {"code-down": running}) == ["platform"]


def test_unreachable_source_is_told_by_the_platform_alone() -> None:
    """A sensor says so at each tick, which is an error and no news."""
    said = {
        "event": "The source cannot be reached.",
        "level": "error",
        "logger": "dagster",
        "timestamp": "2026-01-01T00:00:00Z",
        "sensor": "source_changes",
    }
    told = [Line("code", at, json.dumps(said)) for at in range(0, 2 * HOUR, POLL_SECONDS)]

    assert alarms.mails([*going_on(Record.read("quiet"), 0, 2 * HOUR), *told], 2 * HOUR) == []


@pytest.mark.parametrize(("group", "logger"), [("daemon", "dagster.daemon.SensorDaemon"),
                                               ("code", "dagster.code_server")])  # fmt: skip
@pytest.mark.parametrize(("minutes", "mails"), [(5, []), (40, ["platform"])])
def test_errors_that_nobody_foresaw_are_one_mail_when_they_stay(
    group: str, logger: str, minutes: int, mails: list[str]
) -> None:
    error = json.dumps({"event": "caught an error", "level": "error", "logger": logger})
    errors = [Line(group, at, error) for at in range(HOUR, HOUR + minutes * MINUTE, 60)]

    lines = [*going_on(Record.read("quiet"), 0, 2 * HOUR), *errors]
    assert alarms.mails(lines, 2 * HOUR) == mails


@pytest.mark.parametrize("service", ["code", "daemon", "web"])
def test_service_without_a_task_is_one_mail(service: str) -> None:
    lines = list(going_on(Record.read("quiet"), 0, HOUR))
    away = {second: float(not second >= HOUR / 2) for second in range(0, HOUR, MINUTE)}
    measured = {f"{service}-down": away}
    if service == "web":
        measured["web-unhealthy"] = away

    assert alarms.mails(lines, HOUR, measured) == ["web" if service == "web" else "platform"]


def test_real_rest_of_totesys_is_no_mail() -> None:
    """The longest time in which nobody changed anything, by the rows of ToteSys."""
    directory = os.environ.get("REAL_ROWS")
    if not directory:
        pytest.skip("REAL_ROWS is not set")
    changed = sorted(_changes(Path(directory)))
    rest = int(max(b - a for a, b in itertools.pairwise(changed)).total_seconds())

    assert rest > WEEKEND
    assert alarms.mails(going_on(Record.read("quiet"), 0, rest), rest) == []


def _changes(directory: Path) -> Iterator[dt.datetime]:
    for table in ("sales_order", "purchase_order", "payment", "transaction"):
        [column] = pq.read_table(directory / f"{table}.parquet", columns=["last_updated"])
        for value in column.to_pylist():
            yield value if isinstance(value, dt.datetime) else dt.datetime.fromisoformat(value)


# Tasks


def stopped(group: str, exit_code: int | None, stop_code: str = "EssentialContainerExited") -> Any:
    """What ECS tells EventBridge of a task that has stopped."""
    container = {"name": "run", "lastStatus": "STOPPED"}
    return {
        "source": "aws.ecs",
        "detail-type": "ECS Task State Change",
        "detail": {
            "clusterArn": CLUSTER,
            "lastStatus": "STOPPED",
            "desiredStatus": "STOPPED",
            "group": group,
            "stopCode": stop_code,
            "containers": [
                container if exit_code is None else {**container, "exitCode": exit_code}
            ],
        },
    }


@pytest.mark.parametrize(
    ("event", "told"),
    [
        (stopped("service:daemon", 137), True),
        (stopped("service:code", 139), True),
        (stopped("service:web", 255), True),
        # Asked to end, as in a deployment.
        (stopped("service:code", 143), False),
        (stopped("service:code", 137, "ServiceSchedulerInitiated"), False),
        # The alarm of the service tells of it, once and not at each attempt.
        (stopped("service:code", 1), False),
        (stopped("service:code", None, "TaskFailedToStart"), False),
        # The platform tells of a run, unless Dagster starts it again.
        (stopped("family:totesys-test-load", 1), False),
        (stopped("family:totesys-test-load", 137), False),
        (stopped("family:totesys-test-load", None, "TaskFailedToStart"), False),
        # Who starts it sees how it ends.
        (stopped("family:totesys-test-admin", 1), False),
    ],
)
def test_task_that_was_killed_is_told_of_where_nothing_else_does(event: Any, told: bool) -> None:
    assert event_matches(event_pattern("stopped"), event) is told


def test_another_cluster_is_not_told_of() -> None:
    event = stopped("service:daemon", 137)
    event["detail"]["clusterArn"] += "-other"

    assert not event_matches(event_pattern("stopped"), event)


# Backups


@pytest.mark.parametrize(
    ("database", "event", "counted"),
    [
        ("totesys-test-warehouse", "RDS-EVENT-0002", True),
        ("totesys-test-dagster", "RDS-EVENT-0002", False),
        ("totesys-test-warehouse-restored", "RDS-EVENT-0002", False),
        ("totesys-test-warehouse", "RDS-EVENT-0001", False),  # begun
    ],
)
def test_backup_counts_when_it_is_finished(database: str, event: str, counted: bool) -> None:
    told = {
        "source": "aws.rds",
        "detail-type": "RDS DB Instance Event",
        "detail": {"EventID": event, "SourceIdentifier": database, "Message": "Finished"},
    }

    assert alarms.backups_of("totesys-test-warehouse")(json.dumps(told)) is counted


# Copies


@pytest.mark.parametrize(
    ("kind", "values", "told"),
    [
        ("failed", [0, 0, 1, 0, 0], ["copies"]),
        ("failed", [0, 1, 0, 5, 0, 2, 0, 1], ["copies"]),
        ("failed", [0, 0, 0], []),
        ("late", [30, 900, 1200, 1800, 40], ["copies"]),
        # A peak, as when a year's rows are read anew.
        ("late", [30, 1800, 900, 40], []),
        # Nothing is written, so nothing is measured.
        ("late", [], []),
    ],
)
def test_copies_that_fail_or_are_late_are_one_mail(
    kind: str, values: list[float], told: list[str]
) -> None:
    measured = {f"copies-{kind}": {HOUR + 300 * at: value for at, value in enumerate(values)}}

    lines = going_on(Record.read("quiet"), 0, 2 * HOUR)
    assert alarms.mails(lines, 2 * HOUR, measured) == told


def test_an_object_that_fails_and_makes_others_late_is_one_mail() -> None:
    since = range(HOUR, HOUR + 1500, 300)
    measured = {
        "copies-failed": {since[0]: 3.0},
        "copies-late": dict.fromkeys(since, 2000.0),
    }

    lines = going_on(Record.read("quiet"), 0, 2 * HOUR)
    assert alarms.mails(lines, 2 * HOUR, measured) == ["copies"]
