"""What a contender measures of itself, and the fact that all of them make.

Imports the standard library only: some contenders run in an environment that has nothing of this
project.
"""

from __future__ import annotations

import json
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

# The warehouse's fact, from a table like the source's.
FACT = """
SELECT (row_number() OVER ())::int AS sales_record_id, sales_order_id::int AS sales_order_id,
       created_at::date AS created_date, created_at::time AS created_time,
       last_updated::date AS last_updated_date, last_updated::time AS last_updated_time,
       staff_id::int AS sales_staff_id, counterparty_id::int AS counterparty_id,
       units_sold::int AS units_sold, unit_price::numeric(10,2) AS unit_price,
       currency_id::int AS currency_id, design_id::int AS design_id,
       agreed_payment_date::date AS agreed_payment_date,
       agreed_delivery_date::date AS agreed_delivery_date,
       agreed_delivery_location_id::int AS agreed_delivery_location_id,
       1 AS batch_seq, now() AS observed_at, FALSE AS is_deleted
FROM {}
"""
CREATE = "CREATE TABLE made (LIKE warehouse.fact_sales_order)"
KEYS = "ALTER TABLE made ADD PRIMARY KEY (sales_record_id), ADD UNIQUE (sales_order_id, batch_seq)"


def print_figures(work: Callable[[], dict[str, Any] | None]) -> None:
    """Do the work, and print the seconds that it took, the processor seconds of this process and
    of those that it started and that have ended, and the most memory in MB that one of them had;
    besides, what the work returns."""
    before, began = os.times(), time.perf_counter()
    more = work() or {}
    seconds, after = time.perf_counter() - began, os.times()
    figures = {
        "seconds": seconds,
        "processor": sum(after[:4]) - sum(before[:4]),
        "megabytes": max(_own_peak(), _peak_of_children()),
    }
    print(json.dumps({**more, **figures}))


def _own_peak() -> int:
    """Unlike what getrusage says, without the peak of the process that started this one."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) // 1024
    return 0


def _peak_of_children() -> int:
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss // 1024
