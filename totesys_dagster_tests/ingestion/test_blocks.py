"""Large tables, read by their blocks over several connections: the same rows, once each."""

from __future__ import annotations

import json

import psycopg
import pytest
from psycopg import sql

from totesys_dagster import settings
from totesys_dagster.ingestion import blocks, source_view
from totesys_dagster.ingestion.blocks import Readers
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster.postgres.sessions import connect
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.ingestion.test_capture import captured, lines
from totesys_dagster_tests.plans import grow


@pytest.fixture(autouse=True)
def every_table_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "LARGE_BLOCKS", 1)
    monkeypatch.setattr(blocks, "RUN_OF_BLOCKS", 2)
    monkeypatch.setattr(blocks, "READERS", 3)


def rows_of_the_source(platform: Platform, table: str) -> list[str]:
    query = f"SELECT row_to_json(r)::text FROM {table} AS r"
    return sorted(row for (row,) in platform.application.execute(query))  # type: ignore[call-overload]


def rows_of_the_batch(platform: Platform, manifest: Manifest, table: str) -> list[str]:
    return sorted(line.decode() for line in lines(platform, manifest, table))


def readers_used(platform: Platform, table: str) -> int:
    """By how many streams a first capture would read `table`."""
    with source_view.open_view(platform.source) as view:
        readers = Readers(view)
        try:
            return len(readers.connections()) if blocks.blocks(view, table) else 1
        finally:
            readers.close()


def test_every_row_arrives_once(platform: Platform) -> None:
    grow(platform, 10_100)
    manifest = captured(platform)

    for table in ("sales_order", "payment", "transaction"):
        source = rows_of_the_source(platform, table)
        assert len(source) > 10_000
        assert rows_of_the_batch(platform, manifest, table) == source
        assert manifest.tables[table].rows == len(source)


def test_part_files_are_numbered_without_gaps(platform: Platform) -> None:
    grow(platform, 2000)
    manifest = captured(platform, part_bytes=1 << 16)
    keys = [entry.key for entry in manifest.tables["payment"].objects]

    assert len(keys) > 3
    assert [int(key.rpartition("part-")[2][:5]) for key in keys] == list(range(len(keys)))


def test_text_arrives_as_it_is(platform: Platform) -> None:
    texts = ["a\nb\r\nc", '"', "\x01", "\x02\x03", "\\N", "\u2028", ","]
    platform.application.cursor().executemany(
        "INSERT INTO design VALUES (%s, now(), %s, '/usr', 'f', now())",
        [*enumerate(texts, 10)],
    )
    stored = map(json.loads, lines(platform, captured(platform), "design"))
    named = {row["design_id"]: row["design_name"] for row in stored}

    assert named == {1: "Wooden", 2: "Bronze", **dict(enumerate(texts, 10))}


def test_rows_that_come_later_are_not_in_the_batch(platform: Platform) -> None:
    """Every connection sees the snapshot of the first, whenever it was opened."""
    with source_view.open_view(platform.source) as view:
        platform.application.execute("DELETE FROM payment")
        readers = Readers(view)
        counts = [
            connection.execute("SELECT count(*) FROM public.payment").fetchone()
            for connection in readers.connections()
        ]
        readers.close()

    assert counts == [(3,), (3,), (3,)]


def test_one_connection_is_enough_where_there_is_room_for_no_more(platform: Platform) -> None:
    admin_dsn = platform.server.dsn(SUPERUSER, platform.source_database)
    with psycopg.connect(admin_dsn, autocommit=True) as admin:
        name = sql.Identifier(platform.source_database)
        admin.execute(sql.SQL("ALTER DATABASE {} CONNECTION LIMIT 1").format(name))
    manifest = captured(platform)

    assert manifest.tables["payment"].rows == 3


@pytest.mark.parametrize(
    "statement",
    [
        # A row of a megabyte: the lines of a few blocks could fill the memory.
        """
        UPDATE design SET design_name = (
            SELECT string_agg(md5(n::text), '') FROM generate_series(1, 32768) AS numbers (n)
        ) WHERE design_id = 1
        """,
        "CREATE TABLE more () INHERITS (design)",
    ],
    ids=["wide rows", "other tables"],
)
def test_some_tables_are_read_row_by_row(platform: Platform, statement: str) -> None:
    assert readers_used(platform, "design") == 3
    platform.application.execute(statement)  # type: ignore[call-overload]

    assert readers_used(platform, "design") == 1
    assert captured(platform).tables["design"].rows == 2


def test_old_servers_are_read_row_by_row(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL 13 would scan the whole table for each range of blocks."""
    monkeypatch.setattr(blocks, "RANGES_SINCE", 1_000_000)

    assert readers_used(platform, "design") == 1


def test_connections_are_given_back(platform: Platform) -> None:
    captured(platform)
    with connect(settings.SOURCE_DSN) as connection:
        query = "SELECT count(*) FROM pg_stat_activity WHERE usename = current_user"
        others = connection.execute(query).fetchone()

    assert others == (2,)  # the platform's own, and this one
