"""`totesys demo`, `simulate` and `clean`: the embedded default and its simulated business."""

from __future__ import annotations

import sys

import click
from rich.markup import escape

from totesys_dagster import settings
from totesys_dagster.commands.begin import begin
from totesys_dagster.commands.move import take_what_changed
from totesys_dagster.commands.page import make_page
from totesys_dagster.commands.terminal import loaded_tables, output, print_source
from totesys_dagster.errors import SettingError
from totesys_dagster.words import counted


@click.command()
def demo() -> None:
    """Run, simulate a day of business, and run again."""
    from totesys_dagster import report
    from totesys_dagster.local import stack
    from totesys_dagster.warehouse.status import all_equal, conclusion

    reports = take_what_changed()
    print_source()
    if not reports:
        output.print("Nothing changed in the source since the last run.\n")
    if settings.SOURCE_DSN in stack.start():
        _simulate(days=1, moments=0)
        reports += take_what_changed()
    for one in reports:
        report.print_batch(output, one)
    tables = loaded_tables()
    report.print_status(output, tables)
    output.print(f"\n{escape(conclusion(tables))}\n")
    output.print(f"The answers are on one page: {escape(str(make_page()))}", soft_wrap=True)
    output.print(
        "\nNext: `make dev` opens the Dagster UI with live simulated business,\n"
        "`make psql` a prompt in the warehouse, and `.venv/bin/totesys --help` lists the rest."
    )
    sys.exit(not all_equal(tables))


def _simulate(days: int, moments: int) -> None:
    import datetime as dt
    import random

    from totesys_dagster.local import stack
    from totesys_simulator import simulator

    with stack.application(settings.home()) as connection:
        for _ in range(days):
            done = simulator.business_day(connection)
            output.print(
                f"Simulated {done.day:%A %d %B %Y}: {counted(done.sales, 'sale')},"
                f" {counted(done.purchases, 'purchase')},"
                f" {counted(done.payments_received, 'payment')} received,"
                f" {counted(done.silent_edits, 'silent edit')} of orders (one of them undone),"
                f" {counted(done.designs_added, 'new design')},"
                f" {counted(done.orders_deleted, 'earlier order')} deleted.\n"
            )
        for _ in range(moments):
            now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
            output.print(simulator.business_moment(connection, random.Random(), now))  # nosec B311


@click.command()
@click.option("--days", type=click.IntRange(0, 1000), default=1, show_default=True)
@click.option("--moments", type=click.IntRange(0, 100_000), default=0, show_default=True)
def simulate(days: int, moments: int) -> None:
    """Simulate business in the source: whole days, or moments."""
    if settings.SOURCE_DSN not in begin():
        raise SettingError(
            f"{settings.SOURCE_DSN} is set, and a real source is never written to: unset the"
            " setting to simulate business in the embedded source."
        )
    _simulate(days, moments)


@click.command()
def clean() -> None:
    """Remove the invented company, its lake and its warehouse."""
    from totesys_dagster.local import server as postgres

    home = settings.home()
    known = (home / "server.json").exists()
    postgres.remove(home)
    if known and home.exists():
        output.print(f"Kept {home}: it contains files that do not belong to the embedded default.")
