"""The rehearsal passes, and gives each part what Terraform gives it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from typing import Any

import pytest

from totesys_dagster_tests.object_store import ObjectStore
from totesys_dagster_tests.rehearsal import containers, launcher, production, surroundings
from totesys_dagster_tests.torture.world import PROJECT


@pytest.mark.long
def test_a_day_in_production_ends_well() -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-m", "totesys_dagster_tests.rehearsal"],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        check=False,
    )
    print(done.stdout, done.stderr)

    assert done.stdout.splitlines()[-1].startswith("REHEARSAL PASSED")
    assert done.returncode == 0


def test_what_needs_aws_is_still_in_the_instance_of_aws() -> None:
    instance = (PROJECT / "deploy" / "aws" / "dagster.yaml").read_text()

    assert [text for text in production.REPLACED if text not in instance] == []


def test_stages_are_those_of_the_launcher_on_aws() -> None:
    text = (PROJECT / "deploy" / "aws" / "stage_launcher.py").read_text()

    assert 'STAGES = {CAPTURE: "capture", PROCESS: "process", LOAD: "load"}' in text
    assert sorted(launcher.STAGES.values()) == ["capture", "load", "process"]


@pytest.mark.parametrize("part", ["capture", "process", "load", "whole", "code", "daemon", "web"])
def test_part_is_given_the_databases_that_terraform_gives_it(part: str) -> None:
    text = (PROJECT / "terraform" / "modules" / "platform" / "main.tf").read_text()
    line = re.search(rf"^    {part} +=(.*)$", text, re.MULTILINE)
    assert line is not None

    given = {name for name in ("source", "warehouse") if f"local.{name}" in line[1]}
    here = {name for name in ("source", "warehouse") if f"TOTESYS_{name.upper()}_DSN" in
            production.PARTS[part]}  # fmt: skip
    assert here == given


def test_containers_run_what_the_image_and_terraform_have_them_run() -> None:
    dockerfile = (PROJECT / "Dockerfile").read_text()
    asked, run = (json.loads(words) for words in re.findall(r"\bCMD (\[.+\])$", dockerfile, re.M))

    assert set(containers.commands()) == {"code", "daemon", "web"}
    assert containers.commands()["code"] == run
    assert containers.health("code").split() == asked
    assert containers.health("daemon").startswith("dagster-daemon ")


def test_fargate_starts_each_task_once_and_tells_of_its_end() -> None:
    started: list[tuple[str, dict[str, str], list[str]]] = []

    def start(*run: Any) -> subprocess.Popen[bytes]:
        started.append(run)
        return subprocess.Popen(["cat"], stdin=subprocess.PIPE)  # ends when it is asked to

    with surroundings.secrets_manager() as port:
        account = ObjectStore("", "").environment  # any will do
        ecs = surroundings.client("ecs", f"http://127.0.0.1:{port}", account)
        ecs.create_cluster(clusterName=containers.CLUSTER)
        fargate = containers.Fargate(ecs, start)
        ecs.register_task_definition(
            family=f"{containers.FAMILY}-load",
            containerDefinitions=[
                {
                    "name": "run",
                    "image": "image",
                    "memory": 1,
                    "environment": [{"name": "A", "value": "B"}],
                }
            ],
        )
        [task] = ecs.run_task(
            cluster=containers.CLUSTER,
            taskDefinition=f"{containers.FAMILY}-load",
            launchType="FARGATE",
            overrides={"containerOverrides": [{"name": "run", "command": ["dagster", "api"]}]},
        )["tasks"]

        fargate.look()
        running = fargate.tasks[task["taskArn"]]
        assert running is not None
        fargate.look()
        assert fargate.wanted() == [task["taskArn"]]
        running.communicate()
        fargate.look()

        assert started == [("load", {"A": "B"}, ["dagster", "api"])]
        assert fargate.wanted() == []
