"""The reports follow what is declared, and what others have built on them stays or is named."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import resources
from typing import Any

import psycopg
import pytest
from psycopg import sql

from totesys_dagster import settings
from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.catalogue.star_columns import carry
from totesys_dagster.errors import LoadError, SettingError
from totesys_dagster.local import server as postgres
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.postgres.sessions import Names, transaction
from totesys_dagster.warehouse import report_plan, reports, schema
from totesys_dagster.warehouse.reports import Report
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.landing import by_night
from totesys_dagster_tests.operations.test_rebuild import rebuild_of

NAMES = Names("warehouse")
Declare = Callable[..., None]

RIGHTS = """
SELECT name::text, grantee::regrole::text, privilege_type, is_grantable
FROM (
    SELECT relname, relacl FROM pg_class WHERE relnamespace = 'reports'::regnamespace
    UNION ALL
    SELECT proname, proacl FROM pg_proc WHERE pronamespace = 'reports'::regnamespace
) AS reports (name, acl) CROSS JOIN aclexplode(acl)
ORDER BY 1, 2, 3
"""


@pytest.fixture(autouse=True)
def _order_of_tables() -> Iterator[None]:
    """A table that a test withdraws comes back to its place: batches are loaded in that order."""
    before = dict(STAR_TABLES)
    yield
    STAR_TABLES.clear()
    STAR_TABLES.update(before)


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Declares a table with other columns, or withdraws it where there are none."""
    monkeypatch.setattr(schema, "_hash", schema._hash.__wrapped__)  # what is kept is of another

    def change(star: str, columns: tuple[Any, ...]) -> None:
        if columns:
            STAR_TABLES[star] = replace(STAR_TABLES[star], columns=columns)
        else:
            del STAR_TABLES[star]

    return change


ROLES = (resources.files("totesys_dagster.warehouse") / "sql" / "roles.sql").read_text()


@pytest.fixture(scope="module")
def server_apart(tmp_path_factory: pytest.TempPathFactory) -> Server:
    """A server of its own: where there is the owner, each migration acts as that role."""
    server = postgres.start(tmp_path_factory.mktemp("apart"), stack.ROLES)
    with psycopg.connect(server.dsn(SUPERUSER, "postgres"), autocommit=True) as connection:
        stack.create_roles(connection, server)
        connection.execute("CREATE DATABASE apart")
    return server


@pytest.fixture
def apart(server_apart: Server) -> Iterator[psycopg.Connection]:
    """The administrator's connection to a warehouse whose roles are made by `roles.sql`."""
    with psycopg.connect(server_apart.dsn(SUPERUSER, "apart"), autocommit=True) as connection:
        connection.execute(ROLES.encode())
        schema.migrate(connection, NAMES)
        yield connection


def there(connection: psycopg.Connection, names: Names = NAMES) -> set[str]:
    """The views and functions in the schema of the reports."""
    query = """
        SELECT relname FROM pg_class WHERE relnamespace = to_regnamespace(%(schema)s)
        UNION ALL
        SELECT proname FROM pg_proc WHERE pronamespace = to_regnamespace(%(schema)s)
    """
    found = connection.execute(query, {"schema": names.reports}).fetchall()
    return {name for (name,) in found}


def without(star: str, column: str) -> tuple[Any, ...]:
    return tuple(c for c in STAR_TABLES[star].columns if c.name != column)


def test_reports_have_the_signature_that_is_declared(admin: psycopg.Connection) -> None:
    with transaction(admin):
        made = report_plan.find_reports(admin, NAMES)

    assert {name: one.signature for name, one in made.items()} == {
        report.name: report.signature for report in reports.declared()
    }
    assert report_plan.in_the_way(made) == []


