"""What Dagster+ is given, judged by Dagster's own code: no account is needed for that."""

from __future__ import annotations

import importlib
import json
import os
import re
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._config import process_config
from dagster._config.field import resolve_to_config_type
from dagster._core.instance.ref import InstanceRef
from dagster_aws.ecs.container_context import EcsContainerContext
from dagster_cloud_cli.config.models import DagsterCloudYaml, Location
from dagster_dg_cli.cli.utils import _dagster_cloud_entry_for_project
from dagster_dg_core.context import DgContext
from dagster_rest_resources.__generated__ import enums
from moto import mock_aws

from totesys_dagster import aws_secrets, settings

ROOT = Path(__file__).parent.parent
PLUS = ROOT / "deploy" / "plus"


def read(name: str) -> Any:
    return yaml.safe_load((PLUS / name).read_text())


def location() -> Location:
    """The code location as `dg plus deploy` sends it."""
    context = DgContext.for_workspace_or_project_environment(PLUS, {})
    entry = _dagster_cloud_entry_for_project(context, None)
    [found] = DagsterCloudYaml.model_validate({"locations": [entry]}).locations
    return found


def test_production_code_is_loaded_from_the_image_of_this_directory() -> None:
    found = location()

    assert found.code_source is not None
    assert found.code_source.module_name == "totesys_dagster.definitions"
    assert found.build is not None
    assert Path(str(found.build.directory)) == ROOT


def test_agent_understands_how_runs_are_started() -> None:
    context = location().container_context
    assert context is not None

    understood = EcsContainerContext.create_from_config(context)

    assert understood.run_resources == {"cpu": "1024", "memory": "4096"}
    # No deployment gets places or passwords of another by way of the code.
    named = {str(one).partition("=")[0] for one in context["ecs"]["env_vars"]}
    assert named <= set(settings.SETTINGS)
    assert named.isdisjoint({*settings.PLACES, *settings.PLACES.values(), *settings.MESSAGES})


# What Terraform gives the agent, and what it gives runs of each stage.
STAGES = {
    "capture": {"role": "arn:capture", "security_group": "sg-1", "secrets": [settings.SOURCE_DSN]},
    "process": {"role": "arn:process", "security_group": "sg-2", "secrets": []},
    "load": {"role": "arn:load", "security_group": "sg-3", "secrets": [settings.WAREHOUSE_DSN]},
    "whole": {
        "role": "arn:whole",
        "security_group": "sg-0",
        "secrets": [settings.SOURCE_DSN, settings.WAREHOUSE_DSN],
    },
}
ENVIRONMENT = {
    "AGENT_STAGES": json.dumps(STAGES),
    "AGENT_SUBNETS": "subnet-0,subnet-1",
    "AGENT_EXECUTION_ROLE": "arn:execution",
    "AGENT_TASK_ROLE": "arn:code",
    "AGENT_SECURITY_GROUP": "sg-0",
    "AGENT_ARCHITECTURE": "ARM64",
    "AWS_REGION": "eu-west-2",
    "AWS_DEFAULT_REGION": "eu-west-2",
    "AWS_ACCESS_KEY_ID": "invented",
    "AWS_SECRET_ACCESS_KEY": "invented",
    settings.INGESTION_URL: "s3://ingestion",
    settings.SOURCE_DSN: f"{aws_secrets.PREFIX}arn:source",
    settings.WAREHOUSE_DSN: f"{aws_secrets.PREFIX}arn:warehouse",
    settings.SMTP_URL: f"{aws_secrets.PREFIX}arn:mail",
}
PLATFORM = {"cpuArchitecture": "ARM64", "operatingSystemFamily": "LINUX"}


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstanceRef:
    """The reference to the agent's instance that the processes of the image get."""
    text = (PLUS / "agent.yaml").read_text()
    for place in (PLUS, ROOT / "deploy" / "aws"):
        monkeypatch.syspath_prepend(str(place))
    for name in [one for one in os.environ if one.startswith("TOTESYS_")]:
        monkeypatch.delenv(name)
    for name in re.findall(r"env: (\w+)", text):
        monkeypatch.setenv(name, "given")
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "dagster.yaml").write_text(text)
    return InstanceRef.from_dir(str(tmp_path))


def test_image_can_be_loaded_by_an_agent(agent: InstanceRef) -> None:
    assert agent.custom_instance_class.__name__ == "DagsterCloudAgentInstance"
    assert issubclass(agent.custom_instance_class, dg.DagsterInstance)
    packages = (ROOT / "requirements-plus.lock").read_text()
    [version] = re.findall(r"^dagster==(\S+)", packages, re.MULTILINE)
    assert f"\ndagster-cloud=={version} " in packages


@pytest.fixture
def launcher(agent: InstanceRef) -> Any:
    """What starts the code location and its runs, configured as in the image."""
    assert agent.custom_instance_class
    given = read("agent.yaml")["user_code_launcher"]
    found = getattr(importlib.import_module(given["module"]), given["class"])
    result = process_config(resolve_to_config_type(found.config_type()), given["config"])
    assert result.success, result.errors
    return found.from_config_value(None, result.value)


# The agent itself uses a function of Dagster's that is in beta.
BETA = pytest.mark.filterwarnings("ignore::dagster.BetaWarning")


