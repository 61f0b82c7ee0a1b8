"""The simulated ToteSys: its schema, its two years of history, and what happens to it live.

`empty_source` (conftest.py) is an autocommit connection to a fresh, empty database, as its owner.
"""

import datetime
import random
from collections import Counter
from collections.abc import Callable, Iterator
from textwrap import dedent
from typing import Any

import psycopg
import pytest
from psycopg import sql

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.local import stack
from totesys_dagster.local.server import Server
from totesys_simulator import simulator, vocabulary
from totesys_simulator.simulator import (
    business_day,
    business_moment,
    create_source,
    fill_history,
)

FRIDAY = datetime.date(2024, 11, 15)
MONDAY = datetime.date(2024, 11, 18)

TABLES = {
    "address": """
        address_id integer not null
        address_line_1 text not null
        address_line_2 text
        district text
        city text not null
        postal_code text not null
        country text not null
        phone text not null
        created_at timestamp(3) not null
        last_updated timestamp(3) not null
    """,
    "counterparty": """
        counterparty_id integer not null
        counterparty_legal_name text not null
        legal_address_id integer not null
        commercial_contact text
        delivery_contact text
        created_at timestamp(3) not null
        last_updated timestamp(3) not null
    """,
    "currency": """
        currency_id integer not null
        currency_code character varying(3) not null
        created_at timestamp(3) not null
        last_updated timestamp(3) not null
    """,
    "department": """
        department_id integer not null
        department_name text not null
        location text
        manager text
        created_at timestamp(3) not null
        last_updated timestamp(3) not null
    """,
    "design": """
        design_id integer not null
        created_at timestamp(3) not null
        design_name text not null
        file_location text not null
        file_name text not null
        last_updated timestamp(3) not null
    """,
    "staff": """
        staff_id integer not null
        first_name text not null
        last_name text not null
        department_id integer not null
        email_address text not null
        created_at timestamp(3) not null
        last_updated timestamp(3) not null
    """,
    "payment_type": """
        payment_type_id integer not null
        payment_type_name "PaymentTypeName" not null
        created_at timestamp(3) not null
        last_updated timestamp(3) not null
    """,
    "sales_order": """
        sales_order_id integer not null
        created_at timestamp(3) not null
        last_updated timestamp(3) not null
        design_id integer not null
        staff_id integer not null
        counterparty_id integer not null
        units_sold integer not null
        unit_price numeric(10,2) not null
        currency_id integer not null
        agreed_delivery_date text not null
        agreed_payment_date text not null
        agreed_delivery_location_id integer not null
    """,
    "purchase_order": """
        purchase_order_id integer not null
        created_at timestamp(3) not null
        last_updated timestamp(3) not null
        staff_id integer not null
        counterparty_id integer not null
        item_code text not null
        item_quantity integer not null
        item_unit_price numeric(10,2) not null
        currency_id integer not null
        agreed_delivery_date text not null
        agreed_payment_date text not null
        agreed_delivery_location_id integer not null
    """,
    "transaction": """
        transaction_id integer not null
        transaction_type "TransactionType" not null
        sales_order_id integer
        purchase_order_id integer
        created_at timestamp(3) not null
        last_updated timestamp(3) not null
    """,
    "payment": """
        payment_id integer not null
        created_at timestamp(3) not null
        last_updated timestamp(3) not null
        transaction_id integer not null
        counterparty_id integer not null
        payment_amount numeric(10,2) not null
        currency_id integer not null
        payment_type_id integer not null
        paid boolean not null
        payment_date text not null
        company_ac_number integer not null
        counterparty_ac_number integer not null
    """,
    "_prisma_migrations": """
        id character varying(36) not null
        checksum character varying(64) not null
        finished_at timestamp with time zone
        migration_name character varying(255) not null
        logs text
        rolled_back_at timestamp with time zone
        started_at timestamp with time zone not null
        applied_steps_count integer not null
    """,
}
# Those that the simulator fills. Tables that were added to the catalogue since have no row there.
BUSINESS_TABLES = [table for table in TABLES if not table.startswith("_")]