@pytest.mark.long
def test_reports_of_the_default_warehouse_and_of_others_have_schemas_of_their_own(
    admin: psycopg.Connection,
) -> None:
    for name in ("one", "two"):
        schema.migrate(admin, Names(name))
    admin.execute("INSERT INTO one.dim_design VALUES (1, 'Oak', '/', 'oak.json', 1)")

    for name, designs in (("reports", 0), ("one_reports", 1), ("two_reports", 0)):
        query = sql.SQL("SELECT count(*) FROM {}.designs_never_sold").format(sql.Identifier(name))
        assert admin.execute(query).fetchone() == (designs,)


@pytest.mark.parametrize("name", ["reports", "one_reports"])
def test_warehouse_is_not_called_what_reports_of_another_are_called(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.WAREHOUSE_SCHEMA, name)
    with pytest.raises(SettingError) as refused:
        settings.warehouse_schema()

    assert str(refused.value) == (
        f"TOTESYS_WAREHOUSE_SCHEMA is '{name}', which is what the schema of another warehouse's"
        " reports may be called: give it a name that does not end in reports."
    )


def test_schema_of_reports_that_is_somebody_elses_is_named(
    server: Server, new_database: Callable[..., str]
) -> None:
    name = new_database(stack.LOADER)
    with psycopg.connect(server.dsn(SUPERUSER, name), autocommit=True) as admin:
        admin.execute("CREATE SCHEMA reports AUTHORIZATION totesys_application")
    with psycopg.connect(server.dsn(stack.LOADER, name), autocommit=True) as connection:
        with pytest.raises(LoadError) as refused:
            schema.migrate(connection, NAMES)

        assert str(refused.value) == (
            "The schema reports belongs to somebody else, but the reports of the warehouse need"
            " one of that name: rename it (ALTER SCHEMA … RENAME TO …), then run `totesys"
            " migrate`; nothing was changed."
        )
        query = "SELECT to_regnamespace('warehouse')"
        assert connection.execute(query).fetchone() == (None,)


def test_relation_of_somebody_else_under_the_name_of_a_report_is_not_replaced(
    server: Server, new_database: Callable[..., str]
) -> None:
    name = new_database(stack.LOADER)
    with psycopg.connect(server.dsn(stack.LOADER, name), autocommit=True) as connection:
        connection.execute("CREATE SCHEMA reports; CREATE VIEW reports.batches AS SELECT 1 AS mine")
        with pytest.raises(LoadError, match='relation "batches" already exists'):
            schema.migrate(connection, NAMES)
        assert connection.execute("SELECT mine FROM reports.batches").fetchone() == (1,)


@pytest.mark.long
def test_reports_of_a_warehouse_that_somebody_dropped_are_made_again(
    admin: psycopg.Connection,
) -> None:
    admin.execute("DROP SCHEMA warehouse, warehouse_bookkeeping CASCADE")
    assert there(admin) == {"country_names"}
    schema.migrate(admin, NAMES)

    assert there(admin) == set(reports.all_reports())


# What is built on reports, and what they are built on


def test_column_that_is_added_below_leaves_reports_and_rights_as_they_were(
    admin: psycopg.Connection, declare: Declare
) -> None:
    admin.execute("REVOKE SELECT ON reports.designs_never_sold FROM warehouse_reader")
    admin.execute("REVOKE EXECUTE ON FUNCTION reports.deliveries_next_days FROM PUBLIC")
    admin.execute("GRANT SELECT ON reports.revenue_by_design TO totesys_extractor")
    before = admin.execute(RIGHTS).fetchall()
    for star, column in (
        ("dim_design", carry("design.created_at", "more")),
        ("fact_sales_order", carry("sales_order.created_at", "more")),
        ("fact_payment", carry("payment.company_ac_number", "more")),
    ):
        declare(star, (*STAR_TABLES[star].columns, column))
    schema.migrate(admin, NAMES)

    assert admin.execute(RIGHTS).fetchall() == before
    assert there(admin) == set(reports.all_reports())
    for report in (
        "designs_never_sold",
        "overdue('2024-11-15')",
        "deliveries_next_days('2024-1-1', 7)",
    ):
        assert admin.execute(f"SELECT * FROM reports.{report}".encode()).fetchall() == []
    assert schema.migrate(admin, NAMES) == []


