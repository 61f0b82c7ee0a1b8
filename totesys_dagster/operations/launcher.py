"""A run launcher that notices when the process of a run has died.

Dagster's default launcher cannot tell, so a run that was killed together with its code server
would count as started for ever, and the sensors would wait for it. With this one, Dagster's run
monitoring marks it as failed, and the sensors come back to its batch. The launchers for ECS and
Kubernetes can tell by themselves.
"""

import os
import socket
import time
from collections import Counter
from typing import Any

import dagster as dg
from dagster._core.errors import DagsterUserCodeUnreachableError
from dagster._core.launcher import CheckRunHealthResult, DefaultRunLauncher, WorkerStatus
from dagster._grpc.types import CanCancelExecutionRequest, CanCancelExecutionResult
from dagster._serdes import deserialize_value
from dagster._serdes.config_class import ConfigurableClassData

from totesys_dagster.operations.names import PROCESS_TAG
from totesys_dagster.runs import launched_twice

# A code server that is being reloaded does not answer, or does not know the runs of the one before.
CHANCES = 3
# After how long a run that was launched twice counts as dead when it tells nothing.
SILENCE_SECONDS = 900


class WatchedRunLauncher(DefaultRunLauncher):
    """The default launcher, able to say whether the process of a run is alive."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._missed: Counter[str] = Counter()

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        if PROCESS_TAG in run.tags:
            return _check_process(run.tags[PROCESS_TAG])
        client: Any = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:
            return self._miss(run.run_id, "nobody executes the run")
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id))
        except DagsterUserCodeUnreachableError:
            return self._miss(run.run_id, "the code server of the run does not answer")
        if not deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            # Dagster lets one process execute it and ends the other, whereupon the code server
            # forgets the run: a run that goes on would be marked as failed.
            if launched_twice(self._instance, run.run_id) and shows_life(
                self._instance, run.run_id
            ):
                return CheckRunHealthResult(WorkerStatus.RUNNING, "launched by two daemons")
            return self._miss(run.run_id, "the code server does not know the run")
        self._missed.pop(run.run_id, None)
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def _miss(self, run_id: str, why: str) -> CheckRunHealthResult:
        """The process is taken for dead when it was missed several times in a row."""
        self._missed[run_id] += 1
        if self._missed[run_id] < CHANCES:
            return CheckRunHealthResult(WorkerStatus.RUNNING, why)
        del self._missed[run_id]
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, why)


def shows_life(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether the run has told anything lately; no step of a batch is silent for longer."""
    last = instance.get_records_for_run(run_id, limit=1, ascending=False).records
    return bool(last) and time.time() - last[0].event_log_entry.timestamp < SILENCE_SECONDS


def _check_process(tag: str) -> CheckRunHealthResult:
    host, _, pid = tag.rpartition(":")
    if host != socket.gethostname():
        return CheckRunHealthResult(WorkerStatus.RUNNING, f"the run is executed on {host}")
    try:
        os.kill(int(pid), 0)
    except ProcessLookupError:
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"process {pid} has died")
    except PermissionError:
        pass
    return CheckRunHealthResult(WorkerStatus.RUNNING)
