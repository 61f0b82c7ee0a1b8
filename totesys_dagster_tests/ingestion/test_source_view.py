"""A look at the source: what counts as a change, and what stops the look.

Each test that waits for a change begins with a batch in the lake and ends with what the next look
finds. Transaction ids are real: connections hold transactions open while others commit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import psycopg
import pytest
from psycopg import sql

from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.errors import SourceError
from totesys_dagster.ingestion.changes import TableState, examine
from totesys_dagster.ingestion.drift import differences
from totesys_dagster.ingestion.fingerprint import Column, TableSchema
from totesys_dagster.ingestion.identity import LONGEST_GAP, Identity, change_token, comparable
from totesys_dagster.ingestion.known import Known
from totesys_dagster.ingestion.scans import recent
from totesys_dagster.ingestion.source_view import SourceView, open_view
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import (
    DELETE_ORDER_1,
    EDIT_ORDER_1,
    EDIT_ORDER_1_BACK,
    new_design,
    new_sale,
)
from totesys_dagster_tests.landing import by_night


def head_of(platform: Platform) -> Manifest:
    head = ManifestLog(platform.ingestion).head()
    assert head is not None
    return head


def look(platform: Platform, head: Manifest | None = None) -> Mapping[str, TableState]:
    """What the next capture would find, compared with `head` or with the lake's last batch."""
    head = head or head_of(platform)
    with open_view(platform.source) as view:
        return examine(view, Known(head), lambda keys: keys.read(platform.ingestion)).states


def changed(platform: Platform, head: Manifest | None = None) -> list[str]:
    return [name for name, state in look(platform, head).items() if state.changed]


def read_in_full(platform: Platform, head: Manifest | None = None) -> list[str]:
    return [name for name, state in look(platform, head).items() if state.full]


# The change token


def test_change_token_stands_still_while_nothing_happens(platform: Platform) -> None:
    """One pair in three is enough: the server's own maintenance may come between two looks."""
    pairs = [(change_token(platform.source), change_token(platform.source)) for _ in range(3)]

    assert any(before == after for before, after in pairs)


def test_change_token_moves_when_a_transaction_commits(platform: Platform) -> None:
    before = change_token(platform.source)
    platform.application.execute(EDIT_ORDER_1)

    assert change_token(platform.source) != before


def test_change_token_moves_when_an_older_transaction_commits_after_a_younger_one(
    platform: Platform,
) -> None:
    def xmax(moment: str) -> str:
        return moment.rpartition("/")[2].split(":")[1]

    with platform.writer() as older:
        older.execute(EDIT_ORDER_1)
        platform.application.execute(new_design(3))
        before = change_token(platform.source)
        older.commit()
        after = change_token(platform.source)

    assert after != before
    assert xmax(after) == xmax(before)


# Which rows are recent


def recent_of(platform: Platform, watermark: int, xids: list[int]) -> list[int]:
    """Which of `xids`, taken as the xmin of rows, are recent."""
    rows = sql.SQL(", ").join(sql.SQL("({}::xid)").format(str(xid % 2**32)) for xid in xids)
    query = sql.SQL("SELECT t.xmin::text::bigint FROM (VALUES {}) AS t (xmin) WHERE {}").format(
        rows, recent("t", watermark)
    )
    return [xid for (xid,) in platform.application.execute(query)]


def next_xid(platform: Platform) -> int:
    row = platform.application.execute(
        "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
    ).fetchone()
    assert row is not None
    return int(row[0])


def test_rows_at_and_after_the_watermark_are_recent(platform: Platform) -> None:
    now = next_xid(platform)

    assert recent_of(platform, now - 10, [now - 11, now - 10, now - 9, now - 1]) == [
        now - 10,
        now - 9,
        now - 1,
    ]


def test_ids_before_the_wraparound_are_older_than_those_after_it(platform: Platform) -> None:
    """Ids count on from 2^32 - 1 to 3: the young server's own ids are just after that."""
    last = 2**32 - 1

    assert recent_of(platform, last - 5, [last - 6, last - 5, last, 3, 700]) == [
        last - 5,
        last,
        3,
        700,
    ]


def test_watermark_of_a_later_epoch_is_compared_by_its_lower_half(platform: Platform) -> None:
    now = next_xid(platform)

    assert recent_of(platform, 2**32 + now - 10, [now - 11, now - 10]) == [now - 10]


