"""Which bodies are refused, and which rate a day has."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pytest

from totesys_dagster.rates.policy import BANK, DAILY, judge, rates
from totesys_dagster.rates.quotations import FaultyBodyError, read_day, read_history
from totesys_dagster.rates.receive import packaged_history

DAY = dt.date(2024, 11, 12)


def quotation(eur: str, usd: str) -> dict[str, Decimal]:
    return {"EUR": Decimal(eur), "USD": Decimal(usd)}


GOOD = quotation("0.83", "0.78")


def after(days: int) -> dt.date:
    return DAY + dt.timedelta(days=days)


def test_body_gives_pounds_for_one_unit() -> None:
    found = read_day(b'{"date": "2024-11-12", "gbp": {"gbp": 1, "usd": 1.25, "eur": 1.6}}', DAY)
    assert found == quotation("0.625", "0.8")


@pytest.mark.parametrize(
    "body",
    [
        b"<html>",
        b"",
        b"\xff\xfe",
        b"[" * 100_000,
        b"[]",
        b'{"date": "2024-11-11", "gbp": {"usd": 1.25, "eur": 1.6}}',
        b'{"date": "2024-11-12", "eur": {"usd": 1.25, "gbp": 0.8}}',
        b'{"date": "2024-11-12", "gbp": {"gbp": 0.8, "usd": 1.25, "eur": 1.6}}',
        b'{"date": "2024-11-12", "gbp": {"usd": 1.25}}',
        b'{"date": "2024-11-12", "gbp": {"usd": 1.25, "usd": 1.3, "eur": 1.6}}',
        *(
            b'{"date": "2024-11-12", "gbp": {"eur": 1.6, "usd": %s}}' % value
            for value in (b"0", b"-1", b"NaN", b"Infinity", b'"1.25"', b"null", b"true", b"1e-99")
        ),
    ],
)
def test_body_that_is_not_the_days_is_refused(body: bytes) -> None:
    with pytest.raises(FaultyBodyError):
        read_day(body, DAY)


def test_packaged_history_is_accepted_as_a_whole() -> None:
    history = read_history(packaged_history())
    found = judge({DAILY: {}, BANK: history.quotations})

    assert history.faulty == []
    assert found.refused == {}
    assert dt.date(2016, 6, 24) in found.accepted[BANK]


@pytest.mark.parametrize("torn", [b"", packaged_history()[:9000], b"PK\x03\x04"])
def test_torn_archive_is_refused(torn: bytes) -> None:
    with pytest.raises(FaultyBodyError):
        read_history(torn)


def test_inverted_day_is_refused_by_one_source_alone() -> None:
    inverted = {code: 1 / rate for code, rate in GOOD.items()}
    for source in (DAILY, BANK):
        found = judge({DAILY: {}, BANK: {}} | {source: {DAY: GOOD, after(1): inverted}})
        assert [*found.refused] == [(source, after(1))]
    found = judge({DAILY: {after(1): inverted}, BANK: {DAY: GOOD}})
    assert [*found.refused] == [(DAILY, after(1))]


@pytest.mark.parametrize(
    ("usd", "refused", "warned"),
    [("0.785", False, False), ("0.79", False, True), ("0.81", True, False), ("0.858", True, False)],
)
def test_sources_judge_each_other(usd: str, refused: bool, warned: bool) -> None:
    bank = {DAY: GOOD, after(1): GOOD}
    found = judge({DAILY: {DAY: GOOD, after(1): quotation("0.83", usd)}, BANK: bank})

    assert ((DAILY, after(1)) in found.refused, after(1) in found.warnings) == (refused, warned)


def test_large_move_of_both_passes() -> None:
    moved = {DAY: GOOD, after(1): quotation("0.83", "0.85")}
    assert judge({DAILY: moved, BANK: moved}).refused == {}


def test_day_without_a_quotation_has_the_one_before_for_seven_days() -> None:
    found = [*rates({DAILY: {DAY: GOOD}, BANK: {}}, DAY, after(8))]
    usd = [(one.carried_days, one.to_gbp) for one in found if one.currency == "USD"]

    assert usd == [*((days, Decimal("0.78")) for days in range(8)), (None, None)]


def test_missing_day_has_the_banks_rate() -> None:
    accepted = {DAILY: {DAY: GOOD}, BANK: {after(1): quotation("0.84", "0.79")}}
    found = [*rates(accepted, DAY, after(2))]

    assert [(one.source, one.carried_days) for one in found if one.currency == "EUR"] == [
        (DAILY, 0),
        (BANK, 0),
        (BANK, 1),
    ]


def test_days_on_which_clocks_change_are_one_day_each() -> None:
    found = [*rates({DAILY: {}, BANK: {}}, dt.date(2024, 3, 30), dt.date(2024, 4, 1))]
    assert [one.day.day for one in found if one.currency == "EUR"] == [30, 31, 1]
