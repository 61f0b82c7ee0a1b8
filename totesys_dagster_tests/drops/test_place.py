"""What lies in a directory or bucket, and reading the very version that was listed."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable
from pathlib import Path

import boto3
import pytest

from totesys_dagster import settings
from totesys_dagster.drops.place import Drops
from totesys_dagster.errors import DropsError, SettingError
from totesys_dagster.settings import DROPS_URL
from totesys_dagster_tests.drops.conftest import LONG_AGO
from totesys_dagster_tests.object_store import ObjectStore

_numbers = itertools.count(1)

# Writes a file of the location `in`, by name.
Write = Callable[[str, bytes], None]


@pytest.fixture
def directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    monkeypatch.setenv(DROPS_URL, str(tmp_path / "drops"))
    (tmp_path / "drops").mkdir()
    moments = itertools.count(1)

    def write(name: str, body: bytes) -> None:
        path = tmp_path / "drops" / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(body)
        os.utime(path, (LONG_AGO + next(moments),) * 2)

    return write


@pytest.fixture
def bucket(s3: ObjectStore, monkeypatch: pytest.MonkeyPatch) -> Write:
    prefix = f"drops/{next(_numbers)}"
    monkeypatch.setenv(DROPS_URL, f"s3://{s3.bucket}/{prefix}")
    client = boto3.client("s3")

    def write(name: str, body: bytes) -> None:
        client.put_object(Bucket=s3.bucket, Key=f"{prefix}/in/{name}", Body=body)

    return write


@pytest.fixture(params=["directory", "bucket"])
def write(request: pytest.FixtureRequest) -> Write:
    made: Write = request.getfixturevalue(request.param)
    return made


def test_names_are_taken_as_they_are(write: Write) -> None:
    names = ["a b.csv", "a#1.csv", "ü.csv", "a?b=c&d.csv", "100%.csv", "sub/folder/x.csv", "+.csv"]
    for name in names:
        write(name, name.encode())
    drops = Drops()
    listed = drops.listed("in")

    assert sorted(drop.name for drop in listed) == sorted(names)
    for drop in listed:
        read = drops.read(drop)
        assert read is not None
        assert read.body == drop.name.encode()


def test_name_with_a_line_break_is_taken(directory: Write) -> None:
    directory("a\nb.csv", b"x")
    assert [drop.name for drop in Drops().listed("in")] == ["a\nb.csv"]


def test_name_that_is_no_text_is_taken(directory: Write, tmp_path: Path) -> None:
    directory("a.csv", b"x")
    path = os.fsencode(tmp_path / "drops" / "in") + b"/\xff.csv"
    os.rename(tmp_path / "drops" / "in" / "a.csv", path)  # noqa: PTH104

    [drop] = Drops().listed("in")
    assert drop.name == "\\xff.csv"
    assert Drops().read(drop) is not None


@pytest.mark.parametrize("name", [".a.csv", "_tmp/a.csv", "a.csv.part", "a.csv.tmp", "~$a.xlsx"])
def test_what_tools_write_on_the_way_is_no_drop(write: Write, name: str) -> None:
    write(name, b"x")
    assert Drops().listed("in") == []


def test_another_location_is_none_of_ours(write: Write) -> None:
    write("a.csv", b"x")
    assert Drops().listed("i") == []
    assert Drops().listed("elsewhere") == []


def test_version_that_was_replaced_since_is_not_read(write: Write) -> None:
    write("a.csv", b"old")
    [drop] = Drops().listed("in")
    write("a.csv", b"new")

    assert Drops().read(drop) is None
    [newer] = Drops().listed("in")
    assert newer.identity != drop.identity
    read = Drops().read(newer)
    assert read is not None
    assert read.body == b"new"


def test_version_that_is_gone_is_not_read(directory: Write, tmp_path: Path) -> None:
    directory("a.csv", b"old")
    [drop] = Drops().listed("in")
    (tmp_path / "drops" / "in" / "a.csv").unlink()

    assert Drops().read(drop) is None


def test_file_that_grows_while_it_is_read_is_not_taken(directory: Write, tmp_path: Path) -> None:
    directory("a.csv", b"one\n")
    [drop] = Drops().listed("in")
    with (tmp_path / "drops" / "in" / "a.csv").open("ab") as file:
        file.write(b"two\n")

    assert Drops().read(drop) is None


def test_file_is_taken_when_it_was_left_alone(directory: Write, tmp_path: Path) -> None:
    directory("a.csv", b"x")
    path = tmp_path / "drops" / "in" / "a.csv"
    path.touch()
    assert Drops().listed("in") == []

    os.utime(path, (time.time() + 3600,) * 2)  # a clock that is ahead holds up nothing
    assert [drop.name for drop in Drops().listed("in")] == ["a.csv"]


def test_links_and_pipes_are_no_drops(directory: Write, tmp_path: Path) -> None:
    directory("a.csv", b"x")
    secret = tmp_path / "secret.csv"
    secret.write_text("secret")
    os.utime(secret, (LONG_AGO,) * 2)
    folder = tmp_path / "drops" / "in"
    (folder / "link.csv").symlink_to(secret)
    (folder / "linked").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.csv")
    os.utime(folder / "pipe.csv", (LONG_AGO,) * 2)

    [drop] = Drops().listed("in")
    (folder / "a.csv").unlink()
    (folder / "a.csv").symlink_to(secret)
    with pytest.raises(DropsError):
        Drops().read(drop)


def test_drops_come_in_the_order_in_which_they_were_written(directory: Write) -> None:
    for name in ("z.csv", "a.csv", "m.csv"):
        directory(name, b"x")
    assert [drop.name for drop in Drops().listed("in")] == ["z.csv", "a.csv", "m.csv"]


def test_place_that_is_not_there_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, s3: ObjectStore
) -> None:
    monkeypatch.setenv(DROPS_URL, str(tmp_path / "missing"))
    with pytest.raises(
        DropsError, match=r"TOTESYS_DROPS_URL .* there is no such directory; make it"
    ):
        Drops().listed("in")
    monkeypatch.setenv(DROPS_URL, "s3://no-such-bucket/drops")
    with pytest.raises(DropsError, match="has no bucket no-such-bucket"):
        Drops().listed("in")
    assert s3


def test_default_place_may_be_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.HOME, str(tmp_path))
    assert Drops().listed("in") == []


@pytest.mark.parametrize("place", ["{zone}", "{zone}/drops", "{above}"])
def test_drops_lie_apart_from_the_lake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    monkeypatch.setenv(settings.INGESTION_URL, str(tmp_path / "zone"))
    monkeypatch.setenv(DROPS_URL, place.format(zone=tmp_path / "zone", above=tmp_path))
    with pytest.raises(SettingError, match="are the same place, or one lies within the other"):
        Drops()


def test_place_that_is_none_is_refused_without_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(DROPS_URL, "ftp://user:secret@host/drops")
    with pytest.raises(SettingError, match="neither a directory nor a place in a bucket") as error:
        Drops()
    assert "secret" not in str(error.value)
