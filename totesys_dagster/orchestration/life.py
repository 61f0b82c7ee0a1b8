"""A line in the log for each tick of a sensor that came to its end.

Where business rests, nothing else tells a platform that is alive from one that is not. The alarms
of terraform/modules/alerts count these lines, so their fields are fixed.
"""

import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

import dagster as dg

TICK = "tick"
# A child of Dagster's own logger, whose handler the code server has set up. Not `context.log`: what
# is logged there is kept with the tick, as an object in S3 each.
_log = logging.getLogger("dagster.totesys")


def log_tick(sensor: str, **fields: int) -> None:
    """Say that `sensor` has ticked."""
    _log.info(TICK, extra={"sensor": sensor, **fields})


Evaluation = Callable[..., dg.SensorResult | dg.SkipReason]


def logs_ticks(evaluation: Evaluation) -> Evaluation:
    """Log each tick of a sensor that ends with an answer; not one that raises."""

    @wraps(evaluation)
    def evaluated(context: dg.SensorEvaluationContext, **resources: Any) -> Any:
        answer = evaluation(context, **resources)
        log_tick(evaluation.__name__)
        return answer

    return evaluated
