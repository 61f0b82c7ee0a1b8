"""What the data dictionary and the contracts say of the warehouse, held against a warehouse."""

from __future__ import annotations

import copy
import functools
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import jsonschema
import psycopg
import pytest
import yaml

from tools import render
from totesys_dagster.catalogue import STAR_TABLES, WAREHOUSE_TABLES
from totesys_dagster.local import stack
from totesys_dagster_tests.conftest import Platform

DICTIONARY = render.DICTIONARY.read_text()
CONTRACTS = sorted(render.CONTRACTS.glob("*.odcs.yaml"))
STANDARD = jsonschema.Draft201909Validator(
    json.loads((resources.files("open_data_contract_standard") / "schema.json").read_text())
)


@functools.cache
def contract(path: Path) -> dict[str, Any]:
    return dict(yaml.load(path.read_text(), yaml.CSafeLoader))


def test_each_star_and_the_reports_have_a_contract() -> None:
    expected = sorted([*WAREHOUSE_TABLES, "reports"])

    assert [path.name.removesuffix(".odcs.yaml") for path in CONTRACTS] == expected


@pytest.mark.parametrize("path", CONTRACTS, ids=lambda path: path.name)
def test_contract_is_of_the_standard(path: Path) -> None:
    STANDARD.validate(contract(path))


def test_standard_would_refuse_another_contract() -> None:
    """The validator looks into columns, too."""
    wrong = copy.deepcopy(contract(CONTRACTS[0]))
    wrong["schema"][0]["properties"][0]["logicalType"] = "serial"

    with pytest.raises(jsonschema.ValidationError):
        STANDARD.validate(wrong)


def test_relationships_lead_to_keys() -> None:
    contracts = {path.name: contract(path) for path in CONTRACTS}
    leads = [
        relation["to"]
        for one in contracts.values()
        for view in one["schema"]
        for column in view["properties"]
        for relation in column.get("relationships", ())
    ]

    assert len(leads) == 24
    for lead in leads:
        file, _, place = lead.partition("#/schema/")
        view, _, key = place.partition("/properties/")
        [found] = [one for one in contracts[file]["schema"] if one["id"] == view]
        assert [c["name"] for c in found["properties"] if c.get("primaryKey")] == [key]


COLUMNS = """
SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
RESULT = """
SELECT unnest(proargnames[pronargs + 1:]), format_type(unnest(proallargtypes[pronargs + 1:]), NULL)
FROM pg_proc WHERE oid = %s::regproc
"""


def test_contracts_say_what_the_reader_sees(platform: Platform) -> None:
    """By the name, type and place of each column; and nothing is seen that is in no contract."""
    dsn = platform.server.dsn(stack.READER, platform.warehouse_database)
    promised, seen = set(), set()
    with psycopg.connect(dsn, autocommit=True) as connection:
        for one in [view for path in CONTRACTS for view in contract(path)["schema"]]:
            name, is_function = one["physicalName"], one["physicalType"] == "function"
            found = connection.execute(RESULT if is_function else COLUMNS, [name]).fetchall()
            types = [(c["name"], c["physicalType"]) for c in one["properties"]]
            if is_function:  # PostgreSQL keeps no digits of a function's columns
                types = [(column, type_.partition("(")[0]) for column, type_ in types]
            assert found == types, name
            promised.add(name)
        seen = connection.execute(
            """
            SELECT nspname || '.' || relname
            FROM pg_class JOIN pg_namespace AS n ON n.oid = relnamespace
            WHERE nspname IN ('warehouse', 'reports') AND relkind IN ('r', 'v')
              AND has_table_privilege(pg_class.oid, 'SELECT')
            UNION ALL
            SELECT nspname || '.' || proname
            FROM pg_proc JOIN pg_namespace AS n ON n.oid = pronamespace
            WHERE nspname = 'reports' AND has_function_privilege(pg_proc.oid, 'EXECUTE')
            """
        ).fetchall()
    assert promised == {name for (name,) in seen}


# The data dictionary

# What the parser of Mermaid takes for a line of such a diagram: names without quotes, of one word.
_LINE = re.compile(
    r"    (\w+ \{|    \w+ \w+( [PF]K)?|\}|\w+ (\|\||\|o)--o\{ \w+ : \"\w+\")|erDiagram"
)


def test_diagrams_can_be_drawn() -> None:
    diagrams = re.findall(r"```mermaid\n(.*?)```", DICTIONARY, re.DOTALL)

    assert len(diagrams) == 3
    for diagram in diagrams:
        assert [line for line in diagram.splitlines() if not _LINE.fullmatch(line)] == []


def test_diagram_shows_each_reference() -> None:
    for fact in (star for star in STAR_TABLES.values() if star.references):
        for column, dimension in fact.references:
            assert f'{dimension} ||--o{{ {fact.name} : "{column}"' in DICTIONARY


def test_dictionary_explains_every_column_of_every_contract() -> None:
    for path in CONTRACTS:
        for one in contract(path)["schema"]:
            for column in one["properties"]:
                assert f"| `{column['name']}` | " in DICTIONARY