FOREIGN_KEYS = """
    counterparty(legal_address_id) REFERENCES address(address_id)
    payment(counterparty_id) REFERENCES counterparty(counterparty_id)
    payment(currency_id) REFERENCES currency(currency_id)
    payment(payment_type_id) REFERENCES payment_type(payment_type_id)
    payment(transaction_id) REFERENCES transaction(transaction_id)
    purchase_order(agreed_delivery_location_id) REFERENCES address(address_id)
    purchase_order(counterparty_id) REFERENCES counterparty(counterparty_id)
    purchase_order(currency_id) REFERENCES currency(currency_id)
    purchase_order(staff_id) REFERENCES staff(staff_id)
    sales_order(agreed_delivery_location_id) REFERENCES address(address_id)
    sales_order(counterparty_id) REFERENCES counterparty(counterparty_id)
    sales_order(currency_id) REFERENCES currency(currency_id)
    sales_order(design_id) REFERENCES design(design_id)
    sales_order(staff_id) REFERENCES staff(staff_id)
    staff(department_id) REFERENCES department(department_id)
    transaction(purchase_order_id) REFERENCES purchase_order(purchase_order_id)
    transaction(sales_order_id) REFERENCES sales_order(sales_order_id)
"""

# Each order beside its transaction and its payment; what lacks a partner stands beside NULLs.
CREATE_BUSINESS = """
    CREATE OR REPLACE TEMPORARY VIEW business AS
    SELECT
        *,
        max(ordered_at::date) OVER () AS today,
        min(payment_updated) FILTER (WHERE paid) OVER (PARTITION BY due) AS run_at
    FROM (
        SELECT 'SALE' AS kind, sales_order_id AS order_id, created_at AS ordered_at,
            last_updated AS order_updated, counterparty_id, currency_id,
            units_sold AS quantity, unit_price AS price,
            agreed_delivery_date::date AS delivery, agreed_payment_date AS payment_agreed
        FROM sales_order
        UNION ALL
        SELECT 'PURCHASE', purchase_order_id, created_at,
            last_updated, counterparty_id, currency_id,
            item_quantity, item_unit_price,
            agreed_delivery_date::date, agreed_payment_date
        FROM purchase_order
    ) AS o
    FULL JOIN (
        SELECT transaction_type::text AS kind, transaction_id, created_at AS transacted_at,
            last_updated AS transaction_updated,
            coalesce(sales_order_id, purchase_order_id) AS order_id
        FROM transaction
        WHERE num_nonnulls(sales_order_id, purchase_order_id) = 1
    ) AS t USING (kind, order_id)
    FULL JOIN (
        SELECT transaction_id, payment_id, created_at AS payment_at,
            last_updated AS payment_updated, counterparty_id AS payer_id,
            currency_id AS payment_currency_id, payment_amount, payment_type_id, paid,
            payment_date, payment_date::date AS due, company_ac_number, counterparty_ac_number
        FROM payment
    ) AS p USING (transaction_id)
"""

INVARIANTS = {
    "an order has a transaction and a payment": (
        "num_nonnulls(order_id, transaction_id, payment_id) = 3"
    ),
    "the three are of the same millisecond": (
        "ordered_at = transacted_at AND ordered_at = payment_at"
    ),
    "orders come in on weekdays from 08:00 to 18:59": (
        "extract(isodow FROM ordered_at) < 6 AND extract(hour FROM ordered_at) BETWEEN 8 AND 18"
    ),
    "no edit of an order shows": "order_updated = ordered_at",
    "no transaction is ever updated": "transaction_updated = transacted_at",
    "the amount is quantity times price": "payment_amount = quantity * price",
    "the payment is in the currency of the order": "payment_currency_id = currency_id",
    "the payment is with the counterparty of the order": "payer_id = counterparty_id",
    "the payment is due on the agreed date": "payment_date = payment_agreed",
    "sales are received, purchases paid": (
        "payment_type_id = CASE kind WHEN 'SALE' THEN 1 ELSE 3 END"
    ),
    "payment is agreed for within six days": "due - ordered_at::date BETWEEN 0 AND 6",
    "delivery is agreed for the day of the order at the earliest": "delivery >= ordered_at::date",
    "quantities are in the range of their kind": (
        "CASE kind WHEN 'SALE' THEN quantity BETWEEN 1001 AND 99999"
        " ELSE quantity BETWEEN 1 AND 999 END"
    ),
    "prices are in the range of their kind": (
        "CASE kind WHEN 'SALE' THEN price BETWEEN 2 AND 4 ELSE price BETWEEN 3 AND 999.99 END"
    ),
    "account numbers have eight digits": (
        "company_ac_number BETWEEN 10000000 AND 99999999"
        " AND counterparty_ac_number BETWEEN 10000000 AND 99999999"
    ),
    "what is due at a weekend is never paid": "NOT (paid AND extract(isodow FROM due) > 5)",
    "a payment is updated when it is paid and not before": (
        "CASE WHEN paid THEN payment_updated > payment_at ELSE payment_updated = payment_at END"
    ),
}

