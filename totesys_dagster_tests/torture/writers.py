"""Writers that do to ToteSys what makes change capture hard, each in a thread of its own.

Every write is one transaction of one of these kinds: short; long, with its writes early or late;
with savepoints, one of them rolled back to; two-phase; or rolled back as a whole. What is written
is an order with its transaction and payment, an edit that sets `last_updated` or is silent, an edit
and its reverse, a deletion, a payment run, a change of reference data, or a value that no star
takes: where none carries its column, that is no reason to keep the row out of the warehouse, and
else it is one until it is mended.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

import psycopg
from psycopg import sql


class Chance(random.Random):
    """Chance, and how long the long transactions take: `pace` times three seconds at most."""

    pace = 1.0

    def nap(self, shortest: float, longest: float) -> None:
        time.sleep(self.uniform(shortest, longest) * self.pace)

    def wait_for_batches(self, shortest: float = 3, longest: float = 5) -> None:
        """Wait so long that batches will have come."""
        self.nap(shortest, longest)

    def perhaps(self) -> bool:
        """True half of the time."""
        return self.random() < 0.5


Write = Callable[[psycopg.Connection, Chance], None]

# Keys from here on are of rows that come and go with the catalogue (`owner.py`). Nobody refers to
# them.
ODD_KEYS = 900_000

# No such day, but the source takes it for one in these columns.
NO_DAY = "soon"
DATES = {"payment": "payment_date", "purchase_order": "agreed_delivery_date"}


def _one(connection: psycopg.Connection, query: sql.Composable) -> int | None:
    row = connection.execute(query).fetchone()
    return None if row is None else row[0]


def _some(connection: psycopg.Connection, table: str, end: str = "") -> int | None:
    """The key of some row, without sorting the table."""
    key, name = sql.Identifier(f"{table}_id"), sql.Identifier(table)
    return _one(
        connection,
        sql.SQL(
            "SELECT {key} FROM {name} WHERE {key} >= random() *"
            " (SELECT max({key}) FROM {name} WHERE {key} < {odd}) ORDER BY {key} LIMIT 1 "
        ).format(key=key, name=name, odd=sql.Literal(ODD_KEYS))
        + sql.SQL(end),
    )


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC).replace(tzinfo=None)


def place_sale(connection: psycopg.Connection, rng: Chance) -> None:
    """An order with its transaction and its payment, written together."""
    units, price = rng.randint(1001, 99_973), rng.randint(200, 400) / 100
    day = (_now() + dt.timedelta(days=rng.randint(0, 5))).date().isoformat()
    connection.execute(
        """
        WITH chosen AS (
            SELECT (SELECT design_id FROM design WHERE design_id < 900000
                    ORDER BY random() LIMIT 1) AS design_id,
                   (SELECT staff_id FROM staff ORDER BY random() LIMIT 1) AS staff_id,
                   (SELECT counterparty_id FROM counterparty ORDER BY random() LIMIT 1)
                       AS counterparty_id,
                   (SELECT address_id FROM address ORDER BY random() LIMIT 1) AS address_id,
                   (SELECT currency_id FROM currency ORDER BY random() LIMIT 1) AS currency_id
        ), placed AS (
            INSERT INTO sales_order (created_at, last_updated, design_id, staff_id, counterparty_id,
                units_sold, unit_price, currency_id, agreed_delivery_date, agreed_payment_date,
                agreed_delivery_location_id)
            SELECT %(now)s, %(now)s, design_id, staff_id, counterparty_id, %(units)s, %(price)s,
                   currency_id, %(day)s, %(day)s, address_id FROM chosen
            RETURNING *
        ), linked AS (
            INSERT INTO transaction (transaction_type, sales_order_id, created_at, last_updated)
            SELECT 'SALE', sales_order_id, %(now)s, %(now)s FROM placed
            RETURNING transaction_id
        )
        INSERT INTO payment (created_at, last_updated, transaction_id, counterparty_id,
            payment_amount, currency_id, payment_type_id, paid, payment_date, company_ac_number,
            counterparty_ac_number)
        SELECT %(now)s, %(now)s, transaction_id, counterparty_id, units_sold * unit_price,
               currency_id, 1, FALSE, %(day)s, 12345678, 87654321 FROM placed, linked
        """,
        {"now": _now(), "units": units, "price": price, "day": day},
    )


def edit_silently(connection: psycopg.Connection, rng: Chance) -> None:
    """An edit that leaves `last_updated` as it was."""
    order = _some(connection, "sales_order")
    day = dt.date(2024, 1, 1) + dt.timedelta(days=rng.randint(0, 700))
    connection.execute(
        "UPDATE sales_order SET agreed_delivery_date = %s WHERE sales_order_id = %s",
        [day.isoformat(), order],
    )


def edit_and_say_so(connection: psycopg.Connection, rng: Chance) -> None:
    """An edit that sets `last_updated`, to an instant that many rows may share."""
    order = _some(connection, "purchase_order")
    connection.execute(
        "UPDATE purchase_order SET item_code = %s, last_updated = %s WHERE purchase_order_id = %s",
        [
            f"{rng.randint(0, 99):02d}E{rng.randint(0, 9999):04d}",
            _now().replace(microsecond=0),
            order,
        ],
    )


def there_and_back(connection: psycopg.Connection, rng: Chance) -> None:
    """An edit and, in another transaction a moment later, its reverse."""
    row = connection.execute(
        "SELECT sales_order_id, design_id FROM sales_order WHERE sales_order_id = %s",
        [_some(connection, "sales_order")],
    ).fetchone()
    other = _some(connection, "design")
    if row is None:
        return
    update = "UPDATE sales_order SET design_id = %s WHERE sales_order_id = %s"
    connection.execute(update, [other, row[0]])
    if connection.info.transaction_status is psycopg.pq.TransactionStatus.IDLE:
        rng.nap(0, 0.3)
        connection.execute(update, [row[1], row[0]])


def receive_payments(connection: psycopg.Connection, rng: Chance) -> None:
    """A payment run: many rows in one statement, all with the same `last_updated`."""
    connection.execute(
        "UPDATE payment SET paid = NOT paid, last_updated = %s WHERE payment_id IN"
        " (SELECT payment_id FROM payment WHERE payment_id >= %s ORDER BY payment_id LIMIT %s"
        " FOR UPDATE SKIP LOCKED)",
        [_now().replace(microsecond=0), _some(connection, "payment"), rng.randint(1, 20)],
    )


def delete_order(connection: psycopg.Connection, _: Chance) -> None:
    """An order, its transaction and its payment, all gone."""
    order = _some(connection, "sales_order", "FOR UPDATE SKIP LOCKED")
    connection.execute(
        "DELETE FROM payment USING transaction WHERE payment.transaction_id ="
        " transaction.transaction_id AND sales_order_id = %s",
        [order],
    )
    connection.execute("DELETE FROM transaction WHERE sales_order_id = %s", [order])
    connection.execute("DELETE FROM sales_order WHERE sales_order_id = %s", [order])


def change_reference_data(connection: psycopg.Connection, rng: Chance) -> None:
    """A department, an address, a member of staff or a design changes, or a new one comes, or a
    currency that was withdrawn long ago.

    Of a member of staff a column that no star carries may take a value that none would take.
    """
    word = f"{rng.choice(['North', 'South', 'O’Keefe', 'Ümlaut', 'a,b'])} {rng.randint(1, 999)}"
    connection.execute(
        *rng.choice(
            [
                (
                    (
                        "UPDATE department SET location = %s WHERE department_id ="
                        " (SELECT department_id FROM department ORDER BY random() LIMIT 1)"
                    ),
                    [word],
                ),
                (
                    (
                        "UPDATE address SET city = %s, district = NULL WHERE address_id ="
                        " (SELECT address_id FROM address ORDER BY random() LIMIT 1)"
                    ),
                    [word],
                ),
                (
                    (
                        "UPDATE staff SET department_id ="
                        " (SELECT department_id FROM department ORDER BY random() LIMIT 1)"
                        " WHERE staff_id = (SELECT staff_id FROM staff ORDER BY random() LIMIT 1)"
                        " AND %s <> ''"
                    ),
                    [word],
                ),
                (
                    (
                        "UPDATE staff SET first_name = %s, created_at = 'infinity' WHERE staff_id ="
                        " (SELECT staff_id FROM staff ORDER BY random() LIMIT 1)"
                    ),
                    [word],
                ),
                (
                    (
                        "INSERT INTO design (created_at, design_name, file_location, file_name,"
                        " last_updated) VALUES (now(), %s, '/usr/local', 'a.json', now())"
                    ),
                    [word],
                ),
                (
                    (
                        "INSERT INTO currency (currency_code, last_updated)"
                        " SELECT code, now() FROM unnest(ARRAY['HRK', 'DEM']) AS old (code)"
                        " WHERE code NOT IN (SELECT currency_code FROM currency)"
                    ),
                    [],
                ),
            ]
        )  # type: ignore[arg-type]
    )


def spoil(connection: psycopg.Connection, rng: Chance) -> None:
    """A row goes bad: a payment or an order gets a date that is none."""
    table, column = rng.choice(list(DATES.items()))
    connection.execute(
        sql.SQL("UPDATE {} SET {} = %s WHERE {} = %s").format(
            *map(sql.Identifier, (table, column, f"{table}_id"))
        ),
        [NO_DAY, _some(connection, table)],
    )


def mend(connection: psycopg.Connection, rng: Chance) -> None:
    """Most of the bad rows of a table are mended."""
    table, column = rng.choice(list(DATES.items()))
    day = (_now() + dt.timedelta(days=rng.randint(0, 5))).date().isoformat()
    connection.execute(
        sql.SQL("UPDATE {} SET {} = %s WHERE {} = %s AND random() < 0.8").format(
            *map(sql.Identifier, (table, column, column))
        ),
        [day, NO_DAY],
    )


WRITES: dict[Write, int] = {
    place_sale: 8,
    edit_silently: 5,
    edit_and_say_so: 3,
    there_and_back: 3,
    receive_payments: 2,
    delete_order: 2,
    change_reference_data: 2,
    spoil: 1,
    mend: 1,
}


def short(connection: psycopg.Connection, rng: Chance, write: Write) -> None:
    with contextlib.nullcontext() if write is there_and_back else connection.transaction():
        write(connection, rng)


def long_early(connection: psycopg.Connection, rng: Chance, write: Write) -> None:
    """Written at once, visible much later."""
    with connection.transaction():
        write(connection, rng)
        rng.nap(0.2, 3)


def long_late(connection: psycopg.Connection, rng: Chance, write: Write) -> None:
    """Opened long ago, written just before it commits."""
    with connection.transaction():
        connection.execute("SELECT pg_current_xact_id()")
        rng.nap(0.2, 3)
        write(connection, rng)


def savepoints(connection: psycopg.Connection, rng: Chance, write: Write) -> None:
    """One savepoint kept, one rolled back to; each has a transaction id of its own."""
    with connection.transaction():
        with connection.transaction():
            write(connection, rng)
        with contextlib.suppress(psycopg.Rollback), connection.transaction() as inner:
            rng.choice(list(WRITES))(connection, rng)
            raise psycopg.Rollback(inner)
        rng.nap(0, 2)


def two_phase(connection: psycopg.Connection, rng: Chance, write: Write) -> None:
    """Prepared now, committed (mostly) later."""
    name = sql.Literal(f"torture-{rng.getrandbits(64):x}")
    connection.execute("BEGIN")
    try:
        write(connection, rng)
        connection.execute(sql.SQL("PREPARE TRANSACTION {}").format(name))
    except psycopg.Error:
        connection.execute("ROLLBACK")
        raise
    rng.nap(0.2, 3)
    end = "COMMIT PREPARED {}" if rng.random() < 0.8 else "ROLLBACK PREPARED {}"
    connection.execute(sql.SQL(end).format(name))


def rolled_back(connection: psycopg.Connection, rng: Chance, write: Write) -> None:
    with contextlib.suppress(psycopg.Rollback), connection.transaction() as block:
        write(connection, rng)
        raise psycopg.Rollback(block)


KINDS: dict[Callable[[psycopg.Connection, Chance, Write], None], int] = {
    short: 80,
    long_early: 3,
    long_late: 3,
    savepoints: 6,
    two_phase: 4,
    rolled_back: 6,
}


class Worker(threading.Thread):
    """Works on a database until asked to stop, and rests while it is asked to.

    A server that goes away is waited for.
    """

    def __init__(
        self,
        dsn: str,
        seed: float,
        pause: float,
        stop: threading.Event,
        rest: threading.Event | None = None,
        pace: float = 1.0,
    ) -> None:
        super().__init__(daemon=True)
        self.dsn = dsn
        self.rng = Chance(seed)
        self.rng.pace = pace
        self.pause = pause
        self.stop = stop
        self.rest = rest or threading.Event()
        self.done: Counter[str] = Counter()

    def run(self) -> None:
        while not self.stop.is_set():
            with (
                contextlib.suppress(psycopg.Error),
                psycopg.connect(self.dsn, autocommit=True) as connection,
            ):
                self.begin(connection)
                while not self.stop.is_set():
                    if not self.rest.is_set():
                        with contextlib.suppress(*IN_EACH_OTHERS_WAY):
                            self.done[self.work(connection)] += 1
                    time.sleep(self.rng.expovariate(1 / self.pause))
            time.sleep(0.2)

    def begin(self, connection: psycopg.Connection) -> None:
        """What comes first on each new connection."""
        connection.execute("SET lock_timeout TO '5s'")

    def work(self, connection: psycopg.Connection) -> str:
        """Do one thing, and name its kind."""
        raise NotImplementedError


IN_EACH_OTHERS_WAY = (psycopg.errors.LockNotAvailable, psycopg.errors.DeadlockDetected)


def favour(weights: Mapping[Any, float], favoured: Collection[object]) -> dict[Any, float]:
    """The weights, with those of the favoured as large as all others together."""
    ordinary = sum(weight for one, weight in weights.items() if one not in favoured)
    liked = sum(weight for one, weight in weights.items() if one in favoured)
    factor = max(ordinary / liked, 1) if liked and ordinary else 1
    return {one: weight * factor if one in favoured else weight for one, weight in weights.items()}


class Writer(Worker):
    """One of those who use the application; half of what they do is of the `favoured` kinds."""

    def __init__(self, *arguments: Any, favoured: Collection[object] = ()) -> None:
        super().__init__(*arguments)
        self.writes = favour(WRITES, favoured)

    def work(self, connection: psycopg.Connection) -> str:
        [write] = self.rng.choices(list(self.writes), list(self.writes.values()))
        [kind] = self.rng.choices(list(KINDS), list(KINDS.values()))
        kind(connection, self.rng, write)
        return kind.__name__


def mend_all(dsn: str) -> None:
    """Mend every bad row."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for table, column in DATES.items():
            connection.execute(
                sql.SQL("UPDATE {} SET {} = '2024-11-15' WHERE {} = %s").format(
                    sql.Identifier(table), *[sql.Identifier(column)] * 2
                ),
                [NO_DAY],
            )


def finish_two_phase(connection: psycopg.Connection, seconds: float = 0) -> None:
    """Commit what a killed writer or a stopped server left prepared, so many seconds ago."""
    query = (
        "SELECT gid FROM pg_prepared_xacts WHERE database = current_database()"
        " AND prepared <= clock_timestamp() - make_interval(secs => %s)"
    )
    for (name,) in connection.execute(query, [seconds]).fetchall():
        connection.execute(sql.SQL("COMMIT PREPARED {}").format(sql.Literal(name)))


def finish(dsn: str) -> None:
    """Leave nothing prepared, now that nobody writes."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        finish_two_phase(connection)
