"""The source's owner, who changes the catalogue: rows then change, appear or vanish without a
transaction id of their own, or are hidden for a moment.

Whatever a change makes a table show, the owner notes in its transaction (`oracle.note_table`), and
so the oracle knows in which snapshots it must show. Most changes take a lock that a capture has to
wait for; of those that do not, the oracle is told that the moment is not defined.

Each kind is done once before any is done again. The kinds:

* row security and, in the place of a table, a view: the capture must refuse, and lose nothing;
* a partition attached, detached, or swapped with another of the same keys, and a table that
  inherits, or does no more;
* a table swapped with another by a rename, and one that is emptied and loaded again;
* a column dropped and added with a default, the expression of a generated column, the type of a
  column that a star carries and of some that none does, and a label of an enum;
* a table that is only rewritten, or frozen, which is no change at all.
"""

from __future__ import annotations

import contextlib
import threading
from collections import deque
from collections.abc import Callable, Iterator
from typing import Any

import psycopg
from psycopg import sql

from totesys_dagster.local.stack import EXTRACTOR
from totesys_dagster_tests.torture.writers import (
    IN_EACH_OTHERS_WAY,
    Chance,
    Worker,
    finish_two_phase,
)

# What the changes below need: partitions of payments (two of them with the same keys), a table that
# designs can inherit from, a virtual column where the server has such, and purchases that nothing
# refers to, so that their table can be replaced.
PREPARE = """
ALTER TABLE payment RENAME TO payment_main;
CREATE TABLE payment (LIKE payment_main INCLUDING DEFAULTS) PARTITION BY RANGE (payment_id);
ALTER TABLE payment ATTACH PARTITION payment_main FOR VALUES FROM (MINVALUE) TO (900000);
CREATE TABLE payment_one (LIKE payment INCLUDING DEFAULTS);
INSERT INTO payment_one SELECT * FROM payment WHERE transaction_id IN
    (SELECT transaction_id FROM transaction WHERE purchase_order_id IS NOT NULL LIMIT 3);
UPDATE payment_one SET payment_id = payment_id + 900000;
CREATE TABLE payment_other (LIKE payment INCLUDING DEFAULTS);
INSERT INTO payment_other TABLE payment_one;
CREATE TABLE design_old (LIKE design INCLUDING DEFAULTS);
INSERT INTO design_old SELECT * FROM design ORDER BY design_id LIMIT 3;
UPDATE design_old SET design_id = design_id + 900000;
ALTER TABLE transaction DROP CONSTRAINT transaction_purchase_order_id_fkey;
ALTER SEQUENCE purchase_order_purchase_order_id_seq OWNED BY NONE;
INSERT INTO purchase_order (created_at, last_updated, staff_id, counterparty_id, item_code,
        item_quantity, item_unit_price, currency_id, agreed_delivery_date, agreed_payment_date,
        agreed_delivery_location_id)
    SELECT created_at, last_updated, staff_id, counterparty_id, item_code, item_quantity,
        item_unit_price, currency_id, agreed_delivery_date, agreed_payment_date,
        agreed_delivery_location_id
    FROM purchase_order CROSS JOIN generate_series(1, 20) LIMIT 20;
"""
PREPARE_18 = """
ALTER TABLE staff DROP email_address;
ALTER TABLE staff ADD email_address text GENERATED ALWAYS AS (last_name || '@example') VIRTUAL;
"""
# What is prepared for longer was left behind, and holds its locks until somebody ends it.
LONGEST_PREPARED_SECONDS = 4
# How long the owner waits for a batch.
PATIENCE_SECONDS = 3
PARTITION_KEYS = "FOR VALUES FROM (900000) TO (910000)"


def prepare(connection: psycopg.Connection) -> None:
    """Bring the source's tables into a form in which all of it can be done to them."""
    with connection.transaction():
        connection.execute(PREPARE)
        if connection.info.server_version >= 180000:
            connection.execute(PREPARE_18)
        connection.execute(
            sql.SQL("GRANT SELECT ON ALL TABLES IN SCHEMA public TO {}").format(
                sql.Identifier(EXTRACTOR)
            )
        )


@contextlib.contextmanager
def _changing(
    connection: psycopg.Connection, table: str, *, defined: bool = True
) -> Iterator[None]:
    """A transaction that changes what a table shows, and notes it.

    It is `defined` which snapshots it is in, for it takes the lock that every reader waits for.
    """
    with connection.transaction():
        if defined:
            _lock(connection, table)
        yield
        connection.execute("SELECT oracle.note_table(%s, %s)", [table, defined])


