"""What a process logs as JSON, one object a line, for whoever counts or searches logs by field.

The fields are those of `--log-format json` of Dagster's own commands (`event`, `level`, `logger`,
`timestamp`), which covers the code server, the daemon and the web server. Dagster gives runs and
ticks no such option: their console is always for people, with several lines for one failure.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import sys
from typing import Any

from totesys_dagster import settings
from totesys_dagster.dagster_insides import replace_consoles

JSON = "json"
# CloudWatch takes 256 KB as one event, and cuts what is longer: neither half were JSON. A character
# may be six bytes, and an exception comes on top.
LONGEST_EVENT = 20 * 1024


class JsonLines(logging.Formatter):
    """A record as one line. What Dagster knows of it (run, job, step, sensor) are fields, too."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        moment = dt.datetime.fromtimestamp(record.created, dt.UTC)
        line: dict[str, Any] = {
            "event": record.getMessage()[:LONGEST_EVENT],
            "level": record.levelname.lower(),
            "logger": record.name,
            "timestamp": moment.isoformat().replace("+00:00", "Z"),
            **_known(getattr(record, "dagster_meta", None) or {}),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)[:LONGEST_EVENT]
        return json.dumps(line)


def _known(meta: dict[str, Any]) -> dict[str, str]:
    """The fields of what Dagster says of a record; none that would be empty."""
    happened = meta.get("dagster_event")
    known = {
        "run_id": meta.get("run_id"),
        "job": meta.get("job_name"),
        "step": meta.get("step_key"),
        "dagster_event": happened.event_type.name if happened else None,
        "sensor": meta.get("name"),
    }
    return {name: value for name, value in known.items() if value}


def configure() -> None:
    """Log as JSON from now on, where the setting asks for it. Raises SettingError."""
    if settings.log_format() != JSON:
        return
    replace_consoles(_console)
    root = logging.getLogger()
    if not root.handlers:
        handler = _handler()
        handler.addFilter(_is_unprinted)
        root.addHandler(handler)


def _is_unprinted(record: logging.LogRecord) -> bool:
    """Whether no logger below the root has handled the record: Dagster's commands and runs give
    some of theirs a handler, and the same line must not be printed twice."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None and logger.parent is not None:
        if logger.handlers:
            return False
        logger = logger.parent
    return True


def _console(name: str, level: str | int) -> logging.Logger:
    """What Dagster creates for a run or a tick."""
    console = logging.Logger(name, level)
    console.addHandler(_handler())
    return console


def _handler() -> logging.Handler:
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(JsonLines())
    return handler
