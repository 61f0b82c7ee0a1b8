"""What commands print with `--json` is what docs/json has a schema of, and nothing else."""

from __future__ import annotations

import datetime as dt
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from totesys_dagster import cli, settings
from totesys_dagster.json_output import DOCUMENTS
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.local import stack
from totesys_dagster.orchestration.whole_path import BatchReport
from totesys_dagster.report import batch_data
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.drops.conftest import HEADER
from totesys_dagster_tests.operations.erasing import CANARIES, stored_with
from totesys_dagster_tests.operations.test_erase import former_colleague
from totesys_dagster_tests.test_cli import here, made, project

__all__ = ["made", "project"]

SCHEMAS = Path(__file__).parents[1] / "docs" / "json"
BAD = "UPDATE payment SET payment_date = 'soon' WHERE payment_id = 3"
EDIT = "UPDATE warehouse.dim_staff SET first_name = 'X' WHERE staff_id = 1"
GOOD = "UPDATE payment SET payment_date = '2022-11-04' WHERE payment_id = 3"

formats = FormatChecker(["date-time"])


@formats.checks("date-time", raises=ValueError)
def has_offset(value: object) -> bool:
    return not isinstance(value, str) or dt.datetime.fromisoformat(value).tzinfo is not None


def strict(schema: Any) -> Any:
    """The schema without room for further members, so that a new one needs a change of it."""
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {"additionalProperties": False} if isinstance(schema.get("required"), list) else {}
    return closed | {name: strict(one) for name, one in schema.items()}


def printed(done: subprocess.CompletedProcess[str], name: str) -> dict[str, Any]:
    """The whole standard output, which has to be a document of that schema."""
    document: dict[str, Any] = json.loads(done.stdout)
    schema = strict(json.loads((SCHEMAS / f"{name}.schema.json").read_text()))
    Draft202012Validator(schema, format_checker=formats).validate(document)
    return document


def test_schemas_are_of_the_commands_that_print_json() -> None:
    with_json = [
        command.name
        for commands in cli.SECTIONS.values()
        for command in commands
        if any("--json" in option.opts for option in command.params)
    ]
    assert sorted(with_json) == sorted({*DOCUMENTS} - {"error"})
    for name in DOCUMENTS:
        schema = json.loads((SCHEMAS / f"{name}.schema.json").read_text())
        Draft202012Validator.check_schema(schema)
        assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"


def test_schemas_have_room_for_members_of_later_releases() -> None:
    schema = json.loads((SCHEMAS / "error.schema.json").read_text())
    Draft202012Validator(schema).validate({"error": "a sentence", "since": "later"})


def test_nothing_yet(platform: Platform, project: Path) -> None:
    platform.make()
    assert printed(here(project, "status", "--json"), "status")["lake"]["last_batch"] is None
    platform.warehouse.execute("DROP SCHEMA warehouse, warehouse_bookkeeping CASCADE")
    status = printed(here(project, "status", "--json"), "status")
    assert (status["warehouse"]["equal"], status["warehouse"]["tables"]) == (None, {})
    assert printed(here(project, "verify", "--json"), "verify")["batches"] == 0


@pytest.mark.long
def test_equal_warehouse(platform: Platform, project: Path) -> None:
    platform.first()
    status = printed(here(project, "status", "--json"), "status")
    assert (status["warehouse"]["equal"], status["warehouse"]["stopped"]) == (True, None)
    assert printed(here(project, "quarantine", "--json"), "quarantine")["rows"] == []
    assert printed(here(project, "verify", "--json"), "verify")["passed"] is True


def test_warehouse_that_differs(platform: Platform, project: Path) -> None:
    platform.first()
    platform.warehouse.execute(EDIT)
    platform.audit()
    found = printed(here(project, "status", "--json"), "status")["warehouse"]
    assert (found["equal"], found["tables"]["dim_staff"]["whole"]["equal"]) == (False, False)


def test_batch_that_waits_and_is_stopped(platform: Platform, project: Path) -> None:
    platform.first()
    platform.application.execute(BAD)
    manifest = platform.capture()
    assert manifest is not None
    behind = printed(here(project, "status", "--json"), "status")
    assert (behind["lake"]["batches"], behind["warehouse"]["batches"]) == (2, 1)
    platform.process(manifest)

    none = {settings.QUARANTINE_LIMIT: "0"}
    stopped = printed(here(project, "status", "--json", **none), "status")
    assert stopped["warehouse"]["stopped"].startswith("Batch 2 is not loaded, as it has 1 row")
    [row] = printed(here(project, "quarantine", "--json"), "quarantine")["rows"]
    assert (row["sequence"], row["star"], row["key"]) == (2, "fact_payment", 3)
    again = here(project, "quarantine", "--batch", "2", "--json")
    assert printed(again, "quarantine")["rows"] == [row]
    missing = here(project, "quarantine", "--batch", "9", "--json")
    assert printed(missing, "error")["error"].startswith("There is no batch 9")


