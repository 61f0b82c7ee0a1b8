"""Rows become the same values in PostgreSQL whether they are copied in binary format or as CSV."""

from __future__ import annotations

import datetime as dt
import os
import runpy
import subprocess
import sys
from collections.abc import Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from psycopg import errors, sql

from totesys_dagster.catalogue import FEED_TABLES, STAR_TABLES
from totesys_dagster.catalogue.model import Type
from totesys_dagster.catalogue.star_columns import given
from totesys_dagster.operations.verify import verify
from totesys_dagster.postgres.sessions import Connection, transaction
from totesys_dagster.warehouse import copy
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import DELETE_ORDER_1, EDIT_ORDER_1, new_design, new_sale
from totesys_dagster_tests.warehouse.conftest import bad_payment

FORMATS = ("binary", "csv")
TABLES = (*STAR_TABLES.values(), *FEED_TABLES.values())
TESTS = Path(__file__).parents[1]

MOMENTS = [
    dt.datetime.fromisoformat(f"{moment}+00:00")
    for moment in (
        "0001-01-01T00:00:00",
        "1999-12-31T23:59:59.999999",
        "2024-03-31T01:30:00",
        "2024-10-27T01:30:00.000001",
        "9999-12-31T23:59:59.999999",
    )
]
TEXTS = (
    "",
    *(" ", "  a", "a  ", "\t", "\x01", "\x7f", "'", "Ä", "€", "𝕏", "\u2028", "\ufeff", "e\u0301"),
    *('"', '""', '"a"', 'a"b', ",", "a,b", '",', ',"', ";", "|"),
    *("\n", "\r", "\r\n", "a\nb", "a\rb", '"\n"', "\n\n"),
    *("\\", "\\\\", "\\.", "\\.\n", "\n\\.\n", "a\n\\.", "\r\n\\.\r\n", "\\N", "\\n", '\\"'),
    *("NULL", "null", "N", "true", "0", "-1E5", "2024-11-15"),
    "a" * 255,
)
VALUES: dict[pa.DataType, Sequence[Any]] = {
    pa.int32(): (-(2**31), -1, 0, 1, 2**31 - 1),
    pa.int64(): (-(2**63), -1, 0, 1, 2**53 + 1, 2**63 - 1),
    pa.bool_(): (True, False),
    pa.string(): TEXTS,
    pa.date32(): (
        *(dt.date(1, 1, 1), dt.date(99, 12, 31), dt.date(1582, 10, 10), dt.date(1900, 2, 28)),
        *(dt.date(1970, 1, 1), dt.date(2000, 2, 29), dt.date(2199, 12, 31), dt.date(9999, 12, 31)),
    ),
    pa.time64("us"): (dt.time(0), dt.time(0, 0, 0, 1), dt.time(12, 30), dt.time.max),
    pa.timestamp("us"): [moment.replace(tzinfo=None) for moment in MOMENTS],
    pa.timestamp("us", "UTC"): MOMENTS,
}


def values(type_: pa.DataType) -> list[Any]:
    """NULL, and values that such a column can hold and that are easily spoilt."""
    if pa.types.is_decimal(type_):
        step = Decimal(1).scaleb(-type_.scale)
        most = step * (10**type_.precision - 1)
        return [None, 0 * step, step, -step, 10 * step, 1 + 0 * step, most, -most, most - step]
    return [None, *VALUES[type_]]


def columns() -> list[tuple[pa.DataType, str]]:
    """The types that columns of tables have or can have, in Arrow and in PostgreSQL, and that of
    the moments of the lineage."""
    declared = [column for table in TABLES for column in table.columns]
    declared += [given("of_a_file", type_, "May be in a contract.") for type_ in Type]
    pairs = [(column.arrow_type, column.sql_type) for column in declared]
    return [*dict.fromkeys([*pairs, (pa.timestamp("us", "UTC"), "timestamp with time zone")])]


@pytest.fixture
def connection(admin: psycopg.Connection) -> Iterator[Connection]:
    """In a transaction, as all that copies."""
    with transaction(admin):
        yield admin


@pytest.fixture(params=FORMATS)
def each_format(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    if request.param == "binary":
        pytest.importorskip("pgpq")
    monkeypatch.setattr(copy, "FORMAT", request.param)


def copied(
    connection: Connection, sql_types: Sequence[str], tables: Sequence[pa.Table]
) -> list[tuple[Any, ...]]:
    """The rows of a table of these types into which tables are copied."""
    target = sql.Identifier("copied")
    declared = sql.SQL(", ").join(
        sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(type_))
        for name, type_ in zip(tables[0].column_names, sql_types, strict=True)
    )
    connection.execute(sql.SQL("CREATE TEMP TABLE {} ({})").format(target, declared))
    count = copy.copy_in(connection, target, tables[0].schema, tables)
    assert count == sum(map(len, tables))
    # As it prints itself, too: 1 is not 1.00, though they are equal.
    return connection.execute("SELECT copied::text, copied.* FROM copied ORDER BY ctid").fetchall()


@pytest.mark.usefixtures("each_format")
@pytest.mark.parametrize(("type_", "sql_type"), columns(), ids=str)
def test_every_value_arrives_as_it_is(
    connection: Connection, type_: pa.DataType, sql_type: str
) -> None:
    here = values(type_)
    table = pa.table(
        {"n": range(len(here)), "a": pa.array(here, type_), "b": pa.array(here[::-1], type_)}
    )

    rows = copied(connection, ["bigint", sql_type, sql_type], [table])

    assert [row[1:] for row in rows] == [*zip(range(len(here)), here, here[::-1], strict=True)]


