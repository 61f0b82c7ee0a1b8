"""The warehouse's three schemas: creates them, and brings them to what is declared.

Numbered SQL files change the bookkeeping and move rows. Tables and views follow from the catalogue:
`plan.py` says what is missing. Changes only add: the previous release can continue to load into
what this one has created.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import cache, partial
from importlib import resources

import psycopg
from psycopg import errors, sql

from totesys_dagster.catalogue import STAR_TABLES, WAREHOUSE_TABLES, StarTable
from totesys_dagster.errors import LoadError
from totesys_dagster.lake.digest import passes_test_vector
from totesys_dagster.postgres.sessions import Connection, Names, failures, transaction
from totesys_dagster.warehouse import ddl, rights, state, views
from totesys_dagster.warehouse import plan as plan_of
from totesys_dagster.warehouse.ddl import LOADER, NOT_ENFORCED_SINCE, OWNER
from totesys_dagster.warehouse.ledger import exclusive
from totesys_dagster.warehouse.migrations import MIGRATIONS, done, exists
from totesys_dagster.warehouse.plan import DropAndRestore, Found, Step, find, no_views, plan
from totesys_dagster.warehouse.readable import readable
from totesys_dagster.warehouse.tables import all_tables, kept, past

OLDEST_SERVER = 140000

NOT_ALLOWED = (
    "The warehouse's tables are not up to date, and the role of TOTESYS_WAREHOUSE_DSN may not"
    " change them: run `totesys migrate` with TOTESYS_WAREHOUSE_ADMIN_DSN set to a role that may."
)


def migrate(connection: Connection, names: Names, *, restore: bool = False) -> list[str]:
    """Bring the warehouse to what is declared. Returns a phrase for each change. Raises LoadError.

    A role that may not change the warehouse continues if the tables have what it needs: another
    release, to which they belong, is being deployed or rolled back. With `restore`, tables and
    views that somebody dropped are made again; until the tables are rebuilt, nothing is loaded.
    """
    if is_up_to_date(connection, names, restore=restore):
        return []
    with failures(LoadError, "the creation of the warehouse's tables"):
        with transaction(connection):
            may = may_change(connection, names)
        if not may:
            _require(connection, names)
            return []
        try:
            return _migrate(connection, names, restore=restore)
        except errors.InsufficientPrivilege:
            raise LoadError(NOT_ALLOWED) from None


def is_up_to_date(connection: Connection, names: Names, *, restore: bool = False) -> bool:
    """Whether the warehouse is what is declared, on a suitable server; with `restore`, also whether
    nothing of it was dropped. Raises LoadError."""
    with (
        failures(LoadError, "the creation of the warehouse's tables"),
        transaction(connection),
    ):
        _require_server(connection)
        return not _pending(connection, names, restore=restore)


def _migrate(connection: Connection, names: Names, *, restore: bool) -> list[str]:
    with exclusive(connection, names):
        act_as_owner(connection)
        # Check again under the lock: another process may have migrated in the meantime.
        if not _pending(connection, names, restore=restore):
            return []
        return _run(connection, _steps(connection, names))


def show(connection: Connection, names: Names) -> str:
    """The SQL that `migrate` with `restore` would run now; empty if there is nothing to do. Raises
    LoadError."""
    with failures(LoadError, "a read of the warehouse's tables"), transaction(connection):
        _require_server(connection)
        if not _pending(connection, names, restore=True):
            return ""
        act_as_owner(connection)
        steps = _steps(connection, names)
        made = exists(connection, names.ledger("star"))
        found = state.states(connection, names) if made else {}
        anew = state.outdated(found) if found else []
    changes = [step.what for step in steps if step.what]
    changes += [f"{star.name} is rebuilt from the lake, after this" for star in anew]
    return "".join(f"-- {change}\n" for change in changes) + "\n" + _text(steps)


def rendered(names: Names) -> str:
    """The SQL that creates a new warehouse, if the roles of `roles.sql` exist and the server
    supports foreign keys that are not enforced."""
    return _text(_all_steps(names, Found(), foreign_keys=True, roles=True))


def _text(steps: Iterable[Step]) -> str:
    """The statements as one script, for psql."""
    return "\n\n".join(["BEGIN;", *(readable(step.statement) for step in steps), "COMMIT;\n"])


def _run(connection: Connection, steps: Iterable[Step]) -> list[str]:
    changes = []
    for step in steps:
        try:
            connection.execute(step.statement)
        except errors.DependentObjectsStillExist as error:
            # PostgreSQL names the first of them, and suggests CASCADE, which nobody may want.
            detail = (error.diag.message_detail or "").partition("\n")[0]
            raise LoadError(
                f"Something that depends on the warehouse's views is in the way ({detail}): drop"
                " it, run `totesys migrate`, and re-create it; nothing was changed."
            ) from None
        except psycopg.Error as error:
            if step.view is None:
                raise
            raise LoadError(
                f"The view {step.view} depends on the warehouse's views, which must be re-created,"
                f" and it cannot be restored ({error.diag.message_primary}): change or drop it,"
                " then run `totesys migrate`; nothing was changed."
            ) from None
        if step.what:
            changes.append(step.what)
    return changes or ["views, comments and grants are brought up to date"]


def _require_server(connection: Connection) -> None:
    if connection.info.server_version < OLDEST_SERVER:
        raise LoadError(
            "TOTESYS_WAREHOUSE_DSN points to PostgreSQL"
            f" {connection.info.server_version // 10000}: the warehouse needs PostgreSQL 14 or"
            " later."
        )
    if not passes_test_vector(connection):
        raise LoadError(
            "The database of TOTESYS_WAREHOUSE_DSN does not hash rows as others do, so the audit"
            " could not compare them with the source's: create it with ENCODING 'UTF8', on a"
            " server of PostgreSQL 14 to 18."
        )


def act_as_owner(connection: Connection) -> None:
    """Let the transaction act as the owner, if the current user may."""
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


def _sql_file(name: str, names: Names) -> sql.Composed:
    """The text of an SQL file, with psql's variables for the two schemas filled in."""
    text = (resources.files("totesys_dagster.warehouse") / "sql" / name).read_text(encoding="utf-8")
    for variable, schema in (("schema", names.schema), ("bookkeeping", names.bookkeeping)):
        quoted = '"' + schema.replace('"', '""') + '"'
        text = text.replace(f':"{variable}"', quoted)
    # Any text is safe: it is our own file, and the names in it are quoted.
    return sql.Composed([sql.SQL(text.strip().removesuffix(";"))])


