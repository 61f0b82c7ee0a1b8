"""Whether the warehouse is behind: something waits, and no batch has been loaded for too long.

A quiet source is no trouble, and neither is a backlog that gets shorter.
"""

from __future__ import annotations

import datetime as dt

from pydantic import BaseModel, ConfigDict

from totesys_dagster.alerting.incidents import Recovery, Trouble

KEY = "behind"


class Waiting(BaseModel):
    """Since when something waits while the warehouse's last batch is number `loaded`."""

    model_config = ConfigDict(frozen=True)

    loaded: int | None = None
    since: dt.datetime | None = None


def judge(
    before: Waiting, now: dt.datetime, limit: dt.timedelta, loaded: int, waiting: Trouble | None
) -> tuple[Waiting, Trouble | Recovery | None]:
    """What is to be said about the wait at `now`. `waiting` is the trouble that it would be."""
    if waiting is None:
        return Waiting(loaded=loaded), Recovery(KEY, "Nothing waits to be loaded any more.")
    if before.loaded not in (None, loaded):
        return Waiting(loaded=loaded, since=now), Recovery(KEY, "Batches are being loaded again.")
    # A wait that began in the future began by a clock that went back since.
    since = min(before.since or now, now)
    late = now - since >= limit
    return Waiting(loaded=loaded, since=since), waiting if late else None
