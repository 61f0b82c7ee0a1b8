"""The warehouse, or some tables of it, rebuilt from the lake alone.

The new one grows beside the old one and is compared with it row for row. Where they differ, the
old one's rows are replaced in one transaction: its tables stay, and with them what others have
built on them (grants, views, triggers, indexes, columns and foreign keys of their own). What would
lose by it is named before anything is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from psycopg import errors, sql

from totesys_dagster.catalogue import STAR_TABLES, Kind, StarTable
from totesys_dagster.errors import LoadError, RebuildRunningError
from totesys_dagster.lake.audits import AuditLog
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.receipt import touched_stars
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres.sessions import (
    READ_COMMITTED,
    Connection,
    Names,
    begin,
    beside,
    failures,
    leave,
    one,
    transaction,
)
from totesys_dagster.processed.process import process_star
from totesys_dagster.warehouse import audit, ddl, ledger, load, schema, state

_ALL = sql.SQL("")

LEDGER_TABLES = ddl.LEDGER
STATE_TABLES = ("star", "declaration", "migration")
FUNCTIONS = {
    "keys_of": "text",
    "take_keys_off": "text",
    "put_keys_on": "text",
    "may_be_null": "text, text",
    "allow_null": "text, text",
}

# The comment on a schema that a rebuild made; one without it is somebody else's.
COMMENT = "Made by `totesys rebuild` for its time, and dropped by it."


@dataclass(frozen=True)
class Rebuilt:
    """The outcome: the batches loaded, and per table the rows and how many the old one had else.

    `different` counts rows that only one of the two warehouses had, those of batches among them
    that the old one had not loaded yet; it is None when the old one was empty, and so was filled
    directly.
    """

    batches: int
    rows: dict[str, int]
    different: dict[str, int] | None


def rebuild(
    connection: Connection,
    names: Names,
    ingestion: Store,
    processed: Store,
    *,
    quarantine_limit: int,
    progress: Callable[[int, int], None] = lambda _done, _all: None,
    only: Sequence[StarTable] | None = None,
) -> Rebuilt:
    """Load every batch of the lake again, and replace the warehouse where the result differs.

    With `only`, these tables are replaced and the others stay as they are, and only batches that
    the warehouse holds are loaded; what the tables refer to is loaded beside. `progress` gets
    the batches done and their number. Raises LoadError (also when another rebuild is running, or
    when the lake is empty and the warehouse is not) or LakeError; the old warehouse is untouched
    then.
    """
    log = ManifestLog(ingestion)
    needed = None if only is None else _with_dimensions(only)

    def fill(target: Names) -> None:
        last = log.head()
        end = ledger.head(connection, names) if only is not None else None
        for manifest in log.after(ledger.head(connection, target)):
            if end is not None and manifest.sequence > end:
                break
            for star in touched_stars(manifest):
                if needed is None or star.name in needed:
                    process_star(star, manifest, ingestion, processed)
            load.load_batch(
                connection,
                target,
                manifest,
                ingestion,
                processed,
                quarantine_limit=quarantine_limit,
                only=needed,
            )
            progress(manifest.sequence, last.sequence if last else 0)
        newest = AuditLog(ingestion).of_head(last)
        if newest is not None and only is None:
            with ledger.exclusive(connection, target):
                audit.audit_source(connection, target, newest)

    with failures(LoadError, "the rebuild"), _only_one(connection, names):
        schema.migrate(connection, names)
        if ledger.head(connection, names) == 0:
            fill(names)
            return Rebuilt(ledger.head(connection, names), _rows(connection, names), None)
        if log.head() is None:
            raise LoadError(
                f"The warehouse holds batches, but the lake at {ingestion.url} holds none: point"
                f" {ingestion.setting} to the lake that it was loaded from."
            )
        _require_tables(connection, names)
        while True:
            with _beside(connection, names) as fresh:
                fill(fresh)
                if more := _facts_along(connection, names, fresh, only or ()):
                    only = [*(only or ()), *more]
                    needed = _with_dimensions(only)
                    continue
                while (different := _replace(connection, names, fresh, log, only)) is None:
                    fill(fresh)
                return Rebuilt(ledger.head(connection, names), _rows(connection, names), different)


def _facts_along(
    connection: Connection, names: Names, fresh: Names, stars: Sequence[StarTable]
) -> list[StarTable]:
    """The facts that have to be rebuilt with dimensions, because those have other rows than
    before, for which facts are orphans or are not."""
    changed = set()
    with transaction(connection):
        head = ledger.head(connection, fresh)
        for star in stars:
            if star.kind is Kind.DIMENSION and _rows_differ(connection, names, fresh, star, head):
                changed.add(star.name)
    return [
        fact
        for fact in STAR_TABLES.values()
        if fact not in stars and changed & {dimension for _, dimension in fact.references}
    ]


def _rows_differ(
    connection: Connection, names: Names, fresh: Names, star: StarTable, head: int
) -> bool:
    """Whether the two warehouses differ in a table's keys, or in those in quarantine."""
    quarantined = sql.SQL(
        "(SELECT sequence, key FROM {} WHERE star = {} AND sequence <= {}) AS rows"
    )
    keys: dict[str, sql.Composable] = {
        "columns": sql.Identifier(star.key),
        "old": names.table(star.name),
        "new": fresh.table(star.name),
    }
    quarantines: dict[str, sql.Composable] = {
        "columns": sql.SQL("sequence, key"),
        "old": quarantined.format(names.ledger("quarantine"), star.name, head),
        "new": quarantined.format(fresh.ledger("quarantine"), star.name, head),
    }
    queries = (sql.SQL(DIFFERENT).format(**fragments) for fragments in (keys, quarantines))
    return any(one(connection, query) != (0,) for query in queries)


