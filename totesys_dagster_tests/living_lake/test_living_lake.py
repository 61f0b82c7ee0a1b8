"""The catalogue grows and shrinks on a lake that lives: nobody has to do more than declare it."""

from __future__ import annotations

from pathlib import Path

import pytest

from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.living_lake.project import Project, living, prove

KIOSK = """
from totesys_dagster.catalogue.model import SourceTable
from totesys_dagster.catalogue.source_columns import CREATED_AT, LAST_UPDATED, key, text

TABLE = SourceTable(
    "kiosk",
    "Places where bags are kept.",
    (
        key("kiosk_id", "Key of the kiosk."),
        text("kiosk_name", "Name of the kiosk."),
        CREATED_AT,
        LAST_UPDATED,
    ),
)
"""
DIM_KIOSK = """
from totesys_dagster.catalogue.model import Kind, StarTable
from totesys_dagster.catalogue.star_columns import carry

TABLE = StarTable(
    "dim_kiosk",
    Kind.DIMENSION,
    "Places where bags are kept.",
    base="kiosk",
    columns=(carry("kiosk.kiosk_id"), carry("kiosk.kiosk_name")),
)
"""
CREATE_KIOSK = (
    """
    CREATE TABLE kiosk (
        kiosk_id serial PRIMARY KEY,
        kiosk_name text NOT NULL,
        created_at timestamp(3) NOT NULL DEFAULT now(),
        last_updated timestamp(3) NOT NULL
    )
    """,
    "INSERT INTO kiosk (kiosk_name, last_updated) VALUES ('Hull', now()), ('Leeds', now())",
)
FACT_DESIGN = """
from totesys_dagster.catalogue.model import Kind, StarTable
from totesys_dagster.catalogue.star_columns import carry, moments

TABLE = StarTable(
    "fact_design",
    Kind.FACT,
    "Every version of every design.",
    base="design",
    record_id="design_record_id",
    columns=(carry("design.design_id"), *moments("design"), carry("design.design_name")),
)
"""


@pytest.fixture
def project(tmp_path: Path, platform: Platform) -> Project:
    return living(tmp_path, platform)


@pytest.mark.long
def test_new_source_table_is_archived(project: Project) -> None:
    project.source(*CREATE_KIOSK)
    project.grant("kiosk")
    project.declare("source/kiosk.py", KIOSK)

    [batch] = project.run().data["batches"]

    assert {name: t["rows"] for name, t in batch["captured"].items() if t["rows"]} == {"kiosk": 2}
    prove(project)


@pytest.mark.long
def test_new_star_on_a_new_source_table(project: Project) -> None:
    project.source(*CREATE_KIOSK)
    project.grant("kiosk")
    project.declare("source/kiosk.py", KIOSK)
    project.declare("stars/dim_kiosk.py", DIM_KIOSK)

    prove(project)

    assert project.rows("SELECT kiosk_id, kiosk_name, batch_seq FROM current_dim_kiosk") == [
        (1, "Hull", 4),
        (2, "Leeds", 4),
    ]


@pytest.mark.long
def test_new_star_on_archived_rows_has_their_history(project: Project) -> None:
    project.declare("stars/fact_design.py", FACT_DESIGN)

    prove(project)

    assert project.rows(
        "SELECT design_record_id, design_id, design_name, batch_seq FROM fact_design ORDER BY 1"
    ) == [(1, 1, "Wooden", 1), (2, 2, "Bronze", 1), (3, 1, "Oak", 2), (4, 1, "Wooden", 3)]


@pytest.mark.long
def test_column_of_a_dimension_that_was_archived_all_along(project: Project) -> None:
    project.edit(
        "stars/dim_staff.py",
        'carry("staff.email_address"),',
        'carry("department.manager", "boss"), carry("staff.email_address"),',
    )

    prove(project)

    assert project.rows("SELECT staff_id, boss FROM current_dim_staff ORDER BY 1") == [
        (1, "Shelley Levene"),
        (2, None),
    ]
    assert project.rows(
        "SELECT staff_id, boss, batch_seq, valid_to IS NULL FROM history_dim_staff"
        " ORDER BY staff_id, version"
    ) == [(1, "Richard Roma", 1, False), (1, "Shelley Levene", 2, True), (2, None, 1, True)]


