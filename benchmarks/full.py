"""A first full load, against what PostgreSQL can copy at most, and against dlt.

    python -m benchmarks.full [--orders 1000000 10000000] [--rounds 3] [--without-dlt]

In turn: the platform, in a process of its own, takes a whole source to JSON Lines, to Parquet and
into the warehouse, audited; the limit, which is COPY of the same orders in binary to a file, and of
the same facts into a table like the warehouse's with its primary key and no other; and dlt, which
writes Parquet files and another table, of which SQL then makes the same fact. The platform takes
all eleven tables of its source, the others the orders only.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import threading
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from benchmarks import parts
from benchmarks.parts import Platform, Verdicts, median, seconds
from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.lake.digest import count_and_digest
from totesys_dagster.lake.manifest import Digest, ManifestLog
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER, Server

LIMIT_TARGET = 2.0
DLT_TARGET = 1.3
MEMORY_TARGET = 300
DLT_PACKAGES = (
    "dlt[postgres,parquet,sql_database]==1.31.0",
    "connectorx==0.4.6",
    "adbc-driver-postgresql==1.13.0",
    "psycopg2-binary==2.9.12",
    "sqlalchemy<2.1",  # later ones take another driver for the same connection string
)
DLT_BACKENDS = ("connectorx", "pyarrow")
STEPS = ("capture", "process", "load")

# The warehouse's fact from the table that dlt loads, whose timestamps have a time zone.
SAME_FACT = """
SET timezone TO 'UTC';
CREATE TABLE made AS
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
FROM orders.sales_order;
ALTER TABLE made ADD PRIMARY KEY (sales_record_id), ADD UNIQUE (sales_order_id, batch_seq)
"""


def take_whole_path(application_dsn: str) -> None:
    """What the measured process does: the three steps; prints the seconds of each as JSON."""
    parts.import_as_runs_do()
    taken: dict[str, float] = {}
    with parts.opened(application_dsn) as platform:
        manifest = None

        def capture() -> None:
            nonlocal manifest
            manifest = platform.capture()

        taken["capture"] = seconds(capture)
        assert manifest is not None
        taken["process"] = seconds(lambda: platform.process(manifest))
        taken["load"] = seconds(lambda: _load(platform, manifest))
    print(json.dumps(taken))


def _load(platform: Platform, manifest: Any) -> None:
    audits = platform.load(manifest).audits
    assert all(audit.equal for audit in audits.values())


class PostgresMemory(threading.Thread):
    """The most memory of its own, in megabytes, that any process of PostgreSQL has had.

    They share their buffers besides, whose size is a setting of the server.
    """

    def __init__(self) -> None:
        super().__init__(daemon=True)
        self.peak = 0
        self.stopped = threading.Event()

    def run(self) -> None:
        while not self.stopped.wait(0.2):
            self.peak = max([self.peak, *map(self._own, Path("/proc").glob("[0-9]*"))])

    def _own(self, entry: Path) -> int:
        try:
            lines = (entry / "status").read_text().splitlines()
        except OSError:
            return 0
        status = dict(line.split(":", 1) for line in lines if ":" in line)
        if status["Name"].strip() != "postgres" or "RssAnon" not in status:
            return 0
        return int(status["RssAnon"].split()[0]) // 1024


def ours(application_dsn: str) -> dict[str, float]:
    """Run the whole path in a new process; seconds by step, and the peak of its memory."""
    watch = PostgresMemory()
    watch.start()
    taken, megabytes = parts.in_process("benchmarks.full", "--whole-path", application_dsn)
    watch.stopped.set()
    watch.join()
    return {
        **taken,
        "platform": sum(taken.values()),
        "megabytes": megabytes,
        "megabytes of PostgreSQL": watch.peak,
    }


class Limit:
    """COPY BINARY of the orders out of the source, and of the same facts into a bare table."""

    def __init__(self, started: Server, platform: Platform, directory: Path) -> None:
        self.orders = directory / "orders.bin"
        self.facts = directory / "facts.bin"
        self.source = platform.application
        dsn = started.dsn(SUPERUSER, platform.warehouse.info.dbname)
        self.warehouse = psycopg.connect(dsn, autocommit=True)

    def prepare(self) -> None:
        """Take the facts from the warehouse that was loaded last."""
        _copy_out(self.warehouse, "warehouse.fact_sales_order", self.facts)

    def measure(self) -> dict[str, float]:
        self.warehouse.execute(
            "DROP TABLE IF EXISTS bare; CREATE TABLE bare (LIKE warehouse.fact_sales_order);"
            " ALTER TABLE bare ADD PRIMARY KEY (sales_record_id)"
        )
        out = seconds(lambda: _copy_out(self.source, "sales_order", self.orders))
        into = seconds(lambda: _copy_in(self.warehouse, "bare", self.facts))
        self.warehouse.execute(
            "TRUNCATE bare; ALTER TABLE bare ADD UNIQUE (sales_order_id, batch_seq)"
        )
        with_both = seconds(lambda: _copy_in(self.warehouse, "bare", self.facts))
        self.warehouse.execute("DROP TABLE bare")
        return {"limit": out + into, "limit, with both keys of the table": out + with_both}


def _copy_out(connection: psycopg.Connection, table: str, path: Path) -> None:
    statement = f"COPY {table} TO STDOUT (FORMAT binary)"
    with path.open("wb") as file, connection.cursor().copy(statement) as copy:
        for data in copy:
            file.write(data)


def _copy_in(connection: psycopg.Connection, table: str, path: Path) -> None:
    statement = f"COPY {table} FROM STDIN (FORMAT binary)"
    with path.open("rb") as file, connection.cursor().copy(statement) as copy:
        while data := file.read(1 << 20):
            copy.write(data)


def dlt(
    python: Path, backend: str, started: Server, platform: Platform, orders: int
) -> dict[str, float]:
    """The comparable job by dlt; seconds, also to the same fact, and the peak of its memory."""
    source = _url(started.dsn(stack.APPLICATION, platform.application.info.dbname))
    warehouse = _url(started.dsn(SUPERUSER, platform.warehouse.info.dbname))
    with tempfile.TemporaryDirectory(prefix="benchmark-dlt-") as directory:
        command = [python, Path(__file__).with_name("dlt_full.py"), backend]
        result = subprocess.run(
            [*command, source, warehouse, directory],
            check=True,
            stdout=subprocess.PIPE,
            text=True,
            cwd=directory,
        )
    found = json.loads(result.stdout.splitlines()[-1])
    assert found["rows"] == orders
    head = ManifestLog(platform.ingestion).head()
    assert head is not None
    same_fact = _same_fact(warehouse, head.stars["fact_sales_order"].whole)
    return {
        f"dlt, {backend}": found["seconds"],
        f"dlt, {backend}, and the same fact made of it": found["seconds"] + same_fact,
        f"megabytes of dlt, {backend}": found["megabytes"],
    }


def _same_fact(warehouse: str, expected: Digest) -> float:
    """The seconds that it takes; its rows are those that the warehouse has been audited for."""
    columns = count_and_digest(
        STAR_TABLES["fact_sales_order"],
        lambda column: sql.Identifier(column.name),
        expected.method,
    )
    with psycopg.connect(warehouse, autocommit=True) as connection:
        taken = seconds(lambda: connection.execute(SAME_FACT))
        made = connection.execute(sql.SQL("SELECT {} FROM made").format(columns)).fetchone()
        assert made == (expected.rows, expected.digest)
        connection.execute("DROP TABLE made")
    return taken


def _url(dsn: str) -> str:
    parts = conninfo_to_dict(dsn)
    return "postgresql://{user}:{password}@{host}:{port}/{dbname}".format(**parts)


def measure(
    started: Server, directory: Path, orders: int, rounds: int, python: Path | None
) -> dict[str, float]:
    """Medians by what was measured, all sides in turn."""
    figures: dict[str, list[float]] = defaultdict(list)
    with parts.platform(started, directory, orders) as platform:
        application_dsn = started.dsn(stack.APPLICATION, platform.application.info.dbname)
        limit = Limit(started, platform, directory)
        for number in range(rounds):
            parts.empty_again(started, platform)
            results = [ours(application_dsn)]
            if not number:
                limit.prepare()
            results.append(limit.measure())
            if python is not None:
                results += [dlt(python, b, started, platform, orders) for b in DLT_BACKENDS]
            for result in results:
                for what, value in result.items():
                    figures[what].append(value)
            print(f"{orders} orders: round {number + 1} of {rounds} is done.", file=sys.stderr)
        limit.warehouse.close()
    return {what: median(values) for what, values in figures.items()}


def report(results: dict[int, dict[str, float]]) -> int:
    """Print the table and the verdicts; the exit status."""
    largest = results[max(results)]
    print("| median |" + "".join(f" {orders:,} orders |" for orders in results))
    print("| --- |" + " ---: |" * len(results))
    for what in largest:
        unit = "MB" if what.startswith("megabytes") else "s"
        cells = "".join(f" {found[what]:.2f} {unit} |" for found in results.values())
        print(f"| {what} |{cells}")
    verdicts = Verdicts()
    for orders, found in results.items():
        verdicts.at_most(
            f"{orders}: platform / limit", found["platform"] / found["limit"], LIMIT_TARGET
        )
        fastest = min((v for k, v in found.items() if k.startswith("dlt")), default=None)
        if fastest is not None:
            ratio = fastest / found["platform"]
            verdicts.at_least(f"{orders}: dlt / platform", ratio, DLT_TARGET)
        for what in ("megabytes", "megabytes of PostgreSQL"):
            verdicts.at_most(f"{orders}: {what}", found[what], MEMORY_TARGET)
    return verdicts.finish()


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="bench-full", description=__doc__)
    parser.add_argument("--orders", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without-dlt", action="store_true")
    parser.add_argument("--whole-path", metavar="DSN", help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.whole_path:
        take_whole_path(options.whole_path)
        return 0
    with parts.server() as (started, directory):
        python = None if options.without_dlt else parts.environment(directory, *DLT_PACKAGES)
        return report(
            {
                orders: measure(started, directory, orders, options.rounds, python)
                for orders in options.orders
            }
        )


if __name__ == "__main__":
    sys.exit(main())
