"""Bring a deployment to its end, or say why it does not get there: deploy.yml calls this.

    python .ci/deploy.py migrate  --outputs outputs.json --commit …   before the services change
    python .ci/deploy.py services --outputs outputs.json              after they were changed
    python .ci/deploy.py gate     --outputs outputs.json --commit …   before the next environment

`outputs.json` is what `terraform output -json` prints. The exit status is 0 only when everything
has come to its end: a migration's and a batch's by the exit code of their task, a service's by its
new task definition, or by having no task if it is stopped. What a task printed is not shown, since
anybody may read the log of a public repository's workflow; it is said where it lies.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

POLL_SECONDS = 10
# An empty task waits for its machine, its network and its image: a minute or two.
TASK_SECONDS = 3600
SERVICES_SECONDS = 1800
# For so long a service may still show the deployment before the one that was just asked for.
SETTLE_SECONDS = 60

MIGRATIONS = (["totesys", "migrate"], ["dagster", "instance", "migrate"])
VERIFY = ["totesys", "verify"]
# An audit takes a batch even where nobody works in ToteSys, and compares every table as a whole.
BATCH = ["totesys", "audit"]

Outputs = Mapping[str, Any]
Ecs = Any  # boto3 makes its clients at run time


class DeploymentError(Exception):
    """Why the deployment has failed, and where to look."""


class Place(NamedTuple):
    """Where one-off tasks run. The cluster has the name of its environment."""

    cluster: str
    subnet: str
    security_group: str

    @property
    def network(self) -> dict[str, Any]:
        return {
            "awsvpcConfiguration": {
                "subnets": [self.subnet],
                "securityGroups": [self.security_group],
            }
        }


def waited(look: Callable[[float], bool], seconds: float, what: str) -> None:
    """Look again and again, with the seconds since the beginning, until it says yes.

    Raises DeploymentError after `seconds`.
    """
    begun = time.monotonic()
    while not look(time.monotonic() - begun):
        if time.monotonic() - begun > seconds:
            raise DeploymentError(f"{what} took more than {seconds / 60:.0f} minutes.")
        time.sleep(POLL_SECONDS)


def definition(ecs: Ecs, place: Place, part: str, commit: str) -> str:
    """The newest task definition of a part, which has to be of this commit's image."""
    family = f"{place.cluster}-{part}"
    found = ecs.describe_task_definition(taskDefinition=family)["taskDefinition"]
    image = str(found["containerDefinitions"][0]["image"])
    if not image.endswith(f":{commit}"):
        raise DeploymentError(f"{family} runs the image {image}, not that of {commit}.")
    return str(found["taskDefinitionArn"])


def one_off(ecs: Ecs, place: Place, part: str, commit: str, command: Sequence[str]) -> None:
    """Run a command as a task of this commit's image.

    Raises DeploymentError unless it exits by 0.
    """
    said = f"`{' '.join(command)}`"
    answer = ecs.run_task(
        cluster=place.cluster,
        launchType="FARGATE",
        taskDefinition=definition(ecs, place, part, commit),
        networkConfiguration=place.network,
        overrides={"containerOverrides": [{"name": "run", "command": list(command)}]},
        startedBy="deployment",
    )
    if not answer["tasks"]:
        raise DeploymentError(f"{said} could not be started: {answer['failures']}")
    task = str(answer["tasks"][0]["taskArn"])
    print(f"{said} runs as {task}", flush=True)
    try:
        judge(said, ended(ecs, place, task, said))
    except DeploymentError as error:
        stream = f"{part}/run/{task.rsplit('/', 1)[1]}"
        where = f"Its lines: log group /{place.cluster}/{part}, stream {stream}."
        raise DeploymentError(f"{error} {where}") from error


def ended(ecs: Ecs, place: Place, task: str, said: str) -> Mapping[str, Any]:
    """The task when it has stopped. One that takes too long is stopped."""
    found: dict[str, Any] = {}

    def stopped(_: float) -> bool:
        # Right after its start, a task may not be known everywhere.
        tasks = ecs.describe_tasks(cluster=place.cluster, tasks=[task])["tasks"]
        found.update(tasks[0] if tasks else {})
        return found.get("lastStatus") == "STOPPED"

    try:
        waited(stopped, TASK_SECONDS, said)
    except DeploymentError:
        ecs.stop_task(cluster=place.cluster, task=task, reason="The deployment waits no longer")
        raise
    return found


def judge(said: str, task: Mapping[str, Any]) -> None:
    """Raise DeploymentError unless the task's container has exited by 0."""
    container = task["containers"][0]
    code = container.get("exitCode")
    if code == 0:
        print(f"{said} has succeeded", flush=True)
        return
    reasons = (task.get("stoppedReason"), container.get("reason"))
    why = "; ".join(reason for reason in reasons if reason)
    how = "never ran" if code is None else f"ended with exit code {code}"
    raise DeploymentError(f"{said} {how}: {why or 'no reason was given'}.")


