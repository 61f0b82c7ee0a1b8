"""The plans by which PostgreSQL really ran the platform's statements, and what is wrong with them.

A statement may be fast by luck: a table of ten rows, statistics that are just there, a subquery
that just fits into memory. It shows in how many rows its plan goes through, whatever the time.
auto_explain tells of every statement that the platform's own connections run, so one that is new
is looked at without being named anywhere.
"""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import psycopg
import pytest
from psycopg import sql

from totesys_dagster import settings
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster.postgres.patience import PatientConnection
from totesys_dagster.postgres.sessions import connect
from totesys_dagster_tests.conftest import Platform

Node = dict[str, Any]

# No part of a plan may go through more than so many times the rows that its statement needs.
TIMES = 5
# What PostgreSQL knows of the rows, and how many there are in the largest tables. Those of landings
# are enough to tell a quadratic plan; with outdated statistics, so few are rightly looped over.
LANDING = ("fresh", 2000)
CASES = [
    pytest.param(statistics, rows, marks=[] if (statistics, rows) == LANDING else pytest.mark.long)
    for rows, known in {
        2000: ["none", "fresh"],
        10_000: ["none", "fresh", "outdated"],
        100_000: ["none", "fresh", "outdated"],
    }.items()
    for statistics in known
]
# What no statement has to account for: catalogues, the ledger, a row for each currency.
FEW = 10_000
# A subquery of so many rows fits into any memory.
SMALL = 1000
# A table of so many rows is read as soon as an index of it.
ONE_PAGE = 100
# A step of fifteen batches has three thousand. More are run row by row.
STATEMENTS = 8000

# As INFO, they are sent whatever a session wants to hear of.
AUTO_EXPLAIN = {
    "log_min_duration": "0",
    "log_analyze": "on",
    "log_timing": "off",
    "log_format": "json",
    "log_level": "info",
    "log_nested_statements": "on",
}
# Parameters may be long; earlier servers do not tell them.
AUTO_EXPLAIN_SINCE = {160000: {"log_parameter_max_length": "0"}}

REMOVED = (
    "Rows Removed by Filter",
    "Rows Removed by Join Filter",
    "Rows Removed by Index Recheck",
)

# How PostgreSQL asks whether rows are referred to, for each row anew.
FOREIGN_KEY = re.compile(r"^SELECT 1 FROM ONLY .* FOR KEY SHARE OF x$")


@dataclass(frozen=True)
class Plan:
    """A statement as it was run: in which step of a test, its text, the root of its plan, and how
    often that was said in the very same words."""

    step: str
    statement: str
    root: Node
    times: int

    def nodes(self) -> list[Node]:
        """The parts of the plan that were run at all."""
        return self._nodes

    @cached_property
    def _nodes(self) -> list[Node]:
        return [node for node in _below(self.root) if node["Actual Loops"]]

    @property
    def rows_out(self) -> float:
        """The rows that it returned or wrote."""
        written = (n["Plans"][0] for n in self.nodes() if n["Node Type"] == "ModifyTable")
        return _rows(self.root) + sum(map(_rows, written))

    @property
    def read(self) -> Counter[str]:
        """The rows that it went through in each table, every time."""
        rows: Counter[str] = Counter()
        for node in self.nodes():
            if table := _table(node):
                rows[table] += examined(node)
        return rows


def _below(node: Node) -> Iterator[Node]:
    yield node
    for child in node.get("Plans", ()):
        yield from _below(child)


def _rows(node: Node) -> float:
    return float(node["Actual Rows"] * node["Actual Loops"])


def _table(node: Node) -> str | None:
    """The table that a node scans."""
    return node.get("Relation Name") if node["Node Type"].endswith("Scan") else None


def _at_once(node: Node) -> float:
    """The rows that a node went through each time that it was run: given, thrown away, or pointed
    to by an index. To have found nothing counts as one (and PostgreSQL 17 and earlier round)."""
    own = node["Actual Rows"] + sum(node.get(removed, 0) for removed in REMOVED)
    pointed_to = [
        child["Actual Rows"] for child in node.get("Plans", ()) if "Bitmap" in child["Node Type"]
    ]
    return float(max(own, 1, *pointed_to))


