"""What happens to the embedded server: crashes, stopped processes, lost files, ids of others. Every
later command ends, and nothing but the server itself is ever sent a signal."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from totesys_dagster import processes
from totesys_dagster.local import launch, locks, postmaster, server
from totesys_dagster.local import state as state_file
from totesys_dagster.local.programs import EmbeddedServerError
from totesys_dagster_tests.local.test_server import User, answer, data_of, stopped, wait_until


@pytest.fixture
def users(tmp_path: Path) -> Iterator[list[User]]:
    """Users of the server of a home, who have left when the test ends."""
    found: list[User] = []
    yield found
    _leave(tmp_path)
    for user in found:
        user.die()
    if found:
        wait_until(stopped(tmp_path))


def _leave(home: Path) -> None:
    """Let this process be no user any more."""
    if (in_use := server._in_use.pop(home, None)) is not None:
        os.close(in_use)


def left(home: Path, *users: User) -> None:
    for user in users:
        user.leave()
    wait_until(stopped(home))
    wait_until(lambda: launch._is_free(home / "supervisor.lock"))


@pytest.fixture
def bystander() -> Iterator[subprocess.Popen[bytes]]:
    """A process of somebody's that no server is."""
    process = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(100)"])
    yield process
    assert process.poll() is None, "the bystander was killed"
    process.kill()
    process.wait()


@pytest.mark.long
def test_server_that_recovers_from_a_crash_is_waited_for(tmp_path: Path, users: list[User]) -> None:
    """Its postmaster lives, and answers when the recovery has ended."""
    users.append(User(tmp_path))
    data = data_of(tmp_path)
    with psycopg.connect(users[0].dsn) as connection:
        backend = connection.info.backend_pid
        os.kill(backend, signal.SIGKILL)
        startup = _startup_process(data)
        os.kill(startup, signal.SIGSTOP)
        threading.Timer(3, os.kill, [startup, signal.SIGCONT]).start()
    begun = time.monotonic()
    users.append(User(tmp_path))

    assert 2 < time.monotonic() - begun < 30
    assert users[1].dsn == users[0].dsn
    assert answer(users[1].dsn) == 42


def _startup_process(data: Path) -> int:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for pid in postmaster._of(data):
            if " ".join(processes.command(pid)).startswith("postgres: startup"):
                return pid
    raise AssertionError("no recovery began")


@pytest.mark.long
@pytest.mark.parametrize(
    "content",
    [
        "{pid}\n/nowhere\n0\n1\n\n*\n\nready",
        pytest.param("", marks=pytest.mark.long),
        pytest.param("no number\n", marks=pytest.mark.long),
    ],
)
def test_id_of_another_process_is_not_taken_for_the_server(
    content: str, tmp_path: Path, users: list[User], bystander: subprocess.Popen[bytes]
) -> None:
    """As after a restart of a machine or of a container; `bystander` is left alone."""
    first = User(tmp_path)
    left(tmp_path, first)
    data = data_of(tmp_path)
    (data / "postmaster.pid").write_text(content.format(pid=bystander.pid))

    begun = time.monotonic()
    users.append(User(tmp_path))
    assert time.monotonic() - begun < 20
    assert answer(users[0].dsn) == 42


@pytest.mark.long
@pytest.mark.parametrize(
    "content",
    [
        "",
        pytest.param(None, marks=pytest.mark.long),
        pytest.param("{", marks=pytest.mark.long),
        pytest.param("[]", marks=pytest.mark.long),
        pytest.param('{"passwords": {"postgres": 5}}', marks=pytest.mark.long),
    ],
)
def test_lost_passwords_are_made_anew(
    content: str | None, tmp_path: Path, users: list[User]
) -> None:
    first = User(tmp_path)
    with psycopg.connect(first.dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    left(tmp_path, first)
    _spoil(tmp_path / "server.json", content)

    users.append(User(tmp_path))
    with psycopg.connect(users[0].dsn) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)


def _spoil(path: Path, content: str | None) -> None:
    path.unlink()
    if content is not None:
        path.write_text(content)


@pytest.mark.long
def test_wrong_passwords_are_made_anew(tmp_path: Path, users: list[User]) -> None:
    left(tmp_path, User(tmp_path))
    found = json.loads((tmp_path / "server.json").read_text())
    found["passwords"] = dict.fromkeys(found["passwords"], "wrong")
    (tmp_path / "server.json").write_text(json.dumps(found))

    users.append(User(tmp_path))
    assert answer(users[0].dsn) == 42


@pytest.mark.long
def test_passwords_that_are_lost_while_the_server_is_used_are_one_sentence(
    tmp_path: Path, users: list[User]
) -> None:
    users.append(User(tmp_path))
    kept = (tmp_path / "server.json").read_text()
    (tmp_path / "server.json").write_text("")
    with pytest.raises(EmbeddedServerError, match="is in use: stop what uses it, then try again"):
        server.start(tmp_path)

    (tmp_path / "server.json").write_text(kept)


