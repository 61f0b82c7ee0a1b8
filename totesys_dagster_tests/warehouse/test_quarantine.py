"""The rows of a table in quarantine: those, and no others, are left out of its digest."""

from __future__ import annotations

import pytest

from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.lake.requests import Requests
from totesys_dagster.warehouse import quarantine
from totesys_dagster.warehouse.quarantine import Quarantine, quarantine_of
from totesys_dagster.warehouse.standing import Audit
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.edits import EDIT_ORDER_1, new_sale
from totesys_dagster_tests.landing import by_night
from totesys_dagster_tests.warehouse.conftest import (
    ask,
    bad_payment,
    by_hand,
    change,
    good_payment,
    wrong_payment,
)

BOTH_BAD = f"{bad_payment(2)}; {bad_payment(3)}"


def keys(platform: Platform, star: str = "fact_payment") -> tuple[int, ...]:
    return quarantine_of(platform.warehouse, platform.names, STAR_TABLES[star]).keys


def released(platform: Platform) -> list[tuple[int, str, int]]:
    return platform.rows("SELECT sequence, star, key FROM released ORDER BY sequence, star, key")


def requested(platform: Platform) -> dict[str, tuple[int, ...]]:
    newest = Requests(platform.ingestion).without()
    return newest.stars if newest else {}


def verdict(found: Audit) -> tuple[bool, int, bool | None]:
    return found.equal, found.quarantined, found.equal_without


@pytest.fixture
def half_mended(platform: Platform) -> Platform:
    """Payments 2 and 3 were left out of the digest; then payment 2 was mended in batch 3."""
    platform.come_to("half mended", mend_half)
    return platform


def mend_half(platform: Platform) -> None:
    platform.run()
    change(platform, BOTH_BAD)
    ask(platform)
    assert verdict(platform.audit()["fact_payment"]) == (False, 2, True)
    loaded = change(platform, good_payment(2))
    # The digest of this batch leaves out payment 2 as well, and so says nothing of the rest.
    assert verdict(loaded.audits["fact_payment"]) == (False, 1, None)


@pytest.mark.long
def test_digest_without_other_keys_than_are_in_quarantine_proves_nothing(
    half_mended: Platform,
) -> None:
    """Of a mended key that it leaves out, it could not tell whether the warehouse has it right."""
    by_hand(half_mended, wrong_payment(2))
    loaded = change(half_mended, EDIT_ORDER_1)

    assert verdict(loaded.audits["fact_payment"]) == (False, 1, None)


@pytest.mark.long
def test_digest_without_fewer_keys_than_are_in_quarantine_proves_nothing(
    platform: Platform,
) -> None:
    platform.first()
    change(platform, bad_payment(3))
    ask(platform)
    platform.audit()
    loaded = change(platform, bad_payment(2))

    assert verdict(loaded.audits["fact_payment"]) == (False, 2, None)


@pytest.mark.long
def test_request_is_renewed_when_other_keys_are_in_quarantine(half_mended: Platform) -> None:
    before = requested(half_mended)
    ask(half_mended)

    assert (before, requested(half_mended)) == ({"fact_payment": (2, 3)}, {"fact_payment": (3,)})


def test_request_is_not_repeated_while_the_same_keys_are_in_quarantine(
    half_mended: Platform,
) -> None:
    for _ in range(2):
        ask(half_mended)
        half_mended.audit()

    assert half_mended.ingestion.list("requests/without") == [
        f"requests/without/{number:010d}.json" for number in (1, 2)
    ]


def test_mended_row_that_somebody_then_edits_by_hand_is_found_and_healed(
    half_mended: Platform,
) -> None:
    ask(half_mended)
    by_hand(half_mended, wrong_payment(2))
    found = half_mended.audit()["fact_payment"]
    healed = half_mended.run()

    assert verdict(found) == (False, 1, False)
    assert healed is not None
    assert healed.tables["fact_payment"].updated == 1
    assert verdict(healed.audits["fact_payment"]) == (False, 1, True)


@pytest.mark.parametrize("day", by_night(["2022-12-01", "2022-11-04"], but=[0]))
def test_mended_key_is_released(platform: Platform, day: str) -> None:
    """Be it mended into a new version, or into the one that the warehouse held all along."""
    platform.first()
    change(platform, BOTH_BAD)
    change(platform, f"UPDATE payment SET payment_date = '{day}' WHERE payment_id = 3")

    assert released(platform) == [(3, "fact_payment", 3)]
    assert keys(platform) == (2,)


@pytest.mark.long
def test_deleted_key_is_released_though_the_warehouse_never_held_it(platform: Platform) -> None:
    platform.first()
    change(platform, f"{bad_payment(3)}; {new_sale(9, agreed='soon')}")
    change(platform, "DELETE FROM payment WHERE payment_id = 9")

    assert released(platform) == [(3, "fact_payment", 9)]
    assert keys(platform) == (3,)


@pytest.mark.long
def test_other_keys_are_not_released(platform: Platform) -> None:
    platform.first()
    change(platform, bad_payment(3))
    change(platform, "UPDATE payment SET paid = TRUE WHERE payment_id <> 3")

    assert released(platform) == []
    assert keys(platform) == (3,)


@pytest.mark.long
def test_released_key_can_be_in_quarantine_again(platform: Platform) -> None:
    """A second mended row is in quarantine no more, though the table differs for the first."""
    platform.first()
    change(platform, BOTH_BAD)
    for _ in range(2):
        change(platform, good_payment(3))
        change(platform, bad_payment(3))

    assert released(platform) == [(3, "fact_payment", 3), (5, "fact_payment", 3)]
    assert keys(platform) == (2, 3)


@pytest.mark.long
def test_full_read_quarantines_anew_what_is_still_wrong(platform: Platform) -> None:
    """Payment 9 was never in the warehouse, so that no batch deletes it there."""
    platform.first()
    change(platform, f"{bad_payment(3)}; {new_sale(9, agreed='soon')}")
    before = keys(platform)
    platform.application.execute("DELETE FROM payment WHERE payment_id = 9")
    platform.run(full=("payment",))

    assert (before, keys(platform)) == ((3, 9), (3,))
    assert released(platform) == []


def test_keys_stay_in_the_database_if_there_are_too_many(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A million of them took 300 MB. Their rows are counted, and released, all the same."""
    platform.first()
    change(platform, BOTH_BAD)
    star = STAR_TABLES["fact_payment"]
    monkeypatch.setattr(quarantine, "MOST_KEYS", 1)
    too_many = quarantine_of(platform.warehouse, platform.names, star)
    ask(platform)
    asked = requested(platform)
    change(platform, good_payment(2))

    assert (too_many, asked) == (Quarantine(2, ()), {})
    assert released(platform) == [(3, "fact_payment", 2)]
    assert keys(platform) == (3,)


@pytest.mark.parametrize(
    ("quarantined", "left_out", "same"),
    [
        (Quarantine(2, (2, 3)), (3, 2), True),
        (Quarantine(2, (2, 3)), (2, 3, 4), False),
        (Quarantine(2, (2, 3)), (2,), False),
        (Quarantine(0, ()), (), True),
        (Quarantine(2, (2,)), (2,), False),  # the other row has no key
    ],
)
def test_keys_in_quarantine_are_compared_as_sets(
    quarantined: Quarantine, left_out: tuple[int, ...], same: bool
) -> None:
    assert quarantined.are(left_out) is same
