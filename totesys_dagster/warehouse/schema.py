"""The warehouse's two schemas: created, and brought up to date, by numbered SQL files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources

from psycopg import errors, sql

from totesys_dagster.digest import hashes_as_known
from totesys_dagster.errors import LoadError
from totesys_dagster.postgres import Connection, Names, failures, transaction


@dataclass(frozen=True)
class Migration:
    """An SQL file, run once. `bookkeeping` says for which schema, `since` from which server on."""

    number: int
    file: str
    bookkeeping: bool = False
    since: int = 140000


# Only ever added to: a file that has been released is never edited.
MIGRATIONS = (
    Migration(1, "0001_bookkeeping.sql", bookkeeping=True),
    Migration(2, "0002_tables.sql"),
    Migration(3, "0003_views.sql"),
    Migration(4, "0004_foreign_keys.sql", since=180000),
    Migration(5, "0005_keys_of_empty_facts.sql", bookkeeping=True),
)

# To compare a million rows in the 4 MB that PostgreSQL gives by itself, both sides went to the disk
# and back.
WORK_MEMORY = "32MB"

OLDEST_SERVER = 140000

# The roles of roles.sql. Where they exist, the owner owns what is made here.
OWNER, LOADER = "warehouse_owner", "warehouse_loader"


@contextmanager
def exclusive(connection: Connection, names: Names) -> Iterator[None]:
    """A READ COMMITTED transaction under the warehouse's lock: one load or migration at a time.

    READ COMMITTED, because a transaction that waited for the lock must see what the one before it
    committed; under REPEATABLE READ it would see the ledger as it was.
    """
    with transaction(connection):
        connection.execute("SET LOCAL lock_timeout TO 0")
        connection.execute(sql.SQL("SET LOCAL work_mem TO {}").format(WORK_MEMORY))
        connection.execute(
            "SELECT pg_advisory_xact_lock(hashtextextended('totesys_dagster ' || %s, 0))",
            [names.schema],
        )
        yield


def migrate(connection: Connection, names: Names) -> list[str]:
    """Run the migrations that are missing and return their names. Raises LoadError."""
    with failures(LoadError, "the creation of the warehouse's tables"):
        with transaction(connection):
            _require_server(connection)
        if not pending(connection, names):
            return []
        try:
            return _migrate(connection, names)
        except errors.InsufficientPrivilege:
            raise LoadError(
                "The warehouse's tables are not up to date, and the role of TOTESYS_WAREHOUSE_DSN"
                " may not change them: run `totesys migrate` with TOTESYS_WAREHOUSE_ADMIN_DSN set"
                " to a role that may."
            ) from None


def _require_server(connection: Connection) -> None:
    if connection.info.server_version < OLDEST_SERVER:
        raise LoadError(
            "TOTESYS_WAREHOUSE_DSN points to PostgreSQL"
            f" {connection.info.server_version // 10000}: the warehouse needs PostgreSQL 14 or"
            " later."
        )
    if not hashes_as_known(connection):
        raise LoadError(
            "The database of TOTESYS_WAREHOUSE_DSN does not hash rows as others do, so the audit"
            " could not compare them with the source's: create it with ENCODING 'UTF8', on a"
            " server of PostgreSQL 14 to 18."
        )


def _migrate(connection: Connection, names: Names) -> list[str]:
    with exclusive(connection, names):
        act_as_owner(connection)
        _create_schemas(connection, names)
        # Asked again under the lock: another process may have migrated meanwhile.
        done = pending(connection, names)
        for migration in done:
            _run(connection, names, migration)
        if _role_exists(connection, LOADER):
            connection.execute(_sql_file("grants.sql", names))
    return [migration.file for migration in done]


def act_as_owner(connection: Connection) -> None:
    """Let the transaction make what the owner owns, where the current user may."""
    if _has_role(connection, OWNER):
        connection.execute(sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(OWNER)))


def _has_role(connection: Connection, role: str) -> bool:
    """Whether the current user may act as `role`."""
    query = "SELECT FROM pg_roles WHERE rolname = %s AND pg_has_role(oid, 'MEMBER')"
    return connection.execute(query, [role]).fetchone() is not None


def _role_exists(connection: Connection, role: str) -> bool:
    return (
        connection.execute("SELECT FROM pg_roles WHERE rolname = %s", [role]).fetchone() is not None
    )


def _sql_file(name: str, names: Names) -> str:
    """The text of an SQL file, with psql's variables for the two schemas filled in."""
    text = (resources.files("totesys_dagster.warehouse") / "sql" / name).read_text()
    for variable, schema in (("schema", names.schema), ("bookkeeping", names.bookkeeping)):
        quoted = '"' + schema.replace('"', '""') + '"'
        text = text.replace(f':"{variable}"', quoted)
    return text


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
    """The migrations that this server needs and does not have.

    Raises LoadError where the schema was made by another line of migrations.
    """
    query = sql.SQL("SELECT number, file FROM {}").format(names.ledger("migration"))
    try:
        with transaction(connection):
            done: dict[int, str] = dict(connection.execute(query).fetchall())
    except (errors.UndefinedTable, errors.InvalidSchemaName):
        done = {}
    known = {migration.number: migration.file for migration in MIGRATIONS}
    if foreign := [file for number, file in done.items() if known.get(number) != file]:
        raise LoadError(
            f"The schema {names.schema} of the warehouse was made by another version of"
            f" totesys_dagster, by migrations that this one does not know ({', '.join(foreign)}):"
            " set TOTESYS_WAREHOUSE_SCHEMA to a new name to start again, or go back to that"
            " version."
        )
    version = connection.info.server_version
    return [m for m in MIGRATIONS if m.number not in done and m.since <= version]


def _run(connection: Connection, names: Names, migration: Migration) -> None:
    schema = names.bookkeeping if migration.bookkeeping else names.schema
    connection.execute(
        sql.SQL("SET LOCAL search_path TO {}, pg_temp").format(sql.Identifier(schema))
    )
    connection.execute(_sql_file(migration.file, names))
    connection.execute(
        sql.SQL("INSERT INTO {} (number, file) VALUES (%s, %s)").format(names.ledger("migration")),
        [migration.number, migration.file],
    )