def _with_dimensions(stars: Sequence[StarTable]) -> set[str]:
    """The names of the tables, and of those that they refer to."""
    return {s.name for s in stars} | {to for s in stars for _, to in s.references}


@contextmanager
def _only_one(connection: Connection, names: Names) -> Iterator[None]:
    """Hold the lock of rebuilds, by a transaction of a connection of its own.

    A lock of the session would stay where a pooler keeps the session for others. Between two
    statements the transaction has no snapshot, and so delays no VACUUM.
    """
    lock = "SELECT pg_try_advisory_xact_lock(hashtextextended('totesys_dagster ' || %s, 1))"
    with closing(beside(connection)) as other:
        begin(other, READ_COMMITTED)
        try:
            other.execute("SET LOCAL idle_in_transaction_session_timeout TO 0")
            if other.execute(lock, [names.schema]).fetchone() != (True,):
                raise RebuildRunningError(
                    "Another rebuild of this warehouse is running: wait until it has finished, or"
                    " stop it."
                )
            yield
        finally:
            leave(other)  # a commit would fail the rebuild where this connection alone was lost


@contextmanager
def _beside(connection: Connection, names: Names) -> Iterator[Names]:
    """An empty warehouse for the time of the rebuild; what a killed one left is dropped first."""
    fresh = Names(names.schema + "_rebuild")
    _drop(connection, fresh)
    _make(connection, fresh)
    try:
        yield fresh
    finally:
        if not connection.closed:
            _drop(connection, fresh)


def _make(connection: Connection, fresh: Names) -> None:
    """Make the two schemas, marked as ours in the same transaction, and what belongs into them."""
    try:
        with transaction(connection):
            schema.act_as_owner(connection)
            for name in map(sql.Identifier, (fresh.schema, fresh.bookkeeping)):
                connection.execute(sql.SQL("CREATE SCHEMA {}").format(name))
                comment = sql.SQL("COMMENT ON SCHEMA {} IS {}").format(name, sql.Literal(COMMENT))
                connection.execute(comment)
    except errors.InsufficientPrivilege:
        raise LoadError(
            f"A rebuild makes a schema {fresh.schema} for its time, and the role of"
            " TOTESYS_WAREHOUSE_DSN may not: run `totesys rebuild` with TOTESYS_WAREHOUSE_ADMIN_DSN"
            " set to a role that may."
        ) from None
    schema.migrate(connection, fresh)


def _drop(connection: Connection, fresh: Names) -> None:
    """Drop what a rebuild has made, by its names: nothing that others put there or built upon."""
    stars = sql.SQL(", ").join(map(fresh.table, STAR_TABLES))
    views = sql.SQL(", ").join(
        fresh.table(f"{view}_{star}") for star in STAR_TABLES for view in ("current", "history")
    )
    ledger = sql.SQL(", ").join(map(fresh.ledger, (*LEDGER_TABLES, *STATE_TABLES)))
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
            f"The schemas {fresh.schema} and {fresh.bookkeeping}, which a rebuild makes for its"
            " time, cannot be dropped, because they hold more than that"
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
            f"There is a schema {found[0]} that no rebuild has made, and a rebuild makes and drops"
            " one of that name: rename it, then run `totesys rebuild` again."
        )


