"""Dagster's web server behind the guard: `totesys web`.

All of its options are Dagster's. The differences: it takes the port before loading anything, and
serves everything through the guard.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from totesys_dagster.entry import ended
from totesys_dagster.errors import SettingError

if TYPE_CHECKING:
    from totesys_dagster.web.guard import Application
    from totesys_dagster.web.hosts import Name

HOST = "127.0.0.1"
PORT = 3000


def take_port(host: str, port: int) -> list[socket.socket]:
    """Listening sockets of all addresses of `host`. Raises SettingError.

    Clients that connect wait until the UI is loaded. A socket that does not listen would not keep
    other servers off the port.
    """
    sockets: list[socket.socket] = []
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        for family, kind, protocol, _, address in dict.fromkeys(found):
            sockets.append(_listening(socket.socket(family, kind, protocol), address))
    except OSError as error:
        for one in sockets:
            one.close()
        raise SettingError(
            f"The Dagster UI cannot listen on port {port} of {host}"
            f" ({(error.strerror or str(error)).lower()}): stop what listens there, or choose"
            " another port with --port."
        ) from None
    return sockets


def _listening(listener: socket.socket, address: object) -> socket.socket:
    try:
        if os.name == "posix":
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if listener.family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        listener.bind(address)  # type: ignore[arg-type]
        listener.listen()
    except OSError:
        listener.close()
        raise
    return listener


def serve(host: str, port: int, options: Sequence[str]) -> int:
    """Serve the UI until the process has to end; `options` are those of dagster-webserver.

    Returns the exit status. Raises SettingError.
    """
    from totesys_dagster.web.hosts import served_names

    names = served_names()
    sockets = take_port(host, port)

    from totesys_dagster import json_logs
    from totesys_dagster.dagster_insides import detach_code_servers, web_server_command

    json_logs.configure()
    command = web_server_command(partial(_run, names, sockets))
    code_servers = detach_code_servers()
    try:
        return ended(
            lambda: command.main(
                ["--host", host, "--port", str(port), *options],
                prog_name="totesys web",
                auto_envvar_prefix="DAGSTER_WEBSERVER",
                standalone_mode=False,
            )
        )
    finally:
        for one in code_servers:  # Dagster has not ended them if it was interrupted early
            one.terminate()


def _run(
    names: tuple[Name, ...],
    sockets: list[socket.socket],
    application: Application,
    *,
    host: str,
    port: int,
    log_level: str,
) -> None:
    """Serve Dagster's application behind the guard."""
    import click
    import uvicorn
    from uvicorn.config import LOGGING_CONFIG

    from totesys_dagster import json_logs, settings
    from totesys_dagster.web.guard import Guard
    from totesys_dagster.web.reports import Reports

    prefix = click.get_current_context().params["path_prefix"]
    as_json = settings.log_format() == json_logs.JSON
    # The named host decides whether we answer, so no proxy header may change it.
    config = uvicorn.Config(
        Guard(Reports(application, prefix), names),
        host=host,
        port=port,
        log_level=log_level,
        proxy_headers=False,
        server_header=False,
        log_config=None if as_json else LOGGING_CONFIG,
    )
    with contextlib.suppress(KeyboardInterrupt):
        uvicorn.Server(config).run(sockets)
