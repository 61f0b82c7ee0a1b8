"""Logs a line for each completed tick of a sensor.

While business rests, nothing else distinguishes a platform that works from one that is down. The
alarms of terraform/modules/alerts count these lines, so their fields are fixed.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

import dagster as dg

TICK = "tick"
# A child of Dagster's own logger, whose handler the code server has set up. Not `context.log`,
# which stores its lines with the tick, as an object in S3 per tick.
_log = logging.getLogger("dagster.totesys")


def log_tick(sensor: str, **fields: int) -> None:
    """Say that `sensor` has ticked."""
    _log.info(TICK, extra={"sensor": sensor, **fields})


Evaluation = Callable[..., dg.SensorResult | dg.SkipReason]


def logs_ticks(evaluation: Evaluation) -> Evaluation:
    """Log each tick of a sensor that returns a result; not one that raises."""

    @wraps(evaluation)
    def evaluated(context: dg.SensorEvaluationContext, **resources: Any) -> Any:
        answer = evaluation(context, **resources)
        log_tick(evaluation.__name__)
        return answer

    return evaluated