@pytest.mark.long
def test_column_of_a_fact_that_was_archived_all_along_has_its_history(project: Project) -> None:
    project.edit(
        "stars/fact_payment.py",
        'carry("payment.payment_date"),',
        'carry("payment.payment_date"), carry("payment.company_ac_number", "account"),',
    )

    prove(project)

    assert project.rows(
        "SELECT payment_id, account, batch_seq, is_deleted FROM history_fact_payment"
        " ORDER BY payment_record_id"
    ) == [
        (1, 67305075, 1, False),
        (2, 81718079, 1, False),
        (3, 67305075, 1, False),
        (1, 5, 2, False),
        (2, 81718079, 2, False),
        (3, 67305075, 3, True),
    ]


@pytest.mark.long
def test_column_that_totesys_has_added_is_null_in_older_versions(project: Project) -> None:
    project.source("ALTER TABLE sales_order ADD COLUMN channel text NOT NULL DEFAULT 'web'")
    project.edit(
        "source/sales_order.py",
        'date("agreed_delivery_date"',
        'text("channel", "Where it was ordered."), date("agreed_delivery_date"',
    )
    project.edit("source/sales_order.py", "import (\n", "import (\n    text,\n")
    project.edit(
        "stars/fact_sales_order.py",
        'carry("sales_order.units_sold"),',
        'carry("sales_order.units_sold"), carry("sales_order.channel"),',
    )

    prove(project)

    assert project.rows(
        "SELECT sales_order_id, channel, batch_seq FROM fact_sales_order ORDER BY sales_record_id"
    ) == [(1, None, 1), (2, None, 1), (1, None, 2), (1, "web", 4), (2, "web", 4)]
    project.source("UPDATE sales_order SET channel = 'fair' WHERE sales_order_id = 2")
    prove(project)


@pytest.mark.long
def test_column_that_totesys_has_dropped(project: Project) -> None:
    project.source("ALTER TABLE address DROP COLUMN phone")
    stopped = project.run()
    project.edit(
        "stars/dim_location.py",
        '        carry("address.phone", description="Telephone number."),\n',
        "",
    )
    project.edit(
        "stars/dim_counterparty.py",
        '        carry("address.phone", "counterparty_legal_phone_number",'
        ' description="Telephone number."),\n',
        "",
    )
    project.edit(
        "source/address.py",
        '        text("phone", "Telephone number, with its leading zeros.", pii=True),\n',
        "",
    )

    prove(project)
    project.source(
        "INSERT INTO address VALUES (9, '1 Quay', NULL, NULL, 'Hull', 'HU1', 'UK', now(), now())"
    )
    prove(project)

    assert stopped.code == 1
    assert (
        "The source's table address has no column phone, which the catalogue carries" in stopped.err
    )
    assert project.rows("SELECT location_id, phone FROM dim_location ORDER BY 1") == [
        (1, "0803 637401"),
        (2, "9621 880720"),
        (9, None),
    ]
    assert "phone" not in project.rows(
        "SELECT attname::text FROM pg_attribute WHERE attrelid = 'current_dim_location'::regclass"
    )


@pytest.mark.long
def test_column_that_totesys_has_renamed_keeps_its_history(project: Project) -> None:
    project.source(
        "ALTER TABLE sales_order RENAME COLUMN units_sold TO bags",
        "UPDATE sales_order SET bags = 7 WHERE sales_order_id = 2",
    )
    project.edit(
        "source/sales_order.py",
        'quantity("units_sold", "Number of bags.")',
        'quantity("bags", "Number of bags.", formerly=("units_sold",))',
    )
    project.edit(
        "stars/fact_sales_order.py",
        'carry("sales_order.units_sold")',
        'carry("sales_order.bags", "units_sold")',
    )

    prove(project)

    assert project.rows(
        "SELECT sales_order_id, units_sold, batch_seq FROM fact_sales_order ORDER BY 1, 3"
    ) == [(1, 42972, 1), (1, 42972, 2), (2, 1001, 1), (2, 7, 4)]


