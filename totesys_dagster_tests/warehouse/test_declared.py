"""The warehouse follows its declaration, and what others have built on it stays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psycopg
import pytest

from totesys_dagster.catalogue import STAR_TABLES, Kind, StarTable, Type
from totesys_dagster.catalogue.star_columns import carry
from totesys_dagster.errors import LoadError
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.warehouse import schema, state
from totesys_dagster_tests import made_up
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1
from totesys_dagster_tests.landing import by_night

NAMES = Names("warehouse")
# Of a name that no catalogue has.
BOSS = carry("department.manager", "boss")
Declare = Callable[..., None]


@pytest.fixture
def declare(monkeypatch: pytest.MonkeyPatch) -> Declare:
    """Declares a table with other columns."""
    monkeypatch.setattr(schema, "_hash", schema._hash.__wrapped__)  # what is kept is of another

    def change(star: str, **changes: Any) -> None:
        monkeypatch.setitem(STAR_TABLES, star, replace(STAR_TABLES[star], **changes))

    return change


def with_boss() -> tuple[Any, ...]:
    """The columns of `dim_staff`, with the boss before the last one."""
    columns = STAR_TABLES["dim_staff"].columns
    return (*columns[:-1], BOSS, columns[-1])


def without_mail() -> tuple[Any, ...]:
    """The columns of `dim_staff`, without the one of the mail."""
    return tuple(c for c in STAR_TABLES["dim_staff"].columns if c.name != "email_address")


def columns(connection: Connection, relation: str) -> list[str]:
    query = (
        "SELECT attname::text FROM pg_attribute"
        " WHERE attrelid = %s::regclass AND attnum > 0 ORDER BY attnum"
    )
    return [name for (name,) in connection.execute(query, [relation])]


def test_new_column_stands_last_in_the_table_and_in_its_place_in_the_view(
    admin: psycopg.Connection, declare: Declare
) -> None:
    declared = with_boss()
    declare("dim_staff", columns=declared)

    assert schema.migrate(admin, NAMES) == [
        "dim_staff.boss is added",
        "past_dim_staff.boss is added",
    ]
    assert columns(admin, "warehouse.dim_staff")[-2:] == ["is_deleted", "boss"]
    names = [column.name for column in declared]
    assert columns(admin, "warehouse.current_dim_staff")[: len(names)] == names
    assert schema.migrate(admin, NAMES) == []


def test_new_column_may_be_null_so_that_the_release_before_goes_on_loading(
    admin: psycopg.Connection, declare: Declare
) -> None:
    before = STAR_TABLES["dim_staff"]
    declare("dim_staff", columns=(*before.columns, replace(BOSS, nullable=False)))
    schema.migrate(admin, NAMES)

    made_up.insert(admin, before)


@pytest.mark.long
def test_column_that_is_no_longer_declared_stays_and_may_be_null(
    admin: psycopg.Connection, declare: Declare
) -> None:
    made_up.insert(admin, STAR_TABLES["dim_staff"], email_address="e")
    declare("dim_staff", columns=without_mail())

    assert schema.migrate(admin, NAMES) == [
        "dim_staff.email_address is no longer filled, and may be NULL"
    ]
    assert "email_address" not in columns(admin, "warehouse.current_dim_staff")
    assert admin.execute("SELECT email_address FROM warehouse.dim_staff").fetchone() == ("e",)


def test_column_of_somebody_else_is_left_alone(admin: psycopg.Connection, declare: Declare) -> None:
    admin.execute("ALTER TABLE warehouse.dim_staff ADD COLUMN theirs text NOT NULL DEFAULT 'x'")
    declare("dim_staff", columns=with_boss())
    schema.migrate(admin, NAMES)

    query = "SELECT attnotnull FROM pg_attribute WHERE attname = 'theirs'"
    assert admin.execute(query).fetchone() == (True,)
    assert "theirs" not in columns(admin, "warehouse.current_dim_staff")


@pytest.mark.long
@pytest.mark.parametrize("changed", ["dim_staff", "dim_design"])
def test_options_of_a_view_are_kept_whether_it_is_made_anew_or_not(
    admin: psycopg.Connection, declare: Declare, changed: str
) -> None:
    """`security_invoker`, above all. CREATE OR REPLACE VIEW takes away what it does not name."""
    admin.execute("ALTER VIEW warehouse.current_dim_staff SET (security_barrier = true)")
    columns = STAR_TABLES[changed].columns
    declare(changed, columns=with_boss() if changed == "dim_staff" else columns[:-1])
    schema.migrate(admin, NAMES)

    options = "SELECT reloptions FROM pg_class WHERE oid = 'warehouse.current_dim_staff'::regclass"
    assert admin.execute(options).fetchone() == (["security_barrier=true"],)


@pytest.mark.long
def test_grants_on_a_view_that_is_made_anew_are_kept(
    admin: psycopg.Connection, declare: Declare
) -> None:
    query = """
        SELECT grantee::regrole::text, privilege_type, is_grantable
        FROM pg_class, aclexplode(relacl)
        WHERE oid = 'warehouse.current_dim_staff'::regclass ORDER BY 1, 2
    """
    admin.execute("GRANT SELECT ON warehouse.current_dim_staff TO totesys_extractor")
    admin.execute("GRANT SELECT (staff_id) ON warehouse.current_dim_staff TO PUBLIC")
    before = admin.execute(query).fetchall()
    admin.execute("ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO totesys_application, PUBLIC")
    declare("dim_staff", columns=with_boss())
    schema.migrate(admin, NAMES)

    assert admin.execute(query).fetchall() == before
    of_column = "SELECT attacl::text FROM pg_attribute WHERE attrelid = %s::regclass AND attnum = 1"
    assert admin.execute(of_column, ["warehouse.current_dim_staff"]).fetchone() == (
        "{=r/postgres}",
    )


REPORT = """
CREATE SCHEMA theirs AUTHORIZATION totesys_application;
GRANT USAGE ON SCHEMA warehouse TO totesys_application;
GRANT SELECT ON ALL TABLES IN SCHEMA warehouse TO totesys_application;
SET ROLE totesys_application;
CREATE VIEW theirs.staff WITH (security_barrier = true) AS
    SELECT staff_id, first_name AS name FROM warehouse.current_dim_staff;
