"""The first rows of a table, which go straight into it: the same as if they had been staged."""

from __future__ import annotations

import psycopg
import pyarrow as pa
import pytest

from totesys_dagster.local.postgres import SUPERUSER
from totesys_dagster.warehouse import fill as fill_module
from totesys_dagster.warehouse import load
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.warehouse.test_load import everything, processed_batch


@pytest.fixture
def filled(monkeypatch: pytest.MonkeyPatch) -> dict[str, bool]:
    """Whether each table of the last load was filled at once."""
    outcomes: dict[str, bool] = {}

    def noting(connection: object, names: object, star: object, *rest: object) -> bool:
        outcome = fill_module.fill(connection, names, star, *rest)  # type: ignore[arg-type]
        outcomes[star.name] = outcome  # type: ignore[attr-defined]
        return outcome

    monkeypatch.setattr(load, "fill", noting)
    return outcomes


def without_the_time(
    rows: dict[str, list[tuple[object, ...]]],
) -> dict[str, list[tuple[object, ...]]]:
    return {**rows, "batch": [row[:5] for row in rows["batch"]]}


def test_first_load_is_the_same_as_a_staged_one(
    platform: Platform, filled: dict[str, bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    # A gap in the keys, and rows that lie in another order than their keys.
    platform.application.execute(
        "DELETE FROM payment WHERE payment_id = 2; UPDATE payment SET paid = TRUE"
        " WHERE payment_id = 1"
    )
    manifest, _ = processed_batch(platform)
    platform.load(manifest)
    straight = everything(platform)
    names = ", ".join(f"warehouse.{star}" for star in filled)
    dsn = platform.server.dsn(SUPERUSER, platform.warehouse_database)
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(f"TRUNCATE {names}, warehouse_bookkeeping.batch CASCADE")  # type: ignore[arg-type]
    monkeypatch.setattr(load, "fill", lambda *_: False)
    platform.load(manifest)

    assert all(done for star, done in filled.items() if star != "dim_date")
    assert [row[:2] for row in straight["fact_payment"]] == [(1, 1), (2, 3)]
    assert without_the_time(straight) == without_the_time(everything(platform))


def test_only_an_empty_table_is_filled(platform: Platform, filled: dict[str, bool]) -> None:
    platform.run()
    filled.clear()
    platform.run(full=("payment", "currency"))

    assert set(filled) >= {"dim_currency", "fact_payment"}
    assert not any(filled.values())


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
    assert loaded.tables["fact_sales_order"].held_back == 1
    assert platform.rows("SELECT sales_record_id, sales_order_id FROM fact_sales_order") == [(1, 2)]


def test_number_of_a_version_is_the_place_of_its_key() -> None:
    keys = pa.chunked_array([[12, 3], [10, 1, 11]], pa.int32())

    assert fill_module.ranks([(1, 1), (3, 3), (10, 12)], keys).to_pylist() == [5, 2, 3, 1, 4]


@pytest.mark.parametrize("key", [0, 2, 13])
def test_key_that_the_source_does_not_have_is_not_numbered(key: int) -> None:
    with pytest.raises(fill_module._NotWholeError):
        fill_module.ranks([(1, 1), (3, 12)], pa.chunked_array([[1, key]], pa.int32()))
