"""What the warehouse must hold, worked out from the oracle's log and the manifests' snapshots.

Nothing here uses the platform's transforms, load or SQL: star rows are made from the source's rows
a second time, in plain Python.

Four things are judged by where they end, and not by how they came there:

* Rows of which PostgreSQL itself does not say whether a snapshot holds them. A partition is
  attached, a table made to inherit and a label of an enum renamed under no lock that a reader would
  have to wait for, and all snapshots see it at once: a batch that is being read may show it, or the
  next one does. So a fact's rows may be any that were noted of it, and a dimension's row may be of
  the batch before; the last row must be right.
* Rows whose last commit was lost in a crash, where the batch after it did not read their table in
  full: that ids and the log have come as far again hides the loss, and if the table was written to
  meanwhile, only the audit of that batch tells that it differs. So the next one heals it.
* Facts and dimension rows that somebody changed in the warehouse by hand: their current row must be
  right again. A rebuild must then give the exact history.
* When a deletion is found in a table that is taken for a large one: with the first batch that
  compares its keys, as the manifest says. That this is not put off for ever shows at the end.
"""

from __future__ import annotations

import datetime as dt
import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
from psycopg import sql
from psycopg.types.json import set_json_loads

from totesys_dagster.lake.manifest import Manifest
from totesys_dagster_tests.torture.writers import DATES, NO_DAY

Row = dict[str, Any]
Versions = dict[int, list[tuple[int, bool, Row]]]  # key -> (batch, is_deleted, row), in order

CURRENCY_NAMES = {
    "GBP": "Pound Sterling",
    "USD": "US Dollar",
    "EUR": "Euro",
    "JPY": "Yen",
    "HRK": "Kuna",
    "DEM": "Deutsche Mark",
}


def install(connection: psycopg.Connection) -> None:
    """Log what the source holds, and from now on every version of every row."""
    connection.execute((Path(__file__).parent / "oracle.sql").read_text())


def _exact(text: str | bytes) -> Any:
    return json.loads(text, parse_float=Decimal)


Tables = dict[str, dict[int, Row]]


@dataclass(frozen=True)
class Noted:
    """A version of a row, None for a deletion; see `oracle.sql`."""

    xid: int
    started: dt.datetime
    defined: bool
    table: str
    key: int
    row: Row | None


def read_log(connection: psycopg.Connection) -> list[Noted]:
    """Everything that was noted and is committed, each row's versions in their order."""
    set_json_loads(_exact, connection)
    query = (
        "SELECT xid::text::bigint, started, defined, table_name, key, row FROM oracle.version"
        " ORDER BY id"
    )
    return [Noted(*row) for row in connection.execute(query)]


@dataclass
class Log:
    """What the source says was noted, and what it had said just before each crash that lost
    commits: that was true when it was captured. Those come with the start of the server before."""

    noted: Sequence[Noted]
    lost: Sequence[tuple[dt.datetime, Sequence[Noted]]] = ()

    def of(self, manifest: Manifest) -> Sequence[Noted]:
        """What had been noted in the time of the server in which a batch was read."""
        started = _started(manifest)
        return next((noted for when, noted in self.lost if started <= when), self.noted)


def _started(manifest: Manifest) -> dt.datetime:
    """When the server was started, or recovered from a crash, before a batch was read."""
    return max(map(dt.datetime.fromisoformat, manifest.source.servers[-1].split("/")))


def _seen(manifest: Manifest) -> Callable[[Noted], bool]:
    """Whether a batch's snapshot sees a version."""
    started, snapshot = _started(manifest), manifest.snapshot
    running = frozenset(snapshot.running)
    return lambda noted: (
        noted.xid < snapshot.xmax and noted.xid not in running and noted.started <= started
    )


