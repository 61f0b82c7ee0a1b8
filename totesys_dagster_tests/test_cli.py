"""The command line, run as a person runs it: each command once in a process of its own, or else in
this one."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner

from totesys_dagster import cli, settings
from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES
from totesys_dagster.dagster_home import opened_instance
from totesys_dagster.errors import SettingError
from totesys_dagster.local import locks
from totesys_dagster.local.server import free_port
from totesys_dagster_tests import warm
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.operations.erasing import ANONYMOUS, CANARIES, stored_with

INSTANCE = Path(__file__).parents[1] / "dagster.yaml"


@pytest.fixture
def made(platform: Platform) -> Platform:
    """Source and warehouse are there, for a process."""
    return platform.make()


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A directory with the Dagster instance that a clone has."""
    shutil.copy(INSTANCE, tmp_path)
    return tmp_path


def totesys(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return warm.run(warm.COMMAND_LINE, *arguments, cwd=project, env={**os.environ, **environment})


def here(project: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The same within this process."""
    with contextlib.chdir(project):
        done = CliRunner().invoke(cli.main, arguments, env=environment)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(arguments, done.exit_code, done.stdout, done.stderr)


def test_run_reports_and_then_says_that_nothing_changed(platform: Platform, project: Path) -> None:
    platform.first()
    platform.make().application.execute("UPDATE payment SET paid = TRUE WHERE payment_id = 2")
    first = totesys(project, "run", "--json")
    assert first.returncode == 0, first.stderr
    [batch] = json.loads(first.stdout)["batches"]
    assert batch["tables"]["fact_payment"] == {
        "processed": 1,
        "quarantined": 0,
        "new": 0,
        "changed": 1,
        "deleted": 0,
        "orphans": 0,
        "audit": batch["tables"]["fact_payment"]["audit"],
    }
    audit = batch["tables"]["fact_payment"]["audit"]
    assert (audit["scope"], audit["sequence"], audit["equal"]) == ("whole", 2, True)

    again = here(project, "run")
    assert again.returncode == 0
    assert "Nothing changed" in again.stdout


@pytest.mark.long
def test_exit_status_says_whether_the_warehouse_equals_the_source(
    platform: Platform, project: Path
) -> None:
    """Also when nothing changed: it is the state of every table, not of the last batch alone."""
    here(project, "run")
    platform.application.execute("UPDATE payment SET payment_date = 'soon' WHERE payment_id = 3")
    bad = here(project, "run", "--json")
    quiet = here(project, "run")
    platform.application.execute(
        "UPDATE payment SET payment_date = '2022-11-04' WHERE payment_id = 3"
    )
    mended = totesys(project, "audit", "--json")

    assert (bad.returncode, json.loads(bad.stdout)["equal"]) == (1, False)
    payment = json.loads(bad.stdout)["tables"]["fact_payment"]
    assert (payment["equal"], payment["proved"], payment["quarantined"]) == (False, False, 1)
    assert payment["whole"]["equal_without_quarantined"] is True
    assert quiet.returncode == 1
    assert "equals the source but for what is in quarantine (1 row of fact_payment)" in quiet.stdout
    assert (mended.returncode, json.loads(mended.stdout)["equal"]) == (0, True)


@pytest.mark.long
def test_reports_name_their_source(platform: Platform, project: Path) -> None:
    platform.first()
    for command in ("run", "status", "verify", "rebuild", "audit"):
        report = here(project, command).stdout
        as_json = json.loads(here(project, command, "--json").stdout)

        assert f"database {platform.source_database}." in report
        assert as_json["source"].endswith(f"database {platform.source_database}")


def test_status_verify_and_rebuild_agree(platform: Platform, project: Path) -> None:
    platform.first()

    status = json.loads(here(project, "status", "--json").stdout)
    assert status["warehouse"]["batches"] == 1
    assert status["warehouse"]["tables"]["dim_staff"]["current"] == 2
    verified = json.loads(here(project, "verify", "--json").stdout)
    assert verified["passed"] is True
    rebuilt = json.loads(totesys(project, "rebuild", "--json").stdout)
    assert rebuilt["rows"]["fact_payment"] == 3
    assert set(rebuilt["different"].values()) == {0}


def test_erasing_asks_and_says_what_it_does(platform: Platform, project: Path) -> None:
    platform.first()
    refused = here(project, "erase", "staff", "1", "--yes")
    platform.application.execute(ANONYMOUS)  # type: ignore[call-overload]
    platform.run()
    page = project / ".totesys" / "report.html"
    page.parent.mkdir(exist_ok=True)
    page.write_text("Jeremie")
    tried = here(project, "erase", "staff", "1", "--dry-run")
    asked = here(project, "erase", "staff", "1")
    assert stored_with(platform, *CANARIES)
    assert page.exists()
    erased = here(project, "erase", "staff", "1", "--yes", TOTESYS_HOME=str(page.parent))

    assert refused.returncode == 1
    assert "ToteSys still has first_name of staff 1 as it was" in refused.stderr
    found = (
        "staff 1: 1 version with PII (first_name, last_name, email_address) in 1 object of 1 batch."
    )
    assert found in tried.stdout
    assert tried.returncode == 0
    assert "They cannot be restored [y/N]" in asked.stdout + asked.stderr
    assert asked.returncode == 1
    assert "Processed 1 batch again and rebuilt dim_staff." in erased.stdout, erased.stderr
    assert "Erased: staff 1." in erased.stdout
    assert stored_with(platform, *CANARIES) == []
    assert not page.exists()


def test_status_of_nothing(platform: Platform, project: Path) -> None:
    platform.rows("SELECT 1")
    platform.warehouse.execute("DROP SCHEMA warehouse CASCADE")
    platform.warehouse.execute("DROP SCHEMA warehouse_bookkeeping CASCADE")

    status = here(project, "status")
    assert status.returncode == 0, status.stderr
    assert "The lake holds 0 batches; the warehouse holds 0 of them." in status.stdout


@pytest.mark.long
@pytest.mark.usefixtures("platform")
def test_reports_for_people_name_every_table(project: Path) -> None:
    report = here(project, "run").stdout

    checks = f"{len(SOURCE_TABLES) + 2 * len(STAR_TABLES)} checks passed"
    for name in ("purchase_order", "dim_counterparty", "fact_purchase_order", checks):
        assert name in report


def test_report_is_a_file_that_is_named(platform: Platform, project: Path) -> None:
    platform.first()
    made = here(project, "report", "--as-of", "2022-11-09", "--output", "page.html")

    assert made.stdout.strip() == str(project / "page.html")
    assert "3 payments due before 9 Nov 2022" in (project / "page.html").read_text()
    assert [path.name for path in project.iterdir() if path.name.startswith(".unfinished")] == []


def test_damaged_lake_is_found(platform: Platform, project: Path, tmp_path: Path) -> None:
    platform.first()
    platform.make()
    next((tmp_path / "ingestion" / "rows" / "staff").rglob("*.zst")).write_bytes(b"")

    verified = totesys(project, "verify")
    assert verified.returncode == 1
    assert "does not have the SHA-256" in verified.stdout


@pytest.mark.usefixtures("platform")
def test_wrong_setting_is_one_sentence_without_the_password(project: Path) -> None:
    done = here(project, "run", TOTESYS_SOURCE_DSN="postgresql://ann:hidden@127.0.0.1:1/totesys")

    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1].startswith("Error: TOTESYS_SOURCE_DSN points to")
    assert "hidden" not in done.stderr + done.stdout
    assert "Traceback" not in done.stderr


@pytest.mark.usefixtures("platform")
def test_psql_sends_no_password_to_a_host_that_is_not_verified(project: Path) -> None:
    there = "postgresql://ann:hidden@/warehouse"
    done = here(project, "psql", TOTESYS_WAREHOUSE_DSN=there, PGHOST="203.0.113.1")

    assert done.returncode == 1
    assert "does not verify that it is the right server" in " ".join(done.stderr.split())


@pytest.mark.usefixtures("platform")
def test_elsewhere_it_says_where_to_run(tmp_path: Path) -> None:
    done = here(tmp_path, "run")

    assert done.returncode == 1
    assert "There is no dagster.yaml here" in done.stderr


@pytest.mark.parametrize(
    ("dagster_yaml", "why"),
    [
        (": [", "while parsing"),
        ("nonsense: 1", 'unexpected config entry "nonsense"'),
        ("storage: {sqlite: {base_dir: /dev/null/x}}", "is in or under a file"),
        pytest.param(  # Dagster tries it for ten seconds
            "storage: {postgres: {postgres_url: 'postgresql://u:hidden@127.0.0.1:1/dagster'}}",
            "Connection refused",
            marks=pytest.mark.long,
        ),
        ("storage: {postgres: {postgres_url: [hidden]}}", "storage:postgres:postgres_url"),
    ],
)
def test_unusable_dagster_instance_is_one_sentence(
    dagster_yaml: str, why: str, project: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (project / "dagster.yaml").write_text(dagster_yaml)
    monkeypatch.setenv("DAGSTER_HOME", str(project))
    with pytest.raises(SettingError) as raised, opened_instance():
        pass

    assert str(raised.value).startswith(f"Dagster cannot use DAGSTER_HOME ({project}): ")
    assert why in str(raised.value)
    assert "hidden" not in str(raised.value)


@pytest.mark.usefixtures("platform")
def test_dagster_home_that_is_no_directory_is_one_sentence(project: Path) -> None:
    done = here(project, "run", DAGSTER_HOME="/nonexistent/home")

    assert done.returncode == 1
    assert "Dagster cannot use DAGSTER_HOME (/nonexistent/home): " in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr


def test_status_of_a_warehouse_whose_source_is_down_says_so(
    platform: Platform, project: Path
) -> None:
    platform.first()
    status = here(project, "status", TOTESYS_SOURCE_DSN="postgresql://x@127.0.0.1:1/nothing")

    assert status.returncode == 0, status.stderr
    assert (
        "It is not known whether anything is waiting in the source: TOTESYS_SOURCE_DSN"
        in status.stdout
    )
    assert "Connection refused" in status.stdout


def test_status_refuses_a_lake_that_the_warehouse_was_not_loaded_from(
    platform: Platform, project: Path, tmp_path: Path
) -> None:
    """Of an empty one it said that it holds 0 batches, the warehouse 1 of them, and all is equal"""
    platform.first()
    status = here(project, "status", TOTESYS_INGESTION_URL=str(tmp_path / "other"))

    assert status.returncode == 1
    assert "point TOTESYS_INGESTION_URL to the lake that the warehouse was" in " ".join(
        status.stderr.split()
    )


@pytest.mark.usefixtures("made")
def test_closed_output_stops_nothing(project: Path) -> None:
    # As Python begins where the output was closed before.
    closed = f"import os, sys; os.close(1); sys.stdout = None; {warm.COMMAND_LINE}"
    done = warm.run(closed, "status", cwd=project)

    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.usefixtures("made")
def test_real_source_is_never_simulated(project: Path) -> None:
    done = totesys(project, "simulate")

    assert done.returncode == 1
    assert "a real source is never written to" in done.stderr


@pytest.mark.parametrize(
    ("command", "ask"),
    [
        *(
            (command, here)
            for command in ("run", "status", "verify", "rebuild", "simulate", "report")
        ),
        *((command, totesys) for command in ("demo", "dev", "psql")),  # no other test starts them
    ],
)
def test_every_command_has_help(
    command: str, ask: Callable[..., subprocess.CompletedProcess[str]], tmp_path: Path
) -> None:
    done = ask(tmp_path, command, "--help")

    assert done.returncode == 0
    assert done.stdout.startswith("Usage: ")


@pytest.fixture(scope="module")
def demonstrated(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory in which `make run` has run once, without any setting."""
    directory = tmp_path_factory.mktemp("demo")
    shutil.copy(INSTANCE, directory)
    done = totesys(directory, "demo")
    assert done.returncode == 0, done.stderr
    for word in ("Batch 1", "Batch 2", "The warehouse equals the source: every table"):
        assert word in done.stdout
    return directory


@pytest.mark.long
def test_connect_says_when_the_embedded_server_listens(demonstrated: Path) -> None:
    done = totesys(demonstrated, "connect")

    assert done.stdout.splitlines()[-1] == (
        "This is the embedded server: it listens on this machine only, while a command runs. Keep"
        " `totesys dev` open while your tool is connected."
    )


@pytest.mark.long
def test_demo_goes_on_with_the_next_batch(demonstrated: Path) -> None:
    again = totesys(demonstrated, "demo")

    assert "Nothing changed in the source since the last run." in again.stdout
    assert "Batch 3" in again.stdout


@pytest.mark.long
def test_simulated_business_is_captured(demonstrated: Path) -> None:
    assert totesys(demonstrated, "simulate", "--days", "0", "--moments", "3").returncode == 0

    [batch] = json.loads(totesys(demonstrated, "run", "--json").stdout)["batches"]
    assert batch["captured"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("arguments", "role"),
    [
        ((), "warehouse_reader"),
        (("--",), "warehouse_reader"),
        (("warehouse", "--"), "warehouse_reader"),
        (("--write",), "warehouse_loader"),
        (("source",), "totesys_extractor"),
        (("source", "--write", "--"), "totesys_application"),
    ],
)
def test_psql_is_somebody_who_may_do_what_was_asked_for(
    demonstrated: Path, arguments: tuple[str, ...], role: str
) -> None:
    done = totesys(demonstrated, "psql", *arguments, "-Atc", "SELECT current_user")

    assert (done.stdout.strip(), done.stderr) == (role, "")


@pytest.mark.long
def test_reader_that_changed_its_password_gets_in_again(demonstrated: Path) -> None:
    changed = totesys(demonstrated, "psql", "-c", "ALTER ROLE warehouse_reader PASSWORD 'x'")
    again = totesys(demonstrated, "psql", "-Atc", "SELECT 1")

    assert changed.stdout.strip() == "ALTER ROLE"
    assert again.stdout.strip() == "1"


@pytest.mark.long
@pytest.mark.parametrize("database", ["totesys", "postgres", "template1"])
def test_reader_gets_into_no_other_database(demonstrated: Path, database: str) -> None:
    done = totesys(demonstrated, "psql", "-d", database, "-Atc", "SELECT 1")

    assert done.returncode == 2
    assert "permission denied for database" in done.stderr


@pytest.mark.usefixtures("platform")
def test_psql_never_writes_to_a_real_source(project: Path) -> None:
    done = here(project, "psql", "source", "--write")

    assert done.returncode == 1
    assert "a real source is never written to" in " ".join(done.stderr.split())


def test_what_each_command_does_fits_its_line(tmp_path: Path) -> None:
    _, _, listed = here(tmp_path, "--help").stdout.partition("Options:")

    assert "  psql " in listed
    assert "..." not in listed


@pytest.mark.parametrize("command", ["run", "status", "report", "dev"])
@pytest.mark.parametrize(
    ("name", "value"),
    [(settings.REPORTING_CURRENCY, "XXX"), (settings.RATES_URL, "ftp://127.0.0.1/{date}")],
)
@pytest.mark.usefixtures("platform")
def test_setting_of_rates_that_cannot_be_used_is_said_at_once(
    project: Path, command: str, name: str, value: str
) -> None:
    shutil.copy(INSTANCE.parent / "workspace.yaml", project)
    port = ["--port", str(free_port(None))] if command == "dev" else []
    done = here(project, command, *port, **{name: value})

    assert (done.returncode, done.stdout) == (1, "")
    assert f"Error: {name} is " in done.stderr


@pytest.mark.usefixtures("platform")
@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("psql", "sources"), "'sources' is neither warehouse nor source"),
        (("report", "--output", ""), "--output names no file"),
        (("report", "--output", "-"), "--output names no file"),
        (("report", "--output", "/dev/null"), "/dev/null is no file that may be replaced"),
        (("connect", "--pbids", ""), "--pbids names no file"),
        (("connect", "--tds", "/dev/null", "--force"), "/dev/null is no file that may be"),
        (("connect", "--uri", "--json"), "--uri and --json exclude each other"),
    ],
)
def test_slip_is_one_sentence(project: Path, arguments: tuple[str, ...], said: str) -> None:
    done = here(project, *arguments)

    assert done.returncode in (1, 2)
    assert said in " ".join(done.stderr.split())
    assert Path("/dev/null").is_char_device()


