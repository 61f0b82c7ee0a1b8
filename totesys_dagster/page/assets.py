"""The page as an asset: made after the business day, or on demand.

A page is immutable, so a new one is made only if a batch has been loaded since the last one.
"""

from collections.abc import Mapping
from typing import Any

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.catalogue import STAR_TABLES, WAREHOUSE
from totesys_dagster.lake.store import Store
from totesys_dagster.metadata import OWNERS, asset_key, remedy
from totesys_dagster.page import mail, published, summary
from totesys_dagster.page.answers import Answers
from totesys_dagster.page.newest import newest_url
from totesys_dagster.page.published import Published
from totesys_dagster.page.questions import ask
from totesys_dagster.page.verdict import verdict
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.resources import Lake, Warehouse, clear_failures
from totesys_dagster.runs.tags import MAIL_TAG

PAGE = asset_key(settings.REPORTS, "page")
COUNTRIES = "countries"
# How many months the UI's picture shows, each with a bar for each currency.
SHOWN_MONTHS = 24


@dg.asset(
    key=PAGE,
    deps=[asset_key(WAREHOUSE, star) for star in STAR_TABLES],
    group_name=settings.REPORTS,
    kinds={"html"},
    owners=OWNERS,
    tags={"zone": settings.REPORTS},
    description="The answers of the reports on one page: an HTML file that makes no network"
    " requests, in the processed zone. It shows the last batch that was loaded when it was made."
    " Materializing it again makes no new page until another batch arrives.",
    check_specs=[
        dg.AssetCheckSpec(
            COUNTRIES,
            asset=PAGE,
            description="Every country with deliveries is known by name, so it has a circle on the"
            " map. Unknown names are listed below the map."
            + remedy("correct the name in ToteSys.", "A country is not known"),
        )
    ],
)
def reports_page(
    context: dg.AssetExecutionContext, lake: Lake, warehouse: Warehouse
) -> dg.MaterializeResult:  # type: ignore[type-arg]
    """Publish the page of the warehouse's last batch, and mail it after a business day."""
    with clear_failures(), warehouse.connect() as connection:
        names, processed = warehouse.names(), lake.processed()
        answers = ask(connection, names)
        found = published.position(connection, names)
        page = found.newest if found.is_current else None
        if page is None:
            page = _publish(connection, names, processed, answers)
            context.log.info(f"Published the page of batch {page.sequence}: {page.key}.")
        else:
            context.log.info(f"No batch has come since the page of batch {page.sequence}.")
        if MAIL_TAG in context.run.tags and mail.is_set() and page.mailed_at is None:
            mail.send(answers, processed.get(page.key))
            published.mailed(connection, names, page)
            context.log.info(f"Mailed the page to {settings.REPORT_TO}.")
    return dg.MaterializeResult(
        metadata=_metadata(answers, page, processed.uri(page.key)),
        check_results=[countries_check(answers)],
    )


def _publish(connection: Connection, names: Names, processed: Store, answers: Answers) -> Published:
    # Importing it takes a second, which the code location and other runs need not wait for.
    from totesys_dagster.page.render import page

    text = page(answers, staff_names=settings.publishes_staff_names())
    sequence = answers.batch.batch_seq
    return published.publish(connection, names, processed, text, answers.today, sequence)


def _metadata(answers: Answers, page: Published, uri: str) -> Mapping[str, Any]:
    """What the UI shows: two numbers that it plots, a table, a picture, and a link to the page."""
    import base64

    from totesys_dagster.page import charts

    found = verdict(answers)
    shown: dict[str, Any] = {
        "dagster/uri": uri,
        **({"open": dg.MetadataValue.url(url)} if (url := newest_url()) else {}),
        "batch": page.sequence,
        "day": str(page.day),
        "orders": answers.orders,
        "overdue payments": answers.overdue_payments,
        "numbers": dg.MetadataValue.md(summary.table(answers)),
        "equals the source": f"{found.word}. {found.sentence}",
    }
    if answers.months:
        recent = sorted({row.month for row in answers.months})[-SHOWN_MONTHS:]
        months = [row for row in answers.months if row.month in recent]
        picture = charts.by_month(months, charts.NARROW, charts.PLAIN).encode()
        data = base64.b64encode(picture).decode()
        shown["revenue by month"] = dg.MetadataValue.md(
            f"![Revenue by month, a panel for each currency](data:image/svg+xml;base64,{data})"
        )
    return shown


def countries_check(answers: Answers) -> dg.AssetCheckResult:
    """Whether every country is known by name. Names of countries are not secret."""
    unknown = answers.unknown_countries
    listed = ", ".join(f"{row.country!r} ({row.orders:,})" for row in unknown)
    return dg.AssetCheckResult(
        asset_key=PAGE,
        check_name=COUNTRIES,
        passed=not unknown,
        severity=dg.AssetCheckSeverity.WARN,
        description=(
            f"No country is known by the name {listed}: the page lists it below the map. Correct it"
            " in ToteSys, or add the name to catalogue/countries.py."
            if unknown
            else None
        ),
        metadata={"countries": len(answers.countries), "unknown": len(unknown)},
    )
