"""What happens at set times."""

from typing import Any

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.errors import SettingError
from totesys_dagster.orchestration.history import keep_history
from totesys_dagster.orchestration.jobs import verify_lake
from totesys_dagster.orchestration.rates import daily_exchange_rates
from totesys_dagster.runs.tags import STAGE_TAG, VERIFY_STAGE
from totesys_dagster.runs.unfinished import unfinished


def verification(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Verify the lake, unless that is still under way from last time."""
    if unfinished(context.instance, {STAGE_TAG: VERIFY_STAGE}):
        return dg.SkipReason("The lake is being verified already.")
    return dg.RunRequest()


hourly_history = dg.ScheduleDefinition(
    job=keep_history,
    cron_schedule="7 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=f"Keeps Dagster's history as {settings.LISTED_BATCHES} and"
    f" {settings.HISTORY_DAYS} say.",
)


def schedules() -> list[Any]:
    """The schedules for the settings. Raises SettingError."""
    cron = settings.verify_schedule()
    if cron is None:
        return [hourly_history, daily_exchange_rates]
    try:
        schedule = dg.schedule(
            job=verify_lake,
            cron_schedule=cron,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=f"Verifies the lake at the times that {settings.VERIFY_SCHEDULE} sets.",
        )(verification)
    except dg.DagsterInvalidDefinitionError:
        raise SettingError(
            f"{settings.VERIFY_SCHEDULE} is {cron!r}, but must be a cron expression of five fields,"
            " such as '30 3 * * *' for each day at half past three (UTC), or 'off'."
        ) from None
    return [schedule, hourly_history, daily_exchange_rates]
