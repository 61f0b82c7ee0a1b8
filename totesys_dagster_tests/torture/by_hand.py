"""Somebody who changes the warehouse by hand, which an audit has to find and a full read to heal.

Current rows are edited; of facts, rows are also removed, marked as deleted, or made up. Left alone
are old versions and the calendar, which no audit compares with the source, and dimension rows are
not removed: that is repaired by a rebuild.
"""

from __future__ import annotations

from collections import Counter

import psycopg
from psycopg import sql

from totesys_dagster_tests.torture.writers import Chance

# Of each fact its record id and business key, and of every table a column and another value of it.
FACTS = {
    "fact_sales_order": ("sales_record_id", "sales_order_id"),
    "fact_purchase_order": ("purchase_record_id", "purchase_order_id"),
    "fact_payment": ("payment_record_id", "payment_id"),
}
KEYS = {
    **{fact: key for fact, (_, key) in FACTS.items()},
    "dim_location": "location_id",
    "dim_staff": "staff_id",
    "dim_design": "design_id",
    "dim_payment_type": "payment_type_id",
}
VALUES = {
    "fact_sales_order": "units_sold = units_sold + 1",
    "fact_purchase_order": "item_code = item_code || '!'",
    "fact_payment": "payment_amount = payment_amount + 0.01",
    "dim_location": "phone = phone || '0'",
    "dim_staff": "last_name = last_name || 's'",
    "dim_design": "file_name = file_name || '~'",
    "dim_payment_type": "payment_type_name = lower(payment_type_name)",
}
# Keys of rows that are made up; the source's own do not come so far.
MADE_UP = 800_000

EDIT = "UPDATE warehouse.{table} SET {value} WHERE {newest} RETURNING {key}"
REMOVE = "DELETE FROM warehouse.{table} WHERE {newest} RETURNING {key}"
MARK = "UPDATE warehouse.{table} SET is_deleted = TRUE WHERE {newest} RETURNING {key}"
# The record id is far from those that a load gives at the same moment.
MAKE_UP = """
INSERT INTO warehouse.{table}
SELECT (jsonb_populate_record(t, jsonb_build_object(
    {record_id}, (SELECT max({record}) + 100000 FROM warehouse.{table}),
    {key_name}, {key} + 800000))).*
FROM warehouse.{table} AS t WHERE {newest} AND {key} < 800000
ON CONFLICT DO NOTHING RETURNING {key}
"""
# The current version of some row that is not deleted.
NEWEST = """ctid = (
    SELECT ctid FROM warehouse.{table} AS v
    WHERE {key} = (SELECT {key} FROM warehouse.{table} ORDER BY random() LIMIT 1)
      AND NOT EXISTS (SELECT FROM warehouse.{table} AS later
                      WHERE later.{key} = v.{key} AND later.batch_seq > v.batch_seq)
      AND NOT is_deleted)
"""


class ByHand:
    """Changes rows when asked to, and remembers which."""

    def __init__(self, seed: float) -> None:
        self.rng = Chance(seed)
        self.rows: set[tuple[str, int]] = set()
        self.done: Counter[str] = Counter()

    def edit(self, warehouse: psycopg.Connection, table: str, key: int) -> None:
        """Change the current row of a key."""
        query = (
            "UPDATE warehouse.{table} SET {value} WHERE {key} = %(key)s AND batch_seq ="
            " (SELECT max(batch_seq) FROM warehouse.{table} WHERE {key} = %(key)s)"
        )
        statement = sql.SQL(query).format(
            table=sql.Identifier(table),
            value=sql.SQL(VALUES[table]),
            key=sql.Identifier(KEYS[table]),
        )
        assert warehouse.execute(statement, {"key": key}).rowcount == 1
        self.rows.add((table, key))

    def change(self, warehouse: psycopg.Connection) -> None:
        """Change a row of some table; none where the one that was chosen is deleted."""
        table = self.rng.choice(list(KEYS))
        ways = {"edit": EDIT}
        if table in FACTS:
            ways |= {"remove": REMOVE, "mark": MARK, "make up": MAKE_UP}
        way = self.rng.choice(list(ways))
        record = FACTS.get(table, ("",))[0]
        names: dict[str, sql.Composable] = {
            "table": sql.Identifier(table),
            "key": sql.Identifier(KEYS[table]),
            "key_name": sql.Literal(KEYS[table]),
            "record": sql.Identifier(record or KEYS[table]),
            "record_id": sql.Literal(record),
            "value": sql.SQL(VALUES[table]),
        }
        names["newest"] = sql.SQL(NEWEST).format(**names)
        row = warehouse.execute(sql.SQL(ways[way]).format(**names)).fetchone()
        if row is not None:
            self.rows.add((table, row[0]))
            self.done[f"{way} {table}"] += 1
