"""The capture of a batch: one snapshot of the source into part files and a manifest.

    with open_capture(connection, store, batch=..., run_id=..., part_bytes=...) as capture:
        for read in capture.reads():
            read.write(store)       # streams the table's rows; or hand it to an I/O manager
        manifest = capture.commit()

Rows become JSON inside PostgreSQL, where every type prints exactly, and stream from COPY into part
files without becoming Python objects. The batch does not exist before commit() has written the
manifest; no manifest refers to what a killed capture leaves behind.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property

from psycopg import sql

from totesys_dagster.catalogue import SOURCE_TABLES, STAR_TABLES, StarTable
from totesys_dagster.catalogue.currencies import currencies
from totesys_dagster.errors import CommitConflictError, LakeError, SourceError
from totesys_dagster.ingestion import (
    blocks,
    changes,
    digests,
    drift,
    joined_rows,
    row_size,
    source_view,
)
from totesys_dagster.ingestion.blocks import Readers
from totesys_dagster.ingestion.changes import Findings, TableState
from totesys_dagster.ingestion.fingerprint import TableSchema
from totesys_dagster.ingestion.known import Known
from totesys_dagster.ingestion.source_view import SourceView
from totesys_dagster.lake import key_sets, references
from totesys_dagster.lake.audits import AuditLog, Head, SourceAudit
from totesys_dagster.lake.digest import covers
from totesys_dagster.lake.manifest import (
    BATCH_KEY,
    Digest,
    KnownKeys,
    Manifest,
    ManifestLog,
    PartialDigest,
    StarEntry,
    TableEntry,
    WholeDigest,
    batch_key,
)
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.parts import part_stem, write_lines
from totesys_dagster.lake.requests import DigestRequest, Requests
from totesys_dagster.lake.schemas import schema_key
from totesys_dagster.lake.store import Store
from totesys_dagster.parallel import ahead
from totesys_dagster.postgres.sessions import Connection, failures


def next_batch(head: Manifest | None) -> str:
    """The key of the batch after `head`."""
    return batch_key(1 if head is None else head.sequence + 1)


def check_batch_key(batch: str, head: Manifest | None) -> None:
    """Raise CommitConflictError if the batch is committed, LakeError if it is not the next one."""
    following = next_batch(head)
    if head is not None and BATCH_KEY.fullmatch(batch) and batch <= head.batch:
        raise CommitConflictError(
            f"Batch {batch} cannot be captured because the lake already goes up to batch"
            f" {head.batch}: batches never change; capture the next one, {following}."
        )
    if batch != following:
        raise LakeError(
            f"{batch!r} cannot be captured: batches are named by sequence, and the next one is"
            f" {following}."
        )


@dataclass
class TableRead:
    """One table of a batch on its way to the lake: rows to read once, then what was written.

    `deleted` counts the keys that the source no longer has.
    """

    table: str
    batch: str
    part_bytes: int
    streams: Sequence[Iterator[bytes]]
    deleted: int
    objects: list[ObjectEntry] = field(default_factory=list)

    @property
    def rows(self) -> int:
        return sum(entry.rows for entry in self.objects)

    @property
    def bytes(self) -> int:
        return sum(entry.bytes for entry in self.objects)

    def write(self, store: Store) -> None:
        """Stream the rows into part files. Raises LakeError."""
        stem, numbers = part_stem("rows", self.table, self.batch), itertools.count()

        def write(lines: Iterator[bytes]) -> list[ObjectEntry]:
            return write_lines(store, stem, lines, self.part_bytes, numbers)

        written = ahead(write, self.streams, threads=len(self.streams) or 1)
        self.objects = sorted(itertools.chain(*written), key=lambda entry: entry.key)


class Capture:
    """A batch in the making, or an audit of the source; see the module's docstring for its use."""

    def __init__(
        self,
        view: SourceView,
        store: Store,
        known: Known,
        findings: Findings,
        *,
        run_id: str,
        part_bytes: int,
        without: DigestRequest | None = None,
    ) -> None:
        self.view = view
        self.states = findings.states
        self._findings = findings
        self._digests = dict(findings.digests)
        self._source = findings.source
        self._store = store
        self._known = known
        self._head = known.head
        self._run_id = run_id
        self._part_bytes = part_bytes
        self._quarantined = without.stars if without else {}
        self._reads: dict[str, TableRead] = {}
        self._readers = Readers(view)

    def close(self) -> None:
        """Close the additional connections."""
        self._readers.close()

    @property
    def batch(self) -> str:
        """The key of the batch that commit() would commit."""
        return next_batch(self._head)

    @property
    def changed(self) -> list[str]:
        """The tables that changed since the last batch; if there are none, no batch is due."""
        return self._findings.changed

    @property
    def unseen(self) -> dict[str, str]:
        """The tables that a poll would not find soon, each with the reason to read it in full:
        their rows changed without a transaction id, or they are large and rows were or may have
        been deleted."""
        return {
            name: state.reason or (changes.DELETED if state.deleted else changes.MAYBE_DELETED)
            for name, state in self.states.items()
            if state.full
            or (changes.is_large(self.view, name) and (state.reconcile or bool(state.deleted)))
        }

    def reads(self) -> Iterator[TableRead]:
        """The tables in the batch, one after another; write each before the next. One that changed
        is among them even without a row, as what is made of it waits for it."""
        for table, state in self.states.items():
            condition = joined_rows.row_condition(table, self.states, self.watermark)
            streams = [] if condition is None else self._streams(table, condition)
            if not streams and not state.changed:
                continue
            read = TableRead(table, self.batch, self._part_bytes, streams, state.gone)
            self._reads[table] = read
            yield read

    @cached_property
    def unknown_tables(self) -> tuple[str, ...]:
        """The source's tables that the catalogue does not know. They open no batch."""
        return drift.unknown_tables(self.view)

    @property
    def watermark(self) -> int:
        """The transaction id from which rows are read (relevant only for deltas)."""
        return self.view.snapshot.xmin if self._head is None else self._head.snapshot.xmin

    def _streams(self, table: str, condition: sql.Composable) -> list[Iterator[bytes]]:
        """The rows of `table` as JSON Lines, in streams that can be read in parallel."""
        schema = self.view.schemas[table]
        connections = [self.view.connection]
        queries = [copy_query(schema, condition)]
        with failures(SourceError, f"the read of {table}"):
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
            failures(SourceError, f"the read of {table}"),
            connection.cursor() as cursor,
            cursor.copy(query) as copy,
        ):
            copy.set_types(["bytea"])  # raw text: lines are stored in the client's encoding
            for (lines,) in copy.rows():
                yield lines

    def commit(self) -> Manifest:
        """Write the manifest, which commits the batch. Raises LakeError."""
        sequence = 1 if self._head is None else self._head.sequence + 1
        with failures(SourceError, "the read of the source's digests"):
            manifest = Manifest(
                sequence=sequence,
                previous_sha256=None if self._head is None else self._head.sha256,
                run_id=self._run_id,
                observed_at=self.view.observed_at,
                source=self._source,
                snapshot=self.view.snapshot,
                tables={name: self._entry(name, sequence) for name in SOURCE_TABLES},
                stars=self._stars(sequence),
                references=self._references(),
                unknown_tables=self.unknown_tables,
            )
        return ManifestLog(self._store).commit(manifest)

    def write_audit(self) -> SourceAudit:
        """Write an audit object, for when no batch is due. Raises LakeError."""
        assert self._head is not None
        assert not self.changed
        log = AuditLog(self._store)
        before = log.head()
        return log.write(
            SourceAudit(
                sequence=1 if before is None else before.sequence + 1,
                previous_sha256=None if before is None else before.sha256,
                run_id=self._run_id,
                head=Head(sequence=self._head.sequence, manifest_sha256=self._head.sha256),
                observed_at=self.view.observed_at,
                source=self._source,
                snapshot=self.view.snapshot,
                storage={name: schema.storage for name, schema in self.view.schemas.items()},
                stars=self._stars(self._head.sequence),
            )
        )

    def _references(self) -> dict[str, str]:
        """The reference lists for this batch: today's if it has rows that need them, otherwise
        those of the previous batch."""
        judged = [name for name in self._reads if SOURCE_TABLES[name].names_currencies]
        if self._head is not None and not judged:
            return self._head.references
        name = references.CURRENCIES
        before = self._head.references.get(name) if self._head else None
        return {name: references.put(self._store, name, currencies(), before)}

    def _entry(self, table: str, sequence: int) -> TableEntry:
        state, read = self.states[table], self._reads.get(table)
        previous = self._head.tables.get(table) if self._head else None
        schema = self.view.schemas[table]
        if previous is None or previous.schema_sha256 != schema.sha256:
            self._store.put(schema_key(table, schema.sha256), schema.entry.to_bytes())
        deleted_keys = key_sets.key_set(table, state.deleted) if state.deleted else None
        if deleted_keys:
            key_sets.write(self._store, deleted_keys, state.deleted)
        return TableEntry(
            read="full" if state.full else "delta" if read else "none",
            reason=state.reason,
            changed=state.changed,
            rows=read.rows if read else 0,
            objects=tuple(read.objects) if read else (),
            deleted_keys=deleted_keys,
            reconcile=state.reconcile,
            inserted=state.inserted,
            schema_sha256=schema.sha256,
            storage=schema.storage,
            last_full=sequence if state.full or previous is None else previous.last_full,
            last_changed=sequence if state.changed or previous is None else previous.last_changed,
            keys=self._keys(state, previous, sequence),
            recent=state.recent,
        )

    def _keys(self, state: TableState, previous: TableEntry | None, sequence: int) -> KnownKeys:
        if state.ranges is None:
            assert previous is not None
            return previous.keys
        keys = key_sets.key_set(state.table, state.ranges)
        # The load reads it to reconcile, and the previous one may be lost.
        if state.reconcile or previous is None or previous.keys.sha256 != keys.sha256:
            key_sets.write(self._store, keys, state.ranges)
        return KnownKeys(
            **keys.model_dump(),
            sequence=sequence,
            observed_at=self.view.observed_at,
            deletions=changes.deletions(self.view, self._head, state.table),
        )

    def _stars(self, sequence: int) -> dict[str, StarEntry]:
        return {star.name: self._star(star, sequence) for star in STAR_TABLES.values() if star.base}

    def _star(self, star: StarTable, sequence: int) -> StarEntry:
        """What the warehouse must equal: all rows if they were compared as a whole, otherwise the
        rows of this batch, with the last digest of all rows."""
        known = self._known.stars.get(star.name)
        covered = known is not None and covers(known.whole, star)
        if known is not None and covered and not changes.is_whole(star, self.states):
            return StarEntry(whole=known.whole, touched=self._touched(star), without=known.without)
        taken = self._digests.get(star.name) or digests.whole(self.view, star)
        return StarEntry(
            whole=WholeDigest(
                **taken.model_dump(), sequence=sequence, observed_at=self.view.observed_at
            ),
            without=self._without(star),
        )

    def _touched(self, star: StarTable) -> Digest | None:
        if not any(self.states[table].changed for table in star.sources):
            return None
        assert star.base is not None
        condition = joined_rows.row_condition(star.base, self.states, self.watermark)
        return digests.touched(self.view, star, condition or sql.SQL("FALSE"))

    def _without(self, star: StarTable) -> PartialDigest | None:
        keys = self._quarantined.get(star.name)
        return digests.without(self.view, star, keys) if keys else None


