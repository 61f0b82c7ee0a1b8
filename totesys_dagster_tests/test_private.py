"""What the platform writes is readable by its user alone, whatever the umask."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from totesys_dagster import private
from totesys_dagster.lake.backend import Created
from totesys_dagster.lake.directory import FOLDERS, Directory
from totesys_dagster.local import closing
from totesys_dagster.local import server as postgres
from totesys_dagster.local.programs import find_account
from totesys_dagster.local.storage import SqliteStorage
from totesys_dagster_tests.conftest import Platform

PROJECT = Path(__file__).parent.parent
ROOT = os.geteuid() == 0


@pytest.fixture(params=[0o000, 0o022, 0o027], ids=oct)
def _umask(request: pytest.FixtureRequest) -> Iterator[None]:
    before = os.umask(request.param)
    yield
    os.umask(before)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_to_others(top: Path) -> dict[str, str]:
    """What under a directory others have rights to, but for links and what lies in closed ones."""
    found = {}
    for directory, names, files in os.walk(top):
        for path in (Path(directory, name) for name in [*names, *files]):
            if not path.is_symlink() and mode(path) & private.OTHERS:
                found[str(path.relative_to(top))] = oct(mode(path))
        names[:] = [name for name in names if mode(Path(directory, name)) & private.OTHERS]
    return found


# --- the lake ---------------------------------------------------------------------------------


@pytest.mark.usefixtures("_umask")
def test_objects_are_their_owners_alone(tmp_path: Path) -> None:
    lake = Directory(str(tmp_path / "new" / "zone"))
    assert lake.create("rows/design/batch=1/part", b"x") is Created.YES
    assert lake.create("top", b"x") is Created.YES
    assert mode(tmp_path / "new") == mode(tmp_path / "new" / "zone") == 0o700
    assert open_to_others(tmp_path) == {}
    assert mode(tmp_path / "new/zone/rows/design/batch=1/part") == 0o600


@pytest.mark.usefixtures("_umask")
def test_directory_of_ones_own_stays_and_what_is_in_it_is_closed(tmp_path: Path) -> None:
    zone = tmp_path / "zone"
    zone.mkdir()
    zone.chmod(0o755)
    Directory(str(zone)).create("rows/part", b"x")
    assert mode(zone) == 0o755
    assert (mode(zone / "rows"), mode(zone / "rows/part")) == (0o700, 0o600)


@pytest.mark.usefixtures("_umask")
@pytest.mark.parametrize(("shared", "folder", "file"), [(0o2750, 0o2750, 0o640),
    (0o2770, 0o2770, 0o660), (0o2775, 0o2770, 0o660), (0o2700, 0o700, 0o600)])  # fmt: skip
def test_directory_that_is_shared_with_a_group_stays_shared(
    tmp_path: Path, shared: int, folder: int, file: int
) -> None:
    zone = tmp_path / "zone"
    zone.mkdir()
    zone.chmod(shared)
    Directory(str(zone)).create("rows/design/part", b"x")
    assert mode(zone) == shared
    assert mode(zone / "rows") & 0o2777 & ~(0 if folder & 0o2000 else 0o2000) == folder
    assert mode(zone / "rows/design") & 0o777 == folder & 0o777
    assert mode(zone / "rows/design/part") == file


def test_what_an_earlier_release_left_open_is_closed(tmp_path: Path) -> None:
    zone = tmp_path / "zone"
    for folder in ("rows/design", "manifests", "notes of mine"):
        (zone / folder).mkdir(parents=True)
        (zone / folder).chmod(0o755)
    (zone / "rows").chmod(0o755)
    assert Directory(str(zone)).address
    assert (mode(zone / "rows"), mode(zone / "manifests")) == (0o700, 0o700)
    assert mode(zone / "notes of mine") == 0o755


def test_folders_are_all_that_a_lake_has(platform: Platform) -> None:
    platform.first()
    for zone in (platform.ingestion, platform.processed):
        assert {key.split("/")[0] for key in zone.list("")} <= {*FOLDERS}


# --- the embedded default ---------------------------------------------------------------------


def ours(name: str) -> bool:
    return postgres._is_ours(name)


def test_home_of_an_earlier_release_is_closed(tmp_path: Path) -> None:
    for folder in ("lake", "lake_0123abcd", "postgres"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder).chmod(0o755)
    for file in ("postgres.log", "server.json"):
        (tmp_path / file).touch()
        (tmp_path / file).chmod(0o644)
    tmp_path.chmod(0o755)
    closing.close_home(tmp_path, None, ours)
    assert mode(tmp_path) == 0o700
    assert open_to_others(tmp_path) == {}


def test_home_that_holds_other_files_stays_open(tmp_path: Path) -> None:
    """`TOTESYS_HOME=.`, or even /tmp: it is not ours to close."""
    tmp_path.chmod(0o755)
    (tmp_path / "notes of mine").touch()
    (tmp_path / "notes of mine").chmod(0o644)
    (tmp_path / "lake").mkdir()
    (tmp_path / "lake").chmod(0o755)
    closing.close_home(tmp_path, None, ours)
    assert mode(tmp_path) == 0o755
    assert open_to_others(tmp_path) == {"notes of mine": "0o644"}


def test_link_is_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    target.chmod(0o755)
    (tmp_path / "lake").symlink_to(target)
    closing.close_home(tmp_path, None, ours)
    assert mode(target) == 0o755


@pytest.mark.skipif(not ROOT, reason="the server runs as this user")
def test_servers_user_passes_through_and_nobody_else(tmp_path: Path) -> None:
    account = find_account()
    closing.close_home(tmp_path, account.group, ours)
    assert (mode(tmp_path), tmp_path.stat().st_gid) == (0o710, account.group)
    assert tmp_path.stat().st_uid == 0


@pytest.mark.usefixtures("_umask")
def test_history_of_dagster_is_its_owners_alone(tmp_path: Path) -> None:
    home = tmp_path / ".dagster"
    (home / "logs").mkdir(parents=True)
    home.chmod(0o755)
    (home / "logs" / "an old one").touch()
    (home / "logs" / "an old one").chmod(0o644)
    storage = SqliteStorage(str(home / "storage"))
    storage.dispose()
    assert mode(home) == 0o700
    assert mode(home / "logs" / "an old one") == 0o600
    assert open_to_others(home) == {}
    assert os.umask(private.OTHERS) == private.OTHERS, "other files of this process are not closed"


@pytest.mark.long
@pytest.mark.parametrize("umask", [0o000, 0o022, 0o077], ids=oct)
def test_all_that_a_run_writes_is_its_owners_alone(tmp_path: Path, umask: int) -> None:
    for name in ("dagster.yaml", "workspace.yaml"):
        shutil.copy(PROJECT / name, tmp_path)
    tmp_path.chmod(0o755)
    before = {*tmp_path.iterdir()}
    for _ in range(2):  # the second begins with what a restored backup may be
        done = subprocess.run(
            [sys.executable, "-m", "totesys_dagster.cli", "run"],
            cwd=tmp_path,
            umask=umask,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        made = {*tmp_path.iterdir()} - before
        assert {path.name for path in made} == {".dagster", ".totesys"}
        allowed = {"postgres": "0o710"} if ROOT else {}
        for path in made:
            assert not mode(path) & 0o067, (path, oct(mode(path)))
            open_ = {name: m for name, m in open_to_others(path).items() if "programs" not in name}
            assert open_ in ({}, allowed), open_
        for directory in (".dagster", ".totesys", ".totesys/lake", ".totesys/postgres"):
            if (tmp_path / directory).exists():
                (tmp_path / directory).chmod(0o755)
        log = tmp_path / ".totesys" / "postgres.log"
        log.chmod(0o644)
    subprocess.run([sys.executable, "-m", "totesys_dagster.cli", "clean"], cwd=tmp_path, check=True)
