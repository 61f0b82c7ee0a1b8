"""`totesys report`: the page of the reports."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

import click

from totesys_dagster.commands.begin import begin
from totesys_dagster.commands.terminal import imports, progress


@click.command("report")
@click.option("--open", "open_", is_flag=True, help="Open it in the browser.")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    help="Determine what is due and overdue as of this day; today by default.",
)
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file."
)
def report(open_: bool, as_of: dt.datetime | None, output: Path | None) -> None:
    """Write the report page, and print its path.

    It is one HTML file. The warehouse's read-only role suffices to write it. It names members of
    staff: keep it to yourself.
    """
    begin(reads=True)
    path = make_page(as_of.date() if as_of else None, output)
    click.echo(path)
    if open_ and click.launch(path.as_uri()) != 0:
        progress.print("No browser could be started: open the file yourself.")


def make_page(as_of: dt.date | None = None, path: Path | None = None) -> Path:
    """Write the page for the warehouse as it is now. Returns its path."""
    from totesys_dagster.resources import Warehouse

    warehouse = Warehouse()
    with progress.status("Making the page"), warehouse.connect() as connection, imports():
        from totesys_dagster.page import local_copy

        path = path or local_copy.default_path()
        return local_copy.write(connection, warehouse.names(), path, as_of)
