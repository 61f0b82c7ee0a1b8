"""Logs as JSON, one object per line, so that they can be counted and searched by field.

The fields are those of `--log-format json` of Dagster's own commands (`event`, `level`, `logger`,
`timestamp`), which covers the code server, the daemon and the web server. Dagster gives runs and
ticks no such option: their console is always for people, with several lines per failure.
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
# CloudWatch splits events above 256 KB, and neither half would be JSON. A character takes up to six
# bytes, and an exception is added to the message.
LONGEST_EVENT = 20 * 1024


class JsonLines(logging.Formatter):
    """A record as one line. Its run, job, step or sensor are fields, too."""

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
    """The fields that Dagster adds to a record, without empty ones."""
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
