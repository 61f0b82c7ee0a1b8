"""The warehouse, or some tables of it, rebuilt from the lake alone.

The new warehouse is built beside the old one and compared with it row for row. Where they differ,
the old rows are replaced in one transaction. The tables stay, and with them whatever others have
added (grants, views, triggers, indexes, columns and foreign keys). Anything that would break is
named before anything is changed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass

from psycopg import sql

from totesys_dagster.catalogue import STAR_TABLES, WAREHOUSE_TABLES, Kind, StarTable
from totesys_dagster.errors import LoadError, RebuildRunningError
from totesys_dagster.feeds.load import require_fit
from totesys_dagster.feeds.receive import log_of
from totesys_dagster.feeds.registry import FEEDS
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.store import Store
from totesys_dagster.operations.filling import Filling
from totesys_dagster.operations.fresh import fresh_warehouse
from totesys_dagster.operations.proof import require_all_batches
from totesys_dagster.operations.replace import DIFFERENT, replace
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
from totesys_dagster.warehouse import ledger, schema
from totesys_dagster.warehouse.tables import all_tables


@dataclass(frozen=True)
class Rebuilt:
    """The outcome: the batches loaded, and per table the rows and how many of them differ.

    `different` counts rows that only one of the two warehouses had, including those of batches that
    the old one had not loaded yet. It is None if the old one was empty and was filled directly.
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
    lose_loaded_batches: bool = False,
) -> Rebuilt:
    """Load every batch of the lake again, and replace the warehouse's rows where the result differs
    and is proved to be right (`proof.py`).

    With `only`, these tables alone are replaced, from the batches that the warehouse has; the
    tables that they refer to are loaded as well. A rebuild of all tables also loads all deliveries
    of feeds again. `progress` gets the number of batches done, and of all. With
    `lose_loaded_batches`, the lake wins even if it lacks batches of the warehouse or has others.
    Raises LoadError (also if another rebuild is running, or if the lake is empty or has other
    batches than the warehouse), LakeError or ProcessingError, and leaves the old warehouse
    untouched.
    """
    log = ManifestLog(ingestion)
    with failures(LoadError, "the rebuild"), _only_one(connection, names):
        schema.migrate(connection, names, restore=True)
        for feed in FEEDS:
            ledger.check_log(connection, names, log_of(feed, ingestion), feed.title)
            if only is None:
                require_fit(connection, names, feed)
        loaded = ledger.manifests(connection, names)
        filling = Filling(connection, names, log, processed, quarantine_limit, progress, loaded)
        if not loaded:
            filling.fill(names, only)
            filling.digests.require_filled()
            return Rebuilt(ledger.head(connection, names), _rows(connection, names), None)
        if log.head() is None:
            raise LoadError(
                f"The warehouse holds batches, but the lake at {ingestion.url} holds none: point"
                f" {ingestion.setting} to the lake that it was loaded from."
            )
        if not lose_loaded_batches:
            require_all_batches(loaded, log)
        _require_tables(connection, names)
        different = _replace(filling, only, lose_loaded_batches=lose_loaded_batches)
        return Rebuilt(ledger.head(connection, names), _rows(connection, names), different)


def _replace(
    filling: Filling, only: Sequence[StarTable] | None, *, lose_loaded_batches: bool
) -> dict[str, int]:
    """Fill another warehouse beside the old one, and replace what differs. Returns how many rows
    did, by table."""
    connection, names = filling.connection, filling.names

    def require_proof(different: Mapping[str, int]) -> None:
        if any(different.values()) and not lose_loaded_batches:
            filling.chain.require_ours()
        filling.digests.require(connection, fresh, different)

    while True:
        with fresh_warehouse(connection, names) as fresh:
            filling.fill(fresh, only)
            if more := _facts_along(connection, names, fresh, only or ()):
                only = [*(only or ()), *more]
                continue
            while (
                different := replace(connection, names, fresh, filling.log, only, require_proof)
            ) is None:
                filling.fill(fresh, only)
            return different


def _facts_along(
    connection: Connection, names: Names, fresh: Names, stars: Sequence[StarTable]
) -> list[StarTable]:
    """The facts that must be rebuilt with dimensions, because other dimension rows make other facts
    orphans."""
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


@contextmanager
def _only_one(connection: Connection, names: Names) -> Iterator[None]:
    """Hold the lock of rebuilds, in a transaction on a separate connection.

    A session lock would outlive us if a pooler kept the session. Between statements the transaction
    has no snapshot, so it delays no VACUUM.
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
            leave(other)  # a commit would fail the rebuild if only this connection was lost


def _require_tables(connection: Connection, names: Names) -> None:
    """Refuse if a table's rows are not its own: it became a view, or another inherits from it."""
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
        found = connection.execute(query, [names.schema, list(all_tables())]).fetchone()
    if found is None:
        return
    star, child = found
    if child is None:
        raise LoadError(
            f"{names.schema}.{star} is no longer a table: rename what has replaced it, and"
            " restore the table."
        )
    raise LoadError(
        f"{child} inherits from {names.schema}.{star}, so that its rows count as the warehouse's:"
        f" ALTER TABLE {child} NO INHERIT {names.schema}.{star}, then run `totesys rebuild` again."
    )


def _rows(connection: Connection, names: Names) -> dict[str, int]:
    rows = {}
    with transaction(connection):
        for star in WAREHOUSE_TABLES:
            query = sql.SQL("SELECT count(*) FROM {}").format(names.table(star))
            row = one(connection, query)
            rows[star] = int(row[0])
    return rows
