"""What a verification has checked and found."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

from totesys_dagster.errors import LakeUnusableError, TotesysError
from totesys_dagster.lake.objects import ObjectEntry
from totesys_dagster.lake.store import Store


@dataclass
class Verification:
    """What was checked, and the findings, one sentence each; the first is the first broken link.

    `damaged` are the batches, each with a star table, with an object in the processed zone that is
    not what was written, so it can be re-created.
    """

    batches: int = 0
    deliveries: int = 0
    objects: int = 0
    bytes: int = 0
    audits: int = 0
    findings: list[str] = field(default_factory=list)
    damaged: list[tuple[int, str]] = field(default_factory=list)

    @property
    def passed(self) -> bool:
        return not self.findings

    def add(self, other: Verification) -> None:
        """Add what was checked elsewhere."""
        self.batches += other.batches
        self.deliveries += other.deliveries
        self.objects += other.objects
        self.bytes += other.bytes
        self.audits += other.audits
        self.findings += other.findings
        self.damaged += other.damaged

    @contextmanager
    def noted(self) -> Iterator[None]:
        """Note that something is not what was written.

        An unusable zone is not damage: otherwise every object in it would count as damaged.
        """
        try:
            yield
        except LakeUnusableError:
            raise
        except TotesysError as error:
            self.findings.append(str(error))

    def read(self, read: Callable[[], object]) -> None:
        """Read one object, and note if it is not what was written."""
        self.objects += 1
        with self.noted():
            read()

    def read_all(
        self,
        store: Store,
        entries: Iterable[ObjectEntry],
        read: Callable[[Store, ObjectEntry], object],
    ) -> None:
        """Read objects, and note which are not what was written."""
        for entry in entries:
            self.bytes += entry.bytes
            self.read(partial(read, store, entry))
