"""The rebuild: the same warehouse again from the lake alone, whatever happened to the old one."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from totesys_dagster import settings
from totesys_dagster.catalogue import STAR_TABLES, WAREHOUSE_TABLES
from totesys_dagster.errors import LoadError
from totesys_dagster.lake.store import Store
from totesys_dagster.local import stack
from totesys_dagster.local.server import Server
from totesys_dagster.operations.rebuild import Rebuilt, rebuild
from totesys_dagster.operations.verify import verify
from totesys_dagster.postgres.sessions import Connection, Names, connect
from totesys_dagster.warehouse import ddl, healing, schema
from totesys_dagster.warehouse.standing import standings
from totesys_dagster.warehouse.tables import pasts
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import (
    DELETE_ORDER_1,
    EDIT_ORDER_1,
    EDIT_ORDER_1_BACK,
    new_sale,
)
from totesys_dagster_tests.landing import by_night
from totesys_simulator.simulator import business_day

Rows = dict[str, list[tuple[object, ...]]]


def rebuild_of(
    platform: Platform,
    connection: Connection | None = None,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    *,
    lose_loaded_batches: bool = False,
) -> Rebuilt:
    return rebuild(
        connection or platform.warehouse,
        platform.names,
        platform.ingestion,
        platform.processed,
        quarantine_limit=100,
        progress=progress,
        lose_loaded_batches=lose_loaded_batches,
    )


def three_batches(platform: Platform) -> None:
    """An order that is entered, edited and deleted."""

    def steps(platform: Platform) -> None:
        platform.run()
        for statement in (EDIT_ORDER_1, DELETE_ORDER_1):
            platform.application.execute(statement)
            platform.run()

    platform.come_to("three batches", steps)


def everything(platform: Platform) -> Rows:
    """All rows of the warehouse and of its bookkeeping, but for when they were loaded."""
    tables = [*STAR_TABLES, *pasts()]
    rows = {name: platform.rows(f"SELECT * FROM {name} ORDER BY 1, batch_seq") for name in tables}
    for name in ddl.LEDGER:
        when = "ARRAY['loaded_at', 'compared_at']"
        rows[name] = platform.rows(f"SELECT to_jsonb(t) - {when} FROM {name} AS t ORDER BY 1")
    return rows


def forget(platform: Platform) -> None:
    """Lose the warehouse."""
    platform.warehouse.execute("DROP SCHEMA warehouse, warehouse_bookkeeping CASCADE")


def by_hand(platform: Platform, edit: str) -> None:
    """Change the warehouse behind the platform's back."""
    platform.rows("SELECT 1")  # sets the search path
    platform.warehouse.execute(edit)  # type: ignore[call-overload]


def schemas(platform: Platform) -> list[tuple[object, ...]]:
    return platform.rows(
        "SELECT nspname::text FROM pg_namespace WHERE nspname LIKE 'warehouse%' ORDER BY 1"
    )


BOTH = [("warehouse",), ("warehouse_bookkeeping",)]


@pytest.fixture
def connect_too(platform: Platform) -> Iterator[Callable[[], Connection]]:  # noqa: ARG001
    """Opens a second connection to the platform's warehouse."""
    with ExitStack() as opened:
        yield lambda: opened.enter_context(connect(settings.WAREHOUSE_DSN))


# The same again


def test_warehouse_that_is_lost_comes_back(platform: Platform) -> None:
    three_batches(platform)
    before = everything(platform)
    forget(platform)
    rebuilt = rebuild_of(platform)

    assert everything(platform) == before
    assert rebuilt.batches == 3
    assert rebuilt.different is None
    assert rebuilt.rows["fact_sales_order"] == 4


@pytest.mark.long
def test_rebuild_of_an_empty_lake_is_an_empty_warehouse(platform: Platform) -> None:
    forget(platform)
    rebuilt = rebuild_of(platform)

    assert rebuilt.batches == 0
    assert set(rebuilt.rows.values()) == {0}


@pytest.mark.long
def test_week_of_business_comes_back_row_for_row(full_platform: Platform) -> None:
    """Record ids included, and orders that were edited, paid and deleted."""
    full_platform.run()
    for _ in range(5):
        business_day(full_platform.application)
        full_platform.run()
    before = everything(full_platform)
    forget(full_platform)
    rebuild_of(full_platform)

    assert everything(full_platform) == before
    assert any(is_deleted for *_, is_deleted in before["fact_payment"])


