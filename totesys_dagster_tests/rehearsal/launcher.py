"""What ECS does, on one machine: each run is a process with the environment of its stage."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
from dagster._core.launcher import CheckRunHealthResult, LaunchRunContext, RunLauncher, WorkerStatus
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import ConfigurableClass
from dagster._serdes.config_class import ConfigurableClassData

from totesys_dagster.runs.tags import CAPTURE, LOAD, PROCESS

# As in deploy/aws/stage_launcher.py; test_rehearsal.py holds them together.
STAGES = {CAPTURE: "capture", PROCESS: "process", LOAD: "load"}
WHOLE = "whole"


class StageProcessLauncher(RunLauncher, ConfigurableClass):
    """Starts runs as processes of the daemon; `environments` is a file with one for each stage."""

    def __init__(self, environments: str, inst_data: ConfigurableClassData | None = None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.environments = Path(environments)
        self._inst_data = inst_data
        self._processes: dict[str, subprocess.Popen[bytes]] = {}

    @property
    def inst_data(self) -> ConfigurableClassData | None:
        return self._inst_data

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        return {"environments": str}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: Any
    ) -> StageProcessLauncher:
        return cls(inst_data=inst_data, **config_value)

    def launch_run(self, context: LaunchRunContext) -> None:
        run = context.dagster_run
        assert context.job_code_origin is not None
        arguments = ExecuteRunArgs(
            job_origin=context.job_code_origin,
            run_id=run.run_id,
            instance_ref=self._instance.get_ref(),
        )
        stage = STAGES.get(run.job_name, WHOLE)
        with self.environments.with_name(f"{stage}.log").open("ab") as log:
            self._processes[run.run_id] = subprocess.Popen(
                [sys.executable, "-m", *arguments.get_command_args()],
                env=json.loads(self.environments.read_text())[stage],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def terminate(self, run_id: str) -> bool:
        process = self._processes.get(run_id)
        if process is None or process.poll() is not None:
            return False
        self._instance.report_run_canceling(self._run(run_id))
        process.terminate()
        return True

    def _run(self, run_id: str) -> dg.DagsterRun:
        run = self._instance.get_run_by_id(run_id)
        assert run is not None
        return run

    @property
    def supports_check_run_worker_health(self) -> bool:
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        process = self._processes.get(run.run_id)
        if process is None or process.poll() is not None:
            return CheckRunHealthResult(WorkerStatus.NOT_FOUND, "its process has ended")
        return CheckRunHealthResult(WorkerStatus.RUNNING)
