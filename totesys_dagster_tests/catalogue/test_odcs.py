"""Contracts of files: what ODCS says becomes the catalogue's types, and nothing else is taken."""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import yaml

from totesys_dagster import settings
from totesys_dagster.catalogue import FEED_TABLES, FileContract, Type, revision
from totesys_dagster.catalogue.feeds import require_free
from totesys_dagster.catalogue.odcs import SUPPLIED, read_contracts
from totesys_dagster.errors import DeclarationError, SettingError
from totesys_dagster_tests import warm
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.drops.conftest import LONG_AGO

BUDGET = """\
apiVersion: v3.0.2
kind: DataContract
id: budget
name: Budgets
version: 1.0.0
status: active
schema:
  - name: budget
    description: Every version of the budget of each department and day.
    properties:
      - name: day
        logicalType: date
        logicalTypeOptions: {format: dd/MM/yyyy}
        required: true
        primaryKey: true
        description: The day.
      - name: department
        logicalType: string
        required: true
        primaryKey: true
        description: The department.
      - name: heads
        logicalType: integer
        logicalTypeOptions: {minimum: 1, maximum: 99}
        description: How many people.
      - name: amount
        logicalType: number
        physicalType: numeric(10,3)
        required: true
        description: The budget, in pounds.
      - name: new
        logicalType: boolean
        description: Whether it is agreed.
customProperties:
  - {property: location, value: finance/budget}
  - {property: fileTypes, value: [csv]}
  - {property: delimiter, value: ;}
  - {property: encoding, value: windows-1252}
  - {property: decimalSeparator, value: ','}
"""


def read(directory: Path, text: str, name: str = "budget") -> list[FileContract]:
    (directory / f"{name}.odcs.yaml").write_text(text)
    return read_contracts(directory)


def test_contract_becomes_a_table_and_a_form_of_files(tmp_path: Path) -> None:
    [contract] = read(tmp_path, BUDGET)
    table = contract.table

    assert (table.name, table.feed, table.keys) == (
        "fact_budget",
        "budget",
        ("day", "department"),
    )
    assert [(c.name, c.type, c.sql_type, c.nullable) for c in table.columns] == [
        ("day", Type.DATE, "date", False),
        ("department", Type.TEXT, "character varying", False),
        ("heads", Type.BIG_INTEGER, "bigint", True),
        ("amount", Type.MONEY, "numeric(10,3)", False),
        ("new", Type.BOOLEAN, "boolean", True),
        ("file_name", Type.TEXT, "character varying", False),
    ]
    assert (contract.title, contract.location, contract.delimiter, contract.encoding) == (
        "Budgets",
        "finance/budget",
        ";",
        "windows-1252",
    )
    heads = contract.columns[2]
    assert (heads.minimum, heads.maximum) == (Decimal(1), Decimal(99))
    assert contract.columns[0].date_format == "dd/MM/yyyy"


def test_contracts_that_come_with_the_platform_are_declared() -> None:
    names = {contract.table.name for contract in read_contracts(SUPPLIED)}
    assert "fact_sales_target" in names
    assert names <= {*FEED_TABLES}