@pytest.mark.long
def test_rebuild_that_finds_no_difference_leaves_every_row_as_it_is(platform: Platform) -> None:
    three_batches(platform)
    rows = "SELECT xmin::text FROM fact_sales_order UNION ALL SELECT xmin::text FROM batch"
    before = platform.rows(rows)
    rebuilt = rebuild_of(platform)

    assert rebuilt.different == dict.fromkeys(WAREHOUSE_TABLES, 0)
    assert platform.rows(rows) == before
    assert schemas(platform) == BOTH


@pytest.mark.long
def test_batches_that_are_not_loaded_yet_are_loaded(platform: Platform) -> None:
    platform.first()
    platform.application.execute(EDIT_ORDER_1)
    platform.capture()
    rebuilt = rebuild_of(platform)

    assert rebuilt.batches == 2
    assert platform.rows("SELECT count(*) FROM batch") == [(2,)]


@pytest.mark.long
def test_processed_zone_that_is_lost_is_processed_again(platform: Platform, tmp_path: Path) -> None:
    three_batches(platform)
    before, receipts = everything(platform), platform.processed.list("receipts")
    rows = platform.processed.list("rows")
    shutil.rmtree(tmp_path / "processed")
    forget(platform)
    platform.processed = Store(platform.processed.url, platform.processed.setting)
    rebuild_of(platform)

    assert everything(platform) == before
    assert platform.processed.list("receipts") == receipts
    assert platform.processed.list("rows") == rows


@pytest.mark.long
def test_progress_is_told(platform: Platform) -> None:
    three_batches(platform)
    said: list[tuple[int, int]] = []
    rebuild_of(platform, progress=lambda done, all_: said.append((done, all_)))

    assert said == [(1, 3), (2, 3), (3, 3)]


# A warehouse that differs


@pytest.mark.parametrize(
    ("edit", "different"),
    by_night(
        [
            ("UPDATE fact_sales_order SET units_sold = 1 WHERE sales_record_id = 1", 2),
            ("DELETE FROM fact_sales_order WHERE sales_record_id = 1", 1),
            ("UPDATE fact_sales_order SET sales_record_id = 99 WHERE sales_record_id = 1", 2),
            ("UPDATE fact_sales_order SET observed_at = now() WHERE sales_record_id = 1", 2),
        ],
        but=[0],
    ),
)
def test_rows_edited_by_hand_are_replaced(platform: Platform, edit: str, different: int) -> None:
    three_batches(platform)
    before = everything(platform)
    by_hand(platform, edit)
    rebuilt = rebuild_of(platform)

    assert rebuilt.different == dict.fromkeys(WAREHOUSE_TABLES, 0) | {"fact_sales_order": different}
    assert everything(platform) == before


def test_grants_and_views_on_the_tables_are_kept(platform: Platform) -> None:
    three_batches(platform)
    by_hand(
        platform,
        f"""
        CREATE VIEW public.sold AS SELECT sum(units_sold) AS units FROM current_fact_sales_order;
        GRANT SELECT ON fact_sales_order TO {stack.EXTRACTOR};
        DELETE FROM fact_sales_order
        """,
    )
    rebuild_of(platform)

    assert platform.rows("SELECT units FROM public.sold") == [(1001,)]
    assert platform.rows(
        f"SELECT has_table_privilege('{stack.EXTRACTOR}', 'fact_sales_order', 'SELECT')"
    ) == [(True,)]


@pytest.mark.long
def test_what_was_found_between_batches_is_found_anew(platform: Platform) -> None:
    """An audit found an edit by hand, which the rebuild takes back: it stands no more."""
    three_batches(platform)
    platform.warehouse.execute(
        "UPDATE warehouse.fact_payment SET payment_amount = 0 WHERE payment_id = 2"
    )
    found = platform.audit()["fact_payment"]
    rebuilt = rebuild_of(platform)
    standing = standings(platform.warehouse, platform.names)["fact_payment"]

    assert not found.equal
    assert rebuilt.different is not None
    assert rebuilt.different["fact_payment"] > 0
    assert standing.equal
    assert standing.whole is not None
    assert standing.whole.audit == 1


