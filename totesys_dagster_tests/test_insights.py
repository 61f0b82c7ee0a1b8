"""docs/insights.md, done as it is written: its queries over a lake with all that leads astray."""

from __future__ import annotations

import datetime as dt
import re
import shutil
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from totesys_dagster.catalogue import STAR_TABLES, revision
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


SET_UP, CURRENT, AS_OF, DELETIONS, ARRIVED = blocks("Ask the lake with DuckDB", "sql")


class Lake:
    """The lake of a platform, asked as the document says: from the project's directory."""

    def __init__(self, platform: Platform) -> None:
        self.platform = platform
        self.asked = duckdb.connect()
        self.asked.execute("SET TimeZone TO 'Pacific/Auckland'")

    def rows(self, statements: str) -> Rows:
        """What the last of these statements gives, with the tables made anew."""
        self.asked.execute(SET_UP)
        return self.asked.execute(statements).fetchall()

    def as_of(self, moment: dt.datetime) -> Rows:
        set_moment, _, query = AS_OF.partition(";")
        self.asked.execute(SET_UP)
        self.asked.execute(set_moment)
        in_utc = moment.astimezone(dt.UTC).replace(tzinfo=None)
        self.asked.execute(f"SET VARIABLE moment = TIMESTAMP '{in_utc}'")
        return self.asked.execute(query).fetchall()


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


def test_deletions_are_the_tombstones_of_the_warehouse(lake: Lake) -> None:
    for edit in (DELETE_ORDER_1, ORDER_1_AGAIN, "DELETE FROM sales_order WHERE sales_order_id = 1"):
        lake.platform.application.execute(edit)
        lake.platform.run()

    found = lake.rows(DELETIONS)
    assert [(row[0], row[1], row[3], row[4], row[5]) for row in found] == [
        (1, 2, 42972, Decimal("3.94"), True),
        (1, 4, 5000, Decimal("2.75"), False),
    ]
    tombstones = "SELECT sales_order_id, batch_seq FROM fact_sales_order WHERE is_deleted ORDER BY 2"
    assert [row[:2] for row in found] == lake.platform.rows(tombstones)


def test_full_read_shows_what_is_gone(lake: Lake) -> None:
    """Its receipt lists no deleted keys: they are what its manifest does not list."""
    lake.platform.application.execute(DELETE_ORDER_1)
    lake.platform.run(full=("sales_order",))

    assert lake.rows("SELECT reconcile FROM receipt ORDER BY sequence")[-1] == (True,)
    assert lake.rows(CURRENT) == orders(lake.platform)
    assert [row[:2] for row in lake.rows(DELETIONS)] == [(1, 2)]


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
