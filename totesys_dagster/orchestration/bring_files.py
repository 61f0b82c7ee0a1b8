"""What `totesys run` does about files: it takes those that wait. They never hold up a batch."""

import time
from collections.abc import Sequence

import dagster as dg

from totesys_dagster.catalogue import FileContract
from totesys_dagster.characters import visible
from totesys_dagster.drops.assets import TAKEN
from totesys_dagster.drops.file_feeds import FILE_FEEDS
from totesys_dagster.drops.place import SETTLE_SECONDS, Drops
from totesys_dagster.errors import TotesysError
from totesys_dagster.feeds.assets import LISTED
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.feeds.refused import refused
from totesys_dagster.orchestration.file_jobs import FILE_JOBS
from totesys_dagster.orchestration.files import wanted
from totesys_dagster.orchestration.whole_path import GetJob, Progress, execute, failed
from totesys_dagster.resources import Lake, Warehouse

# How many files a sentence names.
SHOWN = 10


def bring_files(
    instance: dg.DagsterInstance,
    get_job: GetJob,
    lake: Lake,
    warehouse: Warehouse,
    progress: Progress = lambda _: None,
) -> list[str]:
    """Take and load waiting files. Returns sentences about what was refused, is doubtful or went
    wrong."""
    said: list[str] = []
    for contract, feed in FILE_FEEDS:
        try:
            said += _bring(contract, feed, instance, get_job, lake, warehouse, progress)
        except TotesysError as error:
            said.append(_not_all(feed, str(error)))
    return said


def _bring(
    contract: FileContract,
    feed: Feed,
    instance: dg.DagsterInstance,
    get_job: GetJob,
    lake: Lake,
    warehouse: Warehouse,
    progress: Progress,
) -> list[str]:
    drops = Drops()
    if not all(drop.settled for drop in drops.all(contract.location)):
        time.sleep(SETTLE_SECONDS)  # a file that was just delivered belongs to this run
    if wanted(contract, feed, drops, lake, warehouse) is None:
        return []
    progress(f"Taking files of {feed.title}")
    zones = lake.ingestion(), lake.processed()
    before = refused(feed, *zones)
    result = execute(instance, get_job(FILE_JOBS[feed.name].name))
    if not result.success:
        return [_not_all(feed, str(failed(result)))]
    more = [name for name, reason in refused(feed, *zones).items() if before.get(name) != reason]
    said = [_not_all(feed, f"`totesys status` says why {_names(more)} was refused")] if more else []
    checks = {one.check_name: one for one in result.get_asset_check_evaluations() if not one.passed}
    if taken := checks.get(TAKEN):
        said += [_not_all(feed, str(why.value)) for why in [*taken.metadata.values()][:SHOWN]]
    if listed := checks.get(LISTED):
        said.append(listed.description or "")
    return said


def _not_all(feed: Feed, why: str) -> str:
    return f"{feed.title}: not all files were loaded: {why}"


def _names(names: Sequence[str]) -> str:
    more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
    return ", ".join([*map(visible, names[:SHOWN]), *more])
