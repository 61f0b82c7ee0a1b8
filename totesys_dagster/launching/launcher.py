"""Run launchers for one machine, which notice when the process of a run has died.

Dagster's default launcher does not, so a run that was killed together with its code server would
count as started forever, and the sensors would wait for it. With these launchers, Dagster's run
monitoring marks it as failed, and the sensors retry its batch. The launchers for ECS and Kubernetes
notice it themselves.
"""

import signal
import sys
import time
from collections import Counter
from typing import Any

import dagster as dg

from totesys_dagster.dagster_insides import (
    CanCancelExecutionRequest,
    CanCancelExecutionResult,
    CheckRunHealthResult,
    ConfigurableClassData,
    DagsterUserCodeUnreachableError,
    DefaultRunLauncher,
    ExecuteRunArgs,
    GrpcServerCodeLocationOrigin,
    LaunchRunContext,
    WorkerStatus,
    deserialize_value,
    serialize_value,
)
from totesys_dagster.launching.fork_server import ForkServer, ForkServerError
from totesys_dagster.launching.run_process import RunProcess
from totesys_dagster.runs.tags import PROCESS_TAG
from totesys_dagster.runs.unfinished import launched_twice

# Hosts of a code server on this machine; a server on a socket is, too.
HERE = {"localhost", "127.0.0.1", "::1"}
# A code server that is being reloaded does not answer, or does not know its predecessor's runs.
CHANCES = 3
# A run that was launched twice counts as dead after this long without an event.
SILENCE_SECONDS = 900


class WatchedRunLauncher(DefaultRunLauncher):
    """The default launcher, able to say whether the process of a run is alive."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._missed: Counter[str] = Counter()

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        if PROCESS_TAG in run.tags:  # of the run that this one repeats
            self._instance.add_run_tags(run.run_id, {PROCESS_TAG: ""})
        super().launch_run(context)

    def terminate(self, run_id: str) -> bool:
        run = self._instance.get_run_by_id(run_id)
        if run is None or run.is_finished or not run.tags.get(PROCESS_TAG):
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        process = RunProcess.parse(run.tags[PROCESS_TAG])
        if process.is_elsewhere or not process.is_alive:
            self._instance.report_engine_event(f"Nothing here can end the process {process}.", run)
            return False
        self._instance.report_run_canceling(run)
        process.send(signal.SIGINT)  # unless it has already ended
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        if run.tags.get(PROCESS_TAG):
            return self._check_process(run)
        client: Any = self._get_grpc_client_for_termination(run.run_id)  # type: ignore[no-untyped-call]
        if client is None:
            return self._miss(run.run_id, "nobody executes the run")
        try:
            answer = client.can_cancel_execution(CanCancelExecutionRequest(run_id=run.run_id))
        except DagsterUserCodeUnreachableError:
            return self._miss(run.run_id, "the code server of the run does not answer")
        if not deserialize_value(answer, CanCancelExecutionResult).can_cancel:
            if self._has_another_process(run):
                return CheckRunHealthResult(WorkerStatus.RUNNING, "launched by two daemons")
            return self._miss(run.run_id, "the code server does not know the run")
        self._missed.pop(run.run_id, None)
        return CheckRunHealthResult(WorkerStatus.RUNNING)

    def _check_process(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        process = RunProcess.parse(run.tags[PROCESS_TAG])
        if process.is_elsewhere:
            why = f"the run is executed on {process.host}"
            return CheckRunHealthResult(WorkerStatus.RUNNING, why)
        if process.is_alive:
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if self._has_another_process(run):
            return CheckRunHealthResult(WorkerStatus.RUNNING, "launched by two daemons")
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"process {process.pid} has died")

    def _has_another_process(self, run: dg.DagsterRun) -> bool:
        """Whether the run continues in a process other than the known one.

        If two daemons launched a run, Dagster lets one process execute it and ends the other, which
        may be the tagged one, or the only one that the code server knew.
        """
        return launched_twice(self._instance, run.run_id) and shows_life(self._instance, run.run_id)

    def _miss(self, run_id: str, why: str) -> CheckRunHealthResult:
        """Count the process as dead once it has been missing several times in a row."""
        self._missed[run_id] += 1
        if self._missed[run_id] < CHANCES:
            return CheckRunHealthResult(WorkerStatus.RUNNING, why)
        del self._missed[run_id]
        return CheckRunHealthResult(WorkerStatus.NOT_FOUND, why)


class ForkingRunLauncher(WatchedRunLauncher):
    """Forks the runs whose code server is on this machine; they inherit the daemon's
    environment."""

    def __init__(self, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__(inst_data)
        self._servers: dict[str, ForkServer] = {}  # by the origin of their code

    def launch_run(self, context: LaunchRunContext) -> None:
        if not (can_fork(context.dagster_run) and self._fork(context.dagster_run)):
            super().launch_run(context)

    def _fork(self, run: dg.DagsterRun) -> bool:
        """Fork the process of a run. Returns whether that was possible."""
        assert run.job_code_origin is not None  # can_fork has checked
        assert run.remote_job_origin is not None
        origin, instance = run.job_code_origin, self._instance.get_ref()
        code = serialize_value(origin.repository_origin)
        server = self._servers.setdefault(
            code, ForkServer(code, run.remote_job_origin.location_name, instance)
        )
        try:
            server.start(
                ExecuteRunArgs(origin, run.run_id, instance),
                lambda pid: self._instance.add_run_tags(
                    run.run_id, {PROCESS_TAG: str(RunProcess.of(pid))}
                ),
            )
        except ForkServerError as error:
            self._instance.report_engine_event(f"{error} The code server starts the run.", run)
            return False
        return True

    def dispose(self) -> None:
        for server in self._servers.values():
            server.stop()


def shows_life(instance: dg.DagsterInstance, run_id: str) -> bool:
    """Whether the run has logged anything lately; no step of a batch is silent for so long."""
    last = instance.get_records_for_run(run_id, limit=1, ascending=False).records
    return bool(last) and time.time() - last[0].event_log_entry.timestamp < SILENCE_SECONDS


def can_fork(run: dg.DagsterRun) -> bool:
    """Whether the run's code is available here as its code server has it."""
    if run.job_code_origin is None or run.remote_job_origin is None:
        return False
    server = run.remote_job_origin.repository_origin.code_location_origin
    return (
        sys.platform == "linux"  # macOS forbids much after a fork, Windows cannot fork
        and isinstance(server, GrpcServerCodeLocationOrigin)
        and (server.socket is not None or server.host in HERE)
        and run.job_code_origin.repository_origin.executable_path == sys.executable
    )
