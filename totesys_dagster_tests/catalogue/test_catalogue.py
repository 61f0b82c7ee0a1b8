"""The catalogue says of each table what real databases say of it.

ToteSys is made from its own SQL, the warehouse by its migrations; both are read back from
PostgreSQL's system tables. `WAREHOUSE` is the warehouse as it was ordered, written out once more.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import psycopg
import pyarrow as pa
import pytest

from totesys_dagster.catalogue import (
    FEED_TABLES,
    JOINS,
    SOURCE_TABLES,
    STAR_TABLES,
    Component,
    Join,
    Kind,
    SourceColumn,
    SourceTable,
    StarTable,
    Type,
    archived,
    contract,
    needed_columns,
    relaxed,
    revision,
    source,
    stars,
)
from totesys_dagster.catalogue.assemble import assemble
from totesys_dagster.catalogue.source_columns import money
from totesys_dagster.catalogue.star_columns import carry, compute
from totesys_dagster.errors import DeclarationError
from totesys_dagster.lake.digest import audited_columns
from totesys_dagster.local import stack
from totesys_dagster.local.server import Server
from totesys_dagster.postgres.sessions import Names, transaction
from totesys_dagster.warehouse import schema

# What a list of this module says when the catalogue has more, or less, than it.
IF_MEANT = "the catalogue and {} differ: if the change of the catalogue is meant, make it there too"
COMPUTED = {"dim_currency.currency_name"}
# A ? after the type marks a column that may be NULL.
WAREHOUSE = {
    "dim_date": """
        date_id date
        year integer
        month integer
        day integer
        day_of_week integer
        day_name character varying
        month_name character varying
        quarter integer
    """,
    "dim_staff": """
        staff_id integer
        first_name character varying
        last_name character varying
        department_name character varying
        location character varying
        email_address character varying
    """,
    "dim_location": """
        location_id integer
        address_line_1 character varying
        address_line_2 character varying?
        district character varying?
        city character varying
        postal_code character varying
        country character varying
        phone character varying
    """,
    "dim_currency": """
        currency_id integer
        currency_code character varying
        currency_name character varying
    """,
    "dim_design": """
        design_id integer
        design_name character varying
        file_location character varying
        file_name character varying
    """,
    "dim_counterparty": """
        counterparty_id integer
        counterparty_legal_name character varying
        counterparty_legal_address_line_1 character varying
        counterparty_legal_address_line_2 character varying?
        counterparty_legal_district character varying?
        counterparty_legal_city character varying
        counterparty_legal_postal_code character varying
        counterparty_legal_country character varying
        counterparty_legal_phone_number character varying
    """,
    "dim_payment_type": """
        payment_type_id integer
        payment_type_name character varying
    """,
    "dim_transaction": """
        transaction_id integer
        transaction_type character varying
        sales_order_id integer?
        purchase_order_id integer?
    """,
    "fact_sales_order": """
        sales_record_id integer
        sales_order_id integer
        created_date date
        created_time time without time zone
        last_updated_date date
        last_updated_time time without time zone
        sales_staff_id integer
        counterparty_id integer
        units_sold integer
        unit_price numeric(10,2)
        currency_id integer
        design_id integer
        agreed_payment_date date
        agreed_delivery_date date
        agreed_delivery_location_id integer
    """,
    "fact_purchase_order": """
        purchase_record_id integer
        purchase_order_id integer
        created_date date
        created_time time without time zone
        last_updated_date date
        last_updated_time time without time zone
        staff_id integer
        counterparty_id integer
        item_code character varying
        item_quantity integer
        item_unit_price numeric
        currency_id integer
        agreed_delivery_date date
        agreed_payment_date date
        agreed_delivery_location_id integer
    """,
    "fact_payment": """
        payment_record_id integer
        payment_id integer
        created_date date
        created_time time without time zone
        last_updated_date date
        last_updated_time time without time zone
        transaction_id integer
        counterparty_id integer
        payment_amount numeric
        currency_id integer
        payment_type_id integer
        paid boolean
        payment_date date
    """,
}

LINEAGE = ["batch_seq integer", "is_deleted boolean"]
LINEAGE_OF_FACTS = [
    "batch_seq integer",
    "observed_at timestamp with time zone",
    "is_deleted boolean",
]

COLUMNS = """
SELECT attname || ' ' || format_type(atttypid, atttypmod)
       || CASE WHEN attnotnull THEN '' ELSE '?' END