@pytest.mark.long
def test_columns_that_totesys_has_widened(project: Project) -> None:
    project.source(
        "ALTER TABLE sales_order ALTER units_sold TYPE bigint, ALTER unit_price TYPE numeric(14,3)",
        "UPDATE sales_order SET units_sold = 3000000000, unit_price = 1.125"
        " WHERE sales_order_id = 1",
    )
    in_quarantine = project.run()
    project.edit("source/sales_order.py", '"Number of bags.")', '"Number of bags.", big=True)')
    project.edit(
        "source/sales_order.py",
        '"Price of one bag in the order\'s currency.")',
        '"Price of one bag in the order\'s currency.", digits=(14, 3))',
    )

    prove(project)

    assert in_quarantine.code == 1  # the row is in quarantine
    assert project.rows(
        "SELECT units_sold, unit_price::text FROM current_fact_sales_order ORDER BY 1"
    ) == [(1001, "2.100"), (3000000000, "1.125")]


@pytest.mark.long
def test_column_that_totesys_lets_be_null(project: Project) -> None:
    project.source(
        "ALTER TABLE staff ALTER email_address DROP NOT NULL",
        "UPDATE staff SET email_address = NULL WHERE staff_id = 2",
    )
    in_quarantine = project.run()
    project.edit(
        "source/staff.py",
        '"E-mail address at work.", pii=True',
        '"E-mail address at work.", pii=True, nullable=True',
    )

    prove(project)

    assert in_quarantine.code == 1
    assert project.rows("SELECT staff_id, email_address FROM current_dim_staff ORDER BY 1") == [
        (1, "jeremie.okeefe@terrifictotes.com"),
        (2, None),
    ]


@pytest.mark.long
def test_star_that_is_withdrawn_stays_and_is_marked(project: Project) -> None:
    project.withdraw("stars/dim_payment_type.py")

    prove(project)
    project.source("INSERT INTO payment_type VALUES (9, 'SALES_REFUND', now(), now())")
    prove(project)

    assert project.rows("SELECT payment_type_id FROM dim_payment_type ORDER BY 1") == [1, 3]
    for relation in ("dim_payment_type", "current_dim_payment_type", "history_dim_payment_type"):
        assert project.rows(f"SELECT obj_description('{relation}'::regclass)") == [
            "No longer filled: the catalogue does not declare it any more."
        ]


@pytest.mark.long
def test_source_table_that_is_withdrawn_stays_in_the_lake(project: Project) -> None:
    project.withdraw("source/payment_type.py")
    project.withdraw("stars/dim_payment_type.py")

    prove(project)
    project.source("DELETE FROM payment_type WHERE payment_type_id = 4",
                   "INSERT INTO design SELECT 9, created_at, 'Slate', file_location, file_name,"
                   " last_updated FROM design LIMIT 1")  # fmt: skip
    prove(project)

    assert project.rows("SELECT count(*) FROM dim_payment_type") == [2]
    assert project.rows("SELECT design_id FROM current_dim_design ORDER BY 1") == [1, 2, 9]


@pytest.mark.long
def test_star_that_comes_back_has_what_happened_meanwhile(project: Project) -> None:
    module = project.directory / "totesys_dagster/catalogue/stars/dim_payment_type.py"
    text = module.read_text()
    project.withdraw("stars/dim_payment_type.py")
    prove(project)
    project.source("INSERT INTO payment_type VALUES (9, 'SALES_REFUND', now(), now())")
    prove(project)
    module.write_text(text)

    prove(project)

    assert project.rows("SELECT payment_type_id, batch_seq FROM dim_payment_type ORDER BY 1") == [
        (1, 1),
        (3, 1),
        (9, 4),
    ]
    assert project.rows("SELECT obj_description('dim_payment_type'::regclass)") == [
        "Kinds of payment."
    ]
    assert project.rows("SELECT obj_description('current_dim_payment_type'::regclass)") == [
        "Kinds of payment. Only the rows that the source has now."
    ]


