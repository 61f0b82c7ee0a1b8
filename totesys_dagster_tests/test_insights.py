"""docs/insights.md, done as it is written: its queries over a lake with all that leads astray."""

from __future__ import annotations

import datetime as dt
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import sqlglot
from sqlglot import exp

from tools import render
from totesys_dagster import settings
from totesys_dagster.catalogue import STAR_TABLES, revision
from totesys_dagster.local import stack
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import DELETE_ORDER_1, EDIT_ORDER_1, new_sale

Rows = list[tuple[Any, ...]]
ROOT = Path(__file__).parents[1]
DOCUMENT = (ROOT / "docs" / "insights.md").read_text()
ORDER_1_AGAIN = """
    INSERT INTO sales_order VALUES (1, '2022-11-03 14:20:52.186', '2022-11-03 14:20:52.186', 1, 1,
        1, 5000, 2.75, 2, '2022-11-07', '2022-11-08', 2)
"""


def blocks(heading: str, language: str) -> list[str]:
    """The blocks of a language in a section of the document."""
    section = DOCUMENT[DOCUMENT.index(f"## {heading}") :].partition("\n## ")[0]
    return re.findall(rf"```{language}\n(.*?)```", section, re.DOTALL)


SET_UP, CURRENT, AS_OF, DELETIONS, ARRIVED = blocks("Query the lake with DuckDB", "sql")
TABLES, VIEW = blocks("Query the lake with Athena", "sql")
PROCESSED, INGESTION = "totesys_production_processed", "totesys_production_ingestion"

# What Athena would show of the lake, as DuckDB reads it: the hidden column "$path" has the place.
ATHENA = f"""
CREATE SCHEMA {PROCESSED};
CREATE SCHEMA {INGESTION};
CREATE VIEW {PROCESSED}.receipt_fact_sales_order AS FROM receipt;
CREATE VIEW {INGESTION}.manifest_sales_order AS
    SELECT sequence, {{'sales_order': {{'keys': keys}}}} AS tables FROM batch;
CREATE VIEW {INGESTION}.keys_sales_order AS
    SELECT ranges, replace(filename, getvariable('ingestion'), 's3://totesys-production-ingestion')
        AS "$path" FROM key_object;
CREATE VIEW {PROCESSED}.fact_sales_order_all AS
    SELECT * EXCLUDE (filename, batch),
        replace(filename, getvariable('processed'), 's3://totesys-production-processed') AS "$path"
    FROM read_parquet(getvariable('processed') || '/rows/fact_sales_order/v1-*/*/*.parquet',
        filename = true)
"""


class Lake:
    """The lake of a platform, asked as the document says: from the project's directory."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.asked = duckdb.connect()
        self.asked.execute("SET TimeZone TO 'Pacific/Auckland'")

    def rows(self, statements: str) -> Rows:
        """What the last of these statements gives, after it has re-created the tables."""
        self.asked.execute(SET_UP)
        return self.asked.execute(statements).fetchall()

    def as_of(self, moment: dt.datetime) -> Rows:
        set_moment, _, query = AS_OF.partition(";")
        self.asked.execute(SET_UP)
        self.asked.execute(set_moment)
        in_utc = moment.astimezone(dt.UTC).replace(tzinfo=None)
        self.asked.execute(f"SET VARIABLE moment = TIMESTAMP '{in_utc}'")
        return self.asked.execute(query).fetchall()

    def athena(self) -> Rows:
        """What Athena's view holds, in the columns of CURRENT but the time of day."""
        [statement] = sqlglot.parse(VIEW, read="athena")
        assert isinstance(statement, exp.Create)
        query = statement.expression.sql(dialect="duckdb")
        with duckdb.connect() as asked:
            asked.execute(SET_UP)
            asked.execute(ATHENA)
            return asked.execute(
                "SELECT sales_order_id, units_sold, unit_price, currency_id, agreed_delivery_date"
                f" FROM ({query}) ORDER BY 1"
            ).fetchall()


@pytest.fixture
def lake(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Lake]:
    """A lake where the embedded default has it, with one batch."""
    (tmp_path / ".totesys").mkdir()
    (tmp_path / ".totesys" / "lake").symlink_to(tmp_path)
    monkeypatch.chdir(tmp_path)
    platform.first()
    found = Lake(platform)
    yield found
    found.asked.close()


def folder(tmp_path: Path) -> Path:
    """Where the rows of sales orders are."""
    star = STAR_TABLES["fact_sales_order"]
    return tmp_path / "processed" / "rows" / star.name / revision(star)


def orders(platform: Platform) -> Rows:
    return platform.rows(
        "SELECT sales_order_id, units_sold, unit_price, currency_id, agreed_delivery_date,"
        " created_time FROM current_fact_sales_order ORDER BY 1"
    )


