"""Loads deliveries: each in one transaction, in the order of the feed's log."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from psycopg import sql

from totesys_dagster.catalogue import revision
from totesys_dagster.errors import LoadError
from totesys_dagster.feeds.accepted import Accepted, AcceptedDeliveries, is_repeated
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.feeds.process import process_up_to
from totesys_dagster.feeds.receive import log_of
from totesys_dagster.lake.deliveries import Delivery
from totesys_dagster.lake.feed_receipt import FeedReceipt
from totesys_dagster.lake.receipt import read_star
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres.sessions import Connection, Names, failures, one, transaction
from totesys_dagster.warehouse import ledger, schema
from totesys_dagster.warehouse.copy import copy_in
from totesys_dagster.warehouse.ddl import listed


@dataclass(frozen=True)
class FeedLoad:
    """What a delivery did to its table."""

    delivery: Delivery
    receipt: FeedReceipt
    inserted: int
    updated: int
    deleted: int


def load_all(
    connection: Connection, names: Names, feed: Feed, ingestion: Store, processed: Store
) -> Iterator[FeedLoad]:
    """Load every delivery that the warehouse lacks, processing it first if necessary.

    Raises OtherLakeError, LoadError or LakeError; earlier deliveries stay loaded.
    """
    log = log_of(feed, ingestion)
    held = ledger.check_log(connection, names, log, feed.title)
    require_fit(connection, names, feed)
    accepted = AcceptedDeliveries(feed, ingestion, processed)
    for delivery in log.after(held):
        [*_, (_, receipt)] = process_up_to(feed, delivery, ingestion, processed)
        known = accepted.before(delivery.sequence) if feed.replaces else {}
        loaded = load_delivery(connection, names, feed, delivery, receipt, processed, known)
        if loaded is not None:
            yield loaded


def require_fit(connection: Connection, names: Names, feed: Feed) -> None:
    """Raise LoadError unless the feed's table is what is declared."""
    with failures(LoadError, f"a read of {feed.table.name}"), transaction(connection):
        why = schema.unfit(connection, names, feed.table)
    if why is not None:
        raise LoadError(why)


def load_delivery(
    connection: Connection,
    names: Names,
    feed: Feed,
    delivery: Delivery,
    receipt: FeedReceipt,
    processed: Store,
    known: Mapping[str, Accepted],
) -> FeedLoad | None:
    """Load one delivery; None if the warehouse already has it. `known` is what counts for each name
    before it.

    Raises SequenceGapError, OtherLakeError, LoadError or LakeError, and writes nothing then.
    """
    with (
        failures(LoadError, f"the load of delivery {delivery.sequence} of {feed.title}"),
        ledger.exclusive(connection, names),
    ):
        if ledger.in_ledger(connection, names, delivery):
            return None
        ledger.write_ledger(connection, names, delivery)
        load = _Load(connection, names, feed, delivery, receipt)
        return load.run(processed, known)


# A version for each row of `s`, which the statement that it begins goes on to name.
_NEW_VERSIONS = """
INSERT INTO {target} ({record_id}, {columns}, batch_seq, observed_at)
SELECT (SELECT coalesce(max({record_id}), 0) FROM {target})
       + row_number() OVER (ORDER BY {staged_keys}),
       {of_staged}, {sequence}, {observed_at}
"""


