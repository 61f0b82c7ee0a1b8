"""Names and texts that are made to break out of SQL, JSON, COPY, markup or a format string.

All of them are archived, compared and shown as what they are, and none is carried out.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from totesys_dagster import settings
from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.definitions import defs
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.raw import RawTable
from totesys_dagster.lake.schemas import read_schema
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.operations.verify import verify
from totesys_dagster.orchestration.whole_path import run_path
from totesys_dagster.postgres.sessions import Names
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.warehouse import schema
from totesys_dagster.warehouse.load import load_batch
from totesys_dagster.warehouse.status import table_status
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1
from totesys_dagster_tests.orchestra import Orchestra

pytestmark = pytest.mark.long

HOSTILE = [
    '"; DROP TABLE sales_order; --',
    "'; DROP TABLE sales_order; --",
    "x) FROM design; DROP TABLE payment; --",
    "*/ DROP TABLE payment /*",
    'a"b',
    "a'b",
    "a\\b\\",
    "a\nb\r\nc",
    "\x01\x02\x1f\t",
    "select",
    "xmin_",
    "{x}",
    "{0}{}{{",
    "%s",
    "%(x)s",
    "100 %",
    "$1",
    "$$",
    ':"bookkeeping"',
    "[/red][bold]",
    "<script>alert(1)</script>",
    "|`*_#",
    "ключ",
    "😀",
    "e\u0301",
    "\u202eabc\u2028",
    "ö" * 31,
    "n" * 63,
]

WAREHOUSES = [
    '"; DROP SCHEMA warehouse CASCADE; --',
    "'; DROP SCHEMA warehouse; --",
    'a"b',
    "a'b",
    "a\\b",
    "select",
    "{x}",
    "{schema}",
    ':"bookkeeping"',
    ":'schema'",
    "$$",
    "$1",
    "a.b",
    "a b, public",
    "😀",
    "ö" * 25,
    "n" * 51,
]


def add_columns(platform: Platform, table: str) -> None:
    """Every hostile name as a column, whose value is the name and a bit more."""
    for number, name in enumerate(HOSTILE):
        platform.application.execute(
            sql.SQL("ALTER TABLE {} ADD {} text DEFAULT {}").format(
                sql.Identifier(table), sql.Identifier(name), sql.Literal(f"{name}{number}")
            )
        )


def tables_of(connection: psycopg.Connection) -> list[tuple[str, str]]:
    query = """
        SELECT schemaname, tablename FROM pg_tables
        WHERE schemaname NOT IN ('pg_catalog', 'information_schema') ORDER BY 1, 2
    """
    return connection.execute(query).fetchall()


def take(orchestra: Orchestra) -> int:
    lake, source, warehouse = Lake(), SourceDatabase(), Warehouse()
    return len(run_path(orchestra.instance, defs.resolve_job_def, source, lake, warehouse))


def test_columns_of_any_name_are_archived_exactly(orchestra: Orchestra) -> None:
    """In a fact, in both sides of a join, and in what Dagster shows."""
    platform = orchestra.platform
    assert take(orchestra) == 1
    changed = ("sales_order", "staff", "department")
    for table in changed:
        add_columns(platform, table)
    before = tables_of(platform.application), tables_of(platform.warehouse)
    assert take(orchestra) == 1
    manifest = ManifestLog(platform.ingestion).read(2)

    assert (tables_of(platform.application), tables_of(platform.warehouse)) == before
    for table in changed:
        raw = RawTable(SOURCE_TABLES[table], manifest, platform.ingestion)
        lines = b"".join(raw.parts()).removesuffix(b"\n").split(b"\n")
        query = sql.SQL("SELECT * FROM {} ORDER BY 1").format(sql.Identifier(table))
        cursor = platform.application.execute(query)
        names = [column.name for column in cursor.description or ()]
        rows = sorted((json.loads(line) for line in lines), key=lambda row: row[f"{table}_id"])
        assert names[-len(HOSTILE) :] == HOSTILE
        for line, row in zip(rows, cursor.fetchall(), strict=True):
            assert list(line) == names
            assert [line[name] for name in HOSTILE] == list(row[-len(HOSTILE) :])
        schema = read_schema(platform.ingestion, table, manifest.tables[table].schema_sha256)
        assert [name for name, _, _ in schema.columns] == names
    # Deltas and joins name the columns again.
    platform.application.execute(EDIT_ORDER_1)
    platform.application.execute("UPDATE department SET location = 'x' WHERE department_id = 1")
    assert take(orchestra) == 1
    assert (
        verify(platform.warehouse, platform.names, platform.ingestion, platform.processed).findings
        == []
    )


def test_tables_of_any_name_are_told_of(orchestra: Orchestra) -> None:
    platform = orchestra.platform
    for name in HOSTILE:
        platform.application.execute(
            sql.SQL("CREATE TABLE {} (a int)").format(sql.Identifier(name))
        )
    before = tables_of(platform.application)
    assert take(orchestra) == 1
    head = ManifestLog(platform.ingestion).head()

    assert tables_of(platform.application) == before
    assert head is not None
    assert sorted(head.unknown_tables) == sorted(HOSTILE)


def test_texts_of_any_kind_arrive_exactly(platform: Platform) -> None:
    """As values of rows that are processed, of dimensions and of a fact."""
    for number, text in enumerate(HOSTILE, start=10):
        platform.application.execute(
            "INSERT INTO design VALUES (%s, now(), %s, %s, %s, now())", [number, text, text, text]
        )
        platform.application.execute(
            "INSERT INTO purchase_order SELECT %s, created_at, last_updated, staff_id,"
            " counterparty_id, %s, 1, 1, currency_id, agreed_delivery_date, agreed_payment_date,"
            " agreed_delivery_location_id FROM purchase_order WHERE purchase_order_id = 1",
            [number, text],
        )
    before = tables_of(platform.application), tables_of(platform.warehouse)
    loaded = platform.run()

    assert (tables_of(platform.application), tables_of(platform.warehouse)) == before
    assert loaded is not None
    assert all(audit.equal for audit in loaded.audits.values())
    query = "SELECT design_name FROM dim_design WHERE design_id >= 10 ORDER BY design_id"
    assert [text for (text,) in platform.rows(query)] == HOSTILE
    query = "SELECT item_code FROM fact_purchase_order WHERE purchase_order_id >= 10 ORDER BY 1"
    assert sorted(text for (text,) in platform.rows(query)) == sorted(HOSTILE)


@pytest.mark.parametrize("name", WAREHOUSES)
def test_warehouse_of_any_name_is_a_warehouse(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Made, loaded twice, audited, shown, verified and rebuilt; the one beside it is left alone."""
    monkeypatch.setenv(settings.WAREHOUSE_SCHEMA, name)
    names = Names(settings.warehouse_schema())
    usual = tables_of(platform.warehouse)
    schema.migrate(platform.warehouse, names)
    for statement in ("SELECT", EDIT_ORDER_1):
        platform.application.execute(statement)  # type: ignore[call-overload]
        manifest = platform.capture()
        assert manifest is not None
        platform.process(manifest)
        loaded = load_batch(
            platform.warehouse,
            names,
            manifest,
            platform.ingestion,
            platform.processed,
            quarantine_limit=0,
        )
        assert all(audit.equal for audit in loaded.audits.values())
    by_hand = sql.SQL("UPDATE {} SET file_name = 'x'").format(names.table("dim_design"))
    platform.warehouse.execute(by_hand)
    rebuilt = rebuild(
        platform.warehouse,
        names,
        platform.ingestion,
        platform.processed,
        quarantine_limit=0,
    )
    found = verify(platform.warehouse, names, platform.ingestion, platform.processed)

    assert rebuilt.different is not None
    assert {star for star, count in rebuilt.different.items() if count} == {"dim_design"}
    assert found.findings == []
    assert all(
        table.standing.equal
        for table in table_status(platform.warehouse, names)
        if table.standing.equal is not None
    )
    renamed = {"warehouse": name, "warehouse_bookkeeping": f"{name}_bookkeeping"}
    assert set(tables_of(platform.warehouse)) == {
        *usual,
        *((renamed[place], table) for place, table in usual),
    }
    assert platform.rows("TABLE batch") == []


@pytest.mark.parametrize("name", ['a"b', "a b\\c", "a';x"])
def test_psql_opens_in_the_warehouse_of_any_name(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, name: str, tmp_path: Path
) -> None:
    monkeypatch.setenv(settings.WAREHOUSE_SCHEMA, name)
    schema.migrate(platform.warehouse, Names(name))
    command = [sys.executable, "-m", "totesys_dagster.cli", "psql", "--write", "--"]
    asked = ["-Atc", "SELECT unnest(current_schemas(FALSE))"]
    done = subprocess.run(
        [*command, *asked], cwd=tmp_path, capture_output=True, text=True, check=False
    )

    assert name in done.stdout.splitlines(), done.stderr