# Holds while payments come in by the morning's run only.
PAYMENT_RUN = {
    "a run pays what is due that weekday and was entered on an earlier day": (
        "paid = (extract(isodow FROM due) < 6 AND due > ordered_at::date AND due <= today)"
    ),
    "the run is at 07:55 of the day": (
        "NOT paid OR date_trunc('minute', payment_updated) = due + time '07:55'"
    ),
    "all payments of a day are paid by one statement": "NOT paid OR payment_updated = run_at",
}


# The tests use two sizes: the real one, and a month for what does not depend on the size.


@pytest.fixture
def source(
    server: Server, new_database: Callable[..., str], full_template: str
) -> Iterator[psycopg.Connection]:
    """A source with its whole history, up to a Friday."""
    name = new_database(stack.APPLICATION, full_template)
    with psycopg.connect(server.dsn(stack.APPLICATION, name), autocommit=True) as connection:
        yield connection


A_MONTH = {"HISTORY_DAYS": 21, "SALES": 441, "PURCHASES": 189, "DESIGNS": 30}


@pytest.fixture(scope="module")
def month_template(server: Server, new_database: Callable[..., str]) -> str:
    """The same business when it was a month old, up to the same Friday."""
    name = new_database(stack.APPLICATION)
    with (
        pytest.MonkeyPatch.context() as patch,
        psycopg.connect(server.dsn(stack.APPLICATION, name), autocommit=True) as connection,
    ):
        for constant, value in A_MONTH.items():
            patch.setattr(simulator, constant, value)
        create_source(connection)
        fill_history(connection, last_day=FRIDAY)
    return name


@pytest.fixture
def small_source(
    server: Server,
    new_database: Callable[..., str],
    month_template: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[psycopg.Connection]:
    """A source with the history of that month."""
    for constant, value in A_MONTH.items():
        monkeypatch.setattr(simulator, constant, value)
    name = new_database(stack.APPLICATION, month_template)
    with psycopg.connect(server.dsn(stack.APPLICATION, name), autocommit=True) as connection:
        yield connection


Change = dict[str, Any]


@pytest.fixture
def changes(small_source: psycopg.Connection) -> Callable[[], list[Change]]:
    """What has been done to `small_source` so far, row by row: transaction, table, old and new.

    `changed` names the columns in which old and new differ.
    """
    small_source.execute("CREATE SCHEMA journal")
    small_source.execute(
        """
        CREATE TABLE journal.change (
            step serial, transaction bigint DEFAULT txid_current(), tbl text, old jsonb, new jsonb
        );
        CREATE FUNCTION journal.note() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN
            INSERT INTO journal.change (tbl, old, new)
            VALUES (tg_table_name, to_jsonb(OLD), to_jsonb(NEW));
            RETURN NULL;
        END $$
        """
    )
    for table in BUSINESS_TABLES:
        small_source.execute(
            sql.SQL(
                "CREATE TRIGGER note AFTER INSERT OR UPDATE OR DELETE ON {}"
                " FOR EACH ROW EXECUTE FUNCTION journal.note()"
            ).format(sql.Identifier(table))
        )

    def read() -> list[Change]:
        rows = small_source.execute(
            "SELECT transaction, tbl, old, new FROM journal.change ORDER BY step"
        )
        return [
            {
                "transaction": transaction,
                "table": table,
                "old": old,
                "new": new,
                "changed": {name for name in old if old[name] != new[name]} if old and new else {},
            }
            for transaction, table, old, new in rows
        ]

    return read


def one(source: psycopg.Connection, query: str, *parameters: object) -> Any:
    row = source.execute(query, parameters or None).fetchone()
    assert row is not None
    return row[0]


def count(source: psycopg.Connection, table: str) -> int:
    return one(source, sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier(table)))


