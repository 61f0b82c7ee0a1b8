"""Whether the warehouse is behind: something waits, and no batch has been loaded for too long.

A quiet source is no problem, and neither is a backlog that gets shorter.
"""

from __future__ import annotations

import datetime as dt

from pydantic import BaseModel, ConfigDict

from totesys_dagster.alerting.incidents import Recovery, Trouble
from totesys_dagster.alerting.remedies import BEHIND_KEY


class Waiting(BaseModel):
    """Since when something has been waiting while the warehouse's last batch is `loaded`."""

    model_config = ConfigDict(frozen=True)

    loaded: int | None = None
    since: dt.datetime | None = None


def judge(
    before: Waiting, now: dt.datetime, limit: dt.timedelta, loaded: int, waiting: Trouble | None
) -> tuple[Waiting, Trouble | Recovery | None]:
    """What to report about the wait at `now`. `waiting` is the trouble that it can become."""
    if waiting is None:
        return Waiting(loaded=loaded), Recovery(
            BEHIND_KEY, "Nothing is waiting to be loaded any more."
        )
    if before.loaded not in (None, loaded):
        return Waiting(loaded=loaded, since=now), Recovery(
            BEHIND_KEY, "Batches are being loaded again."
        )
    # If a wait began in the future, the clock went back since.
    since = min(before.since or now, now)
    late = now - since >= limit
    return Waiting(loaded=loaded, since=since), waiting if late else None
