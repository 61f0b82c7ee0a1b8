"""Replaces rows of the warehouse with those of a rebuild, where they differ."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES, WAREHOUSE_TABLES, Kind, StarTable
from totesys_dagster.errors import LoadError
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.feeds.registry import FEEDS
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.postgres.sessions import (
    Connection,
    Names,
    one,
)
from totesys_dagster.warehouse import ddl, ledger, state
from totesys_dagster.warehouse.tables import all_tables, kept

_ALL = sql.SQL("")


def replace(
    connection: Connection,
    names: Names,
    fresh: Names,
    log: ManifestLog,
    only: Sequence[StarTable] | None,
    require_proof: Callable[[Mapping[str, int]], None],
) -> dict[str, int] | None:
    """Replace old rows with fresh ones where they differ.

    `require_proof` gets the number of different rows per table, and raises if the fresh ones are
    not proved. Returns the differences, or None if `fresh` lacks a batch that was loaded in the
    meantime. Batches that the lake does not have (the warehouse was loaded from another one) do not
    count.
    """
    with ledger.exclusive(connection, names):
        last = log.head()
        held = min(ledger.head(connection, names), last.sequence if last else 0)
        if held > ledger.head(connection, fresh):
            return None
        if only is None and any(_is_behind(connection, names, fresh, feed) for feed in FEEDS):
            return None
        stars = list(STAR_TABLES.values()) if only is None else only
        replaced = list(WAREHOUSE_TABLES.values()) if only is None else only
        pairs = [
            _Pair.of(connection, names, fresh, table) for star in replaced for table in kept(star)
        ]
        rows = {pair.star.name: pair.count(DIFFERENT) for pair in pairs}
        different = {s.name: sum(rows[table.name] for table in kept(s)) for s in replaced}
        require_proof(different)
        _replace_rows([pair for pair in pairs if rows[pair.star.name]])
        state.note(connection, names, stars, ledger.head(connection, fresh), renewed=bool(only))
        if only is None:
            _replace_ledger(connection, names, fresh)
        else:
            _replace_ledger_of(connection, names, fresh, [star.name for star in only])
    return different


def _is_behind(connection: Connection, names: Names, fresh: Names, feed: Feed) -> bool:
    heads = [ledger.head(connection, warehouse, feed.name) for warehouse in (fresh, names)]
    return heads[0] < heads[1]


def _replace_rows(pairs: Sequence[_Pair]) -> None:
    """Replace the rows of tables that differ. Facts refer to dimensions, perhaps by somebody's own
    foreign key, so dimensions get new rows before facts and lose old ones after them."""
    facts = [pair for pair in pairs if pair.star.kind is Kind.FACT]
    dimensions = [pair for pair in pairs if pair.star.kind is not Kind.FACT]
    for pair in pairs:
        pair.require_free()
    for pair in dimensions:
        pair.update()
    for pair in facts:
        pair.delete()
        pair.update()
    for pair in dimensions:
        pair.delete()
    for pair in pairs:
        pair.require_equal()


def _replace_ledger(connection: Connection, names: Names, fresh: Names) -> None:
    """Replace what the ledger says about all tables."""
    if not _same_ledger(connection, names, fresh):
        for table in reversed(ddl.LEDGER):
            connection.execute(sql.SQL("DELETE FROM {}").format(names.ledger(table)))
        for table in ddl.LEDGER:
            _copy_ledger(connection, names, fresh, table)
        return
    # Audits between batches were about the previous rows.
    between = sql.SQL("WHERE audit > 0")
    connection.execute(sql.SQL("DELETE FROM {} {}").format(names.ledger("audit"), between))
    _copy_ledger(connection, names, fresh, "audit", between)


def _replace_ledger_of(
    connection: Connection, names: Names, fresh: Names, stars: Sequence[str]
) -> None:
    """Replace what the ledger says about some tables. Their audits no longer count."""
    of_them = sql.SQL("WHERE star = ANY({})").format(sql.Literal(list(stars)))
    for table in ("audit", "released", "quarantine", "batch_table"):
        connection.execute(sql.SQL("DELETE FROM {} {}").format(names.ledger(table), of_them))
    for table in ("batch_table", "quarantine", "released"):
        _copy_ledger(connection, names, fresh, table, of_them)


def _copy_ledger(
    connection: Connection,
    names: Names,
    fresh: Names,
    table: str,
    condition: sql.Composable = _ALL,
) -> None:
    connection.execute(
        sql.SQL("INSERT INTO {old} ({columns}) SELECT {columns} FROM {new} {condition}").format(
            old=names.ledger(table),
            new=fresh.ledger(table),
            columns=_columns(connection, fresh.ledger(table)),
            condition=condition,
        )
    )


DIFFERENT = """
SELECT count(*) FROM (
    (SELECT {columns} FROM {old} EXCEPT ALL SELECT {columns} FROM {new})
    UNION ALL
    (SELECT {columns} FROM {new} EXCEPT ALL SELECT {columns} FROM {old})
) AS different
"""
GONE = "SELECT count(*) FROM {old} AS o WHERE NOT EXISTS (SELECT FROM {new} AS n WHERE {same_key})"

# Foreign keys from tables that are not the warehouse's, and whether they refer only to the first
# column, which identifies rows.
REFERENCES = """
SELECT conname::text, conrelid::regclass::text, confkey = ARRAY[1::smallint]
FROM pg_constraint JOIN pg_class AS c ON c.oid = conrelid
WHERE contype = 'f' AND confrelid = %s::regclass
  AND NOT (relnamespace = to_regnamespace(quote_ident(%s)) AND relname = ANY(%s))
