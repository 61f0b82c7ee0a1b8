"""What an erasure has to do: which versions of which rows hold PII that ToteSys no
longer has.

Each column of a row has had values, one after the other. The last one is what ToteSys has; it must
not be one of those to be erased, so the person has to be erased there first. All values before it
are erased.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from totesys_dagster.catalogue import SOURCE_TABLES, SourceTable
from totesys_dagster.catalogue.blanks import NULL, blanks, names_of
from totesys_dagster.errors import LakeError, NotErasedInSourceError
from totesys_dagster.lake import too_large
from totesys_dagster.lake.blanking import Found, find, says_nothing
from totesys_dagster.lake.erasures import Erasures, erasures
from totesys_dagster.lake.manifest import ManifestLog, TableEntry
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.parts import read_lines
from totesys_dagster.lake.store import Store


@dataclass(frozen=True)
class Version:
    """A row as a batch has it: the object that it is in, and its values as JSON. A deletion has
    neither."""

    key: int
    sequence: int
    entry: ObjectEntry | None = None
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Plan:
    """The versions of each key, the blank of each column, and from which batch on a key's value in
    a column is the one that ToteSys has.

    `left` are columns without a declaration that nobody has changed in ToteSys.
    """

    table: SourceTable
    keys: tuple[int, ...]
    versions: Mapping[int, Sequence[Version]]
    columns: Mapping[str, str]
    current_since: Mapping[tuple[int, str], int]
    left: tuple[str, ...] = ()

    @property
    def due(self) -> list[Version]:
        """The versions with values to be erased."""
        return [
            version
            for versions in self.versions.values()
            for version in versions
            if self.blanks_of(version.key, version.sequence, version.values)
        ]

    @property
    def objects(self) -> list[tuple[int, ObjectEntry]]:
        """The objects to be replaced, each with its batch."""
        found = {v.entry.key: (v.sequence, v.entry) for v in self.due if v.entry is not None}
        return sorted(found.values(), key=lambda one: (one[0], one[1].key))

    @property
    def staying(self) -> dict[int, list[str]]:
        """The columns in which ToteSys now has another value for a key, which stays."""
        newest = {key: of[-1].values for key, of in self.versions.items()}
        found = {
            key: [
                name
                for name, blank in self.columns.items()
                if name not in self.left and not says_nothing(values.get(name), blank)
            ]
            for key, values in newest.items()
        }
        return {key: names for key, names in found.items() if names}

    @property
    def superseded_by(self) -> int:
        """The first batch after which no value that was erased is current."""
        return max(self.current_since.values(), default=0)

    def blanks_of(self, key: int, sequence: int, values: Mapping[str, str]) -> dict[str, str]:
        """The columns of a version that are to be blanked, each with its blank."""
        return {
            name: blank
            for name, blank in self.columns.items()
            if sequence < self.current_since[key, name]
            and not says_nothing(values.get(name), blank)
        }

    def holds(self, lines: bytes) -> bool:
        """Whether lines of the table have values that are to be erased, in any version. Raises
        ValueError if they cannot be read."""
        return any(self._is_old(found) for found in find(lines, self.table.key, self.keys))

    def _is_old(self, found: Found) -> bool:
        versions = self.versions[found.key]
        newest = versions[-1].values if versions else {}
        return any(
            not says_nothing(found.values.get(name), blank)
            and found.values[name] != newest.get(name)
            for name, blank in self.columns.items()
        )


def plan(log: ManifestLog, table_name: str, keys: Collection[int]) -> Plan:
    """What is to be done to erase the PII of these keys.

    Raises NotErasedInSourceError if ToteSys, as of the last batch, still has one of them, or
    LakeError.
    """
    table, wanted = _table(table_name), tuple(sorted({*keys}))
    versions = _versions(log, table, wanted)
    known = erasures(log.store, now=True)
    unknown = [key for key in wanted if not versions[key]]
    if unknown:
        raise LakeError(
            f"No batch has a row {unknown[0]} of {table_name}: check the key, which is a"
            f" {table.key}; nothing was erased."
        )
    columns = blanks(table)
    undeclared = {
        name
        for one in versions.values()
        for version in one
        for name in version.values
        if not names_of(table, name)
    }
    columns |= dict.fromkeys(sorted(undeclared), NULL)
    since: dict[tuple[int, str], int] = {}
    left = set()
    for key in wanted:
        for name, blank in columns.items():
            history = _history(versions[key], names_of(table, name) or (name,))
            since[key, name], still = _judge(history, blank, _accepted(known, table_name, key))
            if still and name in undeclared:
                left.add(name)
            elif still:
                raise _not_erased(table_name, key, name)
    return Plan(table, wanted, versions, columns, since, tuple(sorted(left)))


def _table(name: str) -> SourceTable:
    table = SOURCE_TABLES.get(name)
    pii = [one.name for one in SOURCE_TABLES.values() if blanks(one)]
    if table is None or name not in pii:
        raise LakeError(
            f"{name} has no PII columns in the catalogue: the tables that have some are"
            f" {', '.join(pii)}; nothing was erased."
        )
    return table


def _history(versions: Sequence[Version], names: Sequence[str]) -> list[tuple[int, str | None]]:
    """The values that a column of one of these names has had, with the batch of each."""
    return [
        (one.sequence, next((one.values[name] for name in names if name in one.values), None))
        for one in versions
    ]


def _judge(
    history: Sequence[tuple[int, str | None]], blank: str, accepted: int
) -> tuple[int, bool]:
    """From which batch on a column has its last value, and whether that is one to be erased: it was
    there before, or has always been. `accepted` is the batch up to which an earlier erasure found
    otherwise."""
    last, earlier = history[-1][1], [*history]
    since = history[-1][0]
    while earlier and earlier[-1][1] == last:
        since = earlier.pop()[0]
    if says_nothing(last, blank) or since <= accepted:
        return since, False
    before = {value for _, value in earlier if not says_nothing(value, blank)}
    was_blanked = any(value == blank != NULL for _, value in earlier)
    return since, last in before or not (before or was_blanked)


def _accepted(known: Erasures, table: str, key: int) -> int:
    found = (one.superseded_by for one in known.of(table) if key in one.keys)
    return max(found, default=0)


def _not_erased(table: str, key: int, column: str) -> NotErasedInSourceError:
    return NotErasedInSourceError(
        f"ToteSys still has {column} of {table} {key} as it was, as of the last batch: change or"
        " empty it there, or delete the row, run `totesys run`, and then erase it here; nothing was"
        " erased."
    )


def _versions(
    log: ManifestLog, table: SourceTable, keys: tuple[int, ...]
) -> dict[int, list[Version]]:
    versions: dict[int, list[Version]] = {key: [] for key in keys}
    for manifest in log.after(0):
        entry = manifest.tables.get(table.name)
        if entry is None:
            continue
        for one in entry.objects:
            for found in rows_in(log.store, one, table, keys):
                if too_large.MEMBER not in found.values:  # such a row is archived without values
                    versions[found.key].append(
                        Version(found.key, manifest.sequence, one, found.values)
                    )
        alive = [key for key in keys if versions[key] and versions[key][-1].entry is not None]
        for key in _deleted(log.store, entry, alive):
            versions[key].append(Version(key, manifest.sequence))
    return versions


def rows_in(
    store: Store, entry: ObjectEntry, table: SourceTable, keys: Collection[int]
) -> Iterator[Found]:
    """The rows of these keys in an object, or in what replaces it. Raises LakeError."""
    try:
        yield from find(read_lines(store, entry), table.key, keys)
    except ValueError as error:
        raise LakeError(
            f"{store.uri(entry.key)}: {error}, so nothing in it can be erased: it was written by"
            " something else than totesys_dagster."
        ) from None


def _deleted(store: Store, entry: TableEntry, keys: Iterable[int]) -> list[int]:
    """Those of the keys that a batch found missing in the source."""
    alive = [*keys]
    if not alive or not (entry.reconcile or entry.deleted_keys):
        return []
    named = entry.keys if entry.reconcile else entry.deleted_keys
    ranges = named.read(store) if named else []
    return [
        key for key in alive if any(low <= key <= high for low, high in ranges) != entry.reconcile
    ]