def copy_query(schema: TableSchema, condition: sql.Composable) -> sql.Composed:
    """The COPY that streams a table's rows as JSON Lines, with all its current columns.

    COPY's text format would escape JSON's backslashes again; its binary format leaves bytes alone
    without inspecting them.
    """
    return sql.SQL(
        "COPY (SELECT {line} FROM (SELECT {columns} FROM public.{table} WHERE {condition}) AS r)"
        " TO STDOUT (FORMAT binary)"
    ).format(
        line=row_size.line(schema),
        columns=sql.SQL(", ").join(sql.Identifier(column.name) for column in schema.columns),
        table=sql.Identifier(schema.table),
        condition=condition,
    )


@contextmanager
def open_capture(
    connection: Connection,
    store: Store,
    *,
    run_id: str,
    part_bytes: int,
    batch: str | None = None,
    full: Collection[str] = (),
    whole: bool = False,
) -> Iterator[Capture]:
    """Open a snapshot of the source and compare it with the last batch of the lake in `store`.

    `batch` is the key that the batch is expected to have. `full` names tables to read in full
    besides those requested in the lake. With `whole`, large tables are compared as a whole even if
    that is not due. Raises SourceError or LakeError, before anything is written.
    """
    known, asked = Known.of(store), Requests(store)
    if batch is not None:
        check_batch_key(batch, known.head)
    if known.head is not None:
        ManifestLog(store).put_marker(known.head)
    wanted, without = asked.full_reads(known.head), asked.without()
    wanted |= dict.fromkeys(full, changes.REQUESTED)
    with source_view.open_view(connection) as view:
        due = whole or not changes.audit_in(view, known) or not known.answers(without)
        findings = changes.examine(
            view, known, lambda keys: keys.read(store), full=wanted, whole=due
        )
        with closing(
            Capture(
                view,
                store,
                known,
                findings,
                run_id=run_id,
                part_bytes=part_bytes,
                without=without,
            )
        ) as capture:
            yield capture
