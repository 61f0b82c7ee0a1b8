"""Dagster's code server, which forks each run off a process that has imported the code already.

A run that imports for three seconds first is seldom at work when it is killed. Nothing is open in
the process that is forked: a run connects by itself, as one that was started anew does.
"""

import functools
import multiprocessing
from typing import Any

from dagster._cli import main
from dagster._grpc.server import DagsterApiServer

LOCATION = "totesys_dagster_tests.torture.location"


def fork_runs() -> None:
    """Let the servers of this process fork their runs, where they would start Python anew."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["dagster._cli", LOCATION])
    initialize = DagsterApiServer.__init__

    @functools.wraps(initialize)
    def initialize_and_fork(self: Any, *arguments: Any, **options: Any) -> None:
        initialize(self, *arguments, **options)
        self._mp_ctx = context

    DagsterApiServer.__init__ = initialize_and_fork  # type: ignore[method-assign]


if __name__ == "__main__":
    fork_runs()
    main()
