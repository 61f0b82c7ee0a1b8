"""A lake with everything that can be in one."""

from __future__ import annotations

import datetime as dt

from totesys_dagster.page.published import publish
from totesys_dagster.warehouse import schema
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import DELETE_ORDER_1, EDIT_ORDER_1, new_design, new_sale
from totesys_dagster_tests.feeds.conftest import Feeding
from totesys_dagster_tests.operations.erasing import erased

BAD_PAYMENT = "UPDATE payment SET payment_date = 'soon' WHERE payment_id = 3"
RETURN_OF_ORDER_1 = """
    INSERT INTO sales_order VALUES (1, '2022-11-03 14:20:52.186', '2022-11-03 14:20:52.186',
        1, 1, 1, 42972, 3.94, 2, '2022-11-07', '2022-11-08', 2);
    INSERT INTO transaction VALUES
        (2, 'SALE', 1, NULL, '2022-11-03 14:20:52.186', '2022-11-03 14:20:52.186')
"""
FORMER_COLLEAGUE = """
    UPDATE staff SET first_name = 'Former', last_name = 'Colleague', email_address = '-'
    WHERE staff_id = 2
"""
MANY_RANGES = ";".join(new_design(10 + 2 * number) for number in range(40))
# Above the least limit of a row's size, 4 MiB.
LARGE_DESIGN = f"UPDATE design SET design_name = repeat('x', {5 << 20}) WHERE design_id = 2"


def everything(platform: Platform) -> None:
    """Full reads, deltas, a deletion and a return, an erasure, rows in quarantine, requests, an
    audit, feeds, a page, and objects that nothing refers to."""
    schema.migrate(platform.warehouse, platform.names)
    platform.run()
    for edit in (EDIT_ORDER_1, DELETE_ORDER_1, RETURN_OF_ORDER_1, MANY_RANGES, new_sale(9)):
        platform.application.execute(edit)
        platform.run()
    platform.application.execute("DELETE FROM design WHERE design_id BETWEEN 11 AND 200")
    platform.run()
    platform.run(full=("sales_order", "design"))
    platform.application.execute(FORMER_COLLEAGUE)
    platform.run()
    erased(platform, "staff", 2)
    platform.warehouse.execute("UPDATE warehouse.dim_staff SET first_name = 'X'")
    platform.audit()  # requests a full read
    platform.run()
    for edit in (BAD_PAYMENT, LARGE_DESIGN):
        platform.application.execute(edit)
        platform.run()
        platform.audit()  # requests digests without the keys in quarantine
    feeding = Feeding(platform)
    feeding.receive("2024-11-15,USD,0.79\n")
    feeding.receive("2024-11-15\n", "b.csv")
    feeding.load()
    day = dt.date(2024, 11, 15)
    publish(platform.warehouse, platform.names, platform.processed, "<html>", day, 1)
    for zone, key in (
        (platform.ingestion, "rows/sales_order/batch=0000000002/part-00000-00000000.jsonl.zst"),
        (
            platform.processed,
            "rows/dim_staff/v1-00000000/batch=0000000001/part-00000-00000000.parquet",
        ),
    ):
        zone.put(key, b"left by a process that was killed")
