"""The capture of a batch: one snapshot of the source into part files and a manifest.

    with open_capture(connection, store, batch=..., run_id=..., part_bytes=...) as capture:
        for read in capture.reads():
            read.write(store)       # streams the table's rows; or hand it to an I/O manager
        manifest = capture.commit()

Rows become JSON inside PostgreSQL, where every type prints exactly, and stream from COPY into part
files without passing through Python objects. Nothing exists before commit() has written the
manifest; what a killed capture leaves behind is named by no manifest.
"""

from __future__ import annotations

import datetime as dt
import itertools
import json
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from psycopg import sql

from totesys_dagster import digest
from totesys_dagster.catalogue import JOINS, SOURCE_TABLES, STAR_TABLES, StarTable
from totesys_dagster.errors import CommitConflictError, LakeError, SourceError
from totesys_dagster.ingestion import blocks, json_lines, snapshot
from totesys_dagster.ingestion.blocks import Readers
from totesys_dagster.ingestion.snapshot import SourceView, TableSchema, TableState
from totesys_dagster.lake import key_ranges, requests
from totesys_dagster.lake.key_ranges import Ranges
from totesys_dagster.lake.manifest import (
    KeySet,
    Manifest,
    ManifestLog,
    StarDigest,
    TableEntry,
)
from totesys_dagster.lake.parts import ObjectEntry, part_stem, write_lines
from totesys_dagster.lake.schemas import schema_key
from totesys_dagster.lake.store import Store, sha256
from totesys_dagster.parallel import ahead
from totesys_dagster.postgres import Connection, failures

BATCH_KEY = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}Z")


def new_batch_key(now: dt.datetime, head: Manifest | None) -> str:
    """The key of a batch opened at `now` (UTC): an instant that sorts after the last batch's."""
    key = now.strftime("%Y-%m-%dT%H-%M-%SZ")
    if head is not None and key <= head.batch:
        later = dt.datetime.strptime(head.batch, "%Y-%m-%dT%H-%M-%S%z") + dt.timedelta(seconds=1)
        key = later.strftime("%Y-%m-%dT%H-%M-%SZ")
    return key


def check_batch_key(batch: str, head: Manifest | None) -> None:
    """Raise LakeError unless `batch` may name the next batch, CommitConflictError if it is late."""
    if not BATCH_KEY.fullmatch(batch):
        raise LakeError(
            f"{batch!r} cannot be the key of a batch: it must be an instant in UTC such as"
            " 2026-11-23T09-15-00Z."
        )
    if head is not None and batch <= head.batch:
        raise CommitConflictError(
            f"Batch {batch} cannot be captured because the lake already goes up to batch"
            f" {head.batch}: batches never change; capture a new one."
        )


@dataclass
class TableRead:
    """One table of a batch on its way to the lake: rows to read once, then what was written."""

    table: str
    batch: str
    part_bytes: int
    streams: Sequence[Iterator[bytes]]
    gone: Ranges
    objects: list[ObjectEntry] = field(default_factory=list)
    deleted: list[ObjectEntry] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(entry.rows for entry in self.objects)

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in (*self.objects, *self.deleted))

    def write(self, store: Store) -> None:
        """Stream the rows, and the keys that are gone, into part files. Raises LakeError."""
        stem, numbers = part_stem("rows", self.table, self.batch), itertools.count()

        def write(lines: Iterator[bytes]) -> list[ObjectEntry]:
            return write_lines(store, stem, lines, self.part_bytes, numbers)

        written = ahead(write, self.streams, threads=len(self.streams) or 1)
        self.objects = sorted(itertools.chain(*written), key=lambda entry: entry.key)
        key = SOURCE_TABLES[self.table].key
        keys = (json.dumps({key: value}).encode() + b"\n" for value in key_ranges.keys(self.gone))
        stem = part_stem("deleted", self.table, self.batch)
        self.deleted = write_lines(store, stem, keys, self.part_bytes)


