"""Checks the past rows of dimensions against the lake and the ledger.

An audit compares current rows with the source, which no longer has past ones. But the processed
zone has the rows that each batch brought, and the ledger the number of versions that it made.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from typing import Any

from psycopg import Cursor, sql

from totesys_dagster.catalogue import STAR_TABLES, Kind, StarTable
from totesys_dagster.errors import LakeError, LakeUnusableError, LoadError
from totesys_dagster.lake.log import TOTESYS
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.receipt import read_receipt, read_star
from totesys_dagster.lake.store import Store
from totesys_dagster.lake.verification import Verification
from totesys_dagster.postgres.sessions import Connection, Names, failures, transaction
from totesys_dagster.warehouse.copy import copy_in
from totesys_dagster.warehouse.ddl import listed
from totesys_dagster.warehouse.tables import past
from totesys_dagster.words import counted

# A batch makes one version of each row that it inserts, changes or deletes.
_MISCOUNTED = """
SELECT DISTINCT batch_seq FROM (
    SELECT batch_seq, count(*) AS versions FROM (
        SELECT batch_seq FROM {past} UNION ALL SELECT batch_seq FROM {table}
    ) AS held GROUP BY batch_seq
) AS held FULL JOIN (
    SELECT sequence AS batch_seq, inserted + updated + deleted AS versions FROM {batch_table}
    WHERE log = {log} AND star = {star}
) AS noted USING (batch_seq)
WHERE coalesce(held.versions, 0) <> coalesce(noted.versions, 0)
"""
# A deletion leaves a row as it was.
_DELETED_OTHERWISE = """
SELECT d.batch_seq FROM (
    SELECT {columns}, batch_seq, is_deleted FROM {past} WHERE is_deleted
    UNION ALL
    SELECT {columns}, batch_seq, is_deleted FROM {table} WHERE is_deleted
) AS d LEFT JOIN LATERAL (
    SELECT * FROM {past} AS p WHERE p.{key} = d.{key} AND p.batch_seq < d.batch_seq
    ORDER BY p.batch_seq DESC LIMIT 1
) AS before ON TRUE
WHERE ROW({of_before}) IS DISTINCT FROM ROW({of_deleted}) OR before.is_deleted
"""
_BROUGHT_OTHERWISE = """
SELECT p.batch_seq FROM {past} AS p LEFT JOIN brought AS b ON b.{key} = p.{key}
WHERE p.batch_seq = %s AND NOT p.is_deleted AND ROW({of_past}) IS DISTINCT FROM ROW({of_brought})
"""


def verify_past(
    connection: Connection,
    names: Names,
    ingestion: Store,
    processed: Store,
    due: Collection[range],
    outdated: Collection[str],
) -> Verification:
    """Check the versions that the batches in `due` brought, for tables that are not `outdated`.

    Differences are findings. Unreadable objects are findings already, and are not compared. Raises
    TotesysError if a system cannot be used at all.
    """
    histories = [
        _History(connection, names, star)
        for star in STAR_TABLES.values()
        if star.kind is Kind.DIMENSION and star.name not in outdated
    ]
    # One batch at a time, so each manifest is read once: ten thousand are half a gigabyte.
    for sequence in sorted({number for history in histories for number in history.brought}):
        if any(sequence in block for block in due):
            try:
                manifest = ManifestLog(ingestion).read(sequence)
            except LakeUnusableError:
                raise
            except LakeError:
                continue
            for history in histories:
                history.look(manifest, processed)
    result = Verification()
    for history in histories:
        if wrong := history.wrong:
            result.findings.append(
                f"The history of {history.star.name} is not what the lake gives, in versions of"
                f" {counted(len(wrong), 'batch')} from batch {min(wrong)} on: `totesys rebuild`"
                " replaces them with the lake's rows."
            )
    return result


class _History:
    """The versions of a dimension's rows. `wrong` are the batches whose versions are not what they
    brought, `brought` those to compare with their rows in the lake."""

    def __init__(self, connection: Connection, names: Names, star: StarTable) -> None:
        self._connection, self.star = connection, star
        self._fragments: dict[str, sql.Composable] = {
            "past": names.table(past(star).name),
            "table": names.table(star.name),
            "batch_table": names.ledger("batch_table"),
            "log": sql.Literal(TOTESYS),
            "star": sql.Literal(star.name),
            "key": sql.Identifier(star.key),
            "columns": listed(star.column_names),
            "of_before": listed(star.column_names, "before"),
            "of_deleted": listed(star.column_names, "d"),
            "of_past": listed(star.column_names, "p"),
            "of_brought": listed(star.column_names, "b"),
        }

        with self._looking():
            self.wrong = {*self._batches(_MISCOUNTED), *self._batches(_DELETED_OTHERWISE)}
            kept = self._batches("SELECT DISTINCT batch_seq FROM {past} WHERE NOT is_deleted")
        self.brought = set(kept) - self.wrong

    def look(self, manifest: Manifest, processed: Store) -> None:
        """Compare the versions of a batch, if any, with what it brought. Skips what cannot be read.
        Raises LakeUnusableError or LoadError."""
        if manifest.sequence not in self.brought:
            return
        try:
            if self._differs(manifest, processed):
                self.wrong.add(manifest.sequence)
        except LakeUnusableError:
            raise
        except LakeError:
            return

    def _differs(self, manifest: Manifest, processed: Store) -> bool:
        """Whether past versions of a batch differ from its rows in the processed zone."""
        receipt = read_receipt(processed, self.star, manifest)
        if receipt is None:
            return False
        parts = (read_star(processed, self.star, entry) for entry in receipt.objects)
        with self._looking():
            self._execute(
                "CREATE TEMP TABLE brought ON COMMIT DROP AS SELECT {columns} FROM {past} LIMIT 0"
            )
            copy_in(self._connection, sql.SQL("brought"), self.star.arrow_schema, parts)
            self._execute("ANALYZE brought ({key})")
            return bool(self._batches(_BROUGHT_OTHERWISE, manifest.sequence))

    @contextmanager
    def _looking(self) -> Iterator[None]:
        with (
            failures(LoadError, f"a read of the history of {self.star.name}"),
            transaction(self._connection),
        ):
            yield

    def _execute(self, statement: str, *parameters: int) -> Cursor[tuple[Any, ...]]:
        query = sql.SQL(statement).format(**self._fragments)
        return self._connection.execute(query, parameters or None)

    def _batches(self, statement: str, *parameters: int) -> list[int]:
        return [sequence for (sequence,) in self._execute(statement, *parameters)]
