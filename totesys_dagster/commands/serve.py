"""`totesys dev` and `totesys web`: the Dagster UI."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
from rich.markup import escape

from totesys_dagster import settings
from totesys_dagster.commands.begin import require_usable
from totesys_dagster.commands.terminal import progress
from totesys_dagster.dagster_home import directory, elsewhere, require_storage
from totesys_dagster.entry import become
from totesys_dagster.errors import SettingError

port_option = click.option(
    "--port",
    "-p",
    type=click.IntRange(1, 65535),
    default=3000,
    show_default=True,
    help="The port of the Dagster UI.",
)


@click.command()
@port_option
def dev(port: int) -> None:
    """Start the Dagster UI and the sensors; Ctrl-C stops both.

    If the source is the invented company, simulated business goes on.
    """
    from totesys_dagster.alerting import notify
    from totesys_dagster.web.server import HOST, take_port

    for taken in take_port(HOST, port):
        taken.close()
    if not (Path("workspace.yaml").exists() or Path("pyproject.toml").exists()):
        raise SettingError(
            "There is no workspace.yaml here: run `totesys dev` in the project's directory."
        )
    require_usable()
    require_storage()
    lock = _require_to_be_alone()
    if other := elsewhere():
        progress.print(escape(other))
    if not notify.channels():
        progress.print(notify.ALERTS_OFF)
    progress.print(
        f"The Dagster UI will soon open on http://127.0.0.1:{port}. Ctrl-C stops everything."
    )
    # The daemon starts runs by forking, and gRPC's library would log a remark each time.
    os.environ.setdefault("GRPC_VERBOSITY", "ERROR")
    options = ["-h", HOST, "-p", str(port), "--log-level", "warning"]
    become([sys.executable, "-m", "totesys_dagster.local.attend", str(lock), *options])


def _require_to_be_alone() -> int:
    """Allow one `totesys dev` per Dagster instance: two daemons would start every run twice.

    Returns the descriptor that holds the lock. Raises SettingError.
    """
    from totesys_dagster.local import locks

    path = directory() / ".dagster" / "dev.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    held = locks.acquire(path)
    if held is None:
        raise SettingError(
            f"`totesys dev` is already running for {path.parent.parent}: use its UI, or stop it"
            " with Ctrl-C where it runs."
        )
    os.set_inheritable(held, True)
    return held


@click.command(
    context_settings={"help_option_names": ["--help"], "ignore_unknown_options": True},
    options_metavar="[OPTIONS OF dagster-webserver]",
)
@click.option("--host", "-h", default="127.0.0.1", show_default=True, help="Where to listen.")
@port_option
@click.argument("options", nargs=-1, type=click.UNPROCESSED, metavar="")
def web(host: str, port: int, options: tuple[str, ...]) -> None:
    """Serve the Dagster UI alone, to its own pages only.

    Dagster's web server has no login. This command puts a guard in front of it, which refuses
    requests from other pages, and hosts other than this machine and those in TOTESYS_WEB_HOSTS.
    """
    if not settings.is_set(settings.PROCESSED_URL):  # where the pages are; no other secret is read
        require_usable()
    require_storage()
    # Dagster's own web server would keep a history of its own, and forget it.
    os.environ.setdefault("DAGSTER_HOME", str(directory()))
    # A server has no use for what the command line has imported.
    server = [sys.executable, "-m", "totesys_dagster.web", "--host", host, "--port", str(port)]
    become([*server, *options])