def _lock(connection: psycopg.Connection, table: str) -> None:
    connection.execute(
        sql.SQL("LOCK TABLE {} IN ACCESS EXCLUSIVE MODE").format(sql.Identifier(table))
    )


def _execute(connection: psycopg.Connection, statement: str, *names: str) -> None:
    """Run a statement with names in it."""
    connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def _word(rng: Chance) -> str:
    return f"{rng.getrandbits(32):08x}"


def hide_rows(connection: psycopg.Connection, rng: Chance) -> None:
    """Row security hides some rows from the extractor, and all of a table's, for a moment."""
    table = rng.choice(["payment", "sales_order"])
    shown = rng.choice(["FALSE", f"{table}_id % 2 = 0"])
    try:
        with connection.transaction():
            _execute(connection, "ALTER TABLE {} ENABLE ROW LEVEL SECURITY", table)
            _execute(
                connection,
                f"CREATE POLICY hide ON {{}} FOR SELECT TO {{}} USING ({shown})",
                table,
                EXTRACTOR,
            )
        rng.wait_for_batches(3, 8)
    finally:
        restore(connection)


def put_a_view_in_its_place(connection: psycopg.Connection, rng: Chance) -> None:
    """For a moment, a view stands in the place of a table."""
    try:
        with connection.transaction():
            connection.execute("ALTER TABLE currency RENAME TO currency_table")
            connection.execute("CREATE VIEW currency AS TABLE currency_table")
            _execute(connection, "GRANT SELECT ON currency TO {}", EXTRACTOR)
        rng.wait_for_batches(2, 4)
    finally:
        restore(connection)


HIDDEN = (
    "SELECT relname FROM pg_class WHERE relrowsecurity AND relnamespace = 'public'::regnamespace"
)


def restore(connection: psycopg.Connection) -> None:
    """Take back what was for a moment only. Whoever is in the way is waited for."""
    while not connection.closed:
        try:
            with connection.transaction():
                for (table,) in connection.execute(HIDDEN).fetchall():
                    _execute(connection, "DROP POLICY hide ON {}", table)
                    _execute(connection, "ALTER TABLE {} DISABLE ROW LEVEL SECURITY", table)
                if connection.execute("SELECT to_regclass('currency_table')").fetchone() != (None,):
                    connection.execute("DROP VIEW currency")
                    connection.execute("ALTER TABLE currency_table RENAME TO currency")
            return
        except IN_EACH_OTHERS_WAY:
            finish_two_phase(connection, LONGEST_PREPARED_SECONDS)


def _attached(connection: psycopg.Connection) -> str | None:
    query = (
        "SELECT relname FROM pg_class JOIN pg_inherits ON inhrelid = oid"
        " WHERE relname IN ('payment_one', 'payment_other')"
    )
    row = connection.execute(query).fetchone()
    return row[0] if row else None


def attach_or_detach(connection: psycopg.Connection, rng: Chance) -> None:
    """A partition goes, or comes with rows that were written long before."""
    attached = _attached(connection)
    if attached:
        with _changing(connection, "payment"):
            _execute(connection, "ALTER TABLE payment DETACH PARTITION {}", attached)
            _write_along(connection, rng, "payment")
        return
    table = rng.choice(["payment_one", "payment_other"])
    _edit_aside(connection, rng, table)
    with _changing(connection, "payment", defined=rng.perhaps()):
        _execute(connection, f"ALTER TABLE payment ATTACH PARTITION {{}} {PARTITION_KEYS}", table)
        _write_along(connection, rng, "payment")


def swap_partitions(connection: psycopg.Connection, rng: Chance) -> None:
    """Another partition with the same keys takes the place of one."""
    before = _attached(connection)
    after = "payment_one" if before == "payment_other" else "payment_other"
    _edit_aside(connection, rng, after)
    with _changing(connection, "payment"):
        if before:
            _execute(connection, "ALTER TABLE payment DETACH PARTITION {}", before)
        _execute(connection, f"ALTER TABLE payment ATTACH PARTITION {{}} {PARTITION_KEYS}", after)
        _write_along(connection, rng, "payment")