def examined(node: Node) -> float:
    """The rows that a node went through in all, every time that it was run."""
    return max(node["Actual Loops"] * _at_once(node), node.get("Index Searches", 0))


@dataclass
class Plans:
    """What auto_explain has told the connections of a test."""

    step: str = ""
    _said: Counter[tuple[str, str]] = field(default_factory=Counter)

    def note(self, message: psycopg.errors.Diagnostic) -> None:
        """Take what PostgreSQL says to a connection."""
        text = message.message_primary or ""
        if text.startswith("duration: "):
            self._said[self.step, text[text.index("{") :]] += 1

    def seen(self, step: str | None = None) -> list[Plan]:
        """The plans of a step, or of all."""
        said = ((key, times) for key, times in self._said.items() if step in (None, key[0]))
        found = ((name, json.loads(text), times) for (name, text), times in said)
        return [
            Plan(name, " ".join(plan["Query Text"].split()), plan["Plan"], times)
            for name, plan, times in found
        ]

    def complaints(self) -> list[str]:
        """A sentence for each statement that goes through rows over and over, or would if its data
        did not fit into memory."""
        plans = self.seen()
        sizes = _sizes(plans)
        keys = [plan for plan in plans if FOREIGN_KEY.match(plan.statement)]
        others = [plan for plan in plans if not FOREIGN_KEY.match(plan.statement)]
        found = [(_over_and_over(plan, sizes), _in_memory(plan)) for plan in others]
        return [
            *filter(None, itertools.chain(*found)),
            *_foreign_keys(keys, sizes),
            *_row_by_row(others),
        ]


def _sizes(plans: list[Plan]) -> dict[str, float]:
    """The rows of each table: the most that one scan of it has ever gone through."""
    sizes: dict[str, float] = defaultdict(float)
    for plan in plans:
        for node in plan.nodes():
            if table := _table(node):
                sizes[table] = max(sizes[table], _at_once(node))
    return sizes


def _needed(plan: Plan, sizes: dict[str, float]) -> float:
    """The rows that go in and out: those that it went through in each table, once, or those of a
    function, and those that it returned or wrote."""
    functions = (n for n in plan.nodes() if n["Node Type"] in ("Function Scan", "ProjectSet"))
    made = sum(examined(node) for node in functions if node["Actual Loops"] == 1)
    read = sum(min(rows, sizes[table]) for table, rows in plan.read.items())
    return made + read + plan.rows_out


def _over_and_over(plan: Plan, sizes: dict[str, float]) -> str | None:
    most = max(plan.nodes(), key=examined)
    needed = _needed(plan, sizes)
    if examined(most) <= TIMES * needed + FEW:
        return None
    return (
        f"{plan.step}: {most['Node Type']} goes through {examined(most):,.0f} rows where"
        f" {needed:,.0f} go in and out: {plan.statement}"
    )


def _in_memory(plan: Plan) -> str | None:
    """Where PostgreSQL expects that a hashed subquery does not fit into work_mem, it goes through
    all of it for each row; a join would not depend on that."""
    for node in plan.nodes():
        for child in node.get("Plans", ()):
            name = child.get("Subplan Name")
            if not name or _rows(child) <= SMALL:
                continue
            own = json.dumps({key: value for key, value in node.items() if key != "Plans"})
            if re.search(rf"hashed {re.escape(name)}\b", own):
                return (
                    f"{plan.step}: {node['Node Type']} looks rows up in a subquery of"
                    f" {_rows(child):,.0f} rows that is kept in memory: {plan.statement}"
                )
    return None


def _foreign_keys(plans: list[Plan], sizes: dict[str, float]) -> list[str]:
    """The same for the questions of a foreign key, each taken together as one statement."""
    read: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    asked: Counter[tuple[str, str]] = Counter()
    for plan in plans:
        question = (plan.step, plan.statement)
        asked[question] += plan.times
        for table, rows in plan.read.items():
            read[question][table] += plan.times * rows
    return [
        f"{step}: a foreign key goes through {rows:,.0f} rows of {table}: {statement}"
        for (step, statement), tables in read.items()
        for table, rows in tables.items()
        if rows > TIMES * (sizes[table] + asked[step, statement]) and sizes[table] > ONE_PAGE
    ]


