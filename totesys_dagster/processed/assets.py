"""The eleven star tables in the processed zone: one function each.

Its parameters are the tables that it reads (raw ones, but for the calendar), its docstring is its
description in the UI, and the transform that it stands for is the function of the same name in
`dimensions` or `facts`.
"""

from collections.abc import Iterator
from typing import Any

import dagster as dg

from totesys_dagster import settings
from totesys_dagster.catalogue import INGESTION, PROCESSED, STAR_TABLES, Kind, StarTable
from totesys_dagster.lake.raw import RawTable
from totesys_dagster.lake.receipt import ProcessedTable
from totesys_dagster.metadata import (
    BATCHES,
    OWNERS,
    asset_key,
    star_definition,
)
from totesys_dagster.processed.process import FACTS, StarRows, calendar_rows, star_rows
from totesys_dagster.resources import clear_failures
from totesys_dagster.words import counted

Results = Iterator[dg.Output[StarRows] | dg.AssetCheckResult]


def _star(name: str) -> dict[str, Any]:
    """What all star tables have in common, as arguments of `dg.asset`."""
    star = STAR_TABLES[name]
    key = asset_key(PROCESSED, name)
    if star.kind is Kind.CALENDAR:
        ins = {fact.name: dg.AssetIn(asset_key(PROCESSED, fact.name)) for fact in FACTS}
    else:
        ins = {raw: dg.AssetIn(asset_key(INGESTION, raw)) for raw in star.sources}
    return {
        "key": key,
        "ins": ins,
        "partitions_def": BATCHES,
        "io_manager_key": "processed_io",
        "group_name": PROCESSED,
        "kinds": {"pandas", "parquet"},
        "owners": OWNERS,
        "tags": {"zone": PROCESSED, "kind": star.kind.value},
        "metadata": star_definition(star, PROCESSED, name),
        "code_version": str(star.version),
        "check_specs": [
            dg.AssetCheckSpec(
                "contract",
                asset=key,
                blocking=True,
                description="Every row keeps its contract; too many that do not stop the batch.",
            )
        ],
    }


def _process(star: StarTable, *tables: RawTable) -> Results:
    yield from _write(star_rows(star, *tables))


def _write(rows: StarRows) -> Results:
    """Hand the rows to the I/O manager, which reads them through; then judge the quarantine."""
    with clear_failures():
        yield dg.Output(rows)
        yield _contract_check(rows, settings.quarantine_limit())


def _contract_check(rows: StarRows, limit: int) -> dg.AssetCheckResult:
    assert rows.receipt is not None
    count = rows.receipt.quarantined
    stopped = count > limit
    broken = f"{counted(count, 'row')} in quarantine, against the contract"
    description = f"{broken}." if count else None
    if stopped:
        description = (
            f"{broken}, more than {settings.QUARANTINE_LIMIT} ({limit})"
            " allows: the batch is not loaded."
        )
    return dg.AssetCheckResult(
        asset_key=asset_key(PROCESSED, rows.star.name),
        check_name="contract",
        passed=not count,
        severity=dg.AssetCheckSeverity.ERROR if stopped else dg.AssetCheckSeverity.WARN,
        description=description,
        metadata={
            "rows": rows.receipt.rows,
            "quarantined rows": count,
            "quarantine": ", ".join(entry.key for entry in rows.receipt.quarantine) or "none",
        },
    )


@dg.asset(**_star("dim_date"))
def dim_date(
    fact_sales_order: ProcessedTable,
    fact_purchase_order: ProcessedTable,
    fact_payment: ProcessedTable,
) -> Results:
    """The days from the first to the last date that the facts of the batch use."""
    yield from _write(calendar_rows(fact_sales_order, fact_purchase_order, fact_payment))


@dg.asset(**_star("dim_staff"))
def dim_staff(staff: RawTable, department: RawTable) -> Results:
    """Members of staff with the name and town of their department."""
    yield from _process(STAR_TABLES["dim_staff"], staff, department)


@dg.asset(**_star("dim_location"))
def dim_location(address: RawTable) -> Results:
    """Places of delivery."""
    yield from _process(STAR_TABLES["dim_location"], address)


@dg.asset(**_star("dim_currency"))
def dim_currency(currency: RawTable) -> Results:
    """Currencies with the name that ISO 4217 gives to their code."""
    yield from _process(STAR_TABLES["dim_currency"], currency)


@dg.asset(**_star("dim_design"))
def dim_design(design: RawTable) -> Results:
    """Designs of tote bags."""
    yield from _process(STAR_TABLES["dim_design"], design)


@dg.asset(**_star("dim_counterparty"))
def dim_counterparty(counterparty: RawTable, address: RawTable) -> Results:
    """Customers and suppliers with their registered address."""
    yield from _process(STAR_TABLES["dim_counterparty"], counterparty, address)


@dg.asset(**_star("dim_payment_type"))
def dim_payment_type(payment_type: RawTable) -> Results:
    """Kinds of payment."""
    yield from _process(STAR_TABLES["dim_payment_type"], payment_type)


@dg.asset(**_star("dim_transaction"))
def dim_transaction(transaction: RawTable) -> Results:
    """The link between an order and its payment."""
    yield from _process(STAR_TABLES["dim_transaction"], transaction)


@dg.asset(**_star("fact_sales_order"))
def fact_sales_order(sales_order: RawTable) -> Results:
    """Sales orders new or changed in the batch, their timestamps split into date and time."""
    yield from _process(STAR_TABLES["fact_sales_order"], sales_order)


@dg.asset(**_star("fact_purchase_order"))
def fact_purchase_order(purchase_order: RawTable) -> Results:
    """Purchase orders new or changed in the batch, their timestamps split into date and time."""
    yield from _process(STAR_TABLES["fact_purchase_order"], purchase_order)


@dg.asset(**_star("fact_payment"))
def fact_payment(payment: RawTable) -> Results:
    """Payments new or changed in the batch; account numbers are left behind."""
    yield from _process(STAR_TABLES["fact_payment"], payment)


STAR_ASSETS = [
    dim_date,
    dim_staff,
    dim_location,
    dim_currency,
    dim_design,
    dim_counterparty,
    dim_payment_type,
    dim_transaction,
    fact_sales_order,
    fact_purchase_order,
    fact_payment,
]