def _write_along(connection: psycopg.Connection, rng: Chance, table: str) -> None:
    """Half of the time, a row is written as well: a table that has changed anyway is not digested,
    and so nothing tells of the rest but what the catalogue says."""
    if rng.perhaps():
        _execute(
            connection,
            "UPDATE {0} SET last_updated = clock_timestamp()"
            " WHERE {1} = (SELECT min({1}) FROM {0})",
            table,
            f"{table}_id",
        )


def _edit_aside(connection: psycopg.Connection, rng: Chance, table: str) -> None:
    """Write to a partition that nobody sees, long before it is seen."""
    _execute(
        connection, "UPDATE {} SET payment_amount = round((random() * 10000)::numeric, 2)", table
    )
    rng.wait_for_batches()  # which do not see it


def inherit_or_not(connection: psycopg.Connection, rng: Chance) -> None:
    """A table's rows become those of another one too, or are so no more."""
    query = "SELECT count(*) FROM pg_inherits WHERE inhrelid = 'design_old'::regclass"
    if connection.execute(query).fetchone() == (1,):
        with _changing(connection, "design"):
            connection.execute("ALTER TABLE design_old NO INHERIT design")
            _write_along(connection, rng, "design")
        return
    connection.execute("UPDATE design_old SET design_name = %s", [_word(rng)])
    rng.wait_for_batches()
    with _changing(connection, "design", defined=rng.perhaps()):
        connection.execute("ALTER TABLE design_old INHERIT design")
        _write_along(connection, rng, "design")


def swap_tables(connection: psycopg.Connection, rng: Chance) -> None:
    """A table is built beside another one, and takes its name."""
    with connection.transaction():
        connection.execute("DROP TABLE IF EXISTS purchase_order_new")
        connection.execute("CREATE TABLE purchase_order_new (LIKE purchase_order INCLUDING ALL)")
        connection.execute("INSERT INTO purchase_order_new TABLE purchase_order")
        connection.execute("UPDATE purchase_order_new SET item_unit_price = item_unit_price + 1")
        _execute(connection, "GRANT SELECT ON purchase_order_new TO {}", EXTRACTOR)
    rng.wait_for_batches()
    with connection.transaction():
        _lock(connection, "purchase_order")
        connection.execute("DROP TABLE purchase_order")
        connection.execute("ALTER TABLE purchase_order_new RENAME TO purchase_order")
        connection.execute("SELECT oracle.watch('purchase_order')")
        connection.execute("SELECT oracle.note_table('purchase_order', TRUE)")
        _write_along(connection, rng, "purchase_order")


def empty_and_load_again(connection: psycopg.Connection, _: Chance) -> None:
    """TRUNCATE, and most of the rows again, some of them changed."""
    with _changing(connection, "purchase_order"):
        connection.execute(
            "CREATE TEMP TABLE kept ON COMMIT DROP AS"
            " SELECT * FROM purchase_order ORDER BY random() LIMIT"
            " (SELECT greatest(count(*) - 1, 5) FROM purchase_order)"
        )
        connection.execute("UPDATE kept SET item_quantity = item_quantity + 1 WHERE random() < 0.1")
        connection.execute("TRUNCATE purchase_order")
        connection.execute("INSERT INTO purchase_order TABLE kept")


def replace_column(connection: psycopg.Connection, _: Chance) -> None:
    """A column is dropped, and added again with a default: no row is written for that."""
    [place] = connection.execute(
        "SELECT address_id FROM address ORDER BY random() LIMIT 1"
    ).fetchone() or [1]
    with _changing(connection, "purchase_order"):
        connection.execute("ALTER TABLE purchase_order DROP agreed_delivery_location_id")
        connection.execute(
            sql.SQL(
                "ALTER TABLE purchase_order ADD agreed_delivery_location_id integer NOT NULL"
                " DEFAULT {}"
            ).format(place)
        )


def change_expression(connection: psycopg.Connection, rng: Chance) -> None:
    """The expression of a virtual column is another one."""
    if connection.info.server_version < 180000:
        return
    with _changing(connection, "staff"):
        connection.execute(
            sql.SQL(
                "ALTER TABLE staff ALTER email_address SET EXPRESSION AS (first_name || {})"
            ).format(f"@{_word(rng)}.example")
        )


def rename_label(connection: psycopg.Connection, rng: Chance) -> None:
    """A label of an enum is renamed, to one that it never had."""
    query = (
        "SELECT enumlabel FROM pg_enum WHERE enumtypid = '\"PaymentTypeName\"'::regtype"
        " ORDER BY random() LIMIT 1"
    )
    [label] = connection.execute(query).fetchone() or [""]
    with _changing(connection, "payment_type", defined=False):
        connection.execute(
            sql.SQL('ALTER TYPE "PaymentTypeName" RENAME VALUE {} TO {}').format(
                label, f"{label.split('~')[0]}~{_word(rng)}"
            )
        )