"""


@dataclass(frozen=True)
class _Pair:
    """A table of the warehouse and the fresh one, in the transaction that may replace its rows.

    Rows are updated in place where possible, which keeps what others have added: their own columns
    and foreign keys.
    """

    connection: Connection
    names: Names
    star: StarTable
    fragments: dict[str, sql.Composable]

    @classmethod
    def of(cls, connection: Connection, names: Names, fresh: Names, star: StarTable) -> _Pair:
        keys = (star.record_id,) if star.record_id else star.keys
        new = fresh.table(star.name)
        fragments: dict[str, sql.Composable] = {
            "old": names.table(star.name),
            "new": new,
            "key": sql.Identifier(keys[0]),
            "columns": _columns(connection, new),
            "of_old": _columns(connection, new, "o."),
            "of_new": _columns(connection, new, "n."),
            "changed": sql.Identifier(f"changed_{star.name}"),
            "business": sql.Identifier(star.key),
            "no_longer_filled": sql.SQL("").join(
                sql.SQL(", {0} = CASE WHEN n.same_version THEN o.{0} END").format(
                    sql.Identifier(column)
                )
                for column in no_longer_filled(connection, names, star)
            ),
            "same_key": sql.SQL(" AND ").join(
                sql.SQL("n.{0} = o.{0}").format(sql.Identifier(key)) for key in keys
            ),
        }
        return cls(connection, names, star, fragments)

    def count(self, query: str) -> int:
        row = one(self.connection, sql.SQL(query).format(**self.fragments))
        return int(row[0])

    def _execute(self, statement: str) -> None:
        self.connection.execute(sql.SQL(statement).format(**self.fragments))

    def require_free(self) -> None:
        """Refuse, before anything is changed, if somebody's foreign key would lose its rows."""
        table = self.fragments["old"].as_string(self.connection)
        others = [table, self.names.schema, list(all_tables())]
        found = self.connection.execute(REFERENCES, others).fetchall()
        gone = self.count(GONE) if found else 0
        for constraint, child, by_key in found:
            if gone or not by_key:
                raise LoadError(
                    f"Rows of {self.names.schema}.{self.star.name} must be replaced, but"
                    f" {child} refers to them with its foreign key {constraint}: drop it, run"
                    " `totesys rebuild` again, and add it back."
                )

    def delete(self) -> None:
        """Delete the rows whose key the fresh table does not have."""
        self._execute(
            "DELETE FROM {old} AS o WHERE NOT EXISTS (SELECT FROM {new} AS n WHERE {same_key})"
        )

    def update(self) -> None:
        """Update the other rows from the fresh ones, and insert those that are missing.

        Columns that are no longer filled keep their values as long as their row is the same
        version.
        """
        self._allow_nulls()
        self._execute(
            """
            CREATE TEMP TABLE {changed} ON COMMIT DROP AS
            SELECT n.*, (n.{business}, n.batch_seq) = (o.{business}, o.batch_seq) AS same_version
            FROM {new} AS n JOIN {old} AS o ON {same_key}
            WHERE ROW({of_new}) IS DISTINCT FROM ROW({of_old})
            """
        )
        if self.star.kind is Kind.FACT:
            # Two versions may have to swap, and no two may share a key and batch.
            self._execute(
                "UPDATE {old} AS o SET batch_seq = -o.{key} FROM {changed} AS n WHERE {same_key}"
            )
        self._execute(
            """
            UPDATE {old} AS o SET ({columns}) = ROW({of_new}){no_longer_filled}
            FROM {changed} AS n WHERE {same_key}
            """
        )
        self._execute(
            """
            INSERT INTO {old} ({columns})
            SELECT {of_new} FROM {new} AS n
            WHERE NOT EXISTS (SELECT FROM {old} AS o WHERE {same_key})
            """
        )

    def _allow_nulls(self) -> None:
        """Allow NULL in the columns that allow it in the fresh table: old batches lack them."""
        query = """
            SELECT n.attname::text FROM pg_attribute AS n JOIN pg_attribute AS o USING (attname)
            WHERE n.attrelid = %s::regclass AND o.attrelid = %s::regclass
              AND o.attnotnull AND NOT n.attnotnull
        """
        tables = [self.fragments[name].as_string(self.connection) for name in ("new", "old")]
        for (column,) in self.connection.execute(query, tables).fetchall():
            allow = sql.SQL("SELECT {}(%s, %s)").format(self.names.ledger("allow_null"))
            self.connection.execute(allow, [self.star.name, column])

    def require_equal(self) -> None:
        if self.count(DIFFERENT):
            raise LoadError(
                f"The rows of {self.names.schema}.{self.star.name} could not be replaced, because"
                " somebody's own trigger or rule changes what is written: disable it, then run"
                " `totesys rebuild` again."
            )