def test_batch_with_rows_in_quarantine_and_orphans(platform: Platform) -> None:
    """What `run` prints of it, without Dagster."""
    platform.application.execute(BAD)
    platform.application.execute("UPDATE currency SET currency_code = 'ZZZ' WHERE currency_id = 2")
    manifest = platform.capture()
    assert manifest is not None
    receipts = platform.process(manifest)
    log = ManifestLog(platform.ingestion)
    deleted = {name: log.deleted(manifest, name) for name in manifest.tables}
    loaded = platform.load(manifest)
    found = BatchReport(manifest, receipts, loaded, deleted, {"poll": 0.1}, 3, ["audit"])
    schema = strict(json.loads((SCHEMAS / "run.schema.json").read_text()))
    data = json.loads(json.dumps(batch_data(found)))
    Draft202012Validator({**schema, **schema["$defs"]["Batch"]}).validate(data)

    assert data["captured"]["payment"]["new"] == 3
    assert data["tables"]["fact_payment"]["quarantined"] == 1
    assert data["tables"]["fact_sales_order"]["orphans"] == 1


@pytest.mark.long
def test_quarantine_orphans_and_feeds(
    platform: Platform,
    project: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run with everything that a report can have."""
    monkeypatch.setenv(settings.DROPS_URL, str(tmp_path / "drops"))
    targets = tmp_path / "drops" / "sales_target"
    targets.mkdir(parents=True)
    (targets / "a.csv").write_text(HEADER + "2024-11,Leeds,GBP,soon\n")
    platform.application.execute(BAD)
    platform.application.execute("UPDATE currency SET currency_code = 'ZZZ' WHERE currency_id = 2")
    done = here(project, "run", "--json")

    run = printed(done, "run")
    [batch] = run["batches"]
    assert (done.returncode, run["equal"]) == (1, False)
    assert batch["captured"]["payment"] == {
        "read": "full",
        "reason": "it is the first batch",
        "rows": 3,
        "new": 3,
        "deleted": 0,
    }
    assert batch["tables"]["fact_payment"]["quarantined"] == 1
    assert batch["tables"]["fact_sales_order"]["orphans"] == 1
    feeds = printed(here(project, "status", "--json"), "status")["feeds"]
    assert ["a.csv" in feed["refused"] for feed in feeds if feed["feed"] == "sales_target"]


@pytest.mark.long
def test_every_state_of_run_and_audit(platform: Platform, project: Path) -> None:
    platform.first()
    platform.application.execute(GOOD.replace("04", "05"))
    platform.application.execute("DELETE FROM payment WHERE payment_id = 2")
    full = ("--full", "staff", "--full", "payment")
    changed = printed(here(project, "run", *full, "--json"), "run")
    [batch] = changed["batches"]
    assert batch["captured"]["staff"]["read"] == batch["captured"]["payment"]["read"] == "full"
    assert batch["captured"]["payment"]["deleted"] == 1
    assert batch["tables"]["fact_payment"]["deleted"] == 1
    assert printed(here(project, "run", "--json"), "run")["batches"] == []
    platform.warehouse.execute(EDIT)
    healed = printed(here(project, "audit", "--json"), "audit")
    assert healed["equal"] is True
    assert [batch["captured"]["staff"]["read"] for batch in healed["batches"]] == ["full"]
    rebuilt = printed(here(project, "rebuild", "--json"), "rebuild")
    assert rebuilt["different"]["fact_payment"] == 0


def test_damaged_lake_and_its_repair(platform: Platform, project: Path, tmp_path: Path) -> None:
    platform.first()
    next((tmp_path / "processed" / "rows" / "dim_staff").rglob("*.parquet")).write_bytes(b"")
    damaged = here(project, "verify", "--json")

    assert damaged.returncode == 1
    told = printed(damaged, "verify")
    assert told["damaged"] == [{"sequence": 1, "table": "dim_staff"}]
    repaired = here(project, "verify", "--repair", "--json")
    assert (repaired.returncode, printed(repaired, "verify")["findings"]) == (0, [])


def test_erasure_and_what_it_would_do(platform: Platform, project: Path) -> None:
    platform.come_to("former colleague", former_colleague)
    tried = printed(here(project, "erase", "staff", "1", "--dry-run", "--json"), "erase")
    asked = here(project, "erase", "staff", "1", "--json")
    held = stored_with(platform, *CANARIES)
    done = here(project, "erase", "staff", "1", "--yes", "--json")
    again = printed(here(project, "erase", "staff", "1", "--json"), "erase")

    sentence = "Nothing was erased: --json does not ask whether to, so add --yes."
    assert (asked.returncode, printed(asked, "error")["error"]) == (1, sentence)
    assert held
    assert stored_with(platform, *CANARIES) == []
    assert tried == {
        "source": tried["source"],
        "table": "staff",
        "keys": [1],
        "columns": ["first_name", "last_name", "email_address"],
        "versions": 1,
        "objects": 1,
        "batches": [1],
        "staying": {"1": ["first_name", "last_name", "email_address"]},
        "left": [],
        "done": None,
    }
    removed = {"objects": 1, "older_versions": 0}
    zones = {"ingestion": removed, "processed": removed}
    found = printed(done, "erase")
    assert found == {**tried, "done": {"batches": [1], "tables": ["dim_staff"], **zones}}
    assert (again["versions"], again["batches"]) == (0, [])


def test_connection_with_and_without_its_password(platform: Platform, project: Path) -> None:
    platform.first()
    dsn = platform.server.dsn(stack.READER, platform.warehouse_database)
    plain = printed(here(project, "connect", "--json"), "connect")
    options = ("connect", "--with-password", "--pbids", "a.pbids", "--json")
    full = printed(here(project, *options, **{settings.WAREHOUSE_READER_DSN: dsn}), "connect")

    assert ("password" in plain, "password" in full) == (False, True)
    assert (full["schemas"], full["files"]) == (["reports", "warehouse"], ["a.pbids"])


@pytest.mark.parametrize("command", sorted(DOCUMENTS.keys() - {"error"}))
def test_error_is_a_document_and_a_sentence(
    command: str, platform: Platform, project: Path
) -> None:
    """It is the same for every command: 1, a document for scripts, and a sentence for people."""
    what = ("staff", "1") if command == "erase" else ()
    if what:
        platform.come_to("former colleague", former_colleague)
    wrong = {settings.WAREHOUSE_DSN: "postgresql://ann:hidden@127.0.0.1:1/totesys"}
    done = here(project, command, *what, "--json", **wrong)

    sentence = printed(done, "error")["error"]
    assert done.returncode == 1
    assert sentence.startswith("TOTESYS_WAREHOUSE_DSN points to")
    assert f"Error: {sentence}" in done.stderr.replace("\n", " ")
    assert "hidden" not in done.stdout


@pytest.mark.parametrize(
    "options",
    [("--json", "--nonsense"), ("--nonsense", "--json"), ("--json", "more"), ("more", "--json")],
)
@pytest.mark.parametrize("command", ["status", "run"])
def test_wrong_command_line_is_a_document(
    command: str,
    options: tuple[str, ...],
    project: Path,
) -> None:
    done = here(project, command, *options)

    assert done.returncode == click.UsageError.exit_code
    assert printed(done, "error")["error"]
    assert "Usage: " in done.stderr


@pytest.mark.parametrize(
    "line", [("--json", "status"), ("nonsense", "--json"), ("migrate", "--json"), ("--json",)]
)
def test_command_that_is_none_or_prints_no_json(line: tuple[str, ...], project: Path) -> None:
    done = here(project, *line)

    assert done.returncode == click.UsageError.exit_code
    assert printed(done, "error")["error"]


def test_help_is_no_error(project: Path) -> None:
    for line in (("status", "--json", "--help"), ("--help",)):
        done = here(project, *line)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("Usage: ")


def test_misspelt_setting_is_a_document(project: Path) -> None:
    done = here(project, "status", "--json", TOTESYS_SOURCE_DNS="x")
    assert "TOTESYS_SOURCE_DNS" in printed(done, "error")["error"]
    done = here(project, "report", TOTESYS_SOURCE_DNS="x")
    assert (done.returncode, done.stdout) == (1, "")


def test_contracts_that_cannot_be_read_are_a_document(project: Path) -> None:
    """They are read before the command line is."""
    done = subprocess.run(
        [sys.executable, "-m", "totesys_dagster.cli", "status", "--json"],
        cwd=project,
        env={settings.CONTRACTS: "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert printed(done, "error")["error"] in done.stderr
