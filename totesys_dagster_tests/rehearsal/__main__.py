"""The production rehearsal: the production settings on one machine, without AWS.

    python -m totesys_dagster_tests.rehearsal [--image totesys:check [--engine docker]]

A ToteSys in business, its day in the warehouse by the sensors alone, three incidents, their mails
and their repair. Everything is reached over TLS, every password lies in Secrets Manager, every part
has the roles that it has in production. With an image, parts and runs are containers of it, as on
ECS. The last line is the verdict.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime as dt
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg

from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster_tests.rehearsal import containers, production, surroundings
from totesys_dagster_tests.rehearsal.production import QUARANTINE_LIMIT, Production
from totesys_dagster_tests.rehearsal.surroundings import Surroundings
from totesys_dagster_tests.torture.world import (
    SOURCE_DATABASE,
    WAREHOUSE_DATABASE,
    wait_until,
)
from totesys_simulator import simulator

# Many times what it takes on an idle machine.
ARRIVAL_SECONDS = 400
BAD_ROWS = QUARANTINE_LIMIT + 1

# The same facts as the source and as the warehouse have them: compared without the platform's help.
FACTS = {
    "sales_order": (
        "sales_order_id, staff_id, design_id, units_sold, unit_price, agreed_delivery_date",
        "sales_order_id, sales_staff_id, design_id, units_sold, unit_price, agreed_delivery_date",
    ),
    "purchase_order": (
        "purchase_order_id, staff_id, item_code, item_quantity, agreed_delivery_date",
        "purchase_order_id, staff_id, item_code, item_quantity, agreed_delivery_date",
    ),
    "payment": ("payment_id, payment_amount, paid", "payment_id, payment_amount, paid"),
}


def digest(connection: psycopg.Connection, columns: str, table: str) -> str:
    """A hash of these columns of all rows; a date is the same text in both databases."""
    query = (
        "SELECT md5(string_agg(row_text, ';' ORDER BY row_text))"
        f" FROM (SELECT row({columns})::text AS row_text FROM {table}) AS rows"
    )
    row = connection.execute(query.encode()).fetchone()
    assert row is not None
    return str(row[0])


class Rehearsal:
    """The acts, in their order. Each raises TimeoutError or AssertionError when it goes wrong."""

    def __init__(self, around: Surroundings, parts: Production) -> None:
        self.around = around
        self.parts = parts
        self.source = around.source.connect(stack.APPLICATION, SOURCE_DATABASE)
        self.rng = random.Random(1)

    def play(self) -> None:
        processes = {name: process.pid for name, process in self.parts.processes.items()}
        with act("first full load"):
            self.wait_for_arrival()
        with act("a day of business"):
            day = simulator.business_day(self.source, seed=1)
            self.wait_for_arrival()
            tell(f"{day.sales} sales, {day.purchases} purchases, {day.payments_received} payments")
        with act("a batch with too many bad rows"):
            self.quarantine()
        with act("the warehouse loses its power"):
            self.power_cut()
        with act("the warehouse's passwords are rotated"):
            self.rotation()
        with act("the end"):
            self.judge(processes)

    def wait_for_arrival(self) -> None:
        wait_until(self.arrived, ARRIVAL_SECONDS, "the arrival of the business in the warehouse")

    def arrived(self) -> bool:
        """Whether the warehouse's current facts are those that the source has now."""
        # This process also passes on what all others send each other: it must not ask all the time.
        time.sleep(1)
        with self.around.warehouse.connect(SUPERUSER, WAREHOUSE_DATABASE) as warehouse:
            return all(
                digest(self.source, theirs, table)
                == digest(warehouse, ours, f"warehouse.current_fact_{table}")
                for table, (theirs, ours) in FACTS.items()
            )

    @contextlib.contextmanager
    def mail_expected(self) -> Iterator[None]:
        """People are notified by mail of what happens in the block."""
        before = len(self.around.inbox.mails)
        yield
        wait_until(
            lambda: len(self.around.inbox.mails) > before, ARRIVAL_SECONDS, "the mail of a failure"
        )
        subject = str(self.around.inbox.mails[before]["Subject"])
        assert "totesys_dagster" in subject, subject
        tell(f"mail: {subject}")

    def moment(self) -> None:
        simulator.business_moment(self.source, self.rng, dt.datetime.now())  # noqa: DTZ005

    def quarantine(self) -> None:
        self.mend(self.spoil())

    def spoil(self) -> list[tuple[int, str]]:
        """Make more rows bad than a batch may have; the keys and what was in them."""
        orders = self.source.execute(
            "SELECT sales_order_id, agreed_delivery_date FROM sales_order ORDER BY 1 LIMIT %s",
            [BAD_ROWS],
        ).fetchall()
        with self.mail_expected():
            self.set_dates([(key, "2022-13-45") for key, _ in orders])
        return orders

    def mend(self, orders: list[tuple[int, str]]) -> None:
        """Repair as docs/operations.md says: the rows in ToteSys, then a higher limit."""
        self.set_dates(orders)
        self.parts.restart_code(limit=BAD_ROWS)
        self.wait_for_arrival()

    def set_dates(self, orders: list[tuple[int, str]]) -> None:
        with self.source.transaction():
            for key, date in orders:
                self.source.execute(
                    "UPDATE sales_order SET agreed_delivery_date = %s WHERE sales_order_id = %s",
                    [date, key],
                )

    def power_cut(self) -> None:
        port = self.around.warehouse.server.port
        with self.mail_expected():
            self.around.warehouse.stop_immediately()
            self.moment()
        self.around.warehouse.start()
        assert self.around.warehouse.server.port == port
        self.wait_for_arrival()

    def rotation(self) -> None:
        self.around.rotate_warehouse_passwords()
        self.moment()
        self.wait_for_arrival()

    def judge(self, processes: dict[str, int]) -> None:
        """The platform's own words agree, and its history has what went wrong."""
        unwell = self.parts.unwell()
        assert unwell == [], unwell
        for part in ("daemon", "web"):
            assert self.parts.processes[part].pid == processes[part]
        status = self.parts.status()
        tables = status["warehouse"]["tables"]
        tell(f"{status['warehouse']['batches']} batches loaded of {status['lake']['batches']}")
        assert status["warehouse"]["batches"] == status["lake"]["batches"]
        assert [star for star, table in tables.items() if not table["proved"]] == []
        verified = self.parts.totesys("verify")
        tell(verified.stdout.strip())
        assert verified.returncode == 0, verified.stdout + verified.stderr
        self.judge_history()

    def judge_history(self) -> None:
        """The web server tells of all runs, the failed one among them; their logs are in S3."""
        answer = self.parts.ask("{ runsOrError { ... on Runs { results { status jobName } } } }")
        runs = Counter((run["jobName"], run["status"]) for run in answer["runsOrError"]["results"])
        said = (f"{job} {status} {count}" for (job, status), count in sorted(runs.items()))
        tell(f"runs: {', '.join(said)}")
        statuses = {status for _, status in runs}
        assert {"SUCCESS", "FAILURE"} <= statuses, runs
        logs = self.around.objects("dagster/")
        tell(f"{len(logs)} logs of runs in S3")
        assert logs


