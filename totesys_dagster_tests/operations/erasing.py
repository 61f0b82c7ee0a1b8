"""What tests of erasures do: change ToteSys, erase, and look for values in all that is stored."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.store import Store
from totesys_dagster.operations.erase import Done, erase
from totesys_dagster.operations.erase_plan import plan
from totesys_dagster.operations.rebuild import rebuild
from totesys_dagster.operations.verify import verify
from totesys_dagster_tests.conftest import Platform

ANONYMOUS = """
    UPDATE staff SET first_name = 'Former', last_name = 'Colleague', email_address = '-'
    WHERE staff_id = 1
"""
CANARIES = ("Jeremie", "jeremie.okeefe")


def change(platform: Platform, *statements: str) -> None:
    """Take each change of ToteSys as a batch of its own."""
    for statement in statements:
        platform.application.execute(statement)  # type: ignore[call-overload]
        platform.run()


def erased(platform: Platform, table: str, *keys: int) -> Done:
    """Erase the PII of some keys."""
    return erase(
        platform.warehouse,
        platform.names,
        platform.ingestion,
        platform.processed,
        plan(ManifestLog(platform.ingestion), table, keys),
        quarantine_limit=100,
    )


def findings(platform: Platform) -> list[str]:
    return verify(
        platform.warehouse, platform.names, platform.ingestion, platform.processed
    ).findings


def different(platform: Platform) -> dict[str, int] | None:
    return rebuild(
        platform.warehouse,
        platform.names,
        platform.ingestion,
        platform.processed,
        quarantine_limit=100,
    ).different


def place(zone: Store, key: str = "") -> Path:
    """The directory that a zone is, or the file of an object."""
    return Path(unquote(urlsplit(zone.url).path), key)


def as_text(name: str, data: bytes) -> str:
    """What an object holds, however it is compressed."""
    if name.endswith(".zst"):
        data = pa.input_stream(pa.BufferReader(data), compression="zstd").read()
    elif name.endswith(".parquet"):
        data = repr(pq.read_table(pa.BufferReader(data)).to_pylist()).encode()
    return data.decode(errors="replace")


def stored_with(platform: Platform, *canaries: str) -> list[str]:
    """The files of both zones that have one of the values, however they are compressed."""
    return [
        path.relative_to(place(zone)).as_posix()
        for zone in (platform.ingestion, platform.processed)
        for path in sorted(place(zone).rglob("*"))
        if path.is_file()
        and any(canary in as_text(path.name, path.read_bytes()) for canary in canaries)
    ]


def held_with(platform: Platform, *canaries: str) -> list[str]:
    """The tables of the warehouse, and the statistics, that have one of the values."""
    tables = platform.warehouse.execute(
        "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables"
        " WHERE schemaname IN ('warehouse', 'warehouse_bookkeeping') UNION ALL SELECT 'pg_stats'"
    ).fetchall()
    pattern = "|".join(canaries)
    return [
        table
        for (table,) in tables
        if platform.warehouse.execute(
            f"SELECT count(*) FROM {table} AS t WHERE t::text ~ %s",  # type: ignore[arg-type]
            [pattern],
        ).fetchone()
        != (0,)
    ]