CREATE VIEW theirs.names AS SELECT name FROM theirs.staff WHERE name <> '';
COMMENT ON VIEW theirs.staff IS 'Theirs.';
COMMENT ON COLUMN theirs.staff.name IS 'First name.';
GRANT SELECT ON theirs.names TO PUBLIC;
RESET ROLE;
"""
STANDS = """
SELECT c.relname::text, pg_get_userbyid(c.relowner)::text, pg_get_viewdef(c.oid), c.reloptions,
       c.relacl::text, obj_description(c.oid), col_description(c.oid, 2)
FROM pg_class AS c WHERE relnamespace = 'theirs'::regnamespace ORDER BY 1
"""


def test_views_of_others_are_put_back_as_they_were(
    admin: psycopg.Connection, declare: Declare
) -> None:
    admin.execute(REPORT)
    before = admin.execute(STANDS).fetchall()
    declare("dim_staff", columns=with_boss())

    done = schema.migrate(admin, NAMES)

    assert done == [
        "dim_staff.boss is added",
        "past_dim_staff.boss is added",
        "the view theirs.staff is re-created",
        "the view theirs.names is re-created",
    ]
    assert admin.execute(STANDS).fetchall() == before
    assert len(before) == 2


def test_type_changes_below_the_views_of_others(
    admin: psycopg.Connection, declare: Declare
) -> None:
    admin.execute(REPORT)
    wide = tuple(
        replace(c, sql_type="bigint") if c.name == "staff_id" else c
        for c in STAR_TABLES["dim_staff"].columns
    )
    declare("dim_staff", columns=wide)

    assert "dim_staff.staff_id becomes bigint" in schema.migrate(admin, NAMES)
    query = "SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = %s::regclass"
    assert ("bigint",) in admin.execute(query, ["theirs.staff"]).fetchall()


@pytest.mark.long
def test_type_that_holds_more_than_is_declared_stays(
    admin: psycopg.Connection, declare: Declare
) -> None:
    """The release before must not narrow what the next one has widened."""
    columns_ = STAR_TABLES["fact_sales_order"].columns
    wide = {"units_sold": "bigint", "unit_price": "numeric(14,4)"}
    declare(
        "fact_sales_order",
        columns=tuple(replace(c, sql_type=wide.get(c.name, c.sql_type)) for c in columns_),
    )
    assert len(schema.migrate(admin, NAMES)) == 2
    declare("fact_sales_order", columns=columns_)

    assert schema.migrate(admin, NAMES) == ["views, comments and grants are brought up to date"]
    query = """
        SELECT format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attrelid = 'warehouse.fact_sales_order'::regclass AND attname = ANY (%s) ORDER BY 1
    """
    assert admin.execute(query, [list(wide)]).fetchall() == [("bigint",), ("numeric(14,4)",)]


@pytest.mark.parametrize(
    ("changes", "said"),
    by_night(
        [
            ({"record_id": "other_record_id"}, "fact_payment exists with another key, `record_id`"),
            ({"record_id": None, "kind": Kind.DIMENSION}, "fact_payment exists with another key"),
            (
                {"columns": (replace(carry("payment.payment_id"), name="number"),)},
                "fact_payment exists with another key",
            ),
        ],
        but=[0],
    ),
)
def test_what_a_table_cannot_become_is_refused(
    admin: psycopg.Connection, declare: Declare, changes: dict[str, Any], said: str
) -> None:
    declare("fact_payment", **changes)
    with pytest.raises(LoadError, match=said):
        schema.migrate(admin, NAMES)


def test_column_that_would_hold_something_else_is_refused(
    admin: psycopg.Connection, declare: Declare
) -> None:
    numbers = tuple(
        replace(c, sql_type="integer") if c.name == "email_address" else c
        for c in STAR_TABLES["dim_staff"].columns
    )
    declare("dim_staff", columns=numbers)
    with pytest.raises(LoadError) as refused:
        schema.migrate(admin, NAMES)

    assert str(refused.value) == (
        "dim_staff.email_address is character varying in the warehouse, but the catalogue declares"
        " integer, which cannot hold its values: give the column another name."
    )


@pytest.mark.long
def test_column_of_somebody_else_is_not_taken_over(
    admin: psycopg.Connection, declare: Declare
) -> None:
    admin.execute("ALTER TABLE warehouse.dim_staff ADD COLUMN boss character varying")
    declare("dim_staff", columns=with_boss())
    with pytest.raises(LoadError, match=r"dim_staff\.boss was added by somebody else"):
        schema.migrate(admin, NAMES)


@pytest.mark.long
def test_column_that_was_added_by_a_declaration_is_known_by_the_next(
    admin: psycopg.Connection, declare: Declare
) -> None:
    declare("dim_staff", columns=with_boss())
    schema.migrate(admin, NAMES)
    columns_ = STAR_TABLES["dim_staff"].columns
    declare("dim_staff", columns=(*columns_, carry("department.department_id", "number")))

    assert schema.migrate(admin, NAMES) == [
        "dim_staff.number is added",
        "past_dim_staff.number is added",
    ]


@pytest.mark.long
def test_right_that_was_taken_away_is_not_given_back(
    admin: psycopg.Connection, declare: Declare
) -> None:
    admin.execute("REVOKE SELECT ON warehouse.dim_staff FROM warehouse_reader")
    admin.execute("REVOKE SELECT ON warehouse.current_dim_staff FROM warehouse_reader")
    declare("dim_staff", columns=with_boss())
    schema.migrate(admin, NAMES)

    query = "SELECT has_table_privilege('warehouse_reader', %s, 'SELECT')"
    for relation in ("warehouse.dim_staff", "warehouse.current_dim_staff"):
        assert admin.execute(query, [relation]).fetchone() == (False,)


@pytest.mark.long
def test_function_that_is_in_the_way_is_named(admin: psycopg.Connection, declare: Declare) -> None:
    admin.execute(
        "CREATE FUNCTION public.staff() RETURNS SETOF warehouse.current_dim_staff LANGUAGE sql"
        " AS 'SELECT * FROM warehouse.current_dim_staff'"
    )
    declare("dim_staff", columns=with_boss())
    with pytest.raises(LoadError, match=r"in the way \(function public\.staff\(\) depends on"):
        schema.migrate(admin, NAMES)


@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "CREATE MATERIALIZED VIEW theirs.kept AS SELECT * FROM warehouse.current_dim_staff",
            (
                "theirs.kept depends on the warehouse's views, which must be re-created, and is"
                " a materialized view, so it could not be restored as it was: drop it, run `totesys"
                " migrate`, and re-create it."
            ),
        ),
        (
            "CREATE VIEW theirs.mail AS SELECT email_address FROM warehouse.current_dim_staff",
            (
                "The view theirs.mail depends on the warehouse's views, which must be re-created,"
                ' and it cannot be restored (column "email_address" does not exist): change'
                " or drop it, then run `totesys migrate`; nothing was changed."
            ),
        ),
    ],
)
def test_view_that_cannot_be_put_back_is_named_and_nothing_changes(
    admin: psycopg.Connection, declare: Declare, statement: str, said: str
) -> None:
    admin.execute(REPORT)
    admin.execute(statement.encode())
    before = columns(admin, "warehouse.current_dim_staff")
    declare("dim_staff", columns=without_mail())
    with pytest.raises(LoadError) as refused:
        schema.migrate(admin, NAMES)

    assert str(refused.value) == said
    assert columns(admin, "warehouse.current_dim_staff") == before


def test_loader_goes_on_where_another_release_has_added_to_the_tables(
    admin: psycopg.Connection, server: Server, declare: Declare
) -> None:
    """As the release before does while the next one is put in place."""
    undeclared = STAR_TABLES["dim_staff"].columns
    declare("dim_staff", columns=with_boss())
    schema.migrate(admin, NAMES)
    declare("dim_staff", columns=undeclared)
    with psycopg.connect(server.dsn(stack.LOADER, admin.info.dbname), autocommit=True) as loader:
        assert schema.migrate(loader, NAMES) == []


def test_loader_that_lacks_a_column_is_told_who_may_add_it(
    admin: psycopg.Connection, server: Server, declare: Declare
) -> None:
    declare("dim_staff", columns=with_boss())
    with (
        psycopg.connect(server.dsn(stack.LOADER, admin.info.dbname), autocommit=True) as loader,
        pytest.raises(LoadError, match="run `totesys migrate` with TOTESYS_WAREHOUSE_ADMIN_DSN"),
    ):
        schema.migrate(loader, NAMES)


def test_printed_sql_is_what_is_run(admin: psycopg.Connection, declare: Declare) -> None:
    declare("dim_staff", columns=with_boss())
    text = schema.show(admin, NAMES)

    added = "-- dim_staff.boss is added\n-- past_dim_staff.boss is added\n"
    assert text.startswith(f"{added}\nBEGIN;")
    assert "ALTER TABLE warehouse.dim_staff ADD COLUMN boss character varying;" in text
    assert columns(admin, "warehouse.dim_staff")[-1] == "is_deleted"
    admin.execute(text.encode())
    assert schema.show(admin, NAMES) == ""
    assert schema.migrate(admin, NAMES) == []


@pytest.mark.long
def test_printed_sql_makes_a_whole_warehouse(
    server: Server, new_database: Callable[..., str], admin: psycopg.Connection
) -> None:
    name = new_database(SUPERUSER)
    with psycopg.connect(server.dsn(SUPERUSER, name), autocommit=True) as other:
        other.execute(schema.show(other, NAMES).encode())
        assert not schema.pending(other, NAMES)
        for star in STAR_TABLES:
            relation = f"warehouse.{star}"
            assert columns(other, relation) == columns(admin, relation)


def test_every_table_view_and_column_is_explained(admin: psycopg.Connection) -> None:
    query = """
        SELECT c.relname, a.attname FROM pg_class AS c JOIN pg_attribute AS a ON attrelid = c.oid
        WHERE relnamespace = 'warehouse'::regnamespace AND relkind IN ('r', 'v') AND attnum > 0
          AND (col_description(c.oid, attnum) IS NULL OR obj_description(c.oid) IS NULL)
    """
    assert admin.execute(query).fetchall() == []


@pytest.mark.long
def test_keys_come_off_and_on_whatever_the_table_is_called(
    platform: Platform, declare: Declare, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL cuts the names that it gives to keys."""
    name = "fact_of_the_designs_that_terrific_totes_has_ever_drawn"
    design = STAR_TABLES["dim_design"]
    star = StarTable(
        name, STAR_TABLES["fact_payment"].kind, "X.", design.columns, "design", record_id="number"
    )
    monkeypatch.setitem(STAR_TABLES, name, star)
    declare("dim_design")
    schema.migrate(platform.warehouse, platform.names)
    query = (
        "SELECT contype::text FROM pg_constraint WHERE conrelid = %s::regclass AND contype <> 'n'"
    )

    def keys() -> list[str]:
        found = platform.warehouse.execute(query, [f"warehouse.{name}"]).fetchall()
        return sorted(type_ for (type_,) in found)

    before = keys()
    with platform.warehouse.transaction():
        platform.warehouse.execute("SELECT warehouse_bookkeeping.take_keys_off(%s)", [name])
        off = keys()
        platform.warehouse.execute("SELECT warehouse_bookkeeping.put_keys_on(%s)", [name])

    assert (before, off, keys()) == (["p", "u"], [], ["p", "u"])


