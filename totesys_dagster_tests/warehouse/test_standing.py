"""How a table stands after several comparisons: what one has found is not forgotten by the next."""

from __future__ import annotations

import pytest

from totesys_dagster.report import status_data
from totesys_dagster.warehouse import table_load
from totesys_dagster.warehouse.standing import Standing, of_batch, standings
from totesys_dagster.warehouse.status import all_equal, conclusion, table_status
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.warehouse.conftest import ask, change


def payments(platform: Platform) -> Standing:
    return standings(platform.warehouse, platform.names)["fact_payment"]


@pytest.fixture
def lost(large: Platform, monkeypatch: pytest.MonkeyPatch) -> Platform:
    """Payment 1 went wrong in batch 2, as by a defect of the load; batch 3 brought payment 2."""
    for key in (1, 2):
        with monkeypatch.context() as patched:
            if key == 1:
                patched.setattr(table_load.TableLoader, "_append_versions", lambda _: (0, 0, 0))
            change(large, f"UPDATE payment SET paid = TRUE WHERE payment_id = {key}")
    return large


@pytest.mark.long
def test_difference_is_not_forgotten_when_a_later_batch_touches_other_keys(lost: Platform) -> None:
    found = payments(lost)
    later = of_batch(lost.warehouse, lost.names, 3)["fact_payment"]

    assert (later.scope, later.equal) == ("touched", True)
    assert found.touched is not None
    assert (found.touched.sequence, found.touched.equal) == (2, False)
    assert found.whole is not None
    assert (found.whole.sequence, found.whole.equal) == (1, True)


@pytest.mark.long
def test_status_tells_of_the_difference_that_a_later_batch_did_not_mend(lost: Platform) -> None:
    tables = table_status(lost.warehouse, lost.names)
    data = status_data(tables)["fact_payment"]

    assert not all_equal(tables)
    assert "does NOT equal the source: fact_payment. The next run" in conclusion(tables)
    assert (data["equal"], data["touched"]["sequence"], data["touched"]["equal"]) == (
        False,
        2,
        False,
    )


def test_difference_is_asked_for_and_healed_after_later_batches(lost: Platform) -> None:
    asked = ask(lost)
    lost.run()
    healed = payments(lost)

    assert asked == ["payment"]
    assert healed.touched is None
    assert healed.whole is not None
    assert (healed.whole.sequence, healed.whole.equal) == (4, True)
    assert all_equal(table_status(lost.warehouse, lost.names))


def test_last_batch_stands_for_those_that_found_no_difference(large: Platform) -> None:
    for key in (1, 2):
        change(large, f"UPDATE payment SET paid = TRUE WHERE payment_id = {key}")
    touched = payments(large).touched

    assert touched is not None
    assert (touched.sequence, touched.equal) == (3, True)
