"""What the loads of a run did to each table, for the UI."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from totesys_dagster.warehouse.ledger import Loaded
from totesys_dagster.warehouse.standing import Audit

RARE = ("deletions", "orphans")


@dataclass(frozen=True)
class Timing:
    """How long the load of a batch took, and how long after its snapshot it ended."""

    seconds: float
    late: float


@dataclass
class TableLoads:
    """What several batches did to a table: the first, the last, the sums of all, and their known
    timings."""

    first: Loaded
    last: Loaded
    rows: Counter[str]
    timings: list[Timing] = field(default_factory=list)

    def metadata(self, star: str) -> dict[str, Any]:
        """The metadata. The UI plots numbers; the first load would flatten the plots, so its
        counts are text."""
        one = self.first.batch == self.last.batch
        whole = self.last.audits.get(star)
        known = whole is not None and whole.scope == "whole"
        shown: dict[str, Any] = {
            "batches": self.last.batch if one else f"{self.first.batch} to {self.last.batch}",
            "sequence": self.last.sequence,
            **({"dagster/row_count": whole.found_rows} if whole and known else {}),
        }
        if self.first.sequence == 1:
            counts = (f"{rows:,} {what}" for what, rows in self.rows.items() if rows)
            return {**shown, "first load": ", ".join(counts)}
        # Leave out zeros: deletions and orphans are rare, and every load of every table stores each
        # entry.
        usual = {what: rows for what, rows in self.rows.items() if rows or what not in RARE}
        return {**shown, **usual, **self._times()}

    def _times(self) -> dict[str, float]:
        if not self.timings:
            return {}
        return {
            "seconds of the load": round(sum(one.seconds for one in self.timings), 3),
            "seconds from snapshot to load": round(self.timings[-1].late, 3),
        }


@dataclass
class Loads:
    """What a run has loaded, by table, up to batch `last`, and the result of each table's audit."""

    last: int
    tables: dict[str, TableLoads] = field(default_factory=dict)
    audits: dict[str, Audit] = field(default_factory=dict)

    def add(self, loaded: Loaded, timing: Timing | None = None) -> None:
        self.last = loaded.sequence
        for star, table in loaded.tables.items():
            so_far = self.tables.setdefault(star, TableLoads(loaded, loaded, Counter()))
            so_far.last = loaded
            so_far.timings += [timing] if timing else []
            so_far.rows.update(
                {
                    "rows loaded": table.staged,
                    "new rows": table.inserted,
                    "new versions": table.updated,
                    "deletions": table.deleted,
                    "orphans": table.orphans,
                }
            )
        for star, found in loaded.audits.items():
            self.audits[star] = _worse(self.audits.get(star), found)


def _worse(before: Audit | None, found: Audit) -> Audit:
    """The state of a table after two batches of a run: if one batch finds some keys equal, a
    difference that another has found remains."""
    if before is None or before.equal or found.scope == "whole" or not found.equal:
        return found
    return before