def is_made(connection: Connection, names: Names) -> bool:
    """Whether there is a warehouse at all, up to date or not. Raises psycopg.Error."""
    with transaction(connection):
        return exists(connection, names.ledger("migration"))


def pending(connection: Connection, names: Names) -> bool:
    """Whether the warehouse is not what is declared. Raises LoadError if this release cannot use
    it."""
    with transaction(connection):
        return _pending(connection, names)


def unfit(connection: Connection, names: Names, star: StarTable) -> str | None:
    """Why the table of a feed is not and cannot become what is declared; None if it is or can.
    Within a transaction."""
    return plan_of.unfit(names, star, find(connection, names))


def _pending(connection: Connection, names: Names, *, restore: bool = False) -> bool:
    known = {migration.number for migration in MIGRATIONS}
    if not known <= done(connection, names) or (restore and _lacks_any(connection, names)):
        return True
    query = sql.SQL("SELECT sha256 FROM {} ORDER BY applied_at DESC LIMIT 1").format(
        names.ledger("declaration")
    )
    return connection.execute(query).fetchone() != (_declaration(connection, names),)


def _lacks_any(connection: Connection, names: Names) -> bool:
    """Whether somebody has dropped a table, or a view of one that ToteSys fills."""
    views_ = [view.name for star in STAR_TABLES.values() for view in ddl.views(names, star)]
    query = """
        SELECT FROM unnest(%s::text[]) AS declared (name)
        WHERE NOT EXISTS (
            SELECT FROM pg_class
            WHERE relnamespace = to_regnamespace(quote_ident(%s)) AND relname = name
        )
        LIMIT 1
    """
    lacking = connection.execute(query, [[*all_tables(), *views_], names.schema])
    return lacking.fetchone() is not None