def _require_tables(connection: Connection, names: Names) -> None:
    """Refuse where a table's rows are others': it became a view, or another inherits from it."""
    query = """
        SELECT c.relname, CASE WHEN c.relkind NOT IN ('r', 'p') THEN NULL ELSE child::text END
        FROM pg_class AS c
        LEFT JOIN (
            SELECT inhparent, inhrelid::regclass AS child
            FROM pg_inherits JOIN pg_class ON oid = inhrelid AND NOT relispartition
        ) AS children ON inhparent = c.oid
        WHERE c.relnamespace = to_regnamespace(quote_ident(%s)) AND c.relname = ANY(%s)
          AND (c.relkind NOT IN ('r', 'p') OR child IS NOT NULL)
    """
    with transaction(connection):
        found = connection.execute(query, [names.schema, list(STAR_TABLES)]).fetchone()
    if found is None:
        return
    star, child = found
    if child is None:
        raise LoadError(
            f"{names.schema}.{star} is no longer a table: rename what has taken its place, and"
            " restore the table."
        )
    raise LoadError(
        f"{child} inherits from {names.schema}.{star}, so that its rows count as the warehouse's:"
        f" ALTER TABLE {child} NO INHERIT {names.schema}.{star}, then run `totesys rebuild` again."
    )


def _replace(
    connection: Connection,
    names: Names,
    fresh: Names,
    log: ManifestLog,
    only: Sequence[StarTable] | None,
) -> dict[str, int] | None:
    """Put the fresh rows in the place of the old ones where they differ.

    Returns the differences, or None when a batch was loaded meanwhile that `fresh` lacks. Batches
    that the lake does not have (the warehouse was loaded from another one) are not waited for.
    """
    with ledger.exclusive(connection, names):
        last = log.head()
        held = min(ledger.head(connection, names), last.sequence if last else 0)
        if held > ledger.head(connection, fresh):
            return None
        stars = list(STAR_TABLES.values()) if only is None else only
        pairs = [_Pair.of(connection, names, fresh, star) for star in stars]
        different = {pair.star.name: pair.count(DIFFERENT) for pair in pairs}
        wrong = [pair for pair in pairs if different[pair.star.name]]
        for pair in wrong:
            pair.require_free()
        # Facts refer to dimensions, perhaps by a foreign key of somebody's own.
        facts = [pair for pair in wrong if pair.star.kind is Kind.FACT]
        dimensions = [pair for pair in wrong if pair.star.kind is not Kind.FACT]
        for pair in dimensions:
            pair.update()
        for pair in facts:
            pair.delete()
            pair.update()
        for pair in dimensions:
            pair.delete()
        for pair in wrong:
            pair.require_equal()
        state.note(connection, names, stars, ledger.head(connection, fresh), renewed=bool(only))
        if only is not None:
            _replace_ledger_of(connection, names, fresh, [star.name for star in only])
        elif not _same_ledger(connection, names, fresh):
            for table in reversed(LEDGER_TABLES):
                connection.execute(sql.SQL("DELETE FROM {}").format(names.ledger(table)))
            for table in LEDGER_TABLES:
                _copy_ledger(connection, names, fresh, table)
        else:
            # What was found between batches was found of the rows that were there before.
            between = sql.SQL("WHERE audit > 0")
            connection.execute(sql.SQL("DELETE FROM {} {}").format(names.ledger("audit"), between))
            _copy_ledger(connection, names, fresh, "audit", between)
    return different


def _replace_ledger_of(
    connection: Connection, names: Names, fresh: Names, stars: Sequence[str]
) -> None:
    """What was noted of some tables; what was found of them by comparison says nothing now."""
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

# Foreign keys from tables that are not the warehouse's, and whether they refer to the first column
# alone, by which rows are distinguished.
REFERENCES = """
SELECT conname::text, conrelid::regclass::text, confkey = ARRAY[1::smallint]
FROM pg_constraint JOIN pg_class AS c ON c.oid = conrelid
WHERE contype = 'f' AND confrelid = %s::regclass
  AND NOT (relnamespace = to_regnamespace(quote_ident(%s)) AND relname = ANY(%s))
"""