def broken(source: psycopg.Connection, invariants: dict[str, str]) -> dict[str, int]:
    """How many rows break each of the invariants, without those that hold."""
    source.execute(CREATE_BUSINESS)
    violations = (
        sql.SQL("count(*) FILTER (WHERE ({}) IS NOT TRUE)").format(sql.SQL(condition))
        for condition in invariants.values()
    )
    counts = source.execute(
        sql.SQL("SELECT {} FROM business").format(sql.SQL(", ").join(violations))
    ).fetchone()
    return {name: rows for name, rows in zip(invariants, counts, strict=True) if rows}


def fingerprint(source: psycopg.Connection) -> dict[str, str]:
    """Per table a digest of all rows in the order in which they lie in it."""
    digest = "SELECT md5(string_agg(t::text, chr(10) ORDER BY t.ctid)) FROM {} AS t"
    return {
        table: one(source, sql.SQL(digest).format(sql.Identifier(table)))
        for table in BUSINESS_TABLES
    }


def start_again(source: psycopg.Connection, **choices: Any) -> None:
    source.execute(
        sql.SQL("TRUNCATE {} RESTART IDENTITY CASCADE").format(
            sql.SQL(", ").join(map(sql.Identifier, BUSINESS_TABLES))
        )
    )
    fill_history(source, **choices)


# The schema


def test_tables_have_these_columns_in_this_order(empty_source: psycopg.Connection) -> None:
    create_source(empty_source)
    columns = empty_source.execute(
        """
        SELECT relname, string_agg(
            concat_ws(
                ' ', attname,
                replace(format_type(atttypid, atttypmod), ') without time zone', ')'),
                CASE WHEN attnotnull THEN 'not null' END
            ),
            chr(10) ORDER BY attnum
        )
        FROM pg_attribute JOIN pg_class ON pg_class.oid = attrelid
        WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' AND attnum > 0
        GROUP BY relname
        """
    ).fetchall()
    found = dict(columns)
    assert set(found) == {*TABLES, *SOURCE_TABLES}
    assert {table: found[table] for table in TABLES} == {
        table: dedent(text).strip() for table, text in TABLES.items()
    }


def test_enums_have_the_values_of_the_application(empty_source: psycopg.Connection) -> None:
    create_source(empty_source)
    assert one(empty_source, 'SELECT enum_range(NULL::"TransactionType")::text') == (
        "{SALE,PURCHASE}"
    )
    assert one(empty_source, 'SELECT enum_range(NULL::"PaymentTypeName")::text') == (
        "{SALES_RECEIPT,SALES_REFUND,PURCHASE_PAYMENT,PURCHASE_REFUND}"
    )


def test_keys_come_from_sequences(empty_source: psycopg.Connection) -> None:
    create_source(empty_source)
    keys = empty_source.execute(
        """
        SELECT conrelid::regclass::text, pg_get_constraintdef(oid)
        FROM pg_constraint
        WHERE contype = 'p' AND connamespace = 'public'::regnamespace
            AND conrelid <> '_prisma_migrations'::regclass
        """
    ).fetchall()
    assert dict(keys) == {table: f"PRIMARY KEY ({table}_id)" for table in SOURCE_TABLES}
    for table in SOURCE_TABLES:
        assert one(empty_source, "SELECT pg_get_serial_sequence(%s, %s)", table, f"{table}_id") == (
            f"public.{table}_{table}_id_seq"
        )


def test_a_transaction_belongs_to_one_order_and_a_payment_to_one_transaction(
    empty_source: psycopg.Connection,
) -> None:
    create_source(empty_source)
    unique = empty_source.execute(
        """
        SELECT conrelid::regclass::text, pg_get_constraintdef(oid)
        FROM pg_constraint
        WHERE contype = 'u' AND conrelid::regclass::text = ANY(%s)
        ORDER BY 1, 2
        """,
        [BUSINESS_TABLES],
    ).fetchall()
    assert unique == [
        ("payment", "UNIQUE (transaction_id)"),
        ("transaction", "UNIQUE (purchase_order_id)"),
        ("transaction", "UNIQUE (sales_order_id)"),
    ]


def test_foreign_keys_follow_a_new_key_and_forbid_a_deletion(
    empty_source: psycopg.Connection,
) -> None:
    create_source(empty_source)
    found = empty_source.execute(
        """
        SELECT conrelid::regclass || replace(pg_get_constraintdef(oid), 'FOREIGN KEY ', '')
        FROM pg_constraint WHERE contype = 'f' AND conrelid::regclass::text = ANY(%s)
        """,
        [BUSINESS_TABLES],
    )
    # Deleting an order leaves its transaction behind: the one exception to RESTRICT.
    expected = {
        f"{line.strip()} ON UPDATE CASCADE ON DELETE "
        + ("SET NULL" if line.strip().startswith("transaction") else "RESTRICT")
        for line in FOREIGN_KEYS.strip().splitlines()
    }
    assert {key for (key,) in found} == expected