def no_longer_filled(connection: Connection, names: Names, star: StarTable) -> list[str]:
    """The columns of a table that the platform created and that are no longer declared."""
    query = sql.SQL(
        """
        SELECT attname::text FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped AND attname <> ALL (%s)
          AND attname IN (SELECT unnest(columns) FROM {} WHERE star = %s)
        """
    ).format(names.ledger("star"))
    table = names.table(star.name).as_string(connection)
    found = connection.execute(query, [table, list(star.column_names), star.name])
    return [name for (name,) in found]


def _columns(connection: Connection, table: sql.Identifier, alias: str = "") -> sql.Composed:
    """The columns of a table that the platform created, which therefore has only its own."""
    query = """
        SELECT attname FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
    """
    found = connection.execute(query, [table.as_string(connection)]).fetchall()
    return sql.SQL(", ").join(sql.SQL(alias) + sql.Identifier(name) for (name,) in found)


def _same_ledger(connection: Connection, names: Names, fresh: Names) -> bool:
    """Whether the two ledgers are equal, except for the times of loads and comparisons, and for
    comparisons between batches, which are not repeated."""
    query = sql.SQL(
        """
        SELECT NOT EXISTS (
            (SELECT to_jsonb(o) - {when} FROM (SELECT {columns} FROM {old} {only}) AS o
             EXCEPT SELECT to_jsonb(n) - {when} FROM {new} AS n {only})
            UNION ALL
            (SELECT to_jsonb(n) - {when} FROM {new} AS n {only}
             EXCEPT SELECT to_jsonb(o) - {when} FROM (SELECT {columns} FROM {old} {only}) AS o)
        )
        """
    )
    return all(
        connection.execute(
            query.format(
                old=names.ledger(table),
                new=fresh.ledger(table),
                columns=_columns(connection, fresh.ledger(table)),
                when=sql.SQL("ARRAY['loaded_at', 'compared_at']"),
                only=sql.SQL("WHERE audit = 0") if table == "audit" else _ALL,
            )
        ).fetchone()
        == (True,)
        for table in ddl.LEDGER
    )