@pytest.mark.long
def test_current_rows_are_those_of_the_warehouse(lake: Lake) -> None:
    assert lake.rows(CURRENT) == orders(lake.platform)
    for edit in (EDIT_ORDER_1, new_sale(9), DELETE_ORDER_1, ORDER_1_AGAIN):
        lake.platform.application.execute(edit)
        lake.platform.run()

    found = lake.rows(CURRENT)
    assert [(row[0], row[1], row[2]) for row in found] == [
        (1, 5000, Decimal("2.75")),
        (2, 1001, Decimal("2.10")),
        (9, 2000, Decimal("2.10")),
    ]
    assert found == orders(lake.platform)


def test_what_no_receipt_names_is_not_read(lake: Lake, tmp_path: Path) -> None:
    """What a killed run left lies beside what it should have been, in a batch that came to be."""
    before = lake.rows(CURRENT)
    [part] = folder(tmp_path).rglob("*.parquet")
    other = pq.read_table(part, partitioning=None)
    units = pa.array([7] * other.num_rows, pa.int32())
    place = other.schema.get_field_index("units_sold")
    for batch in ("batch=0000000001", "batch=0000000002"):
        (folder(tmp_path) / batch).mkdir(exist_ok=True)
        orphan = folder(tmp_path) / batch / "part-00000-0badc0de.parquet"
        pq.write_table(other.set_column(place, other.schema.field(place), units), orphan)

    assert lake.rows(CURRENT) == before


def test_rows_of_another_declaration_are_not_read(lake: Lake, tmp_path: Path) -> None:
    before = lake.rows(CURRENT)
    receipts = tmp_path / "processed" / "receipts" / "fact_sales_order"
    other = folder(tmp_path).with_name("v2-0badc0de")
    shutil.copytree(folder(tmp_path), other)
    for part in other.rglob("*.parquet"):
        rows = pq.read_table(part, partitioning=None)
        pq.write_table(rows.drop_columns(["unit_price"]), part)
    shutil.copytree(receipts / folder(tmp_path).name, receipts / other.name)
    for receipt in (receipts / other.name).iterdir():
        receipt.write_text(receipt.read_text().replace(folder(tmp_path).name, other.name))

    assert lake.rows(CURRENT) == before


def test_rows_as_of_a_moment_are_what_totesys_held(lake: Lake) -> None:
    for edit in (EDIT_ORDER_1, DELETE_ORDER_1, ORDER_1_AGAIN):
        lake.platform.application.execute(edit)
        lake.platform.run()
    observed = lake.platform.rows("SELECT observed_at FROM batch ORDER BY sequence")
    price, again = Decimal("3.94"), Decimal("2.75")
    other = (2, 1001, Decimal("2.10"), 2)

    assert [lake.as_of(moment) for (moment,) in observed] == [
        [(1, 42972, price, 1), other],
        [(1, 42972, price, 2), other],
        [other],
        [(1, 5000, again, 1), other],
    ]
    assert lake.as_of(observed[0][0] - dt.timedelta(microseconds=1)) == []
    for (moment,) in observed:
        expected = lake.platform.warehouse.execute(
            "SELECT sales_order_id, units_sold, unit_price, design_id FROM reports.orders_at(%s)"
            " ORDER BY 1",
            [moment],
        ).fetchall()
        assert lake.as_of(moment) == expected


@pytest.mark.long
def test_deletions_are_the_tombstones_of_the_warehouse(lake: Lake) -> None:
    for edit in (DELETE_ORDER_1, ORDER_1_AGAIN, "DELETE FROM sales_order WHERE sales_order_id = 1"):
        lake.platform.application.execute(edit)
        lake.platform.run()

    found = lake.rows(DELETIONS)
    assert [(row[0], row[1], row[3], row[4], row[5]) for row in found] == [
        (1, 2, 42972, Decimal("3.94"), True),
        (1, 4, 5000, Decimal("2.75"), False),
    ]
    tombstones = (
        "SELECT sales_order_id, batch_seq FROM fact_sales_order WHERE is_deleted ORDER BY 2"
    )
    assert [row[:2] for row in found] == lake.platform.rows(tombstones)


@pytest.mark.long
def test_full_read_shows_what_is_gone(lake: Lake) -> None:
    """Its receipt lists no deleted keys: they are what its manifest does not list."""
    lake.platform.application.execute(DELETE_ORDER_1)
    lake.platform.run(full=("sales_order",))

    assert lake.rows("SELECT reconcile FROM receipt ORDER BY sequence")[-1] == (True,)
    assert lake.rows(CURRENT) == orders(lake.platform)
    assert [row[:2] for row in lake.rows(DELETIONS)] == [(1, 2)]


@pytest.mark.long
def test_sets_of_many_keys_are_read_from_their_objects(lake: Lake) -> None:
    for order_id in range(10, 90):
        lake.platform.application.execute(new_sale(order_id))
    lake.platform.run()
    for table in ("payment", "transaction", "sales_order"):
        delete = f"DELETE FROM {table} WHERE {table}_id >= 10 AND {table}_id % 2 = 0"
        lake.platform.application.execute(delete.encode())
    lake.platform.run()
    assert len(lake.rows("FROM key_object WHERE len(ranges) > 32")) == 1
    assert lake.rows(CURRENT) == orders(lake.platform)

    lake.platform.run(full=("sales_order",))
    assert lake.rows(CURRENT) == orders(lake.platform)