def test_created_at_has_a_default_and_nothing_keeps_last_updated(
    empty_source: psycopg.Connection,
) -> None:
    create_source(empty_source)
    defaults = empty_source.execute(
        """
        SELECT column_name, column_default, count(*) FROM information_schema.columns
        WHERE table_name = ANY(%s) AND column_name IN ('created_at', 'last_updated')
        GROUP BY 1, 2 ORDER BY 1
        """,
        [BUSINESS_TABLES],
    ).fetchall()
    assert defaults == [("created_at", "CURRENT_TIMESTAMP", 11), ("last_updated", None, 11)]
    assert one(empty_source, "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal") == 0


def test_prisma_has_noted_one_migration(empty_source: psycopg.Connection) -> None:
    create_source(empty_source)
    assert count(empty_source, "_prisma_migrations") == 1


# The history


@pytest.mark.long
def test_history_has_the_size_of_the_real_source(source: psycopg.Connection) -> None:
    assert {table: count(source, table) for table in BUSINESS_TABLES} == {
        "address": 30,
        "counterparty": 20,
        "currency": 3,
        "department": 8,
        "design": 473,
        "staff": 20,
        "payment_type": 4,
        "sales_order": 11_187,
        "purchase_order": 4_649,
        "transaction": 15_836,
        "payment": 15_836,
    }
    assert source.execute("SELECT currency_id, currency_code FROM currency").fetchall() == [
        (1, "GBP"),
        (2, "USD"),
        (3, "EUR"),
    ]


@pytest.mark.long
def test_history_obeys_the_rules_of_the_business(source: psycopg.Connection) -> None:
    assert broken(source, INVARIANTS) == {}
    assert broken(source, PAYMENT_RUN) == {}
    unpaid = one(
        source,
        "SELECT avg((NOT paid)::integer) FROM payment WHERE payment_date <= %s",
        FRIDAY.isoformat(),
    )
    assert 0.38 < unpaid < 0.40


@pytest.mark.long
def test_history_keeps_the_pace_of_the_real_source(source: psycopg.Connection) -> None:
    days, newest = source.execute(
        "SELECT count(DISTINCT created_at::date), max(created_at)::date FROM transaction"
    ).fetchone()
    assert (days, newest) == (532, FRIDAY)
    assert 15 < 473 / (days / 21.7) < 22  # designs a month


@pytest.mark.long
def test_history_hides_old_edits(source: psycopg.Connection) -> None:
    """An edit shows only by what cannot have been so at first."""
    late_deliveries = one(
        source,
        "SELECT count(*) FROM sales_order WHERE agreed_delivery_date::date - created_at::date > 7",
    )
    designs_from_the_future = one(
        source,
        "SELECT count(*) FROM sales_order AS s JOIN design AS d USING (design_id)"
        " WHERE d.created_at > s.created_at",
    )
    assert late_deliveries > 20
    assert designs_from_the_future > 5


@pytest.mark.long
def test_keys_and_rows_are_not_in_the_order_of_time(source: psycopg.Connection) -> None:
    back_in_time = (
        "SELECT count(*) FROM (SELECT created_at < lag(created_at) OVER (ORDER BY {}) AS back"
        " FROM {}) AS t WHERE back"
    )
    for table in ("sales_order", "purchase_order", "transaction", "payment"):
        by_key = sql.SQL(back_in_time).format(sql.Identifier(f"{table}_id"), sql.Identifier(table))
        assert 0 < one(source, by_key) < 100
    for table in ("sales_order", "purchase_order", "payment"):
        by_place = sql.SQL(back_in_time).format(sql.Identifier("ctid"), sql.Identifier(table))
        assert one(source, by_place) > 100
    assert 0 < one(source, "SELECT count(*) FROM payment WHERE payment_id <> transaction_id") < 200


