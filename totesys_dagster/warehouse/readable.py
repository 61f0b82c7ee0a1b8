"""SQL as a person would write it, without unnecessary quotes around names."""

from __future__ import annotations

import re

from psycopg import sql

# Words that PostgreSQL accepts as names only in quotes.
_WORDS = """
    all analyse analyze and any array as asc asymmetric authorization binary both case cast check
    collate collation column concurrently constraint create cross current_catalog current_date
    current_role current_schema current_time current_timestamp current_user default deferrable
    desc distinct do else end except false fetch for foreign freeze from full grant group having
    ilike in initially inner intersect into is isnull join lateral leading left like limit
    localtime localtimestamp natural not notnull null offset on only or order outer overlaps
    placing primary references returning right select session_user similar some symmetric
    system_user table tablesample then to trailing true union unique user using variadic verbose
    when where window with
"""
_RESERVED = frozenset(_WORDS.split())
_TEXT_OR_NAME = re.compile(r"--[^\n]*|'(?:[^']|'')*'|\"([a-z_][a-z0-9_]*)\"")


def readable(statement: sql.Composable) -> str:
    """The statement as text, with quotes around names only if PostgreSQL needs them."""

    def bare(match: re.Match[str]) -> str:
        name = match[1]
        return name if name and name not in _RESERVED else match[0]

    return _TEXT_OR_NAME.sub(bare, statement.as_string(None)) + ";"
