"""Loads one table of a batch, inside the batch's transaction: stage, compare, write."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from psycopg import Cursor, sql

from totesys_dagster.catalogue import STAR_TABLES, Kind, StarTable, revision
from totesys_dagster.errors import LoadError
from totesys_dagster.lake.key_ranges import Ranges
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.quarantined import key_in, read_quarantine
from totesys_dagster.lake.receipt import Receipt, read_star
from totesys_dagster.lake.store import Store
from totesys_dagster.parallel import ahead
from totesys_dagster.postgres.sessions import Connection, Names
from totesys_dagster.warehouse import calendar
from totesys_dagster.warehouse.copy import copy_in
from totesys_dagster.warehouse.ddl import listed
from totesys_dagster.warehouse.fill import References, fill
from totesys_dagster.warehouse.quarantine import release
from totesys_dagster.warehouse.tables import past
from totesys_dagster.warehouse.upsert import upsert


class TableLoader:
    """The load of one table of a batch, inside the batch's transaction."""

    def __init__(
        self,
        connection: Connection,
        names: Names,
        star: StarTable,
        receipt: Receipt,
        manifest: Manifest,
    ) -> None:
        self.connection = connection
        self.names = names
        self.star = star
        self.manifest = manifest
        self.receipt = receipt
        self.references = References(star)
        self.staging = sql.Identifier(f"staging_{star.name}")
        self.deleted_keys = sql.Identifier(f"deleted_{star.name}")
        # All pieces of SQL that the statements below are composed of.
        self.fragments: dict[str, sql.Composable] = {
            "target": names.table(star.name),
            "staging": self.staging,
            "deleted_keys": self.deleted_keys,
            "key": sql.Identifier(star.key),
            "columns": listed(star.column_names),
            "staged": listed(star.column_names, "s"),
            "current": listed(star.column_names, "c"),
            "was": listed(star.column_names, "o"),
            "past": names.table(past(star).name),
            "sequence": sql.Literal(manifest.sequence),
            "observed_at": sql.Literal(manifest.observed_at),
            "quarantine": names.ledger("quarantine"),
            "star": sql.Literal(star.name),
        }

    def _query(
        self, statement: str, parameters: Sequence[Any] | None = None, /, **more: sql.Composable
    ) -> Cursor[tuple[Any, ...]]:
        """Run a statement made of `fragments`."""
        query = sql.SQL(statement).format(**self.fragments, **more)
        return self.connection.execute(query, parameters)

    def _execute(self, statement: str, /, **more: sql.Composable) -> int:
        """Run a statement made of `fragments` and return how many rows it touched."""
        return max(self._query(statement, **more).rowcount, 0)

    def run(self, ingestion: Store, processed: Store) -> bool:
        """Fill the table, or stage, compare and write. Returns whether rows were staged.

        Raises LoadError or LakeError.
        """
        star, manifest, receipt = self.star, self.manifest, self.receipt
        if fill(self.connection, self.names, star, manifest, receipt, ingestion, processed):
            self._record(self.receipt.rows, self.receipt.rows, 0, 0, 0)
            return False
        staged = self._stage(processed)
        self._find_deleted(ingestion)
        self._record_quarantined(processed)
        orphans = self._quarantine_orphans()
        self.references.allow_nulls(self.connection, self.names)
        release(
            self.connection, self.names, star, manifest.sequence, self.staging, self.deleted_keys
        )
        if self.star.kind is Kind.FACT:
            inserted, updated, deleted = self._append_versions()
        else:
            inserted, updated, deleted = upsert(self._execute, self.star)
        if self.star.kind is Kind.CALENDAR:
            inserted += calendar.close_gaps(self.connection, self.names, manifest.sequence)
        self._record(staged, inserted, updated, deleted, orphans)
        return True

    def _stage(self, processed: Store) -> int:
        definitions = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(column.name), sql.SQL(column.sql_type))
            for column in self.star.columns
        )
        self._execute("CREATE TEMP TABLE {staging} ({all}) ON COMMIT DROP", all=definitions)
        parts = ahead(partial(read_star, processed, self.star), self.receipt.objects, threads=1)
        noted = self.references.noted(parts)
        staged = copy_in(self.connection, self.fragments["staging"], self.star.arrow_schema, noted)
        self._execute("ANALYZE {staging} ({key})")
        different = self._count("SELECT count(DISTINCT {key}) FROM {staging}")
        if staged != self.receipt.rows or different != staged:
            raise LoadError(
                f"Batch {self.manifest.batch} has {self.receipt.rows} rows of {self.star.name}"
                f" according to its receipt, but {staged} arrived with {different} keys: nothing"
                " was loaded; run `totesys verify` to see which object is damaged."
            )
        return staged

    def _count(self, statement: str) -> int:
        [(count,)] = self._query(statement).fetchall()
        return int(count)

    def _find_deleted(self, ingestion: Store) -> None:
        """The keys to delete: those listed, or all that the source no longer has."""
        self._execute(
            "CREATE TEMP TABLE {deleted_keys} ON COMMIT DROP"
            " AS SELECT {key} AS key FROM {staging} LIMIT 0"
        )
        if self.receipt.reconcile:
            assert self.star.base is not None
            keys = self.manifest.tables[self.star.base].keys.read(ingestion)
            self._find_absent(keys)
            return
        if self.receipt.deleted_keys is None:
            return
        keys = self.receipt.deleted_keys.read(ingestion)
        # A key beyond the range of integer was never in the warehouse.
        statement = sql.SQL(
            """
            INSERT INTO {deleted_keys} (key)
            SELECT generate_series(greatest(low, -2147483648), least(high, 2147483647))::integer
            FROM unnest(%s::bigint[], %s::bigint[]) AS ranges (low, high)
            """
        ).format(**self.fragments)
        self.connection.execute(statement, [[low for low, _ in keys], [high for _, high in keys]])

    def _find_absent(self, keys: Ranges) -> None:
        """Compare with the source's keys, not with the staged rows: some may be in quarantine.

        One scan of the table compares each version with the range that would contain its key.
        Without a join, no plan can become quadratic, however many ranges there are. Grouping the
        versions of a key drops what the source deleted in earlier batches, so a full read does not
        look it up again. Keys are looked up in order: in any other order, a million took three
        times as long.
        """
        self._query(
            """
            INSERT INTO {deleted_keys} (key)
            SELECT f.{key} FROM {target} AS f
            WHERE coalesce(
                f.{key} > (SELECT %s::bigint[])[width_bucket(f.{key}, (SELECT %s::bigint[]))], TRUE
            )
            GROUP BY f.{key}
            HAVING max(f.batch_seq) FILTER (WHERE NOT f.is_deleted)
                 > coalesce(max(f.batch_seq) FILTER (WHERE f.is_deleted), 0)
            ORDER BY f.{key}
            """,
            [[high for _, high in keys], [low for low, _ in keys]],
        )

    def _record_quarantined(self, processed: Store) -> None:
        """Record the rows that processing quarantined, by key if their line has one."""
        statement = sql.SQL(
            "COPY {quarantine} (sequence, star, source, key, reason) FROM STDIN"
        ).format(**self.fragments)
        if not self.receipt.quarantined:
            return
        with self.connection.cursor() as cursor, cursor.copy(statement) as sink:
            for row in read_quarantine(processed, self.receipt):
                reasons = f"{row.table}: {'; '.join(row.reasons)}"
                of = (self.manifest.sequence, self.star.name, row.table)
                sink.write_row((*of, key_in(self.star, row), reasons))

    def _quarantine_orphans(self) -> int:
        """Quarantine the facts that refer to a dimension row which the warehouse does not have.

        The source's foreign keys forbid this, so it happens only if that row is in quarantine. Once
        the row has arrived, the audit requests the facts again.
        """
        missing = self.references.missing(self.connection, self.names, self.fragments["staging"])
        return sum(
            self._quarantine_orphans_of(column, STAR_TABLES[dimension])
            for column, dimension in missing
        )

    def _quarantine_orphans_of(self, column: str, dimension: StarTable) -> int:
        return self._execute(
            """
            WITH orphans AS (
                DELETE FROM {staging} AS s
                WHERE s.{column} IS NOT NULL AND NOT EXISTS (
                    SELECT FROM {dimension} AS d WHERE d.{dimension_key} = s.{column}
                )
                RETURNING s.{key} AS key, s.{column}::text AS missing
            )
            INSERT INTO {quarantine}
                (sequence, star, source, key, reason, dimension, dimension_key)
            SELECT {sequence}, {star}, {base}, key, {reason}, {dimension_name}, missing FROM orphans
            """,
            base=sql.Literal(self.star.base),
            dimension=self.names.table(dimension.name),
            dimension_key=sql.Identifier(dimension.key),
            column=sql.Identifier(column),
            reason=sql.Literal(f"{column} refers to a row that {dimension.name} does not have"),
            dimension_name=sql.Literal(dimension.name),
        )

    def _append_versions(self) -> tuple[int, int, int]:
        """Facts get a new version if and only if it differs from the current one of their key.

        Finding the current version takes one index lookup, whatever PostgreSQL's statistics say.
        """
        # Numbers continue from the highest, not from a sequence: a sequence leaves gaps when a
        # transaction is rolled back, and a rebuild would assign other numbers.
        counts = self._query(
            """
            WITH changed AS (
                SELECT row_number() OVER (ORDER BY {key}) AS number, *
                FROM (
                    SELECT {staged}, c.{key} IS NULL AS is_new, FALSE AS is_deleted
                    FROM {staging} AS s LEFT JOIN LATERAL ({latest} s.{key} {newest}) AS c ON TRUE
                    WHERE c.{key} IS NULL OR c.is_deleted
                       OR ROW({current}) IS DISTINCT FROM ROW({staged})
                    UNION ALL
                    SELECT {current}, FALSE, TRUE
                    FROM {deleted_keys} AS g CROSS JOIN LATERAL ({latest} g.key {newest}) AS c
                    WHERE NOT c.is_deleted
                ) AS versions
            ), added AS (
                INSERT INTO {target} ({record_id}, {columns}, batch_seq, observed_at, is_deleted)
                SELECT (SELECT coalesce(max({record_id}), 0) FROM {target}) + number,
                       {columns}, {sequence}, {observed_at}, is_deleted
                FROM changed
            )
            SELECT count(*) FILTER (WHERE is_new),
                   count(*) FILTER (WHERE NOT is_new AND NOT is_deleted),
                   count(*) FILTER (WHERE is_deleted)
            FROM changed
            """,
            latest=sql.SQL("SELECT * FROM {target} AS f WHERE f.{key} =").format(**self.fragments),
            newest=sql.SQL("ORDER BY f.batch_seq DESC LIMIT 1"),
            record_id=sql.Identifier(self.star.record_id or ""),
        )
        [(inserted, updated, deleted)] = counts.fetchall()
        return inserted, updated, deleted

    def _record(self, staged: int, inserted: int, updated: int, deleted: int, orphans: int) -> None:
        query = sql.SQL(
            "INSERT INTO {} (log, sequence, star, receipt_sha256, revision,"
            " staged, inserted, updated, deleted, orphans)"
            " VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s)"
        ).format(self.names.ledger("batch_table"))
        batch = [self.manifest.log, self.manifest.sequence, self.star.name]
        processed = [self.receipt.sha256, revision(self.star)]
        counts = [staged, inserted, updated, deleted, orphans]
        self.connection.execute(query, [*batch, *processed, *counts])
