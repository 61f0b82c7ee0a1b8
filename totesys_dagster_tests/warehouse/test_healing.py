"""What is read again in full, and when that is given up."""

from __future__ import annotations

import pytest

from totesys_dagster.ingestion.known import Known
from totesys_dagster.lake.requests import Requests
from totesys_dagster.warehouse.healing import DIFFERED
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.warehouse.conftest import ask, bad_payment, by_hand, wrong_payment


def pending(platform: Platform) -> dict[str, str]:
    """The tables that wait to be read in full, each with the reason."""
    head = Known.of(platform.ingestion).head
    return Requests(platform.ingestion).full_reads(head)


def heal(platform: Platform, edit: str) -> bool | None:
    """Whether the payments equal the source but for what is in quarantine, after an edit by
    hand, an audit, and what that asks for."""
    by_hand(platform, edit)
    found = platform.audit()["fact_payment"]
    assert (found.equal, found.equal_without) == (False, False)
    assert pending(platform) == {"payment": DIFFERED}
    healed = platform.run()
    assert healed is not None
    assert healed.audits["fact_payment"].full_read
    return healed.audits["fact_payment"].equal_without


@pytest.mark.long
def test_edit_heals_though_the_first_batch_had_a_bad_row(platform: Platform) -> None:
    """Which read the table in full, and did not make it equal."""
    platform.application.execute(bad_payment(3))
    platform.run()
    ask(platform)
    platform.audit()

    assert heal(platform, wrong_payment(2)) is True


@pytest.mark.long
def test_second_edit_heals_after_a_full_read_that_had_a_bad_row(platform: Platform) -> None:
    platform.application.execute(bad_payment(3))
    platform.run()
    ask(platform)
    platform.audit()

    assert [heal(platform, wrong_payment(key)) for key in (2, 1, 1)] == [True] * 3
    assert platform.run() is None


def test_audit_does_not_ask_again_for_what_was_just_read_in_vain(platform: Platform) -> None:
    """Here a trigger of somebody's keeps the wrong value in place."""
    platform.first()
    by_hand(
        platform,
        """
        UPDATE dim_design SET file_location = '/wrong' WHERE design_id = 2;
        CREATE FUNCTION pg_temp.keep() RETURNS trigger LANGUAGE plpgsql AS
            'BEGIN RETURN CASE WHEN OLD.design_id = 2 THEN NULL ELSE NEW END; END';
        CREATE TRIGGER keep BEFORE UPDATE ON dim_design
            FOR EACH ROW EXECUTE FUNCTION pg_temp.keep()
        """,
    )
    first = platform.audit()["dim_design"]
    asked = pending(platform)
    platform.run()
    second = platform.audit()["dim_design"]

    assert (first.equal, first.full_read) == (False, False)
    assert asked == {"design": DIFFERED}
    assert (second.equal, second.full_read) == (False, True)
    assert pending(platform) == {}