def test_frozen_rows_are_never_recent(platform: Platform) -> None:
    """Over 2^31 transactions old, an id looks like one of the future; 2 is what freezing wrote
    before PostgreSQL 9.4."""
    now = next_xid(platform)

    assert recent_of(platform, now - 10, [2, now + 1_000, now + 2**31 - 1]) == []


# Changes


def test_untouched_source_is_unchanged(platform: Platform) -> None:
    platform.first_capture()

    assert changed(platform) == []


@pytest.mark.parametrize(
    ("action", "tables"),
    by_night(
        [
            (EDIT_ORDER_1, ["sales_order"]),
            (new_sale(9), ["payment", "sales_order", "transaction"]),
            (DELETE_ORDER_1, ["payment", "sales_order", "transaction"]),
            (f"{EDIT_ORDER_1}; {EDIT_ORDER_1_BACK}", ["sales_order"]),
            ("UPDATE department SET manager = NULL", ["department"]),
            ("TRUNCATE payment", ["payment"]),
            ("DELETE FROM payment WHERE FALSE", []),
        ],
        but=[0, 3, 6],
    ),
)
def test_changed_tables_are_found(platform: Platform, action: str, tables: list[str]) -> None:
    platform.first_capture()
    platform.application.execute(action)

    assert changed(platform) == tables


def test_transaction_that_commits_late_is_found(platform: Platform) -> None:
    """Its id is older than that of a row which the batch before already holds."""
    with platform.writer() as late:
        late.execute(EDIT_ORDER_1)
        platform.application.execute(new_design(3))
        platform.capture()
        late.commit()

    assert changed(platform) == ["sales_order"]


def test_savepoint_of_a_transaction_that_commits_late_is_found(platform: Platform) -> None:
    """A savepoint writes under an id of its own, which is younger than its transaction's."""
    with platform.writer() as late:
        late.execute(EDIT_ORDER_1)
        late.execute("SAVEPOINT here")
        late.execute(new_design(3))
        late.execute("RELEASE here")
        platform.application.execute("UPDATE department SET manager = 'A' WHERE department_id = 1")
        platform.capture()
        late.commit()

    assert changed(platform) == ["design", "sales_order"]


def test_savepoint_that_is_rolled_back_to_is_no_change(platform: Platform) -> None:
    platform.capture()
    with platform.writer() as writer:
        writer.execute(EDIT_ORDER_1)
        writer.execute("SAVEPOINT here")
        writer.execute(new_design(3))
        writer.execute("ROLLBACK TO here")
        writer.commit()

    assert changed(platform) == ["sales_order"]


def test_transaction_that_is_rolled_back_is_no_change(platform: Platform) -> None:
    platform.capture()
    with platform.writer() as writer:
        writer.execute(EDIT_ORDER_1)
        writer.rollback()

    assert changed(platform) == []


def test_transaction_prepared_before_the_snapshot_and_committed_after_it_is_found(
    platform: Platform,
) -> None:
    with platform.writer() as writer:
        writer.execute(EDIT_ORDER_1)
        writer.execute("PREPARE TRANSACTION 'order 1'")
    platform.application.execute(new_design(3))
    platform.capture()
    while_prepared = changed(platform)
    platform.application.execute("COMMIT PREPARED 'order 1'")

    assert while_prepared == []
    assert changed(platform) == ["sales_order"]


def test_rows_met_again_while_a_transaction_stays_open_are_no_change(platform: Platform) -> None:
    """The open one holds the watermark back: the design is after it in every look."""
    with platform.writer() as open_one:
        open_one.execute(EDIT_ORDER_1)
        platform.application.execute(new_design(3))
        platform.capture()

        assert changed(platform) == []

        platform.application.execute(new_design(4))
        assert changed(platform) == ["design"]
        platform.capture()
        assert changed(platform) == []


def test_row_met_again_in_a_new_version_is_a_change(platform: Platform) -> None:
    """As many rows are met as before: it is their transactions that differ."""
    with platform.writer() as open_one:
        open_one.execute(EDIT_ORDER_1)
        platform.application.execute(new_design(3))
        platform.capture()
        platform.application.execute("UPDATE design SET design_name = 'A' WHERE design_id = 3")

        assert changed(platform) == ["design"]