def _row_by_row(plans: list[Plan]) -> list[str]:
    run: Counter[str] = Counter()
    for plan in plans:
        run[plan.step] += plan.times
    return [f"{step}: {times} statements" for step, times in run.items() if times > STATEMENTS]


@contextmanager
def watched(platform: Platform) -> Iterator[Plans]:
    """Open the platform's connections anew, so that all that they run is noted."""
    plans, open_ = Plans(), PatientConnection.connect

    def noting(*arguments: Any, **options: Any) -> psycopg.Connection:
        connection = open_(*arguments, **options)
        connection.add_notice_handler(plans.note)
        return connection

    wanted = dict(AUTO_EXPLAIN)
    for version, more in AUTO_EXPLAIN_SINCE.items():
        if platform.application.info.server_version >= version:
            wanted |= more
    parameters = {f"auto_explain.{name}": value for name, value in wanted.items()}
    for database in (platform.source_database, platform.warehouse_database):
        set_for(platform, database, session_preload_libraries="auto_explain", **parameters)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PatientConnection, "connect", noting)
        for connection in (platform.source, platform.warehouse):
            connection.close()
        platform.source = connect(settings.SOURCE_DSN)
        platform.warehouse = connect(settings.WAREHOUSE_DSN)
        yield plans
        for connection in (platform.source, platform.warehouse):
            connection.close()


def set_for(platform: Platform, database: str, **parameters: str) -> None:
    """Set parameters for the sessions that a database will have."""
    with administrator(platform, database) as admin:
        admin.execute("LOAD 'auto_explain'")
        for name, value in parameters.items():
            admin.execute(
                sql.SQL("ALTER DATABASE {} SET {} TO {}").format(
                    sql.Identifier(database), sql.Identifier(*name.split(".")), value
                )
            )


@contextmanager
def administrator(platform: Platform, database: str) -> Iterator[psycopg.Connection]:
    """A superuser in a database of the platform, whose edits no foreign key holds up."""
    dsn = platform.server.dsn(SUPERUSER, database)
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("SET session_replication_role TO replica")
        yield connection


def edit(platform: Platform, statements: str) -> None:
    """Let something happen in the source."""
    with administrator(platform, platform.source_database) as admin:
        admin.execute(statements)  # type: ignore[call-overload]


TABLES = """
SELECT schemaname, tablename FROM pg_tables
WHERE schemaname NOT IN ('pg_catalog', 'information_schema')
"""


def analyze(platform: Platform) -> None:
    """Have statistics of all tables, in the source and in the warehouse; those of PostgreSQL's own
    take as long again, and matter to no plan that is looked at."""
    for database in (platform.source_database, platform.warehouse_database):
        with administrator(platform, database) as admin:
            named = admin.execute(TABLES).fetchall()
            tables = sql.SQL(", ").join(sql.Identifier(*table) for table in named)
            admin.execute(sql.SQL("ANALYZE {}").format(tables))


