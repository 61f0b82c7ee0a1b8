"""The command line, `totesys`: `totesys --help` lists its commands.

Run it in the project's directory, where dagster.yaml is, or set DAGSTER_HOME. Whatever is not set
to a real system is provided by the embedded default.
"""

from __future__ import annotations

import datetime as dt
import errno
import gc
import json
import os
import re
import secrets
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
from dotenv import dotenv_values, load_dotenv
from rich.console import Console
from rich.markup import escape

from totesys_dagster import files, private, settings
from totesys_dagster.dagster_home import opened_instance
from totesys_dagster.errors import DeclarationError, SettingError, TotesysError
from totesys_dagster.interrupted import broken_off
from totesys_dagster.words import counted

# Tables are declared as they are imported, those of contracts among them, which .env may name.
with suppress(OSError, UnicodeError):
    if _contracts := dotenv_values(Path(".env")).get(settings.CONTRACTS):
        os.environ.setdefault(settings.CONTRACTS, _contracts)

try:
    from totesys_dagster.catalogue import SOURCE_TABLES
except (DeclarationError, SettingError) as error:
    sys.exit(f"Error: {error}")

if TYPE_CHECKING:
    from totesys_dagster.lake.verification import Verification
    from totesys_dagster.operations.renew import Due
    from totesys_dagster.orchestration.whole_path import BatchReport
    from totesys_dagster.postgres.sessions import Connection, Names
    from totesys_dagster.warehouse.status import TableStatus

# Reports go to standard output, progress and errors to standard error: pipes get the report alone.
# What is piped has no width to fit into.
_WIDTH = None if sys.stdout and sys.stdout.isatty() else 110
output = Console(highlight=False, width=_WIDTH)
progress = Console(stderr=True, highlight=False)

_FILE = click.Path(dir_okay=False, path_type=Path)
_port = click.option(
    "--port",
    "-p",
    type=click.IntRange(1, 65535),
    default=3000,
    show_default=True,
    help="Where the Dagster UI listens.",
)
as_json = click.option("--json", "json_", is_flag=True, help="Print the report as JSON.")


class _Cli(click.Group):
    """Errors that a person can act on end the command with their one sentence."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TotesysError as error:
            raise click.ClickException(str(error)) from None
        except OSError as error:
            if error.errno == errno.EPIPE:  # who reads the report has seen enough
                raise
            reason, remedy = files.why(error)
            place = error.filename or "A file"
            raise click.ClickException(f"{place} {reason}: {remedy}, then run again.") from None
        except Exception as error:
            if (sentence := broken_off(error)) is None:
                raise
            raise click.ClickException(sentence) from None


@click.group(cls=_Cli, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="totesys-dagster")
def main() -> None:
    """Change capture from ToteSys into an immutable lake and a star-schema warehouse."""
    private.write_privately()
    settings.require_known(os.environ, Path(".env"))
    load_dotenv(Path(".env"))


@contextmanager
def _imports() -> Iterator[None]:
    """Without the garbage collector, which goes through all that is imported again and again: a
    sixth of the time of a small run."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _run_path(full_read: tuple[str, ...] = (), *, whole: bool = False) -> list[BatchReport]:
    """Take what changed the whole way, telling on the way what is being done."""
    from totesys_dagster.local import stack

    with progress.status("Starting") as status, ExitStack() as resources:
        stack.start()
        status.update("Loading Dagster")
        with _imports():
            from totesys_dagster.definitions import defs
            from totesys_dagster.orchestration.whole_path import run_path
            from totesys_dagster.resources import Lake, SourceDatabase, Warehouse

            instance = resources.enter_context(opened_instance())

        def tell(what: str) -> None:
            status.update(what)
            if not progress.is_terminal:
                progress.print(f"{what} …")

        return run_path(
            instance,
            defs.resolve_job_def,
            SourceDatabase(),
            Lake(),
            Warehouse(),
            full_read=full_read,
            whole=whole,
            progress=tell,
        )


def _tables() -> list[TableStatus]:
    """How the warehouse's tables stand now."""
    from totesys_dagster.resources import Warehouse
    from totesys_dagster.warehouse.status import table_status

    warehouse = Warehouse()
    with warehouse.connect() as connection:
        return table_status(connection, warehouse.names())