def _note_dropped(names: Names, found: Found) -> Iterator[Step]:
    """Note which tables were dropped, so that the lake fills them again: those of ToteSys by a
    rebuild, in which a dimension and its past rows are one; those of feeds by their next run, for
    which the ledger forgets what was delivered."""
    if not found.tables:  # a new warehouse
        return
    lost = all_tables().keys() - found.tables.keys()
    for star in STAR_TABLES.values():
        names_kept = [table.name for table in kept(star)]
        if lost & found.stars.keys() & set(names_kept):
            note = sql.SQL("UPDATE {} SET revision = {} WHERE star = ANY({})").format(
                names.ledger("star"), sql.Literal(state.DROPPED), sql.Literal(names_kept)
            )
            yield Step(note)
    for name in sorted(lost & WAREHOUSE_TABLES.keys() - STAR_TABLES.keys()):
        for table in ("released", "quarantine", "audit", "batch_table", "batch"):
            forget = sql.SQL("DELETE FROM {} WHERE log = {}").format(
                names.ledger(table), sql.Literal(WAREHOUSE_TABLES[name].feed)
            )
            yield Step(forget)


def _require_not_renamed(names: Names, found: Found) -> None:
    """Raise LoadError if a table that was loaded is gone and a view of it is not: it has another
    name now."""
    gone = found.stars.keys() - found.tables.keys()
    for star in WAREHOUSE_TABLES.values():
        for view in ddl.views(names, star):
            read = {star.name, past(star).name} if view.name.startswith("history_") else {star.name}
            if view.name in found.views and (renamed := gone & read):
                raise LoadError(
                    f"{names.schema}.{min(renamed)} is gone, but the view {view.name} still reads"
                    " it: it was renamed. Rename it back, or drop it with CASCADE, and then run"
                    " `totesys migrate`; nothing was changed."
                )


def may_change(connection: Connection, names: Names) -> bool:
    """Whether the current user may create and change tables: if there is no schema, it may try."""
    if _has_role(connection, OWNER):
        return True
    query = """
        SELECT coalesce(bool_and(pg_has_role(nspowner, 'MEMBER')), TRUE)
        FROM unnest(%s::text[]) AS names (name)
        JOIN pg_namespace AS n ON n.oid = to_regnamespace(quote_ident(name))::oid
    """
    row = connection.execute(query, [[names.schema, names.bookkeeping]]).fetchone()
    return row == (True,)


def _require(connection: Connection, names: Names) -> None:
    """Raise LoadError unless the tables have what a load of this release needs."""
    with transaction(connection):
        ready = exists(connection, names.ledger("star"))
        found = find(connection, names) if ready else Found()
        steps = plan(names, found, no_views, foreign_keys=False)
    if not ready or any(step.what for step in steps):
        raise LoadError(NOT_ALLOWED)


def _steps(connection: Connection, names: Names) -> list[Step]:
    """The steps to take, within a transaction."""
    return _all_steps(
        names,
        find(connection, names),
        connection=connection,
        foreign_keys=connection.info.server_version >= NOT_ENFORCED_SINCE,
        roles=_role_exists(connection, LOADER),
    )


