"""An agent of Dagster+ for ECS that gives each stage its own rights, as stage_launcher.py does.

Dagster's agent runs the code location and all of its runs with one role, in one network. This one
gives a run the role and the security group of its stage, and the names of only those secrets that
this role may read. The code location has the rights that its sensors need.
"""

import json
import os
from collections.abc import Mapping
from typing import Any

import dagster as dg
from dagster_aws.ecs.container_context import EcsContainerContext
from dagster_cloud.workspace.ecs import EcsUserCodeLauncher
from dagster_cloud.workspace.ecs.run_launcher import CloudEcsRunLauncher
from stage_launcher import STAGES, WHOLE, in_security_group

from totesys_dagster.aws_secrets import PREFIX
from totesys_dagster.dagster_insides import ConfigurableClassData


class StageUserCodeLauncher(EcsUserCodeLauncher):
    """Dagster's agent for ECS, with a role for each stage.

    The agent passes on all settings of the platform that are in its environment. `stages` is JSON:
    for each stage its `role`, its `security_group`, and the names of the `secrets` that it reads.
    An item of `subnets` may be several subnets, separated by commas.
    """

    def __init__(
        self,
        inst_data: ConfigurableClassData | None = None,
        *,
        stages: str,
        subnets: list[str],
        env_vars: list[str] | None = None,
        **config: Any,
    ) -> None:
        self.stages: dict[str, dict[str, Any]] = json.loads(stages)
        settings = sorted(name for name in os.environ if name.startswith("TOTESYS_"))
        super().__init__(
            inst_data=inst_data,
            subnets=[one for given in subnets for one in given.split(",")],
            env_vars=[*(env_vars or []), *settings],
            **config,
        )

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Dagster's own fields, and the stages."""
        fields: dict[str, Any] = dict(super().config_type())  # type: ignore[no-untyped-call]
        description = "Role, security group and secrets by stage, in JSON."
        return {**fields, "stages": dg.Field(dg.StringSource, description=description)}

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData, config_value: dict[str, Any]
    ) -> "StageUserCodeLauncher":
        return cls(inst_data, **config_value)

    def run_launcher(self) -> CloudEcsRunLauncher:
        launcher = StageRunLauncher(
            stages=self.stages,
            execution_role=self.execution_role_arn,
            **self._run_launcher_kwargs(),
        )
        launcher.register_instance(self._instance)
        return launcher


class StageRunLauncher(CloudEcsRunLauncher):
    """Launches each run with the role, the network and the secrets of its stage.

    Whatever the code location asks for in its container context, a run gets no other role.
    """

    def __init__(
        self, *, stages: Mapping[str, dict[str, Any]], execution_role: str, **config: Any
    ) -> None:
        self.stages = stages
        self.execution_role = execution_role
        super().__init__(**config)

    def _run_task_kwargs(
        self, run: dg.DagsterRun, image: str | None, container_context: EcsContainerContext
    ) -> dict[str, Any]:
        stage = self.stages[STAGES.get(run.job_name, WHOLE)]
        chosen = container_context._replace(
            task_role_arn=stage["role"],
            execution_role_arn=self.execution_role,
            env_vars=[
                f"{name}={value}"
                for name, value in container_context.get_environment_dict().items()
                if not value.startswith(PREFIX) or name in stage["secrets"]
            ],
        )
        kwargs = super()._run_task_kwargs(run, image, chosen)
        return in_security_group(kwargs, stage["security_group"])
