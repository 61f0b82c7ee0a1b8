"""Rows that change, appear or vanish without a transaction id of their own.

Each kind is tried on the embedded server and on the system's own, after a first batch and with
nothing else happening in the source: no row is recent then, and the batch has to come all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from totesys_dagster import settings
from totesys_dagster.errors import SourceError
from totesys_dagster.ingestion import changes
from totesys_dagster.ingestion.changes import ALTERED, APPEARED, RESHAPED
from totesys_dagster.ingestion.poll import changed_tables
from totesys_dagster.lake.store import Store
from totesys_dagster.local import server as postgres
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.postgres.sessions import Names
from totesys_dagster.warehouse import schema
from totesys_dagster_tests import conftest
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1, new_design
from totesys_dagster_tests.ingestion.test_other_servers import any_binaries
from totesys_dagster_tests.landing import by_night


@pytest.fixture(scope="module", params=any_binaries(), ids=str)
def any_server(
    request: pytest.FixtureRequest, server: Server, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Server]:
    """The embedded server, and those of other versions that this machine has."""
    if request.param is None:
        yield server
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(settings.POSTGRES_BIN, str(request.param))
        other = postgres.start(tmp_path_factory.mktemp("other"), stack.ROLES)
    with psycopg.connect(other.dsn(SUPERUSER, "postgres"), autocommit=True) as admin:
        stack.create_roles(admin, other)
    yield other


@pytest.fixture(scope="module")
def templates(any_server: Server) -> tuple[str, str]:
    """A source of a few rows and a warehouse without a batch, to be copied."""
    # Numbered, for a worker that takes tests off another may come back to a server.
    source, warehouse = (f"kinds_template_{next(conftest._numbers)}" for _ in range(2))
    conftest._template(any_server, source, conftest.few_rows)
    conftest._create_database(any_server, warehouse, stack.LOADER, "template0", None)
    with psycopg.connect(any_server.dsn(stack.LOADER, warehouse), autocommit=True) as connection:
        schema.migrate(connection, Names("warehouse"))
    return source, warehouse


@pytest.fixture
def anywhere(request: pytest.FixtureRequest, any_server: Server, server: Server) -> Platform:
    """A platform over a few rows on that server."""
    found = "platform" if any_server is server else "elsewhere"
    platform: Platform = request.getfixturevalue(found)
    return platform


@pytest.fixture
def elsewhere(
    any_server: Server,
    templates: tuple[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Platform]:
    """The same on a server that is not the session's."""
    names = [f"kinds_{next(conftest._numbers)}" for _ in templates]
    owners = (stack.APPLICATION, stack.LOADER)
    for name, owner, template in zip(names, owners, templates, strict=True):
        conftest._create_database(any_server, name, owner, template, None)
    source, warehouse = names
    monkeypatch.setenv(settings.SOURCE_DSN, any_server.dsn(stack.EXTRACTOR, source))
    monkeypatch.setenv(settings.WAREHOUSE_DSN, any_server.dsn(stack.LOADER, warehouse))
    platform = Platform(
        any_server,
        source,
        warehouse,
        Names("warehouse"),
        Store((tmp_path / "ingestion").as_uri(), settings.INGESTION_URL),
        Store((tmp_path / "processed").as_uri(), settings.PROCESSED_URL),
    )
    yield platform
    platform.close()


def as_owner(platform: Platform, statement: str) -> None:
    platform.application.execute(statement)  # type: ignore[call-overload]


def require(platform: Platform, version: int) -> None:
    if platform.source.info.server_version < version:
        pytest.skip(f"PostgreSQL {platform.source.info.server_version // 10000} has no such thing")


def unequal(platform: Platform) -> list[str]:
    """The tables that do not equal the source now, compared as a whole."""
    return [star for star, found in platform.audit().items() if not found.equal]


PARTITIONED = """
    ALTER TABLE payment RENAME TO payment_1;
    CREATE TABLE payment (LIKE payment_1 INCLUDING DEFAULTS) PARTITION BY RANGE (payment_id);
    ALTER TABLE payment ATTACH PARTITION payment_1 FOR VALUES FROM (1) TO (100);
    CREATE TABLE payment_2 (LIKE payment);
    INSERT INTO payment_2
        SELECT payment_id + 100, created_at, last_updated, transaction_id, counterparty_id,
               payment_amount, currency_id, payment_type_id, paid, payment_date, company_ac_number,
               counterparty_ac_number
        FROM payment_1;
    GRANT SELECT ON payment TO totesys_extractor
"""
ATTACH = "ALTER TABLE payment ATTACH PARTITION payment_2 FOR VALUES FROM (100) TO (200)"