def grow(platform: Platform, rows: int) -> None:
    """Put so many rows into each large table of the source, and a tenth into each smaller one.

    Their keys follow on from 10; those of `few_rows` are below.
    """
    numbers = {"tenth": sql.Literal(rows // 10), "rows": sql.Literal(rows)}
    orders = sql.SQL(ORDERS).format(**numbers)
    with administrator(platform, platform.source_database) as admin:
        admin.execute(sql.SQL(GROW).format(orders=orders, **numbers))


ORDERS = """(
    SELECT n, moment, to_char(moment, 'YYYY-MM-DD') AS day, 11 + n % {tenth} AS dimension
    FROM (SELECT n, timestamp '2023-01-01' + n % 500 * interval '1 day' AS moment
          FROM generate_series(11, {rows} + 10) AS n) AS numbers
) AS orders"""

GROW = """
    INSERT INTO address
    SELECT n, n || ' High Street', NULL, NULL, 'Leeds', 'LS1', 'Turkey', '0800 ' || n, now(), now()
    FROM generate_series(11, {tenth} + 10) AS n;
    INSERT INTO department SELECT n, 'Sales ' || n, 'Leeds', NULL, now(), now()
    FROM generate_series(11, {tenth} + 10) AS n;
    INSERT INTO staff SELECT n, 'A', 'B', n, n || '@terrifictotes.com', now(), now()
    FROM generate_series(11, {tenth} + 10) AS n;
    INSERT INTO counterparty SELECT n, 'Company ' || n, n, NULL, NULL, now(), now()
    FROM generate_series(11, {tenth} + 10) AS n;
    INSERT INTO design SELECT n, now(), 'Wooden', '/usr', n || '.json', now()
    FROM generate_series(11, {tenth} + 10) AS n;
    INSERT INTO sales_order
    SELECT n, moment, moment, dimension, dimension, dimension, n, 2.50, 1 + n % 3, day, day,
           dimension
    FROM {orders};
    INSERT INTO purchase_order
    SELECT n, moment, moment, dimension, dimension, 'ABC', n, 2.50, 1 + n % 3, day, day, dimension
    FROM {orders};
    INSERT INTO transaction
    SELECT n, CASE n % 2 WHEN 0 THEN 'SALE' ELSE 'PURCHASE' END::"TransactionType",
           CASE n % 2 WHEN 0 THEN n END, CASE n % 2 WHEN 1 THEN n END, moment, moment
    FROM {orders};
    INSERT INTO payment
    SELECT n, moment, moment, n, dimension, 2.50, 1 + n % 3, 1 + 2 * (n % 2), FALSE, day, 1, 1
    FROM {orders};
"""

# What happens to the rows of `grow`.

SOME_CHANGE = """
    UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id % 1000 = 7;
    UPDATE payment SET paid = NOT paid WHERE payment_id % 1000 = 7;
    UPDATE design SET file_name = file_name || '2' WHERE design_id % 100 = 7;
    UPDATE address SET phone = phone || '2' WHERE address_id % 100 = 7;
    UPDATE department SET location = 'York' WHERE department_id % 100 = 7;
    DELETE FROM payment WHERE payment_id % 1000 = 8;
"""

ALL_CHANGE = """
    UPDATE sales_order SET units_sold = units_sold + 1;
    UPDATE purchase_order SET item_quantity = item_quantity + 1;
    UPDATE payment SET paid = NOT paid;
    UPDATE transaction SET transaction_type =
        CASE transaction_type WHEN 'SALE' THEN 'PURCHASE' ELSE 'SALE' END::"TransactionType";
    UPDATE design SET file_name = file_name || '3';
    UPDATE address SET phone = phone || '3';
    UPDATE counterparty SET counterparty_legal_name = counterparty_legal_name || '3';
    UPDATE staff SET last_name = last_name || '3';
    UPDATE department SET location = location || '3';
    UPDATE currency SET last_updated = now();
    UPDATE payment_type SET last_updated = now();
"""

# The department breaks its contract, so its staff cannot be processed, and all orders wait for it.
ORDERS_OF_UNKNOWN_STAFF = """
    INSERT INTO department VALUES (1000001, 'Late', NULL, NULL, now(), now());
    INSERT INTO staff SELECT 1000000 + staff_id, first_name, last_name, 1000001, email_address,
                             now(), now()
    FROM staff WHERE staff_id > 10;
    UPDATE sales_order SET staff_id = 1000000 + staff_id WHERE staff_id > 10;
"""
STAFF_BECOMES_KNOWN = "UPDATE department SET location = 'Leeds' WHERE department_id = 1000001"

EVERY_SECOND_GOES = """
    DELETE FROM payment WHERE payment_id % 2 = 0;
    DELETE FROM purchase_order WHERE purchase_order_id % 2 = 0;
    DELETE FROM counterparty WHERE counterparty_id % 2 = 0;
"""

ALL_GO = """
    TRUNCATE payment, transaction, sales_order, purchase_order, staff, department, design,
             counterparty, address CASCADE;
"""

# Found by the keys that are missing, not by a full read.
NEARLY_ALL_GO = """
    DELETE FROM payment WHERE payment_id > 20;
    DELETE FROM transaction WHERE transaction_id > 20;
    DELETE FROM sales_order WHERE sales_order_id > 20;
    DELETE FROM design WHERE design_id > 20;
"""
