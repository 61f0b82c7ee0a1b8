"""Explains in a sentence when a database fails during a command and nothing else reports it."""

from __future__ import annotations

import sqlite3

import psycopg

from totesys_dagster import settings
from totesys_dagster.postgres.failures import reason, remedy

# By words of SQLite's: what to do about Dagster's history.
SQLITE = (
    ("full", "make room on its disk"),
    ("readonly", "give this user the right to write it, or mount its file system for writing"),
    ("unable to open", "give this user the right to write it, or make room on its disk"),
    ("locked", "end the process that holds it, or wait for it"),
    ("malformed", "move it elsewhere, and the history begins anew; no batch is in it"),
    ("not a database", "move it elsewhere, and the history begins anew; no batch is in it"),
    ("disk I/O error", "look whether its disk is full, or fails"),
)


def broken_off(error: BaseException) -> str | None:
    """What a database says that broke off, and what to do; None for an error of another kind."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, psycopg.Error | sqlite3.Error):
        cause = cause.__cause__ or cause.__context__
    if isinstance(cause, psycopg.Error):
        why = reason(cause)
        what = remedy(cause, why, settings.WAREHOUSE_DSN)
        return f"PostgreSQL broke off: {why}; {what or 'look at the log of the server'}."
    if isinstance(cause, sqlite3.Error):
        why, what = of_sqlite(cause)
        return f"Dagster's history cannot be used ({why}): {what}, then run again."
    return None


def of_sqlite(error: sqlite3.Error) -> tuple[str, str]:
    """What SQLite says of Dagster's history, and what to do, each the part of a sentence."""
    what = next((text for words, text in SQLITE if words in str(error)), "look at its disk")
    return str(error), what
