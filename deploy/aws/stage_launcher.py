"""A launcher for ECS that gives each stage its own task definition, and so its own rights.

Dagster's launcher starts every run from one task definition and in the daemon's network, so role,
secrets and security group would have to cover all stages. This one picks by job: a run of `capture`
has no password for the warehouse and cannot reach it, and a run of `load_warehouse` has none for
ToteSys and cannot reach that.
"""

import json
from typing import Any

import dagster as dg
from dagster_aws.ecs import EcsRunLauncher
from dagster_aws.ecs.container_context import EcsContainerContext

from totesys_dagster.dagster_insides import ConfigurableClassData
from totesys_dagster.runs.tags import CAPTURE, LOAD, PROCESS

STAGES = {CAPTURE: "capture", PROCESS: "process", LOAD: "load"}
# For all other jobs, and whatever a person materializes by hand.
WHOLE = "whole"


class StageRunLauncher(EcsRunLauncher[Any]):
    """Dagster's launcher for ECS, with the task definition `<family>-<stage>` for each run.

    A run gets the newest revision, so a deployment reaches runs without a restart of the daemon.
    """

    def __init__(
        self,
        inst_data: ConfigurableClassData | None = None,
        *,
        family: str,
        security_groups: str,
        **config: Any,
    ) -> None:
        self.family = family
        self.security_groups: dict[str, str] = json.loads(security_groups)
        super().__init__(inst_data, **config)

    @classmethod
    def config_type(cls) -> dict[str, Any]:
        """Dagster's own fields, without a single task definition, and the family."""
        fields: dict[str, Any] = dict(super().config_type())  # type: ignore[no-untyped-call]
        del fields["task_definition"]
        return {
            **fields,
            "family": dg.Field(dg.StringSource, description="Prefix of the task definitions."),
            "security_groups": dg.Field(
                dg.StringSource,
                description="Security groups by stage, in JSON; the daemon's for other stages.",
            ),
        }

    def _run_task_kwargs(
        self, run: dg.DagsterRun, image: str | None, container_context: EcsContainerContext
    ) -> dict[str, Any]:
        stage = STAGES.get(run.job_name, WHOLE)
        chosen = container_context._replace(task_definition_arn=f"{self.family}-{stage}")
        kwargs = super()._run_task_kwargs(run, image, chosen)
        if stage not in self.security_groups:
            return kwargs
        return in_security_group(kwargs, self.security_groups[stage])


def in_security_group(kwargs: dict[str, Any], group: str) -> dict[str, Any]:
    """Arguments for `RunTask` with this security group alone, if they name any network."""
    network = kwargs.get("networkConfiguration")
    if not network:
        return kwargs
    own = network["awsvpcConfiguration"] | {"securityGroups": [group]}
    return {**kwargs, "networkConfiguration": {"awsvpcConfiguration": own}}