FROM pg_attribute
WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped
ORDER BY attnum
"""

PRIMARY_KEY = """
SELECT attname
FROM pg_index
JOIN pg_attribute ON attrelid = indrelid AND attnum = ANY(indkey)
WHERE indrelid = %s::regclass AND indisprimary
"""

FOREIGN_KEYS = """
SELECT a.attname, f.relname, b.attname
FROM pg_constraint AS c
JOIN pg_class AS f ON f.oid = c.confrelid
JOIN pg_attribute AS a ON a.attrelid = c.conrelid AND a.attnum = c.conkey[1]
JOIN pg_attribute AS b ON b.attrelid = c.confrelid AND b.attnum = c.confkey[1]
WHERE c.conrelid = %s::regclass AND c.contype = 'f'
"""

TABLES = """
SELECT relname FROM pg_class WHERE relnamespace = %s::regnamespace AND relkind = 'r'
"""


@pytest.fixture(scope="module")
def totesys(
    server: Server, new_database: Callable[..., str], bare_template: str
) -> Iterator[psycopg.Connection]:
    """ToteSys as its own SQL makes it, without a row."""
    name = new_database(stack.APPLICATION, bare_template)
    with psycopg.connect(server.dsn(stack.APPLICATION, name), autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="module")
def warehouse(server: Server, new_database: Callable[..., str]) -> Iterator[psycopg.Connection]:
    """The warehouse as its migrations make it, its schema first in the search path."""
    name = new_database(stack.LOADER)
    with psycopg.connect(server.dsn(stack.LOADER, name), autocommit=True) as connection:
        schema.migrate(connection, Names("warehouse"))
        connection.execute("SET search_path TO warehouse")
        yield connection


def rows(connection: psycopg.Connection, query: Any, relation: str) -> list[Any]:
    """The rows of a query about one table or schema; bare values where it has one column."""
    found = connection.execute(query, [relation]).fetchall()
    return [row[0] if len(row) == 1 else row for row in found]


def lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


def declared(name: str) -> list[str]:
    """The columns of a star, as WAREHOUSE writes them."""
    star = STAR_TABLES[name]
    return [f"{star.record_id} integer"] * bool(star.record_id) + [
        f"{column.name} {column.sql_type}{'?' if column.nullable else ''}"
        for column in star.columns
    ]


def in_warehouse(*names: str) -> str:
    """What to do if WAREHOUSE and these stars differ, with the text of those that are declared."""
    texts = {name: "\n        ".join(declared(name)) for name in names if name in STAR_TABLES}
    return IF_MEANT.format("WAREHOUSE") + "".join(
        f'\n    "{name}": """\n        {text}\n    """,' for name, text in texts.items()
    )


def test_tables_are_those_of_totesys() -> None:
    assert set(SOURCE_TABLES) == {
        "address",
        "counterparty",
        "currency",
        "department",
        "design",
        "payment",
        "payment_type",
        "purchase_order",
        "sales_order",
        "staff",
        "transaction",
    }, IF_MEANT.format("this list")
    assert list(SOURCE_TABLES) == sorted(SOURCE_TABLES)


def test_stars_are_those_that_were_ordered() -> None:
    assert set(STAR_TABLES) == set(WAREHOUSE), in_warehouse(*STAR_TABLES.keys() - WAREHOUSE)


@pytest.mark.parametrize("tables", [SOURCE_TABLES, STAR_TABLES])
def test_tables_are_found_by_their_own_names(tables: dict[str, Any]) -> None:
    assert [table.name for table in tables.values()] == list(tables)


@pytest.mark.parametrize(("package", "tables"), [(source, SOURCE_TABLES), (stars, STAR_TABLES)])
def test_table_is_declared_in_the_module_of_its_name(package: Any, tables: dict[str, Any]) -> None:
    for name, table in tables.items():
        declared = importlib.import_module(f"{package.__name__}.{name}").TABLE
        assert declared.name == table.name == name


def test_every_table_of_totesys_but_that_of_prisma_is_declared(totesys: psycopg.Connection) -> None:
    assert set(rows(totesys, TABLES, "public")) == {*SOURCE_TABLES, "_prisma_migrations"}


@pytest.mark.parametrize("name", SOURCE_TABLES)
def test_source_columns_are_those_of_totesys(name: str, totesys: psycopg.Connection) -> None:
    declared = [
        f"{column.name} {column.sql_type}{'?' if column.nullable else ''}"
        for column in SOURCE_TABLES[name].columns
    ]

    with transaction(totesys):
        assert declared == rows(totesys, COLUMNS, f"public.{name}")


@pytest.mark.parametrize("name", SOURCE_TABLES)
def test_source_key_is_the_primary_key_of_totesys(name: str, totesys: psycopg.Connection) -> None:
    assert [SOURCE_TABLES[name].key] == rows(totesys, PRIMARY_KEY, name)


def test_source_types_fit_their_sql_types() -> None:
    types: dict[str, set[Type]] = {}
    for table in SOURCE_TABLES.values():
        for column in table.columns:
            types.setdefault(column.sql_type, set()).add(column.type)

    assert types == {
        "integer": {Type.INTEGER},
        "text": {Type.TEXT, Type.DATE},
        "character varying(3)": {Type.TEXT},
        'public."PaymentTypeName"': {Type.TEXT},
        'public."TransactionType"': {Type.TEXT},
        "numeric(10,2)": {Type.MONEY},
        "boolean": {Type.BOOLEAN},
        "timestamp(3) without time zone": {Type.TIMESTAMP},
    }, IF_MEANT.format("this list")


def test_dates_kept_as_text_are_declared_as_dates() -> None:
    dates = [
        f"{table.name}.{column.name}"
        for table in SOURCE_TABLES.values()
        for column in table.columns
        if column.type is Type.DATE
    ]

    assert dates == [
        "payment.payment_date",
        "purchase_order.agreed_delivery_date",
        "purchase_order.agreed_payment_date",
        "sales_order.agreed_delivery_date",
        "sales_order.agreed_payment_date",
    ], IF_MEANT.format("this list")


@pytest.mark.parametrize("join", JOINS, ids=lambda join: f"{join.child}-{join.parent}")
def test_join_is_a_foreign_key_of_totesys(join: Any, totesys: psycopg.Connection) -> None:
    keys = rows(totesys, FOREIGN_KEYS, join.child)

    assert (join.child_column, join.parent, join.parent_column) in keys


@pytest.mark.parametrize("name", WAREHOUSE)
def test_star_columns_are_those_of_the_warehouse_as_ordered(name: str) -> None:
    assert name in STAR_TABLES, in_warehouse()
    assert declared(name) == lines(WAREHOUSE[name]), in_warehouse(name)


@pytest.mark.parametrize("name", WAREHOUSE)
def test_warehouse_table_has_these_columns_and_then_its_lineage(
    name: str, warehouse: psycopg.Connection
) -> None:
    lineage = LINEAGE_OF_FACTS if name.startswith("fact_") else LINEAGE

    there = rows(warehouse, COLUMNS, name)
    assert there == lines(WAREHOUSE[name]) + lineage, in_warehouse(name)


PAST = [f"past_{name}" for name in WAREHOUSE if name.startswith("dim_") and name != "dim_date"]


def test_warehouse_has_no_other_table(warehouse: psycopg.Connection) -> None:
    there = sorted(rows(warehouse, TABLES, "warehouse"))
    missing = STAR_TABLES.keys() - WAREHOUSE
    assert there == sorted([*WAREHOUSE, *FEED_TABLES, *PAST]), in_warehouse(*missing)


@pytest.mark.parametrize("name", STAR_TABLES)
def test_warehouse_key_numbers_versions_of_facts_and_rows_of_dimensions(
    name: str, warehouse: psycopg.Connection
) -> None:
    star = STAR_TABLES[name]

    assert rows(warehouse, PRIMARY_KEY, name) == [star.record_id or star.key]


@pytest.mark.parametrize("name", STAR_TABLES)
def test_references_are_the_foreign_keys_of_the_warehouse(
    name: str, warehouse: psycopg.Connection
) -> None:
    if warehouse.info.server_version < 180000:
        pytest.skip("the foreign keys are declared from PostgreSQL 18 on")
    declared = {
        (column, dimension, STAR_TABLES[dimension].key)
        for column, dimension in STAR_TABLES[name].references
    }

    assert declared == set(rows(warehouse, FOREIGN_KEYS, name))


def test_foreign_keys_are_many() -> None:
    """The test above would pass if neither side had any."""
    counts = {star.name: len(star.references) for star in STAR_TABLES.values() if star.references}

    expected = {"fact_sales_order": 9, "fact_purchase_order": 8, "fact_payment": 7}
    assert counts == expected, IF_MEANT.format("this list")


def test_dimensions_come_before_the_facts_that_refer_to_them() -> None:
    loaded: set[str] = set()
    for star in STAR_TABLES.values():
        assert {dimension for _, dimension in star.references} <= loaded
        loaded.add(star.name)


@pytest.mark.parametrize("name", STAR_TABLES)
def test_every_column_comes_from_a_source_table_of_its_star(name: str) -> None:
    star = STAR_TABLES[name]
    for column in star.columns:
        if column.source is None:
            continue
        table, source = column.source
        assert table in star.sources
        assert source in SOURCE_TABLES[table].column_names


def test_only_the_calendar_and_the_names_of_currencies_are_computed() -> None:
    computed = {
        f"{star.name}.{column.name}"
        for star in STAR_TABLES.values()
        for column in star.columns
        if column.source is None and star.kind is not Kind.CALENDAR
    }

    assert computed == COMPUTED, IF_MEANT.format("COMPUTED")


@pytest.mark.parametrize("name", STAR_TABLES)
def test_column_keeps_the_type_of_its_source(name: str) -> None:
    parts = {Component.DATE: Type.DATE, Component.TIME: Type.TIME}
    for column in STAR_TABLES[name].columns:
        if column.source is None:
            continue
        table, source = column.source
        (original,) = (c for c in SOURCE_TABLES[table].columns if c.name == source)
        if column.component is None:
            assert column.type is original.type
        else:
            assert (original.type, column.type) == (Type.TIMESTAMP, parts[column.component])


@pytest.mark.parametrize("name", STAR_TABLES)
def test_pii_data_is_marked_in_both_zones(name: str) -> None:
    """What is not in the previews of one zone does not show up in those of the other."""
    for column in STAR_TABLES[name].columns:
        if column.source is None:
            continue
        table, source = column.source
        (original,) = (c for c in SOURCE_TABLES[table].columns if c.name == source)
        assert column.pii == original.pii


@pytest.mark.parametrize("name", [n for n, star in STAR_TABLES.items() if star.base])
def test_star_reads_its_base_and_then_what_it_joins(name: str) -> None:
    star = STAR_TABLES[name]

    assert star.sources == (star.base, *(join.parent for join in star.joins))
    assert all(join.child == star.base for join in star.joins)


def test_rows_that_a_star_joins_are_captured_together() -> None:
    assert {join for star in STAR_TABLES.values() for join in star.joins} == set(JOINS)


def test_calendar_reads_every_source_of_a_date() -> None:
    facts = [star for star in STAR_TABLES.values() if star.kind is Kind.FACT]

    assert set(STAR_TABLES["dim_date"].sources) == {star.base for star in facts}


@pytest.mark.parametrize("name", [n for n, star in STAR_TABLES.items() if star.base])
def test_contract_has_what_the_star_carries_and_joins_by(name: str) -> None:
    star = STAR_TABLES[name]
    taken = {source for column in star.columns for source in column.takes}
    for join in star.joins:
        taken |= {(join.child, join.child_column), (join.parent, join.parent_column)}

    asked = {
        (source, column.name)
        for source in star.sources
        for column in contract(star, source).columns
    }

    assert asked == taken


@pytest.mark.parametrize("name", [n for n, star in STAR_TABLES.items() if star.base])
def test_contract_has_the_key_and_the_order_of_its_table(name: str) -> None:
    star = STAR_TABLES[name]
    for table in star.sources:
        columns = contract(star, table).columns
        assert SOURCE_TABLES[table].key in [column.name for column in columns]
        assert list(columns) == [c for c in SOURCE_TABLES[table].columns if c in columns]


def test_columns_that_no_star_takes() -> None:
    """A source that withdraws one of them takes nothing from the warehouse."""
    times = {"created_at", "last_updated"}

    assert {
        name: set(table.column_names) - needed_columns(name)
        for name, table in SOURCE_TABLES.items()
    } == {
        "address": times,
        "counterparty": times | {"commercial_contact", "delivery_contact"},
        "currency": times,
        "department": times | {"manager"},
        "design": times,
        "payment": {"company_ac_number", "counterparty_ac_number"},
        "payment_type": times,
        "purchase_order": set(),
        "sales_order": set(),
        "staff": times,
        "transaction": times,
    }, IF_MEANT.format("this list")


@pytest.mark.parametrize("name", [n for n, star in STAR_TABLES.items() if star.base])
def test_star_key_holds_the_key_of_its_base(name: str) -> None:
    star = STAR_TABLES[name]
    (key,) = (column for column in star.columns if column.name == star.key)

    assert star.base is not None
    assert key.source == (star.base, SOURCE_TABLES[star.base].key)


@pytest.mark.parametrize("name", [n for n, star in STAR_TABLES.items() if star.base])
def test_audit_compares_every_column_that_is_carried(name: str) -> None:
    assert [c.name for c in audited_columns(STAR_TABLES[name])] == [
        column for column in STAR_TABLES[name].column_names if f"{name}.{column}" not in COMPUTED
    ], IF_MEANT.format("COMPUTED")


# --- what follows from declarations -----------------------------------------------------------

DIM_STAFF, DIM_DATE = STAR_TABLES["dim_staff"], STAR_TABLES["dim_date"]


def test_table_is_looked_up_by_the_column_that_refers_to_it() -> None:
    [star] = assemble([StarTable("x", Kind.DIMENSION, "X.", (carry("staff.staff_id"),
        carry("department.manager")), base="staff")])  # fmt: skip

    assert star.sources == ("staff", "department")
    [join] = star.joins
    assert (join.child_column, join.parent, join.parent_column) == (
        "department_id",
        "department",
        "department_id",
    )


def test_table_that_nothing_refers_to_cannot_be_looked_up() -> None:
    columns = (carry("staff.staff_id"), carry("design.design_name"))

    with pytest.raises(DeclarationError, match="takes columns of design, to which 0 columns of"):
        assemble([StarTable("x", Kind.DIMENSION, "X.", columns, base="staff")])


KEY = carry("staff.staff_id")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"columns": (KEY, KEY)}, "declares a column staff_id, and has one already"),
        (
            {"columns": (KEY, carry("staff.last_name", "version"))},
            "declares a column version, and has one already",
        ),
        (
            {"columns": (carry("staff.last_name"),)},
            r"begin with the key .* carry\('staff.staff_id'",
        ),
        ({"kind": Kind.FACT}, "a fact has a `record_id`"),
        ({"record_id": "number"}, "no other table has one"),
        ({"base": "stff"}, "there is no table stff in catalogue/source"),
        (
            {"joins": (Join("department", "department_id", "design", "design_id"),)},
            "looked up from the base, staff, and from no other",
        ),
    ],
)
def test_declaration_that_no_table_can_have_is_named(changes: dict[str, Any], said: str) -> None:
    star = StarTable("dim_x", Kind.DIMENSION, "X.", (KEY,), base="staff")

    with pytest.raises(DeclarationError, match=said):
        assemble([replace(star, **changes)])


def test_fact_refers_to_the_dimension_of_the_tables_name() -> None:
    columns = (carry("sales_order.sales_order_id"), carry("sales_order.staff_id"))
    fact = StarTable("f", Kind.FACT, "F.", columns, base="sales_order", record_id="n")
    seller = StarTable("dim_a_seller", Kind.DIMENSION, "S.", (KEY,), base="staff")
    staff = replace(seller, name="dim_staff")
    buyer = replace(seller, name="dim_buyer")

    assert assemble([seller, staff, fact])[-1].references == (("staff_id", "dim_staff"),)
    with pytest.raises(DeclarationError, match="dim_a_seller and dim_buyer are made of staff"):
        assemble([seller, buyer, fact])


def test_row_that_refers_to_none_has_no_value_of_theirs() -> None:
    columns = (carry("transaction.transaction_id"), carry("sales_order.units_sold"))
    [star] = assemble([StarTable("x", Kind.DIMENSION, "X.", columns, base="transaction")])

    assert [column.nullable for column in star.columns] == [False, True]


@pytest.mark.parametrize(
    "changed",
    [
        replace(DIM_STAFF, columns=(*DIM_STAFF.columns, carry("department.manager"))),
        replace(DIM_STAFF, columns=DIM_STAFF.columns[:-1]),
        replace(DIM_STAFF, columns=DIM_STAFF.columns[::-1]),
        replace(DIM_STAFF, code_version=2),
        replace(
            DIM_STAFF,
            columns=(
                *DIM_STAFF.columns[:-1],
                compute("email_address", Type.TEXT, "X.", str.upper, ("staff.email_address",)),
            ),
        ),
        replace(
            DIM_STAFF,
            columns=tuple(replace(column, nullable=True) for column in DIM_STAFF.columns),
        ),
    ],
)
def test_declaration_that_gives_other_rows_has_another_name(changed: StarTable) -> None:
    assert revision(changed) != revision(DIM_STAFF)


def test_declaration_that_says_the_same_in_other_words_keeps_its_name() -> None:
    columns = tuple(replace(c, description="Something.", pii=True) for c in DIM_STAFF.columns)

    assert revision(replace(DIM_STAFF, description="Staff.", columns=columns)) == revision(
        DIM_STAFF
    )


def test_batch_from_before_a_column_may_lack_it() -> None:
    table = archived(DIM_STAFF, "staff", {"staff_id", "first_name", "last_name", "department_id"})

    assert table.absent == {"email_address"}
    before = {c.name for c in DIM_STAFF.columns if c.nullable}
    nullable = {c.name for c in table.contract.columns if c.nullable}
    assert nullable - {c.name for c in SOURCE_TABLES["staff"].columns if c.nullable} == {
        "email_address"
    }
    star = relaxed(DIM_STAFF, [("staff", "email_address")])
    assert {c.name for c in star.columns if c.nullable} - before == {"email_address"}


def test_batch_has_a_column_by_the_name_that_it_had_then(monkeypatch: pytest.MonkeyPatch) -> None:
    staff = SOURCE_TABLES["staff"]
    columns = tuple(
        replace(c, formerly=("mail",)) if c.name == "email_address" else c for c in staff.columns
    )
    monkeypatch.setitem(SOURCE_TABLES, "staff", replace(staff, columns=columns))

    table = archived(DIM_STAFF, "staff", {"staff_id", "mail"})
    later = archived(DIM_STAFF, "staff", {"staff_id", "mail", "email_address"})

    assert table.declared == {"mail": "email_address"}
    assert "mail" in table.contract.column_names
    assert "email_address" not in table.absent
    assert later.declared == {}


# --- texts and types --------------------------------------------------------------------------


def test_every_table_and_column_has_a_meaning_that_is_a_sentence() -> None:
    tables: list[SourceTable | StarTable] = [*SOURCE_TABLES.values(), *STAR_TABLES.values()]
    for table in tables:
        for description in [table.description, *(column.description for column in table.columns)]:
            assert description.endswith(".")


def test_parquet_schema_has_exact_types() -> None:
    expected = {
        Type.INTEGER: pa.int32(),
        Type.BIG_INTEGER: pa.int64(),
        Type.TEXT: pa.string(),
        Type.MONEY: pa.decimal128(10, 2),
        Type.BOOLEAN: pa.bool_(),
        Type.DATE: pa.date32(),
        Type.TIME: pa.time64("us"),
        Type.TIMESTAMP: pa.timestamp("us"),
    }

    found = {type_: SourceColumn("x", type_, "", "").arrow_type for type_ in Type}

    assert found == expected


def test_money_has_the_digits_that_it_is_declared_with() -> None:
    wide = money("x", "Amount.", digits=(14, 3))

    assert wide.arrow_type == pa.decimal128(14, 3)
    assert wide.sql_type == "numeric(14,3)"


def test_parquet_schema_follows_the_columns() -> None:
    """All but the key may be NULL: a batch may be older than a column."""
    assert STAR_TABLES["dim_transaction"].arrow_schema == pa.schema(
        [
            pa.field("transaction_id", pa.int32(), nullable=False),
            pa.field("transaction_type", pa.string(), nullable=True),
            pa.field("sales_order_id", pa.int32(), nullable=True),
            pa.field("purchase_order_id", pa.int32(), nullable=True),
        ]
    )
