"""When exchange rates are loaded: the jobs, the schedule, and what `totesys run` does about them.

They are independent of the runs of ToteSys' batches: an outage of rates holds up no batch.
"""

import datetime as dt

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.errors import TotesysError
from totesys_dagster.feeds.receive import log_of
from totesys_dagster.lake.store import sha256
from totesys_dagster.metadata import remedy, use
from totesys_dagster.orchestration.whole_path import GetJob, Progress, execute, failed
from totesys_dagster.postgres.sessions import Connection
from totesys_dagster.rates.assets import (
    DAY,
    DAYS,
    HISTORY,
    SECTION,
    loaded_rates,
    note_currency,
    processed_rates,
)
from totesys_dagster.rates.process import EXCHANGE_RATES
from totesys_dagster.rates.receive import packaged_history
from totesys_dagster.rates.standing import ASKED_AGAIN_DAYS, Standing, standing
from totesys_dagster.resources import Lake, Warehouse
from totesys_dagster.runs.tags import RATE_HISTORY, RATES, RATES_STAGE, STAGE_TAG
from totesys_dagster.runs.unfinished import unfinished
from totesys_dagster.warehouse import ledger
from totesys_dagster.warehouse.assets import migrate

_TAGS = {STAGE_TAG: RATES_STAGE}
# The minute of each hour at which a new day's rates are asked for.
ASKED_AT = 20
_MADE_OF_BOTH = dg.AssetSelection.assets(processed_rates, loaded_rates)

exchange_rates = dg.define_asset_job(
    RATES,
    selection=dg.AssetSelection.assets(DAY, HISTORY) | _MADE_OF_BOTH,
    description="Ask the daily source for the rates of days and load them, along with the history"
    " of the European Central Bank if there is a newer one. Its partition is a day, or a range."
    + use("choose the days. Days that have a rate are not asked for again.")
    + remedy("its error says why; the next hour's run brings what is missing.", SECTION),
    tags=_TAGS,
)

exchange_rate_history = dg.define_asset_job(
    RATE_HISTORY,
    selection=dg.AssetSelection.assets(HISTORY) | _MADE_OF_BOTH,
    description="Load the installed history of the European Central Bank. Needs no network."
    + use("there is nothing to choose.")
    + remedy("its error says why; run it again, or wait for the next hour.", SECTION),
    tags=_TAGS,
)


def range_tags(first: dt.date, last: dt.date) -> dict[str, str]:
    """The tags of a run for all days of a range."""
    return {
        "dagster/asset_partition_range_start": first.isoformat(),
        "dagster/asset_partition_range_end": last.isoformat(),
    }


@dg.schedule(
    job=exchange_rates,
    cron_schedule="*/5 * * * *",
    execution_timezone="UTC",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Asks for the day's rates, every hour from when they are due until they are loaded."
    " Also asks for those of the week before that are missing. The first rates of all come within"
    " five minutes.",
)
def daily_exchange_rates(
    context: dg.ScheduleEvaluationContext, lake: Lake, warehouse: Warehouse
) -> dg.RunRequest | dg.SkipReason:
    """A run for the last days, unless the warehouse has what is available today."""
    at = context.scheduled_execution_time.astimezone(dt.UTC)
    today = at.date()
    if at.minute != ASKED_AT and (
        log_of(EXCHANGE_RATES, lake.ingestion()).end() or _ran_lately(context.instance)
    ):
        return dg.SkipReason(f"Rates are asked for at {ASKED_AT} minutes past each hour.")
    if unfinished(context.instance, _TAGS):
        return dg.SkipReason("Exchange rates are already being loaded.")
    known = standing(lake.ingestion(), lake.processed())
    asks = bool(settings.rates_urls())
    is_known = known and (known.is_quoted(today) if asks else not is_due(known, today))
    try:
        if is_known:
            with warehouse.connect() as connection:
                if _are_loaded(connection, lake, warehouse):
                    return dg.SkipReason("Today's rates are loaded.")
    except TotesysError as error:
        return dg.SkipReason(str(error))
    first = today - dt.timedelta(days=ASKED_AGAIN_DAYS) if asks else today
    return dg.RunRequest(tags=range_tags(max(first, _first_day()), today))


def _ran_lately(instance: dg.DagsterInstance) -> bool:
    """Whether a run was started within the last hour, which then has failed."""
    since = dt.datetime.now(dt.UTC) - dt.timedelta(hours=1)
    return instance.get_runs_count(dg.RunsFilter(tags=_TAGS, created_after=since)) > 0


def _are_loaded(connection: Connection, lake: Lake, warehouse: Warehouse) -> bool:
    """Whether the warehouse has all rates that the lake has. Raises TotesysError."""
    migrate(connection, warehouse)
    loaded = ledger.head(connection, warehouse.names(), EXCHANGE_RATES.name)
    return loaded >= log_of(EXCHANGE_RATES, lake.ingestion()).end()


def _first_day() -> dt.date:
    first = DAYS.get_first_partition_key()
    assert first is not None
    return dt.date.fromisoformat(first)


def is_due(known: Standing | None, today: dt.date) -> bool:
    """Whether the rates lack a day that is due, or a newly installed history."""
    if known is None or known.known.as_of is None or known.known.as_of < today:
        return True
    return known.known.history != sha256(packaged_history())


def bring_rates(
    instance: dg.DagsterInstance,
    get_job: GetJob,
    lake: Lake,
    warehouse: Warehouse,
    progress: Progress = lambda _: None,
) -> str | None:
    """Load the exchange rates that are available without the network. Returns a sentence about
    what prevents it; no batch waits for rates."""
    try:
        with warehouse.connect() as connection:
            are_loaded = _are_loaded(connection, lake, warehouse)
            note_currency(connection, warehouse.names())
        known = standing(lake.ingestion(), lake.processed())
        if are_loaded and not is_due(known, dt.datetime.now(dt.UTC).date()):
            return None
        progress("Loading exchange rates")
        result = execute(instance, get_job(RATE_HISTORY))
    except TotesysError as error:
        return f"Exchange rates were not loaded: {error}"
    if result.success:
        return None
    return f"Exchange rates were not loaded: {failed(result)}"
