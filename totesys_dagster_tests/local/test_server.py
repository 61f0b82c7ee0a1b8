"""The embedded server: how it starts, who may enter, and that it never outlives its users."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from totesys_dagster import settings
from totesys_dagster.local import postmaster, programs
from totesys_dagster.local import server as postgres
from totesys_dagster.local.programs import EmbeddedServerError

USER = """
import sys, pathlib
from totesys_dagster.local import server as postgres
server = postgres.start(pathlib.Path(sys.argv[1]), ("anna",))
print(server.dsn("postgres", "postgres"), flush=True)
sys.stdin.read()
"""


class User:
    """A process that uses the embedded server until its standard input is closed."""

    def __init__(self, home: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", USER, str(home)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert self.process.stdout is not None
        self.dsn = self.process.stdout.readline().strip()
        assert self.dsn, "the embedded server did not start"

    def leave(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        self.process.wait(30)

    def die(self) -> None:
        self.process.kill()
        self.process.wait(30)


def data_of(home: Path) -> Path:
    import json

    return Path(json.loads((home / "server.json").read_text())["directory"]) / "data"


def wait_until(condition: Callable[[], bool], seconds: float = 20) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.05)


def stopped(home: Path) -> Callable[[], bool]:
    return lambda: postmaster.find(data_of(home)) is None


def answer(dsn: str) -> int:
    with psycopg.connect(dsn) as connection:
        row = connection.execute("SELECT 42").fetchone()
    assert row is not None
    return int(row[0])


@pytest.mark.long
def test_server_stops_when_its_last_user_leaves(tmp_path: Path) -> None:
    first, second = User(tmp_path), User(tmp_path)
    assert first.dsn == second.dsn

    first.leave()
    assert answer(second.dsn) == 42
    second.leave()
    wait_until(stopped(tmp_path))


@pytest.mark.long
def test_server_stops_when_its_user_is_killed(tmp_path: Path) -> None:
    User(tmp_path).die()

    wait_until(stopped(tmp_path))


def test_rows_survive_a_stop_and_a_crash_of_the_server(tmp_path: Path) -> None:
    user = User(tmp_path)
    with psycopg.connect(user.dsn) as connection:
        connection.execute("CREATE TABLE kept AS SELECT 7 AS number")
    process = postmaster.find(data_of(tmp_path))
    assert process is not None
    os.kill(process, signal.SIGKILL)
    user.die()

    again = User(tmp_path)
    with psycopg.connect(again.dsn) as connection:
        assert connection.execute("SELECT number FROM kept").fetchone() == (7,)
    again.leave()
    wait_until(stopped(tmp_path))


@pytest.mark.long
def test_orphaned_server_is_adopted(tmp_path: Path) -> None:
    user = User(tmp_path)
    subprocess.run(["pkill", "-KILL", "-f", f"supervisor.*{tmp_path}"], check=True)
    user.die()
    assert answer(user.dsn) == 42

    other = User(tmp_path)
    assert other.dsn == user.dsn
    other.leave()
    wait_until(stopped(tmp_path))


@pytest.mark.long
def test_passwords_are_asked_for_and_kept_private(tmp_path: Path) -> None:
    user = User(tmp_path)
    parts = psycopg.conninfo.conninfo_to_dict(user.dsn)

    assert stat.S_IMODE((tmp_path / "server.json").stat().st_mode) == 0o600
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(**{**parts, "password": "wrong"})
    with psycopg.connect(user.dsn) as connection:
        assert connection.execute("SHOW listen_addresses").fetchone() == ("127.0.0.1",)
        assert connection.execute("SHOW password_encryption").fetchone() == ("scram-sha-256",)
    user.leave()
    wait_until(stopped(tmp_path))


@pytest.mark.long
def test_half_made_cluster_is_made_anew() -> None:
    """A killed first start leaves a directory under another name, in a home that the server's
    account can enter."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", ignore_cleanup_errors=True) as directory:
        home = Path(directory)
        (home / "postgres" / "data.new").mkdir(parents=True)
        (home / "postgres" / "data.new" / "PG_VERSION").write_text("18")
        for place in (home, home / "postgres"):
            place.chmod(0o755)

        user = User(home)
        assert answer(user.dsn) == 42
        user.leave()
        wait_until(stopped(home))