TRAPS = {
    "an apostrophe in a name": "staff WHERE last_name = 'O''Keefe'",
    "an apostrophe in an e-mail": "staff WHERE email_address LIKE '%o''keefe@%'",
    "an apostrophe in a country": (
        "address WHERE country = 'Democratic People''s Republic of Korea'"
    ),
    "commas": "counterparty WHERE counterparty_legal_name LIKE '%, % and %'",
    "a zero before a postal code": "address WHERE postal_code LIKE '0%'",
    "a zero before a phone number": "address WHERE phone LIKE '0%'",
    "a zero before an item code": "purchase_order WHERE item_code ~ '^0[1-9]'",
    "an item code that reads as a number": "purchase_order WHERE item_code ~ '^01E[0-9]+$'",
    "slashes": "design WHERE file_location LIKE '/%/%'",
    "a misspelt location": "department WHERE location = 'Leds'",
    "no second line": "address WHERE address_line_2 IS NULL",
    "no district": "address WHERE district IS NULL",
}


@pytest.mark.long
def test_traps_of_the_real_data_are_there(source: psycopg.Connection) -> None:
    missing = [
        trap
        for trap, rows in TRAPS.items()
        if not one(source, sql.SQL("SELECT EXISTS (SELECT FROM {})").format(sql.SQL(rows)))
    ]
    assert missing == []


@pytest.mark.long
def test_some_timestamps_have_no_milliseconds(source: psycopg.Connection) -> None:
    share = one(
        source,
        "SELECT avg((created_at = date_trunc('second', created_at))::integer) FROM transaction",
    )
    assert 0.001 < share < 0.003


@pytest.mark.long
def test_history_is_the_same_for_one_seed_and_day(source: psycopg.Connection) -> None:
    before = fingerprint(source)
    start_again(source, last_day=FRIDAY)
    assert fingerprint(source) == before
    start_again(source, last_day=FRIDAY, seed=2023)
    assert fingerprint(source)["sales_order"] != before["sales_order"]


@pytest.mark.parametrize("last_day", [FRIDAY, datetime.date(2024, 11, 17)])
def test_history_ends_on_the_last_weekday(
    small_source: psycopg.Connection, last_day: datetime.date
) -> None:
    start_again(small_source, last_day=last_day)
    assert one(small_source, "SELECT max(created_at)::date FROM transaction") == FRIDAY


def test_sequences_go_on_after_the_history(small_source: psycopg.Connection) -> None:
    for table in BUSINESS_TABLES:
        newest = one(
            small_source,
            sql.SQL("SELECT max({}) FROM {}").format(
                sql.Identifier(f"{table}_id"), sql.Identifier(table)
            ),
        )
        following = one(
            small_source,
            "SELECT nextval(pg_get_serial_sequence(%s, %s))",
            table,
            f"{table}_id",
        )
        assert following == newest + 1


def test_a_filled_source_is_not_filled_again(small_source: psycopg.Connection) -> None:
    before = fingerprint(small_source)
    with pytest.raises(psycopg.errors.UniqueViolation):
        fill_history(small_source, last_day=MONDAY)
    assert fingerprint(small_source) == before


# A business day


def test_a_day_deletes_an_order_that_was_there_before(
    small_source: psycopg.Connection, changes: Callable[[], list[Change]]
) -> None:
    query = "SELECT transaction_id FROM transaction"
    before = {key for (key,) in small_source.execute(query)}
    business_day(small_source, MONDAY)

    deleted = [
        change["old"]["transaction_id"]
        for change in changes()
        if change["new"] is None and change["table"] == "transaction"
    ]
    assert deleted
    assert before.issuperset(deleted)


def test_a_day_reports_exactly_what_it_did(
    small_source: psycopg.Connection, changes: Callable[[], list[Change]]
) -> None:
    done = business_day(small_source, MONDAY)

    kinds = Counter(
        (
            "insert" if change["old"] is None else "delete" if change["new"] is None else "update",
            change["table"],
        )
        for change in changes()
    )
    orders = done.sales + done.purchases
    assert done.day == MONDAY
    assert kinds == Counter(
        {
            ("insert", "sales_order"): done.sales,
            ("insert", "purchase_order"): done.purchases,
            ("insert", "transaction"): orders,
            ("insert", "payment"): orders,
            ("insert", "design"): done.designs_added,
            ("update", "payment"): done.payments_received,
            ("update", "design"): done.design_edits,
            ("update", "staff"): done.staff_moves,
            ("update", "department"): done.department_edits,
            ("update", "address"): done.address_edits,
            ("update", "sales_order"): kinds["update", "sales_order"],
            ("update", "purchase_order"): done.silent_edits - kinds["update", "sales_order"],
            ("delete", "payment"): done.orders_deleted,
            ("delete", "transaction"): done.orders_deleted,
            ("delete", "sales_order"): kinds["delete", "sales_order"],
            ("delete", "purchase_order"): done.orders_deleted - kinds["delete", "sales_order"],
        }
    )
    assert 10 <= done.sales <= 35
    assert 2 <= done.purchases <= 20
    assert 1 <= done.designs_added <= 2
    assert (done.silent_edits, done.design_edits, done.orders_deleted) == (12, 1, 1)
    assert done.payments_received > 0


