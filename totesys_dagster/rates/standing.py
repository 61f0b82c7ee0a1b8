"""The state of the rates, from the last delivery alone: finding it takes four small reads."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass

from totesys_dagster.feeds.process import state_of
from totesys_dagster.feeds.receive import log_of
from totesys_dagster.lake.feed_receipt import read_feed_receipt
from totesys_dagster.lake.store import Store
from totesys_dagster.rates import policy
from totesys_dagster.rates.known import Known
from totesys_dagster.rates.policy import DAILY, Judgement
from totesys_dagster.rates.process import EXCHANGE_RATES

# For how many days a day without its own rate is asked for again.
ASKED_AGAIN_DAYS = 7


@dataclass(frozen=True)
class Standing:
    """What is known after the last delivery, and when the first one was received."""

    known: Known
    judged: Judgement
    began: dt.datetime

    def is_quoted(self, day: dt.date) -> bool:
        """Whether the day has an accepted quotation of the daily source."""
        return day in self.judged.accepted[DAILY]

    def last_quoted(self) -> dt.date:
        """The last such day, or else the day before the first delivery was received."""
        began = self.began.date() - dt.timedelta(days=1)
        return max(self.judged.accepted[DAILY], default=began)

    def remarks(self, since: dt.date) -> dict[str, str]:
        """Quotations refused since a day, and days on which the sources differ."""
        refused = {
            f"{day}, {source}": why
            for (source, day), why in self.judged.refused.items()
            if day >= since
        }
        differ = {f"{day}": why for day, why in self.judged.warnings.items() if day >= since}
        return refused | differ


def standing(ingestion: Store, processed: Store) -> Standing | None:
    """The state of the rates; None while the first or the last delivery is not processed. Raises
    LakeError."""
    log = log_of(EXCHANGE_RATES, ingestion)
    head = log.head()
    receipt = read_feed_receipt(processed, EXCHANGE_RATES.table, head) if head else None
    if receipt is None:
        return None
    known = Known.of(state_of(processed, receipt))
    return Standing(known, policy.judge(known.quotations), log.read(1).observed_at)
