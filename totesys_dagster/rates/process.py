"""Exchange rates as a feed: how a delivery of either source changes the rates known so far."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from dataclasses import replace

import pyarrow as pa

from totesys_dagster.catalogue import FEED_TABLES
from totesys_dagster.feeds.feed import Faulty, Feed, Outcome
from totesys_dagster.lake.deliveries import Delivery
from totesys_dagster.rates import policy
from totesys_dagster.rates.known import Known
from totesys_dagster.rates.policy import BANK, BANK_SINCE, DAILY, DAILY_SINCE, Judgement, Rate
from totesys_dagster.rates.quotations import FaultyBodyError, History, read_day, read_history

TABLE = FEED_TABLES["fact_exchange_rate"]

# The names of deliveries: the bank's history, or the day of the daily source in ISO 8601.
HISTORY_NAME = "ECB history"
# The identity of a delivery that did not come: its body is the reason, for people.
NOTHING_CAME = {"came": "nothing"}


def process(delivery: Delivery, body: bytes, state: pa.Table | None) -> Outcome:
    """The rates of all days that the delivery may have changed.

    A refused body changes no quotation, but its day has come: it gets the carried rate.
    """
    if delivery.name == HISTORY_NAME:
        return _history(delivery, body, Known.of(state))
    return _day(delivery, body, Known.of(state))


def _history(delivery: Delivery, body: bytes, before: Known) -> Outcome:
    as_of = delivery.observed_at.date()
    try:
        history = read_history(body)
    except FaultyBodyError as error:
        judged = policy.judge(before.quotations)
        return _outcome(before, before, judged, as_of, None, refused=str(error))
    quotations = {DAILY: before.quotations[DAILY], BANK: history.quotations}
    after = replace(before, quotations=quotations, history=delivery.body.sha256)
    judged = policy.judge(quotations)
    faulty = [*history.faulty, *_refused(history, judged)]
    return _outcome(before, after, judged, as_of, BANK_SINCE, faulty=faulty)


def _refused(history: History, judged: Judgement) -> list[Faulty]:
    """The lines of the history whose quotations are refused."""
    return [
        Faulty(number, (why,), line)
        for (source, day), why in judged.refused.items()
        if source == BANK
        for number, line in [history.lines[day]]
    ]


def _day(delivery: Delivery, body: bytes, before: Known) -> Outcome:
    day = dt.date.fromisoformat(delivery.name)
    if delivery.identity == NOTHING_CAME:
        return _outcome(before, before, policy.judge(before.quotations), day, None)
    try:
        if day < DAILY_SINCE:
            raise FaultyBodyError(f"the source has no day before {DAILY_SINCE}")
        quotation = read_day(body, day)
    except FaultyBodyError as error:
        judged = policy.judge(before.quotations)
        return _outcome(before, before, judged, day, None, refused=str(error))
    daily = before.quotations[DAILY]
    after = replace(before, quotations={**before.quotations, DAILY: {**daily, day: quotation}})
    judged = policy.judge(after.quotations)
    why = judged.refused.get((DAILY, day))
    if why and day in daily:  # the previous body may be better
        after, judged = before, policy.judge(before.quotations)
    return _outcome(before, after, judged, day, day, refused=why)


def _outcome(
    before: Known,
    after: Known,
    judged: Judgement,
    as_of: dt.date,
    since: dt.date | None,
    *,
    refused: str | None = None,
    faulty: Sequence[Faulty] = (),
) -> Outcome:
    """The rates from `since` on, if anything changed, and those of the days that have come."""
    after = replace(after, as_of=max(as_of, before.as_of or as_of))
    new = before.as_of + dt.timedelta(days=1) if before.as_of else as_of
    assert after.as_of is not None
    rows = _rows([*policy.rates(judged.accepted, min(since or new, new), after.as_of)])
    return Outcome(rows, refused, faulty, after.state(judged.accepted))


def _rows(found: Sequence[Rate]) -> pa.Table:
    columns = {
        "rate_date": [rate.day for rate in found],
        "currency_code": [rate.currency for rate in found],
        "rate_to_gbp": [rate.to_gbp for rate in found],
        "quoted_on": [rate.quoted_on for rate in found],
        "carried_days": [rate.carried_days for rate in found],
        "source": [rate.source for rate in found],
    }
    return pa.table(columns, schema=TABLE.arrow_schema)


EXCHANGE_RATES = Feed("Exchange rates", TABLE, process)
