"""Rows that are too large: the batch goes on without them, and says which they are."""

from __future__ import annotations

import json
import resource

import pytest

from totesys_dagster import settings
from totesys_dagster.ingestion import row_size, source_view
from totesys_dagster.lake.parts import read_lines
from totesys_dagster.operations.verify import verify
from totesys_dagster.warehouse.standing import Standing, standings
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import new_design, new_sale
from totesys_dagster_tests.operations.test_rebuild import rebuild_of

MIB = 1024 * 1024


@pytest.fixture(autouse=True)
def _least_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.ROW_BYTES, str(4 * MIB))


def make_large(platform: Platform, *, mib: int = 5, what: str = "'x'") -> None:
    platform.application.execute(
        f"UPDATE design SET design_name = repeat({what}, {mib * MIB}) WHERE design_id = 2"
    )


def quarantined(platform: Platform) -> list[tuple[object, ...]]:
    return platform.rows(
        "SELECT sequence, star, key, reason FROM quarantine WHERE source = 'design'"
    )


def standing(platform: Platform) -> Standing:
    return standings(platform.warehouse, platform.names)["dim_design"]


def designs(platform: Platform) -> list[tuple[object, ...]]:
    return platform.rows(
        "SELECT design_id, length(design_name) FROM dim_design WHERE NOT is_deleted ORDER BY 1"
    )


def test_large_row_is_archived_as_its_key_and_sizes_and_the_batch_goes_on(
    platform: Platform,
) -> None:
    platform.first()
    make_large(platform)
    platform.application.execute(new_sale(9))
    loaded = platform.run()
    assert loaded is not None
    manifest = platform.ingestion.get("manifests/totesys/0000000002.json")
    [entry] = json.loads(manifest)["tables"]["design"]["objects"]

    assert entry["bytes"] < 400
    assert [(s, star, key) for s, star, key, _ in quarantined(platform)] == [(2, "dim_design", 2)]
    [(*_, reason)] = quarantined(platform)
    assert str(reason).startswith("design: has 5,242,9")
    assert "more than TOTESYS_ROW_BYTES (4,194,304) allows" in str(reason)
    assert platform.rows("SELECT 1 FROM fact_sales_order WHERE sales_order_id = 9") == [(1,)]


def test_large_row_is_named_by_the_audit_and_comes_when_it_is_small(platform: Platform) -> None:
    platform.first()
    make_large(platform)
    platform.run()
    platform.audit()  # asks for a digest without it
    platform.audit()
    found = standing(platform).whole
    assert found is not None
    assert (found.equal, found.equal_without, found.quarantined) == (False, True, 1)
    assert rebuild_of(platform).different is not None

    make_large(platform, mib=1)
    platform.run()
    found = standing(platform).whole
    assert found is not None
    assert found.equal
    assert designs(platform) == [(1, 6), (2, MIB)]


@pytest.mark.long
def test_large_row_that_is_deleted_is_gone(platform: Platform) -> None:
    platform.first()
    platform.application.execute(new_design(9))
    platform.application.execute(
        f"UPDATE design SET design_name = repeat('x', {5 * MIB}) WHERE design_id = 9"
    )
    platform.run()
    assert standing(platform).equal is False
    platform.application.execute("DELETE FROM design WHERE design_id = 9")
    platform.run()

    assert standing(platform).equal
    assert designs(platform) == [(1, 6), (2, 6)]


@pytest.mark.long
@pytest.mark.parametrize("full", [(), ("design",)])
def test_full_reads_judge_alike(platform: Platform, full: tuple[str, ...]) -> None:
    """The first batch, and one that an audit asked for."""
    make_large(platform)
    platform.run()
    if full:
        platform.run(full=full)

    assert [key for _, _, key, _ in quarantined(platform)] == [2] * (1 + len(full))
    assert designs(platform) == [(1, 6)]


@pytest.mark.long
def test_rows_that_look_up_a_large_one_are_quarantined_with_it(platform: Platform) -> None:
    platform.first()
    platform.application.execute(
        f"UPDATE department SET location = repeat('x', {5 * MIB}) WHERE department_id = 1"
    )
    platform.run()
    platform.audit()
    platform.audit()
    found = standings(platform.warehouse, platform.names)["dim_staff"].whole

    assert found is not None
    assert (found.equal, found.equal_without) == (False, True)


@pytest.mark.long
@pytest.mark.parametrize(
    ("type_", "value", "large"),
    [
        ("text", f"repeat('x', {5 * MIB})", True),
        ("text", f"repeat('x', {3 * MIB})", False),
        ("varchar(9000000)", f"repeat('x', {5 * MIB})", True),
        ("bytea", f"decode(repeat('00', {5 * MIB}), 'hex')", True),
        ("json", f"to_json(repeat('x', {5 * MIB}))", True),
        ("json", f"to_json(repeat('x', {3 * MIB}))", False),
        ("jsonb", f"to_jsonb(repeat(E'\\u0001', {5 * MIB}))", True),
        ("integer[]", f"array_fill(7, ARRAY[{2 * MIB}])", True),
        ("integer[]", f"array_fill(7, ARRAY[{MIB // 2}])", False),
        ("long_text", f"repeat('x', {5 * MIB})", True),
    ],
)
def test_value_of_any_type_is_judged(
    platform: Platform, type_: str, value: str, large: bool
) -> None:
    """Columns that no star takes count, too: the whole row would be read."""
    platform.application.execute("CREATE DOMAIN long_text AS text")
    platform.application.execute(
        f"ALTER TABLE currency ADD COLUMN mine {type_}; UPDATE currency SET mine = {value}"
        " WHERE currency_id = 2"
    )
    manifest = platform.capture()
    assert manifest is not None
    lines = b"".join(
        read_lines(platform.ingestion, entry) for entry in manifest.tables["currency"].objects
    ).splitlines()
    stubs = [line for line in lines if line.startswith(b'{"too large":{')]

    assert len(lines) == 3
    assert [json.loads(line)["currency_id"] for line in stubs] == ([2] if large else [])


def test_table_without_a_toasted_value_is_not_judged(platform: Platform) -> None:
    """So it costs nothing."""
    with source_view.open_view(platform.source) as view:
        assert not any(row_size.is_too_large(one, "r") for one in view.schemas.values())
    make_large(platform, mib=1)
    with source_view.open_view(platform.source) as view:
        judged = [name for name, one in view.schemas.items() if row_size.is_too_large(one, "r")]

    assert judged == ["design"]


@pytest.mark.long
@pytest.mark.parametrize(
    ("mib", "what", "limit"),
    [(60, "'x'", 16), (300, "E'\\x01'", 16), (300, "E'\\x01'", 128), (900, "'x'", 16)],
)
def test_value_of_hundreds_of_megabytes_stops_nothing(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, mib: int, what: str, limit: int
) -> None:
    """As JSON, the latter would be larger than PostgreSQL makes a text; a nullable column is
    digested as JSON."""
    monkeypatch.setenv(settings.ROW_BYTES, str(limit * MIB))
    platform.first()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    make_large(platform, mib=mib, what=what)
    platform.application.execute(
        f"UPDATE address SET district = repeat({what}, {mib * MIB}) WHERE address_id = 2"
    )
    platform.application.execute(new_sale(9))
    platform.run()
    platform.audit()
    platform.audit()
    after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    findings = verify(
        platform.warehouse, platform.names, platform.ingestion, platform.processed
    ).findings

    assert after - before < 50_000  # kilobytes
    assert len(findings) == 3  # the design, the address, and the customer who has it
    assert all("except for 1 row in quarantine" in finding for finding in findings)