def _print_reports(reports: list[BatchReport], tables: list[TableStatus], json_: bool) -> None:
    from totesys_dagster import report
    from totesys_dagster.warehouse.status import all_equal

    if json_:
        data = {
            "source": settings.describe_source(),
            "batches": [report.batch_data(one) for one in reports],
            "equal": all_equal(tables),
            "tables": report.status_data(tables),
        }
        click.echo(json.dumps(data, indent=1))
        return
    _print_source()
    if not reports:
        output.print("Nothing changed in the source since the last batch.")
    for one in reports:
        report.print_batch(output, one)
    output.print(escape(report.conclusion(tables)))


def _print_source() -> None:
    """Every report says which source it is about: a misspelt setting loads another one."""
    output.print(escape(f"Source: {settings.describe_source()}."))


@main.command()
@click.option(
    "--full",
    "full_read",
    multiple=True,
    type=click.Choice(list(SOURCE_TABLES)),
    help="Read this source table in full, whatever changed; may be given several times.",
)
@as_json
def run(full_read: tuple[str, ...], json_: bool) -> None:
    """Capture what changed, process it, load it and audit the result, once.

    Exit status: 0 when every table of the warehouse equals the source, as far as it was compared
    (see `status`), also when nothing changed; 1 otherwise.
    """
    _run(full_read, whole=False, json_=json_)


@main.command()
@as_json
def audit(json_: bool) -> None:
    """Take what changed, and compare every table with the source as a whole, whatever its size.

    Exit status: 0 when every table of the warehouse equals the source; 1 otherwise.
    """
    _run((), whole=True, json_=json_)


def _run(full_read: tuple[str, ...], *, whole: bool, json_: bool) -> None:
    from totesys_dagster.warehouse.status import all_equal

    reports = _run_path(full_read, whole=whole)
    tables = _tables()
    _print_reports(reports, tables, json_)
    sys.exit(not all_equal(tables))


@main.command("report")
@click.option("--open", "open_", is_flag=True, help="Open it in the browser.")
@click.option(
    "--as-of",
    type=click.DateTime(["%Y-%m-%d"]),
    help="The day by which it is judged what is due and overdue, today without.",
)
@click.option(
    "--output", "-o", type=click.Path(dir_okay=False, path_type=Path), help="Write it to this file."
)
def make_page(open_: bool, as_of: dt.datetime | None, output: Path | None) -> None:
    """Make the page of the reports, one HTML file, and print where it is.

    The warehouse's reader may do it as well. The page names members of staff: keep it to yourself.
    """
    from totesys_dagster.local import stack

    stack.start()
    path = _page(as_of.date() if as_of else None, output)
    click.echo(path)
    if open_ and click.launch(path.as_uri()) != 0:
        progress.print("No browser could be started: open the file with one.")


def _page(as_of: dt.date | None = None, path: Path | None = None) -> Path:
    """Make the page of the warehouse as it is now; where it is."""
    from totesys_dagster.resources import Warehouse

    warehouse = Warehouse()
    with progress.status("Making the page"), warehouse.connect() as connection, _imports():
        from totesys_dagster.page import local_copy

        path = path or local_copy.default_path()
        return local_copy.write(connection, warehouse.names(), path, as_of)


@main.command()
def demo() -> None:
    """Show the main job: run, let a business day happen in the embedded source, and run again."""
    from totesys_dagster import report
    from totesys_dagster.local import stack
    from totesys_dagster.warehouse.status import all_equal

    reports = _run_path()
    _print_source()
    if not reports:
        output.print("Nothing changed in the source since the last run.\n")
    if settings.SOURCE_DSN in stack.start():
        _simulate(days=1, moments=0)
        reports += _run_path()
    for one in reports:
        report.print_batch(output, one)
    tables = _tables()
    report.print_status(output, tables)
    output.print(f"\n{escape(report.conclusion(tables))}\n")
    output.print(f"The answers are on one page: {escape(str(_page()))}", soft_wrap=True)
    output.print(
        "\nNext: `make dev` opens the Dagster UI with the business going on,\n"
        "`make psql` a prompt in the warehouse, and `.venv/bin/totesys --help` lists the rest."
    )
    sys.exit(not all_equal(tables))


