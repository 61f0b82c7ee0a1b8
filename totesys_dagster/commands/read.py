"""`totesys psql` and `totesys connect`: ways to read the warehouse."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from totesys_dagster import files, settings
from totesys_dagster.commands.begin import begin
from totesys_dagster.commands.terminal import as_json, output, print_json
from totesys_dagster.errors import SettingError

if TYPE_CHECKING:
    from totesys_dagster.connect import Reader
    from totesys_dagster.json_output import Connect

DATABASES = ("warehouse", "source")

_FILE = click.Path(dir_okay=False, path_type=Path)


@click.command(
    context_settings={"ignore_unknown_options": True}, options_metavar="[OPTIONS] [DATABASE]"
)
@click.option("--write", is_flag=True, help="Connect as a role that can write.")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[OPTIONS OF psql]")
def psql(write: bool, arguments: tuple[str, ...]) -> None:
    """Open psql in the warehouse, as its read-only role.

    DATABASE is `warehouse` or `source`. In the source you have the platform's own role; with
    --write, that of the invented company's application, so you can edit orders. A real source is
    never written to. In the warehouse, --write gives you the role that loads it.

    \b
    totesys psql -c '\\dv+'             list the reports
    totesys psql -f questions.sql       run a file
    totesys psql source --write         edit an order
    """
    from totesys_dagster.local.programs import find_binaries

    database = arguments[0] if arguments and arguments[0] in DATABASES else "warehouse"
    arguments = arguments[arguments[:1] == (database,) :]
    if arguments and not arguments[0].startswith("-"):
        raise click.UsageError(f"{arguments[0]!r} is neither warehouse nor source.")
    login = _login(database, begin(reads=True), write=write)
    program = shutil.which("psql") or str(find_binaries() / "psql")
    # Schemas are quoted as in SQL. A backslash protects the spaces at which options are split.
    schema = settings.warehouse_schema()
    both = ['"' + one.replace('"', '""') + '"' for one in (settings.reports_schema(schema), schema)]
    options = "-c search_path=" + re.sub(r"([\\\s])", r"\\\1", ",".join([*both, "public"]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is psql's to handle
    # Not on the command line, which every user of the machine can read.
    environment = {**os.environ, **_environment(login), "PGOPTIONS": options}
    sys.exit(subprocess.run([program, *arguments], env=environment, check=False).returncode)  # nosec B603


def _login(database: str, provided: set[str], *, write: bool) -> Mapping[str, Any]:
    """libpq's parameters for the role that psql connects as. Raises SettingError."""
    from psycopg.conninfo import conninfo_to_dict

    from totesys_dagster import connect as readers
    from totesys_dagster.local import stack
    from totesys_dagster.postgres.targets import conninfo

    if database == "warehouse" and not write:
        return readers.reader().parameters
    if database == "source" and write:
        if settings.SOURCE_DSN not in provided:
            raise SettingError(
                f"{settings.SOURCE_DSN} is set, and a real source is never written to: leave out"
                " --write, or unset the setting to edit the embedded source."
            )
        return conninfo_to_dict(stack.application_dsn(settings.home()))
    name = settings.WAREHOUSE_DSN if database == "warehouse" else settings.SOURCE_DSN
    return conninfo_to_dict(conninfo(name))


def _environment(parameters: Mapping[str, Any]) -> dict[str, str]:
    """libpq's parameters as the environment variables that it reads."""
    named = {"database" if name == "dbname" else name: v for name, v in parameters.items()}
    return {f"PG{name.upper()}": str(value) for name, value in named.items() if value is not None}


@click.command()
@click.option("--with-password", is_flag=True, help="Include the reader's password.")
@click.option("--uri", "only_uri", is_flag=True, help="Print only the connection string.")
@click.option("--pbids", type=_FILE, help="Write a file that Power BI Desktop opens.")
@click.option("--tds", type=_FILE, help="Write a data source that Tableau opens.")
@click.option("--force", is_flag=True, help="Replace existing files.")
@as_json
def connect(
    with_password: bool,
    only_uri: bool,
    pbids: Path | None,
    tds: Path | None,
    force: bool,
    json_: bool,
) -> None:
    """Show how other tools connect to the warehouse, as its reader.

    The files contain no password. The embedded server listens only while a command such as `dev`
    runs.
    """
    from totesys_dagster import connect as readers
    from totesys_dagster.resources import Warehouse

    pbids = files.to_write(pbids, "--pbids") if pbids else None
    tds = files.to_write(tds, "--tds") if tds else None
    if pbids is not None and pbids == tds:
        raise click.UsageError("--pbids and --tds name the same file.")
    if only_uri and json_:
        raise click.UsageError("--uri and --json exclude each other: choose one.")
    provided = begin(reads=True)
    warehouse, reader = Warehouse(), readers.reader()
    with warehouse.connect() as connection:
        readers.require_reader(connection, warehouse.names(), reader.user)
    uri = reader.uri(with_password=with_password)
    pieces = reader.pieces(with_password=with_password)
    written = {p: text() for p, text in ((pbids, reader.pbids), (tds, reader.tds)) if p}
    readers.write(written, force=force)
    if json_:
        print_json(_connect_data(reader, written, with_password=with_password))
    elif only_uri:  # not through rich, which breaks long lines
        click.echo(uri)
    else:
        click.echo(uri)
        for name, value in pieces.items():
            click.echo(f"{name:<10}{value}")
        for path in written:
            click.echo(f"Wrote {path}.")
        if settings.WAREHOUSE_DSN in provided:
            output.print(
                "This is the embedded server: it listens on this machine only, while a command"
                " runs. Keep `totesys dev` open while your tool is connected."
            )


def _connect_data(reader: Reader, written: Iterable[Path], *, with_password: bool) -> Connect:
    data: Connect = {
        "uri": reader.uri(with_password=with_password),
        "server": reader.server,
        "port": reader.port,
        "database": reader.database,
        "user": reader.user,
        "sslmode": reader.sslmode,
        "schemas": [*reader.schemas],
        "files": [*map(str, written)],
    }
    if with_password:
        data["password"] = reader.password
    return data
