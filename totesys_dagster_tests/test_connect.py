"""How people reach the warehouse: what they are told, the files for their tools, and no secret."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from totesys_dagster import connect, settings
from totesys_dagster.errors import SettingError, TotesysError
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.test_cli import here, project  # noqa: F401

SECRET = "hun/ter@2"


def as_reader(monkeypatch: pytest.MonkeyPatch, dsn: str) -> connect.Reader:
    monkeypatch.setenv(settings.WAREHOUSE_READER_DSN, dsn)
    return connect.reader()


# What is told


@pytest.mark.parametrize(
    "dsn",
    [
        "host=localhost dbname=warehouse user=reader",
        "host=127.0.0.1 port=6543 dbname='a b&\"c%' user='o\\'k@x' password='hun/ter@2'",
        "host=::1 dbname=warehouse user=reader sslmode=require",
        "hostaddr=127.0.0.1 dbname=warehouse user=reader connect_timeout=3",
        "host=/var/run/postgresql dbname=warehouse user=reader password='hun/ter@2'",
        "host=localhost,127.0.0.1 port=5432,5433 dbname=warehouse user=reader",
    ],
)
def test_uri_leads_where_the_setting_does(monkeypatch: pytest.MonkeyPatch, dsn: str) -> None:
    given = conninfo_to_dict(dsn)
    uri = as_reader(monkeypatch, dsn).uri(with_password="password" in given)
    told = conninfo_to_dict(uri)

    if "host" not in given:
        assert told.pop("host") == given.pop("hostaddr")
    assert told == {"port": "5432", **given}


def test_no_secret_is_told_unless_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    dsn = f"host=localhost dbname=w user=reader password={SECRET} sslpassword={SECRET}"
    found = as_reader(monkeypatch, dsn)
    told = [found.uri(), str(found.pieces()), found.pbids(), found.tds(), repr(found)]

    assert not any("hun" in text for text in told)
    assert found.pieces(with_password=True)["password"] == SECRET
    assert conninfo_to_dict(found.uri(with_password=True))["password"] == SECRET


def test_reader_is_the_loader_by_another_name_and_without_its_secrets(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(
        settings.WAREHOUSE_DSN,
        f"host=localhost port=6543 dbname=w user=loader password={SECRET} sslcert=/c sslkey=/k"
        " options='-c role=owner' sslmode=verify-full sslrootcert=system",
    )
    found = connect.reader()

    assert found.uri() == (
        "postgresql://warehouse_reader@localhost:6543/w?sslmode=verify-full&sslrootcert=system"
    )
    with pytest.raises(SettingError, match="TOTESYS_WAREHOUSE_READER_DSN"):
        found.uri(with_password=True)


def test_what_the_environment_says_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tool of another machine does not have it."""
    monkeypatch.setenv("PGHOST", "localhost")
    monkeypatch.setenv("PGPORT", "6543")
    monkeypatch.setenv("PGSSLMODE", "disable")

    uri = as_reader(monkeypatch, "dbname=w user=reader").uri()
    assert uri == "postgresql://reader@localhost:6543/w?sslmode=disable"


# Files


def test_power_bi_is_told_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    found = as_reader(monkeypatch, "host=::1 port=6543 dbname='a\"b' user=reader")
    [connection] = json.loads(found.pbids())["connections"]

    assert connection["details"] == {
        "protocol": "postgresql",
        "address": {"server": "[::1]:6543", "database": 'a"b'},
    }


def test_tableau_is_told_the_place(monkeypatch: pytest.MonkeyPatch) -> None:
    found = as_reader(
        monkeypatch, "host=localhost dbname='a<b&\"c\\'' user='o\\'k' sslmode=verify-ca"
    )
    tree = ElementTree.fromstring(found.tds().encode())
    place = tree.find(".//named-connection/connection")
    relation = tree.find(".//relation")

    assert place is not None
    assert relation is not None
    assert (place.get("server"), place.get("port"), place.get("dbname"), place.get("username")) == (
        "localhost",
        "5432",
        "a<b&\"c'",
        "o'k",
    )
    assert place.get("sslmode") == "require"
    assert relation.get("table") == "[reports].[revenue_by_month]"