def test_declaration_that_leaves_out_a_column_is_outdated_and_comparable(
    platform: Platform, declare: Declare
) -> None:
    platform.first()
    declare("dim_staff", columns=without_mail())
    found = state.states(platform.warehouse, platform.names)

    assert [star.name for star in state.outdated(found)] == ["dim_staff"]
    assert state.not_comparable(found) == []


@pytest.mark.parametrize("way", ["nullable", "code_version", "order", "type"])
def test_declaration_that_changes_what_a_column_holds_is_not_comparable(
    platform: Platform, declare: Declare, way: str
) -> None:
    platform.first()
    first, *rest = STAR_TABLES["dim_staff"].columns
    changes: dict[str, Any] = {
        "nullable": {"columns": (first, *(replace(c, nullable=True) for c in rest))},
        "code_version": {"code_version": 2},
        "order": {"columns": (first, *rest[::-1])},
        "type": {"columns": (first, *(replace(c, type=Type.DATE) for c in rest))},
    }[way]
    declare("dim_staff", **changes)

    found = state.states(platform.warehouse, platform.names)
    assert state.not_comparable(found) == ["dim_staff"]


@pytest.mark.long
def test_batches_of_a_release_without_a_table_leave_it_behind(platform: Platform) -> None:
    platform.first()
    platform.application.execute(EDIT_ORDER_1)
    platform.run()
    platform.warehouse.execute(
        "UPDATE warehouse_bookkeeping.star SET sequence = 1 WHERE star = 'dim_staff'"
    )
    platform.application.execute("UPDATE sales_order SET units_sold = units_sold + 1")
    platform.run()

    found = state.states(platform.warehouse, platform.names)
    [behind] = state.behind(found, 3)
    assert behind.name == "dim_staff"
    assert found["dim_staff"].sequence == 1
