"""What runs and ticks log as JSON, in a process of its own: Dagster keeps loggers for good."""

from __future__ import annotations

import json
import logging
import os
import sys
from typing import Any

import pytest

from totesys_dagster import json_logs, settings
from totesys_dagster.errors import SettingError
from totesys_dagster_tests import warm

PROGRAM = """
import logging, warnings
warnings.simplefilter("ignore")
import dagster as dg
from totesys_dagster import json_logs

json_logs.configure()

@dg.op
def fails(context):
    context.log.info("first line\\nsecond line")
    raise ValueError("broken")

@dg.job
def failing():
    fails()

with dg.DagsterInstance.ephemeral() as instance:
    failing.execute_in_process(instance=instance, raise_on_error=False)
    with dg.build_sensor_context(
        instance=instance, sensor_name="looks", repository_name="here"
    ) as context:
        context.log.error("ToteSys cannot be reached.")
logging.getLogger("somebody.else").warning("of a library")
logging.getLogger("dagster.unknown").warning("of Dagster")
own = logging.getLogger("dagster.with.its.own")
own.addHandler(logging.NullHandler())
own.warning("told by its own handler")
"""


def printed(log_format: str) -> list[str]:
    done = warm.run(PROGRAM, env={**os.environ, settings.LOG_FORMAT: log_format})
    assert done.returncode == 0, done.stderr
    return (done.stdout + done.stderr).splitlines()


def test_runs_ticks_and_libraries_log_a_json_object_each_line() -> None:
    logged: list[dict[str, Any]] = [json.loads(line) for line in printed("json")]

    assert {"event", "level", "logger", "timestamp"} <= set.intersection(*map(set, logged))
    [said] = [line for line in logged if "second line" in line["event"]]
    assert (said["job"], said["step"], said["level"]) == ("failing", "fails", "info")
    [failure] = [line for line in logged if line.get("dagster_event") == "RUN_FAILURE"]
    assert failure["level"] == "error"
    assert "run_id" in failure
    [tick] = [line for line in logged if "ToteSys" in line["event"]]
    assert (tick["sensor"], tick["level"]) == ("looks", "error")
    assert [line["event"] for line in logged[-2:]] == ["of a library", "of Dagster"]


@pytest.mark.long
def test_people_read_text() -> None:
    with pytest.raises(ValueError, match=r"Expecting value|Extra data"):
        json.loads(printed("text")[0])


def test_another_format_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.LOG_FORMAT, "xml")

    with pytest.raises(SettingError, match="must be text or json"):
        settings.log_format()


def test_long_event_is_cut_before_the_store_cuts_its_line() -> None:
    record = logging.makeLogRecord({"msg": "é" * 300_000, "levelname": "ERROR"})
    line = json_logs.JsonLines().format(record)

    assert json.loads(line)["level"] == "error"
    assert len(line.encode()) < 256 * 1024 - 26  # what CloudWatch takes as one event


def test_exception_is_a_field() -> None:
    try:
        raise ValueError("broken")
    except ValueError:
        record = logging.makeLogRecord({"msg": "no", "exc_info": sys.exc_info()})

    assert "ValueError: broken" in json.loads(json_logs.JsonLines().format(record))["exception"]
