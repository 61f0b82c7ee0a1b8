"""The platform as a code location under torture: the real code, which can be ordered to die."""

import datetime as dt

from totesys_dagster import definitions
from totesys_dagster.orchestration import planning
from totesys_dagster_tests.torture import steps

steps.arm()
# What fails here is meant to fail: do not wait long before trying again.
planning.FIRST_PAUSE = dt.timedelta(seconds=0.5)
planning.LONGEST_PAUSE = dt.timedelta(seconds=2)

defs = definitions.defs