@pytest.mark.long
def test_column_that_is_computed_differently(project: Project) -> None:
    project.edit(
        "stars/dim_currency.py", "codes.map(currencies)", "codes.map(currencies).str.upper()"
    )
    project.edit(
        "stars/dim_currency.py", '    base="currency",', '    base="currency",\n    code_version=2,'
    )

    prove(project)

    assert project.rows("SELECT currency_name FROM current_dim_currency ORDER BY currency_id") == [
        "POUND STERLING",
        "US DOLLAR",
        "EURO",
    ]


@pytest.mark.long
def test_two_changes_at_once_and_both_taken_back(project: Project) -> None:
    module = project.directory / "totesys_dagster/catalogue/stars/dim_staff.py"
    before = module.read_text()
    project.edit(
        "stars/dim_staff.py",
        'carry("staff.email_address"),',
        'carry("department.manager", "boss"), carry("staff.email_address"),',
    )
    project.declare("stars/fact_design.py", FACT_DESIGN)
    prove(project)
    found = project.rows("SELECT boss FROM current_dim_staff ORDER BY staff_id")
    module.write_text(before)
    project.withdraw("stars/fact_design.py")

    prove(project)
    project.source("UPDATE staff SET last_name = 'Smith' WHERE staff_id = 2")
    prove(project)

    assert found == ["Shelley Levene", None]
    assert project.rows("SELECT count(*) FROM fact_design") == [4]
    assert project.rows("SELECT last_name FROM current_dim_staff ORDER BY staff_id") == [
        "O'Keefe",
        "Smith",
    ]


@pytest.mark.long
def test_column_that_seems_renamed_is_asked_about(project: Project) -> None:
    """To make the table anew would take the number of bags out of its history."""
    project.source("ALTER TABLE sales_order RENAME COLUMN units_sold TO bags")
    project.edit("source/sales_order.py", 'quantity("units_sold"', 'quantity("bags"')
    project.edit(
        "stars/fact_sales_order.py",
        'carry("sales_order.units_sold")',
        'carry("sales_order.bags", "units_sold")',
    )
    run, status, verify = project.commands(["run", "--json"], ["status"], ["verify", "--json"])
    kept = project.rows("SELECT units_sold FROM fact_sales_order WHERE batch_seq = 1 ORDER BY 1")
    [rebuilt] = project.commands(["rebuild", "--json"])

    prove(project)

    assert run.code == 1  # it is not proved
    assert "fact_sales_order.units_sold: old batches do not have the column" in " ".join(
        status.out.split()
    )
    assert verify.data["findings"] == []
    assert kept == [1001, 42972]
    assert rebuilt.code == 0
    assert project.rows("SELECT units_sold FROM current_fact_sales_order ORDER BY 1") == [
        1001,
        42972,
    ]


@pytest.mark.long
def test_sensors_do_all_of_it(project: Project) -> None:
    project.source(*CREATE_KIOSK)
    project.grant("kiosk")
    project.declare("source/kiosk.py", KIOSK)
    project.declare("stars/dim_kiosk.py", DIM_KIOSK)
    project.declare("stars/fact_design.py", FACT_DESIGN)

    ticked, status = project.commands(["sensors"], ["status", "--json"])

    assert ticked.code == 0, ticked.err
    assert status.data["warehouse"]["equal"]
    assert project.rows("SELECT count(*) FROM fact_design") == [4]
    prove(project)


@pytest.mark.long
def test_sensors_renew_while_nothing_happens(project: Project) -> None:
    project.edit(
        "stars/dim_staff.py",
        'carry("staff.email_address"),',
        'carry("department.manager", "boss"), carry("staff.email_address"),',
    )

    ticked, status = project.commands(["sensors"], ["status", "--json"])

    assert (ticked.code, ticked.data) == (0, ["audit"])
    assert status.data["warehouse"]["equal"]
    prove(project)


