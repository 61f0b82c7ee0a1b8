"""The load of a batch: all its tables in one transaction, dimensions before facts.

Loading the same batch again does nothing, and a batch is refused until the previous one is in the
ledger. So the warehouse is always the result of the first n batches of the log. Versions are
ordered by batch, never by a timestamp of the source.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable

from psycopg import errors, sql

from totesys_dagster.catalogue import StarTable
from totesys_dagster.errors import LoadError, NotProcessedError, QuarantineError
from totesys_dagster.lake.erasures import erasures
from totesys_dagster.lake.manifest import Manifest
from totesys_dagster.lake.quarantined import too_many
from totesys_dagster.lake.receipt import Receipt, sound_receipt, touched_stars
from totesys_dagster.lake.requests import accept, accepted_rows
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres.sessions import Connection, Names, failures
from totesys_dagster.warehouse import audit, state
from totesys_dagster.warehouse.ledger import Loaded, exclusive, in_ledger, outcome, write_ledger
from totesys_dagster.warehouse.table_load import TableLoader

# Seconds to wait before repeating a load that was the victim of a deadlock or conflict.
CONFLICT_PAUSES = (0.1, 0.5, 2.0)

# How long a load waits for a table that another session has locked. In the meantime it blocks the
# tables that it has already written to.
LOCK_TIMEOUT = "10s"


def load_batch(
    connection: Connection,
    names: Names,
    manifest: Manifest,
    ingestion: Store,
    processed: Store,
    *,
    quarantine_limit: int,
    only: Collection[str] | None = None,
) -> Loaded:
    """Load a processed batch; with `only`, just these tables and without comparing them with the
    source, for a rebuild beside the warehouse.

    Raises SequenceGapError if an earlier batch is missing, NotProcessedError if the batch is not
    processed, QuarantineError if it has too many rows in quarantine, LoadError if the ledger has
    another batch of that sequence, LakeError if its objects are not what was written. In each case,
    nothing is written.
    """
    touched = [s for s in touched_stars(manifest) if only is None or s.name in only]
    receipts = _receipts(manifest, touched, ingestion, processed, quarantine_limit)

    def load_once() -> bool:
        with exclusive(connection, names):
            connection.execute(sql.SQL("SET LOCAL lock_timeout TO {}").format(LOCK_TIMEOUT))
            if in_ledger(connection, names, manifest):
                return True
            if only is None:
                _require_filled(connection, names, manifest)
            write_ledger(connection, names, manifest)
            loads = [TableLoader(connection, names, *of, manifest) for of in receipts]
            staged = {
                load.star.name: load.staging for load in loads if load.run(ingestion, processed)
            }
            changed = state.carry_on(connection, names, manifest.sequence)
            if only is None:
                erased = erasures(ingestion).not_comparable(manifest.sequence)
                audit.audit_batch(connection, names, manifest, staged, {*changed, *erased})
        return False

    with failures(LoadError, f"the load of batch {manifest.batch}"):
        try:
            already = _again_after_a_conflict(load_once)
        except errors.LockNotAvailable:
            raise LoadError(
                f"Another session has locked a table of the warehouse for over {LOCK_TIMEOUT}:"
                f" nothing of batch {manifest.batch} was loaded; the next attempt tries again."
            ) from None
        return outcome(connection, names, manifest, already=already)


def _require_filled(connection: Connection, names: Names, manifest: Manifest) -> None:
    """Raise LoadError if a table was dropped and is still empty: facts would be orphans."""
    if empty := state.dropped(state.states(connection, names)):
        raise LoadError(
            f"{', '.join(star.name for star in empty)}: dropped, made again and still empty, so"
            f" batch {manifest.batch} is not loaded: run `totesys rebuild`, which fills the table"
            " from the lake."
        )


def _again_after_a_conflict(load_once: Callable[[], bool]) -> bool:
    """Repeat a transaction only if PostgreSQL rolled it back because of another one."""
    for pause in CONFLICT_PAUSES:
        try:
            return load_once()
        except (errors.DeadlockDetected, errors.SerializationFailure):
            time.sleep(pause)
    return load_once()


def _receipts(
    manifest: Manifest,
    stars: Iterable[StarTable],
    ingestion: Store,
    processed: Store,
    quarantine_limit: int,
) -> list[tuple[StarTable, Receipt]]:
    receipts = []
    for star in stars:
        receipt = sound_receipt(processed, star, manifest)
        if receipt is None:
            raise NotProcessedError(
                f"Batch {manifest.batch} is not processed for {star.name}: materialize"
                f" processed/{star.name} for it, then load it."
            )
        receipts.append((star, receipt))
    _judge(manifest, [receipt for _, receipt in receipts], ingestion, quarantine_limit)
    return receipts


def _judge(
    manifest: Manifest, receipts: Iterable[Receipt], ingestion: Store, quarantine_limit: int
) -> None:
    """Record that the batch is loaded with rows in quarantine. Raises QuarantineError if there are
    too many, and the batch was not loaded with as many before."""
    stars = {receipt.star: receipt.quarantined for receipt in receipts if receipt.quarantined}
    if not stars:
        return
    most = max(stars.values())
    if most <= (accepted := accepted_rows(ingestion, manifest)):
        return
    if most > quarantine_limit:
        raise QuarantineError(too_many(manifest.sequence, stars, max(quarantine_limit, accepted)))
    accept(ingestion, manifest, stars, quarantine_limit)