def became_visible(
    log: Log, manifests: Iterable[Manifest]
) -> Iterator[tuple[Manifest, bool, list[Noted]]]:
    """Of each batch, the versions that its snapshot sees and that of the one before did not.

    All that it sees, and True, for the first batch and for one after a crash that lost commits.
    """
    source: Sequence[Noted] | None = None
    pending: Sequence[Noted] = ()
    for manifest in manifests:
        anew = log.of(manifest) is not source
        if anew:
            pending = source = log.of(manifest)
        seen = _seen(manifest)
        yield manifest, anew, [noted for noted in pending if seen(noted)]
        pending = [noted for noted in pending if not seen(noted)]


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


@dataclass
class Expected:
    """The full history of every star table: a version for each difference between two batches.

    `bad` has, by batch and star, the keys of rows that no star can take, `quarantined` those of
    them that the batch had to look at. `undefined` are the keys of which a snapshot does not say
    everything, each with the rows that were noted of it. `lost` are the keys of which a commit was
    lost in a crash, and that the batch after it may not have brought. `late` counts the tables
    whose keys a batch did not compare.
    """

    history: dict[str, Versions]
    bad: dict[tuple[int, str], set[int]] = field(default_factory=dict)
    quarantined: dict[tuple[int, str], set[int]] = field(default_factory=dict)
    undefined: dict[str, dict[int, list[Row]]] = field(default_factory=dict)
    lost: dict[str, set[int]] = field(default_factory=lambda: defaultdict(set))
    late: int = 0


STARS: dict[str, tuple[str, Make]] = {**FACTS, **DIMENSIONS}


def expected(log: Log, manifests: Iterable[Manifest]) -> Expected:
    """Work out what the warehouse must hold after these batches."""
    must = Expected({star: {} for star in STARS})
    tables: Tables = {}
    unseen: dict[str, set[int]] = defaultdict(set)  # deletions of which no batch knows
    for manifest, anew, versions in became_visible(log, manifests):
        before, tables = tables, ({} if anew else tables)
        touched: dict[str, set[int]] = defaultdict(set)
        for noted in versions:
            touched[noted.table].add(noted.key)
            if noted.row is None:
                tables.get(noted.table, {}).pop(noted.key, None)
            else:
                tables.setdefault(noted.table, {})[noted.key] = noted.row
        if anew:
            touched = _different(before, tables)
        for parent, child in LOOKED_UP.items():
            if parent in touched:
                touched[child].update(tables.get(child, {}))
        for star, (table, _) in STARS.items():
            keys = touched[table] | unseen[table]
            if anew and before and manifest.tables[table].read != "full":
                must.lost[star] |= touched[table]
            if manifest.tables[table].keys.sequence != manifest.sequence:
                unseen[table] = {key for key in keys if key not in tables.get(table, {})}
                keys -= unseen[table]
                must.late += 1
            else:
                unseen[table] = set()
            _take(must, star, manifest.sequence, keys, tables)
    for noted in log.noted:
        if not noted.defined:
            _note_undefined(must, noted, log.noted)
    return must


def _different(before: Tables, now: Tables) -> dict[str, set[int]]:
    """The keys of the rows that are not the same."""
    different: dict[str, set[int]] = defaultdict(set)
    for table in before.keys() | now.keys():
        old, new = before.get(table, {}), now.get(table, {})
        different[table] = {key for key in old.keys() | new.keys() if old.get(key) != new.get(key)}
    return different


def _take(must: Expected, star: str, batch: int, keys: set[int], tables: Tables) -> None:
    """Bring rows of a batch into a star's history; a bad one leaves its key as it was."""
    table, make = STARS[star]
    rows = tables.get(table, {})
    bad = must.bad.get((batch - 1, star), set()) - keys
    for key in keys:
        try:
            made = make(rows[key], tables) if key in rows else None
        except ValueError:
            bad.add(key)
        else:
            _append(must.history[star], key, made, batch)
    must.bad[batch, star] = {key for key in bad if key in rows}
    must.quarantined[batch, star] = bad & keys


