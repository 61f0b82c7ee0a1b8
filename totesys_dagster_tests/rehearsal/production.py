"""The platform's processes, each in the environment that it has in production."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from totesys_dagster import settings
from totesys_dagster.local.server import free_port
from totesys_dagster_tests.rehearsal.surroundings import (
    ADMIN_SECRET,
    BUCKET,
    DAGSTER_DATABASE,
    MAIL_SECRET,
    SOURCE_SECRET,
    WAREHOUSE_SECRET,
    Surroundings,
)
from totesys_dagster_tests.torture.world import PROJECT, wait_until

START_SECONDS = 90
STOP_SECONDS = 30
# Bad rows that a batch may have: few, so that a handful is an incident.
QUARANTINE_LIMIT = 5
LOG_AS_JSON = ("--log-format", "json")

SOURCE = {settings.SOURCE_DSN: f"aws-secret:{SOURCE_SECRET}"}
WAREHOUSE = {settings.WAREHOUSE_DSN: f"aws-secret:{WAREHOUSE_SECRET}"}
MAIL = {
    settings.SMTP_URL: f"aws-secret:{MAIL_SECRET}",
    settings.ALERT_FROM: "totesys@example.com",
    settings.ALERT_TO: "data-engineering@example.com",
}

# What each part is given beside what all have; the same as `part_setting_secrets` and
# `part_environment` of terraform/modules, with `alert_mail` set.
PARTS: dict[str, dict[str, str]] = {
    "capture": SOURCE,
    "process": {},
    "load": WAREHOUSE,
    "whole": {**SOURCE, **WAREHOUSE},
    "code": {**SOURCE, **WAREHOUSE, **MAIL},
    "daemon": {},
    "web": {},
    "admin": {
        settings.SOURCE_DSN: "postgresql://source.invalid/unused",
        settings.WAREHOUSE_ADMIN_DSN: f"aws-secret:{ADMIN_SECRET}",
        **WAREHOUSE,
    },
}

# What of deploy/aws/dagster.yaml needs AWS itself, and what takes its place here.
LAUNCHER = """  module: stage_launcher
  class: StageRunLauncher
  config:
    family:
      env: DAGSTER_RUN_FAMILY
    # The security group of each stage's runs, as {"<stage>": "<security group>"}.
    security_groups:
      env: DAGSTER_RUN_SECURITY_GROUPS
    container_name: run
    # The task definitions name their secrets, so none is looked up by tag.
    secrets_tag: null
"""
LAUNCHER_HERE = """  module: totesys_dagster_tests.rehearsal.launcher
  class: StageProcessLauncher
  config:
    environments: {directory}/environments.json