def _simulate(days: int, moments: int) -> None:
    import random

    from totesys_dagster.local import stack
    from totesys_simulator import simulator

    with stack.application(settings.home()) as connection:
        for _ in range(days):
            done = simulator.business_day(connection)
            output.print(
                f"Simulated {done.day:%A %d %B %Y}: {done.sales} sales, {done.purchases} purchases,"
                f" {done.payments_received} payments received, {done.silent_edits} silent edits of"
                f" orders, {done.designs_added} new designs, {done.orders_deleted} order deleted.\n"
            )
        for _ in range(moments):
            now = dt.datetime.now(dt.UTC).replace(tzinfo=None)
            output.print(simulator.business_moment(connection, random.Random(), now))  # nosec B311


@main.command()
@click.option("--days", type=click.IntRange(0, 1000), default=1, show_default=True)
@click.option("--moments", type=click.IntRange(0, 100_000), default=0, show_default=True)
def simulate(days: int, moments: int) -> None:
    """Let business happen in the embedded source: whole days, or single moments."""
    from totesys_dagster.local import stack

    if settings.SOURCE_DSN not in stack.start():
        raise SettingError(
            f"{settings.SOURCE_DSN} is set, and a real source is never written to: unset it to"
            " simulate business in the embedded one."
        )
    _simulate(days, moments)


def _provide_lake() -> None:
    """Let the web server find the pages of the embedded default, which starts no server for it."""
    from totesys_dagster.local import stack

    if not settings.is_set(settings.PROCESSED_URL):
        stack.start_when_needed()


@main.command()
@_port
def dev(port: int) -> None:
    """Open the Dagster UI on http://127.0.0.1:PORT with the sensors on. Ctrl-C stops everything."""
    from totesys_dagster.alerting import notify
    from totesys_dagster.local import leftovers as leftovers_
    from totesys_dagster.web.server import HOST, take_port

    for taken in take_port(HOST, port):
        taken.close()
    _provide_lake()
    if not notify.channels():
        progress.print(notify.ALERTS_OFF)
    progress.print(
        f"The Dagster UI opens on http://127.0.0.1:{port} soon; Ctrl-C stops everything."
    )
    # A shell starts background jobs with Ctrl-C ignored, and a process passes that on.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    # The daemon starts runs by forking, which gRPC's library would remark upon each time.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    os.environ[leftovers_.MARK] = secrets.token_hex(8)
    leftovers = [sys.executable, "-m", "totesys_dagster.local.leftovers", str(os.getpid())]
    subprocess.Popen(leftovers, stdin=subprocess.DEVNULL)  # nosec B603
    options = ["-h", HOST, "-p", str(port), "--log-level", "warning"]
    quiet = ["-W", "ignore:Function `dev_command` is superseded"]
    command = [sys.executable, *quiet, "-m", "totesys_dagster.local.dev", *options]
    os.execv(sys.executable, command)  # nosec B606


@main.command(
    context_settings={"help_option_names": ["--help"], "ignore_unknown_options": True},
    options_metavar="[OPTIONS OF dagster-webserver]",
)
@click.option("--host", "-h", default="127.0.0.1", show_default=True, help="Where to listen.")
@_port
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="")
def web(host: str, port: int, options: tuple[str, ...]) -> None:
    """Serve the Dagster UI alone, to its own pages only.

    It is Dagster's web server, which has no login, behind a guard: requests of other pages are
    refused, and so are hosts other than this machine and those of TOTESYS_WEB_HOSTS.
    """
    _provide_lake()
    # What the command line has imported is of no use to a server.
    server = [sys.executable, "-m", "totesys_dagster.web", "--host", host, "--port", str(port)]
    os.execv(sys.executable, [*server, *options])  # nosec B606


@main.command()
@as_json
def status(json_: bool) -> None:
    """Show how far the lake and the warehouse are, and the state of each table."""
    from totesys_dagster import report
    from totesys_dagster.feeds.registry import FEEDS
    from totesys_dagster.feeds.status import feed_status
    from totesys_dagster.local import stack
    from totesys_dagster.operations.quarantine import stopped
    from totesys_dagster.operations.renew import Due, due
    from totesys_dagster.resources import Lake, Warehouse
    from totesys_dagster.warehouse import ledger, schema
    from totesys_dagster.warehouse.status import table_status

    stack.start()
    warehouse, lake = Warehouse(), Lake()
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
    found = report.Status(settings.describe_source(), head, loaded, tables, outdated, feeds, why)
    if json_:
        click.echo(json.dumps(found.data(), indent=1))
        return
    _print_source()
    found.print(output, declared=ready or not made)