def test_what_decides_rows_decides_the_revision_and_prose_does_not(tmp_path: Path) -> None:
    def of(text: str) -> str:
        [contract] = read(tmp_path, text)
        return revision(contract.table)

    assert of(BUDGET) == of(BUDGET.replace("How many people", "Heads").replace("1.0.0", "1.0.1"))
    for old, new in (
        ("minimum: 1,", "minimum: 2,"),
        ("dd/MM/yyyy", "MM/dd/yyyy"),
        ("value: ;", "value: '|'"),
        ("numeric(10,3)", "numeric(10,2)"),
    ):
        assert of(BUDGET) != of(BUDGET.replace(old, new)), new


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("kind: DataContract", "kind: Other", "it is not `kind: DataContract`"),
        ("v3.0.2", "v2.2.2", "it is not `kind: DataContract` with an `apiVersion` of v3"),
        ("name: Budgets", "name: ''", "`name` is missing"),
        ("name: Budgets", "name: A\nname: B", "it has name twice"),
        ("logicalType: date", "logicalType: timestamp", "day is 'timestamp'"),
        ("logicalType: date", "logicalType: [date]", "`logicalType` is missing, or is no text"),
        ("name: day", "name: Day", "'Day' is no name"),
        ("name: day", "name: batch_seq", "declares a column batch_seq"),
        ("name: heads", "name: day", "declares a column day"),
        ("name: heads", "name: file_name", "declares a column file_name"),
        ("name: budget", "name: sales target", "is no name for a table"),
        ("name: budget", f"name: {'x' * 41}", "is no name for a table"),
        ("primaryKey: true", "primaryKey: no", "`primaryKey` is true or false"),
        ("        primaryKey: true\n", "", "its `primaryKey` has to be"),
        ("numeric(10,3)", "money", "give its digits by `physicalType`"),
        ("numeric(10,3)", "numeric(39,3)", "give its digits by `physicalType`"),
        ("numeric(10,3)", "numeric(3,10)", "give its digits by `physicalType`"),
        ("{minimum: 1, maximum: 99}", "{minimum: one}", "the minimum of heads is no number"),
        ("{minimum: 1, maximum: 99}", "{pattern: x}", "has 'pattern', which nothing here holds to"),
        ("{format: dd/MM/yyyy}", "{format: dd/MM}", "the format of day is"),
        ("{format: dd/MM/yyyy}", "{format: '%d/%m/%Y'}", "the format of day is"),
        ("value: ;", "value: ';;'", "its delimiter is one character"),
        ("value: ;", "value: '\"'", "its delimiter is one character"),
        ("value: ;", "value: [x]", "`value` is missing, or is no text"),
        ("windows-1252", "utf-7", "its encoding is one of"),
        ("value: [csv]", "value: [xlsx]", "its fileTypes are a list of"),
        ("value: [csv]", "value: csv", "its fileTypes are a list of"),
        ("finance/budget", "../budget", "its location is a folder's name"),
        ("property: delimiter", "property: delimeter", "has 'delimeter', which nothing here"),
        ("status: active", "quality: []", "has 'quality', which nothing here holds to"),
        ("id: budget", "id: [", "while parsing"),
        ("v3.0.2", "v30", "with an `apiVersion` of v3, such as"),
        ("{minimum: 1, maximum: 99}", "{minimum: 2, maximum: 1}", "is more than its maximum"),
        ("{minimum: 1, maximum: 99}", f"{{minimum: 1{'0' * 30}}}", "no value of the type of heads"),
        ("{minimum: 1, maximum: 99}", f"{{minimum: {'9' * 5000}}}", "is no number in plain"),
        ("numeric(10,3)", f"numeric({'9' * 5000},2)", "give its digits by `physicalType`"),
        ("value: ;", "value: ','", "its delimiter and its decimalSeparator are both ,"),
        ("value: ;", "value: '-'", "its delimiter is one character"),
        ("value: ;", "value: ' '", "its delimiter is one character"),
        ("value: ;", 'value: "\\x01"', "has a character that cannot be seen"),
        ("value: [csv]", "value: {csv: 1}", "its fileTypes are a list of"),
        ("value: [csv]", "value: [[csv]]", "its fileTypes are a list of"),
        ("value: [csv]", "value: [csv, csv]", "its fileTypes are a list of"),
        ("finance/budget", ".hidden", "its location is a folder's name"),
        ("finance/budget", "_in/x", "its location is a folder's name"),
        ("finance/budget", "x/~$y", "its location is a folder's name"),
        ("value: finance/budget", 'value: "a\\0b"', "has a character that cannot be seen"),
        ("finance/budget", "x" * 300, "its location is a folder's name"),
        ("How many people.", '"\\0"', "has a character that cannot be seen"),
        ("primaryKey: true", "primaryKey: true\n        primaryKeyPosition: 1", "for each another"),
        ("primaryKey: true", "primaryKey: true\n        primaryKeyPosition: x", "a whole number"),
        ("minimum: 1, maximum: 99", "minimum: 1, maximum: 1e9", "the maximum of heads is no"),
        ("id: budget", f"id: {'[' * 5000}", "nest"),
        ("id: budget", f"id: {'[' * 900}{']' * 900}", "nest"),
    ],
)
def test_contract_that_is_not_understood_is_refused(
    tmp_path: Path, old: str, new: str, why: str
) -> None:
    assert old in BUDGET
    with pytest.raises(DeclarationError, match=r"The contract budget\.odcs\.yaml") as error:
        read(tmp_path, BUDGET.replace(old, new))
    assert why in str(error.value)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ("{maxLength: 0}", "the maxLength of department is no whole number from 1 on"),
        ("{maxLength: 1.0}", "the maxLength of department is no whole number from 1 on"),
        ("{pattern: 'a{99999999999999999999}'}", "is no regular expression"),
        (f"{{pattern: '{'(' * 5000}{')' * 5000}'}}", "is no regular expression"),
        ("{pattern: '('}", "is no regular expression"),
    ],
)
def test_rule_for_a_text_that_no_value_can_keep_is_refused(
    tmp_path: Path, options: str, why: str
) -> None:
    declared = f"logicalType: string\n        logicalTypeOptions: {options}"
    with pytest.raises(DeclarationError) as error:
        read(tmp_path, BUDGET.replace("logicalType: string", declared))
    assert why in str(error.value)


