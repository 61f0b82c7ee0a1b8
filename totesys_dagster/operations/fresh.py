"""The temporary schemas in which a rebuild works. Nothing of them is left afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from psycopg import errors, sql

from totesys_dagster.catalogue import WAREHOUSE_TABLES
from totesys_dagster.errors import LoadError
from totesys_dagster.postgres.sessions import (
    Connection,
    Names,
    transaction,
)
from totesys_dagster.warehouse import ddl, schema
from totesys_dagster.warehouse.tables import all_tables

STATE_TABLES = ("star", "declaration", "migration", "report", "reporting_currency")
FUNCTIONS = {
    "keys_of": "text",
    "take_keys_off": "text",
    "put_keys_on": "text",
    "may_be_null": "text, text",
    "allow_null": "text, text",
}

# The comment on a schema that a rebuild made. A schema without it belongs to somebody else.
COMMENT = "Made by `totesys rebuild` for its time, and dropped by it."


@contextmanager
def fresh_warehouse(connection: Connection, names: Names) -> Iterator[Names]:
    """An empty warehouse for the duration of a rebuild. First drops what a killed one left."""
    fresh = Names(names.schema + "_rebuild", with_reports=False)
    _drop(connection, fresh)
    _make(connection, fresh)
    try:
        yield fresh
    finally:
        if not connection.closed:
            _drop(connection, fresh)


def _make(connection: Connection, fresh: Names) -> None:
    """Create the two schemas, mark them as ours in the same transaction, and create the tables."""
    try:
        with transaction(connection):
            schema.act_as_owner(connection)
            for name in map(sql.Identifier, (fresh.schema, fresh.bookkeeping)):
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
                comment = sql.SQL("COMMENT ON SCHEMA {} IS {}").format(name, sql.Literal(COMMENT))
                connection.execute(comment)
    except errors.InsufficientPrivilege:
        raise LoadError(
            f"A rebuild creates a temporary schema {fresh.schema}, and the role of"
            " TOTESYS_WAREHOUSE_DSN may not: run `totesys rebuild` with TOTESYS_WAREHOUSE_ADMIN_DSN"
            " set to a role that may."
        ) from None
    schema.migrate(connection, fresh)


def _drop(connection: Connection, fresh: Names) -> None:
    """Drop what a rebuild made, by name: nothing that others put there or that depends on it."""
    stars = sql.SQL(", ").join(map(fresh.table, all_tables()))
    views = sql.SQL(", ").join(
        fresh.table(f"{view}_{star}")
        for star in WAREHOUSE_TABLES
        for view in ("current", "history")
    )
    ledger = sql.SQL(", ").join(map(fresh.ledger, (*ddl.LEDGER, *ddl.PAGES, *STATE_TABLES)))
    functions = sql.SQL(", ").join(
        sql.SQL("{}({})").format(fresh.ledger(name), sql.SQL(arguments))
        for name, arguments in FUNCTIONS.items()
    )
    both = sql.SQL(", ").join(map(sql.Identifier, (fresh.schema, fresh.bookkeeping)))
    try:
        with transaction(connection):
            _require_ours(connection, fresh)
            for kind, objects in (
                ("VIEW", views),
                ("TABLE", stars),
                ("TABLE", ledger),
                ("FUNCTION", functions),
                ("SCHEMA", both),
            ):
                drop = sql.SQL("DROP {} IF EXISTS {} RESTRICT").format(sql.SQL(kind), objects)
                connection.execute(drop)
    except errors.DependentObjectsStillExist as error:
        raise LoadError(
            f"The temporary schemas {fresh.schema} and {fresh.bookkeeping} of a rebuild cannot be"
            " dropped, because somebody added to them"
            f" ({(error.diag.message_detail or '').partition(chr(10))[0]}): move it elsewhere,"
            " then run `totesys rebuild` again."
        ) from None


def _require_ours(connection: Connection, fresh: Names) -> None:
    query = """
        SELECT name FROM unnest(%s::text[]) AS names (name)
        WHERE obj_description(to_regnamespace(quote_ident(name))::oid, 'pg_namespace')
              IS DISTINCT FROM %s AND to_regnamespace(quote_ident(name)) IS NOT NULL
    """
    found = connection.execute(query, [[fresh.schema, fresh.bookkeeping], COMMENT]).fetchone()
    if found is not None:
        raise LoadError(
            f"There is a schema {found[0]} that no rebuild created, and a rebuild creates and drops"
            " one of that name: rename it, then run `totesys rebuild` again."
        )
