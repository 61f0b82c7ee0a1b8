"""Runs that are forked: from which code, in which process, and ended how."""

from __future__ import annotations

import dataclasses
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.code_pointer import ModuleCodePointer
from dagster._core.errors import DagsterInvariantViolationError
from dagster._core.launcher import LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin, RepositoryPythonOrigin
from dagster._core.remote_origin import (
    GrpcServerCodeLocationOrigin,
    ManagedGrpcPythonEnvCodeLocationOrigin,
    RemoteJobOrigin,
    RemoteRepositoryOrigin,
)
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._grpc.types import ExecuteRunArgs
from dagster._serdes import serialize_value

from totesys_dagster.launching import fork_server
from totesys_dagster.launching.fork_server import ForkServer, ForkServerError
from totesys_dagster.launching.launcher import ForkingRunLauncher, WatchedRunLauncher, can_fork
from totesys_dagster.launching.run_process import RunProcess
from totesys_dagster.runs.tags import PROCESS_TAG

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="runs are forked on Linux only")

# The code location of these tests: a job whose step tells its process and a word, and may wait.
SHOP = """
import os, time
from pathlib import Path
import dagster as dg

@dg.op
def tell():
    word = os.environ.get("WORD", "{word}")
    Path("{said}").write_text(f"{{os.getpid()}} {{word}}")
    while Path("{waits}").exists():
        time.sleep(0.05)

@dg.job
def shop():
    tell()

defs = dg.Definitions(jobs=[shop], executor=dg.in_process_executor)
"""


@dg.op
def tell() -> None:
    """Only the name counts: what is executed is in SHOP."""


@dg.job(name="shop")
def shop_job() -> None:
    tell()


@dataclasses.dataclass
class Shop:
    """A Dagster instance, and a code location beside it whose runs are forked."""

    directory: Path
    instance: dg.DagsterInstance
    server: ForkServer

    def write(self, word: str = "hello", more: str = "") -> None:
        """The code of the location; the server is another one when it is changed."""
        text = SHOP.format(word=word, said=self.said, waits=self.waits) + more
        if not self.module.exists() or self.module.read_text() != text:
            self.module.write_text(text)
            # As if it were of a while ago: a change of right now looks like a later one.
            os.utime(self.module, ns=(next_stamp(), next_stamp()))

    @property
    def module(self) -> Path:
        return self.directory / "shop.py"

    @property
    def waits(self) -> Path:
        return self.directory / "waits"

    @property
    def said(self) -> Path:
        return self.directory / "said"

    @property
    def launcher(self) -> ForkingRunLauncher:
        assert isinstance(self.instance.run_launcher, ForkingRunLauncher)
        return self.instance.run_launcher

    def run(self) -> dg.DagsterRun:
        """A run that waits to be started."""
        return self.instance.create_run_for_job(
            shop_job,
            status=dg.DagsterRunStatus.STARTING,
            job_code_origin=JobPythonOrigin("shop", origin(self.directory)),
            remote_job_origin=remote("localhost"),
        )

    def start(self) -> tuple[dg.DagsterRun, int]:
        """A run that was started, and its process."""
        run = self.run()
        assert run.job_code_origin is not None
        noted: list[int] = []
        arguments = ExecuteRunArgs(run.job_code_origin, run.run_id, self.instance.get_ref())
        self.server.start(arguments, noted.append)
        [pid] = noted
        return run, pid

    def ends(self, run: dg.DagsterRun) -> dg.DagsterRunStatus:
        assert soon(lambda: self.now(run).is_finished), self.now(run).status
        return self.now(run).status

    def now(self, run: dg.DagsterRun) -> dg.DagsterRun:
        found = self.instance.get_run_by_id(run.run_id)
        assert found is not None
        return found


def origin(directory: Path) -> RepositoryPythonOrigin:
    pointer = ModuleCodePointer("shop", "defs", str(directory))
    return RepositoryPythonOrigin(sys.executable, pointer)


def remote(host: str | None, socket: str | None = None) -> RemoteJobOrigin:
    server = GrpcServerCodeLocationOrigin(
        host=host or "", port=None if socket else 4000, socket=socket, location_name="shop"
    )
    return RemoteJobOrigin(RemoteRepositoryOrigin(server, "__repository__"), "shop")


stamps = iter(range(1_700_000_000_000_000_000, 1_800_000_000_000_000_000, 1_000_000_000))


def next_stamp() -> int:
    return next(stamps)


def soon(comes_true: object, seconds: float = 30) -> bool:
    assert callable(comes_true)
    deadline = time.monotonic() + seconds
    while not (true := comes_true()) and time.monotonic() < deadline:
        time.sleep(0.05)
    return bool(true)