def test_rows_of_one_timestamp_in_two_batches_are_all_found(platform: Platform) -> None:
    """A payment run stamps up to 37 rows alike; here its second half commits after the batch."""
    run = "UPDATE payment SET paid = TRUE, last_updated = '2022-11-08 07:55' WHERE payment_id = %s"
    platform.first_capture()
    platform.application.execute(run, [1])
    first = platform.capture()
    platform.application.execute(run, [2])
    second = platform.capture()

    assert first is not None
    assert second is not None
    assert first.tables["payment"].rows == second.tables["payment"].rows == 1


def test_rows_that_vacuum_froze_are_no_change(platform: Platform) -> None:
    platform.first_capture()
    platform.application.execute("VACUUM FREEZE sales_order")

    assert changed(platform) == []


def test_rows_that_vacuum_froze_before_the_look_are_found(platform: Platform) -> None:
    """Since PostgreSQL 9.4 freezing leaves a row its transaction id."""
    platform.first_capture()
    platform.application.execute(EDIT_ORDER_1)
    platform.application.execute("VACUUM FREEZE sales_order")

    assert changed(platform) == ["sales_order"]


# Full reads


def test_first_look_reads_every_table_in_full(platform: Platform) -> None:
    with open_view(platform.source) as view:
        states = examine(view, Known(None), lambda keys: keys.read(platform.ingestion)).states

    assert [name for name, state in states.items() if state.full] == [*SOURCE_TABLES]


def test_another_database_is_read_in_full(
    platform: Platform, new_database: Callable[..., str], small_template: str
) -> None:
    platform.first_capture()
    other = new_database(stack.APPLICATION, small_template)
    dsn = platform.server.dsn(stack.EXTRACTOR, other)
    with psycopg.connect(dsn, autocommit=True) as platform.source:
        assert read_in_full(platform) == [*SOURCE_TABLES]


def altered(head: Manifest, part: str, **values: object) -> Manifest:
    """`head` as if it had been read from a server in another state."""
    return head.model_copy(update={part: getattr(head, part).model_copy(update=values)})


@pytest.mark.parametrize(
    ("field", "value"),
    by_night([("system_identifier", "1"), ("timeline", 9), ("database_oid", 1)], but=[0]),
)
def test_another_incarnation_is_read_in_full(platform: Platform, field: str, value: object) -> None:
    """Another server, one restored from a backup, or a database that was made anew."""
    platform.first_capture()
    other = altered(head_of(platform), "source", **{field: value})

    assert read_in_full(platform, other) == [*SOURCE_TABLES]


def test_server_upgraded_in_place_keeps_its_watermark(platform: Platform) -> None:
    platform.first_capture()
    older = altered(head_of(platform), "source", server_version=130000)

    assert read_in_full(platform, older) == []


def test_transaction_ids_that_went_back_mean_a_full_read(platform: Platform) -> None:
    platform.first_capture()
    head = head_of(platform)
    ahead = altered(head, "snapshot", xmax=head.snapshot.xmax + 1_000_000)

    assert read_in_full(platform, ahead) == [*SOURCE_TABLES]


def identity(view: SourceView) -> Identity:
    return Identity(view.incarnation, view.snapshot, view.observed_at)


def test_gap_too_long_for_ages_means_a_full_read(platform: Platform) -> None:
    platform.first_capture()
    head = head_of(platform)
    with open_view(platform.source) as view:
        now = view.snapshot.xmax
        at_most = altered(head, "snapshot", xmin=now - LONGEST_GAP)
        too_long = altered(head, "snapshot", xmin=now - LONGEST_GAP - 1)

        assert comparable(at_most, identity(view))
        assert not comparable(too_long, identity(view))


@pytest.mark.parametrize(
    "change",
    by_night(
        [
            # It leaves every row's xmin alone.
            "ALTER TABLE design ADD COLUMN weight integer DEFAULT 7",
            "ALTER TABLE design ALTER COLUMN design_name DROP NOT NULL",
            "ALTER TABLE design ALTER COLUMN design_name TYPE varchar(99)",
        ],
        but=[0],
    ),
)
def test_table_whose_schema_changed_is_read_in_full(platform: Platform, change: str) -> None:
    platform.first_capture()
    platform.application.execute(change)

    assert read_in_full(platform) == ["design"]


# What stops a look