@pytest.mark.long
def test_release_before_loads_over_the_schema_after(project: Project, tmp_path: Path) -> None:
    """As it does while the next one is put in place; what it could not know is mended then."""
    before = Project.copy(tmp_path / "before", project.platform)
    project.edit(
        "stars/fact_payment.py",
        'carry("payment.payment_date"),',
        'carry("payment.payment_date"), carry("payment.company_ac_number", "account"),',
    )
    project.edit(
        "stars/dim_staff.py",
        'carry("staff.email_address"),',
        'carry("department.manager", "boss"), carry("staff.email_address"),',
    )
    prove(project)
    project.source(
        "UPDATE payment SET company_ac_number = 6, paid = TRUE WHERE payment_id = 1",
        "UPDATE department SET manager = 'Dave Moss' WHERE department_id = 1",
        "UPDATE staff SET last_name = 'Smith' WHERE staff_id = 2",
    )
    run, verify = before.commands(["run", "--json"], ["verify", "--json"])

    assert run.code == 0, run.out + run.err
    assert verify.data["findings"] == []
    prove(project)
    assert project.rows("SELECT boss FROM current_dim_staff ORDER BY 1") == ["Dave Moss", None]
    assert project.rows(
        "SELECT account FROM fact_payment WHERE payment_id = 1 ORDER BY batch_seq"
    ) == [67305075, 5, 6]


BUSINESS = (
    "UPDATE sales_order SET units_sold = units_sold + 1 WHERE sales_order_id = 1",
    "UPDATE payment SET paid = TRUE WHERE payment_id = 1",
)


@pytest.mark.long
@pytest.mark.parametrize("way", ["run", "sensors"])
def test_dimension_that_is_renamed_while_business_goes_on(project: Project, way: str) -> None:
    """Its table is new and empty: no fact is an orphan for that."""
    text = (project.directory / "totesys_dagster/catalogue/stars/dim_design.py").read_text()
    project.withdraw("stars/dim_design.py")
    project.declare("stars/dim_bag.py", text.replace('"dim_design"', '"dim_bag"'))
    project.source(*BUSINESS)
    if way == "sensors":
        [ticked] = project.commands(["sensors"])
        assert ticked.code == 0, ticked.err

    prove(project)

    assert project.rows("SELECT count(*) FROM quarantine") == [0]
    assert project.rows("SELECT count(*) FROM current_dim_bag") == [2]


@pytest.mark.long
def test_dimension_that_sets_rows_aside_takes_the_facts_along(project: Project) -> None:
    """And gives them back when that is taken back."""
    module = project.directory / "totesys_dagster/catalogue/stars/dim_location.py"
    before, column = module.read_text(), 'carry("address.district")'
    project.edit("stars/dim_location.py", column, 'carry("address.district", nullable=False)')
    project.source(*BUSINESS)
    [run, rebuild] = project.commands(["run", "--json"], ["rebuild", "--json"])
    orphans = project.rows("SELECT count(*) FROM quarantine WHERE dimension IS NOT NULL")
    module.write_text(before)
    prove(project)

    assert run.code == 1  # rows are in quarantine
    assert not any(rebuild.data["different"].values()), rebuild.data["different"]
    assert orphans != [0]
    assert project.rows("SELECT count(*) FROM quarantine") == [0]


@pytest.mark.long
def test_columns_by_a_reference_that_a_row_need_not_have(project: Project) -> None:
    project.edit(
        "stars/dim_transaction.py",
        'carry("transaction.sales_order_id"',
        'carry("sales_order.units_sold"), carry("transaction.sales_order_id"',
    )
    project.source(*BUSINESS)

    prove(project)

    assert project.rows("SELECT units_sold FROM current_dim_transaction ORDER BY 1") == [
        1001,
        42973,
        None,
    ]