@pytest.fixture(scope="module")
def open_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shop]:
    directory = tmp_path_factory.mktemp("shop")
    home = directory / "home"
    home.mkdir()
    launcher = {"module": ForkingRunLauncher.__module__, "class": ForkingRunLauncher.__name__}
    (home / "dagster.yaml").write_text(f"run_launcher: {launcher}\ntelemetry: {{enabled: false}}\n")
    with dg.DagsterInstance.from_config(str(home)) as instance:
        server = ForkServer(serialize_value(origin(directory)), "shop", instance.get_ref())
        yield Shop(directory, instance, server)
        server.stop()


@pytest.fixture
def shop(open_shop: Shop, monkeypatch: pytest.MonkeyPatch) -> Shop:
    """The shop that all tests of a process share, as a start of its servers takes seconds."""
    monkeypatch.chdir(open_shop.directory)
    open_shop.write()
    for path in (open_shop.said, open_shop.waits):
        path.unlink(missing_ok=True)
    return open_shop


def test_process_of_a_run_is_the_one_that_was_noted(shop: Shop) -> None:
    run, pid = shop.start()

    assert shop.ends(run) is dg.DagsterRunStatus.SUCCESS
    assert shop.said.read_text() == f"{pid} hello"
    assert soon(lambda: not RunProcess.of(pid).is_alive)


@pytest.mark.long
def test_second_run_is_forked_from_the_same_server(shop: Shop) -> None:
    parents = []
    for _ in range(2):
        run, _ = shop.start()
        assert shop.server._process is not None
        parents.append(shop.server._process.pid)
        assert shop.ends(run) is dg.DagsterRunStatus.SUCCESS

    assert parents[0] == parents[1]


@pytest.mark.long
def test_run_after_a_change_of_the_code_runs_the_new_code(shop: Shop) -> None:
    shop.ends(shop.start()[0])
    shop.write("changed")
    run, pid = shop.start()

    assert shop.ends(run) is dg.DagsterRunStatus.SUCCESS
    assert shop.said.read_text() == f"{pid} changed"


@pytest.mark.long
def test_run_after_a_change_of_the_settings_has_the_new_ones(shop: Shop) -> None:
    shop.ends(shop.start()[0])
    before = shop.said.read_text().split()[1]
    env = shop.directory / ".env"
    env.write_text("WORD=set")
    os.utime(env, ns=(next_stamp(), next_stamp()))
    shop.ends(shop.start()[0])
    after = shop.said.read_text().split()[1]
    env.unlink()

    assert (before, after) == ("hello", "set")


