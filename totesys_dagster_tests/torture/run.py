"""`totesys run` in a process that can be ordered to die."""

from totesys_dagster.cli import main
from totesys_dagster_tests.torture import steps

if __name__ == "__main__":
    steps.arm()
    main(["run", "--json"])