@main.command()
@click.option("--batch", type=click.IntRange(min=1), help="Of this batch, loaded or not.")
@as_json
def quarantine(batch: int | None, json_: bool) -> None:
    """List the rows in quarantine: those of a batch, or all that the warehouse lacks now."""
    from totesys_dagster import report
    from totesys_dagster.local import stack
    from totesys_dagster.operations.quarantine import of_batch, of_now
    from totesys_dagster.resources import Lake, Warehouse

    stack.start()
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
        click.echo(json.dumps([row.data() for row in rows], indent=1))
    elif rows:
        report.print_quarantine(output, rows)
    else:
        output.print("No row is in quarantine.")


@main.command()
@click.option(
    "--repair",
    "repair_",
    is_flag=True,
    help="Make damaged objects of the processed zone again from the ingestion zone, and verify once"
    " more.",
)
@as_json
def verify(repair_: bool, json_: bool) -> None:
    """Check the lake's chain, every object of it, and the audits. Exit status 1 on findings."""
    from totesys_dagster import report
    from totesys_dagster.local import stack

    stack.start()
    result = _verify(repair=repair_)
    if json_:
        data = {"source": settings.describe_source(), "passed": result.passed, **vars(result)}
        click.echo(json.dumps(data, indent=1))
    else:
        _print_source()
        for finding in result.findings:
            output.print(f"[red]{escape(finding)}")
        output.print(
            f"{counted(result.batches, 'batch')}, {counted(result.objects, 'object')}"
            f" ({result.bytes:,} bytes) and"
            f" {result.audits} audits checked:"
            f" {f'{len(result.findings)} findings' if result.findings else 'all is well'}."
        )
        if result.audits and result.passed:
            output.print(escape(report.conclusion(_tables())))
    sys.exit(0 if result.passed else 1)


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
                progress.print(f"Making {star} of batch {number} again")
            make_again(ingestion, processed, result.damaged)
            result = look()
    return result


@main.command()
@click.option(
    "--lose-loaded-batches",
    is_flag=True,
    help="Go on though the warehouse holds batches that this lake does not have: what they brought"
    " is lost.",
)
@as_json
def rebuild(lose_loaded_batches: bool, json_: bool) -> None:
    """Rebuild the warehouse from the lake alone, and compare it with the one that is there.

    Its rows are replaced only where the new ones are proved to be what the source held.
    """
    from totesys_dagster.local import stack
    from totesys_dagster.operations.rebuild import rebuild as rebuild_all
    from totesys_dagster.resources import Lake, Warehouse

    stack.start()
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
        data = {"source": settings.describe_source(), **vars(result)}
        click.echo(json.dumps(data, indent=1))
        return
    _print_source()
    output.print(f"Rebuilt from {counted(result.batches, 'batch')}:")
    for star, rows in result.rows.items():
        output.print(f"  {star:<22}{rows:>12,} rows{_compared(result.different, star)}")
    if result.different is None:
        output.print("The warehouse was empty, and is filled now.")
    elif any(result.different.values()):
        output.print("Where rows differed, those of the lake have taken their place.")
    else:
        output.print("The rebuilt warehouse equals the one that was there, row for row.")


def _compared(different: dict[str, int] | None, star: str) -> str:
    if different is None:
        return ""
    return f", {different[star]:,} different" if different[star] else ", equal"


@main.command()
@click.option("--print", "print_", is_flag=True, help="Print the SQL, and run none of it.")
def migrate(print_: bool) -> None:
    """Make the warehouse's tables, or bring them up to date, as the role that owns them."""
    from totesys_dagster.local import stack
    from totesys_dagster.resources import Warehouse
    from totesys_dagster.warehouse import schema

    stack.start()
    warehouse = Warehouse()
    with warehouse.connect_as_admin() as connection:
        if print_:
            text = schema.show(connection, warehouse.names())
            click.echo(text or "-- The warehouse is up to date.")
            return
        done = schema.migrate(connection, warehouse.names())
        found = _renew(connection, warehouse.names())
    if found and not found.is_asked_for:
        done += [f"{star.name} is rebuilt from the lake" for star in found.stars]
    output.print(f"Migrated: {'; '.join(done)}." if done else "The warehouse is up to date.")
    if found and found.is_asked_for:
        output.print(found.question)