def refusal(platform: Platform) -> str:
    """The sentence that a capture is refused with; checks that it wrote nothing."""
    before = platform.ingestion.list("")
    with pytest.raises(SourceError) as refused:
        platform.capture()
    assert platform.ingestion.list("") == before
    assert "\n" not in str(refused.value)
    return str(refused.value)


def test_missing_table_is_named(platform: Platform) -> None:
    platform.application.execute("ALTER TABLE design RENAME TO designs")

    assert refusal(platform) == (
        'The source lacks a table of ToteSys (relation "public.design" does not exist):'
        " TOTESYS_SOURCE_DSN points to another database, or the table was renamed, or is not made"
        " yet."
    )


def test_missing_column_is_named(platform: Platform) -> None:
    platform.first_capture()
    platform.application.execute("ALTER TABLE design RENAME file_name TO file")

    assert refusal(platform) == (
        "The source's table design has no column file_name, which the catalogue carries: nothing"
        " was captured; restore it in the source, or change design in the catalogue."
    )


@pytest.mark.parametrize(
    ("revoked", "named"),
    [("SELECT ON design", "table design"), ("USAGE ON SCHEMA public", "schema public")],
)
def test_missing_privilege_is_named(platform: Platform, revoked: str, named: str) -> None:
    dsn = platform.server.dsn(SUPERUSER, platform.source_database)
    with psycopg.connect(dsn, autocommit=True) as admin:
        admin.execute(f"REVOKE {revoked} FROM PUBLIC, {stack.EXTRACTOR}")

    assert refusal(platform) == (
        f"The source's role may not read a table (permission denied for {named}): grant it SELECT"
        " on the tables of ToteSys and USAGE on the schema public."
    )


@pytest.mark.long
def test_table_that_stays_locked_is_waited_for_and_then_left(platform: Platform) -> None:
    platform.first_capture()
    platform.source.execute("SET lock_timeout TO '50ms'")
    with platform.writer() as migration:
        migration.execute("LOCK TABLE design IN ACCESS EXCLUSIVE MODE")

        assert refusal(platform) == (
            "A table of the source has been locked by a migration or a maintenance job for over"
            " 10 seconds: nothing was captured; the next poll tries again."
        )

    platform.application.execute(new_design(3))
    assert changed(platform) == ["design"]


# How a table differs from the catalogue


def currency(*columns: Column) -> TableSchema:
    return TableSchema("currency", columns, {}, storage="", estimated_rows=3, deletions=0)


AS_DECLARED = (
    Column("currency_id", "integer", True),
    Column("currency_code", "character varying(3)", True),
    Column("created_at", "timestamp(3) without time zone", True),
    Column("last_updated", "timestamp(3) without time zone", True),
)


@pytest.mark.parametrize(
    ("columns", "phrases"),
    [
        (AS_DECLARED, []),
        (
            (*AS_DECLARED, Column("symbol", "text", False)),
            ["symbol text is new (archived, not processed)"],
        ),
        (
            (AS_DECLARED[0], Column("currency_code", "text", True), *AS_DECLARED[2:]),
            ["currency_code is text instead of character varying(3)"],
        ),
        (
            (AS_DECLARED[0], Column("currency_code", "character varying(3)", False)),
            [
                "created_at was dropped (no table of the warehouse carries it)",
                "last_updated was dropped (no table of the warehouse carries it)",
                "currency_code is no longer NOT NULL",
            ],
        ),
    ],
)
def test_differences_are_phrases(columns: tuple[Column, ...], phrases: list[str]) -> None:
    assert differences(SOURCE_TABLES["currency"], currency(*columns)) == phrases


def test_column_that_became_not_null_is_a_difference(platform: Platform) -> None:
    platform.application.execute("UPDATE department SET manager = 'A'")
    platform.application.execute("ALTER TABLE department ALTER COLUMN manager SET NOT NULL")
    with open_view(platform.source) as view:
        department = view.schemas["department"]

    assert differences(SOURCE_TABLES["department"], department) == ["manager is NOT NULL"]


def test_source_as_it_is_has_no_differences(platform: Platform) -> None:
    with open_view(platform.source) as view:
        found = [differences(SOURCE_TABLES[name], view.schemas[name]) for name in SOURCE_TABLES]

    assert found == [[]] * len(SOURCE_TABLES)
