"""Whether exchange rates arrive: an outage of days holds up nothing, but people should know."""

from __future__ import annotations

import datetime as dt

from pydantic import BaseModel, ConfigDict

from totesys_dagster import settings
from totesys_dagster.alerting.incidents import Recovery, Trouble
from totesys_dagster.alerting.remedies import RATES_KEY
from totesys_dagster.errors import TotesysError
from totesys_dagster.rates.policy import CARRIED_DAYS
from totesys_dagster.rates.standing import standing
from totesys_dagster.resources import Lake

LONGEST_OUTAGE_DAYS = 3
LOOK_EVERY = dt.timedelta(minutes=10)


class Looked(BaseModel):
    """When the rates were last checked."""

    model_config = ConfigDict(frozen=True)

    at: dt.datetime | None = None


def look(lake: Lake, before: Looked, now: dt.datetime) -> tuple[Looked, list[Trouble | Recovery]]:
    """What to report about the rates: nothing if there are none yet or the lake cannot be read."""
    if before.at and dt.timedelta(0) <= now - before.at < LOOK_EVERY:
        return before, []
    try:
        if not settings.rates_urls():
            return Looked(at=now), [
                Recovery(RATES_KEY, "The daily source of exchange rates has been turned off.")
            ]
        known = standing(lake.ingestion(), lake.processed())
    except TotesysError:
        return before, []
    if known is None:
        return Looked(at=now), []
    last = known.last_quoted()
    if (now.date() - last).days < LONGEST_OUTAGE_DAYS:
        return Looked(at=now), [Recovery(RATES_KEY, "Exchange rates are arriving again.")]
    reason = (
        f"The daily source has given no valid exchange rate since {last}: the check `quoted` of"
        f" ingestion/exchange_rate says why. The last rates are carried for {CARRIED_DAYS} days."
    )
    return Looked(at=now), [Trouble(RATES_KEY, "no exchange rates come", reason)]
