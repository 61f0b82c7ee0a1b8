"""The path without Dagster, from source to warehouse: what the platform promises, in short."""

from __future__ import annotations

from totesys_dagster_tests.conftest import Platform


def test_first_batch_brings_every_row(platform: Platform) -> None:
    loaded = platform.run()

    assert loaded is not None
    assert all(audit.equal for audit in loaded.audits.values())
    assert platform.rows("SELECT count(*) FROM current_fact_payment") == [(3,)]


def test_nothing_changed_is_no_batch(platform: Platform) -> None:
    platform.run()

    assert platform.capture() is None


def test_order_changed_back_and_forth_has_three_versions(platform: Platform) -> None:
    platform.run()
    for design in (2, 1):
        platform.application.execute(
            "UPDATE sales_order SET design_id = %s WHERE sales_order_id = 1", [design]
        )
        platform.run()

    assert platform.rows(
        "SELECT design_id FROM fact_sales_order WHERE sales_order_id = 1 ORDER BY batch_seq"
    ) == [(1,), (2,), (1,)]


def test_deleted_order_leaves_its_history(platform: Platform) -> None:
    platform.run()
    platform.application.execute(
        "DELETE FROM payment WHERE payment_id = 1;"
        "DELETE FROM transaction WHERE transaction_id = 2;"
        "DELETE FROM sales_order WHERE sales_order_id = 1"
    )
    platform.run()

    assert platform.rows("SELECT sales_order_id FROM current_fact_sales_order") == [(2,)]
    assert platform.rows(
        "SELECT is_deleted FROM fact_sales_order WHERE sales_order_id = 1 ORDER BY batch_seq"
    ) == [(False,), (True,)]
