"""The embedded default, which replaces every system that is not configured.

It is a server on loopback with the ToteSys database and the warehouse, and a lake in a directory,
all under TOTESYS_HOME. `start` completes the environment; `start_when_needed` does so when a
setting is first read. The platform reads its settings as in production, unaware of this module.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import os
from importlib import resources
from pathlib import Path

import psycopg
from psycopg import sql

from totesys_dagster import settings
from totesys_dagster.catalogue import INGESTION, PROCESSED
from totesys_dagster.errors import SettingError
from totesys_dagster.local import locks
from totesys_dagster.local import server as postgres
from totesys_dagster.local.programs import EmbeddedServerError
from totesys_dagster.local.server import SUPERUSER, Server
from totesys_dagster.postgres.sessions import Names
from totesys_dagster.postgres.targets import resolved
from totesys_dagster.warehouse import schema

APPLICATION = "totesys_application"  # owns the ToteSys database, as the real application does
EXTRACTOR = "totesys_extractor"  # reads the tables of ToteSys
LOADER = "warehouse_loader"  # loads the warehouse
ADMIN = "warehouse_admin"  # migrates and rebuilds it
READER = "warehouse_reader"  # reads it
ROLES = (APPLICATION, EXTRACTOR, LOADER, ADMIN, READER)
SOURCE = "totesys"

# How long another process may take to create them; it usually takes five seconds.
DATABASES_SECONDS = 120
MAKING = "the databases of the embedded server, which another command makes"
DATABASES = {settings.SOURCE_DSN, settings.WAREHOUSE_DSN}


def with_other_roles(names: set[str]) -> set[str]:
    """Settings of databases; if the warehouse is among them, with those of its other roles."""
    others = {settings.WAREHOUSE_ADMIN_DSN, settings.WAREHOUSE_READER_DSN}
    return names | others if settings.WAREHOUSE_DSN in names else names


def start() -> set[str]:
    """Provide what is not set, for as long as this process runs, and return those settings.

    Raises EmbeddedServerError or SettingError.
    """
    needed, suffix = _provide_lake()
    if needed & DATABASES:
        home = settings.home()
        server = postgres.start(home, ROLES)
        # One process at a time: existing roles and databases are not created again.
        with (
            locks.exclusive(home / "databases.lock", DATABASES_SECONDS, MAKING),
            server.connect(SUPERUSER, "postgres") as connection,
        ):
            create_roles(connection, server)
            if settings.SOURCE_DSN in needed:
                _create_source(connection, server)
                os.environ[settings.SOURCE_DSN] = server.dsn(EXTRACTOR, SOURCE)
            if settings.WAREHOUSE_DSN in needed:
                database = f"warehouse{suffix}"
                _create_warehouse(connection, server, database)
                os.environ[settings.WAREHOUSE_DSN] = server.dsn(LOADER, database)
                os.environ[settings.WAREHOUSE_ADMIN_DSN] = server.dsn(ADMIN, database)
                os.environ[settings.WAREHOUSE_READER_DSN] = server.dsn(READER, database)
    return needed


def start_when_needed() -> set[str]:
    """The same, but the server starts only when a setting that leads to it is first read.

    Raises SettingError.
    """
    needed, _ = _provide_lake()
    names = with_other_roles(needed & DATABASES)
    for name in names:  # an inherited value may point to a port that the server no longer uses
        os.environ.pop(name, None)
    if names:
        settings.provide(names, start)
    return needed


def provide_lake() -> set[str]:
    """Put the lake into directories, which are created at the first write, unless another place is
    set. Returns all settings that the embedded default provides. Raises SettingError."""
    return _provide_lake()[0]


def _provide_lake() -> tuple[set[str], str]:
    """The same, with the suffix in the names of this lake and its warehouse."""
    # First, so that a misspelt setting does not select the simulated company instead of the source.
    settings.require_known(os.environ, Path(".env"))
    # Provide inherited settings again: a restarted server may listen on another port.
    inherited = set(os.environ.get(settings.EMBEDDED, "").split())
    needed = {name for name in settings.LOCATIONS if name in inherited or name not in os.environ}
    suffix = _suffix(needed)
    lake = settings.home() / f"lake{suffix}"
    for name, zone in ((settings.INGESTION_URL, INGESTION), (settings.PROCESSED_URL, PROCESSED)):
        if name in needed:
            os.environ[name] = str(lake / zone)
    os.environ[settings.EMBEDDED] = " ".join(sorted(needed))
    return needed, suffix


def application(home: Path) -> psycopg.Connection:
    """An autocommit connection to the embedded ToteSys as its application, for the simulator."""
    return postgres.start(home, ROLES).connect(APPLICATION, SOURCE)


def application_dsn(home: Path) -> str:
    """The connection string of the embedded ToteSys' application, valid while this process runs."""
    return postgres.start(home, ROLES).dsn(APPLICATION, SOURCE)


