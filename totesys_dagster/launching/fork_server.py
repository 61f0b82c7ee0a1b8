"""Starts the process of a run by forking one that has already imported everything it needs.

A run of a small batch takes a second, but a new Python process needs two to four seconds to import
Dagster and resolve the code location. The fork server does that once, and each run is a fork
of it.

The fork gets one end of a socket. It writes its process id there, and reads its run once the id is
recorded. If the daemon dies in between, the fork ends.
"""

from __future__ import annotations

import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import sysconfig
import threading
import time
import warnings
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.dagster_insides import (
    API,
    ExecuteRunArgs,
    InstanceRef,
    RepositoryPythonOrigin,
    deserialize_value,
    serialize_value,
)

# How long a fork may take to answer; most of that is the start of the server.
START_SECONDS = 60.0
STOP_SECONDS = 10.0
# The pause after a server that could not fork: otherwise each run would wait for a new one.
PAUSE_SECONDS = 300.0
# Imports pandas, which takes half as long as Dagster: only runs need it.
TRANSFORM = "totesys_dagster.processed.transform"
# Imported by runs but not by the code location, which starts faster without it.
OF_RUNS = (API, TRANSFORM)


class ForkServerError(Exception):
    """No process was started for a run."""


class ForkServer:
    """The fork server of a code location, started when it is first needed."""

    def __init__(self, origin: str, location: str, instance: InstanceRef) -> None:
        """`origin` is the code location's RepositoryPythonOrigin, serialized."""
        self._arguments = json.dumps([origin, location, serialize_value(instance)])
        self._process: subprocess.Popen[str] | None = None
        self._requests: socket.socket | None = None
        self._lock = threading.Lock()
        self._paused_until = 0.0

    def start(self, run: ExecuteRunArgs, note: Callable[[int], object]) -> None:
        """Start the process of a run. Calls `note` with its id before the run starts.

        Raises ForkServerError if no process could be started.
        """
        with self._lock:
            if time.monotonic() < self._paused_until:
                raise ForkServerError("No process could be forked a moment ago.")
            try:
                # The server ends when code that it has imported changes: then use a new one.
                forked = self._fork() or self._fork()
                if forked is None:
                    raise ForkServerError("The fork server ended while starting; see its output.")
            except ForkServerError:
                self._paused_until = time.monotonic() + PAUSE_SECONDS
                raise
        pid, fork = forked
        with fork:
            note(pid)
            fork.sendall(serialize_value(run).encode())

    def _fork(self) -> tuple[int, socket.socket] | None:
        """The id of a new fork, and the socket on which it waits for its run; None without a
        server.

        Raises ForkServerError.
        """
        requests = self._requests or self._start()
        ours, theirs = socket.socketpair()
        ours.settimeout(START_SECONDS)
        try:
            with theirs:
                socket.send_fds(requests, [b"f"], [theirs.fileno()])
            pid = ours.recv(32)
        except TimeoutError:
            ours.close()
            self.stop()
            raise ForkServerError(f"No process was forked in {START_SECONDS:.0f} s.") from None
        except OSError:  # it ended before the request
            pid = b""
        if pid:
            return int(pid), ours
        ours.close()
        self.stop()
        return None

    def _start(self) -> socket.socket:
        self._requests, theirs = socket.socketpair()
        with theirs:
            self._process = subprocess.Popen(  # nosec B603
                [sys.executable, "-m", __name__, str(theirs.fileno())],
                stdin=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                text=True,
            )
        assert self._process.stdin is not None
        with suppress(BrokenPipeError), self._process.stdin as stdin:
            stdin.write(self._arguments)
        return self._requests

    def stop(self) -> None:
        """End the server; the runs that it started continue."""
        if self._requests:
            self._requests.close()
        if self._process:
            self._process.kill()
            with suppress(subprocess.TimeoutExpired):  # not even killable: leave it to the system
                self._process.wait(STOP_SECONDS)
        self._requests = self._process = None


def main() -> None:
    """The server itself: fork at each request, until the daemon is gone or code has changed."""
    started = time.time()
    # Ctrl-C reaches all processes of a terminal: it is meant for the runs, which Dagster ends.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    requests = socket.socket(fileno=int(sys.argv[1]))
    origin, location, instance = json.load(sys.stdin)
    _import_all(origin, location, instance)
    files = _stamps()
    if threading.active_count() > 1 or max(files.values()) > started:
        why = "Runs are not forked: their code starts threads, or was changed just now."
        print(why, file=sys.stderr, flush=True)
        requests.close()  # before the threads end, for which Python waits
        return
    signal.signal(signal.SIGCHLD, _bury)
    gc.collect()
    gc.freeze()  # the garbage collector of each run skips what all share, so it is not copied
    while True:
        _, descriptors, _, _ = socket.recv_fds(requests, 1, 1)
        if not descriptors or _stamps() != files:
            return
        if _fork() == 0:
            requests.close()
            _become_run(socket.socket(fileno=descriptors[0]))
            return
        os.close(descriptors[0])


def _import_all(origin: str, location: str, instance: str) -> None:
    """Import and resolve the code location as its code server does, plus what its runs import."""
    with dg.DagsterInstance.from_ref(deserialize_value(instance, InstanceRef)) as dagster:
        dagster.inject_env_vars(location)
    for module in OF_RUNS:
        importlib.import_module(module)
    from totesys_dagster.dagster_insides import recon_repository_from_origin

    repository = recon_repository_from_origin(deserialize_value(origin, RepositoryPythonOrigin))
    definition = repository.get_definition()
    # Here once instead of in each run; the code above says what is provided.
    settings.provide_all()
    for job in definition.get_all_jobs():
        repository.get_reconstructable_job(job.name).get_definition()


def _stamps() -> dict[Path, float]:
    """The modification time of each file that the fork server has read, except other packages'."""
    installed = tuple(sysconfig.get_path(name) for name in ("stdlib", "purelib", "platlib"))
    files = {
        Path(file)
        for name, module in list(sys.modules.items())
        if (file := getattr(module, "__file__", None))
        and (name.startswith("totesys_dagster") or not file.startswith(installed))
    }
    return {file: file.stat().st_mtime if file.exists() else 0.0 for file in (*files, Path(".env"))}


def _bury(*_: object) -> None:
    """Reap the runs that have ended, so that their processor time is accounted for."""
    with suppress(ChildProcessError):
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass


def _fork() -> int:
    with warnings.catch_warnings():
        # Python warns about the threads that numpy's and pyarrow's libraries keep. OpenBLAS and
        # jemalloc end or renew theirs at a fork; a thread of Python's own ends the server above.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _become_run(launcher: socket.socket) -> None:
    """Execute the run that the launcher names, as `dagster api execute_run` does."""
    from totesys_dagster.dagster_insides import api_cli

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with launcher, launcher.makefile("rb") as orders:
        launcher.sendall(str(os.getpid()).encode())
        run = orders.read().decode()
    if run:
        api_cli.main(["execute_run", run], standalone_mode=False)


if __name__ == "__main__":
    main()