class Capture:
    """A batch in the making; see the module's docstring for its use."""

    def __init__(
        self,
        view: SourceView,
        store: Store,
        head: Manifest | None,
        states: dict[str, TableState],
        *,
        batch: str,
        run_id: str,
        part_bytes: int,
    ) -> None:
        self.view = view
        self.states = states
        self._store = store
        self._head = head
        self._batch = batch
        self._run_id = run_id
        self._part_bytes = part_bytes
        self._reads: dict[str, TableRead] = {}
        self._readers = Readers(view)

    def close(self) -> None:
        """Give back the connections that were opened beside the view's."""
        self._readers.close()

    @property
    def changed(self) -> list[str]:
        """The tables that changed since the last batch; no batch is due when there are none."""
        return [name for name, state in self.states.items() if state.changed]

    def reads(self) -> Iterator[TableRead]:
        """The tables that the batch holds, one after the other; write each before the next."""
        for table, state in self.states.items():
            condition = row_condition(table, self.states, self.watermark)
            if condition is None and not state.deleted:
                continue
            streams = [] if condition is None else self._streams(table, condition)
            if not streams and not state.deleted:
                continue
            read = TableRead(table, self._batch, self._part_bytes, streams, state.deleted)
            self._reads[table] = read
            yield read

    @cached_property
    def unknown_tables(self) -> tuple[str, ...]:
        """The source's tables that the catalogue does not know; they open no batch."""
        return snapshot.unknown_tables(self.view)

    @property
    def watermark(self) -> int:
        """The transaction id from which on rows are read (it matters to deltas only)."""
        return self.view.snapshot.xmin if self._head is None else self._head.snapshot.xmin

    def _streams(self, table: str, condition: sql.Composable) -> list[Iterator[bytes]]:
        """The rows of `table` as JSON Lines, in streams that can be read side by side."""
        schema = self.view.schemas[table]
        connections = [self.view.connection]
        queries = [copy_query(schema, condition)]
        with failures(SourceError, f"the reading of {table}"):
            count = blocks.blocks(self.view, table) if self.states[table].full else 0
            if count:
                connections = self._readers.connections()
                queries = blocks.copy_queries(schema, count, len(connections))
        streams = [
            self._copy(connection, table, query)
            for connection, query in zip(connections, queries, strict=True)
        ]
        begun = ((next(stream, None), stream) for stream in streams)
        return [itertools.chain([first], rest) for first, rest in begun if first is not None]

    def _copy(self, connection: Connection, table: str, query: sql.Composed) -> Iterator[bytes]:
        with (
            failures(SourceError, f"the reading of {table}"),
            connection.cursor() as cursor,
            cursor.copy(query) as copy,
        ):
            copy.set_types(["bytea"])  # text as it is: lines are stored in the client's encoding
            for (lines,) in copy.rows():
                yield lines

    def commit(self) -> Manifest:
        """Write the manifest, which makes the batch exist. Raises LakeError."""
        sequence = 1 if self._head is None else self._head.sequence + 1
        with failures(SourceError, "the reading of the source's digests"):
            manifest = Manifest(
                sequence=sequence,
                batch=self._batch,
                run_id=self._run_id,
                previous_sha256=None if self._head is None else self._head.sha256,
                observed_at=self.view.observed_at,
                source=self.view.incarnation,
                snapshot=self.view.snapshot,
                tables={name: self._entry(name, sequence) for name in SOURCE_TABLES},
                stars={
                    star.name: self._digest(star, sequence)
                    for star in STAR_TABLES.values()
                    if star.base
                },
                unknown_tables=self.unknown_tables,
            )
        return ManifestLog(self._store).commit(manifest)

    def _entry(self, table: str, sequence: int) -> TableEntry:
        state, read = self.states[table], self._reads.get(table)
        previous = None if self._head is None else self._head.tables[table]
        schema = self.view.schemas[table]
        if previous is None or previous.schema_sha256 != schema.sha256:
            self._store.put(schema_key(table, schema.sha256), schema.to_bytes())
        return TableEntry(
            read="full" if state.full else "delta" if read else "none",
            changed=state.changed,
            rows=read.rows if read else 0,
            objects=tuple(read.objects) if read else (),
            deleted=tuple(read.deleted) if read else (),
            reconcile=state.reconcile,
            inserted=state.inserted,
            schema_sha256=schema.sha256,
            last_full=sequence if state.full or previous is None else previous.last_full,
            last_changed=sequence if state.changed or previous is None else previous.last_changed,
            keys=self._key_set(state, previous, sequence),
            recent=state.recent,
        )

    def _key_set(self, state: TableState, previous: TableEntry | None, sequence: int) -> KeySet:
        if state.ranges is None:
            assert previous is not None
            return previous.keys
        data = key_ranges.to_bytes(state.ranges)
        digest_ = sha256(data)
        key = f"keys/{state.table}/{digest_[:16]}.json"
        if previous is None or previous.keys.sha256 != digest_:
            self._store.put(key, data)
        return KeySet(
            key=key,
            sha256=digest_,
            count=key_ranges.count(state.ranges),
            sequence=sequence,
            observed_at=self.view.observed_at,
            deletions=self.view.schemas[state.table].deletions,
        )

    @cached_property
    def _hashes_known(self) -> bool:
        return digest.hashes_as_known(self.view.connection)

    @cached_property
    def _types(self) -> digest.SourceTypes:
        schemas = self.view.schemas.values()
        return {(s.table, column.name): column.type for s in schemas for column in s.columns}

    def _digest(self, star: StarTable, sequence: int) -> StarDigest:
        previous = None if self._head is None else self._head.stars[star.name]
        changed = any(self.states[table].changed for table in star.sources)
        if previous is not None and not changed:
            return previous
        if previous is not None and self.states[star.base or ""].ranges is None:
            return previous  # a large table, of which keys and digest are not due yet
        version = digest.source_version(star, self._types, hashes_known=self._hashes_known)
        query = digest.source_query(star, self._types, version)
        row = self.view.connection.execute(query).fetchone()
        assert row is not None
        return StarDigest(rows=row[0], digest=row[1], sequence=sequence, version=version)


