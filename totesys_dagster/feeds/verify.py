"""Checks feeds: the chain of each log, its objects, and the warehouse against both."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from psycopg import sql

from totesys_dagster.catalogue import StarTable
from totesys_dagster.errors import LoadError
from totesys_dagster.feeds.feed import Feed
from totesys_dagster.feeds.receive import log_of, read_body
from totesys_dagster.lake.deliveries import Delivery
from totesys_dagster.lake.feed_receipt import FeedReceipt, read_feed_receipt
from totesys_dagster.lake.parts import read_lines, read_object, read_table
from totesys_dagster.lake.receipt import read_star
from totesys_dagster.lake.store import Store
from totesys_dagster.lake.verification import Verification
from totesys_dagster.postgres.sessions import Connection, Names, failures, transaction
from totesys_dagster.warehouse import ledger

Row = tuple[Any, ...]
# A version: the row, the delivery that brought it, and whether that deleted it.
Version = tuple[Row, int, bool]


def verify_feed(
    connection: Connection, names: Names, feed: Feed, ingestion: Store, processed: Store
) -> Verification:
    """Walk the log of a feed. Anything wrong is a finding. Raises TotesysError if a system cannot
    be used at all."""
    result = Verification()
    made = _is_made(connection, names, feed)
    loaded = ledger.deliveries(connection, names, feed.name) if made else {}
    log = log_of(feed, ingestion)
    with result.noted():
        if loaded and max(loaded) > log.end():
            result.findings.append(
                f"The warehouse holds {max(loaded)} deliveries of {feed.title}, but the lake only"
                f" {log.end()}: restore them from the bucket's older versions."
            )
        expected = _Expected(feed)
        for delivery, receipt in _walk(result, feed, ingestion, processed, loaded):
            expected.add(delivery, _rows(processed, feed.table, receipt), receipt)
        if result.passed and made:
            result.audits += 1 if loaded else 0
            _compare(result, connection, names, feed, expected)
    return result


def _walk(
    result: Verification,
    feed: Feed,
    ingestion: Store,
    processed: Store,
    loaded: dict[int, tuple[str, str | None]],
) -> Iterator[tuple[Delivery, FeedReceipt]]:
    """Check each delivery. Returns the loaded ones with their receipts."""
    previous: str | None = None
    for delivery in log_of(feed, ingestion).after(0):
        result.deliveries += 1
        result.objects += 1
        result.bytes += delivery.body.bytes
        if delivery.previous_sha256 != previous:
            result.findings.append(
                f"Delivery {delivery.sequence} of {feed.title} does not follow from the previous"
                " one: one of the two was changed after it was written."
            )
        previous = delivery.sha256
        with result.noted():
            read_body(ingestion, delivery)
        known = loaded.get(delivery.sequence)
        if known is not None and known[0] != delivery.sha256:
            result.findings.append(
                f"The warehouse holds another delivery {delivery.sequence} of {feed.title} than the"
                " lake: it was changed after it was written; restore it from the bucket's older"
                " versions."
            )
            continue
        before = len(result.findings)
        receipt = _receipt(result, feed, delivery, known, processed)
        if len(result.findings) > before:
            result.damaged.append((delivery.sequence, feed.table.name))
        elif receipt is not None and known is not None:
            yield delivery, receipt


def _receipt(
    result: Verification,
    feed: Feed,
    delivery: Delivery,
    known: tuple[str, str | None] | None,
    processed: Store,
) -> FeedReceipt | None:
    """The checked receipt of a delivery. `known` is None if the delivery is not loaded, so there
    may be none yet."""
    receipt = None
    with result.noted():
        receipt = read_feed_receipt(processed, feed.table, delivery)
        if receipt is not None:
            _read_objects(result, processed, receipt)
    if known is not None and known[1] != (receipt and receipt.sha256):
        result.findings.append(
            f"The receipt of delivery {delivery.sequence} of {feed.title} is not the one that was"
            " loaded: `totesys verify --repair` re-creates it, or `totesys rebuild`, which"
            " compares."
        )
    return receipt


def _read_objects(result: Verification, processed: Store, receipt: FeedReceipt) -> None:
    result.objects += 1
    result.read_all(processed, receipt.objects, read_object)
    result.read_all(processed, receipt.state, read_table)
    result.read_all(processed, receipt.quarantine, read_lines)


def _rows(processed: Store, table: StarTable, receipt: FeedReceipt) -> Iterator[Row]:
    for entry in receipt.objects:
        columns = read_star(processed, table, entry).to_pydict()
        yield from zip(*(columns[name] for name in table.column_names), strict=True)


class _Expected:
    """The versions that deliveries give, by a second implementation of the rules, in Python."""

    def __init__(self, feed: Feed) -> None:
        self._feed = feed
        names = feed.table.column_names
        self._key = [names.index(key) for key in feed.table.keys]
        self._scope = names.index(feed.replaces) if feed.replaces else None
        self._current: dict[Row, Row] = {}
        self._files: dict[str, _File] = {}
        self.versions: list[Version] = []

    def add(self, delivery: Delivery, rows: Iterable[Row], receipt: FeedReceipt) -> None:
        given = {tuple(row[i] for i in self._key): row for row in rows}
        if self._scope is None or receipt.refused is not None:
            self._become(delivery.sequence, given)
            return
        before = self._files.get(delivery.name, _File("", 0, {}))
        if before.sha256 == delivery.body.sha256:
            return
        self._files[delivery.name] = _File(delivery.body.sha256, delivery.sequence, given)
        self._become(delivery.sequence, {key: self._newest(key) for key in {*before.rows, *given}})

    def _newest(self, key: Row) -> Row | None:
        """The row of a key in the newest file that has it."""
        found = [
            (file.sequence, file.rows[key]) for file in self._files.values() if key in file.rows
        ]
        return max(found)[1] if found else None

    def _become(self, sequence: int, rows: Mapping[Row, Row | None]) -> None:
        for key, row in rows.items():
            if row is None:
                self.versions.append((self._current.pop(key), sequence, True))
            elif self._current.get(key) != row:
                self.versions.append((row, sequence, False))
                self._current[key] = row


@dataclass(frozen=True)
class _File:
    """The file that counts for a name: its rows by key, and since which delivery it has them."""

    sha256: str
    sequence: int
    rows: Mapping[Row, Row]


def _compare(
    result: Verification, connection: Connection, names: Names, feed: Feed, expected: _Expected
) -> None:
    """Compare all versions in the warehouse."""
    table = feed.table
    columns = sql.SQL(", ").join(map(sql.Identifier, table.column_names))
    query = sql.SQL("SELECT {}, batch_seq, is_deleted FROM {}").format(
        columns, names.table(table.name)
    )
    with failures(LoadError, f"a read of {table.name}"), transaction(connection):
        found = [(row[:-2], row[-2], row[-1]) for row in connection.execute(query)]
    different = set(found) ^ set(expected.versions)
    if different or len(found) != len(expected.versions):
        result.findings.append(
            f"{table.name} differs from what the deliveries of {feed.title} give, in"
            f" {len(different)} versions: `totesys rebuild` replaces them with the lake's rows."
        )


def _is_made(connection: Connection, names: Names, feed: Feed) -> bool:
    """Whether the warehouse has a ledger and the feed's table. The next load creates them."""
    query = "SELECT to_regclass(%s) IS NOT NULL AND to_regclass(%s) IS NOT NULL"
    tables = [names.ledger("batch"), names.table(feed.table.name)]
    with failures(LoadError, "a read of the ledger"), transaction(connection):
        found = connection.execute(query, [t.as_string(connection) for t in tables]).fetchone()
    return found == (True,)
