"""Connections to the two databases, and their failures as sentences."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, LiteralString

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.pq import TransactionStatus

from totesys_dagster import settings
from totesys_dagster.errors import SettingError, SourceError, TotesysError
from totesys_dagster.postgres import certificates
from totesys_dagster.postgres.failures import reason, remedy
from totesys_dagster.postgres.patience import PatientConnection
from totesys_dagster.postgres.targets import find_target, unusable

Connection = psycopg.Connection[tuple[Any, ...]]
Query = LiteralString | bytes | sql.SQL | sql.Composed
Parameters = Sequence[Any] | Mapping[str, Any] | None

CONNECT_SECONDS = 10

# A server that vanishes during a query is noticed after a minute, not after the two hours that
# operating systems wait.
KEEPALIVES: dict[str, Any] = {
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
}

READ_COMMITTED = "ISOLATION LEVEL READ COMMITTED"

# What printing, hashing, locking and timing depend on; a role can preset all of it. These go into
# the same message as BEGIN, since a preset timeout can be tiny. None of them is a query: the first
# query takes the snapshot, and a capture must lock its tables before that. The search path contains
# only PostgreSQL's own schema: another one might have a function with the name that we call.
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

# The same for settings that earlier servers do not know, by the version that introduced them.
# Compiling a query took ten times longer than running it over few, never analyzed rows.
LOCAL_SETTINGS_SINCE = {
    110000: "SET LOCAL jit TO off;\n",
    170000: "SET LOCAL transaction_timeout TO 0;\n",
}


# Settings that no role can change for itself, and that must be off when rows are read or compared.
UNSAFE = """
SELECT name
FROM unnest(ARRAY['zero_damaged_pages', 'ignore_checksum_failure']) AS settings (name)
WHERE current_setting(name)::boolean
"""


@dataclass(frozen=True)
class Names:
    """The names of one warehouse: the schemas of its tables, bookkeeping and reports. The temporary
    one of a rebuild has no reports."""

    schema: str
    with_reports: bool = True

    @property
    def bookkeeping(self) -> str:
        return self.schema + settings.BOOKKEEPING_SUFFIX

    @property
    def reports(self) -> str:
        return settings.reports_schema(self.schema)

    def table(self, name: str) -> sql.Identifier:
        """A table or view of the warehouse, qualified."""
        return sql.Identifier(self.schema, name)

    def ledger(self, name: str) -> sql.Identifier:
        """A table of the bookkeeping, qualified."""
        return sql.Identifier(self.bookkeeping, name)

    def report(self, name: str) -> sql.Identifier:
        """A view or function of the reports, qualified."""
        return sql.Identifier(self.reports, name)


def connect(setting: str) -> Connection:
    """An autocommit connection to the database that `setting` names.

    Raises SettingError, with one sentence and without the password, if there is none, or if it
    would be reached over a network without verifying its identity.
    """
    dsn = settings.connection_string(setting)
    target = find_target(setting, dsn)
    try:
        connection = _open(target.conninfo)
        with transaction(connection):
            row = connection.execute(UNSAFE).fetchone()
    except psycopg.Error as error:
        # A password kept in memory may have been rotated since.
        if settings.forget_secret(setting) and settings.connection_string(setting) != dsn:
            return connect(setting)
        why = reason(error)
        if "certificate verify failed" in why:
            why = certificates.trouble(conninfo_to_dict(target.conninfo)) or why
        raise unusable(setting, target.place, why, error) from None
    if target.verified and not _is_encrypted(connection):
        connection.close()
        raise SettingError(
            f"{setting} asks for sslmode=verify-full, but the connection to {target.place} is not"
            " encrypted: leave out what replaces TLS."
        )
    if row is not None:
        connection.close()
        raise SettingError(
            f"{setting} points to a database whose sessions have {row[0]} on ({target.place}):"
            " rows of damaged pages would look deleted; restore what is damaged, then ALTER"
            f" ROLE and ALTER DATABASE … RESET {row[0]}."
        )
    return connection


def _is_encrypted(connection: Connection) -> bool:
    """Whether its bytes travel by TLS, or not at all: a Unix socket stays on this machine."""
    return connection.pgconn.ssl_in_use or connection.info.host.startswith(("/", "@"))


def _open(conninfo: str) -> Connection:
    return PatientConnection.connect(
        conninfo,
        autocommit=True,
        # The session may belong to a pooler, which gives it to others between transactions.
        prepare_threshold=None,
        connect_timeout=CONNECT_SECONDS,
        application_name="totesys_dagster",
        **KEEPALIVES,
    )


def beside(connection: Connection) -> Connection:
    """Another connection to the same server with the same login. Raises psycopg.OperationalError.

    If there are several hosts or addresses, it uses that of the connection. A pooler without a free
    session may take minutes to say so: this waits ten seconds.
    """
    info = connection.info
    place = {"host": info.host, "hostaddr": info.hostaddr or None, "port": str(info.port)}
    other = _open(make_conninfo(info.dsn, **place, password=info.password))
    patience = threading.Timer(CONNECT_SECONDS, _hang_up, [other])
    patience.start()
    try:
        with transaction(other):
            return other
    except psycopg.Error:
        other.close()
        raise
    finally:
        patience.cancel()


def _hang_up(connection: Connection) -> None:
    """Break a connection that another thread is waiting on."""
    with (
        suppress(psycopg.Error, OSError),
        socket.socket(fileno=os.dup(connection.fileno())) as line,
    ):
        line.shutdown(socket.SHUT_RDWR)


def begin(connection: Connection, characteristics: str) -> None:
    """Begin a transaction under our settings, in one message and without a snapshot.

    `characteristics` are those of SQL's BEGIN, at least the isolation level: a role can preset
    another one. Raises psycopg.Error.
    """
    version = connection.info.server_version
    newer = [text for since, text in LOCAL_SETTINGS_SINCE.items() if version >= since]
    connection.execute("".join([f"BEGIN {characteristics};", *newer, LOCAL_SETTINGS]).encode())


@contextmanager
def transaction(connection: Connection) -> Iterator[None]:
    """A READ COMMITTED transaction under our settings; inside another transaction, a savepoint.

    Every query of the platform runs in one, because sessions are not ours alone: a pooler
    (PgBouncer in transaction mode, RDS Proxy) gives each transaction to any of its sessions, and
    whatever is set for longer than a transaction affects other clients. Raises psycopg.Error.
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


def one(connection: Connection, query: Query, parameters: Parameters = None) -> tuple[Any, ...]:
    """The row of a query that always returns exactly one. Raises psycopg.Error."""
    row = connection.execute(query, parameters).fetchone()
    assert row is not None
    return row


def leave(connection: Connection) -> None:
    """Roll back the transaction that the connection is in, if any.

    During a COPY the server would not listen, so the connection is closed.
    """
    if connection.info.transaction_status is TransactionStatus.ACTIVE:
        connection.close()
    elif not connection.closed:
        with suppress(psycopg.Error):  # it broke, so there is nothing left to roll back
            connection.rollback()


@contextmanager
def failures(kind: type[TotesysError], doing: str) -> Iterator[None]:
    """Turn a database error into `kind`, with one sentence that says what failed."""
    try:
        yield
    except psycopg.Error as error:
        code = f" ({error.sqlstate})" if error.sqlstate else ""
        setting = settings.SOURCE_DSN if kind is SourceError else settings.WAREHOUSE_DSN
        why = reason(error)
        what = remedy(error, why, setting)
        raise kind(
            f"PostgreSQL stopped {doing}{code}: {why}{f'; {what}' if what else ''}."
        ) from None
