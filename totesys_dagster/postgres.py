"""Connections to the two databases, and failures of theirs as sentences."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from totesys_dagster import settings
from totesys_dagster.errors import SettingError, TotesysError

Connection = psycopg.Connection[tuple[Any, ...]]

CONNECT_SECONDS = 10

# A server that vanishes in the middle of a query is noticed after a minute, not after the two hours
# that operating systems wait.
KEEPALIVES: dict[str, Any] = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

# Digests compare the text of values, and text must not depend on a role's own settings.
SESSION = """
SET datestyle TO ISO;
SET timezone TO 'UTC';
SET client_encoding TO 'UTF8';
SET statement_timeout TO 0;
SET lock_timeout TO '10s';
SET idle_in_transaction_session_timeout TO '10min';
"""


@dataclass(frozen=True)
class Names:
    """The names of one warehouse: the schema of its tables and that of its bookkeeping."""

    schema: str

    @property
    def bookkeeping(self) -> str:
        return self.schema + settings.BOOKKEEPING_SUFFIX

    def table(self, name: str) -> sql.Identifier:
        """A table or view of the warehouse, qualified."""
        return sql.Identifier(self.schema, name)

    def ledger(self, name: str) -> sql.Identifier:
        """A table of the bookkeeping, qualified."""
        return sql.Identifier(self.bookkeeping, name)


def _place(dsn: str) -> str:
    """Where a connection string points to, without its secrets."""
    parts = conninfo_to_dict(dsn)
    host = parts.get("host") or parts.get("hostaddr") or "the local socket"
    return f"{host}:{parts.get('port') or 5432}, database {parts.get('dbname') or 'of the user'}"


def _require_verification(setting: str, dsn: str) -> None:
    parts = conninfo_to_dict(dsn)
    mode = parts.get("sslmode") or settings.default_ssl_mode()
    hosts = str(parts.get("host") or parts.get("hostaddr") or "").split(",")
    for host in hosts:
        if mode != "verify-full" and not _is_local(host) and host not in settings.trusted_hosts():
            raise SettingError(
                f"{setting} reaches {host} with sslmode={mode}, which does not verify that it is"
                " the right server: add sslmode=verify-full and sslrootcert to it, or, on a network"
                f" that you trust, add the host to {settings.TRUSTED_HOSTS}."
            )


def _is_local(host: str) -> bool:
    if not host or host.startswith("/") or host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def reason(error: psycopg.Error) -> str:
    """What PostgreSQL says is wrong, as one line; no row's content (that is in the detail)."""
    # libpq says the last thing last, but for hints, which it indents, and details, as of a server
    # that is still recovering; an empty error has no line.
    lines = [
        line
        for line in str(error).splitlines()
        if line and not line[0].isspace() and not line.startswith(("DETAIL:", "HINT:"))
    ]
    message = error.diag.message_primary or (lines or [type(error).__name__])[-1]
    return message.strip().rstrip(".")


def connect(setting: str) -> Connection:
    """An autocommit connection to the database that `setting` names.

    Raises SettingError, with one sentence and without the password, when there is none, or when
    it would be reached over a network without verifying who it is.
    """
    dsn = settings.connection_string(setting)
    _require_verification(setting, dsn)
    try:
        return _open(dsn)
    except psycopg.Error as error:
        # A password that is kept in memory may have been rotated since.
        if settings.forget_secret(setting) and settings.connection_string(setting) != dsn:
            return connect(setting)
        raise SettingError(
            f"{setting} points to a database that cannot be used ({_place(dsn)}):"
            f" {reason(error)}. Check the address, the user and the password, then run again."
        ) from None


def _open(dsn: str) -> Connection:
    connection = psycopg.connect(
        dsn,
        autocommit=True,
        connect_timeout=CONNECT_SECONDS,
        application_name="totesys_dagster",
        **KEEPALIVES,
    )
    connection.execute(SESSION)
    return connection


def beside(connection: Connection) -> Connection:
    """Another connection to its database by the same login. Raises psycopg.OperationalError."""
    return _open(make_conninfo(connection.info.dsn, password=connection.info.password))


@contextmanager
def failures(kind: type[TotesysError], doing: str) -> Iterator[None]:
    """Turn a database error into `kind`, with one sentence that says what was being done."""
    try:
        yield
    except psycopg.Error as error:
        code = f" ({error.sqlstate})" if error.sqlstate else ""
        raise kind(f"PostgreSQL stopped {doing}{code}: {reason(error)}.") from None
