"""`totesys status`, `quarantine` and `verify`: the state of lake and warehouse."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from totesys_dagster import settings
from totesys_dagster.commands.begin import begin
from totesys_dagster.commands.terminal import (
    as_json,
    loaded_standings,
    output,
    print_json,
    print_source,
    progress,
)
from totesys_dagster.words import counted

if TYPE_CHECKING:
    from totesys_dagster.json_output import Quarantine, Verify
    from totesys_dagster.lake.verification import Verification


@click.command()
@as_json
def status(json_: bool) -> None:
    """Show the state of the source, the lake, the warehouse and each table."""
    from totesys_dagster import report
    from totesys_dagster.feeds.registry import FEEDS
    from totesys_dagster.feeds.status import feed_status
    from totesys_dagster.operations.quarantine import stopped
    from totesys_dagster.operations.renew import Due, due
    from totesys_dagster.operations.source_look import start
    from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
    from totesys_dagster.warehouse import ledger, schema
    from totesys_dagster.warehouse.status import table_status

    begin(reads=True)
    warehouse, lake = Warehouse(), Lake()
    source_now = start(SourceDatabase(), lake)
    log, zones = lake.log(), (lake.ingestion(), lake.processed())
    names, head = warehouse.names(), log.head()
    with warehouse.connect() as connection:
        loaded = ledger.check_log(connection, names, log)
        ready = not schema.pending(connection, names)
        made = schema.is_made(connection, names)
        tables = table_status(connection, names) if ready else []
        outdated = due(connection, names, log) if ready else Due(())
        feeds = [feed_status(connection, names, one, *zones) for one in FEEDS] if ready else []
    why = stopped(log, zones[1], loaded, settings.quarantine_limit())
    found = report.Status(
        settings.describe_source(), head, loaded, tables, outdated, feeds, why, source_now()
    )
    if json_:
        print_json(found.data())
        return
    print_source()
    found.print(output, declared=ready or not made)


@click.command()
@click.option("--batch", type=click.IntRange(min=1), help="Only of this batch, loaded or not.")
@as_json
def quarantine(batch: int | None, json_: bool) -> None:
    """List the rows in quarantine now, or those of one batch."""
    from totesys_dagster import report
    from totesys_dagster.operations.quarantine import of_batch, of_now
    from totesys_dagster.resources import Lake, Warehouse

    begin(reads=True)
    lake, warehouse = Lake(), Warehouse()
    names, log, processed = warehouse.names(), lake.log(), lake.processed()
    with warehouse.connect() as connection:
        rows = [
            *(
                of_batch(connection, names, log, processed, batch)
                if batch
                else of_now(connection, names, log, processed)
            )
        ]
    if json_:
        listed: Quarantine = {
            "source": settings.describe_source(),
            "rows": [row.data() for row in rows],
        }
        print_json(listed)
    elif rows:
        report.print_quarantine(output, rows)
    else:
        output.print("No rows are in quarantine.")


@click.command()
@click.option(
    "--repair",
    "repair_",
    is_flag=True,
    help="Re-create damaged objects of the processed zone from the ingestion zone, then verify"
    " again.",
)
@as_json
def verify(repair_: bool, json_: bool) -> None:
    """Check the lake's hash chain, all its objects, and the audits.

    Exit status: 0 if all is well, 1 if there are findings.
    """
    from totesys_dagster.warehouse.status import conclusion

    begin(reads=True)
    result = _verify(repair=repair_)
    if json_:
        print_json(_verify_data(result))
    else:
        print_source()
        for finding in result.findings:
            output.print(f"[red]{escape(finding)}")
        output.print(
            f"{counted(result.batches, 'batch')}, {counted(result.deliveries, 'delivery')},"
            f" {counted(result.objects, 'object')} ({counted(result.bytes, 'byte')}) and"
            f" {counted(result.audits, 'audit')} checked:"
            f" {counted(len(result.findings), 'finding') if result.findings else 'all is well'}."
        )
        if result.audits and result.passed:
            output.print(escape(conclusion(loaded_standings())))
    sys.exit(0 if result.passed else 1)


def _verify_data(result: Verification) -> Verify:
    return {
        "source": settings.describe_source(),
        "passed": result.passed,
        "batches": result.batches,
        "deliveries": result.deliveries,
        "objects": result.objects,
        "bytes": result.bytes,
        "audits": result.audits,
        "findings": result.findings,
        "damaged": [{"sequence": number, "table": name} for number, name in result.damaged],
    }


def _verify(*, repair: bool) -> Verification:
    from totesys_dagster.operations.repair import repair as make_again
    from totesys_dagster.operations.verify import verify as verify_all
    from totesys_dagster.resources import Lake, Warehouse

    lake, warehouse = Lake(), Warehouse()
    ingestion, processed = lake.ingestion(), lake.processed()
    with progress.status("Verifying") as state, warehouse.connect() as connection:

        def look() -> Verification:
            return verify_all(
                connection,
                warehouse.names(),
                ingestion,
                processed,
                lambda done, all_: state.update(f"Verified batch {done} of {all_}"),
            )

        result = look()
        if repair and result.damaged:
            for number, star in result.damaged:
                progress.print(f"Processing {star} of batch {number} again")
            make_again(ingestion, processed, result.damaged)
            result = look()
    return result