def _note_undefined(must: Expected, undefined: Noted, noted: Iterable[Noted]) -> None:
    for star, (table, make) in STARS.items():
        known = must.undefined.setdefault(star, {})
        if table == undefined.table and undefined.key not in known:
            rows = [one.row for one in noted if (one.table, one.key) == (table, undefined.key)]
            known[undefined.key] = [make(row, {}) for row in rows if row is not None]


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
    """How the warehouse differs from what it must hold; all zero is a pass, but for `versions`."""

    lost: int = 0
    extra: int = 0
    doubled: int = 0
    wrong_dimension_rows: int = 0
    wrongly_quarantined: int = 0
    not_quarantined: int = 0
    late_keys: int = 0
    orphans: int = 0
    torn_groups: int = 0
    broken_links: int = 0
    rebuilt_otherwise: int = 0
    wrong_targets: int = 0
    versions: int = 0
    examples: list[str] = field(default_factory=list)

    @property
    def counts(self) -> dict[str, int]:
        """The count of each kind of error."""
        names = [one.name for one in fields(self) if one.name not in ("versions", "examples")]
        return {name: getattr(self, name) for name in names}

    @property
    def errors(self) -> int:
        return sum(self.counts.values())

    def add(self, other: Verdict) -> None:
        """Count in the errors of another look."""
        for name, count in other.counts.items():
            setattr(self, name, getattr(self, name) + count)
        self.examples += other.examples


ByHand = Collection[tuple[str, int]]  # star and key


def judge(
    log: Log,
    warehouse: psycopg.Connection,
    manifests: Sequence[Manifest],
    *,
    by_hand: ByHand = (),
    healed: bool = True,
    large: bool = False,
) -> Verdict:
    """Compare the whole history of the warehouse with the oracle.

    `by_hand` are the rows that somebody changed in the warehouse; their current rows are compared
    if they should be `healed` by now, unless they are bad. `large` says that tables were taken for
    large ones.
    """
    verdict = Verdict()
    must = expected(log, manifests)
    last = manifests[-1].sequence if manifests else 0
    verdict.late_keys = 0 if large else must.late
    for star, (table, _) in STARS.items():
        key = "location_id" if star == "dim_location" else f"{table}_id"
        history = must.history[star]
        columns = next((versions[0][2].keys() for versions in history.values()), ())
        has = found(warehouse, star, columns, key)
        edited = {one for of, one in by_hand if of == star} | must.lost[star]
        undefined = must.undefined.get(star, {})
        for one in history.keys() | has.keys():
            if one in edited:
                # What is in quarantine cannot heal.
                if healed and one not in must.bad[last, star]:
                    _judge_current(verdict, star, one, history, has)
            elif star in DIMENSIONS:
                _judge_dimension(verdict, star, one, history, has, early=one in undefined)
            elif one in undefined:
                _judge_current(verdict, star, one, history, has)
                _judge_any(verdict, star, one, has, undefined[one])
            else:
                _judge_fact(verdict, star, one, history, has)
    _judge_quarantine(verdict, warehouse, must)
    verdict.orphans = _orphans(warehouse)
    if not by_hand:
        verdict.torn_groups = _torn(warehouse, log)
    return verdict


def _judge_fact(verdict: Verdict, star: str, key: int, must: Versions, has: Versions) -> None:
    expected_, found_ = must.get(key, []), has.get(key, [])
    verdict.versions += len(expected_)
    if expected_ == found_:
        return
    missing = [version for version in expected_ if version not in found_]
    more = [version for version in found_ if version not in expected_]
    verdict.lost += len(missing)
    verdict.extra += len(more)
    if not missing and not more:
        verdict.doubled += abs(len(found_) - len(expected_)) or 1
    verdict.examples.append(f"{star} {key}: must be {_said(expected_)}, is {_said(found_)}")


def _said(versions: Sequence[tuple[int, bool, Row]]) -> str:
    """Versions as short as they can be said: what became of the first one, batch by batch."""
    said, before = [], {}
    for batch, is_deleted, row in versions:
        changed = {name: str(value) for name, value in row.items() if before.get(name) != value}
        said.append(f"{batch}: {'deleted' if is_deleted else changed if before else 'a row'}")
        before = row
    return f"[{'; '.join(said)}]"