@pytest.mark.long
def test_trace_of_an_edit_that_was_healed_is_gone(platform: Platform) -> None:
    """Healing adds a version to the history and leaves an audit that failed."""
    platform.first()
    by_hand(platform, "UPDATE fact_sales_order SET units_sold = 1 WHERE sales_order_id = 2")
    platform.application.execute(EDIT_ORDER_1)
    platform.run()
    healing.request_healing(platform.warehouse, platform.names, platform.ingestion)
    platform.run()
    rebuilt = rebuild_of(platform)

    assert rebuilt.different is not None
    assert rebuilt.different["fact_sales_order"] == 3  # the edited, the healed, the right one
    assert platform.rows("SELECT sales_order_id, units_sold FROM fact_sales_order ORDER BY 1") == [
        (1, 42972),
        (1, 42972),
        (2, 1001),
    ]
    assert platform.rows("SELECT count(*) FROM audit WHERE NOT equal") == [(0,)]


@pytest.mark.long
@pytest.mark.parametrize(
    "edit",
    [
        "UPDATE batch SET manifest_sha256 = 'another' WHERE sequence = 3",
        "UPDATE audit SET equal = FALSE WHERE sequence = 2",
        "DELETE FROM batch_table WHERE sequence = 3",
    ],
)
def test_ledger_is_mended_though_no_row_differs(platform: Platform, edit: str) -> None:
    three_batches(platform)
    before = everything(platform)
    by_hand(platform, edit)
    rebuild_of(platform)

    assert everything(platform) == before


@pytest.mark.long
def test_warehouse_of_another_lake_becomes_that_of_this_one(
    platform: Platform, tmp_path: Path
) -> None:
    """The old one has more batches than the new lake: they are not waited for."""
    three_batches(platform)
    platform.ingestion = Store((tmp_path / "other").as_uri(), settings.INGESTION_URL)
    platform.processed = Store((tmp_path / "others").as_uri(), settings.PROCESSED_URL)
    platform.capture()
    assert "`totesys rebuild --lose-loaded-batches` gives up" in refusal(platform)
    rebuilt = rebuild_of(platform, lose_loaded_batches=True)

    assert rebuilt.batches == 1
    assert platform.rows("SELECT sales_order_id, batch_seq FROM fact_sales_order") == [(2, 1)]
    assert verify(platform.warehouse, platform.names, platform.ingestion, platform.processed).passed


def test_warehouse_is_not_emptied_by_a_lake_without_batches(
    platform: Platform, tmp_path: Path
) -> None:
    three_batches(platform)
    before = everything(platform)
    platform.ingestion = Store((tmp_path / "nothing").as_uri(), settings.INGESTION_URL)
    with pytest.raises(LoadError) as refused:
        rebuild_of(platform)

    assert str(refused.value) == (
        f"The warehouse holds batches, but the lake at {platform.ingestion.url} holds none: point"
        " TOTESYS_INGESTION_URL to the lake that it was loaded from."
    )
    assert everything(platform) == before


# Rebuilds that are disturbed


@pytest.mark.long
def test_second_rebuild_at_once_is_refused(
    platform: Platform, connect_too: Callable[[], Connection]
) -> None:
    three_batches(platform)
    other_connection = connect_too()
    refusals = []

    def rebuild_too(_done: int, _all: int) -> None:
        with pytest.raises(LoadError) as refused:
            rebuild_of(platform, other_connection)
        refusals.append(str(refused.value))

    rebuild_of(platform, progress=rebuild_too)

    assert (
        refusals
        == ["Another rebuild of this warehouse is running: wait until it has finished, or stop it."]
        * 3
    )
    assert rebuild_of(platform, other_connection).different == dict.fromkeys(WAREHOUSE_TABLES, 0)


def test_batch_that_is_loaded_meanwhile_is_not_lost(
    platform: Platform, connect_too: Callable[[], Connection]
) -> None:
    three_batches(platform)
    other_connection = connect_too()
    by_hand(platform, "DELETE FROM fact_sales_order WHERE sales_record_id = 1")
    more = iter([new_sale(9), new_sale(10)])

    def business_goes_on(_done: int, all_: int) -> None:
        if statement := next(more, None):
            platform.application.execute(statement)  # type: ignore[call-overload]
            platform.run()
        assert all_ <= 5

    rebuilt = rebuild_of(platform, other_connection, business_goes_on)

    assert rebuilt.batches == 5
    assert platform.rows("SELECT sales_order_id FROM current_fact_sales_order ORDER BY 1") == [
        (2,),
        (9,),
        (10,),
    ]
    assert platform.rows("SELECT max(sequence), count(*) FROM batch") == [(5, 5)]


