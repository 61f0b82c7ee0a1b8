"""`totesys run` and `totesys audit`: take changes all the way to the warehouse."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from totesys_dagster import settings
from totesys_dagster.catalogue import SOURCE_TABLES
from totesys_dagster.characters import visible
from totesys_dagster.commands.begin import begin
from totesys_dagster.commands.terminal import (
    as_json,
    imports,
    loaded_standings,
    loaded_tables,
    output,
    print_json,
    print_source,
    progress,
)
from totesys_dagster.dagster_home import directory, elsewhere, opened_instance
from totesys_dagster.parallel import import_ahead

if TYPE_CHECKING:
    from totesys_dagster.json_output import Run
    from totesys_dagster.orchestration.whole_path import BatchReport
    from totesys_dagster.warehouse.status import TableStanding


@click.command()
@click.option(
    "--full",
    "full_read",
    multiple=True,
    type=click.Choice(list(SOURCE_TABLES)),
    metavar="TABLE",
    help="Read this source table in full, even if nothing changed. Can be repeated. One of"
    f" {', '.join(SOURCE_TABLES)}.",
)
@as_json
def run(full_read: tuple[str, ...], json_: bool) -> None:
    """Capture, process, load and audit what changed, once.

    Takes waiting files, too.

    Exit status: 0 if every table of the warehouse equals the source, as far as it was compared (see
    `status`), even if nothing changed; 1 otherwise.
    """
    _run(full_read, whole=False, json_=json_)


@click.command()
@as_json
def audit(json_: bool) -> None:
    """Do what `run` does, and compare every table in full.

    Exit status: 0 if every table of the warehouse equals the source; 1 otherwise.
    """
    _run((), whole=True, json_=json_)


def _run(full_read: tuple[str, ...], *, whole: bool, json_: bool) -> None:
    from totesys_dagster.warehouse.status import all_equal

    reports = take_what_changed(full_read, whole=whole)
    tables = _print_json(reports) if json_ else _print(reports)
    sys.exit(not all_equal(tables))


def take_what_changed(full_read: tuple[str, ...] = (), *, whole: bool = False) -> list[BatchReport]:
    """Take what changed all the way to the warehouse, and show progress."""
    with progress.status("Starting") as status, ExitStack() as resources:

        def tell(what: str) -> None:
            status.update(what)
            if not progress.is_terminal:
                progress.print(f"{what} …")

        if other := elsewhere():
            progress.print(escape(other))
        tell("Starting")
        with imports():
            directory()
            import_ahead("dagster")
            begin(runs=True)
            tell("Loading Dagster")
            from totesys_dagster.definitions import defs
            from totesys_dagster.orchestration.bring_files import bring_files
            from totesys_dagster.orchestration.rates import bring_rates
            from totesys_dagster.orchestration.whole_path import run_path
            from totesys_dagster.resources import Lake, SourceDatabase, Warehouse

            instance = resources.enter_context(opened_instance())

        lake, warehouse = Lake(), Warehouse()
        reports = run_path(
            instance,
            defs.resolve_job_def,
            SourceDatabase(),
            lake,
            warehouse,
            full_read=full_read,
            whole=whole,
            progress=tell,
        )
        if wrong := bring_rates(instance, defs.resolve_job_def, lake, warehouse, tell):
            progress.print(escape(wrong))
        for said in bring_files(instance, defs.resolve_job_def, lake, warehouse, tell):
            progress.print(escape(visible(said)))
        return reports


def _print_json(reports: list[BatchReport]) -> Sequence[TableStanding]:
    from totesys_dagster import report
    from totesys_dagster.warehouse.status import all_equal

    tables = loaded_tables()
    data: Run = {
        "source": settings.describe_source(),
        "batches": [report.batch_data(one) for one in reports],
        "equal": all_equal(tables),
        "tables": report.status_data(tables),
    }
    print_json(data)
    return tables


def _print(reports: list[BatchReport]) -> Sequence[TableStanding]:
    from totesys_dagster import report
    from totesys_dagster.warehouse.status import conclusion

    tables = loaded_standings()
    print_source()
    if not reports:
        output.print("Nothing changed in the source since the last batch.")
    for one in reports:
        report.print_batch(output, one)
    output.print(escape(conclusion(tables)))
    return tables
