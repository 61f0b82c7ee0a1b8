"""What a random business leaves in the warehouse, compared with what the source showed.

The transactions interleave on several connections in one thread: some roll back, some stay open
over several batches, some are prepared and decided later. After every batch the warehouse's current
rows must be the source's. The test keeps a history of its own from what it sees in the source right
after each capture, while nobody writes; at the end the warehouse must hold the same versions.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

import psycopg
import pytest
from psycopg import errors

from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import new_design, new_sale

TRANSACTIONS = 150

# The source's rows as the warehouse should hold them: key first, written for this test alone.
SOURCE = {
    "fact_sales_order": """
        SELECT sales_order_id, created_at::date, created_at::time, last_updated::date,
               last_updated::time, staff_id, counterparty_id, units_sold, unit_price, currency_id,
               design_id, agreed_payment_date::date, agreed_delivery_date::date,
               agreed_delivery_location_id
        FROM sales_order ORDER BY 1
    """,
    "fact_purchase_order": """
        SELECT purchase_order_id, created_at::date, created_at::time, last_updated::date,
               last_updated::time, staff_id, counterparty_id, item_code, item_quantity,
               item_unit_price, currency_id, agreed_delivery_date::date, agreed_payment_date::date,
               agreed_delivery_location_id
        FROM purchase_order ORDER BY 1
    """,
    "fact_payment": """
        SELECT payment_id, created_at::date, created_at::time, last_updated::date,
               last_updated::time, transaction_id, counterparty_id, payment_amount, currency_id,
               payment_type_id, paid, payment_date::date
        FROM payment ORDER BY 1
    """,
    "dim_staff": """
        SELECT staff_id, first_name, last_name, department_name, location, email_address
        FROM staff JOIN department USING (department_id) ORDER BY 1
    """,
    "dim_counterparty": """
        SELECT counterparty_id, counterparty_legal_name, address_line_1, address_line_2, district,
               city, postal_code, country, phone
        FROM counterparty JOIN address ON address_id = legal_address_id ORDER BY 1
    """,
    "dim_location": """
        SELECT address_id, address_line_1, address_line_2, district, city, postal_code, country,
               phone
        FROM address ORDER BY 1
    """,
    "dim_design": "SELECT design_id, design_name, file_location, file_name FROM design ORDER BY 1",
    "dim_transaction": """
        SELECT transaction_id, transaction_type::text, sales_order_id, purchase_order_id
        FROM transaction ORDER BY 1
    """,
}

FACTS = ("fact_sales_order", "fact_purchase_order", "fact_payment")

Row = tuple[object, ...]


def business_columns(star: str) -> str:
    """The columns between the record id and the lineage, by their place in the design."""
    return f"""
        SELECT string_agg(column_name, ', ' ORDER BY ordinal_position)
        FROM information_schema.columns
        WHERE table_schema = 'warehouse' AND table_name = '{star}' AND column_name !~ '_record_id$'
          AND column_name NOT IN ('batch_seq', 'observed_at', 'is_deleted')
    """


@dataclass
class History:
    """The versions of every fact that the snapshots of the batches could see."""

    versions: dict[str, dict[object, list[tuple[Row, bool]]]] = field(
        default_factory=lambda: {star: {} for star in FACTS}
    )

    def see(self, star: str, rows: list[Row]) -> None:
        known = self.versions[star]
        for row in rows:
            versions = known.setdefault(row[0], [])
            if not versions or versions[-1] != (row, False):
                versions.append((row, False))
        present = {row[0] for row in rows}
        for key, versions in known.items():
            last, is_deleted = versions[-1]
            if key not in present and not is_deleted:
                versions.append((last, True))

    def flat(self, star: str) -> list[Row]:
        known = self.versions[star]
        return [(*row, gone) for key in sorted(known, key=str) for row, gone in known[key]]


def statements(order: int, new_key: int) -> list[tuple[str, str]]:
    """What a transaction may do, by kind: `order` is a sale that is or was there."""
    one_or_two = 1 + order % 2
    return [
        ("order", new_sale(new_key)),
        ("order", new_sale(new_key)),
        (
            "edit",
            f"""
            UPDATE payment SET paid = NOT paid, last_updated = '2022-11-08 07:55'
            WHERE payment_id % 5 = {order % 5}
            """,
        ),
        (
            "silent edit",
            f"UPDATE sales_order SET design_id = 3 - design_id WHERE sales_order_id = {order}",
        ),
        ("silent edit", "UPDATE purchase_order SET item_code = reverse(item_code)"),
        (
            "delete",
            f"""
            DELETE FROM payment WHERE transaction_id IN
                (SELECT transaction_id FROM transaction WHERE sales_order_id = {order});
            DELETE FROM transaction WHERE sales_order_id = {order};
            DELETE FROM sales_order WHERE sales_order_id = {order}
            """,
        ),
        ("design", new_design(1000 + new_key)),
        (
            "department",
            f"UPDATE department SET location = 'Town {order}' WHERE department_id = {one_or_two}",
        ),
        ("address", f"UPDATE address SET city = 'Town {order}' WHERE address_id = {one_or_two}"),
        (
            "staff",
            f"UPDATE staff SET department_id = 3 - department_id WHERE staff_id = {one_or_two}",
        ),
    ]


KINDS = {kind for kind, _ in statements(0, 0)}
ENDINGS = {"commit", "roll back", "long", "prepare"}
SAVEPOINTS = {"RELEASE here", "ROLLBACK TO here"}


class Business:
    """Transactions of chance on one source. `done` counts what happened, by kind."""

    def __init__(self, platform: Platform, chance: random.Random) -> None:
        self.platform = platform
        self.chance = chance
        self.done: Counter[str] = Counter()
        self.open: list[psycopg.Connection] = []
        self.prepared: list[str] = []
        self._last_key = 100

    def transact(self) -> None:
        """One transaction of one to three statements, and perhaps the end of an older one."""
        writer = self.platform.writer()
        # What an open transaction has locked is left to it: nobody else is running who could
        # release it.
        writer.execute("SET lock_timeout TO '10ms'")
        writer.commit()
        try:
            for _ in range(self.chance.randint(1, 3)):
                self._act(writer)
        except errors.LockNotAvailable:
            writer.close()
        else:
            self._finish(writer)
        if self.chance.random() < 0.3:
            self._settle_one()

    def _act(self, writer: psycopg.Connection) -> None:
        order = self.chance.choice([1, 2, *range(100, self._last_key + 1)])
        kind, statement = self.chance.choice(statements(order, self._new_key()))
        ending = self.chance.choice(["", "", "", *sorted(SAVEPOINTS)])
        if ending:
            writer.execute("SAVEPOINT here")
        with suppress(errors.UniqueViolation), writer.transaction():
            writer.execute(statement)
            self.done[kind] += 1
        if ending:
            writer.execute(ending)
            self.done[ending] += 1

    def _new_key(self) -> int:
        """The next key, or one of before, which may have been deleted: else nothing happens."""
        if self.chance.random() < 0.3:
            return self.chance.randint(100, self._last_key)
        self._last_key += 1
        return self._last_key

    def _finish(self, writer: psycopg.Connection) -> None:
        ending = self.chance.choice(["commit", "commit", *sorted(ENDINGS)])
        if ending == "long" and len(self.open) < 4:
            self.open.append(writer)
        elif ending == "prepare" and len(self.prepared) < 4:
            name = f"{self.platform.source_database} {sum(self.done.values())}"
            writer.execute(f"PREPARE TRANSACTION '{name}'")
            self.prepared.append(name)
            writer.close()
        else:
            writer.rollback() if ending == "roll back" else writer.commit()
            writer.close()
        self.done[ending] += 1

    def _settle_one(self) -> None:
        """Decide a transaction that was left open or prepared."""
        commit = self.chance.random() < 0.8
        if self.open:
            writer = self.open.pop(0)
            writer.commit() if commit else writer.rollback()
            writer.close()
        if self.prepared:
            verb = "COMMIT" if commit else "ROLLBACK"
            self.platform.application.execute(f"{verb} PREPARED '{self.prepared.pop(0)}'")

    def settle(self) -> None:
        while self.open or self.prepared:
            self._settle_one()


@pytest.fixture
def business(platform: Platform) -> Iterator[Business]:
    business = Business(platform, random.Random(20241115))
    yield business
    business.settle()


def source_rows(platform: Platform, star: str) -> list[Row]:
    return platform.application.execute(SOURCE[star]).fetchall()  # type: ignore[call-overload,no-any-return]


@pytest.mark.long
def test_warehouse_holds_what_the_source_showed(platform: Platform, business: Business) -> None:
    columns = {star: platform.rows(business_columns(star))[0][0] for star in SOURCE}
    history, batches = History(), 0

    def take_a_batch() -> None:
        nonlocal batches
        loaded = platform.run()
        batches += loaded is not None
        assert loaded is None or all(found.equal for found in loaded.audits.values())
        for star in SOURCE:
            rows = source_rows(platform, star)
            assert platform.rows(f"SELECT {columns[star]} FROM current_{star} ORDER BY 1") == rows
            if star in FACTS:
                history.see(star, rows)

    take_a_batch()
    for _ in range(TRANSACTIONS):
        business.transact()
        if business.chance.random() < 0.2:
            take_a_batch()
    business.settle()
    take_a_batch()

    for star in FACTS:
        versions = platform.rows(
            f"SELECT {columns[star]}, is_deleted FROM {star}"
            f" ORDER BY {columns[star].partition(',')[0]}::text, batch_seq"
        )
        assert versions == history.flat(star)
    assert batches > 20
    assert set(business.done) == KINDS | ENDINGS | SAVEPOINTS
