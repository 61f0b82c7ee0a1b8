"""`totesys erase`: erase a person's values from lake and warehouse."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click
from rich.markup import escape

from totesys_dagster import settings
from totesys_dagster.commands.begin import begin
from totesys_dagster.commands.terminal import as_json, output, print_json, print_source, progress
from totesys_dagster.errors import NotConfirmedError
from totesys_dagster.words import counted

if TYPE_CHECKING:
    from totesys_dagster.json_output import Erase, RemovedObjects
    from totesys_dagster.operations.erase import Done
    from totesys_dagster.operations.erase_copies import Removed
    from totesys_dagster.operations.erase_plan import Plan


# A negative key gets its sentence, not one about options.
@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("table")
@click.argument("keys", nargs=-1, required=True, type=int, metavar="KEY [KEY…]")
@click.option("--yes", is_flag=True, help="Do not ask.")
@click.option("--dry-run", is_flag=True, help="Only say what would be done.")
@as_json
def erase(table: str, keys: tuple[int, ...], yes: bool, dry_run: bool, json_: bool) -> None:
    """Erase the PII of rows of ToteSys, for ever.

    First erase them in ToteSys, then run `totesys run`. All earlier values of the PII columns
    are erased in both zones of the lake and in the warehouse. What cannot be reached, such as
    backups, is listed in docs/erasure.md. If it is interrupted, run it again.

    \b
    totesys erase staff 7               the member of staff whose staff_id is 7
    totesys erase address 3 12 --yes    two addresses
    """
    from totesys_dagster.operations import erase as operation
    from totesys_dagster.operations.erase_plan import plan as plan_of
    from totesys_dagster.resources import Lake, Warehouse

    begin(reads=True)
    lake, warehouse = Lake(), Warehouse()
    ingestion, names = lake.ingestion(), warehouse.names()
    with progress.status("Reading the lake"):
        plan = plan_of(lake.log(), table, keys)
    with warehouse.connect_as_admin() as connection:
        operation.require_ready(connection, names, ingestion, plan.table, plan.superseded_by)
        if not json_:
            print_source()
            _print_plan(plan)
        if dry_run:
            if json_:
                print_json(_data(plan))
            return
        if not yes and plan.due:
            _confirm(json_)
        with progress.status("Erasing") as state:
            done = operation.erase(
                connection,
                names,
                ingestion,
                lake.processed(),
                plan,
                quarantine_limit=settings.quarantine_limit(),
                progress=state.update,
            )
    _remove_local_page()
    if json_:
        print_json(_data(plan, done))
    else:
        _print_done(plan, done)


def _confirm(json_: bool) -> None:
    if json_:
        raise NotConfirmedError("Nothing was erased: --json does not ask whether to, so add --yes.")
    try:
        click.confirm("Erase them? They cannot be restored", abort=True)
    except click.Abort:
        if sys.stdin is not None and sys.stdin.isatty():
            raise
        raise NotConfirmedError(
            "Nothing was erased: nobody could be asked whether to, so add --yes."
        ) from None


def _remove_local_page() -> None:
    """Remove the copy of the page that names people: `totesys report` makes it again."""
    from totesys_dagster.page import local_copy

    local_copy.default_path().resolve().unlink(missing_ok=True)


def _data(plan: Plan, done: Done | None = None) -> Erase:
    return {
        "source": settings.describe_source(),
        "table": plan.table.name,
        "keys": [*plan.keys],
        "columns": [*plan.columns],
        "versions": len(plan.due),
        "objects": len(plan.objects),
        "batches": sorted({sequence for sequence, _ in plan.objects}),
        "staying": {str(key): names for key, names in plan.staying.items()},
        "left": [*plan.left],
        "done": None
        if done is None
        else {
            "batches": [*done.batches],
            "tables": [*done.stars],
            "ingestion": _removed(done.ingestion),
            "processed": _removed(done.processed),
        },
    }


def _removed(removed: Removed) -> RemovedObjects:
    return {"objects": removed.objects, "older_versions": removed.others}


def _print_plan(plan: Plan) -> None:
    keys = ", ".join(map(str, plan.keys))
    columns = ", ".join(plan.columns)
    if plan.due:
        batches = {sequence for sequence, _ in plan.objects}
        output.print(
            escape(
                f"{plan.table.name} {keys}: {counted(len(plan.due), 'version')} with PII"
                f" ({columns}) in {counted(len(plan.objects), 'object')} of"
                f" {counted(len(batches), 'batch')}."
            )
        )
    else:
        output.print(
            escape(
                f"{plan.table.name} {keys}: no batch has PII ({columns}) that ToteSys no longer"
                " has. Only what an earlier erasure has left undone is to be completed."
            )
        )
    for key, names in plan.staying.items():
        output.print(
            escape(
                f"ToteSys has another value now for {', '.join(names)} of {plan.table.name} {key}:"
                " it stays. If that is PII, too, erase it there first."
            )
        )
    if plan.left:
        output.print(
            escape(
                f"Columns that the catalogue does not declare are left as ToteSys has them:"
                f" {', '.join(plan.left)}."
            )
        )


def _print_done(plan: Plan, done: Done) -> None:
    if done.batches:
        output.print(
            f"Processed {counted(len(done.batches), 'batch')} again and rebuilt"
            f" {', '.join(done.stars)}."
        )
    for zone, removed in (("ingestion", done.ingestion), ("processed", done.processed)):
        more = f" and {counted(removed.others, 'older version')}" if removed.others else ""
        output.print(f"Removed {counted(removed.objects, 'object')}{more} of the {zone} zone.")
    keys = ", ".join(map(str, plan.keys))
    output.print(
        escape(
            f"Erased: {plan.table.name} {keys}. Backups and copies made elsewhere still have the"
            " values until they expire: see docs/erasure.md."
        )
    )