@pytest.mark.long
def test_page_replaces_what_a_link_leads_to(platform: Platform, project: Path) -> None:
    platform.first()
    (project / "link.html").symlink_to("page.html")
    done = here(project, "report", "--output", "link.html")

    assert done.returncode == 0, done.stderr
    assert (project / "link.html").is_symlink()
    assert "Terrific Totes" in (project / "page.html").read_text()


def test_dev_elsewhere_says_where_to_run(tmp_path: Path) -> None:
    done = here(tmp_path, "dev", "--port", str(free_port(None)))

    assert done.returncode == 1
    assert "There is no workspace.yaml here" in done.stderr


def test_second_dev_says_that_there_is_a_first(project: Path) -> None:
    shutil.copy(INSTANCE.parent / "workspace.yaml", project)
    (project / ".dagster").mkdir()
    held = locks.acquire(project / ".dagster" / "dev.lock")
    assert held is not None
    try:
        done = here(project, "dev", "--port", str(free_port(None)))
    finally:
        os.close(held)

    assert done.returncode == 1
    assert f"`totesys dev` is already running for {project}" in "".join(done.stderr.split("\n"))


@pytest.mark.long
def test_new_table_is_shown_by_its_name(platform: Platform, project: Path) -> None:
    platform.application.execute('CREATE TABLE "[/red] %s {x}" (a integer)')
    platform.run()
    shown = here(project, "status")
    listed = json.loads(here(project, "status", "--json").stdout)

    assert shown.returncode == 0, shown.stderr
    assert "not archived: [/red] %s {x}." in " ".join(shown.stdout.split())
    assert listed["lake"]["unknown_tables"] == ["[/red] %s {x}"]
