"""A run launcher that spreads runs over hosts: each run is a task that any Celery worker takes.

Dagster's own launcher relies on Celery's results, but a host that loses power reports none: its run
would count as started for ever, and the sensors would wait for it. With this launcher, Dagster's
run monitoring marks a run as failed if it has logged nothing for a quarter of an hour.
"""

import dagster as dg
from dagster_celery.launcher import CeleryRunLauncher
from dagster_celery.tags import DAGSTER_CELERY_TASK_ID_TAG

from totesys_dagster.dagster_insides import CheckRunHealthResult, WorkerStatus
from totesys_dagster.launching.launcher import SILENCE_SECONDS, shows_life


class SpreadRunLauncher(CeleryRunLauncher):
    """Dagster's launcher for Celery, able to tell that the host of a run is gone."""

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        if DAGSTER_CELERY_TASK_ID_TAG in run.tags:
            found = super().check_run_worker_health(run)
            if found.status not in (WorkerStatus.RUNNING, WorkerStatus.UNKNOWN):
                return found
        # Without a task, it is a run of `totesys run`, which executes in that command's process.
        if shows_life(self._instance, run.run_id):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        return CheckRunHealthResult(
            WorkerStatus.NOT_FOUND, f"the run has logged nothing for {SILENCE_SECONDS} seconds"
        )
