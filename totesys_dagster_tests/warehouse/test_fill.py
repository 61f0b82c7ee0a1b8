"""The first rows of a table, which go straight into it: the same as if they had been staged."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pyarrow as pa
import pytest
from psycopg import errors, sql

from totesys_dagster.catalogue import StarTable
from totesys_dagster.errors import LoadError
from totesys_dagster.lake.parts import ObjectEntry
from totesys_dagster.lake.receipt import read_star
from totesys_dagster.lake.store import Store
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster.postgres.sessions import Connection
from totesys_dagster.warehouse import fill as fill_module
from totesys_dagster.warehouse import table_load
from totesys_dagster.warehouse.copy import copy_in
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.warehouse.test_load import everything, processed_batch


@pytest.fixture(
    autouse=True,
    params=[
        pytest.param(1, id="keys-off"),
        pytest.param(fill_module.MANY_ROWS, id="keys-on", marks=pytest.mark.long),
    ],
)
def many_rows(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """From how many rows on a fact is filled without its keys: all of them here, or none."""
    monkeypatch.setattr(fill_module, "MANY_ROWS", request.param)
    return int(request.param)


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Whether each table of the last load was filled at once."""
    outcomes: dict[str, bool] = {}

    def noting(connection: object, names: object, star: object, *rest: object) -> bool:
        outcome = fill_module.fill(connection, names, star, *rest)  # type: ignore[arg-type]
        outcomes[star.name] = outcome  # type: ignore[attr-defined]
        return outcome

    monkeypatch.setattr(table_load, "fill", noting)
    return outcomes


KEYS = """
SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid)
FROM pg_constraint WHERE conrelid::regclass::text LIKE 'fact%' ORDER BY 1, 2
"""


@pytest.fixture
def administrator(platform: Platform) -> Iterator[psycopg.Connection]:
    """A superuser in the warehouse, whose tables need no schema name."""
    dsn = platform.server.dsn(SUPERUSER, platform.warehouse_database)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET search_path TO warehouse, warehouse_bookkeeping")
        yield connection


def without_the_time(
    rows: dict[str, list[tuple[object, ...]]],
) -> dict[str, list[tuple[object, ...]]]:
    audits = [row[:-1] for row in rows["audit"]]
    return {**rows, "audit": audits, "batch": [row[:-1] for row in rows["batch"]]}