@BETA
def test_agent_passes_on_its_settings_and_no_others(launcher: Any) -> None:
    context = EcsContainerContext(env_vars=launcher.env_vars)

    assert context.get_environment_dict() == {
        name: value
        for name, value in ENVIRONMENT.items()
        if not name.startswith(("AGENT_", "AWS_ACCESS", "AWS_SECRET"))
    }
    assert launcher.client.network_configuration["awsvpcConfiguration"] == {
        "subnets": ["subnet-0", "subnet-1"],
        "assignPublicIp": "DISABLED",
        "securityGroups": ["sg-0"],
    }
    # The role of the code location, and its processors.
    assert launcher.task_role_arn == "arn:code"
    assert launcher.runtime_platform == PLATFORM


@BETA
@pytest.mark.parametrize(
    ("job", "stage"),
    [
        ("capture", "capture"),
        ("process", "process"),
        ("load_warehouse", "load"),
        ("batch", "whole"),
        ("take_sales_target", "whole"),
        ("__ASSET_JOB", "whole"),
    ],
)
def test_each_run_of_the_agent_has_the_rights_of_its_stage(
    launcher: Any, job: str, stage: str
) -> None:
    runs = run_launcher(launcher)
    # A code location that asks for more, as Dagster+ passes it on, with the launcher's processors.
    asked = EcsContainerContext(
        env_vars=launcher.env_vars,
        task_role_arn="arn:admin",
        execution_role_arn="arn:prepare",
        runtime_platform=runs.runtime_platform,
    )

    with mock_aws():
        kwargs = runs._run_task_kwargs(dg.DagsterRun(job), "image", asked)
        made = runs.ecs.describe_task_definition(taskDefinition=kwargs["taskDefinition"])

    given = made["taskDefinition"]
    [container] = given["containerDefinitions"]
    environment = {one["name"]: one["value"] for one in container["environment"]}
    expected: dict[str, Any] = STAGES[stage]
    assert given["taskRoleArn"] == expected["role"]
    assert given["executionRoleArn"] == "arn:execution"
    assert given["runtimePlatform"] == PLATFORM
    assert kwargs["taskDefinition"].startswith("dagsterrun_")
    network = kwargs["networkConfiguration"]["awsvpcConfiguration"]
    assert network["securityGroups"] == [expected["security_group"]]
    secrets = {name for name, value in environment.items() if aws_secrets.PREFIX in value}
    assert secrets == set(expected["secrets"])
    assert environment[settings.INGESTION_URL] == "s3://ingestion"
    assert runs.run_ecs_tags == [{"key": "Agent", "value": "given"}]


def run_launcher(launcher: Any) -> Any:
    """What the agent launches runs with; Dagster names families after an organization and a job."""
    made = importlib.import_module("stage_agent").StageRunLauncher(
        stages=launcher.stages,
        execution_role=launcher.execution_role_arn,
        **launcher._run_launcher_kwargs(),
    )
    made._get_run_task_definition_family = lambda run: (
        f"{launcher.run_task_definition_prefix}_organization_prod_{run.job_name}"
    )
    return made


def test_terraform_sets_what_the_agent_reads() -> None:
    module = (ROOT / "terraform" / "modules" / "agent" / "main.tf").read_text()
    read_by_it = set(re.findall(r"env: (\w+)", (PLUS / "agent.yaml").read_text()))

    assert {name for name in read_by_it if not re.search(rf"\b{name}\b", module)} == set()
    assert set(re.findall(r"^    (AGENT_\w+) +=", module, re.MULTILINE)) <= read_by_it
    tasks = (ROOT / "terraform" / "modules" / "cluster" / "tasks.tf").read_text()
    passed = set(read("agent.yaml")["user_code_launcher"]["config"]["env_vars"])
    assert passed == set(re.findall(r"\bAWS_\w+(?= +=)", tasks))


def test_limits_are_those_of_every_instance() -> None:
    queue = yaml.safe_load((ROOT / "deploy" / "aws" / "dagster.yaml").read_text())["run_queue"]
    runs = read("deployment_settings.yaml")["concurrency"]["runs"]

    assert runs["tag_concurrency_limits"] == queue["tag_concurrency_limits"]
    assert runs["max_concurrent_runs"] == queue["max_concurrent_runs"]


def test_alert_policies_are_of_kinds_that_dagster_has() -> None:
    kinds = {
        member.value
        for kind in vars(enums).values()
        if isinstance(kind, type) and "Alert" in kind.__name__
        for member in getattr(kind, "__members__", {}).values()
    }
    policies = read("alert_policies.yaml")["alert_policies"]

    assert {kind for policy in policies for kind in policy["event_types"]} <= kinds
    assert len({policy["name"] for policy in policies}) == len(policies)


@pytest.mark.parametrize("command", ["start", "set-build-output", "finish"])
def test_workflow_deploys_by_dg(command: str) -> None:
    workflow = (ROOT / ".github" / "workflows" / "dagster-plus.yml").read_text()

    assert re.search(rf"dg plus deploy {command} .*--target-path deploy/plus$", workflow, re.M)
    assert "--build-arg LOCK=requirements-plus.lock" in workflow
