"""What happens at set times."""

import datetime as dt
from typing import Any

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.errors import SettingError
from totesys_dagster.orchestration.history import keep_history
from totesys_dagster.orchestration.jobs import page, verify_lake
from totesys_dagster.orchestration.rates import daily_exchange_rates
from totesys_dagster.page import mail, published
from totesys_dagster.resources import Warehouse, clear_failures
from totesys_dagster.runs.tags import MAIL_TAG, PAGE_STAGE, STAGE_TAG, VERIFY_STAGE
from totesys_dagster.runs.unfinished import unfinished


def verification(context: dg.ScheduleEvaluationContext) -> dg.RunRequest | dg.SkipReason:
    """Verify the lake, unless the previous verification is still running."""
    if unfinished(context.instance, {STAGE_TAG: VERIFY_STAGE}):
        return dg.SkipReason("The lake is already being verified.")
    return dg.RunRequest()


hourly_history = dg.ScheduleDefinition(
    job=keep_history,
    cron_schedule="7 * * * *",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description=f"Maintains Dagster's history according to {settings.LISTED_BATCHES} and"
    f" {settings.HISTORY_DAYS}.",
)


@dg.schedule(
    job=page,
    # Once an evening: the later ticks are retries.
    cron_schedule="30 19-23 * * *",
    execution_timezone="Europe/London",
    default_status=dg.DefaultScheduleStatus.RUNNING,
    description="Publishes the report page after the business day and mails it to"
    f" {settings.REPORT_TO}, if a batch has been loaded since the last page.",
)
def evening_page(
    context: dg.ScheduleEvaluationContext, warehouse: Warehouse
) -> dg.RunRequest | dg.SkipReason:
    """Request the evening's page, unless it exists or is being made."""
    if unfinished(context.instance, {STAGE_TAG: PAGE_STAGE}):
        return dg.SkipReason("The page is already being made.")
    if not page_is_due(warehouse, context.scheduled_execution_time):
        return dg.SkipReason(
            "This evening's page exists, or no batch has come since the last page."
        )
    return dg.RunRequest(tags={MAIL_TAG: "yes"})


def page_is_due(warehouse: Warehouse, moment: dt.datetime) -> bool:
    """Whether a page has to be made or mailed after the last business day before that moment."""
    with clear_failures(), warehouse.connect() as connection:
        where = published.position(connection, warehouse.names())
    return where.is_due(published.evening(moment), mail=mail.is_set())


def schedules() -> list[Any]:
    """The schedules for the settings. Raises SettingError."""
    others = [hourly_history, daily_exchange_rates, evening_page]
    cron = settings.verify_schedule()
    if cron is None:
        return others
    try:
        schedule = dg.schedule(
            job=verify_lake,
            cron_schedule=cron,
            default_status=dg.DefaultScheduleStatus.RUNNING,
            description=f"Verifies the lake at the times set by {settings.VERIFY_SCHEDULE}.",
        )(verification)
    except dg.DagsterInvalidDefinitionError:
        raise SettingError(
            f"{settings.VERIFY_SCHEDULE} is {cron!r}, but must be a cron expression of five fields,"
            " such as '30 3 * * *' for each day at half past three (UTC), or 'off'."
        ) from None
    return [schedule, *others]