@dataclass(frozen=True)
class _Pair:
    """A table of the warehouse and the fresh one, in the transaction that may replace its rows.

    Rows keep their place where they can, and with it what others hang upon them: columns of their
    own, and foreign keys.
    """

    connection: Connection
    names: Names
    star: StarTable
    key: str
    fragments: dict[str, sql.Composable]

    @classmethod
    def of(cls, connection: Connection, names: Names, fresh: Names, star: StarTable) -> _Pair:
        key = star.record_id or star.key
        new = fresh.table(star.name)
        fragments: dict[str, sql.Composable] = {
            "old": names.table(star.name),
            "new": new,
            "key": sql.Identifier(key),
            "columns": _columns(connection, new),
            "of_old": _columns(connection, new, "o."),
            "of_new": _columns(connection, new, "n."),
            "changed": sql.Identifier(f"changed_{star.name}"),
            "business": sql.Identifier(star.key),
            "no_longer_filled": sql.SQL("").join(
                sql.SQL(", {0} = CASE WHEN n.same_version THEN o.{0} END").format(
                    sql.Identifier(column)
                )
                for column in _no_longer_filled(connection, names, star)
            ),
        }
        fragments["same_key"] = sql.SQL("n.{key} = o.{key}").format(**fragments)
        return cls(connection, names, star, key, fragments)

    def count(self, query: str) -> int:
        row = one(self.connection, sql.SQL(query).format(**self.fragments))
        return int(row[0])

    def _execute(self, statement: str) -> None:
        self.connection.execute(sql.SQL(statement).format(**self.fragments))

    def require_free(self) -> None:
        """Refuse, before anything is changed, where a foreign key of others loses its rows."""
        table = self.fragments["old"].as_string(self.connection)
        others = [table, self.names.schema, list(STAR_TABLES)]
        found = self.connection.execute(REFERENCES, others).fetchall()
        gone = self.count(GONE) if found else 0
        for constraint, child, by_key in found:
            if gone or not by_key:
                raise LoadError(
                    f"Rows of {self.names.schema}.{self.star.name} have to be replaced, and"
                    f" {child} refers to them by its foreign key {constraint}: drop it, run"
                    " `totesys rebuild` again, and add it anew."
                )

    def delete(self) -> None:
        """Delete the rows whose key the fresh table does not have."""
        self._execute(
            "DELETE FROM {old} AS o WHERE NOT EXISTS (SELECT FROM {new} AS n WHERE {same_key})"
        )

    def update(self) -> None:
        """Let the other rows hold what the fresh ones hold, and insert those that are missing.

        Columns that are no longer filled keep what they hold while their row is of the same
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
            # Two versions may have to change places, and no two may be of one key and batch.
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
        """Let the columns be NULL that are so in the fresh table, whose old batches lack them."""
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
                f"The rows of {self.names.schema}.{self.star.name} could not be replaced, because a"
                " trigger or a rule of somebody's own changes what is written: disable it, then run"
                " `totesys rebuild` again."
            )


def _no_longer_filled(connection: Connection, names: Names, star: StarTable) -> list[str]:
    """The columns of a table that the platform made and that are not declared any more."""
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
    """The columns of a table that the platform has made, and so those that are its own."""
    query = """
        SELECT attname FROM pg_attribute
        WHERE attrelid = %s::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum
    """
    found = connection.execute(query, [table.as_string(connection)]).fetchall()
    return sql.SQL(", ").join(sql.SQL(alias) + sql.Identifier(name) for (name,) in found)


def _same_ledger(connection: Connection, names: Names, fresh: Names) -> bool:
    """Whether the bookkeeping of the two is the same, but for when they were loaded and compared,
    and for comparisons between batches, which are not repeated."""
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
        for table in LEDGER_TABLES
    )


def _rows(connection: Connection, names: Names) -> dict[str, int]:
    rows = {}
    with transaction(connection):
        for star in STAR_TABLES:
            query = sql.SQL("SELECT count(*) FROM {}").format(names.table(star))
            row = one(connection, query)
            rows[star] = int(row[0])
    return rows
