"""The platform on the embedded default, which replaces systems that are not configured.

`workspace.yaml` points here, so plain `dagster dev` works without settings. The embedded server
starts when it is first needed, so loading the definitions starts none. With the embedded source
comes a sensor that simulates business.
"""

import datetime as dt
import random

import dagster as dg

from totesys_dagster import definitions as platform
from totesys_dagster import settings
from totesys_dagster.local import stack
from totesys_simulator import simulator


@dg.sensor(
    minimum_interval_seconds=9,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Simulates ToteSys: every ten seconds an order, a payment or an edit. Switch it off"
    " for a quiet source.",
)
def simulated_business(_: dg.SensorEvaluationContext) -> dg.SkipReason:
    """Let one thing happen in the embedded source."""
    settings.get(settings.SOURCE_DSN)  # the server is started when this is first read
    with stack.application(settings.home()) as connection:
        now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
        return dg.SkipReason(simulator.business_moment(connection, random.Random(), now))  # nosec B311


_embedded = stack.start_when_needed()

defs = dg.Definitions.merge(
    platform.defs,
    dg.Definitions(sensors=[simulated_business] if settings.SOURCE_DSN in _embedded else []),
)