def _suffix(needed: set[str]) -> str:
    """A suffix that distinguishes the lake and warehouse of one real source from those of
    another."""
    if settings.SOURCE_DSN in needed:
        return ""
    dsn = settings.connection_string(settings.SOURCE_DSN)
    parameters = resolved(settings.SOURCE_DSN, dsn)
    location = "\n".join(parameters[name] for name in ("host", "hostaddr", "port", "dbname"))
    return "_" + hashlib.sha256(location.encode()).hexdigest()[:8]


def create_roles(connection: psycopg.Connection, server: Server) -> None:
    """Create missing roles, each with its password. The owner's has none.

    The reader's password is set each time: people use that role, and a role can change its own.
    """
    existing = {name for (name,) in connection.execute("SELECT rolname FROM pg_roles")}
    for role in ROLES:
        if role == READER or role not in existing:
            verb = sql.SQL("ALTER" if role in existing else "CREATE")
            connection.execute(
                sql.SQL("{} ROLE {} LOGIN PASSWORD {}").format(
                    verb, sql.Identifier(role), sql.Literal(server.passwords[role])
                )
            )
    if not existing.issuperset(ROLES):
        connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")


def _exists(connection: psycopg.Connection, database: str) -> bool:
    query = "SELECT FROM pg_database WHERE datname = %s"
    return connection.execute(query, [database]).fetchone() is not None


def _create_database(connection: psycopg.Connection, database: str, owner: str) -> None:
    connection.execute(
        sql.SQL("CREATE DATABASE {} OWNER {} TEMPLATE template0").format(
            sql.Identifier(database), sql.Identifier(owner)
        )
    )


def _create_source(connection: psycopg.Connection, server: Server) -> None:
    """Create and fill ToteSys under another name, then rename it: it is complete or missing."""
    if _exists(connection, SOURCE):
        return
    # Images and wheels do not have the simulator, but commands come through here.
    try:
        from totesys_simulator import simulator
    except ModuleNotFoundError:
        raise SettingError(
            f"{settings.SOURCE_DSN} is not set, and this installation has no simulated ToteSys to"
            " take its place: set it, or work in a clone of the repository."
        ) from None

    new = f"{SOURCE}_new"
    _drop_half_made(connection, new)
    _create_database(connection, new, APPLICATION)
    with server.connect(APPLICATION, new) as application_:
        simulator.create_source(application_)
        simulator.fill_history(application_, last_day=_last_working_day(dt.date.today()))  # noqa: DTZ011
        application_.execute("VACUUM ANALYZE")
    with server.connect(SUPERUSER, new) as admin:
        grant_extractor(admin)
        admin.execute(
            sql.SQL(
                "REVOKE ALL ON DATABASE {0} FROM PUBLIC; GRANT CONNECT ON DATABASE {0} TO {1}"
            ).format(sql.Identifier(new), sql.Identifier(EXTRACTOR))
        )
    connection.execute(
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(
            sql.Identifier(new), sql.Identifier(SOURCE)
        )
    )


def _drop_half_made(connection: psycopg.Connection, database: str) -> None:
    """Drop what a killed start left behind: only our database belongs to the application."""
    query = "SELECT pg_get_userbyid(datdba) FROM pg_database WHERE datname = %s"
    found = connection.execute(query, [database]).fetchone()
    if found is None:
        return
    if found != (APPLICATION,):
        raise EmbeddedServerError(
            f"The embedded server has a database {database} of {found[0]}, but ToteSys is created"
            " under that name: rename it, then start again."
        )
    connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(database)))


def grant_extractor(connection: psycopg.Connection) -> None:
    """Let the extractor read the tables of ToteSys, and nothing else. Needs an administrator.

    Raises EmbeddedServerError if the database lacks a table that the catalogue declares.
    """
    text = resources.files("totesys_dagster.ingestion") / "sql" / "extractor.sql"
    try:
        connection.execute(text.read_text(encoding="utf-8"))
    except psycopg.errors.UndefinedTable as error:
        raise EmbeddedServerError(
            f"The embedded ToteSys lacks a table of the catalogue ({error.diag.message_primary}):"
            " add its CREATE TABLE to totesys_simulator/source.sql."
        ) from None


def _create_warehouse(connection: psycopg.Connection, server: Server, database: str) -> None:
    """Create the warehouse's database with its roles, and its tables as their owner. Later
    declarations are applied by loads, or by `totesys migrate`."""
    if not _exists(connection, database):
        _create_database(connection, database, SUPERUSER)
    names = Names(settings.warehouse_schema())
    with server.connect(SUPERUSER, database) as admin:
        if not schema.is_made(admin, names):
            text = resources.files("totesys_dagster.warehouse") / "sql" / "roles.sql"
            admin.execute(text.read_text(encoding="utf-8"))
            schema.migrate(admin, names)


def _last_working_day(today: dt.date) -> dt.date:
    """The last weekday before today: the simulated business continues from there."""
    day = today - dt.timedelta(days=1)
    while day.isoweekday() > 5:
        day -= dt.timedelta(days=1)
    return day
