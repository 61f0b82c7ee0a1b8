"""The warehouse's two schemas: created, and brought up to date, by numbered SQL files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources

from psycopg import errors, sql

from totesys_dagster.errors import LoadError
from totesys_dagster.postgres import Connection, Names, failures


@dataclass(frozen=True)
class Migration:
    """An SQL file, run once. `bookkeeping` says for which schema, `since` from which server on."""

    number: int
    file: str
    bookkeeping: bool = False
    since: int = 140000


# Only ever added to: a file that has been released is never edited.
MIGRATIONS = (
    Migration(1, "0001_ledger.sql", bookkeeping=True),
    Migration(2, "0002_tables.sql"),
    Migration(3, "0003_views.sql"),
    Migration(4, "0004_foreign_keys.sql", since=180000),
)

OLDEST_SERVER = 140000


@contextmanager
def exclusive(connection: Connection, names: Names) -> Iterator[None]:
    """A READ COMMITTED transaction under the warehouse's lock: one load or migration at a time.

    READ COMMITTED, because a transaction that waited for the lock must see what the one before it
    committed; under REPEATABLE READ it would see the ledger as it was.
    """
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL READ COMMITTED")
        connection.execute("SET LOCAL lock_timeout TO 0")
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('totesys_dagster ' || %s, 0))",
            [names.schema],
        )
        yield


def migrate(connection: Connection, names: Names) -> list[str]:
    """Run the migrations that are missing and return their names. Raises LoadError."""
    if connection.info.server_version < OLDEST_SERVER:
        raise LoadError(
            "TOTESYS_WAREHOUSE_DSN points to PostgreSQL"
            f" {connection.info.server_version // 10000}: the warehouse needs PostgreSQL 14 or"
            " later."
        )
    if not pending(connection, names):
        return []
    with (
        failures(LoadError, "the creation of the warehouse's tables"),
        exclusive(connection, names),
    ):
        _create_schemas(connection, names)
        # Asked again under the lock: another process may have migrated meanwhile.
        done = pending(connection, names)
        for migration in done:
            _run(connection, names, migration)
    return [migration.file for migration in done]


def _create_schemas(connection: Connection, names: Names) -> None:
    for schema in (names.schema, names.bookkeeping):
        exists = connection.execute("SELECT to_regnamespace(quote_ident(%s))", [schema]).fetchone()
        if exists == (None,):
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
    connection.execute(
        sql.SQL(
            "CREATE TABLE IF NOT EXISTS {} (number integer PRIMARY KEY, file text NOT NULL,"
            " applied_at timestamptz NOT NULL DEFAULT clock_timestamp())"
        ).format(names.ledger("migration"))
    )


def pending(connection: Connection, names: Names) -> list[Migration]:
    """The migrations that this server needs and does not have."""
    query = sql.SQL("SELECT number FROM {}").format(names.ledger("migration"))
    try:
        with connection.transaction():
            done = {number for (number,) in connection.execute(query)}
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        done = set()
    version = connection.info.server_version
    return [m for m in MIGRATIONS if m.number not in done and m.since <= version]


def _run(connection: Connection, names: Names, migration: Migration) -> None:
    schema = names.bookkeeping if migration.bookkeeping else names.schema
    text = (resources.files("totesys_dagster.warehouse") / "sql" / migration.file).read_text()
    connection.execute(sql.SQL("SET LOCAL search_path TO {}").format(sql.Identifier(schema)))
    connection.execute(text)
    connection.execute(
        sql.SQL("INSERT INTO {} (number, file) VALUES (%s, %s)").format(names.ledger("migration")),
        [migration.number, migration.file],
    )