@pytest.mark.long
def test_type_that_is_widened_below_is_the_reports(
    admin: psycopg.Connection, declare: Declare
) -> None:
    wide = tuple(
        replace(c, sql_type="bigint") if c.name == "sales_order_id" else c
        for c in STAR_TABLES["fact_sales_order"].columns
    )
    declare("fact_sales_order", wide)
    schema.migrate(admin, NAMES)

    query = """
        SELECT format_type(atttypid, -1) FROM pg_attribute
        WHERE attrelid = 'reports.order_amendments'::regclass AND attname = 'sales_order_id'
    """
    assert admin.execute(query).fetchone() == ("bigint",)
    assert admin.execute("SELECT * FROM reports.orders_at(now())").fetchall() == []


MINE = """
CREATE SCHEMA mine AUTHORIZATION totesys_application;
GRANT USAGE ON SCHEMA reports TO totesys_application;
GRANT SELECT ON ALL TABLES IN SCHEMA reports TO totesys_application;
SET ROLE totesys_application;
CREATE VIEW mine.late AS SELECT currency_code, amount FROM reports.overdue('2024-11-15');
CREATE VIEW mine.designs AS SELECT design_id FROM reports.designs_never_sold;
RESET ROLE;
"""


def test_views_of_others_on_reports_are_put_back(
    admin: psycopg.Connection, declare: Declare
) -> None:
    admin.execute(MINE)
    declare(
        "fact_payment", (*STAR_TABLES["fact_payment"].columns, carry("payment.created_at", "more"))
    )
    declare("dim_design", (*STAR_TABLES["dim_design"].columns, carry("design.created_at", "more")))

    done = schema.migrate(admin, NAMES)

    assert sorted(done) == [
        "dim_design.more is added",
        "fact_payment.more is added",
        "past_dim_design.more is added",
        "the view mine.designs is re-created",
        "the view mine.late is re-created",
    ]
    assert admin.execute("SELECT * FROM mine.late").fetchall() == []
    query = "SELECT viewowner::text FROM pg_views WHERE schemaname = 'mine'"
    assert admin.execute(query).fetchall() == [("totesys_application",)] * 2


