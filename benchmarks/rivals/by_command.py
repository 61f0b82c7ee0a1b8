"""The platform as a person types it: `totesys run`, in a directory that has a dagster.yaml.

python -m benchmarks.rivals.by_command DIRECTORY
"""

from __future__ import annotations

import subprocess
import sys

from benchmarks.rivals.figures import print_figures


def main(directory: str) -> None:
    def run() -> None:
        command = [sys.executable, "-m", "totesys_dagster.cli", "run"]
        subprocess.run(command, cwd=directory, check=True, capture_output=True)

    print_figures(run)


if __name__ == "__main__":
    main(*sys.argv[1:])