def test_silent_edits_change_one_column_and_leave_last_updated(
    small_source: psycopg.Connection, changes: Callable[[], list[Change]]
) -> None:
    silently_edited = {**vocabulary.SILENTLY_EDITED, "design": ("file_location",)}
    for _ in range(5):
        business_day(small_source)
    edits = [
        change
        for change in changes()
        if change["old"] and change["new"] and change["table"] in silently_edited
    ]
    assert len(edits) == 5 * 13
    for edit in edits:
        [column] = edit["changed"]
        assert column in silently_edited[edit["table"]]


def test_an_order_goes_from_a_to_b_and_back_in_separate_commits(
    small_source: psycopg.Connection, changes: Callable[[], list[Change]]
) -> None:
    business_day(small_source, MONDAY)
    edits = [
        change
        for change in changes()
        if change["table"] in vocabulary.SILENTLY_EDITED and change["old"] and change["new"]
    ]
    there, back = next(
        (first, second)
        for first in edits
        for second in edits
        if first["old"] == second["new"] and first["new"] == second["old"]
    )
    commits = {change["transaction"] for change in changes()}
    in_between = [c for c in commits if there["transaction"] < c < back["transaction"]]
    assert len(in_between) > 20


def test_an_order_comes_and_goes_in_one_commit(
    small_source: psycopg.Connection, changes: Callable[[], list[Change]]
) -> None:
    done = business_day(small_source, MONDAY)
    entered: dict[int, list[str]] = {}
    deleted: dict[int, list[str]] = {}
    for change in changes():
        if change["old"] is None and change["table"] != "design":
            entered.setdefault(change["transaction"], []).append(change["table"])
        if change["new"] is None:
            deleted.setdefault(change["transaction"], []).append(change["table"])
    assert Counter(map(tuple, entered.values())) == {
        ("sales_order", "transaction", "payment"): done.sales,
        ("purchase_order", "transaction", "payment"): done.purchases,
    }
    [deletion] = deleted.values()
    assert deletion[:2] == ["payment", "transaction"]


def test_one_statement_pays_what_is_due(
    small_source: psycopg.Connection, changes: Callable[[], list[Change]]
) -> None:
    done = business_day(small_source, MONDAY)
    paid = [c for c in changes() if c["table"] == "payment" and c["old"] and c["new"]]
    assert len(paid) == done.payments_received
    assert len({change["transaction"] for change in paid}) == 1
    assert len({change["new"]["last_updated"] for change in paid}) == 1
    for change in paid:
        assert change["changed"] == {"paid", "last_updated"}
        assert change["new"]["payment_date"] == "2024-11-18"
        assert change["new"]["last_updated"].startswith("2024-11-18T07:55:")


@pytest.mark.long
def test_rare_edits_of_the_office_set_last_updated(
    small_source: psycopg.Connection, changes: Callable[[], list[Change]]
) -> None:
    days = [business_day(small_source) for _ in range(40)]
    assert 1 < sum(day.staff_moves for day in days) < 25
    assert 0 < sum(day.department_edits for day in days) < 20
    assert 0 < sum(day.address_edits for day in days) < 20
    columns = {
        (change["table"], *sorted(change["changed"]))
        for change in changes()
        if change["table"] in {"staff", "department", "address"}
    }
    assert columns == {
        ("staff", "department_id", "last_updated"),
        ("department", "last_updated", "location"),
        ("address", "address_line_2", "last_updated"),
    }


def test_the_rules_of_the_business_still_hold_after_two_weeks(
    small_source: psycopg.Connection,
) -> None:
    for _ in range(10):
        business_day(small_source)
    assert broken(small_source, INVARIANTS) == {}
    assert broken(small_source, PAYMENT_RUN) == {}