"""
REPLACED = {
    LAUNCHER: LAUNCHER_HERE,
    "/opt/totesys/rds-ca.pem": "{directory}/authority.pem",
    "/tmp/dagster": "{directory}/tmp",
}


@dataclass
class Production:
    """The processes, and the commands that people run beside them."""

    around: Surroundings
    limit: int = QUARANTINE_LIMIT
    processes: dict[str, subprocess.Popen[bytes]] = field(default_factory=dict)
    code_port: int = field(default_factory=lambda: free_port(None))
    web_port: int = field(default_factory=lambda: free_port(None))

    @property
    def directory(self) -> Path:
        return self.around.directory

    def environment(self, part: str) -> dict[str, str]:
        """Nothing of the person's own environment reaches a part."""
        around = self.around
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.directory),
            "PYTHONPATH": str(PROJECT),
            "PYTHONUNBUFFERED": "1",
            "SSL_CERT_FILE": str(around.authority),
            "AWS_CA_BUNDLE": str(around.authority),
            **around.aws,
            settings.INGESTION_URL: f"s3://{BUCKET}/ingestion",
            settings.PROCESSED_URL: f"s3://{BUCKET}/processed",
            settings.POLL_SECONDS: "1",
            settings.LOAD_EVERY_SECONDS: "2",
            settings.QUARANTINE_LIMIT: str(self.limit),
            settings.LOG_FORMAT: "json",
            "DAGSTER_HOME": str(self.directory),
            "DAGSTER_COMPUTE_BUCKET": BUCKET,
            "DAGSTER_POSTGRES_HOST": "localhost",
            "DAGSTER_POSTGRES_PORT": str(around.fronts["dagster"]),
            "DAGSTER_POSTGRES_DB": DAGSTER_DATABASE,
            "DAGSTER_POSTGRES_USER": "dagster",
            "DAGSTER_POSTGRES_PASSWORD": around.dagster_password,
            "DAGSTER_CODE_HOST": "127.0.0.1",
            "DAGSTER_CODE_PORT": str(self.code_port),
            **PARTS[part],
        }

    def write_instance(self) -> None:
        """DAGSTER_HOME as the image has it, but for what needs AWS itself."""
        instance = (PROJECT / "deploy" / "aws" / "dagster.yaml").read_text()
        for text, here in REPLACED.items():
            assert text in instance, text
            instance = instance.replace(text, here.format(directory=self.directory))
        (self.directory / "dagster.yaml").write_text(instance)
        shutil.copy(PROJECT / "deploy" / "workspace.yaml", self.directory)
        self.give_stages_their_environments()

    def give_stages_their_environments(self) -> None:
        """Runs that start from now on have what the settings are now."""
        environments = {stage: self.environment(stage) for stage in ("capture", "process", "load")}
        environments["whole"] = self.environment("whole")
        file = self.directory / "environments.json"
        file.touch(mode=0o600)
        file.write_text(json.dumps(environments))

    def start(self, part: str) -> None:
        commands = {
            "code": [
                *("dagster", "api", "grpc", "-h", "127.0.0.1", "-p", str(self.code_port)),
                *("-m", "totesys_dagster.definitions", *LOG_AS_JSON),
            ],
            "daemon": ["dagster._daemon", "run", "-w", "workspace.yaml", *LOG_AS_JSON],
            "web": [
                *("totesys_dagster.cli", "web", "-h", "127.0.0.1", "-p", str(self.web_port)),
                *("-w", "workspace.yaml", *LOG_AS_JSON),
            ],
        }
        self.launch(part, [sys.executable, "-m", *commands[part]], self.environment(part))

    def launch(self, part: str, command: list[str], environment: dict[str, str]) -> None:
        """Start the part's process, and wait until others can use it."""
        with self.log(part).open("ab") as log:
            self.processes[part] = subprocess.Popen(
                command,
                cwd=self.directory,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if part == "code":
            wait_until(self.code_answers, START_SECONDS, "the start of the code server")

    def unwell(self) -> list[str]:
        """Parts whose process has ended."""
        return [part for part, process in self.processes.items() if process.poll() is not None]

    def log(self, part: str) -> Path:
        return self.directory / f"{part}.log"

    def code_answers(self) -> bool:
        return self.command("daemon", "dagster", "api", "grpc-health-check", "-p",
                            str(self.code_port)).returncode == 0  # fmt: skip

    def command(self, part: str, *words: str) -> subprocess.CompletedProcess[str]:
        """A command that a person runs as `part`, as docs/operations.md has it."""
        return subprocess.run(
            [sys.executable, "-m", *words],
            cwd=self.directory,
            env=self.environment(part),
            capture_output=True,
            text=True,
            check=False,
        )

    def totesys(self, *words: str) -> subprocess.CompletedProcess[str]:
        return self.command("admin", "totesys_dagster.cli", *words)

    def status(self) -> dict[str, Any]:
        done = self.totesys("status", "--json")
        return dict(json.loads(done.stdout)) if done.returncode == 0 else {}

    def ask(self, query: str) -> dict[str, Any]:
        """What the web server answers to GraphQL."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.web_port}/graphql",
            data=json.dumps({"query": query}).encode(),
            headers={"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=30) as answer:
            return dict(json.load(answer)["data"])

    def restart_code(self, limit: int) -> None:
        """Deploy another quarantine limit, which the next runs have too."""
        self.limit = limit
        self.stop("code")
        self.give_stages_their_environments()
        self.start("code")

    def stop(self, part: str) -> None:
        """Ask the part to end as ECS does; kill it, and whatever it started, when it does not."""
        process = self.processes.pop(part)
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


@contextlib.contextmanager
def running(production: Production) -> Iterator[Production]:
    """A migrated warehouse, and code server, daemon and web server; stopped after the block."""
    production.write_instance()
    migrated = production.totesys("migrate")
    if migrated.returncode != 0:
        raise RuntimeError(f"totesys migrate failed: {migrated.stderr}")
    try:
        for part in ("code", "daemon", "web"):
            production.start(part)
        yield production
    finally:
        for part in list(production.processes):
            production.stop(part)