def row_condition(
    table: str, states: dict[str, TableState], watermark: int
) -> sql.Composable | None:
    """Which rows of `table` the batch holds, None for none.

    A row is in the batch when it changed, or when a row that it is processed together with did.
    """
    own = _changed_condition(states[table], watermark)
    joined = [] if states[table].full else _joined(table, states, watermark)
    if not joined:
        return own
    # The rows are brought together by where they are, and joined with that. As alternatives,
    # "changed or its parent IN (...)", PostgreSQL keeps the parents in memory, and where they do
    # not fit, goes through all of them for each row.
    places = (
        [] if own is None else [sql.SQL("{rows} WHERE {own}").format(rows=_places(table), own=own)]
    )
    return sql.SQL("({table}.tableoid, {table}.ctid) IN ({places})").format(
        table=sql.Identifier(table), places=sql.SQL(" UNION ALL ").join([*places, *joined])
    )


def _places(table: str) -> sql.Composed:
    return sql.SQL("SELECT {0}.tableoid, {0}.ctid FROM public.{0}").format(sql.Identifier(table))


def _joined(table: str, states: dict[str, TableState], watermark: int) -> list[sql.Composed]:
    """Queries for the places of the rows that are joined with a changed row of another table."""
    queries = []
    for join in JOINS:
        if join.child == table:
            other, here, there = join.parent, join.child_column, join.parent_column
        elif join.parent == table:
            other, here, there = join.child, join.parent_column, join.child_column
        else:
            continue
        changed = _changed_condition(states[other], watermark)
        if changed is not None:
            queries.append(
                sql.SQL("{rows} JOIN public.{other} ON {here} = {there} WHERE {changed}").format(
                    rows=_places(table),
                    other=sql.Identifier(other),
                    here=sql.Identifier(table, here),
                    there=sql.Identifier(other, there),
                    changed=changed,
                )
            )
    return queries


def _changed_condition(state: TableState, watermark: int) -> sql.Composable | None:
    if state.full:
        return sql.SQL("TRUE")
    if not state.rows_changed:
        return None
    recent = snapshot.recent(state.table, watermark)
    if state.places is None:
        return recent
    # Places are those of the same snapshot. Partitions use the same ones, so they alone don't tell.
    return sql.SQL("{}.ctid = ANY ({}::tid[]) AND {}").format(
        sql.Identifier(state.table), sql.Literal(list(state.places)), recent
    )


def copy_query(schema: TableSchema, condition: sql.Composable) -> sql.Composed:
    """The COPY that streams a table's rows as JSON Lines, with all columns that it has now.

    COPY's text format would escape JSON's backslashes again; its binary format leaves every byte
    alone, and need not look at it.
    """
    return sql.SQL(
        "COPY (SELECT {line} FROM (SELECT {columns} FROM public.{table} WHERE {condition}) AS r)"
        " TO STDOUT (FORMAT binary)"
    ).format(
        line=json_lines.line(schema),
        columns=sql.SQL(", ").join(sql.Identifier(column.name) for column in schema.columns),
        table=sql.Identifier(schema.table),
        condition=condition,
    )


@contextmanager
def open_capture(
    connection: Connection,
    store: Store,
    *,
    batch: str,
    run_id: str,
    part_bytes: int,
    full: Collection[str] = (),
) -> Iterator[Capture]:
    """Open a snapshot of the source and compare it with the last batch of the lake in `store`.

    `full` names tables to read in full besides those that the lake has requests for. Raises
    SourceError or LakeError, before anything is written.
    """
    log = ManifestLog(store)
    head = log.head()
    check_batch_key(batch, head)
    if head is not None:
        log.seal(head)
    wanted = {*full, *requests.pending(store, head)}
    with snapshot.open_view(connection) as view:
        states = snapshot.examine(view, head, lambda keys: keys.read(store), full=wanted)
        with closing(
            Capture(view, store, head, states, batch=batch, run_id=run_id, part_bytes=part_bytes)
        ) as capture:
            yield capture


def changed_tables(connection: Connection, store: Store) -> list[str]:
    """The tables that the next batch would find changed. Writes nothing. Raises TotesysError."""
    head = ManifestLog(store).head()
    wanted = requests.pending(store, head)
    with snapshot.open_view(connection) as view:
        states = snapshot.examine(view, head, lambda keys: keys.read(store), full=wanted)
    return [name for name, state in states.items() if state.changed]