def test_rebuild_that_fails_leaves_no_trace(platform: Platform) -> None:
    three_batches(platform)
    by_hand(platform, "DELETE FROM fact_sales_order WHERE sales_record_id = 1")
    before = everything(platform)

    def stop(_done: int, _all: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        rebuild_of(platform, progress=stop)

    assert everything(platform) == before
    assert schemas(platform) == BOTH


@pytest.mark.long
def test_rebuild_that_is_killed_is_cleared_away_by_the_next(
    platform: Platform, connect_too: Callable[[], Connection]
) -> None:
    three_batches(platform)
    other_connection = connect_too()
    by_hand(platform, "DELETE FROM fact_sales_order WHERE sales_record_id = 1")
    before = everything(platform)
    pid = other_connection.info.backend_pid

    def kill(_done: int, _all: int) -> None:
        platform.rows(f"SELECT pg_terminate_backend({pid}, 5000)")

    with pytest.raises(LoadError, match="PostgreSQL stopped"):
        rebuild_of(platform, other_connection, kill)
    after = everything(platform)
    rebuilt = rebuild_of(platform)

    assert after == before
    assert rebuilt.different is not None
    assert rebuilt.different["fact_sales_order"] == 1
    assert schemas(platform) == BOTH


@pytest.mark.long
def test_rebuild_leaves_the_schema_of_another_warehouse_alone(platform: Platform) -> None:
    three_batches(platform)
    other = Names("warehouse_two")
    schema.migrate(platform.warehouse, other)
    rebuild_of(platform)

    assert not schema.pending(platform.warehouse, other)


@pytest.mark.long
def test_order_that_went_back_and_forth_keeps_its_three_versions(platform: Platform) -> None:
    platform.first()
    for statement in (EDIT_ORDER_1, EDIT_ORDER_1_BACK):
        platform.application.execute(statement)
        platform.run()
    forget(platform)
    rebuild_of(platform)

    assert platform.rows(
        "SELECT design_id FROM fact_sales_order WHERE sales_order_id = 1 ORDER BY batch_seq"
    ) == [(1,), (2,), (1,)]


# What others have


def refusal(platform: Platform) -> str:
    """The sentence of a rebuild that is refused; checks that it changed nothing."""
    before = everything(platform)
    with pytest.raises(LoadError) as refused:
        rebuild_of(platform)
    assert everything(platform) == before
    assert "\n" not in str(refused.value)
    return str(refused.value)


@pytest.mark.parametrize(
    "name", by_night(["warehouse_rebuild", "warehouse_rebuild_bookkeeping"], but=[0])
)
def test_schema_that_no_rebuild_made_is_left_alone(platform: Platform, name: str) -> None:
    platform.first()
    by_hand(platform, f"CREATE SCHEMA {name}; CREATE TABLE {name}.dim_staff AS SELECT 1 AS mine")
    sentence = refusal(platform)

    assert sentence == (
        f"There is a schema {name} that no rebuild created, and a rebuild creates and drops one of"
        " that name: rename it, then run `totesys rebuild` again."
    )
    assert platform.rows(f"SELECT mine FROM {name}.dim_staff") == [(1,)]


@pytest.mark.long
@pytest.mark.parametrize(
    ("statement", "mine", "named"),
    [
        (
            "CREATE VIEW public.mine AS SELECT 1 AS mine FROM warehouse_rebuild.dim_currency",
            "public.mine",
            "view public.mine depends on table warehouse_rebuild.dim_currency",
        ),
        (
            "CREATE TABLE warehouse_rebuild.mine AS SELECT 1 AS mine FROM generate_series(1, 3)",
            "warehouse_rebuild.mine",
            "table warehouse_rebuild.mine depends on schema warehouse_rebuild",
        ),
    ],
)
def test_what_others_put_into_a_rebuild_that_was_killed_is_left_alone(
    platform: Platform,
    connect_too: Callable[[], Connection],
    statement: str,
    mine: str,
    named: str,
) -> None:
    platform.first()
    other_connection = connect_too()

    def kill(_done: int, _all: int) -> None:
        platform.rows(f"SELECT pg_terminate_backend({other_connection.info.backend_pid}, 5000)")

    with pytest.raises(LoadError, match="PostgreSQL stopped"):
        rebuild_of(platform, other_connection, kill)
    by_hand(platform, statement)
    sentence = refusal(platform)

    assert sentence.startswith("The temporary schemas warehouse_rebuild and warehouse_re")
    assert named in sentence
    assert platform.rows(f"SELECT mine FROM {mine}") == [(1,)] * 3


def test_role_that_may_make_no_schema_is_told_so(
    platform: Platform, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform.first()
    by_hand(platform, f"GRANT USAGE ON SCHEMA warehouse, warehouse_bookkeeping TO {stack.READER}")
    for name in ("warehouse", "warehouse_bookkeeping"):
        by_hand(platform, f"GRANT SELECT ON ALL TABLES IN SCHEMA {name} TO {stack.READER}")
    reader = server.dsn(stack.READER, platform.warehouse_database)
    monkeypatch.setenv(settings.WAREHOUSE_DSN, reader)
    with (
        connect(settings.WAREHOUSE_DSN) as connection,
        pytest.raises(LoadError, match="with TOTESYS_WAREHOUSE_ADMIN_DSN set to a role that may"),
    ):
        rebuild_of(platform, connection)


WRONG_STAFF = "UPDATE dim_staff SET first_name = 'X' WHERE staff_id = 1"
WRONG_SALE = "UPDATE fact_sales_order SET units_sold = 1 WHERE sales_record_id = 1"


@pytest.mark.long
@pytest.mark.parametrize(("edit", "different"), [("SELECT", 0), (WRONG_STAFF, 2), (WRONG_SALE, 2)])
def test_column_of_others_keeps_its_values(platform: Platform, edit: str, different: int) -> None:
    three_batches(platform)
    before = everything(platform)
    added = """
        ALTER TABLE dim_staff ADD COLUMN mine text DEFAULT 'new';
        ALTER TABLE fact_sales_order ADD COLUMN mine text DEFAULT 'new';
        UPDATE dim_staff SET mine = 'kept';
        UPDATE fact_sales_order SET mine = 'kept'
    """
    by_hand(platform, f"{added}; {edit}")
    rebuilt = rebuild_of(platform)
    kept = platform.rows("SELECT DISTINCT mine FROM dim_staff")
    kept += platform.rows("SELECT DISTINCT mine FROM fact_sales_order")
    by_hand(platform, "ALTER TABLE dim_staff DROP mine; ALTER TABLE fact_sales_order DROP mine")

    assert rebuilt.different is not None
    assert sum(rebuilt.different.values()) == different
    assert kept == [("kept",), ("kept",)]
    assert everything(platform) == before


@pytest.mark.long
def test_versions_that_changed_places_change_back(platform: Platform) -> None:
    """No two versions may be of one order and batch, not even on the way."""
    three_batches(platform)
    before = everything(platform)
    by_hand(
        platform,
        """
        UPDATE fact_sales_order SET sales_record_id = -sales_record_id;
        UPDATE fact_sales_order SET sales_record_id = 5 + sales_record_id
        """,
    )
    rebuilt = rebuild_of(platform)

    assert rebuilt.different is not None
    assert rebuilt.different["fact_sales_order"] == 8
    assert everything(platform) == before


NOTES = """
    CREATE TABLE public.notes (
        staff_id integer REFERENCES dim_staff ON DELETE CASCADE ON UPDATE CASCADE
    );
    INSERT INTO public.notes VALUES (1), (2)
"""


@pytest.mark.long
def test_foreign_key_of_others_is_kept_where_rows_only_change(platform: Platform) -> None:
    three_batches(platform)
    before = everything(platform)
    by_hand(platform, f"{NOTES}; {WRONG_STAFF}")
    rebuild_of(platform)

    assert everything(platform) == before
    assert platform.rows("SELECT staff_id FROM public.notes ORDER BY 1") == [(1,), (2,)]


@pytest.mark.long
def test_foreign_key_of_others_is_named_where_rows_have_to_go(platform: Platform) -> None:
    """Its own rows would be deleted with them."""
    three_batches(platform)
    more = "INSERT INTO dim_staff VALUES (3, 'X', 'X', 'X', 'X', 'X', 1)"
    by_hand(platform, f"{NOTES}; {more}; INSERT INTO public.notes VALUES (3)")
    sentence = refusal(platform)

    assert sentence == (
        "Rows of warehouse.dim_staff must be replaced, but public.notes refers to them with its"
        " foreign key notes_staff_id_fkey: drop it, run `totesys rebuild` again, and add it back."
    )
    assert platform.rows("SELECT count(*) FROM public.notes") == [(3,)]


@pytest.mark.long
@pytest.mark.parametrize("action", ["NO ACTION", "RESTRICT", "CASCADE"])
def test_foreign_key_between_the_tables_is_kept(platform: Platform, action: str) -> None:
    """As the warehouse declares them itself, but enforced."""
    three_batches(platform)
    before = everything(platform)
    by_hand(
        platform,
        f"""
        ALTER TABLE fact_sales_order ADD FOREIGN KEY (design_id) REFERENCES dim_design
            ON DELETE {action};
        INSERT INTO dim_design VALUES (9, 'X', 'X', 'X', 1);
        UPDATE fact_sales_order SET design_id = 9 WHERE sales_record_id = 1;
        UPDATE dim_design SET design_name = 'X'
        """,
    )
    rebuild_of(platform)

    assert everything(platform) == before


@pytest.mark.long
def test_index_and_trigger_of_others_are_kept(platform: Platform) -> None:
    three_batches(platform)
    before = everything(platform)
    by_hand(
        platform,
        f"""
        CREATE INDEX mine ON fact_sales_order (units_sold);
        CREATE TABLE public.seen (sales_record_id integer);
        CREATE FUNCTION public.see() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
            INSERT INTO public.seen VALUES (NEW.sales_record_id);
            RETURN NEW;
        END $$;
        {WRONG_SALE};
        CREATE TRIGGER mine AFTER UPDATE ON fact_sales_order
            FOR EACH ROW EXECUTE FUNCTION public.see()
        """,
    )
    rebuild_of(platform)

    assert everything(platform) == before
    assert platform.rows("SELECT DISTINCT sales_record_id FROM public.seen") == [(1,)]
    assert platform.rows("SELECT to_regclass('warehouse.mine')::text") == [("mine",)]


CHILD = """
    public.child inherits from warehouse.dim_staff, so that its rows count as the warehouse's:
    ALTER TABLE public.child NO INHERIT warehouse.dim_staff, then run `totesys rebuild` again.
"""
RULE = """
    The rows of warehouse.dim_staff could not be replaced, because somebody's own trigger or rule
    changes what is written: disable it, then run `totesys rebuild` again.
"""
CHECK = """
    violates check constraint "dim_staff_first_name_check"; if this is a constraint, trigger or
    column of your own, drop it or fix it
"""

# What others did, and what is said; in each case the rows of the staff are wrong as well.
IN_THE_WAY = [
    ("CREATE RULE mine AS ON UPDATE TO dim_staff DO INSTEAD NOTHING", RULE),
    ("CREATE TABLE public.child () INHERITS (dim_staff)", CHILD),
    ("ALTER TABLE dim_staff ADD CHECK (first_name = 'X') NOT VALID", CHECK),
]


@pytest.mark.parametrize(("statement", "said"), by_night(IN_THE_WAY, but=[1]))
def test_what_is_in_the_way_of_a_rebuild_is_named(
    platform: Platform, statement: str, said: str
) -> None:
    three_batches(platform)
    by_hand(platform, f"UPDATE dim_staff SET first_name = 'X'; {statement}")

    assert " ".join(said.split()) in refusal(platform)


@pytest.mark.long
@pytest.mark.parametrize(
    ("statement", "said"),
    [
        (
            "ALTER TABLE dim_staff RENAME first_name TO forename",
            'column "first_name" does not exist; a column was renamed or dropped',
        ),
        (
            "ALTER TABLE dim_staff RENAME TO staff_2; CREATE VIEW dim_staff AS TABLE staff_2",
            "warehouse.dim_staff is no longer a table: rename what has replaced it",
        ),
        (
            "ALTER TABLE dim_staff RENAME TO staff_2",
            "dim_staff is gone, but the view current_dim_staff still reads it: it was renamed",
        ),
    ],
)
def test_table_that_was_changed_is_named(platform: Platform, statement: str, said: str) -> None:
    platform.first()
    by_hand(platform, statement)
    with pytest.raises(LoadError) as refused:
        rebuild_of(platform)

    assert said in str(refused.value)
    assert schemas(platform) == BOTH
