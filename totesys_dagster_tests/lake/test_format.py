"""docs/lake-format.md says what the lake holds: each object and each member, and enough to read
it."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from totesys_dagster import settings
from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES, Type, revision
from totesys_dagster.catalogue.star_columns import carry
from totesys_dagster.operations.renew import renew
from totesys_dagster.warehouse import schema
from totesys_dagster_tests.conftest import Platform, _place
from totesys_dagster_tests.lake.reader import Rows, manifests, raw_rows, star_rows
from totesys_dagster_tests.lake.story import everything

STAFF = STAR_TABLES["dim_staff"]


@dataclass
class Told:
    """The platform after the story, and its zones."""

    platform: Platform
    ingestion: Path
    processed: Path

    def star(self, name: str, by: str | None = None) -> Rows:
        star = STAR_TABLES[name]
        return star_rows(self.ingestion, self.processed, name, by or revision(star), star.base)

    def view(self, name: str) -> str:
        return name if name == "dim_date" else f"current_{name}"

    def warehouse(self, name: str) -> list[dict[str, Any]]:
        star = STAR_TABLES[name]
        columns = ", ".join(star.column_names)
        found = self.platform.rows(f"SELECT {columns} FROM {self.view(name)} ORDER BY {star.key}")
        return [dict(zip(star.column_names, row, strict=True)) for row in found]


@pytest.fixture
def told(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> Told:
    monkeypatch.setenv(settings.ROW_BYTES, str(4 << 20))
    platform.come_to("everything in a lake", everything)
    return Told(platform, _place(platform.ingestion), _place(platform.processed))


def test_reader_gets_the_current_rows_of_every_raw_table(told: Told) -> None:
    for table in SOURCE_TABLES.values():
        rows = raw_rows(told.ingestion, table.name)
        source = told.platform.application.execute(
            f"SELECT {table.key}, row_to_json(t) FROM {table.name} AS t"  # type: ignore[arg-type]
        ).fetchall()
        large = {key for key, row in rows.items() if "too large" in row}

        assert large == ({2} if table.name == "design" else set())
        expected = {key: row for key, row in source if key not in large}
        assert {key: as_floats(row) for key, row in rows.items() if key not in large} == expected
        assert rows.keys() == dict(source).keys()


def as_floats(row: dict[str, Any]) -> dict[str, Any]:
    """The row as psycopg reads JSON, which has no decimals."""
    return {k: float(v) if type(v).__name__ == "Decimal" else v for k, v in row.items()}


def test_full_reads_say_which_keys_are_left(told: Told) -> None:
    """The reader need not know of full reads, and each kind of batch is in the story."""
    entries = [entry for manifest, _ in manifests(told.ingestion) for entry in tables_of(manifest)]
    assert {entry["read"] for entry in entries} == {"full", "delta", "none"}
    assert all(entry["reconcile"] for entry in entries if entry["read"] == "full")
    assert any("deleted_keys" in entry for entry in entries)
    assert any("key" in entry["keys"] for entry in entries)


def tables_of(manifest: dict[str, Any]) -> list[dict[str, Any]]:
    return [*manifest["tables"].values()]


def test_reader_gets_the_current_rows_of_every_star_table(told: Told) -> None:
    for name, star in STAR_TABLES.items():
        rows = told.star(name)
        if name == "dim_date":  # the warehouse fills the days between those of two batches
            continue
        times = [column.name for column in star.columns if column.type is Type.TIME]
        found = [{**row, **{t: time_of(row[t]) for t in times}} for _, row in sorted(rows.items())]
        assert found == told.warehouse(name), name
    assert {row["date_id"] for row in told.warehouse("dim_date")} >= told.star("dim_date").keys()


def time_of(microseconds: int) -> dt.time:
    return (dt.datetime(2000, 1, 1, tzinfo=dt.UTC) + dt.timedelta(microseconds=microseconds)).time()


@pytest.mark.long
def test_reader_gets_the_rows_of_two_revisions(told: Told, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both are complete: a revision holds what a declaration makes of every batch."""
    before = told.star("dim_staff")
    with_boss = replace(STAFF, columns=(*STAFF.columns, carry("department.manager", "boss")))
    monkeypatch.setitem(STAR_TABLES, "dim_staff", with_boss)
    monkeypatch.setattr(schema, "_hash", schema._hash.__wrapped__)
    platform = told.platform
    schema.migrate(platform.warehouse, platform.names)
    renew(
        platform.warehouse,
        platform.names,
        platform.ingestion,
        platform.processed,
        quarantine_limit=1,
    )
    folders = {path.name for path in (told.processed / "receipts" / "dim_staff").iterdir()}

    assert folders == {revision(STAFF), revision(with_boss)}
    assert told.star("dim_staff", revision(STAFF)) == before
    assert [*told.star("dim_staff").values()] == told.warehouse("dim_staff")
    [(ledger,)] = platform.rows("SELECT revision FROM star WHERE star = 'dim_staff'")
    assert ledger == revision(with_boss)
