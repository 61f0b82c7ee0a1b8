"""What Dagster+ is given, judged by Dagster's own code: no account is needed for that."""

from __future__ import annotations

import importlib
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


@pytest.fixture
def agent(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> InstanceRef:
    """The reference to the agent's instance that the processes of the image get."""
    text = (PLUS / "agent.yaml").read_text()
    for name in re.findall(r"env: (\w+)", text):
        monkeypatch.setenv(name, "given")
    (tmp_path / "dagster.yaml").write_text(text)
    return InstanceRef.from_dir(str(tmp_path))


def test_image_can_be_loaded_by_an_agent(agent: InstanceRef) -> None:
    assert agent.custom_instance_class.__name__ == "DagsterCloudAgentInstance"
    assert issubclass(agent.custom_instance_class, dg.DagsterInstance)
    packages = (ROOT / "requirements-plus.lock").read_text()
    [version] = re.findall(r"^dagster==(\S+)", packages, re.MULTILINE)
    assert f"\ndagster-cloud=={version} " in packages


@pytest.mark.usefixtures("agent")
def test_agent_takes_its_configuration() -> None:
    launcher = read("agent.yaml")["user_code_launcher"]
    found = getattr(importlib.import_module(launcher["module"]), launcher["class"])

    result = process_config(resolve_to_config_type(found.config_type()), launcher["config"])

    assert result.success, result.errors


def test_agent_names_settings_and_the_secrets_that_terraform_makes() -> None:
    given = read("agent.yaml")["user_code_launcher"]["config"]["env_vars"]
    made = (ROOT / "terraform" / "modules" / "secrets" / "main.tf").read_text()
    named = dict(one.partition("=")[::2] for one in given)

    assert {name for name in named if name.startswith("TOTESYS_")} <= set(settings.SETTINGS)
    assert set(settings.LOCATIONS) <= set(named)
    for value in filter(None, named.values()):
        secret = value.removeprefix(f"{aws_secrets.PREFIX}totesys-production/")
        assert re.search(rf"^    {secret} += ", made, re.MULTILINE), value


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