@pytest.mark.parametrize("hosts", ["host=/tmp", "host=localhost,127.0.0.1"])
def test_files_need_one_host(monkeypatch: pytest.MonkeyPatch, hosts: str) -> None:
    found = as_reader(monkeypatch, f"{hosts} dbname=w user=reader")

    for text in (found.pbids, found.tds):
        with pytest.raises(SettingError, match="takes one host: set TOTESYS_WAREHOUSE_READER_DSN"):
            text()


def test_file_that_is_there_stays(tmp_path: Path) -> None:
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_text("mine")

    with pytest.raises(TotesysError, match="already exists"):
        connect.write({new: "1", old: "2"}, force=False)
    assert [path.name for path in tmp_path.iterdir()] == ["old"]
    assert old.read_text() == "mine"
    connect.write({new: "1", old: "2"}, force=True)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {"old": "2", "new": "1"}


def test_link_that_leads_nowhere_is_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")

    with pytest.raises(TotesysError, match="already exists"):
        connect.write({tmp_path / "link": "1"}, force=False)


def test_file_that_comes_meanwhile_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_text("another's")
    monkeypatch.setattr(connect.os.path, "lexists", lambda _: False)

    with pytest.raises(TotesysError, match="already exists"):
        connect.write({path: "1"}, force=False)
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {"file": "another's"}


def test_place_that_cannot_be_written_to_is_named(tmp_path: Path) -> None:
    with pytest.raises(TotesysError, match="No such file or directory"):
        connect.write({tmp_path / "no" / "file": "1"}, force=False)


# The role


@pytest.mark.parametrize(
    ("role", "sentence"),
    [
        ("nobody", "has no role nobody: make it, with its password, by warehouse/sql/roles.sql"),
        (stack.LOADER, "may change the warehouse: set TOTESYS_WAREHOUSE_READER_DSN to one"),
        (SUPERUSER, "may change the warehouse"),
        (stack.EXTRACTOR, "may not read the schema reports: run `totesys migrate`"),
    ],
)
def test_role_that_is_no_reader_is_refused(platform: Platform, role: str, sentence: str) -> None:
    with pytest.raises(SettingError, match=sentence):
        connect.require_reader(platform.warehouse, platform.names, role)


def test_string_that_is_printed_reads_and_cannot_write(
    platform: Platform,
    project: Path,  # noqa: F811
) -> None:
    platform.first()
    dsn = platform.server.dsn(stack.READER, platform.warehouse_database)
    options = ("connect", "--with-password", "--pbids", "a.pbids", "--tds", "a.tds", "--json")
    done = here(project, *options, **{settings.WAREHOUSE_READER_DSN: dsn})
    again = here(project, *options)
    printed = here(project, "connect").stdout.splitlines()
    alone = here(project, "connect", "--uri").stdout.splitlines()

    told = json.loads(done.stdout)
    with psycopg.connect(told["uri"], autocommit=True) as connection:
        query = "SELECT orders FROM reports.revenue_by_currency ORDER BY currency_code"
        assert connection.execute(query).fetchall() == [(1,), (1,)]
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("SELECT FROM warehouse.fact_sales_order")
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            connection.execute("CREATE TABLE warehouse.mine ()")
    assert told["files"] == ["a.pbids", "a.tds"]
    assert {path.name for path in project.iterdir()} >= {"a.pbids", "a.tds"}
    assert again.returncode == 1
    assert printed[0].startswith("postgresql://warehouse_reader@127.0.0.1:")
    assert printed[1].split() == ["server", "127.0.0.1"]
    assert alone == printed[:1]