def retype_quantity(connection: psycopg.Connection, _: Chance) -> None:
    """A column that a star carries gets another type, and other values by it."""
    [now] = connection.execute(
        "SELECT format_type(atttypid, NULL) FROM pg_attribute"
        " WHERE attrelid = 'purchase_order'::regclass AND attname = 'item_quantity'"
    ).fetchone() or [""]
    with _changing(connection, "purchase_order"):
        connection.execute(
            sql.SQL(
                "ALTER TABLE purchase_order ALTER item_quantity TYPE {} USING"
                " item_quantity % 900 + 1"
            ).format(sql.SQL("bigint" if now == "integer" else "integer"))
        )


# By the type that account numbers have: that which they get, and one that it can hold.
ACCOUNTS = {
    "integer": ("bigint USING {}::bigint", str(2**40)),
    "bigint": ("text USING {}::text", "GB33BUKB20201555555555"),
    "text": ("integer USING CASE WHEN {} ~ '^[0-9]{{1,9}}$' THEN {}::integer END", None),
}


def retype_accounts(connection: psycopg.Connection, rng: Chance) -> None:
    """Account numbers, which no star carries, get a wider type and such values, or NULL."""
    [now] = connection.execute(
        "SELECT format_type(atttypid, NULL) FROM pg_attribute"
        " WHERE attrelid = 'payment'::regclass AND attname = 'company_ac_number'"
    ).fetchone() or [""]
    type_, value = ACCOUNTS[now]
    column = rng.choice(["company_ac_number", "counterparty_ac_number"])
    attached = _attached(connection)
    aside = {"payment_one", "payment_other"} - {attached}
    with _changing(connection, "payment"):
        for table in ("payment", *aside):
            for name in ("company_ac_number", "counterparty_ac_number"):
                _execute(connection, "ALTER TABLE {} ALTER {} DROP NOT NULL", table, name)
                _execute(
                    connection,
                    "ALTER TABLE {} ALTER {} TYPE " + type_,
                    table,
                    *[name] * (1 + type_.count("{}")),
                )
        connection.execute(
            sql.SQL(
                "UPDATE payment SET {} = %s WHERE payment_id IN"
                " (SELECT payment_id FROM payment ORDER BY random() LIMIT 5)"
            ).format(sql.Identifier(column)),
            [value],
        )


def only_rewrite(connection: psycopg.Connection, rng: Chance) -> None:
    """The rows of a table get other places, or lose their transaction ids; they stay the same."""
    table = rng.choice(["sales_order", "purchase_order", "transaction", "design", "payment_type"])
    _execute(connection, rng.choice(["VACUUM FULL {}", "VACUUM FREEZE {}"]), table)
    _execute(connection, "CLUSTER sales_order USING {}", "sales_order_pkey")


Change = Callable[[psycopg.Connection, Chance], None]
CHANGES: tuple[Change, ...] = (
    hide_rows,
    put_a_view_in_its_place,
    attach_or_detach,
    swap_partitions,
    inherit_or_not,
    swap_tables,
    empty_and_load_again,
    replace_column,
    change_expression,
    rename_label,
    retype_quantity,
    retype_accounts,
    only_rewrite,
)


class Owner(Worker):
    """Does each change once before any is done again, as far as others let him.

    Between two changes there is a batch, for as long as he has patience: one reads a table in full,
    and would hide what another does to it.
    """

    due: deque[Change]

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.turn = threading.Event()

    def begin(self, connection: psycopg.Connection) -> None:
        connection.execute("SET lock_timeout TO '3s'")
        restore(connection)

    def work(self, connection: psycopg.Connection) -> str:
        self.turn.wait(PATIENCE_SECONDS)
        self.turn.clear()
        finish_two_phase(connection, LONGEST_PREPARED_SECONDS * self.rng.pace)
        if not hasattr(self, "due") or not self.due:
            self.due = deque(self.rng.sample(CHANGES, len(CHANGES)))
        change = self.due.popleft()
        try:
            change(connection, self.rng)
        except psycopg.Error:
            self.due.append(change)
            raise
        return change.__name__


def leave_in_order(dsn: str) -> None:
    """Take back, at the end, what was for a moment only."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        restore(connection)
