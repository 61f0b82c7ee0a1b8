"""The sensor for files that others deliver: it starts a run when one waits."""

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress

import dagster as dg

from totesys_dagster.catalogue import FileContract
from totesys_dagster.drops.deliver import missing
from totesys_dagster.drops.file_feeds import FILE_FEEDS
from totesys_dagster.drops.place import Drop, Drops
from totesys_dagster.errors import TotesysError
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.feeds.receive import log_of
from totesys_dagster.feeds.refused import refused
from totesys_dagster.orchestration.file_jobs import FILE_JOBS
from totesys_dagster.orchestration.planning import can_start
from totesys_dagster.resources import Lake, Warehouse
from totesys_dagster.runs.tags import FEED_TAG
from totesys_dagster.warehouse import ledger
from totesys_dagster.warehouse.assets import migrate

# If a run left drops behind because they could not be read or were just replaced, the next run for
# the same drops starts after this pause, which doubles up to the longest.
AGAIN = dt.timedelta(seconds=60)
LONGEST_PAUSE = dt.timedelta(minutes=15)
REFUSED = "refused"


@dg.sensor(
    jobs=[*FILE_JOBS.values()],
    minimum_interval_seconds=4,
    default_status=dg.DefaultSensorStatus.RUNNING,
    description="Takes files that others have delivered to the place of the drops, and loads what"
    " a failed run has left.",
)
def new_files(
    context: dg.SensorEvaluationContext, lake: Lake, warehouse: Warehouse
) -> dg.SensorResult | dg.SkipReason:
    """Compare the place of the drops with the logs, and the logs with the ledger.

    The cursor only avoids runs that would repeat the previous one.
    """
    drops, before = Drops(), _remembered(context.cursor)
    now = dt.datetime.now(dt.UTC)
    seen: dict[str, dict[str, str]] = {}
    runs: list[dg.RunRequest] = []
    waits: list[str] = []
    for contract, feed in FILE_FEEDS:
        name = feed.name
        try:
            found = wanted(contract, feed, drops, lake, warehouse)
            refused_ = [] if found else [*refused(feed, lake.ingestion(), lake.processed())]
        except TotesysError as error:  # still take the files of the other contracts
            waits.append(str(error))
            seen |= _kept(before, name)
            continue
        if found is None and {*refused_} >= {*_refused(before, name)}:
            seen[name] = {REFUSED: json.dumps(refused_)}
            continue
        found = found or _digest([], 0)
        same = before.get(name, {}).get("waits") == found
        pause = _pause(before[name]) if same else AGAIN
        if same and now < _time(before[name]) + pause:
            seen[name] = before[name]
            waits.append(f"{feed.title}: the files that wait are those of the previous run.")
        elif not can_start(context.instance, {FEED_TAG: name}):
            waits.append(f"{feed.title}: running, or waiting after a failure.")
            seen |= _kept(before, name)
        else:
            longer = min(2 * pause, LONGEST_PAUSE) if same else pause
            seen[name] = _noted(found, now, longer)
            runs.append(dg.RunRequest(job_name=FILE_JOBS[name].name))
    context.update_cursor(json.dumps(seen))
    if runs:
        return dg.SensorResult(run_requests=runs)
    return dg.SkipReason(" ".join(waits) or f"No new files in {drops.url}.")


def _noted(waits: str, now: dt.datetime, pause: dt.timedelta) -> dict[str, str]:
    return {"waits": waits, "at": now.isoformat(), "pause": f"{pause.total_seconds():.0f}"}


def _refused(before: dict[str, dict[str, str]], name: str) -> list[str]:
    """The names that were refused at the sensor's previous evaluation. If one of them has been
    removed since, a run records that."""
    with suppress(KeyError, ValueError, TypeError):
        return [str(one) for one in json.loads(before[name][REFUSED])]
    return []


def _kept(before: dict[str, dict[str, str]], name: str) -> dict[str, dict[str, str]]:
    return {name: before[name]} if name in before else {}


def wanted(
    contract: FileContract, feed: Feed, drops: Drops, lake: Lake, warehouse: Warehouse
) -> str | None:
    """A digest of everything that waits; None if nothing does.

    Raises DropsError, LakeError, LoadError or SettingError.
    """
    ingestion = lake.ingestion()
    found = missing(feed, contract, drops, ingestion)
    loaded = end = log_of(feed, ingestion).end()
    if end and not found:
        with warehouse.connect() as connection:
            migrate(connection, warehouse)
            loaded = ledger.head(connection, warehouse.names(), feed.name)
    return _digest(found, loaded) if found or loaded < end else None


def _digest(found: Sequence[Drop], loaded: int) -> str:
    text = json.dumps([loaded, [[drop.name, dict(drop.identity)] for drop in found]])
    return hashlib.sha256(text.encode()).hexdigest()


def _remembered(cursor: str | None) -> dict[str, dict[str, str]]:
    with suppress(ValueError):
        found = json.loads(cursor or "")
        if isinstance(found, dict) and all(isinstance(one, dict) for one in found.values()):
            return found
    return {}


def _pause(seen: dict[str, str]) -> dt.timedelta:
    with suppress(KeyError, ValueError, OverflowError):
        return dt.timedelta(seconds=int(seen["pause"]))
    return AGAIN


def _time(seen: dict[str, str]) -> dt.datetime:
    with suppress(KeyError, ValueError):
        return dt.datetime.fromisoformat(seen["at"])
    return dt.datetime.min.replace(tzinfo=dt.UTC)