def test_report_whose_columns_change_is_made_anew(
    admin: psycopg.Connection, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the next release may do it: CREATE OR REPLACE VIEW would refuse to."""
    admin.execute(MINE)
    before = admin.execute(RIGHTS).fetchall()
    report = reports.all_reports()["designs_never_sold"]
    changed = Report(
        report.name,
        {**report.terms, "Columns": "design_name, design_id"},
        report.reads,
        report.query.replace(
            "d.design_id, d.design_name, d.file_name", "d.design_name, d.design_id"
        ),
    )
    fewer = {**reports.all_reports(), report.name: changed}
    monkeypatch.setattr(reports, "all_reports", lambda: fewer)
    declare("dim_design", STAR_TABLES["dim_design"].columns)

    assert schema.migrate(admin, NAMES) == ["the view mine.designs is re-created"]
    assert admin.execute(RIGHTS).fetchall() == before


# Reports that cannot be made

CONVERTED = "revenue_in_reporting_currency_by_"


@pytest.mark.parametrize(
    ("star", "column", "gone"),
    by_night(
        [
            ("dim_date", None, {"orders_by_weekday"}),
            ("dim_location", None, {"deliveries_by_country"}),
            ("dim_location", "country", {"deliveries_by_country"}),
            ("dim_counterparty", None, {"revenue_by_customer", CONVERTED + "customer"}),
            ("dim_design", None, {"revenue_by_design", "designs_never_sold", CONVERTED + "design"}),
            (
                "dim_staff",
                "location",
                {"revenue_by_office", "revenue_against_target", CONVERTED + "office"},
            ),
            (
                "fact_purchase_order",
                None,
                {"purchases_by_month", "sales_and_purchases_by_month"},
            ),
            (
                "fact_payment",
                "paid",
                {"open_payments", "overdue", "overdue_today", "ageing", "cash_next_days"},
            ),
        ],
        but=[5],
    ),
)
def test_report_of_what_is_no_longer_declared_is_dropped_and_the_others_stay(
    admin: psycopg.Connection, declare: Declare, star: str, column: str | None, gone: set[str]
) -> None:
    declared = STAR_TABLES[star].columns
    declare(star, without(star, column) if column else ())
    done = schema.migrate(admin, NAMES)

    for name in gone:
        assert f"{name} is dropped, because what it reads is no longer declared" in done
    assert there(admin) == set(reports.all_reports()) - gone
    if column:
        declare(star, declared)
        schema.migrate(admin, NAMES)
        assert there(admin) == set(reports.all_reports())


@pytest.mark.parametrize("star", by_night([*STAR_TABLES], but=[0, 5, 10]))
def test_whatever_is_withdrawn_the_reports_that_are_left_can_be_composed(star: str) -> None:
    declared = STAR_TABLES[star].columns
    for columns in ((), *(without(star, column.name) for column in declared[1:])):
        table = STAR_TABLES.pop(star)
        if columns:
            STAR_TABLES[star] = replace(table, columns=columns)
        made = {report.name: report.create(NAMES, anew=True) for report in reports.declared()}
        STAR_TABLES[star] = table

        assert "data_quality" in made


def test_view_on_a_report_that_goes_is_named_and_nothing_changes(
    admin: psycopg.Connection, declare: Declare
) -> None:
    admin.execute(MINE)
    declare("fact_payment", without("fact_payment", "paid"))
    with pytest.raises(LoadError) as refused:
        schema.migrate(admin, NAMES)

    assert str(refused.value) == (
        "The view mine.late depends on the warehouse's views, which must be re-created, and it"
        " cannot be restored (function reports.overdue(date) does not exist): change or drop it,"
        " then run `totesys migrate`; nothing was changed."
    )
    assert admin.execute("SELECT * FROM mine.late").fetchall() == []


# Rebuilds


@pytest.mark.long
def test_rebuild_makes_no_reports_beside_the_warehouse(platform: Platform) -> None:
    platform.run()
    seen: list[Any] = []

    def look(_done: int, _all: int) -> None:
        seen.extend(platform.rows("SELECT nspname FROM pg_namespace WHERE nspname ~ 'reports'"))

    rebuild_of(platform, progress=look)

    assert set(seen) == {("reports",)}


def test_reader_makes_nothing_and_is_comfortable(
    apart: psycopg.Connection, server_apart: Server
) -> None:
    with psycopg.connect(
        server_apart.dsn(stack.READER, apart.info.dbname), autocommit=True
    ) as connection:
        for statement in (
            "CREATE TEMP TABLE mine (mine integer)",
            "CREATE TABLE public.mine (mine integer)",
            "CREATE SCHEMA mine",
            "CREATE VIEW reports.mine AS SELECT 1",
            "SELECT pg_try_advisory_lock(1)",  # by which a load could be held up
            "SELECT lo_create(0)",
            "SELECT lo_from_bytea(0, 'x')",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute(statement.encode())
        assert connection.execute("SELECT * FROM revenue_by_month").fetchall() == []
        assert connection.execute("SELECT * FROM current_fact_payment").fetchall() == []
        for name in ("statement_timeout", "idle_in_transaction_session_timeout"):
            row = connection.execute("SELECT current_setting(%s)", [name]).fetchone()
            assert row == ("5min",)


def test_comfort_that_was_set_otherwise_stays(apart: psycopg.Connection) -> None:
    name = sql.Identifier(apart.info.dbname)
    role = sql.SQL("ALTER ROLE warehouse_reader IN DATABASE {} SET statement_timeout TO '1h'")
    apart.execute(role.format(name))
    apart.execute(ROLES.encode())

    query = """
        SELECT setconfig FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    """
    [(found,)] = apart.execute(query).fetchall()
    assert "statement_timeout=1h" in found
