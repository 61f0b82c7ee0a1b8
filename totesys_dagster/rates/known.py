"""What one delivery of exchange rates passes on to the next: the state of the feed."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

import pyarrow as pa

from totesys_dagster.rates.policy import BANK, CARRIED_DAYS, DAILY, DAILY_SINCE, Quotations
from totesys_dagster.rates.quotations import CURRENCIES

SCHEMA = pa.schema(
    [("kind", pa.string()), ("day", pa.date32()), ("note", pa.string())]
    + [(code, pa.decimal128(28, 18)) for code in CURRENCIES]
)
# Rows that are not quotations.
_AS_OF, _HISTORY = "as of", "history"

# Which of the bank's quotations are kept: a newer history brings all of them.
KEPT_SINCE = DAILY_SINCE - dt.timedelta(days=2 * CARRIED_DAYS)


@dataclass(frozen=True)
class Known:
    """The last day that has rates, the SHA-256 of the bank's history, and quotations by source and
    day, including refused ones of the daily source."""

    as_of: dt.date | None = None
    history: str | None = None
    quotations: Mapping[str, Quotations] = field(default_factory=lambda: {DAILY: {}, BANK: {}})

    @classmethod
    def of(cls, state: pa.Table | None) -> Known:
        """Parse a state."""
        as_of, history = None, None
        quotations: dict[str, dict[dt.date, dict[str, object]]] = {DAILY: {}, BANK: {}}
        for row in state.to_pylist() if state is not None else ():
            if row["kind"] == _AS_OF:
                as_of = row["day"]
            elif row["kind"] == _HISTORY:
                history = row["note"]
            else:
                quotations[row["kind"]][row["day"]] = {code: row[code] for code in CURRENCIES}
        return cls(as_of, history, quotations)  # type: ignore[arg-type]

    def state(self, accepted: Mapping[str, Quotations]) -> pa.Table:
        """The state to keep. Of the bank's quotations before the daily source's first day, it keeps
        the accepted ones, as nothing can change them any more."""
        rows: list[dict[str, object]] = [{"kind": _AS_OF, "day": self.as_of}]
        if self.history is not None:
            rows.append({"kind": _HISTORY, "note": self.history})
        rows += _rows(DAILY, self.quotations[DAILY], self.quotations[DAILY])
        bank = self.quotations[BANK]
        final = (day for day in accepted[BANK] if KEPT_SINCE <= day < DAILY_SINCE)
        rows += _rows(BANK, bank, {*final, *(day for day in bank if day >= DAILY_SINCE)})
        return pa.Table.from_pylist(rows, SCHEMA)


def _rows(kind: str, of: Quotations, days: Iterable[dt.date]) -> list[dict[str, object]]:
    return [{"kind": kind, "day": day, **of[day]} for day in sorted(days)]
