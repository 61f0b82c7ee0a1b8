"""docs/tour.md, step by step: each command is run, and each line of output is looked for."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
TOUR = PROJECT / "docs" / "tour.md"
BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STATUS = re.compile(r"  # ends with status (\d)$")


def recipe(target: str) -> str:
    """What `make` runs for a target, without what prepares the environment."""
    makefile = (PROJECT / "Makefile").read_text(encoding="utf-8")
    [line] = re.findall(rf"^{target}:.*\n\t@(.*)$", makefile, re.MULTILINE)
    return str(line).replace("$(BIN)", ".venv/bin")


def commands(block: str) -> list[tuple[str, int]]:
    """The commands of a block, with the status that each ends with."""
    found = []
    for line in block.replace("\\\n", "").splitlines():
        command = re.sub(r"^make (\w+)$", lambda make: recipe(make[1]), STATUS.sub("", line))
        status = STATUS.search(line)
        found.append((command, int(status[1]) if status else 0))
    return found


def shown(line: str) -> re.Pattern[str]:
    """A line of output, whatever its spaces, with anything for …"""
    return re.compile(r"\s*".join(re.escape(word) for word in line.split()).replace("…", ".*"))


@pytest.fixture
def project(tmp_path: Path) -> Path:
    shutil.copy(PROJECT / "dagster.yaml", tmp_path)
    (tmp_path / ".venv").symlink_to(sys.prefix)
    return tmp_path


def run(command: str, status: int, project: Path) -> str:
    environment = {n: v for n, v in os.environ.items() if not n.startswith(("TOTESYS_", "DAGSTER"))}
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=project,
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert done.returncode == status, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.mark.long
def test_tour_goes_as_it_says(project: Path) -> None:
    output, looked_for = "", 0
    try:
        for language, block in BLOCK.findall(TOUR.read_text(encoding="utf-8")):
            if language == "sh":
                output = "".join(run(*one, project) for one in commands(block))
                continue
            for line in block.splitlines():
                said = " ".join(output.split())
                assert shown(line).search(said), f"{line!r} is not in:\n{output}"
                looked_for += 1
    finally:
        run(".venv/bin/totesys clean", 0, project)

    assert looked_for > 10
