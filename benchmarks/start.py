"""How soon it works: a warm `make run`, `dagster dev` to the first loaded batch, and imports.

python -m benchmarks.start [--rounds 5]
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import psycopg

from benchmarks import dev
from benchmarks.parts import Verdicts, median, seconds
from totesys_dagster import settings
from totesys_dagster.local import server as postgres

RUN_TARGET = 30.0
FIRST_BATCH_TARGET = 60.0
IMPORT_TARGET = 1.5


def run_code(code: str) -> float:
    return seconds(lambda: subprocess.run([sys.executable, "-c", code], check=True))


def imports(rounds: int) -> tuple[float, float]:
    """Seconds to import Dagster alone, and the whole code location, in turn."""
    pairs = [
        (run_code("import dagster"), run_code("import totesys_dagster.definitions"))
        for _ in range(rounds)
    ]
    return median([alone for alone, _ in pairs]), median([whole for _, whole in pairs])


def demo(rounds: int) -> float:
    """Seconds of what `make run` does, on an embedded default that is there already."""
    with tempfile.TemporaryDirectory(prefix="benchmark-", ignore_cleanup_errors=True) as directory:
        home = Path(directory, "home")
        Path(directory, "dagster.yaml").write_text((dev.PROJECT / "dagster.yaml").read_text())
        environment = {**os.environ, settings.HOME: str(home)}

        def run() -> None:
            subprocess.run(
                [sys.executable, "-m", "totesys_dagster.cli", "demo"],
                cwd=directory,
                env=environment,
                capture_output=True,
                check=True,
            )

        run()
        try:
            return median([seconds(run) for _ in range(rounds)])
        finally:
            postgres.remove(home)


def first_batch() -> float:
    """Seconds from `dagster dev` to the first batch that others see, the source being there."""
    with (
        dev.embedded() as directory,
        psycopg.connect(os.environ[settings.WAREHOUSE_DSN], autocommit=True) as warehouse,
    ):

        def start() -> None:
            with dev.running(directory, "totesys_dagster.local.definitions"):
                spent.append(seconds(lambda: dev.wait_for_batch(warehouse, 1)))

        spent: list[float] = []
        start()
        return spent[0]


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-start", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    alone, whole = imports(options.rounds)
    run, first = demo(options.rounds), first_batch()
    print("| start, median | seconds |\n| --- | ---: |")
    print(f"| `import dagster` | {alone:.2f} |\n| import of the code location | {whole:.2f} |")
    print(f"| `make run`, warm | {run:.1f} |\n| `dagster dev` to the first batch | {first:.1f} |")
    verdicts = Verdicts()
    verdicts.at_most("imports / those of dagster", whole / alone, IMPORT_TARGET)
    verdicts.at_most("make run, warm", run, RUN_TARGET, unit=" s")
    verdicts.at_most("first batch", first, FIRST_BATCH_TARGET, unit=" s")
    return verdicts.finish()


if __name__ == "__main__":
    sys.exit(main())