CHILD = """
    CREATE TABLE old_design (LIKE design);
    INSERT INTO old_design
        SELECT design_id + 100, created_at, 'Old', file_location, file_name, last_updated
        FROM design;
    GRANT SELECT ON old_design TO totesys_extractor
"""

COPY_OF_PAYMENT = """
    CREATE TABLE payment_new (LIKE payment INCLUDING ALL);
    INSERT INTO payment_new TABLE payment;
    UPDATE payment_new SET payment_amount = payment_amount + 1;
    GRANT SELECT ON payment_new TO totesys_extractor
"""

# The name, what is there before the first batch, what happens then, and the table that it
# happens to.
KINDS = [
    ("partition attached", PARTITIONED, ATTACH, "payment"),
    (
        "partition detached",
        f"{PARTITIONED}; {ATTACH}",
        "ALTER TABLE payment DETACH PARTITION payment_2",
        "payment",
    ),
    (
        "partition of a partition attached",
        """
        ALTER TABLE payment RENAME TO payment_1;
        CREATE TABLE payment (LIKE payment_1 INCLUDING DEFAULTS) PARTITION BY RANGE (payment_id);
        CREATE TABLE payments (LIKE payment_1) PARTITION BY RANGE (payment_id);
        ALTER TABLE payment ATTACH PARTITION payments FOR VALUES FROM (1) TO (100);
        GRANT SELECT ON payment TO totesys_extractor
        """,
        "ALTER TABLE payments ATTACH PARTITION payment_1 FOR VALUES FROM (1) TO (100)",
        "payment",
    ),
    ("child that inherits", CHILD, "ALTER TABLE old_design INHERIT design", "design"),
    (
        "child that inherits no more",
        f"{CHILD}; ALTER TABLE old_design INHERIT design",
        "ALTER TABLE old_design NO INHERIT design",
        "design",
    ),
    (
        "table swapped by a rename",
        COPY_OF_PAYMENT,
        "ALTER TABLE payment RENAME TO payment_old; ALTER TABLE payment_new RENAME TO payment",
        "payment",
    ),
    (
        "table swapped by a schema",
        f"{COPY_OF_PAYMENT}; CREATE SCHEMA old",
        "ALTER TABLE payment SET SCHEMA old; ALTER TABLE payment_new RENAME TO payment",
        "payment",
    ),
    (
        "column dropped and added with another default",
        "",
        """
        ALTER TABLE sales_order DROP agreed_delivery_location_id;
        ALTER TABLE sales_order ADD agreed_delivery_location_id integer NOT NULL DEFAULT 1
        """,
        "sales_order",
    ),
    (
        "names of two columns swapped",
        "",
        """
        ALTER TABLE design RENAME design_name TO a;
        ALTER TABLE design RENAME file_name TO design_name;
        ALTER TABLE design RENAME a TO file_name
        """,
        "design",
    ),
    (
        "label of an enum renamed",
        "",
        """ALTER TYPE "TransactionType" RENAME VALUE 'SALE' TO 'SELLING'""",
        "transaction",
    ),
    (
        "labels of an enum swapped",
        "",
        """
        ALTER TYPE "TransactionType" RENAME VALUE 'SALE' TO 'X';
        ALTER TYPE "TransactionType" RENAME VALUE 'PURCHASE' TO 'SALE';
        ALTER TYPE "TransactionType" RENAME VALUE 'X' TO 'PURCHASE'
        """,
        "transaction",
    ),
    (
        "attribute of a composite renamed",
        """
        CREATE TYPE extra AS (a integer, b text);
        ALTER TABLE design ADD extra extra DEFAULT ROW(1, 'x')::extra
        """,
        "ALTER TYPE extra RENAME ATTRIBUTE a TO c",
        "design",
    ),
]


@pytest.mark.parametrize(
    ("before", "happens", "table"),
    by_night([kind[1:] for kind in KINDS], but=[0]),
    ids=[kind[0] for kind in KINDS],
)
def test_change_of_the_catalogue_is_read_in_full(
    anywhere: Platform, before: str, happens: str, table: str
) -> None:
    if before:
        as_owner(anywhere, before)
        anywhere.run()
    else:
        anywhere.first()
    as_owner(anywhere, happens)
    found = changed_tables(anywhere.source, anywhere.ingestion).changed
    manifest = anywhere.capture()
    assert manifest is not None
    anywhere.process(manifest)
    loaded = anywhere.load(manifest)

    assert found == [table]
    assert {name: entry.reason for name, entry in manifest.tables.items() if entry.reason} == {
        table: RESHAPED
    }
    assert all(audit_.equal for audit_ in loaded.audits.values())
    assert anywhere.capture() is None