def _renew(connection: Connection, names: Names) -> Due | None:
    """Rebuild the tables whose declaration has changed; what that was, None for nothing."""
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


@main.command()
@click.argument("database", type=click.Choice(["warehouse", "source"]), default="warehouse")
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def psql(database: str, arguments: tuple[str, ...]) -> None:
    """Open psql in the warehouse (or the source); what follows `--` is passed on to psql."""
    from totesys_dagster.local import stack
    from totesys_dagster.local.programs import find_binaries
    from totesys_dagster.postgres.targets import conninfo

    stack.start()
    name = settings.WAREHOUSE_DSN if database == "warehouse" else settings.SOURCE_DSN
    program = shutil.which("psql") or str(find_binaries() / "psql")
    # Schemas as SQL quotes them; a backslash keeps what the options would be split at.
    schema = settings.warehouse_schema()
    both = ['"' + one.replace('"', '""') + '"' for one in (settings.reports_schema(schema), schema)]
    options = "-c search_path=" + re.sub(r"([\\\s])", r"\\\1", ",".join([*both, "public"]))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is psql's to handle
    # Not on the command line, where every user of the machine can read it.
    environment = {**os.environ, **_libpq(conninfo(name)), "PGOPTIONS": options}
    sys.exit(subprocess.run([program, *arguments], env=environment, check=False).returncode)  # nosec B603


@main.command()
@click.option("--with-password", is_flag=True, help="Tell the reader's password, too.")
@click.option("--uri", "only_uri", is_flag=True, help="Print the connection string alone.")
@click.option("--pbids", type=_FILE, help="Write a file that Power BI Desktop opens.")
@click.option("--tds", type=_FILE, help="Write a data source that Tableau opens.")
@click.option("--force", is_flag=True, help="Replace files that are there.")
@as_json
def connect(
    with_password: bool,
    only_uri: bool,
    pbids: Path | None,
    tds: Path | None,
    force: bool,
    json_: bool,
) -> None:
    """Tell how to read the warehouse with other tools, as a role that may only read it.

    No file has a password in it. The embedded server listens while a command runs, such as `dev`.
    """
    from totesys_dagster import connect as readers
    from totesys_dagster.local import stack
    from totesys_dagster.resources import Warehouse

    if pbids is not None and pbids == tds:
        raise click.UsageError("--pbids and --tds name the same file.")
    stack.start()
    warehouse, reader = Warehouse(), readers.reader()
    with warehouse.connect() as connection:
        readers.require_reader(connection, warehouse.names(), reader.user)
    uri = reader.uri(with_password=with_password)
    pieces = reader.pieces(with_password=with_password)
    files = {p: text() for p, text in ((pbids, reader.pbids), (tds, reader.tds)) if p}
    readers.write(files, force=force)
    # Not through rich, which breaks long lines.
    if json_:
        click.echo(json.dumps({"uri": uri, **pieces, "files": [*map(str, files)]}, indent=1))
    elif only_uri:
        click.echo(uri)
    else:
        click.echo(uri)
        for name, value in pieces.items():
            click.echo(f"{name:<10}{value}")
        for path in files:
            click.echo(f"Wrote {path}.")


@main.command()
def clean() -> None:
    """Remove the embedded default: its server, its databases and its lake."""
    from totesys_dagster.local import server as postgres

    home = settings.home()
    known = (home / "server.json").exists()
    postgres.remove(home)
    if known and home.exists():
        output.print(f"{home} stays, for it holds files that are not of the embedded default.")


def _libpq(dsn: str) -> dict[str, str]:
    """A connection string as the environment variables that libpq reads."""
    from psycopg.conninfo import conninfo_to_dict

    parameters = conninfo_to_dict(dsn)
    parameters["database"] = parameters.pop("dbname", None)
    return {
        f"PG{name.upper()}": str(value) for name, value in parameters.items() if value is not None
    }


if __name__ == "__main__":
    from totesys_dagster import entry

    entry.main()
