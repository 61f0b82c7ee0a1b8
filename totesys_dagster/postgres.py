"""Connections to the two databases, and failures of theirs as sentences."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

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

READ_COMMITTED = "ISOLATION LEVEL READ COMMITTED"

# What printing, hashing, locking and timing depend on; a role may preset all of it. These go into
# the message of BEGIN, since a preset timeout may be a millisecond. None is a query: a snapshot is
# taken with the first one, and a capture has to lock its tables before. No schema is searched but
# PostgreSQL's own, since another one may hold a function of the name that we call.
LOCAL_SETTINGS = """
SET LOCAL statement_timeout TO 0;
SET LOCAL idle_in_transaction_session_timeout TO '10min';
SET LOCAL lock_timeout TO '10s';
SET LOCAL search_path TO pg_catalog, pg_temp;
SET LOCAL client_encoding TO 'UTF8';
SET LOCAL datestyle TO 'ISO, MDY';
SET LOCAL intervalstyle TO 'postgres';
SET LOCAL timezone TO 'UTC';
SET LOCAL bytea_output TO 'hex';
SET LOCAL extra_float_digits TO 1;
SET LOCAL quote_all_identifiers TO off;
SET LOCAL standard_conforming_strings TO on;
SET LOCAL row_security TO off;
SET LOCAL exit_on_error TO off;
SET LOCAL gin_fuzzy_search_limit TO 0;
"""

# The same for settings that earlier servers do not know, by the version that brought them.
LOCAL_SETTINGS_SINCE = {170000: "SET LOCAL transaction_timeout TO 0;\n"}


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
        # The session may be a pooler's, who gives it to others between two transactions.
        prepare_threshold=None,
        connect_timeout=CONNECT_SECONDS,
        application_name="totesys_dagster",
        **KEEPALIVES,
    )
    with transaction(connection):  # a pooler connects to the server no sooner
        return connection


def beside(connection: Connection) -> Connection:
    """Another connection to its database by the same login. Raises psycopg.OperationalError."""
    return _open(make_conninfo(connection.info.dsn, password=connection.info.password))


def begin(connection: Connection, characteristics: str) -> None:
    """Begin a transaction under our settings, in one message and without a snapshot.

    `characteristics` are what SQL's BEGIN takes, its isolation level at least: a role may preset
    another one. Raises psycopg.Error.
    """
    version = connection.info.server_version
    newer = [text for since, text in LOCAL_SETTINGS_SINCE.items() if version >= since]
    connection.execute("".join([f"BEGIN {characteristics};", LOCAL_SETTINGS, *newer]).encode())


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """A READ COMMITTED transaction under our settings; within another one, a savepoint of it.

    Whatever the platform asks a database runs in one, because sessions are not ours alone: a pooler
    (PgBouncer in transaction mode, RDS Proxy) gives each transaction to any of its sessions, and
    what is set for longer than a transaction meets strangers. Raises psycopg.Error.
    """
    if connection.info.transaction_status is not TransactionStatus.IDLE:
        with connection.transaction():
            yield
        return
    begin(connection, READ_COMMITTED)
    try:
        yield
        connection.commit()
    finally:
        leave(connection)


def leave(connection: Connection) -> None:
    """Roll back the transaction that the connection is in, if any.

    In the middle of a COPY the server would not listen: hang up on it.
    """
    if connection.info.transaction_status is TransactionStatus.ACTIVE:
        connection.close()
    elif not connection.closed:
        with suppress(psycopg.Error):  # it broke, and then nothing is left to take back
            connection.rollback()


@contextmanager
def failures(kind: type[TotesysError], doing: str) -> Iterator[None]:
    """Turn a database error into `kind`, with one sentence that says what was being done."""
    try:
        yield
    except psycopg.Error as error:
        code = f" ({error.sqlstate})" if error.sqlstate else ""
        raise kind(f"PostgreSQL stopped {doing}{code}: {reason(error)}.") from None