@pytest.mark.long
@pytest.mark.parametrize("stored", ["VIRTUAL", "STORED"])
def test_expression_of_a_generated_column_that_is_changed_is_read_in_full(
    anywhere: Platform, stored: str
) -> None:
    require(anywhere, 180000)
    as_owner(
        anywhere,
        f"""
        ALTER TABLE sales_order DROP agreed_delivery_location_id;
        ALTER TABLE sales_order ADD agreed_delivery_location_id integer
            GENERATED ALWAYS AS (1) {stored}
        """,
    )
    anywhere.run()
    as_owner(
        anywhere, "ALTER TABLE sales_order ALTER agreed_delivery_location_id SET EXPRESSION AS (2)"
    )
    loaded = anywhere.run()

    assert loaded is not None
    assert anywhere.rows(
        "SELECT DISTINCT agreed_delivery_location_id FROM current_fact_sales_order"
    ) == [(2,)]
    assert unequal(anywhere) == []


POLICY = "CREATE POLICY p ON payment FOR SELECT TO totesys_extractor USING (paid)"
SECURITY = f"ALTER TABLE payment ENABLE ROW LEVEL SECURITY; {POLICY}"


@pytest.mark.parametrize(
    "happens", by_night([SECURITY, "ALTER TABLE payment ENABLE ROW LEVEL SECURITY"], but=[1])
)
def test_row_security_is_refused_and_nothing_is_lost_by_it(
    anywhere: Platform, happens: str
) -> None:
    """Hidden payments would be taken for deleted."""
    anywhere.first()
    before = anywhere.ingestion.list("")
    as_owner(anywhere, f"{happens}; {EDIT_ORDER_1}; UPDATE payment SET paid = TRUE")
    with pytest.raises(SourceError) as refused:
        anywhere.capture()
    after = anywhere.ingestion.list("")
    as_owner(anywhere, "ALTER TABLE payment DISABLE ROW LEVEL SECURITY")
    loaded = anywhere.run()

    assert str(refused.value) == (
        "The source's payment has row security, which may hide rows from the role of"
        " TOTESYS_SOURCE_DSN, and hidden rows would be taken for deleted: nothing was captured; let"
        " the table's owner disable it (ALTER TABLE payment DISABLE ROW LEVEL SECURITY), or give"
        " the role BYPASSRLS."
    )
    assert after == before
    assert loaded is not None
    assert unequal(anywhere) == []
    assert anywhere.rows("SELECT count(*), bool_and(paid) FROM current_fact_payment") == [(3, True)]


@pytest.mark.long
def test_role_that_row_security_does_not_concern_reads_on(anywhere: Platform) -> None:
    anywhere.first()
    dsn = anywhere.server.dsn(SUPERUSER, anywhere.source_database)
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute("ALTER ROLE totesys_extractor BYPASSRLS")
        try:
            as_owner(anywhere, f"{SECURITY}; {EDIT_ORDER_1}")
            loaded = anywhere.run()
        finally:
            admin.execute("ALTER ROLE totesys_extractor NOBYPASSRLS")

    assert loaded is not None
    assert loaded.tables["fact_sales_order"].updated == 1
    assert all(found.equal for found in loaded.audits.values())


@pytest.mark.parametrize(
    ("happens", "words"),
    [
        (
            "ALTER TABLE design RENAME TO d; CREATE VIEW design AS TABLE d",
            "The source's design is a view",
        ),
        (
            "ALTER TABLE design RENAME TO d; CREATE MATERIALIZED VIEW design AS TABLE d",
            "something else in the place of a table",
        ),
        (
            """
            ALTER TABLE design RENAME TO d; CREATE FOREIGN DATA WRAPPER none;
            CREATE SERVER elsewhere FOREIGN DATA WRAPPER none;
            CREATE FOREIGN TABLE design (design_id integer) SERVER elsewhere
            """,
            "something else in the place of a table",
        ),
        (
            """
            ALTER TABLE design RENAME TO d;
            CREATE TABLE design (LIKE d) PARTITION BY RANGE (design_id);
            CREATE FOREIGN DATA WRAPPER none; CREATE SERVER elsewhere FOREIGN DATA WRAPPER none;
            CREATE FOREIGN TABLE far PARTITION OF design FOR VALUES FROM (1) TO (9) SERVER elsewhere
            """,
            "far, a part of design, is a foreign table",
        ),
    ],
)
def test_what_has_no_transaction_ids_is_refused(
    anywhere: Platform, happens: str, words: str
) -> None:
    anywhere.first()
    before = anywhere.ingestion.list("")
    dsn = anywhere.server.dsn(SUPERUSER, anywhere.source_database)
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(f"{happens}; GRANT SELECT ON design TO PUBLIC")  # type: ignore[call-overload]
    with pytest.raises(SourceError) as refused:
        anywhere.capture()

    assert words in str(refused.value)
    assert "\n" not in str(refused.value)
    assert anywhere.ingestion.list("") == before