def test_change_of_the_platform_is_seen_where_it_is_an_installed_package(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(fork_server.sysconfig, "get_path", lambda _: "/")
    files = fork_server._stamps()

    assert Path(fork_server.__file__) in files
    assert Path(dg.__file__) not in files


@pytest.mark.long
@pytest.mark.parametrize(
    "code",
    [
        "raise RuntimeError('not today')",
        "import threading; threading.Timer(60, print).start()",
    ],
    ids=["cannot be imported", "starts threads"],
)
def test_code_that_cannot_be_forked_is_told(
    shop: Shop, code: str, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_server, "PAUSE_SECONDS", 0.0)
    shop.write(more=code)
    with pytest.raises(ForkServerError, match="ended while starting"):
        shop.start()
    assert not shop.said.exists()
    output = capfd.readouterr().err
    assert "not today" in output or "starts threads" in output

    shop.write("mended")
    run, _ = shop.start()
    assert shop.ends(run) is dg.DagsterRunStatus.SUCCESS


def test_server_that_does_not_answer_is_told_and_given_a_pause(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each run would wait for another one."""
    server = ForkServer(serialize_value(origin(shop.directory)), "shop", shop.instance.get_ref())
    silent = dataclasses.replace(shop, server=server)
    monkeypatch.setattr(fork_server, "START_SECONDS", 0.2)

    with pytest.raises(ForkServerError, match="No process was forked in"):
        silent.start()
    with pytest.raises(ForkServerError, match="a moment ago"):
        silent.start()


def test_fork_whose_daemon_dies_before_it_is_told_its_run_ends(shop: Shop) -> None:
    run = shop.run()
    assert run.job_code_origin is not None
    noted: list[RunProcess] = []

    def die(pid: int) -> None:
        noted.append(RunProcess.of(pid))
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        shop.server.start(ExecuteRunArgs(run.job_code_origin, run.run_id, None), die)
    assert soon(lambda: not noted[0].is_alive)
    assert shop.now(run).status is dg.DagsterRunStatus.STARTING


@pytest.mark.long
def test_run_outlives_the_server(shop: Shop) -> None:
    shop.waits.touch()
    run, _ = shop.start()
    assert soon(shop.said.exists)
    shop.server.stop()
    shop.waits.unlink()

    assert shop.ends(run) is dg.DagsterRunStatus.SUCCESS


def launched(shop: Shop) -> dg.DagsterRun:
    """A run that the launcher has forked, and that is at its step."""
    shop.waits.touch()
    run = shop.run()
    assert shop.launcher._fork(run)
    assert soon(shop.said.exists)
    return shop.now(run)


def test_launcher_knows_the_process_and_ends_it_on_demand(shop: Shop) -> None:
    run = launched(shop)

    assert RunProcess.parse(run.tags[PROCESS_TAG]).pid == int(shop.said.read_text().split()[0])
    assert shop.launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING
    assert shop.launcher.terminate(run.run_id)
    assert shop.ends(run) is dg.DagsterRunStatus.CANCELED
    assert not shop.launcher.terminate(run.run_id)


def test_launcher_tells_a_run_whose_process_was_killed(shop: Shop) -> None:
    run = launched(shop)
    process = RunProcess.parse(run.tags[PROCESS_TAG])
    os.kill(process.pid, 9)

    assert soon(lambda: not process.is_alive)
    assert shop.launcher.check_run_worker_health(run).status is WorkerStatus.NOT_FOUND
    assert not shop.launcher.terminate(run.run_id)
    assert shop.now(run).status is dg.DagsterRunStatus.STARTED


@pytest.mark.long
def test_run_that_cannot_be_forked_is_left_to_the_code_server(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_server, "PAUSE_SECONDS", 0.0)
    shop.write(more="raise RuntimeError")
    run = shop.run()

    assert not shop.launcher._fork(run)
    assert PROCESS_TAG not in shop.now(run).tags
    [event] = shop.instance.all_logs(run.run_id)
    assert event.message.endswith("The code server starts the run.")


def test_run_that_repeats_another_is_not_taken_for_its_process(shop: Shop) -> None:
    """Dagster gives it the other's tags."""
    run = shop.run()
    shop.instance.add_run_tags(run.run_id, {PROCESS_TAG: "somewhere:1:1"})
    with pytest.raises(DagsterInvariantViolationError, match="workspace"):
        WatchedRunLauncher.launch_run(shop.launcher, LaunchRunContext(shop.now(run), None))

    found = shop.launcher.check_run_worker_health(shop.now(run))
    assert (found.status, found.msg) == (WorkerStatus.RUNNING, "nobody executes the run")


@pytest.mark.parametrize(
    ("server", "executable", "forks"),
    [
        (remote(None, socket="/tmp/code"), sys.executable, True),
        (remote("127.0.0.1"), sys.executable, True),
        (remote("code.example.com"), sys.executable, False),
        (remote(None, socket="/tmp/code"), "/usr/bin/python3", False),
    ],
    ids=["socket", "loopback", "another host", "another Python"],
)
def test_run_is_forked_where_its_code_is(
    server: RemoteJobOrigin, executable: str, forks: bool
) -> None:
    code = RepositoryPythonOrigin(executable, ModuleCodePointer("shop", "defs"))
    run = dg.DagsterRun(
        "shop", job_code_origin=JobPythonOrigin("shop", code), remote_job_origin=server
    )

    assert can_fork(run) == forks


def test_run_of_a_code_location_without_a_server_is_not_forked() -> None:
    target = LoadableTargetOrigin(module_name="shop")
    managed = ManagedGrpcPythonEnvCodeLocationOrigin(target, "shop")
    code = RepositoryPythonOrigin(sys.executable, ModuleCodePointer("shop", "defs"))
    run = dg.DagsterRun(
        "shop",
        job_code_origin=JobPythonOrigin("shop", code),
        remote_job_origin=RemoteJobOrigin(RemoteRepositoryOrigin(managed, "r"), "shop"),
    )

    assert not can_fork(run)
    assert not can_fork(dg.DagsterRun("shop"))


def test_process_is_told_from_all_others() -> None:
    here = RunProcess.of(os.getpid())
    child = subprocess.Popen(["true"])
    zombie = RunProcess.of(child.pid)

    assert RunProcess.parse(str(here)) == here
    assert here.is_alive
    assert not RunProcess(here.host, here.pid, "1").is_alive, "its id was another's before"
    assert not here.is_elsewhere
    assert RunProcess("another.example.com", here.pid, here.started).is_elsewhere
    assert soon(lambda: not zombie.is_alive)
    child.wait()
    assert not zombie.is_alive
    assert RunProcess.of(1).is_alive, "another user's, perhaps"
