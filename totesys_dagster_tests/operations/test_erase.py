"""PII is erased on request: from all of the lake, and from the warehouse."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from totesys_dagster import files
from totesys_dagster.errors import (
    LakeError,
    LoadError,
    NotErasedInSourceError,
    RebuildRunningError,
)
from totesys_dagster.lake.erasures import ErasureLog
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.parts import compress
from totesys_dagster.operations import erase as operation
from totesys_dagster.operations import erase_copies
from totesys_dagster.operations.rebuild import only_one
from totesys_dagster.page.newest import BY_NUMBER
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.lake import reader
from totesys_dagster_tests.landing import by_night
from totesys_dagster_tests.operations.erasing import (
    ANONYMOUS,
    CANARIES,
    change,
    erased,
    findings,
    held_with,
    place,
    stored_with,
)

STEPS = (
    *("write", "_process_again", "rebuild", "remove_from_lake", "second removal"),
    "write_anew",
)


def former_colleague(platform: Platform) -> None:
    """Two batches: member of staff 1, and that she is erased in ToteSys."""
    platform.first()
    change(platform, ANONYMOUS)


def ready(platform: Platform) -> None:
    platform.come_to("former colleague", former_colleague)


def test_person_of_many_batches_is_erased_everywhere(platform: Platform) -> None:
    platform.first()
    change(
        platform,
        "UPDATE department SET location = 'Leeds' WHERE department_id = 1",
        "UPDATE staff SET department_id = 2 WHERE staff_id = 1",
    )
    platform.run(full=("staff",))
    platform.warehouse.execute("ANALYZE")
    change(platform, ANONYMOUS)
    before = stored_with(platform, *CANARIES)
    assert len(before) > 6
    assert held_with(platform, *CANARIES)

    done = erased(platform, "staff", 1)

    assert done.batches == (1, 2, 3, 4)
    assert done.stars == ("dim_staff",)
    assert stored_with(platform, *CANARIES) == []
    assert held_with(platform, *CANARIES) == []
    assert findings(platform) == []
    rows = platform.rows(
        "SELECT first_name, department_name, is_deleted FROM history_dim_staff"
        " WHERE staff_id = 1 ORDER BY batch_seq"
    )
    assert rows == [
        ("erased", "Sales", False),
        ("erased", "Sales", False),
        ("erased", "Purchasing", False),
        ("Former", "Purchasing", False),
    ]
    assert platform.rows("SELECT first_name FROM dim_staff WHERE staff_id = 2") == [("Deron",)]


@pytest.mark.parametrize(
    ("statements", "said"),
    by_night(
        [
            ((), "staff 1 as it was"),
            (
                ("UPDATE staff SET first_name = 'X', email_address = 'x' WHERE staff_id = 1",),
                "last_name",
            ),
            (
                (
                    ANONYMOUS,
                    "UPDATE staff SET last_name = 'O''Keefe' WHERE staff_id = 1",
                ),
                "last_name",
            ),
        ],
        but=[2],
    ),
)
def test_person_is_first_erased_in_totesys(
    platform: Platform, statements: tuple[str, ...], said: str
) -> None:
    platform.first()
    change(platform, *statements)
    objects = platform.ingestion.list("")

    with pytest.raises(
        NotErasedInSourceError, match=f"ToteSys still has .*{said}.* nothing was er"
    ):
        erased(platform, "staff", 1)
    assert platform.ingestion.list("") == objects


@pytest.mark.long
def test_value_that_came_later_is_one_to_be_erased(platform: Platform) -> None:
    """It was NULL before, which is no sign that somebody was erased."""
    platform.first()
    change(
        platform,
        "UPDATE counterparty SET commercial_contact = NULL, delivery_contact = 'Ann'"
        " WHERE counterparty_id = 1",
    )

    with pytest.raises(NotErasedInSourceError, match="delivery_contact of counterparty 1"):
        erased(platform, "counterparty", 1)


@pytest.mark.parametrize(
    ("table", "key", "said"),
    [("staff", 99, "No batch has a row 99 of staff"), ("currency", 1, "no PII columns")],
)
def test_what_cannot_be_erased_is_said(platform: Platform, table: str, key: int, said: str) -> None:
    platform.first()
    with pytest.raises(LakeError, match=said):
        erased(platform, table, key)


@pytest.mark.long
def test_warehouse_that_lacks_a_batch_comes_first(platform: Platform) -> None:
    ready(platform)
    platform.application.execute("UPDATE department SET location = 'X' WHERE department_id = 2")
    platform.capture()

    with pytest.raises(LoadError, match="not up to date with the lake: run `totesys run`"):
        erased(platform, "staff", 1)


@pytest.mark.long
def test_table_that_is_no_longer_declared_is_named(platform: Platform) -> None:
    ready(platform)
    platform.warehouse.execute("ALTER TABLE warehouse.dim_staff ADD badge text")
    platform.warehouse.execute(
        "UPDATE warehouse_bookkeeping.star SET columns = columns || ARRAY['badge']"
        " WHERE star = 'dim_staff'"
    )
    with pytest.raises(LoadError, match=r"column badge of .*dim_staff is no longer"):
        erased(platform, "staff", 1)
    platform.warehouse.execute("ALTER TABLE warehouse.dim_staff DROP badge")
    platform.warehouse.execute(
        "INSERT INTO warehouse_bookkeeping.star SELECT 'dim_person', revision, definition, columns,"
        " sequence, renewed FROM warehouse_bookkeeping.star WHERE star = 'dim_staff'"
    )
    assert erased(platform, "staff", 1).batches == (1,)
    platform.warehouse.execute("CREATE TABLE warehouse.dim_person (staff_id int)")
    with pytest.raises(LoadError, match="dim_person is no longer declared"):
        erased(platform, "staff", 1)


def test_reader_follows_the_log_of_erasures(platform: Platform) -> None:
    ready(platform)
    erased(platform, "staff", 1)
    zones = place(platform.ingestion), place(platform.processed)

    first = next(iter(reader.manifests(zones[0])))[0]
    [entry] = first["tables"]["staff"]["objects"]
    with pa.input_stream(reader.stored(zones[0], entry), compression="zstd") as lines:
        assert b'"first_name":"erased","last_name":"erased"' in lines.read()
    assert reader.raw_rows(zones[0], "staff")[1]["first_name"] == "Former"


@pytest.mark.parametrize(
    "step",
    ["write", "_process_again", "rebuild", "remove_from_lake", "second removal", "write_anew"],
)
def test_erasure_that_was_killed_is_completed_by_the_next(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    ready(platform)
    kill(monkeypatch, step)
    with pytest.raises(KeyboardInterrupt):
        erased(platform, "staff", 1)
    monkeypatch.undo()
    unfinished = findings(platform)
    assert any("not erased yet" in one for one in unfinished) is (step != "write"), unfinished

    done = erased(platform, "staff", 1)

    assert done.batches == (1,)
    assert len(ErasureLog(platform.ingestion).read(1).objects) == 1
    assert ErasureLog(platform.ingestion).end() == 1
    assert stored_with(platform, *CANARIES) == []
    assert held_with(platform, *CANARIES) == []
    assert findings(platform) == []


def kill(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """Let an erasure end as at a signal when it comes to a step."""
    removed = 0

    def killed(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    def remove_one(store: Any, copies: Any) -> Any:
        nonlocal removed
        for copy in copies:
            if removed:
                raise KeyboardInterrupt
            removed += 1
            store.remove(copy)

    if step == "write":
        monkeypatch.setattr(ErasureLog, "write", killed)
    elif step == "second removal":
        monkeypatch.setattr(erase_copies, "_remove", remove_one)
    else:
        monkeypatch.setattr(operation, step, killed)


@pytest.mark.long
def test_what_nobody_names_is_erased_too(platform: Platform) -> None:
    """Part files of killed captures, files that were being written, published pages, and results of
    declarations that are no longer in force, even of tables that are no longer declared."""
    ready(platform)
    manifest = ManifestLog(platform.ingestion).read(1)
    [entry] = manifest.tables["staff"].objects
    line = platform.ingestion.get(entry.key)
    left = "rows/staff/batch=0000000002/part-00000-00000000.jsonl.zst"
    platform.ingestion.put(left, line)
    platform.ingestion.put(left.replace("part-00000", "part-00001"), compress(b'{"staff_id":2}\n'))
    unfinished = place(platform.ingestion, entry.key).with_name(f"{files.UNFINISHED}1")
    unfinished.write_bytes(line[: len(line) // 2])
    parquet = pa.BufferOutputStream()
    pq.write_table(pa.table({"name": ["Jeremie"]}), parquet)
    for star in ("dim_staff/v1-00000000", "dim_person/v1-00000000"):
        rows = f"rows/{star}/batch=0000000001/part-00000-00000000.parquet"
        platform.processed.put(rows, bytes(parquet.getvalue()))
        platform.processed.put(f"receipts/{star}/0000000001.json", b"{}")
        bad = f"quarantine/{star}/batch=0000000001/part-00000-00000000.jsonl.zst"
        platform.processed.put(bad, line)

    for day, text in (("2024-11-14", "Jeremie"), ("2024-11-15", BY_NUMBER)):
        platform.processed.put(f"reports/page/{day}/0000000001.html", text.encode())

    erased(platform, "staff", 1)

    assert stored_with(platform, *CANARIES) == []
    assert platform.processed.list("reports") == ["reports/page/2024-11-15/0000000001.html"]
    assert not unfinished.exists()
    assert [key for key in platform.processed.list("") if "00000000/" in key] == []
    assert len(platform.ingestion.list("rows/staff/batch=0000000002")) == 2  # with its own
    assert findings(platform) == []


def test_batch_that_is_being_captured_loses_nothing(platform: Platform) -> None:
    """Its part files are named by no manifest yet, and will be by the next one."""
    ready(platform)
    [entry] = ManifestLog(platform.ingestion).read(1).tables["staff"].objects
    part = "rows/staff/batch=0000000003/part-00000-00000000.jsonl.zst"
    platform.ingestion.put(part, platform.ingestion.get(entry.key))

    with pytest.raises(LakeError, match="Batch 3 is being captured") as refused:
        erased(platform, "staff", 1)

    assert "totesys run --full staff" in str(refused.value)
    assert platform.ingestion.exists(part)
    assert platform.ingestion.list("erasures") == []


def test_two_erasures_at_once_are_one_after_the_other(platform: Platform) -> None:
    ready(platform)

    with (
        only_one(platform.warehouse, platform.names, "erasure"),
        pytest.raises(RebuildRunningError, match="Another erasure"),
    ):
        erased(platform, "staff", 1)

    assert platform.ingestion.list("erasures") == []
