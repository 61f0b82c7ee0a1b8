"""The path over all rows of the real ToteSys, compared with SQL written for this test alone.

The rows are not part of the project. REAL_ROWS names a directory with one Parquet file for each of
the eleven tables; without it, and without the directory below beside the project, the tests skip.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from decimal import Decimal
from pathlib import Path

import psycopg
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as pa_csv
import pyarrow.parquet as pq
import pytest
from psycopg import sql

from totesys_dagster import settings
from totesys_dagster.catalogue import SOURCE_TABLES, Type
from totesys_dagster.local import stack
from totesys_dagster.local.server import Server

PROJECT = Path(__file__).parent.parent
ROWS = Path(os.environ.get("REAL_ROWS", PROJECT.parent / "shared" / "data" / "totesys_2024-11-15"))

pytestmark = pytest.mark.skipif(
    not ROWS.is_dir(),
    reason=f"the real rows of ToteSys are not here ({ROWS.name}): set REAL_ROWS to their directory",
)

# Parents before children, as the foreign keys want them.
LOAD_ORDER = (
    "address",
    "currency",
    "department",
    "design",
    "payment_type",
    "counterparty",
    "staff",
    "sales_order",
    "purchase_order",
    "transaction",
    "payment",
)


def exact(table: str) -> pa.Table:
    """The rows of a Parquet file in the source's types.

    Money there is a binary float with two decimals: it is rounded to cents in text, never cast.
    """
    rows = pq.read_table(ROWS / f"{table}.parquet")
    columns = []
    for column in SOURCE_TABLES[table].columns:
        values = rows[column.name]
        if column.type is Type.MONEY:
            texts = [None if v is None else f"{v:.2f}" for v in values.to_pylist()]
            values = pa.array([t and Decimal(t) for t in texts], pa.decimal128(10, 2))
        elif column.type is Type.INTEGER and pa.types.is_floating(values.type):
            values = pc.if_else(pc.is_nan(values), None, values).cast(pa.int32())
        columns.append(values)
    return pa.table(columns, names=list(SOURCE_TABLES[table].column_names))


def fill(connection: psycopg.Connection) -> None:
    for table in LOAD_ORDER:
        names = sql.SQL(", ").join(map(sql.Identifier, SOURCE_TABLES[table].column_names))
        copy = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT csv)").format(sql.Identifier(table), names)
        sink = pa.BufferOutputStream()
        pa_csv.write_csv(exact(table), sink, pa_csv.WriteOptions(include_header=False))
        with connection.cursor() as cursor, cursor.copy(copy) as stream:
            stream.write(bytes(sink.getvalue()))


class Loaded:
    """Both databases after one `totesys run`, and its report."""

    def __init__(self, source: psycopg.Connection, warehouse: psycopg.Connection, report: dict):  # type: ignore[type-arg]
        self.source = source
        self.warehouse = warehouse
        self.report = report

    def same(self, over_source: str, over_warehouse: str) -> int:
        """Assert that two queries give the same rows, and return how many."""
        expected = self.source.execute(over_source).fetchall()  # type: ignore[arg-type]
        found = self.warehouse.execute(over_warehouse).fetchall()  # type: ignore[arg-type]
        assert sorted(map(repr, found)) == sorted(map(repr, expected))
        return len(found)


@pytest.fixture(scope="module")
def loaded(
    server: Server,
    new_database: Callable[..., str],
    bare_template: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Loaded]:
    """The real rows, taken the whole way by the command line and settings alone."""
    home = tmp_path_factory.mktemp("real")
    (home / "dagster.yaml").write_text((PROJECT / "dagster.yaml").read_text())
    source, warehouse = new_database(stack.APPLICATION, bare_template), new_database(stack.LOADER)
    with (
        psycopg.connect(server.dsn(stack.APPLICATION, source), autocommit=True) as source_,
        psycopg.connect(server.dsn(stack.LOADER, warehouse), autocommit=True) as warehouse_,
    ):
        fill(source_)
        done = subprocess.run(
            [sys.executable, "-m", "totesys_dagster.cli", "run", "--json"],
            cwd=home,
            env={
                **os.environ,
                settings.SOURCE_DSN: server.dsn(stack.EXTRACTOR, source),
                settings.WAREHOUSE_DSN: server.dsn(stack.LOADER, warehouse),
                settings.INGESTION_URL: str(home / "ingestion"),
                settings.PROCESSED_URL: str(home / "processed"),
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        yield Loaded(source_, warehouse_, json.loads(done.stdout))


def test_no_row_is_lost_or_quarantined(loaded: Loaded) -> None:
    [batch] = loaded.report["batches"]

    for table in SOURCE_TABLES:
        count = loaded.source.execute(
            sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table))
        ).fetchone()
        assert (batch["captured"][table]["rows"],) == count
    assert all(table["quarantined"] == 0 for table in batch["tables"].values())
    assert all(table["audit"]["equal"] for table in batch["tables"].values())
    assert loaded.report["equal"] is True


@pytest.mark.parametrize(
    ("source", "star"),
    [
        ("address", "dim_location"),
        ("counterparty", "dim_counterparty"),
        ("currency", "dim_currency"),
        ("design", "dim_design"),
        ("payment", "fact_payment"),
        ("payment_type", "dim_payment_type"),
        ("purchase_order", "fact_purchase_order"),
        ("sales_order", "fact_sales_order"),
        ("staff", "dim_staff"),
        ("transaction", "dim_transaction"),
    ],
)
def test_row_counts_are_equal(loaded: Loaded, source: str, star: str) -> None:
    loaded.same(f"SELECT count(*) FROM {source}", f"SELECT count(*) FROM warehouse.{star}")


@pytest.mark.parametrize(
    ("over_source", "over_warehouse"),
    [
        (
            "SELECT currency_id, sum(units_sold * unit_price) FROM sales_order GROUP BY 1",
            (
                "SELECT currency_id, sum(units_sold * unit_price)"
                " FROM warehouse.current_fact_sales_order GROUP BY 1"
            ),
        ),
        (
            (
                "SELECT currency_id, sum(item_quantity * item_unit_price) FROM purchase_order"
                " GROUP BY 1"
            ),
            (
                "SELECT currency_id, sum(item_quantity * item_unit_price)"
                " FROM warehouse.current_fact_purchase_order GROUP BY 1"
            ),
        ),
        (
            "SELECT currency_id, paid, sum(payment_amount) FROM payment GROUP BY 1, 2",
            (
                "SELECT currency_id, paid, sum(payment_amount)"
                " FROM warehouse.current_fact_payment GROUP BY 1, 2"
            ),
        ),
    ],
)
def test_money_is_equal_to_the_cent(loaded: Loaded, over_source: str, over_warehouse: str) -> None:
    assert loaded.same(over_source, over_warehouse)


def test_every_member_of_staff_is_equal(loaded: Loaded) -> None:
    assert loaded.same(
        "SELECT s.staff_id, s.first_name, s.last_name, d.department_name, d.location,"
        " s.email_address FROM staff AS s, department AS d WHERE d.department_id = s.department_id",
        "SELECT staff_id, first_name, last_name, department_name, location, email_address"
        " FROM warehouse.dim_staff",
    )


def test_every_counterparty_is_equal(loaded: Loaded) -> None:
    assert loaded.same(
        "SELECT c.counterparty_id, c.counterparty_legal_name, a.address_line_1, a.address_line_2,"
        " a.district, a.city, a.postal_code, a.country, a.phone"
        " FROM counterparty AS c, address AS a WHERE a.address_id = c.legal_address_id",
        "SELECT counterparty_id, counterparty_legal_name, counterparty_legal_address_line_1,"
        " counterparty_legal_address_line_2, counterparty_legal_district, counterparty_legal_city,"
        " counterparty_legal_postal_code, counterparty_legal_country,"
        " counterparty_legal_phone_number FROM warehouse.dim_counterparty",
    )


def test_every_location_is_equal(loaded: Loaded) -> None:
    assert loaded.same(
        "SELECT address_id, address_line_1, address_line_2, district, city, postal_code, country,"
        " phone FROM address",
        "SELECT location_id, address_line_1, address_line_2, district, city, postal_code, country,"
        " phone FROM warehouse.dim_location",
    )


def test_every_payment_is_equal(loaded: Loaded) -> None:
    assert loaded.same(
        "SELECT payment_id, created_at::date, created_at::time, last_updated::date,"
        " last_updated::time, transaction_id, counterparty_id, payment_amount, currency_id,"
        " payment_type_id, paid, payment_date::date FROM payment",
        "SELECT payment_id, created_date, created_time, last_updated_date, last_updated_time,"
        " transaction_id, counterparty_id, payment_amount, currency_id, payment_type_id, paid,"
        " payment_date FROM warehouse.fact_payment",
    )


def test_every_order_is_equal(loaded: Loaded) -> None:
    assert loaded.same(
        "SELECT sales_order_id, created_at::date, created_at::time, last_updated::date,"
        " last_updated::time, staff_id, counterparty_id, units_sold, unit_price, currency_id,"
        " design_id, agreed_payment_date::date, agreed_delivery_date::date,"
        " agreed_delivery_location_id FROM sales_order",
        "SELECT sales_order_id, created_date, created_time, last_updated_date, last_updated_time,"
        " sales_staff_id, counterparty_id, units_sold, unit_price, currency_id, design_id,"
        " agreed_payment_date, agreed_delivery_date, agreed_delivery_location_id"
        " FROM warehouse.fact_sales_order",
    )
    assert loaded.same(
        "SELECT purchase_order_id, created_at::date, created_at::time, last_updated::date,"
        " last_updated::time, staff_id, counterparty_id, item_code, item_quantity,"
        " item_unit_price, currency_id, agreed_delivery_date::date, agreed_payment_date::date,"
        " agreed_delivery_location_id FROM purchase_order",
        "SELECT purchase_order_id, created_date, created_time, last_updated_date,"
        " last_updated_time, staff_id, counterparty_id, item_code, item_quantity, item_unit_price,"
        " currency_id, agreed_delivery_date, agreed_payment_date, agreed_delivery_location_id"
        " FROM warehouse.fact_purchase_order",
    )


def test_transactions_designs_and_codes_are_equal(loaded: Loaded) -> None:
    for over_source, over_warehouse in (
        (
            (
                "SELECT transaction_id, transaction_type::text, sales_order_id, purchase_order_id"
                " FROM transaction"
            ),
            (
                "SELECT transaction_id, transaction_type, sales_order_id, purchase_order_id"
                " FROM warehouse.dim_transaction"
            ),
        ),
        (
            "SELECT design_id, design_name, file_location, file_name FROM design",
            "SELECT design_id, design_name, file_location, file_name FROM warehouse.dim_design",
        ),
        (
            "SELECT payment_type_id, payment_type_name::text FROM payment_type",
            "SELECT payment_type_id, payment_type_name FROM warehouse.dim_payment_type",
        ),
    ):
        assert loaded.same(over_source, over_warehouse)
    names = loaded.warehouse.execute("SELECT * FROM warehouse.dim_currency ORDER BY 1").fetchall()
    assert [name for _, _, name, *_ in names] == ["Pound Sterling", "US Dollar", "Euro"]


def test_calendar_covers_every_date_without_a_gap(loaded: Loaded) -> None:
    row = loaded.warehouse.execute(
        "SELECT count(*) = max(date_id) - min(date_id) + 1 FROM warehouse.dim_date"
    ).fetchone()
    assert row == (True,)
    loaded.same(
        """
        SELECT min(day), max(day) FROM (
            SELECT unnest(ARRAY[created_at::date, last_updated::date, agreed_delivery_date::date,
                                agreed_payment_date::date]) FROM sales_order
            UNION SELECT unnest(ARRAY[created_at::date, last_updated::date,
                                agreed_delivery_date::date, agreed_payment_date::date])
            FROM purchase_order
            UNION SELECT unnest(ARRAY[created_at::date, last_updated::date, payment_date::date])
            FROM payment) AS days (day)
        """,
        "SELECT min(date_id), max(date_id) FROM warehouse.dim_date",
    )
