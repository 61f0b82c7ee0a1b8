"""What `totesys run` does about files: it takes those that wait. They never hold up a batch."""

import time

import dagster as dg

from totesys_dagster.catalogue import FileContract
from totesys_dagster.drops.file_feeds import FILE_FEEDS
from totesys_dagster.drops.place import SETTLE_SECONDS, Drops
from totesys_dagster.errors import TotesysError
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.feeds.refused import refused
from totesys_dagster.orchestration.file_jobs import FILE_JOBS
from totesys_dagster.orchestration.files import wanted
from totesys_dagster.orchestration.whole_path import GetJob, Progress, execute, failed
from totesys_dagster.resources import Lake, Warehouse


def bring_files(
    instance: dg.DagsterInstance,
    get_job: GetJob,
    lake: Lake,
    warehouse: Warehouse,
    progress: Progress = lambda _: None,
) -> list[str]:
    """Take and load waiting files. Returns sentences about what was refused or went wrong."""
    said = []
    for contract, feed in FILE_FEEDS:
        try:
            why = _bring(contract, feed, instance, get_job, lake, warehouse, progress)
        except TotesysError as error:
            why = str(error)
        if why is not None:
            said.append(f"{feed.title}: not all files were loaded: {why}")
    return said


def _bring(
    contract: FileContract,
    feed: Feed,
    instance: dg.DagsterInstance,
    get_job: GetJob,
    lake: Lake,
    warehouse: Warehouse,
    progress: Progress,
) -> str | None:
    drops = Drops()
    if not all(drop.settled for drop in drops.all(contract.location)):
        time.sleep(SETTLE_SECONDS)  # a file that was just delivered belongs to this run
    if wanted(contract, feed, drops, lake, warehouse) is None:
        return None
    progress(f"Taking files of {feed.title}")
    zones = lake.ingestion(), lake.processed()
    before = refused(feed, *zones)
    result = execute(instance, get_job(FILE_JOBS[feed.name].name))
    if not result.success:
        return str(failed(result))
    more = [name for name, reason in refused(feed, *zones).items() if before.get(name) != reason]
    return f"`totesys status` says why {', '.join(more)} was refused" if more else None