@pytest.mark.long
def test_table_that_lost_all_its_rows_is_empty(lake: Lake) -> None:
    for table in ("payment", "transaction", "sales_order"):
        lake.platform.application.execute(f"DELETE FROM {table}".encode())
    lake.platform.run(full=("sales_order",))

    assert lake.rows(CURRENT) == []


def test_money_that_arrived_is_exact(lake: Lake) -> None:
    lake.platform.application.execute(
        "UPDATE payment SET payment_amount = 99999999.99 WHERE payment_id = 3"
    )
    lake.platform.run()

    assert lake.rows(ARRIVED) == [
        (1, Decimal("169309.68"), 67305075, "0000000001"),
        (2, Decimal("134075.69"), 81718079, "0000000001"),
        (3, Decimal("2102.10"), 67305075, "0000000001"),
        (3, Decimal("99999999.99"), 67305075, "0000000002"),
    ]


# Athena


def test_statements_are_of_athenas_dialect() -> None:
    tables = [one for one in sqlglot.parse(TABLES, read="athena") if one]
    [view] = [one for one in sqlglot.parse(VIEW, read="athena") if one]

    assert [(one.key, one.kind) for one in [*tables, view]] == [
        *[("create", "TABLE")] * 3,
        ("create", "VIEW"),
    ]
    assert all("STRUCT<" in one.sql("athena") or "ARRAY<" in one.sql("athena") for one in tables)


def test_view_of_athena_reads_tables_that_are_declared() -> None:
    """By terraform's catalogue, or by the statements before it."""
    declared = json.loads(render.ATHENA.read_text())
    [view] = [one for one in sqlglot.parse(VIEW, read="athena") if one]
    named = {
        (one.db, one.name)
        for statement in sqlglot.parse(TABLES, read="athena")
        if statement
        for one in statement.find_all(exp.Table)
    }
    read = {(one.db, one.name) for one in view.expression.find_all(exp.Table) if one.db}

    assert read - named == {(PROCESSED, "fact_sales_order_all")}
    assert "fact_sales_order" in declared["processed"]


def test_view_of_athena_has_the_current_rows(lake: Lake, tmp_path: Path) -> None:
    """In its translation: after a deletion and a comeback, a full read, and sets of many keys."""
    for order_id in range(10, 90):
        lake.platform.application.execute(new_sale(order_id))
    for edit in (EDIT_ORDER_1, DELETE_ORDER_1, ORDER_1_AGAIN):
        lake.platform.application.execute(edit)
        lake.platform.run()
    for table in ("payment", "transaction", "sales_order"):
        delete = f"DELETE FROM {table} WHERE {table}_id >= 10 AND {table}_id % 2 = 0"
        lake.platform.application.execute(delete.encode())
    lake.platform.run()
    assert lake.athena() == [row[:5] for row in orders(lake.platform)]

    lake.platform.application.execute("DELETE FROM payment WHERE payment_id = 3")
    lake.platform.application.execute("DELETE FROM transaction WHERE transaction_id = 3")
    lake.platform.application.execute("DELETE FROM sales_order WHERE sales_order_id = 2")
    lake.platform.run(full=("sales_order",))
    part = next(folder(tmp_path).rglob("*.parquet"))
    shutil.copy(part, part.with_name("part-00000-0badc0de.parquet"))
    found = lake.athena()
    assert found == [row[:5] for row in orders(lake.platform)]
    assert [row[0] for row in found][:3] == [1, 11, 13]


# The notebook


@pytest.mark.long
def test_notebook_answers_as_the_reader(platform: Platform, tmp_path: Path) -> None:
    platform.first()
    asked = {
        **os.environ,
        settings.WAREHOUSE_READER_DSN: platform.server.dsn(
            stack.READER, platform.warehouse_database
        ),
    }
    done = subprocess.run(
        [sys.executable, ROOT / "docs" / "insights_notebook.py"],
        env=asked,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stderr
    answers = done.stdout.split("\n\n")
    assert [answer.partition("\n")[0] for answer in answers if answer] == [
        "How much did we sell, by month and currency?",
        "What is overdue today, and why?",
        "Where do we deliver?",
        "Who sells how much?",
        "Which deliveries were moved furthest?",
    ]
    assert re.search(r"2022-11-01 +GBP +1 +2102\.10 +False", answers[0])
    assert re.search(r"2022-11-01 +USD +1 +169309\.68 +False", answers[0])
    assert re.search(r"payable +EUR +.+ 1 +134075\.69", answers[1])
    assert "Jeremie O'Keefe" in answers[3]