def _all_steps(
    names: Names,
    found: Found,
    *,
    connection: Connection | None = None,
    foreign_keys: bool,
    roles: bool,
) -> list[Step]:
    ran: frozenset[int] = frozenset()
    existing: list[str] = []
    role: sql.SQL | sql.Composed = sql.SQL("RESET ROLE")
    drop_and_restore = no_views
    if connection is not None:
        ran, existing = done(connection, names), _existing(connection, names)
        if _has_role(connection, OWNER):
            role = sql.SQL("SET LOCAL ROLE {}").format(sql.Identifier(OWNER))
        drop_and_restore = partial(views.drop_and_restore, connection, names, role)
    return [
        *(
            Step(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(schema)))
            for schema in _schemas(names)
            if schema not in existing
        ),
        *_files(names, ran),
        *_declared(names, found, drop_and_restore, foreign_keys=foreign_keys, roles=roles),
        *_note_dropped(names, found),
        Step(
            sql.SQL("INSERT INTO {} (sha256) VALUES ({})").format(
                names.ledger("declaration"),
                sql.Literal(_hash(names, foreign_keys=foreign_keys, roles=roles)),
            )
        ),
    ]


def _declared(
    names: Names, found: Found, drop_and_restore: DropAndRestore, *, foreign_keys: bool, roles: bool
) -> list[Step]:
    """The steps that follow from the catalogue."""
    _require_not_renamed(names, found)
    made = [name for name in all_tables() if name not in found.tables]
    return [
        *plan(names, found, drop_and_restore, foreign_keys=foreign_keys),
        *map(Step, ddl.functions(names)),
        Step(_sql_file("functions.sql", names)),
        *(map(Step, rights.grants(names, made, found)) if roles else ()),
        *(map(Step, rights.report_grants(names, found)) if roles and names.with_reports else ()),
    ]


def _schemas(names: Names) -> list[str]:
    return [names.schema, names.bookkeeping, *([names.reports] if names.with_reports else [])]


def _existing(connection: Connection, names: Names) -> list[str]:
    """The schemas that exist. Raises LoadError if the reports' schema belongs to somebody else."""
    # PostgreSQL truncates a long name.
    query = """
        SELECT name, pg_has_role(nspowner, 'MEMBER') FROM unnest(%s::text[]) AS names (name)
        JOIN pg_namespace AS n ON n.oid = to_regnamespace(quote_ident(name))::oid
    """
    found: dict[str, bool] = dict(connection.execute(query, [_schemas(names)]).fetchall())
    if names.with_reports and found.get(names.reports) is False:
        raise LoadError(
            f"The schema {names.reports} belongs to somebody else, but the reports of the"
            " warehouse need one of that name: rename it (ALTER SCHEMA … RENAME TO …), then"
            " run `totesys migrate`; nothing was changed."
        )
    return list(found)


def _files(names: Names, ran: frozenset[int]) -> Iterator[Step]:
    """The numbered files that have not run."""
    path = sql.SQL("SET LOCAL search_path TO {}, pg_temp").format(sql.Identifier(names.bookkeeping))
    note = sql.SQL("INSERT INTO {} (number, file, needs) VALUES ({}, {}, {})")
    for migration in MIGRATIONS:
        if migration.number in ran:
            continue
        yield Step(path)
        yield Step(_sql_file(migration.file, names), migration.file)
        values = map(sql.Literal, (migration.number, migration.file, migration.needs))
        yield Step(note.format(names.ledger("migration"), *values))


def _declaration(connection: Connection, names: Names) -> str:
    """The hash of all declarations, in the form for this server."""
    return _hash(
        names,
        foreign_keys=connection.info.server_version >= NOT_ENFORCED_SINCE,
        roles=_role_exists(connection, LOADER),
    )


@cache
def _hash(names: Names, *, foreign_keys: bool, roles: bool) -> str:
    steps = _declared(names, Found(), no_views, foreign_keys=foreign_keys, roles=roles)
    return hashlib.sha256(
        "\n".join(s.statement.as_string(None) for s in steps).encode()
    ).hexdigest()