@pytest.mark.long
def test_another_port_is_taken_when_that_of_last_time_is_not_free(tmp_path: Path) -> None:
    import socket

    first = User(tmp_path)
    port = int(psycopg.conninfo.conninfo_to_dict(first.dsn)["port"] or 0)
    first.leave()
    wait_until(stopped(tmp_path))
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", port))
        taken.listen()

        second = User(tmp_path)
        assert psycopg.conninfo.conninfo_to_dict(second.dsn)["port"] != str(port)
        assert answer(second.dsn) == 42
        second.leave()
    wait_until(stopped(tmp_path))


@pytest.mark.long
def test_server_is_removed_with_all_its_files(tmp_path: Path) -> None:
    home = tmp_path / "home"
    user = User(home)
    data = data_of(home)
    user.die()

    postgres.remove(home)
    assert not home.exists()
    assert not data.parent.exists()
    postgres.remove(home)


@pytest.mark.long
def test_files_of_others_in_its_directory_are_not_removed(tmp_path: Path) -> None:
    """TOTESYS_HOME may be a directory that somebody uses for more."""
    user = User(tmp_path)
    user.die()
    (tmp_path / "letter.txt").write_text("mine")
    for place in ("lake/ingestion", "lake_0123abcd/processed", "lake/notes", "lakeside/ingestion"):
        (tmp_path / place).mkdir(parents=True)
    postgres.remove(tmp_path)

    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*")}
    assert left == {"letter.txt", "lake", "lake/notes", "lakeside", "lakeside/ingestion"}


@pytest.mark.long
def test_server_in_use_is_not_removed(tmp_path: Path) -> None:
    user = User(tmp_path)

    with pytest.raises(EmbeddedServerError, match="is in use: stop what uses it"):
        postgres.remove(tmp_path)
    assert answer(user.dsn) == 42
    user.leave()
    wait_until(stopped(tmp_path))


@pytest.mark.long
def test_files_of_a_removed_home_are_removed_but_not_those_of_a_renamed_one(
    tmp_path: Path,
) -> None:
    removed, renamed = tmp_path / "removed", tmp_path / "renamed"
    users = [User(removed), User(renamed)]
    places = [data_of(removed), data_of(renamed)]
    shutil.rmtree(removed)
    renamed.rename(tmp_path / "elsewhere")

    wait_until(lambda: all(postmaster.find(place) is None for place in places))
    wait_until(lambda: not places[0].exists())
    if renamed not in places[1].parents:
        assert places[1].exists()
    for user in users:
        user.die()


def test_missing_server_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv(settings.POSTGRES_BIN, str(tmp_path))

    with pytest.raises(EmbeddedServerError, match=f"TOTESYS_POSTGRES_BIN is {tmp_path}, where"):
        programs.find_binaries()
    monkeypatch.delenv(settings.POSTGRES_BIN)
    monkeypatch.setattr(programs, "_in_wheel", lambda _: [])
    monkeypatch.setattr(programs.shutil, "which", lambda _: None)
    monkeypatch.setattr(programs.Path, "glob", lambda *_: [])
    with pytest.raises(EmbeddedServerError, match="There is no PostgreSQL server for the embedded"):
        programs.find_binaries()


@pytest.mark.parametrize("place", ["a file/home", "a file", "/proc/home"])
def test_home_that_cannot_be_made_is_one_sentence(place: str, tmp_path: Path) -> None:
    (tmp_path / "a file").touch()

    with pytest.raises(EmbeddedServerError, match=r"cannot hold .* let TOTESYS_HOME name a direct"):
        postgres.start(tmp_path / place)