def _judge_dimension(
    verdict: Verdict, star: str, key: int, must: Versions, has: Versions, *, early: bool
) -> None:
    expected_, found_ = must.get(key, [])[-1:], has.get(key, [])
    possible = [expected_]
    if early and expected_:
        possible.append([(expected_[0][0] - 1, *expected_[0][1:])])
    if found_ not in possible:
        verdict.wrong_dimension_rows += 1
        verdict.examples.append(f"{star} {key}: must be {expected_}, is {found_}")


def _judge_current(verdict: Verdict, star: str, key: int, must: Versions, has: Versions) -> None:
    """A deleted row is as good as none."""
    expected_, found_ = (
        [row for _, is_deleted, row in versions.get(key, [])[-1:] if not is_deleted]
        for versions in (must, has)
    )
    if expected_ != found_:
        verdict.lost += len(expected_)
        verdict.extra += len(found_)
        verdict.examples.append(f"{star} {key}: must be {expected_} now, is {found_}")


def _judge_any(verdict: Verdict, star: str, key: int, has: Versions, noted: list[Row]) -> None:
    made_up = [version for version in has.get(key, []) if version[2] not in noted]
    if made_up:
        verdict.extra += len(made_up)
        verdict.examples.append(f"{star} {key}: never was {made_up}")


def _judge_quarantine(verdict: Verdict, warehouse: psycopg.Connection, must: Expected) -> None:
    """The rows that were quarantined are the bad ones, each with every batch that holds it."""
    query = (
        "SELECT sequence, star, source, key, reason FROM warehouse_bookkeeping.quarantine"
        " ORDER BY sequence, star, key"
    )
    aside: dict[tuple[int, str], set[int]] = defaultdict(set)
    for batch, star, source, key, reason in warehouse.execute(query):
        if source == STARS[star][0] and key in must.bad.get((batch, star), ()):
            aside[batch, star].add(key)
        else:
            verdict.wrongly_quarantined += 1
            verdict.examples.append(f"batch {batch}, {star} {key}: quarantined for {reason}")
    for (batch, star), keys in must.quarantined.items():
        if missing := keys - aside[batch, star]:
            verdict.not_quarantined += len(missing)
            verdict.examples.append(f"batch {batch}, {star}: {missing} should be quarantined")


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


def _torn(warehouse: psycopg.Connection, log: Log) -> int:
    """Orders whose first version came in another batch than their payment's.

    An order, its transaction and its payment are written in one transaction. Left out are those of
    which a part was bad at some time, for it may have been so at first.
    """
    query = """
        WITH first_sale AS (SELECT sales_order_id, min(batch_seq) AS batch
                            FROM warehouse.fact_sales_order GROUP BY 1),
             first_purchase AS (SELECT purchase_order_id, min(batch_seq) AS batch
                                FROM warehouse.fact_purchase_order GROUP BY 1),
             first_payment AS (SELECT transaction_id, min(batch_seq) AS batch
                               FROM warehouse.fact_payment GROUP BY 1)
        SELECT transaction_id, purchase_order_id FROM warehouse.dim_transaction AS t
        LEFT JOIN first_sale AS s USING (sales_order_id)
        LEFT JOIN first_purchase AS p USING (purchase_order_id)
        LEFT JOIN first_payment AS m USING (transaction_id)
        WHERE coalesce(s.batch, p.batch) IS DISTINCT FROM m.batch
    """
    bad: dict[str, set[int]] = {"payment": set(), "purchase_order": set()}
    for noted in log.noted:
        if noted.row and NO_DAY in (noted.row.get(column) for column in DATES.values()):
            bad[noted.table].add(noted.row.get("transaction_id") or noted.key)
    return sum(
        transaction not in bad["payment"] and purchase not in bad["purchase_order"]
        for transaction, purchase in warehouse.execute(query)
    )