@pytest.mark.parametrize(
    "listed_in",
    [
        "staff.location",
        "dim_staff",
        "dim_staff.town",
        "dim_staff.staff_id",
        "fact_payment.paid",
        "dim_staff.location.x",
        "",
    ],
)
def test_column_in_which_no_value_can_be_listed_is_refused(tmp_path: Path, listed_in: str) -> None:
    custom = f"customProperties: [{{property: listedIn, value: '{listed_in}'}}]"
    declared = f"logicalType: string\n        {custom}"
    with pytest.raises(DeclarationError, match=r"listedIn|`value` is missing"):
        read(tmp_path, BUDGET.replace("logicalType: string", declared))


def test_column_in_which_values_are_listed_decides_no_rows(tmp_path: Path) -> None:
    custom = "customProperties: [{property: listedIn, value: dim_staff.department_name}]"
    declared = f"logicalType: string\n        {custom}"
    [plain] = read(tmp_path, BUDGET)
    [listed] = read(tmp_path, BUDGET.replace("logicalType: string", declared))

    assert listed.columns[1].listed_in == ("dim_staff", "department_name")
    assert revision(listed.table) == revision(plain.table)


# Written as JSON, which YAML is too.
ODD = [
    *(
        None,
        True,
        0,
        -1,
        1.5,
        "",
        " ",
        "x",
        "\0",
        "\u202e",
        "\ud800",
        "é",
        "~",
        "1e400",
        "9" * 5000,
    ),
    *([], [[]], ["x"], [None], {}, {"x": 1}, {"": []}, [{"name": "x"}], "a{99999999999999999999}"),
]


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every place in a document: of a value, or of what has values."""
    yield path
    keys = value if isinstance(value, dict) else range(len(value) if isinstance(value, list) else 0)
    for key in keys:
        yield from places(value[key], (*path, key))


def replaced(value: Any, path: tuple[Any, ...], new: Any) -> Any:
    if not path:
        return new
    copy = value.copy()
    copy[path[0]] = replaced(value[path[0]], path[1:], new)
    return copy


def test_odd_value_in_any_place_is_taken_or_refused_by_one_sentence(tmp_path: Path) -> None:
    document = yaml.safe_load(BUDGET)
    found = [*places(document)]
    refused = []
    for path, odd in itertools.product(found, ODD):
        try:
            read(tmp_path, json.dumps(replaced(document, path, odd)))
        except DeclarationError as error:
            refused.append(str(error))
    assert len(found) >= 60
    assert len(refused) > len(found) * len(ODD) / 2
    assert all(one.startswith("The contract budget.odcs.yaml cannot be used: ") for one in refused)
    assert all(one.isprintable() for one in refused)


@pytest.mark.parametrize(
    "name", ["budget.yaml", "budget.odcs.yml", "budget.ODCS.YAML", "b.odcs.json"]
)
def test_contract_of_another_ending_is_said(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text(BUDGET)
    with pytest.raises(DeclarationError, match=r"does not end in \.odcs\.yaml"):
        read_contracts(tmp_path)


@pytest.mark.parametrize(
    "name", ["staff", "dim_staff", "sales_order", "totesys", "exchange_rate_history"]
)
def test_name_that_something_else_has_is_refused(tmp_path: Path, name: str) -> None:
    [contract] = read(tmp_path, BUDGET.replace("- name: budget", f"- name: {name}"))
    with pytest.raises(DeclarationError, match="which is declared already"):
        require_free(contract)


def test_two_contracts_of_one_table_or_place_are_refused(tmp_path: Path) -> None:
    read(tmp_path, BUDGET)
    with pytest.raises(DeclarationError, match="has the table fact_budget that Budgets has"):
        read(tmp_path, BUDGET, "other")
    other = BUDGET.replace("- name: budget", "- name: other")
    with pytest.raises(DeclarationError, match="has the location finance/budget/x"):
        read(tmp_path, other.replace("finance/budget", "finance/budget/x"), "other")


def test_directory_of_contracts_that_is_none_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.CONTRACTS, str(tmp_path / "missing"))
    with pytest.raises(SettingError, match="which is no directory"):
        settings.contract_directories()


SECOND = """
import dagster as dg
from totesys_dagster.definitions import defs
from totesys_dagster.orchestration.files import new_files
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse

