"""What the warehouse must hold, worked out from the oracle's log and the manifests' snapshots.

Nothing here uses the platform's transforms, load or SQL: star rows are made from the source's rows
a second time, in plain Python.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from totesys_dagster.lake.manifest import Manifest

Row = dict[str, Any]
Versions = dict[int, list[tuple[int, bool, Row]]]  # key -> (batch, is_deleted, row), in order

CURRENCY_NAMES = {"GBP": "Pound Sterling", "USD": "US Dollar", "EUR": "Euro", "JPY": "Yen"}


def install(connection: psycopg.Connection) -> None:
    """Log what the source holds, and from now on every version of every row."""
    connection.execute((Path(__file__).parent / "oracle.sql").read_text())


def _exact(text: str | bytes) -> Any:
    return json.loads(text, parse_float=Decimal)


Tables = dict[str, dict[int, Row]]


def snapshot_text(manifest: Manifest) -> str:
    running = ",".join(map(str, sorted(manifest.snapshot.running)))
    return f"{manifest.snapshot.xmin}:{manifest.snapshot.xmax}:{running}"


def became_visible(
    connection: psycopg.Connection, before: Manifest | None, now: Manifest
) -> list[tuple[str, int, Row | None]]:
    """The row versions that the snapshot of a batch sees and that of the one before did not."""
    set_json_loads(_exact, connection)
    query = """
        SELECT table_name, key, row FROM oracle.version
        WHERE pg_visible_in_snapshot(xid, %s::pg_snapshot)
          AND NOT pg_visible_in_snapshot(xid, %s::pg_snapshot)
        ORDER BY id
    """
    nothing = "3:3:"
    before_ = snapshot_text(before) if before else nothing
    return connection.execute(query, [snapshot_text(now), before_]).fetchall()


def _moment(text: str) -> dt.datetime:
    return dt.datetime.fromisoformat(text)


def _moments(row: Row) -> Row:
    created, updated = _moment(row["created_at"]), _moment(row["last_updated"])
    return {
        "created_date": created.date(),
        "created_time": created.time(),
        "last_updated_date": updated.date(),
        "last_updated_time": updated.time(),
    }


def _day(text: str) -> dt.date:
    return dt.date.fromisoformat(text)


def sales(row: Row, _: Tables) -> Row:
    return {
        "sales_order_id": row["sales_order_id"],
        **_moments(row),
        "sales_staff_id": row["staff_id"],
        "counterparty_id": row["counterparty_id"],
        "units_sold": row["units_sold"],
        "unit_price": Decimal(row["unit_price"]),
        "currency_id": row["currency_id"],
        "design_id": row["design_id"],
        "agreed_payment_date": _day(row["agreed_payment_date"]),
        "agreed_delivery_date": _day(row["agreed_delivery_date"]),
        "agreed_delivery_location_id": row["agreed_delivery_location_id"],
    }


def purchase(row: Row, _: Tables) -> Row:
    return {
        "purchase_order_id": row["purchase_order_id"],
        **_moments(row),
        "staff_id": row["staff_id"],
        "counterparty_id": row["counterparty_id"],
        "item_code": row["item_code"],
        "item_quantity": row["item_quantity"],
        "item_unit_price": Decimal(row["item_unit_price"]),
        "currency_id": row["currency_id"],
        "agreed_delivery_date": _day(row["agreed_delivery_date"]),
        "agreed_payment_date": _day(row["agreed_payment_date"]),
        "agreed_delivery_location_id": row["agreed_delivery_location_id"],
    }


def payment(row: Row, _: Tables) -> Row:
    return {
        "payment_id": row["payment_id"],
        **_moments(row),
        "transaction_id": row["transaction_id"],
        "counterparty_id": row["counterparty_id"],
        "payment_amount": Decimal(row["payment_amount"]),
        "currency_id": row["currency_id"],
        "payment_type_id": row["payment_type_id"],
        "paid": row["paid"],
        "payment_date": _day(row["payment_date"]),
    }


def staff(row: Row, seen: Tables) -> Row:
    department = seen["department"][row["department_id"]]
    return {
        "staff_id": row["staff_id"],
        "first_name": row["first_name"],
        "last_name": row["last_name"],
        "department_name": department["department_name"],
        "location": department["location"],
        "email_address": row["email_address"],
    }


def location(row: Row, _: Tables) -> Row:
    names = ("address_line_1", "address_line_2", "district", "city", "postal_code", "country")
    return {
        "location_id": row["address_id"],
        **{name: row[name] for name in names},
        "phone": row["phone"],
    }


def currency(row: Row, _: Tables) -> Row:
    return {
        "currency_id": row["currency_id"],
        "currency_code": row["currency_code"],
        "currency_name": CURRENCY_NAMES[row["currency_code"]],
    }


def design(row: Row, _: Tables) -> Row:
    return {name: row[name] for name in ("design_id", "design_name", "file_location", "file_name")}


def counterparty(row: Row, seen: Tables) -> Row:
    address = seen["address"][row["legal_address_id"]]
    legal = ("address_line_1", "address_line_2", "district", "city", "postal_code", "country")
    return {
        "counterparty_id": row["counterparty_id"],
        "counterparty_legal_name": row["counterparty_legal_name"],
        **{f"counterparty_legal_{name}": address[name] for name in legal},
        "counterparty_legal_phone_number": address["phone"],
    }


def payment_type(row: Row, _: Tables) -> Row:
    return {name: row[name] for name in ("payment_type_id", "payment_type_name")}


def transaction(row: Row, _: Tables) -> Row:
    names = ("transaction_id", "transaction_type", "sales_order_id", "purchase_order_id")
    return {name: row[name] for name in names}


Make = Callable[[Row, Tables], Row]

FACTS: dict[str, tuple[str, Make]] = {
    "fact_sales_order": ("sales_order", sales),
    "fact_purchase_order": ("purchase_order", purchase),
    "fact_payment": ("payment", payment),
}
DIMENSIONS: dict[str, tuple[str, Make]] = {
    "dim_staff": ("staff", staff),
    "dim_location": ("address", location),
    "dim_currency": ("currency", currency),
    "dim_design": ("design", design),
    "dim_counterparty": ("counterparty", counterparty),
    "dim_payment_type": ("payment_type", payment_type),
    "dim_transaction": ("transaction", transaction),
}


# Tables whose rows are looked up by another's: a change there may change any row of that one.
LOOKED_UP = {"department": "staff", "address": "counterparty"}


def expected(connection: psycopg.Connection, manifests: Iterable[Manifest]) -> dict[str, Versions]:
    """The full history of every star table: a version for each difference between two batches."""
    history: dict[str, Versions] = {star: {} for star in (*FACTS, *DIMENSIONS)}
    tables: Tables = {}
    before = None
    for manifest in manifests:
        touched: dict[str, set[int]] = {}
        for table, key, row in became_visible(connection, before, manifest):
            touched.setdefault(table, set()).add(key)
            if row is None:
                tables[table].pop(key, None)
            else:
                tables.setdefault(table, {})[key] = row
        for parent, child in LOOKED_UP.items():
            if parent in touched:
                touched.setdefault(child, set()).update(tables.get(child, {}))
        for star, (table, make) in {**FACTS, **DIMENSIONS}.items():
            for key in touched.get(table, ()):
                row = tables.get(table, {}).get(key)
                made = make(row, tables) if row is not None else None
                _append(history[star], key, made, manifest.sequence)
        before = manifest
    return history


def _append(versions: Versions, key: int, row: Row | None, batch: int) -> None:
    known = versions.setdefault(key, [])
    if row is not None and (not known or known[-1][1] or known[-1][2] != row):
        known.append((batch, False, row))
    if row is None and known and not known[-1][1]:
        known.append((batch, True, known[-1][2]))
    if not known:
        del versions[key]  # came and went between two batches


def found(connection: psycopg.Connection, star: str, columns: Iterable[str], key: str) -> Versions:
    """What a table of the warehouse holds, in the order of its record ids."""
    names = list(columns)
    query = sql.SQL("SELECT batch_seq, is_deleted, {} FROM warehouse.{} ORDER BY {}, 1").format(
        sql.SQL(", ").join(map(sql.Identifier, names)), sql.Identifier(star), sql.Identifier(key)
    )
    versions: Versions = {}
    for batch, is_deleted, *values in connection.execute(query):
        row = dict(zip(names, values, strict=True))
        versions.setdefault(row[key], []).append((batch, is_deleted, row))
    return versions


@dataclass
class Verdict:
    """How the warehouse differs from what it must hold; all zero is a pass."""

    lost: int = 0
    extra: int = 0
    doubled: int = 0
    wrong_dimension_rows: int = 0
    orphans: int = 0
    torn_groups: int = 0
    broken_links: int = 0
    rebuilt_otherwise: int = 0
    versions: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def errors(self) -> int:
        return (
            self.lost
            + self.extra
            + self.doubled
            + self.wrong_dimension_rows
            + self.orphans
            + self.torn_groups
            + self.broken_links
            + self.rebuilt_otherwise
        )


def judge(
    source: psycopg.Connection, warehouse: psycopg.Connection, manifests: list[Manifest]
) -> Verdict:
    """Compare the whole history of the warehouse with the oracle."""
    verdict = Verdict()
    history = expected(source, manifests)
    for star, (table, _) in FACTS.items():
        key = f"{table}_id"
        columns = next((v[0][2].keys() for v in history[star].values()), ())
        _judge_fact(verdict, star, history[star], found(warehouse, star, columns, key))
    for star, (table, _) in DIMENSIONS.items():
        key = "location_id" if table == "address" else f"{table}_id"
        columns = next((v[0][2].keys() for v in history[star].values()), ())
        _judge_dimension(verdict, star, history[star], found(warehouse, star, columns, key))
    verdict.orphans = _orphans(warehouse)
    verdict.torn_groups = _torn(warehouse)
    return verdict


def _judge_fact(verdict: Verdict, star: str, must: Versions, has: Versions) -> None:
    for key in must.keys() | has.keys():
        expected_, found_ = must.get(key, []), has.get(key, [])
        verdict.versions += len(expected_)
        if expected_ == found_:
            continue
        missing = [version for version in expected_ if version not in found_]
        more = [version for version in found_ if version not in expected_]
        verdict.lost += len(missing)
        verdict.extra += len(more)
        if not missing and not more:
            verdict.doubled += abs(len(found_) - len(expected_)) or 1
        verdict.examples.append(f"{star} {key}: must be {expected_}, is {found_}")


def _judge_dimension(verdict: Verdict, star: str, must: Versions, has: Versions) -> None:
    for key in must.keys() | has.keys():
        expected_, found_ = must.get(key, [])[-1:], has.get(key, [])
        if expected_ != found_:
            verdict.wrong_dimension_rows += 1
            verdict.examples.append(f"{star} {key}: must be {expected_}, is {found_}")


def _orphans(warehouse: psycopg.Connection) -> int:
    """Facts that refer to a dimension row which is not there."""
    references = {
        "fact_sales_order": {
            "dim_date": ("created_date", "last_updated_date", "agreed_payment_date"),
            "dim_staff": ("sales_staff_id",),
            "dim_counterparty": ("counterparty_id",),
            "dim_currency": ("currency_id",),
            "dim_design": ("design_id",),
            "dim_location": ("agreed_delivery_location_id",),
        },
        "fact_purchase_order": {
            "dim_date": ("created_date", "last_updated_date", "agreed_delivery_date"),
            "dim_staff": ("staff_id",),
            "dim_counterparty": ("counterparty_id",),
            "dim_currency": ("currency_id",),
            "dim_location": ("agreed_delivery_location_id",),
        },
        "fact_payment": {
            "dim_date": ("created_date", "last_updated_date", "payment_date"),
            "dim_transaction": ("transaction_id",),
            "dim_counterparty": ("counterparty_id",),
            "dim_currency": ("currency_id",),
            "dim_payment_type": ("payment_type_id",),
        },
    }
    count = 0
    for fact, dimensions in references.items():
        for dimension, columns in dimensions.items():
            key = {"dim_date": "date_id"}.get(dimension, dimension.removeprefix("dim_") + "_id")
            for column in columns:
                query = sql.SQL(
                    "SELECT count(*) FROM warehouse.{} AS f LEFT JOIN warehouse.{} AS d"
                    " ON d.{} = f.{} WHERE d.{} IS NULL"
                ).format(*map(sql.Identifier, (fact, dimension, key, column, key)))
                row = warehouse.execute(query).fetchone()
                assert row is not None
                count += row[0]
    return count


def _torn(warehouse: psycopg.Connection) -> int:
    """Orders whose first version came in another batch than their payment's.

    An order, its transaction and its payment are written in one transaction.
    """
    query = """
        WITH first_sale AS (SELECT sales_order_id, min(batch_seq) AS batch
                            FROM warehouse.fact_sales_order GROUP BY 1),
             first_purchase AS (SELECT purchase_order_id, min(batch_seq) AS batch
                                FROM warehouse.fact_purchase_order GROUP BY 1),
             first_payment AS (SELECT transaction_id, min(batch_seq) AS batch
                               FROM warehouse.fact_payment GROUP BY 1)
        SELECT count(*) FROM warehouse.dim_transaction AS t
        LEFT JOIN first_sale AS s USING (sales_order_id)
        LEFT JOIN first_purchase AS p USING (purchase_order_id)
        LEFT JOIN first_payment AS m USING (transaction_id)
        WHERE coalesce(s.batch, p.batch) IS DISTINCT FROM m.batch
    """
    row = warehouse.execute(query).fetchone()
    assert row is not None
    return int(row[0])