def test_the_next_day_is_the_weekday_after_the_newest_order(
    small_source: psycopg.Connection,
) -> None:
    assert business_day(small_source).day == MONDAY
    assert business_day(small_source).day == datetime.date(2024, 11, 19)


def test_a_day_that_is_run_again_pays_nothing_before_it_was_entered(
    small_source: psycopg.Connection,
) -> None:
    business_day(small_source, MONDAY)
    assert business_day(small_source, MONDAY, seed=1).payments_received == 0
    assert broken(small_source, INVARIANTS) == {}


@pytest.mark.parametrize("weekend", [datetime.date(2024, 11, 16), datetime.date(2024, 11, 17)])
def test_there_is_no_business_at_weekends(
    small_source: psycopg.Connection, weekend: datetime.date
) -> None:
    with pytest.raises(ValueError, match=f"closed on {weekend}, a weekend: name a weekday"):
        business_day(small_source, weekend)


def test_a_source_without_history_has_no_next_day(empty_source: psycopg.Connection) -> None:
    create_source(empty_source)
    with pytest.raises(LookupError, match="fill its history first"):
        business_day(empty_source)


@pytest.mark.parametrize("seed", [None, 7])
def test_a_day_is_the_same_for_one_seed(small_source: psycopg.Connection, seed: int | None) -> None:
    first = business_day(small_source, seed=seed), fingerprint(small_source)
    start_again(small_source, last_day=FRIDAY)
    assert (business_day(small_source, seed=seed), fingerprint(small_source)) == first


# A moment of business


@pytest.mark.long
def test_two_hundred_moments_leave_the_rules_of_the_business_intact(
    small_source: psycopg.Connection, changes: Callable[[], list[Change]]
) -> None:
    rng = random.Random(5)
    now = datetime.datetime.fromisoformat("2024-11-18T09:00:00.250")
    minute = datetime.timedelta(minutes=1)
    said = [business_moment(small_source, rng, now + n * minute) for n in range(200)]

    assert broken(small_source, INVARIANTS) == {}
    assert len({change["transaction"] for change in changes()}) == 200
    first_words = Counter(sentence.split()[0] for sentence in said)
    assert first_words["Sales"] > 70
    assert set(first_words) == {"Sales", "Purchase", "Payment", "Design", "Staff", "The"}
    names = {name for person in vocabulary.STAFF for name in person[:2]}
    for sentence in said:
        assert sentence.endswith(".")
        assert "\n" not in sentence
        assert not names & set(sentence.split())


@pytest.mark.long
def test_silent_moments_leave_last_updated(
    small_source: psycopg.Connection, changes: Callable[[], list[Change]]
) -> None:
    rng = random.Random(6)
    now = datetime.datetime.fromisoformat("2024-11-18T09:00")
    said = [business_moment(small_source, rng, now) for _ in range(100)]
    silent = [sentence for sentence in said if "without a trace" in sentence]
    updates = [c for c in changes() if c["old"] and c["new"]]
    assert len(silent) > 5
    assert sum("last_updated" not in change["changed"] for change in updates) == len(silent)


def test_a_moment_is_stored_in_utc_to_the_millisecond(small_source: psycopg.Connection) -> None:
    now = datetime.datetime.fromisoformat("2024-11-18T10:00:00.999999+01:00")
    rng = random.Random(0)
    while not business_moment(small_source, rng, now).startswith(("Sales order", "Design")):
        pass
    newest = one(
        small_source,
        "SELECT greatest((SELECT max(created_at) FROM transaction),"
        " (SELECT max(created_at) FROM design))",
    )
    assert newest == datetime.datetime.fromisoformat("2024-11-18T09:00:00.999")


def test_a_late_payment_comes_in_at_the_moment(small_source: psycopg.Connection) -> None:
    rng = random.Random(1)
    now = datetime.datetime.fromisoformat("2024-11-18T09:00")
    while not (said := business_moment(small_source, rng, now)).startswith("Payment"):
        pass
    paid, last_updated, due = small_source.execute(
        "SELECT paid, last_updated, payment_date FROM payment WHERE payment_id = %s",
        [said.split()[1].rstrip(",")],
    ).fetchone()
    assert (paid, last_updated) == (True, now)
    assert "2024-11-12" <= due <= "2024-11-18"