resources = {"lake": Lake(), "warehouse": Warehouse()}
with dg.DagsterInstance.ephemeral() as instance:
    answer = new_files(dg.build_sensor_context(instance=instance, resources=resources))
    for request in answer.run_requests:
        job = defs.resolve_job_def(request.job_name)
        assert job.execute_in_process(instance=instance).success
        print(request.job_name)
"""


def test_second_contract_needs_no_code(platform: Platform, tmp_path: Path) -> None:
    platform.make()
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "budget.odcs.yaml").write_text(BUDGET)
    drop = tmp_path / "drops" / "finance" / "budget" / "b.csv"
    drop.parent.mkdir(parents=True)
    drop.write_bytes(
        "day;department;heads;amount;new\r\n01/02/2024;Küche;;1950,5;true\r\n".encode("cp1252")
    )
    os.utime(drop, (LONG_AGO, LONG_AGO))
    more = {
        settings.CONTRACTS: str(tmp_path / "contracts"),
        settings.DROPS_URL: str(tmp_path / "drops"),
    }

    done = warm.run(SECOND, env={**os.environ, **more})

    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.split() == ["take_budget"]
    assert platform.rows(
        "SELECT day::text, department, heads, amount::text, new, file_name FROM current_fact_budget"
    ) == [("2024-02-01", "Küche", None, "1950.500", True, "b.csv")]
    assert platform.rows("SELECT version FROM history_fact_budget") == [(1,)]


def test_command_line_knows_the_contracts_that_the_file_of_settings_names(tmp_path: Path) -> None:
    (tmp_path / "contracts").mkdir()
    (tmp_path / "contracts" / "budget.odcs.yaml").write_text("kind: Other")
    (tmp_path / ".env").write_text(f"{settings.CONTRACTS}={tmp_path / 'contracts'}\n")

    done = warm.run(warm.COMMAND_LINE, "--help", cwd=tmp_path)
    assert done.stderr.startswith("Error: The contract budget.odcs.yaml cannot be used")