@pytest.mark.long
def test_removal_finds_what_a_lost_file_named(tmp_path: Path) -> None:
    home = tmp_path / "home"
    left(home, User(home))
    place = data_of(home).parent
    (home / "server.json").unlink()

    server.remove(home)
    assert not home.exists()
    assert not place.exists()


def test_removal_believes_no_place_but_its_own(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    (precious / "data").mkdir(parents=True)
    home = tmp_path / "home"
    home.mkdir()
    (home / "server.json").write_text(json.dumps({"directory": str(precious), "passwords": {}}))

    server.remove(home)
    assert (precious / "data").exists()


@pytest.mark.long
def test_another_port_in_the_file_is_that_of_the_running_server(
    tmp_path: Path, users: list[User]
) -> None:
    users.append(User(tmp_path))
    found = json.loads((tmp_path / "server.json").read_text())
    (tmp_path / "server.json").write_text(json.dumps({**found, "port": 1}))

    users.append(User(tmp_path))
    assert users[1].dsn == users[0].dsn


@pytest.mark.long
def test_stopped_server_is_one_sentence(
    tmp_path: Path, users: list[User], monkeypatch: pytest.MonkeyPatch
) -> None:
    users.append(User(tmp_path))
    pid = postmaster.find(data_of(tmp_path))
    assert pid is not None
    monkeypatch.setattr(launch, "STOPPED_SECONDS", 1)
    os.kill(pid, signal.SIGSTOP)
    try:
        with pytest.raises(EmbeddedServerError, match=rf"is stopped .* with `kill -CONT {pid}`"):
            server.start(tmp_path)
    finally:
        os.kill(pid, signal.SIGCONT)


@pytest.mark.long
def test_stopped_server_is_stopped_for_good_when_its_last_user_leaves(tmp_path: Path) -> None:
    user = User(tmp_path)
    pid = postmaster.find(data_of(tmp_path))
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    user.leave()

    wait_until(stopped(tmp_path))


@pytest.mark.long
def test_crashed_server_whose_backend_is_stopped_starts_again(
    tmp_path: Path, users: list[User]
) -> None:
    """The backend does not notice that its server has gone, and holds the memory of it."""
    users.append(User(tmp_path))
    pid = postmaster.find(data_of(tmp_path))
    assert pid is not None
    connection = psycopg.connect(users[0].dsn)
    os.kill(connection.info.backend_pid, signal.SIGSTOP)
    os.kill(pid, signal.SIGKILL)

    users.append(User(tmp_path))
    assert answer(users[1].dsn) == 42
    connection.close()


def test_lock_that_a_stopped_process_holds_is_named(tmp_path: Path) -> None:
    code = (
        "import sys, time, pathlib; from totesys_dagster.local import locks\n"
        "lock = locks.acquire(pathlib.Path(sys.argv[1])); print(flush=True); time.sleep(100)"
    )
    path = tmp_path / "lock"
    holder = subprocess.Popen([sys.executable, "-c", code, str(path)], stdout=subprocess.PIPE)
    assert holder.stdout is not None
    holder.stdout.readline()
    os.kill(holder.pid, signal.SIGSTOP)
    try:
        with pytest.raises(
            locks.LockHeldError, match=rf"process {holder.pid} \(.*\), which is stopped"
        ):
            locks.acquire_within(path, 0.1, "the start")
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.long
def test_start_that_fails_says_why_at_once(tmp_path: Path) -> None:
    left(tmp_path, User(tmp_path))
    (data_of(tmp_path) / "postgresql.auto.conf").write_text("no_such_setting = 1\n")

    begun = time.monotonic()
    with pytest.raises(
        EmbeddedServerError, match=r"does not start \(FATAL: .* contains errors\): see .*; its data"
    ):
        server.start(tmp_path)
    assert time.monotonic() - begun < 10
    _leave(tmp_path)


@pytest.mark.long
def test_mute_process_on_the_port_is_left_alone(tmp_path: Path, users: list[User]) -> None:
    first = User(tmp_path)
    left(tmp_path, first)
    port = json.loads((tmp_path / "server.json").read_text())["port"]
    with socket.socket() as mute:
        mute.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        mute.bind(("127.0.0.1", port))
        mute.listen()

        users.append(User(tmp_path))
    assert users[0].dsn != first.dsn


def test_files_that_are_gone_are_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "server.json").write_text(
        json.dumps({"directory": "/var/tmp/totesys-gone", "port": 1, "passwords": {}})
    )
    with pytest.raises(EmbeddedServerError, match=r"totesys-gone, .* is gone: restore it, or"):
        server.start(tmp_path)


def test_state_is_replaced_in_full_or_not_at_all(tmp_path: Path) -> None:
    state = state_file.State(tmp_path, 1, {"postgres": "secret"})
    state_file.write(tmp_path, state)

    assert [path.name for path in tmp_path.iterdir()] == ["server.json"]
    assert (tmp_path / "server.json").stat().st_mode & 0o077 == 0
