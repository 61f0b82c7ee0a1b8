"""`totesys migrate` and `totesys rebuild`: bring the warehouse up to date, or rebuild it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from totesys_dagster import settings
from totesys_dagster.commands.begin import begin
from totesys_dagster.commands.terminal import as_json, output, print_json, print_source, progress
from totesys_dagster.words import counted

if TYPE_CHECKING:
    from totesys_dagster.json_output import Rebuild
    from totesys_dagster.operations.renew import Due
    from totesys_dagster.postgres.sessions import Connection, Names


@click.command()
@click.option("--print", "print_", is_flag=True, help="Print the SQL without running it.")
def migrate(print_: bool) -> None:
    """Create the warehouse's tables or update them, as their owner."""
    from totesys_dagster.resources import Warehouse
    from totesys_dagster.warehouse import schema
    from totesys_dagster.warehouse.reporting import note_reporting_currency

    begin(reads=print_)
    warehouse = Warehouse()
    with warehouse.connect_as_admin() as connection:
        if print_:
            text = schema.show(connection, warehouse.names())
            click.echo(text or "-- The warehouse is up to date.")
            return
        done = schema.migrate(connection, warehouse.names(), restore=True)
        note_reporting_currency(connection, warehouse.names(), settings.reporting_currency())
        found = _renew(connection, warehouse.names())
    if found and not found.is_asked_for:
        done += [f"{star.name} is rebuilt from the lake" for star in found.stars]
    output.print(f"Migrated: {'; '.join(done)}." if done else "The warehouse is up to date.")
    if found and found.is_asked_for:
        output.print(found.question)


def _renew(connection: Connection, names: Names) -> Due | None:
    """Rebuild the tables whose declaration has changed. Returns what was due, None for nothing."""
    from totesys_dagster.operations.renew import outdated, renew
    from totesys_dagster.resources import Lake

    if not outdated(connection, names):
        return None
    lake = Lake()
    with progress.status("Migrating") as state:
        return renew(
            connection,
            names,
            lake.ingestion(),
            lake.processed(),
            quarantine_limit=settings.quarantine_limit(),
            progress=state.update,
        )


@click.command()
@click.option(
    "--lose-loaded-batches",
    is_flag=True,
    help="Proceed even if the warehouse holds batches that this lake does not have. What they"
    " brought is lost.",
)
@as_json
def rebuild(lose_loaded_batches: bool, json_: bool) -> None:
    """Rebuild the warehouse from the lake alone, and compare.

    Rows are replaced only where the new ones are proved to be what the source held.
    """
    from totesys_dagster.operations.rebuild import rebuild as rebuild_all
    from totesys_dagster.resources import Lake, Warehouse

    begin(reads=not settings.is_set(settings.INGESTION_URL))
    lake, warehouse = Lake(), Warehouse()
    with progress.status("Rebuilding") as state, warehouse.connect_as_admin() as connection:
        result = rebuild_all(
            connection,
            warehouse.names(),
            lake.ingestion(),
            lake.processed(),
            quarantine_limit=settings.quarantine_limit(),
            progress=lambda done, all_: state.update(f"Loaded batch {done} of {all_}"),
            lose_loaded_batches=lose_loaded_batches,
        )
    if json_:
        data: Rebuild = {
            "source": settings.describe_source(),
            "batches": result.batches,
            "rows": result.rows,
            "different": result.different,
        }
        print_json(data)
        return
    print_source()
    output.print(f"Rebuilt from {counted(result.batches, 'batch')}:")
    for star, rows in result.rows.items():
        output.print(f"  {star:<22}{rows:>12,} rows{_compared(result.different, star)}")
    if result.different is None:
        filled = "is now filled" if result.batches else "stays so: the lake holds no batch"
        output.print(f"The warehouse was empty and {filled}.")
    elif any(result.different.values()):
        output.print("Rows that differed were replaced by those from the lake.")
    else:
        output.print("The rebuilt warehouse equals the previous one, row for row.")


def _compared(different: dict[str, int] | None, star: str) -> str:
    if different is None:
        return ""
    return f", {different[star]:,} different" if different[star] else ", equal"
