"""The same parts in containers of the image, and each run of Dagster as a task of ECS.

The image is used as it is: its instance, its launcher, its read-only root, the place of its
certificates, and the commands that Terraform gives it. ECS is moto, which keeps task definitions
and tasks as ECS does; `Fargate` starts a container for each task that it finds there.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any
from uuid import uuid4

from totesys_dagster_tests.rehearsal import production
from totesys_dagster_tests.rehearsal.production import STOP_SECONDS, Production
from totesys_dagster_tests.rehearsal.surroundings import Surroundings
from totesys_dagster_tests.torture.world import PROJECT

TASKS = PROJECT / "terraform" / "modules" / "cluster" / "tasks.tf"
CLUSTER = FAMILY = "totesys-rehearsal"
RUNS = ("capture", "process", "load", "whole")
CERTIFICATES = "/opt/totesys/rds-ca.pem"
# What the image sets itself.
OF_THE_IMAGE = {"PATH", "HOME", "PYTHONPATH", "PYTHONUNBUFFERED", "DAGSTER_HOME"}
# More than this ECS refuses, and Dagster puts the origin of a run there.
OVERRIDES_CHARACTERS = 8192
LOOK_SECONDS = 0.2

Start = Callable[[str, dict[str, str], list[str]], "subprocess.Popen[bytes]"]


def commands() -> dict[str, list[str]]:
    """What Terraform has each service run."""
    text = TASKS.read_text()
    [workspace] = re.findall(r"^  workspace = (\".+\")$", text, re.MULTILINE)
    services = re.findall(
        r"^    (\w+) = \{$[^}]+?^      command +=  *(\[.+\])$", text, re.MULTILINE
    )
    return {
        part: json.loads(command.replace("local.workspace", workspace))
        for part, command in services
    }


def health(part: str) -> str:
    """What Terraform has ECS ask a service, to know whether it is well."""
    [found] = re.findall(
        rf"^    {part} = \{{$[^}}]+?^      health +=  *\"(.+)\"$", TASKS.read_text(), re.MULTILINE
    )
    return str(found)


@dataclass
class Containers(Production):
    """The parts as containers of `image`, which `engine` starts: docker, or its like."""

    image: str = ""
    engine: str = "docker"
    # The ports are those of the image's command and of Terraform.
    code_port: int = 4000
    web_port: int = 3000
    # Where tasks of ECS ask who they are.
    metadata: str = ""
    # The container of each part, and all that were ever started.
    containers: dict[str, str] = field(default_factory=dict)
    started: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.ecs = self.around.emulated("ecs")

    def environment(self, part: str) -> dict[str, str]:
        emulator = self.around.aws["AWS_ENDPOINT_URL_SECRETS_MANAGER"]
        here = super().environment(part)
        return {
            **{name: value for name, value in here.items() if name not in OF_THE_IMAGE},
            "AWS_ENDPOINT_URL_ECS": emulator,
            "AWS_ENDPOINT_URL_EC2": emulator,
            "DAGSTER_RUN_FAMILY": FAMILY,
            # All are on one machine, which has no security groups.
            "DAGSTER_RUN_SECURITY_GROUPS": "{}",
            "ECS_CONTAINER_METADATA_URI_V4": self.metadata,
        }

    def write_instance(self) -> None:
        """The image has its instance; its runs want task definitions."""
        self.give_stages_their_environments()

    def give_stages_their_environments(self) -> None:
        for stage in RUNS:
            self.define(stage, self.environment(stage))

    def define(self, part: str, environment: dict[str, str]) -> None:
        """A new revision of the part's task definition."""
        container = {
            "name": "run",
            "image": self.image,
            "environment": [{"name": name, "value": value} for name, value in environment.items()],
            "memory": 4096,  # ECS does without, moto does not
        }
        self.ecs.register_task_definition(
            family=f"{FAMILY}-{part}",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            cpu="1024",
            memory="4096",
            containerDefinitions=[container],
        )

    def container(self, part: str, environment: dict[str, str]) -> list[str]:
        """What starts a container, but for the command in it. Values are read from `passed`."""
        name = f"{FAMILY}-{part}-{uuid4().hex[:8]}"
        self.started.append(name)
        self.containers[part] = name
        authority = self.around.authority
        return [
            *(self.engine, "run", "--rm", "--name", name, "--network", "host"),
            *("--init", "--read-only", "--tmpfs", "/tmp"),
            *("--volume", f"{authority}:{authority}:ro"),
            *("--volume", f"{authority}:{CERTIFICATES}:ro"),
            *(word for variable in environment for word in ("--env", variable)),
            self.image,
        ]

    def start(self, part: str) -> None:
        environment = self.environment(part)
        command = [*self.container(part, environment), *commands()[part]]
        self.launch(part, command, passed(environment))

    def start_run(
        self, stage: str, environment: dict[str, str], command: list[str]
    ) -> subprocess.Popen[bytes]:
        """The container of a run."""
        with self.log("runs").open("ab") as log:
            return subprocess.Popen(
                [*self.container(stage, environment), *command],
                env=passed(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def code_answers(self) -> bool:
        return self.in_container("code", health("code")) == 0

    def unwell(self) -> list[str]:
        """Also those that do not answer what ECS asks them."""
        silent = [one for one in ("code", "daemon") if self.in_container(one, health(one)) != 0]
        return [*super().unwell(), *silent]

    def in_container(self, part: str, command: str) -> int:
        """The exit code of a command in the container of a part, as ECS asks for its health."""
        asked = [self.engine, "exec", self.containers[part], "sh", "-c", command]
        return subprocess.run(asked, capture_output=True, check=False).returncode

    def command(self, part: str, *words: str) -> subprocess.CompletedProcess[str]:
        environment = self.environment(part)
        return subprocess.run(
            [*self.container(f"{part}-command", environment), "python", "-m", *words],
            env=passed(environment),
            capture_output=True,
            text=True,
            check=False,
        )

    def stop(self, part: str) -> None:
        asked = [self.engine, "stop", "-t", str(STOP_SECONDS), self.containers[part]]
        subprocess.run(asked, capture_output=True, check=False)
        super().stop(part)

    def remove(self) -> None:
        """No container stays, of whatever was at work in the end."""
        subprocess.run([self.engine, "rm", "-f", *self.started], capture_output=True, check=False)


def passed(environment: dict[str, str]) -> dict[str, str]:
    """The environment of the engine's client, which passes it on: others can read arguments."""
    return {**os.environ, **environment}


class Fargate:
    """Starts a container for each task that ECS is asked for, and tells ECS of its end."""

    def __init__(self, ecs: Any, start: Start) -> None:
        self.ecs = ecs
        self.start = start
        # What runs already is none of ours.
        self.tasks: dict[str, subprocess.Popen[bytes] | None] = dict.fromkeys(self.wanted())

    def wanted(self) -> list[str]:
        """The tasks that ECS has now."""
        return list(self.ecs.list_tasks(cluster=CLUSTER, desiredStatus="RUNNING")["taskArns"])

    def look(self) -> None:
        """Start what is new, and say what has ended."""
        for arn in self.wanted():
            if arn not in self.tasks:
                self.tasks[arn] = self.started(arn)
        for arn, process in self.tasks.items():
            if process is not None and process.poll() is not None:
                self.ecs.stop_task(cluster=CLUSTER, task=arn, reason="Essential container exited")
                self.tasks[arn] = None

    def started(self, arn: str) -> subprocess.Popen[bytes]:
        """The process of a new task."""
        [task] = self.ecs.describe_tasks(cluster=CLUSTER, tasks=[arn])["tasks"]
        described = self.ecs.describe_task_definition(taskDefinition=task["taskDefinitionArn"])
        definition = described["taskDefinition"]
        [container] = definition["containerDefinitions"]
        [override] = task["overrides"]["containerOverrides"]
        assert override["name"] == container["name"]
        assert len(json.dumps(task["overrides"])) <= OVERRIDES_CHARACTERS
        return self.start(
            definition["family"].removeprefix(f"{FAMILY}-"),
            {one["name"]: one["value"] for one in container["environment"]},
            override["command"],
        )


@contextlib.contextmanager
def looking(fargate: Fargate) -> Iterator[None]:
    """Fargate at work, for the time of a block."""
    end = threading.Event()

    def work() -> None:
        while not end.wait(LOOK_SECONDS):
            fargate.look()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        yield
    finally:
        end.set()
        thread.join()


@contextlib.contextmanager
def metadata_of(task: str) -> Iterator[str]:
    """Where a task of ECS asks who it is."""
    answer = json.dumps({"Cluster": CLUSTER, "TaskARN": task}).encode()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    server = HTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def task_of_daemon(parts: Containers) -> str:
    """The daemon as a task of ECS, whose network its runs are started in."""
    ec2 = parts.around.emulated("ec2")
    parts.ecs.create_cluster(clusterName=CLUSTER)
    parts.define("daemon", {})
    network = {
        "subnets": [ec2.describe_subnets()["Subnets"][0]["SubnetId"]],
        "securityGroups": [ec2.describe_security_groups()["SecurityGroups"][0]["GroupId"]],
    }
    [task] = parts.ecs.run_task(
        cluster=CLUSTER,
        taskDefinition=f"{FAMILY}-daemon",
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": network},
    )["tasks"]
    return str(task["taskArn"])


@contextlib.contextmanager
def running(around: Surroundings, image: str, engine: str) -> Iterator[Production]:
    """As `production.running`, in containers."""
    parts = Containers(around, image=image, engine=engine)
    try:
        with metadata_of(task_of_daemon(parts)) as parts.metadata:
            fargate = Fargate(parts.ecs, parts.start_run)
            with looking(fargate), production.running(parts):
                yield parts
    finally:
        parts.remove()