class _Load:
    """The load of one delivery, inside its transaction."""

    def __init__(
        self,
        connection: Connection,
        names: Names,
        feed: Feed,
        delivery: Delivery,
        receipt: FeedReceipt,
    ) -> None:
        self.connection = connection
        self.names = names
        self.feed = feed
        self.delivery = delivery
        self.receipt = receipt
        table = feed.table
        self.staging = sql.Identifier(f"staging_{table.name}")
        self.other = sql.Identifier(f"other_{table.name}")
        self.fragments: dict[str, sql.Composable] = {
            "target": names.table(table.name),
            "current": names.table(f"current_{table.name}"),
            "staging": self.staging,
            "other": self.other,
            "record_id": sql.Identifier(table.record_id or ""),
            "columns": listed(table.column_names),
            "of_staged": listed(table.column_names, "s"),
            "of_current": listed(table.column_names, "c"),
            "staged_keys": listed(table.keys, "s"),
            "current_keys": listed(table.keys, "c"),
            "same_key": sql.SQL(" AND ").join(
                sql.SQL("s.{0} = c.{0}").format(sql.Identifier(key)) for key in table.keys
            ),
            "sequence": sql.Literal(delivery.sequence),
            "observed_at": sql.Literal(delivery.observed_at),
            "scope": sql.Identifier("c", feed.replaces or table.key),
            "name": sql.Literal(delivery.name),
        }
        self.fragments["new_versions"] = sql.SQL(_NEW_VERSIONS).format(**self.fragments)

    def run(self, processed: Store, known: Mapping[str, Accepted]) -> FeedLoad:
        inserted = updated = deleted = 0
        is_accepted = self.receipt.refused is None
        if is_repeated(known, self.delivery):
            is_accepted = False
        elif is_accepted or self.receipt.rows:
            self._stage(processed, self.staging, self.receipt)
            inserted, updated = self._write()
        if is_accepted and self.feed.replaces:
            updated += self._bring_back(processed, known)
            deleted = self._delete()
        done = FeedLoad(self.delivery, self.receipt, inserted, updated, deleted)
        self._note(done)
        return done

    def _execute(self, statement: str) -> int:
        query = sql.SQL(statement).format(**self.fragments)
        return max(self.connection.execute(query).rowcount, 0)

    def _stage(self, processed: Store, into: sql.Identifier, receipt: FeedReceipt) -> None:
        table = self.feed.table
        query = "CREATE TEMP TABLE {} ON COMMIT DROP AS SELECT {columns} FROM {target} LIMIT 0"
        self.connection.execute(sql.SQL(query).format(into, **self.fragments))
        parts = (read_star(processed, table, entry) for entry in receipt.objects)
        staged = copy_in(self.connection, into, table.arrow_schema, parts)
        if staged != receipt.rows:
            raise LoadError(
                f"{self.feed.title}: delivery {receipt.sequence} has {staged} rows where its"
                f" receipt says {receipt.rows}; restore it from the bucket's older versions."
            )

    def _write(self) -> tuple[int, int]:
        """A version for each row that is new, or differs from its current version. No column has
        a name with a space."""
        row = one(
            self.connection,
            sql.SQL(
                """
                WITH changed AS (
                    SELECT s.*, c.{record_id} IS NULL AS "is new"
                    FROM {staging} AS s LEFT JOIN {current} AS c ON {same_key}
                    WHERE c.{record_id} IS NULL
                       OR ROW({of_staged}) IS DISTINCT FROM ROW({of_current})
                ), written AS (
                    {new_versions} FROM changed AS s
                )
                SELECT count(*) FILTER (WHERE "is new"), count(*) FILTER (WHERE NOT "is new")
                FROM changed
                """
            ).format(**self.fragments),
        )
        return int(row[0]), int(row[1])

    def _bring_back(self, processed: Store, known: Mapping[str, Accepted]) -> int:
        """Write a version of each row that this name no longer has but another name still does,
        from the newest delivery that has it. Returns how many."""
        back = 0
        receipts = [known[name].receipt for name in self._others() if name in known]
        for receipt in sorted(receipts, key=lambda receipt: -receipt.sequence):
            self._stage(processed, self.other, receipt)
            back += self._execute(
                """
                {new_versions} FROM {other} AS s JOIN {current} AS c ON {same_key}
                WHERE {scope} = {name}
                  AND NOT EXISTS (SELECT FROM {staging} AS s WHERE {same_key})
                """
            )
            self._execute("DROP TABLE {other}")
        return back

    def _others(self) -> list[str]:
        """The other names that ever had a row that this name no longer has. Whichever has one now
        was once its newest delivery, so that version finds it."""
        query = sql.SQL(
            """
            SELECT DISTINCT s.{replaces}
            FROM {target} AS s JOIN {current} AS c ON {same_key}
            WHERE {scope} = {name} AND s.{replaces} <> {name}
              AND NOT EXISTS (SELECT FROM {staging} AS s WHERE {same_key})
            """
        ).format(replaces=sql.Identifier(self.feed.replaces or ""), **self.fragments)
        return [name for (name,) in self.connection.execute(query)]

    def _delete(self) -> int:
        """Write a tombstone for each row that an earlier delivery of that name had and this one
        does not."""
        return self._execute(
            """
            INSERT INTO {target} ({record_id}, {columns}, batch_seq, observed_at, is_deleted)
            SELECT (SELECT coalesce(max({record_id}), 0) FROM {target})
                   + row_number() OVER (ORDER BY {current_keys}),
                   {of_current}, {sequence}, {observed_at}, TRUE
            FROM {current} AS c
            WHERE {scope} = {name} AND NOT EXISTS (SELECT FROM {staging} AS s WHERE {same_key})
            """
        )

    def _note(self, done: FeedLoad) -> None:
        query = sql.SQL(
            "INSERT INTO {} (log, sequence, star, receipt_sha256, revision, staged, inserted,"
            " updated, deleted, orphans) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, 0)"
        ).format(self.names.ledger("batch_table"))
        table = self.feed.table
        of = [self.delivery.log, self.delivery.sequence, table.name]
        receipt = [self.receipt.sha256, revision(table)]
        counts = [self.receipt.rows, done.inserted, done.updated, done.deleted]
        self.connection.execute(query, [*of, *receipt, *counts])