@pytest.mark.parametrize(
    "happens",
    by_night(
        ["VACUUM FULL payment", "CLUSTER payment USING payment_pkey", "VACUUM FREEZE payment"],
        but=[0],
    ),
)
def test_table_that_is_only_rewritten_is_digested_and_not_read(
    anywhere: Platform, happens: str
) -> None:
    anywhere.first()
    as_owner(anywhere, happens)
    polled = changed_tables(anywhere.source, anywhere.ingestion)
    manifest = anywhere.capture()
    found = unequal(anywhere)
    again = changed_tables(anywhere.source, anywhere.ingestion)

    assert (polled.changed, polled.audit_due) == ([], "FREEZE" not in happens)
    assert manifest is None
    assert found == []
    assert again.audit_due is False


@pytest.fixture
def blind(monkeypatch: pytest.MonkeyPatch) -> None:
    """A platform that knows of no fingerprint: as for whatever nobody has thought of."""

    def requested(_: object, __: object, table: str, full: object) -> str:
        return changes.REQUESTED if table in full else ""  # type: ignore[operator]

    monkeypatch.setattr(changes, "_reason", requested)


@pytest.mark.usefixtures("blind")
@pytest.mark.parametrize(
    "edit", by_night(["", "UPDATE payment SET paid = TRUE WHERE payment_id = 1"], but=[0])
)
def test_keys_that_appear_without_a_transaction_id_open_a_batch(
    anywhere: Platform, edit: str
) -> None:
    as_owner(anywhere, PARTITIONED)
    anywhere.run()
    as_owner(anywhere, f"{ATTACH}; {edit}")
    polled = changed_tables(anywhere.source, anywhere.ingestion)
    manifest = anywhere.capture()

    assert polled.changed == ["payment"]
    assert manifest is not None
    assert manifest.tables["payment"].reason == APPEARED
    anywhere.process(manifest)
    assert all(found.equal for found in anywhere.load(manifest).audits.values())


def test_keys_of_new_rows_do_not_mean_a_full_read(anywhere: Platform) -> None:
    anywhere.first()
    as_owner(anywhere, new_design(7))
    manifest = anywhere.capture()

    assert manifest is not None
    assert manifest.tables["design"].read == "delta"
    assert manifest.tables["design"].rows == 1


@pytest.mark.usefixtures("blind")
def test_values_that_change_without_a_transaction_id_are_found_by_their_digest(
    anywhere: Platform,
) -> None:
    swap = "ALTER TABLE payment RENAME TO payment_old; ALTER TABLE payment_new RENAME TO payment"
    as_owner(anywhere, COPY_OF_PAYMENT)
    anywhere.run()
    as_owner(anywhere, swap)
    polled = changed_tables(anywhere.source, anywhere.ingestion)
    manifest = anywhere.capture()

    assert polled.changed == ["payment"]
    assert manifest is not None
    assert manifest.tables["payment"].reason == ALTERED
    anywhere.process(manifest)
    loaded = anywhere.load(manifest)
    assert loaded.tables["fact_payment"].updated == 3
    assert all(found.equal for found in loaded.audits.values())


@pytest.mark.long
@pytest.mark.usefixtures("blind")
def test_values_of_a_large_table_are_found_within_the_hour(
    anywhere: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(changes, "LARGE_TABLE_ROWS", -1)
    swap = "ALTER TABLE payment RENAME TO payment_old; ALTER TABLE payment_new RENAME TO payment"
    as_owner(anywhere, COPY_OF_PAYMENT)
    anywhere.run()
    as_owner(anywhere, swap)

    polled = changed_tables(anywhere.source, anywhere.ingestion)
    found = anywhere.capture()

    # The files are other ones, too, so it need not wait for the hour.
    assert polled.changed == ["payment"]
    assert found is not None
    assert found.tables["payment"].reason == ALTERED


@pytest.mark.long
def test_role_that_may_not_ask_for_the_identity_captures_all_the_same(
    anywhere: Platform,
) -> None:
    dsn = anywhere.server.dsn(SUPERUSER, anywhere.source_database)
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(
            "REVOKE EXECUTE ON FUNCTION pg_control_system(), pg_walfile_name(pg_lsn) FROM PUBLIC;"
            " REVOKE EXECUTE ON FUNCTION pg_control_system() FROM totesys_extractor"
        )
    anywhere.run()
    as_owner(anywhere, EDIT_ORDER_1)
    polled = changed_tables(anywhere.source, anywhere.ingestion)
    manifest = anywhere.capture()

    assert polled.changed == ["sales_order"]
    assert manifest is not None
    assert (manifest.source.system_identifier, manifest.source.timeline) == (None, None)
    assert manifest.tables["sales_order"].read == "delta"