def test_first_load_is_the_same_as_a_staged_one(
    platform: Platform,
    filled: dict[str, bool],
    administrator: psycopg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # A gap in the keys, and rows that lie in another order than their keys.
    platform.application.execute(
        "DELETE FROM payment WHERE payment_id = 2; UPDATE payment SET paid = TRUE"
        " WHERE payment_id = 1"
    )
    manifest, _ = processed_batch(platform)
    platform.load(manifest)
    straight = everything(platform)
    administrator.execute(f"TRUNCATE {', '.join(filled)}, batch CASCADE")  # type: ignore[arg-type]
    monkeypatch.setattr(table_load, "fill", lambda *_: False)
    platform.load(manifest)

    assert all(done for star, done in filled.items() if star != "dim_date")
    assert [row[:2] for row in straight["fact_payment"]] == [(1, 1), (2, 3)]
    assert without_the_time(straight) == without_the_time(everything(platform))


@pytest.mark.long
def test_only_an_empty_table_is_filled(platform: Platform, filled: dict[str, bool]) -> None:
    platform.first()
    filled.clear()
    platform.run(full=("payment", "currency"))

    assert set(filled) >= {"dim_currency", "fact_payment"}
    assert not any(filled.values())


@pytest.mark.long
def test_rows_in_quarantine_are_left_to_staging(
    platform: Platform, filled: dict[str, bool]
) -> None:
    platform.application.execute("UPDATE payment SET payment_date = 'soon' WHERE payment_id = 1")
    platform.run()

    assert not filled["fact_payment"]
    assert filled["fact_sales_order"]
    assert platform.rows("SELECT payment_record_id, payment_id FROM fact_payment ORDER BY 1") == [
        (1, 2),
        (2, 3),
    ]


@pytest.mark.long
@pytest.mark.parametrize("many", [fill_module.MANY_VALUES, 0])
def test_fact_without_its_dimension_row_is_left_to_staging(
    platform: Platform, filled: dict[str, bool], monkeypatch: pytest.MonkeyPatch, many: int
) -> None:
    monkeypatch.setattr(fill_module, "MANY_VALUES", many)
    platform.application.execute("UPDATE currency SET currency_code = 'XXY' WHERE currency_id = 2")
    loaded = platform.run()
    assert loaded is not None

    assert not filled["fact_sales_order"]
    assert filled["fact_purchase_order"]
    assert loaded.tables["fact_sales_order"].orphans == 1
    assert platform.rows("SELECT sales_record_id, sales_order_id FROM fact_sales_order") == [(1, 2)]


def test_key_that_is_there_twice_is_never_loaded(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As many rows as the source has keys, but not one for each."""

    def first_row_twice(store: Store, star: StarTable, entry: ObjectEntry) -> pa.Table:
        part = read_star(store, star, entry)
        if "payment_id" not in part.column_names:
            return part
        return part.take([0, *range(len(part) - 1)])

    manifest, _ = processed_batch(platform)
    before = platform.rows(KEYS)
    for module in (fill_module, table_load):
        monkeypatch.setattr(module, "read_star", first_row_twice)
    with pytest.raises(LoadError, match="arrived with 2 keys: nothing was loaded"):
        platform.load(manifest)

    assert platform.rows("SELECT * FROM fact_payment") == []
    assert platform.rows(KEYS) == before


@pytest.mark.long
def test_keys_are_as_they_were(platform: Platform, filled: dict[str, bool]) -> None:
    before = platform.rows(KEYS)
    platform.run()

    assert filled["fact_sales_order"]
    assert len(before) >= 6
    assert platform.rows(KEYS) == before


def test_keys_are_off_while_many_rows_come(
    platform: Platform, many_rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys: dict[str, int] = {}

    def noting(connection: Connection, target: sql.Composable, *rest: object) -> int:
        count = "SELECT count(*) FROM pg_index WHERE indrelid = %s::regclass"
        name = target.as_string(connection)
        [[keys[name]]] = connection.execute(count, [name]).fetchall()
        return copy_in(connection, target, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(fill_module, "copy_in", noting)
    platform.run()

    assert keys['"warehouse"."fact_payment"'] == (0 if many_rows == 1 else 2)
    assert keys['"warehouse"."dim_transaction"'] == 1


def test_load_does_not_wait_for_a_reader(
    platform: Platform, filled: dict[str, bool], administrator: psycopg.Connection
) -> None:
    with administrator.transaction():
        administrator.execute("TABLE fact_sales_order")
        loaded = platform.run()

    assert loaded is not None
    assert filled["fact_sales_order"]
    assert loaded.audits["fact_sales_order"].equal


@pytest.mark.long
def test_key_that_something_was_built_upon_stays(
    platform: Platform, filled: dict[str, bool], administrator: psycopg.Connection
) -> None:
    administrator.execute(
        "CREATE TABLE remark (sales_record_id integer REFERENCES fact_sales_order, remark text)"
    )
    before = platform.rows(KEYS)
    loaded = platform.run()

    assert loaded is not None
    assert filled["fact_sales_order"]
    assert loaded.audits["fact_sales_order"].equal
    assert platform.rows(KEYS) == before


def test_keys_of_a_table_with_rows_are_not_taken_off(platform: Platform) -> None:
    platform.first()
    before = platform.rows(KEYS)
    with pytest.raises(errors.ObjectNotInPrerequisiteState, match="stay on, for it has rows"):
        platform.rows("SELECT take_keys_off('fact_payment')")

    assert platform.rows(KEYS) == before


@pytest.mark.parametrize("table", ["dim_currency", "batch", "no_table", 'fact_payment"; DROP'])
def test_only_facts_have_keys_that_can_be_taken_off(platform: Platform, table: str) -> None:
    with pytest.raises((errors.UndefinedObject, errors.UndefinedTable, errors.NullValueNotAllowed)):
        platform.warehouse.execute("SELECT warehouse_bookkeeping.take_keys_off(%s)", [table])


def test_reader_may_not_take_keys_off(administrator: psycopg.Connection) -> None:
    administrator.execute("SET ROLE warehouse_reader")
    with pytest.raises(errors.InsufficientPrivilege):
        administrator.execute("SELECT warehouse_bookkeeping.take_keys_off('fact_payment')")


def test_number_of_a_version_is_the_place_of_its_key() -> None:
    keys = pa.chunked_array([[12, 3], [10, 1, 11]], pa.int32())

    assert fill_module.ranks([(1, 1), (3, 3), (10, 12)], keys).to_pylist() == [5, 2, 3, 1, 4]


@pytest.mark.parametrize("key", [0, 2, 13])
def test_key_that_the_source_does_not_have_is_not_numbered(key: int) -> None:
    with pytest.raises(fill_module._NotWholeError):
        fill_module.ranks([(1, 1), (3, 12)], pa.chunked_array([[1, key]], pa.int32()))
