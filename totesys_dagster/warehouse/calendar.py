"""The calendar: batches bring the days that they refer to, and this module closes the gaps."""

from __future__ import annotations

from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES
from totesys_dagster.postgres.sessions import Connection, Names

_COLUMNS = sql.SQL(", ").join(map(sql.Identifier, STAR_TABLES["dim_date"].column_names))

# What every day must be, computed by PostgreSQL and not by the transform.
_DAYS = """
SELECT day::date AS date_id,
       extract(year FROM day)::int AS year,
       extract(month FROM day)::int AS month,
       extract(day FROM day)::int AS day,
       extract(isodow FROM day)::int AS day_of_week,
       to_char(day, 'FMDay') AS day_name,
       to_char(day, 'FMMonth') AS month_name,
       extract(quarter FROM day)::int AS quarter
FROM generate_series((SELECT min(date_id) FROM {target})::timestamp,
                     (SELECT max(date_id) FROM {target})::timestamp, '1 day') AS days (day)
"""


def _right(names: Names) -> sql.Composed:
    """A query for the days from the first to the last that the warehouse has."""
    return sql.SQL(_DAYS).format(target=names.table("dim_date"))


def close_gaps(connection: Connection, names: Names, sequence: int) -> int:
    """Add the days between the batches' calendars. Returns how many. Raises psycopg.Error."""
    query = sql.SQL(
        """
        INSERT INTO {target} ({columns}, batch_seq)
        SELECT {columns}, {sequence} FROM ({right}) AS calendar
        WHERE NOT EXISTS (SELECT FROM {target} AS d WHERE d.date_id = calendar.date_id)
        """
    ).format(
        target=names.table("dim_date"),
        columns=_COLUMNS,
        sequence=sql.Literal(sequence),
        right=_right(names),
    )
    return connection.execute(query).rowcount


def compare(connection: Connection, names: Names) -> tuple[int, int]:
    """How many days there must be, and how many exist and are right. Raises psycopg.Error."""
    query = sql.SQL(
        """
        SELECT (SELECT count(*) FROM ({right}) AS expected),
               (SELECT count(*) FROM ({right} INTERSECT SELECT {columns} FROM {target}) AS found)
        """
    ).format(right=_right(names), columns=_COLUMNS, target=names.table("dim_date"))
    [(expected, found)] = connection.execute(query).fetchall()
    return expected, found