def is_up(service: Mapping[str, Any], wanted: str, seconds: float) -> bool:
    """Whether the service runs `wanted`; False while it may yet.

    Raises DeploymentError where it has failed. A service that ECS has taken back to what it ran
    before is stable, too: only its task definition tells.
    """
    name, deployments = service["serviceName"], service["deployments"]
    primary = next(one for one in deployments if one["status"] == "PRIMARY")
    ours = [one for one in deployments if one["taskDefinition"] == wanted]
    failed = [one for one in ours if one.get("rolloutState") == "FAILED"]
    if failed or (primary["taskDefinition"] != wanted and seconds > SETTLE_SECONDS):
        reason = failed[0].get("rolloutStateReason", "") if failed else ""
        events = "; ".join(one["message"] for one in service.get("events", [])[:3])
        raise DeploymentError(
            f"The service {name} has not come up with {wanted}: it runs"
            f" {primary['taskDefinition']}. {reason} {events}"
        )
    if service["desiredCount"] == 0:
        raise DeploymentError(
            f"The service {name} is to run no task, although Terraform wants it to run."
        )
    return bool(
        primary["taskDefinition"] == wanted
        and primary.get("rolloutState") == "COMPLETED"
        and primary["runningCount"] >= primary["desiredCount"]
    )


def is_down(service: Mapping[str, Any], seconds: float) -> bool:
    """Whether the service runs nothing; False while it may yet stop.

    Raises DeploymentError where it is to run something: beside Dagster+, runs would start twice.
    """
    if service["desiredCount"] > 0 and seconds > SETTLE_SECONDS:
        raise DeploymentError(
            f"The service {service['serviceName']} is to run {service['desiredCount']} task(s),"
            " although Terraform wants it stopped (`running = false`)."
        )
    return bool(service["desiredCount"] == 0 and service["runningCount"] == 0)


def services(ecs: Ecs, place: Place, wanted: Mapping[str, str], stopped: Sequence[str]) -> None:
    """Wait until every service runs the task definition that Terraform gave it, or is stopped.

    Raises DeploymentError for one that does not, or not in time.
    """
    names = sorted([*wanted, *stopped])

    def all_as_wanted(seconds: float) -> bool:
        answer = ecs.describe_services(cluster=place.cluster, services=names)
        if answer["failures"]:
            raise DeploymentError(f"Services of {place.cluster}: {answer['failures']}")
        found = {one["serviceName"]: one for one in answer["services"]}
        up = [is_up(found[name], wanted[name], seconds) for name in sorted(wanted)]
        down = [is_down(found[name], seconds) for name in sorted(stopped)]
        return all(up + down)

    waited(all_as_wanted, SERVICES_SECONDS, f"The deployment of {', '.join(names)}")
    for which, said in (
        (wanted, "up with the new task definition"),
        (stopped, "stopped (`running = false`)"),
    ):
        if which:
            print(f"{', '.join(sorted(which))}: {said}", flush=True)


def carry_out(ecs: Ecs, step: str, outputs: Outputs, commit: str) -> None:
    """Do one step of a deployment. Raises DeploymentError."""
    place = Place(**outputs["one_off"]["value"])
    if step == "migrate":
        for command in MIGRATIONS:
            one_off(ecs, place, "admin", commit, command)
    elif step == "services":
        wanted, stopped = outputs["task_definitions"], outputs["stopped_services"]
        services(ecs, place, wanted["value"], stopped["value"])
    else:
        one_off(ecs, place, "admin", commit, VERIFY)
        one_off(ecs, place, "whole", commit, BATCH)


def main(arguments: Sequence[str], ecs: Ecs) -> int:
    parser = argparse.ArgumentParser(description="Bring a deployment to its end.")
    parser.add_argument("step", choices=["migrate", "services", "gate"])
    parser.add_argument("--outputs", required=True, type=Path, help="of `terraform output -json`")
    parser.add_argument("--commit", default="", help="the image's tag")
    options = parser.parse_args(arguments)
    if options.step != "services" and not options.commit:
        parser.error("--commit is needed: the task has to be of its image")
    try:
        carry_out(ecs, options.step, json.loads(options.outputs.read_text()), options.commit)
    except (DeploymentError, ClientError, BotoCoreError) as error:
        print(f"FAILED: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    patience = Config(connect_timeout=10, read_timeout=30, retries={"max_attempts": 8})
    sys.exit(main(sys.argv[1:], boto3.client("ecs", config=patience)))