_begun = time.monotonic()


def tell(what: str) -> None:
    print(f"{time.monotonic() - _begun:6.1f} s    {what}", flush=True)


@contextlib.contextmanager
def act(name: str) -> Iterator[None]:
    print(f"{time.monotonic() - _begun:6.1f} s  {name}", flush=True)
    yield


def tails(directory: Path) -> str:
    """The ends of the logs of all parts, for who has to find out why."""
    return "\n".join(
        f"--- {log.name}\n{log.read_text(errors='replace')[-3000:]}"
        for log in sorted(directory.glob("*.log"))
    )


def rehearse(directory: Path, image: str | None, engine: str) -> str:
    """Play all acts; what went wrong, in one sentence, or nothing."""
    tell("starting databases, S3, Secrets Manager and mail, all over TLS")
    with (
        surroundings.running(directory) as around,
        containers.running(around, image, engine)
        if image
        else production.running(Production(around)) as parts,
    ):
        try:
            Rehearsal(around, parts).play()
        except (TimeoutError, AssertionError) as error:
            print(tails(directory))
            return str(error) or repr(error)
    return ""


def main() -> int:
    parser = argparse.ArgumentParser(description="Rehearse production on one machine.")
    parser.add_argument("--image", help="run the parts in containers of this image")
    parser.add_argument("--engine", default="docker", help="what starts the containers")
    options = parser.parse_args()
    # A shell starts what is in the background with Ctrl-C ignored; and nothing may be left running.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    with tempfile.TemporaryDirectory(prefix="rehearsal-") as name:
        failure = rehearse(Path(name), options.image, options.engine)
    seconds = time.monotonic() - _begun
    print(f"REHEARSAL {'FAILED: ' + failure if failure else 'PASSED'} after {seconds:.0f} seconds")
    return int(bool(failure))


if __name__ == "__main__":
    sys.exit(main())