def test_both_formats_give_rows_that_print_alike(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pgpq")
    longest = max(len(values(type_)) for type_, _ in columns())
    all_ = [[*values(type_), *[None] * longest][:longest] for type_, _ in columns()]
    arrays = [pa.array(one, type_) for one, (type_, _) in zip(all_, columns(), strict=True)]
    # Names with what SQL and CSV take for something else.
    table = pa.table(arrays, [f'{n}, "x"' for n in range(len(arrays))])
    found = {}
    for format_ in FORMATS:
        monkeypatch.setattr(copy, "FORMAT", format_)
        found[format_] = copied(connection, [sql_type for _, sql_type in columns()], [table])
        connection.execute("DROP TABLE copied")

    assert len(found["csv"]) == longest
    assert found["csv"] == found["binary"]


@pytest.mark.usefixtures("each_format")
def test_one_column_of_text_arrives_as_it_is(connection: Connection) -> None:
    texts = [None, *TEXTS, None, None, "", None]

    rows = copied(connection, ["text"], [pa.table({"a": texts})])

    assert [text for _, text in rows] == texts


@pytest.mark.usefixtures("each_format")
def test_parts_arrive_in_their_order(
    connection: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(copy, "ROWS_AT_ONCE", 2)
    parts = [pa.table({"a": pa.array(part, pa.int32())}) for part in ([], range(5), [], [5])]

    assert [row[1] for row in copied(connection, ["integer"], parts)] == [0, 1, 2, 3, 4, 5]


@pytest.mark.usefixtures("each_format")
@pytest.mark.parametrize(
    ("sql_type", "value", "refusal"),
    [
        ("varchar(3)", pa.scalar("four"), errors.StringDataRightTruncation),
        ("text", pa.scalar("a\0b"), errors.CharacterNotInRepertoire),
        ("numeric(3,2)", pa.scalar(Decimal("12.34")), errors.NumericValueOutOfRange),
        ("integer NOT NULL", pa.scalar(None, pa.int32()), errors.NotNullViolation),
    ],
)
def test_what_a_column_cannot_hold_is_refused_alike(
    connection: Connection,
    sql_type: str,
    value: pa.Scalar,
    refusal: type[Exception],
) -> None:
    with pytest.raises(refusal), connection.transaction():
        copied(connection, [sql_type], [pa.table({"a": [value]})])


def test_csv_is_for_where_pgpq_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pgpq", None)

    assert runpy.run_path(str(Path(copy.__file__)))["FORMAT"] == "csv"


def test_both_formats_load_the_same_warehouse(
    platform: Platform, warehouse_template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("pgpq")
    manifests = []
    for statement in (
        "UPDATE address SET address_line_2 = '', district = E'\\\\.' WHERE address_id = 1",
        f"{new_design(4)}; {EDIT_ORDER_1}; UPDATE design SET file_name = E'\\n\\\\.\\n,\"'",
        f"{new_sale(4)}; UPDATE payment SET payment_amount = -99999999.99 WHERE payment_id = 2",
        f"{DELETE_ORDER_1}; {new_sale(5)}; {bad_payment(5)}",
    ):
        platform.application.execute(statement)  # type: ignore[call-overload]
        manifest = platform.capture(full=("design",) if manifests else ())
        assert manifest is not None
        platform.process(manifest)
        manifests.append(manifest)

    warehouses = []
    for format_ in FORMATS:
        monkeypatch.setattr(copy, "FORMAT", format_)
        platform.close()
        platform.come_back(platform._warehouse, warehouse_template)
        for manifest in manifests:
            platform.load(manifest)
        warehouses.append(
            {
                name: platform.rows(f"SELECT t::text FROM {name} AS t ORDER BY 1")
                for name in (*STAR_TABLES, "quarantine")
            }
        )
        # It copies past versions of facts, too, to compare them; one row is in quarantine.
        found = verify(platform.warehouse, platform.names, platform.ingestion, platform.processed)
        assert found.findings == [
            "fact_payment does not equal the source as of batch 4: 4 rows expected, 3 found."
        ]

    assert len(warehouses[0]["fact_sales_order"]) == 6
    assert len(warehouses[0]["quarantine"]) == 1
    assert warehouses[0] == warehouses[1]


LOADS = (
    "warehouse/test_load.py",
    "warehouse/test_fill.py",
    "warehouse/test_loads.py",
    "warehouse/test_healing.py",
    "warehouse/test_quarantine.py",
    "warehouse/test_dimension_history.py",
    "operations/test_rebuild.py",
    "operations/test_verify.py",
    "feeds",
    "rates/test_rates.py",
    "drops/test_deliver.py",
)


@pytest.mark.long
@pytest.mark.parametrize("tests", LOADS)
def test_loads_pass_where_pgpq_is_not_installed(tests: str, tmp_path: Path) -> None:
    """Those that each merge runs, with the processes that they start."""
    (tmp_path / "pgpq.py").write_text("raise ModuleNotFoundError(name='pgpq')")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist"]
    environment = {name: value for name, value in os.environ.items() if "PYTEST" not in name}

    ended = subprocess.run(
        [*command, str(TESTS / tests)],
        cwd=TESTS.parent,
        env={**environment, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=1800,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout[-5000:]
