"""A launcher for ECS that gives each stage its own task definition, and so its own rights.

Dagster's launcher starts every run from one task definition, whose role and secrets would have to
be those of all stages together. This one picks by job: a run of `capture` has no password of the
warehouse, and one of `load_warehouse` none of ToteSys.
"""

from typing import Any

import dagster as dg
from dagster_aws.ecs import EcsRunLauncher
from dagster_aws.ecs.container_context import EcsContainerContext

from totesys_dagster.dagster_insides import ConfigurableClassData
from totesys_dagster.runs.tags import CAPTURE, LOAD, PROCESS

STAGES = {CAPTURE: "capture", PROCESS: "process", LOAD: "load"}
# For `whole_path`, `batch`, and whatever a person materializes by hand.
WHOLE = "whole"


class StageRunLauncher(EcsRunLauncher[Any]):
    """Dagster's launcher for ECS, with the task definition `<family>-<stage>` for each run.

    A run gets the newest revision, so a deployment reaches runs without a restart of the daemon.
    """

    def __init__(
        self, inst_data: ConfigurableClassData | None = None, *, family: str, **config: Any
    ) -> None:
        self.family = family
        super().__init__(inst_data, **config)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Dagster's own fields, without a single task definition, and the family."""
        fields: dict[str, Any] = dict(super().config_type())  # type: ignore[no-untyped-call]
        del fields["task_definition"]
        return {
            **fields,
            "family": dg.Field(dg.StringSource, description="Prefix of the task definitions."),
        }

    def task_definition_of(self, job: str) -> str:
        """The task definition that a run of `job` is started from."""
        return f"{self.family}-{STAGES.get(job, WHOLE)}"

    def _run_task_kwargs(
        self, run: dg.DagsterRun, image: str | None, container_context: EcsContainerContext
    ) -> dict[str, Any]:
        chosen = container_context._replace(
            task_definition_arn=self.task_definition_of(run.job_name)
        )
        return super()._run_task_kwargs(run, image, chosen)
