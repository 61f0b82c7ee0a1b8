"""The rehearsal passes, and gives each part what Terraform gives it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from totesys_dagster_tests.rehearsal import launcher, production
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

    assert 'STAGES = {INGEST: "ingest", PROCESS: "process", LOAD: "load"}' in text
    assert sorted(launcher.STAGES.values()) == ["ingest", "load", "process"]


@pytest.mark.parametrize("part", ["ingest", "process", "load", "whole", "code", "daemon", "web"])
def test_part_is_given_the_databases_that_terraform_gives_it(part: str) -> None:
    text = (PROJECT / "terraform" / "modules" / "platform" / "main.tf").read_text()
    line = re.search(rf"^    {part} +=(.*)$", text, re.MULTILINE)
    assert line is not None

    given = {name for name in ("source", "warehouse") if f"local.{name}" in line[1]}
    here = {name for name in ("source", "warehouse") if f"TOTESYS_{name.upper()}_DSN" in
            production.PARTS[part]}  # fmt: skip
    assert here == given
