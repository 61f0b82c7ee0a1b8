"""Every benchmark runs to its verdicts. At these sizes, the figures mean nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
SMALL = {
    "batches": "--batches 2 4",
    "commands": "--orders 2000 --rounds 1",
    "distributed": "--batches 3 --orders 600 --rounds 1",
    "freshness": "--changes 2",
    "full": "--orders 2000 --rounds 1 --without-rivals",
    "growth": "--orders 2000 4000",
    "idle": "--seconds 5",
    "increment": "--orders 2000 --rounds 1",
    "page": "--orders 2000 --rounds 1",
    "reports": "--orders 2000 --rounds 1",
    "soak": "--batches 8 --listed 4 --every 2",
    "start": "--rounds 1",
}


def test_every_benchmark_is_here() -> None:
    makefile = (PROJECT / "Makefile").read_text()
    [targets] = [line for line in makefile.splitlines() if line.startswith("bench-batches")]

    assert {*targets.partition(":")[0].split()} == {f"bench-{name}" for name in SMALL}


@pytest.mark.long
@pytest.mark.parametrize("name", SMALL)
def test_benchmark_comes_to_its_verdicts(name: str) -> None:
    command = [sys.executable, "-m", f"benchmarks.{name}", *SMALL[name].split()]
    done = subprocess.run(
        command, cwd=PROJECT, capture_output=True, text=True, timeout=600, check=False
    )

    assert done.returncode in {0, 1}, done.stderr  # 1 is a missed target
    assert "ratio " in done.stdout, done.stderr
    assert "Traceback" not in done.stderr
