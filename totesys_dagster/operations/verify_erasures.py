"""Checks the log of erasures: it may replace the PII of the keys it names, and no more.

While an original is there, the whole replacement is compared with it. Afterwards it is checked by
what is left: its rows and keys must be those of the manifest, and it must give the rows that the
warehouse has loaded.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from totesys_dagster.catalogue import SOURCE_TABLES, StarTable
from totesys_dagster.catalogue.blanks import NULL, blanks, names_of
from totesys_dagster.errors import (
    LakeError,
    LakeUnusableError,
    ObjectConflictError,
    ObjectMissingError,
    ProcessedOtherwiseError,
)
from totesys_dagster.lake.blanking import differences, find
from totesys_dagster.lake.erasures import Erased, Erasure, ErasureLog, Erasures
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.parts import read_exactly
from totesys_dagster.lake.receipt import sound_receipt, stars_reading, touched_stars
from totesys_dagster.lake.store import Store
from totesys_dagster.lake.verification import Verification
from totesys_dagster.processed.process import process_star
from totesys_dagster.words import counted

_RESTORE = "it was changed after it was written; restore it from the bucket's older versions"


def stars_of(table: str) -> list[StarTable]:
    """The stars that the PII of a table reaches: they, or their quarantine, have them."""
    return [star for star in stars_reading([table]) if star.base is not None]


def verify_erasures(ingestion: Store, processed: Store) -> Verification:
    """Check each erasure of a lake. Raises LakeUnusableError if a zone cannot be used at all."""
    result, known = Verification(), Erasures()
    records = [*_readable(result, ErasureLog(ingestion))]
    everything = Erasures()
    everything.add(records)
    for record in records:
        found = Verification()
        for wrong in (*wrong_with(ingestion, record), *_strange(ingestion, known, record)):
            found.findings.append(f"Erasure {record.sequence} {wrong}: {_RESTORE}.")
        with found.noted():
            _check_replacements(found, ingestion, everything, record)
        _check_removed(found, ingestion, record)
        known.add([record])
        result.add(found)
    if result.passed:
        _check_results(result, ingestion, processed, everything)
    return result


def _readable(result: Verification, log: ErasureLog) -> Iterator[Erasure]:
    """The erasures up to the first that cannot be read or does not follow from the previous one."""
    previous: str | None = None
    for number in range(1, log.end() + 1):
        result.objects += 1
        record: Erasure | None = None
        with result.noted():
            record = log.read(number)
        if record is None:
            return
        if record.previous_sha256 != previous:
            result.findings.append(
                f"Erasure {number} does not follow from the previous one: one of the two was"
                " changed after it was written."
            )
            return
        previous = record.sha256
        yield record


def wrong_with(ingestion: Store, record: Erasure) -> Iterator[str]:
    """What a record does that none of ours would do, a phrase each, as far as it can be seen: some
    of it only while the originals are there. Raises LakeUnusableError."""
    table = SOURCE_TABLES.get(record.table)
    if table is None:
        return  # no longer declared
    if not 0 < record.superseded_by <= ManifestLog(ingestion).end():
        yield f"says that batch {record.superseded_by} came after it"
    allowed = blanks(table)
    for name, blank in record.columns.items():
        if blank != (allowed.get(name) if names_of(table, name) else NULL):
            yield f"replaces {record.table}.{name}, which is not PII, or by another blank"
    for one in record.objects:
        if not one.is_sound or not one.removed.key.startswith(f"rows/{record.table}/"):
            yield f"names {one.replacement.key}, which cannot replace {one.removed.key}"
        elif wrong := _difference(ingestion, record, one, table.key):
            yield wrong


def _difference(ingestion: Store, record: Erasure, one: Erased, key: str) -> str | None:
    """How a replacement differs from its original otherwise than it may; None if it does not, or
    the original is gone."""
    try:
        before = read_exactly(ingestion, one.removed)
        after = read_exactly(ingestion, one.replacement)
        wrong = differences(before, after, key, record.keys, record.columns)
    except ObjectMissingError:
        return None  # the replacement is read with its batch
    except LakeUnusableError:
        raise
    except (LakeError, ValueError) as error:
        return f"replaces {one.removed.key}, which cannot be compared ({error})"
    return f"{wrong} of {one.removed.key}" if wrong else None


def _strange(ingestion: Store, before: Erasures, record: Erasure) -> Iterator[str]:
    """The objects that no manifest named until then, a phrase each."""
    for one in record.objects:
        if not one.is_sound:
            continue
        named: set[ObjectEntry] = set()
        manifest = _manifest(ingestion, one.sequence)
        if manifest is not None and record.table in manifest.tables:
            named = {before.current(entry) for entry in manifest.tables[record.table].objects}
        if one.removed not in named:
            yield f"replaces {one.removed.key}, which no batch names"


def _manifest(ingestion: Store, sequence: int) -> Manifest | None:
    try:
        return ManifestLog(ingestion).read(sequence)
    except LakeUnusableError:
        raise
    except LakeError:
        return None  # that is a finding already


def _check_replacements(
    result: Verification, ingestion: Store, known: Erasures, record: Erasure
) -> None:
    """Check the keys of the replacements, and those that the record names. Raises LakeError."""
    table = SOURCE_TABLES.get(record.table)
    unseen = {*record.keys}
    for one in record.objects:
        manifest = _manifest(ingestion, one.sequence) if one.is_sound else None
        entry = manifest.tables.get(record.table) if manifest else None
        if table is None or entry is None:
            return
        rows = [*find(read_exactly(ingestion, known.current(one.replacement)), table.key)]
        unseen -= {row.key for row in rows if row.has_any(record.columns)}
        keys = [row.key for row in rows]
        ranges = entry.keys.read(ingestion)
        if not len({*keys}) == len(keys) == one.removed.rows or not all(
            any(low <= key <= high for low, high in ranges) for key in keys
        ):
            result.findings.append(
                f"Erasure {record.sequence} replaces {one.removed.key} by rows of other keys:"
                f" {_RESTORE}."
            )
    for key in sorted(unseen):
        result.findings.append(
            f"Erasure {record.sequence} names {record.table} {key}, and no value of that row is"
            f" erased: {_RESTORE}."
        )


def _check_removed(result: Verification, ingestion: Store, record: Erasure) -> None:
    """Check that the originals are gone."""
    there = [one for one in record.objects if ingestion.exists(one.removed.key)]
    if there:
        keys = " ".join(map(str, record.keys))
        result.findings.append(
            f"{record.table} {keys} is not erased yet, as the original of"
            f" {counted(len(there), 'object')} is still there: run `totesys erase {record.table}"
            f" {keys}` again."
        )


def _check_results(
    result: Verification, ingestion: Store, processed: Store, known: Erasures
) -> None:
    """Check that the replacements give the rows that are in the processed zone, whose receipts the
    ledger proves."""
    found = {
        (one.sequence, star.name): star
        for record in known.records
        for one in record.objects
        for star in stars_of(record.table)
    }
    for (sequence, _), star in sorted(found.items(), key=lambda one: one[0]):
        manifest = _manifest(ingestion, sequence)
        if manifest is not None and star in touched_stars(manifest):
            result.read(partial(_require_same, ingestion, processed, star, manifest))


def _require_same(ingestion: Store, processed: Store, star: StarTable, manifest: Manifest) -> None:
    if sound_receipt(processed, star, manifest) is None:
        return
    try:
        process_star(star, manifest, ingestion, _Beside(processed), again=True)
    except ProcessedOtherwiseError:
        raise LakeError(
            f"Batch {manifest.sequence} gives other rows of {star.name} than the warehouse has"
            " loaded, and it has replacements for erased values: one of them was changed after it"
            f" was written, or a receipt was, and {processed.remedy}."
        ) from None


class _Beside(Store):
    """A zone in which what is written stays in memory, and must not differ from what is there."""

    def __init__(self, zone: Store) -> None:
        super().__init__(zone.url, zone.setting)
        self._written: dict[str, bytes] = {}

    def put(self, key: str, data: bytes) -> None:
        if self.exists(key):
            try:
                same = super().get(key, len(data)) == data
            except LakeUnusableError:
                raise
            except LakeError:
                same = False
            if not same:
                raise ObjectConflictError(f"{self.uri(key)} exists with other content.")
        self._written[key] = data

    def get(self, key: str, *most: int) -> bytes:
        return self._written[key] if key in self._written else super().get(key, *most)
