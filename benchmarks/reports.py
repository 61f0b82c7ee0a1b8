"""What the reports take over a million orders, of which three batches have edited one in a hundred.

    python -m benchmarks.reports [--orders 1000000] [--rounds 5]

Reports of revenue are compared with their own query over all versions, in place of the current
ones: what it costs that each order counts once. Reports of the history are compared with a sum
over all versions. They are asked by the reader; the tables have been vacuumed and analyzed, as
autovacuum does after a load. Server and settings are printed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence

import psycopg
from psycopg import sql

from benchmarks import parts
from benchmarks.parts import Platform, Verdicts, median, seconds
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster.warehouse import reports

REVENUE_TARGET = 3.5
HISTORY_TARGET = 6.0

REVENUE = tuple(
    f"revenue_by_{what}" for what in ("currency", "month", "week", "design", "customer", "office")
)
HISTORY = {
    "order_amendments": "SELECT * FROM {}",
    "delivery_slippage": "SELECT * FROM {}",
    "orders_at": "SELECT currency_code, sum(revenue) FROM {}(now()) GROUP BY 1",
    "orders_as_of": "SELECT currency_code, sum(revenue) FROM {}(now()) GROUP BY 1",
}
SETTINGS = (
    "server_version",
    "shared_buffers",
    "work_mem",
    "jit",
    "max_parallel_workers_per_gather",
)

# As ToteSys edits orders: other columns than price, units and dates of payment.
EDIT = """
UPDATE sales_order
SET agreed_delivery_date = (agreed_delivery_date::date + 3)::text, design_id = 1 + design_id %% 10
WHERE sales_order_id %% 100 = %s
"""


def fill(platform: Platform) -> None:
    """A first batch with all orders, and three that edit some."""
    for batch in range(4):
        if batch:
            platform.application.execute(EDIT, [batch])
        manifest = platform.capture()
        assert manifest is not None
        platform.process(manifest)
        platform.load(manifest)


def over_all_versions(platform: Platform, name: str) -> sql.Composed:
    """The query of a report in which every version of an order counts."""
    report = reports.all_reports()[name]
    tables = {
        relation: platform.names.table(relation.removeprefix("current_"))
        for relation in report.relations
    }
    return sql.SQL(report.query).format(**tables)


def ratio(rounds: int, one: Callable[[], object], other: Callable[[], object]) -> Sequence[float]:
    """Medians of both in turn, and of their ratio."""
    pairs = [(seconds(one), seconds(other)) for _ in range(rounds)]
    return (
        median([a for a, _ in pairs]),
        median([b for _, b in pairs]),
        median([a / b for a, b in pairs]),
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="bench-reports", description=__doc__)
    parser.add_argument("--orders", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    verdicts = Verdicts()
    with (
        parts.server() as (server, directory),
        parts.platform(server, directory, options.orders) as platform,
    ):
        fill(platform)
        database = platform.warehouse.info.dbname
        with (
            psycopg.connect(server.dsn(SUPERUSER, database), autocommit=True) as admin,
            psycopg.connect(server.dsn(stack.READER, database), autocommit=True) as reader,
        ):
            admin.execute("VACUUM ANALYZE")
            for name in SETTINGS:
                row = reader.execute("SELECT current_setting(%s)", [name]).fetchone()
                assert row is not None
                print(f"{name}: {row[0]}")
            compare(platform, admin, reader, options.rounds, verdicts)
    return verdicts.finish()


def compare(
    platform: Platform,
    admin: psycopg.Connection,
    reader: psycopg.Connection,
    rounds: int,
    verdicts: Verdicts,
) -> None:
    """Each report and what it is compared with, in turn."""

    def ask(connection: psycopg.Connection, query: sql.Composed) -> Callable[[], object]:
        return lambda: connection.execute(query).fetchall()

    total = sql.SQL("SELECT sum(units_sold * unit_price) FROM {}").format(
        platform.names.table("fact_sales_order")
    )
    queries = dict.fromkeys(REVENUE, "SELECT * FROM {}") | HISTORY
    for name, text in queries.items():
        query = sql.SQL(text).format(platform.names.report(name))
        history = name in HISTORY
        beside = total if history else over_all_versions(platform, name)
        took, other, times = ratio(rounds, ask(reader, query), ask(admin, beside))
        print(f"{name}: {took:.3f} s, beside {other:.3f} s")
        what = f"{name} / {'a sum' if history else 'all versions'}"
        verdicts.at_most(what, times, HISTORY_TARGET if history else REVENUE_TARGET)


if __name__ == "__main__":
    sys.exit(main())
