"""What people are shown of the rows in quarantine, whether their batch is loaded or not."""

from __future__ import annotations

import pytest

from totesys_dagster.errors import LakeError
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.operations.quarantine import Row, of_batch, of_now, stopped
from totesys_dagster_tests.conftest import Platform

BAD = "UPDATE payment SET payment_date = 'soon' WHERE payment_id < 3"
REASON = "payment_date is not a date YYYY-MM-DD of the years 2000 to 2099"


def rows(platform: Platform, batch: int | None = None) -> list[tuple[int, str, int | None, str]]:
    parts = (platform.warehouse, platform.names, ManifestLog(platform.ingestion))
    found = (
        of_now(*parts, platform.processed)
        if batch is None
        else of_batch(*parts, platform.processed, batch)
    )
    return [(row.batch, row.star, row.key, "; ".join(row.reasons)) for row in found]


def why(platform: Platform, loaded: int, limit: int) -> str | None:
    return stopped(ManifestLog(platform.ingestion), platform.processed, loaded, limit)


def test_batch_that_is_stopped_is_listed(platform: Platform) -> None:
    platform.first()
    platform.application.execute(BAD)
    manifest = platform.capture()
    assert manifest is not None
    with pytest.raises(LakeError, match="Batch 2 is not processed yet"):
        rows(platform, 2)
    platform.process(manifest)

    listed = [(2, "fact_payment", 1, REASON), (2, "fact_payment", 2, REASON)]
    assert rows(platform, 2) == rows(platform) == listed
    assert str(why(platform, 1, 1)).startswith("Batch 2 is not loaded, as it has 2 rows of")
    assert why(platform, 1, 2) is None
    platform.load(manifest)
    assert why(platform, 2, 0) is None
    assert rows(platform, 2) == listed
    assert rows(platform) == [(b, star, key, f"payment: {why}") for b, star, key, why in listed]
    platform.application.execute("UPDATE payment SET payment_date = '2022-11-09'")
    platform.run()
    assert rows(platform) == []


@pytest.mark.long
def test_orphans_are_listed(platform: Platform) -> None:
    platform.application.execute("UPDATE currency SET currency_code = 'ZZZ' WHERE currency_id = 2")
    platform.run()

    stars = {row[1] for row in rows(platform, 1)}
    assert {"dim_currency", "fact_sales_order"} <= stars
    assert {row[1] for row in rows(platform)} == stars


def test_empty_lake_is_named(platform: Platform) -> None:
    with pytest.raises(LakeError, match="The lake has no batches yet"):
        rows(platform, 1)


def test_batch_that_is_not_there_is_named(platform: Platform) -> None:
    platform.first()
    for batch in (0, 2):
        with pytest.raises(LakeError, match=f"There is no batch {batch}: the lake holds batches"):
            rows(platform, batch)
    assert rows(platform) == rows(platform, 1) == []


def test_row_without_a_key_and_its_object_are_named() -> None:
    data = Row(1, "dim_staff", "staff", None, ("no key",), "file:///x").data()

    assert (data["key"], data["object"]) == (None, "file:///x")
