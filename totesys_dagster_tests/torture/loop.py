"""Torture without Dagster: one process that captures, processes and loads while ten writers write.

It crashes at random steps, loads old batches once more, and lets a second capture overtake the
first. Faster than the whole, and repeatable enough to try mutants of the code with.
"""

from __future__ import annotations

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from totesys_dagster import settings
from totesys_dagster.errors import CommitConflictError
from totesys_dagster.ingestion import capture
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.store import Store
from totesys_dagster.postgres import connect
from totesys_dagster.warehouse import load
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.torture import oracle
from totesys_dagster_tests.torture.judge import judge
from totesys_dagster_tests.torture.oracle import Verdict
from totesys_dagster_tests.torture.writers import Writer, finish_two_phase

WRITERS = 10
# What has to have happened before the torture may end: chance alone gives no guarantee of it.
ENOUGH = Counter(took=5, reloaded=3, overtook=2)
LONGEST_SECONDS = 240  # that of a machine with much else to do


class Crash(BaseException):
    """The process dies here. Not an Exception: nothing may handle it."""


@contextlib.contextmanager
def crashes(rng: random.Random) -> Iterator[None]:
    """Die before or after an object is written, or between two tables of a load."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "put", _deadly(Store.put, rng, 0.01))
        patch.setattr(load._TableLoad, "run", _deadly(load._TableLoad.run, rng, 0.08))
        yield


def _deadly(
    function: Callable[..., None], rng: random.Random, probability: float
) -> Callable[..., None]:
    def call(*arguments: object) -> None:
        if rng.random() < probability / 2:
            raise Crash
        function(*arguments)
        if rng.random() < probability / 2:
            raise Crash

    return call


class Torture:
    """A platform under torture. `run` it, then let the oracle judge."""

    def __init__(self, platform: Platform, seed: int) -> None:
        self.platform = platform
        self.rng = random.Random(seed)
        self.crashes = 0
        self.done: Counter[str] = Counter()
        self.dsn = platform.server.dsn("totesys_application", platform.source_database)
        oracle.install(platform.application)

    def run(self, seconds: float) -> Verdict:
        """At least for `seconds`, and until enough has happened."""
        stop = threading.Event()
        writers = [Writer(self.dsn, self.rng.random(), 0.03, stop) for _ in range(WRITERS)]
        for writer in writers:
            writer.start()
        began = time.monotonic()
        try:
            while (elapsed := time.monotonic() - began) < seconds or not self.done >= ENOUGH:
                assert elapsed < LONGEST_SECONDS, f"only this happened: {self.done}"
                self._step()
        finally:
            stop.set()
            for writer in writers:
                writer.join()
        finish_two_phase(self.dsn)
        self._catch_up()
        while self.platform.run() is not None:
            pass
        platform = self.platform
        return judge(platform.application, platform.names, platform.ingestion, platform.processed)

    def _step(self) -> None:
        [step] = self.rng.choices([self._take, self._reload, self._race], [5, 2, 3])
        try:
            with crashes(self.rng):
                self._catch_up()
                step()
        except Crash:
            self.crashes += 1
            self._restart()

    def _take(self) -> None:
        self.done["took"] += self.platform.run() is not None

    def _reload(self) -> None:
        """A second daemon comes late and loads batches of long ago."""
        log = ManifestLog(self.platform.ingestion)
        head = log.head()
        numbers = range(1, head.sequence if head else 1)
        for number in self.rng.sample(numbers, min(len(numbers), 4)):
            self.platform.load(log.read(number))
            self.done["reloaded"] += 1

    def _race(self) -> None:
        """A second extractor commits its batch while the first is still reading."""
        with (
            connect(settings.SOURCE_DSN) as connection,
            capture.open_capture(
                connection,
                self.platform.ingestion,
                run_id="slow",
                part_bytes=1 << 20,
            ) as slow,
        ):
            for read in slow.reads():
                read.write(self.platform.ingestion)
            if self.platform.run() is not None:
                with contextlib.suppress(CommitConflictError):
                    slow.commit()
                self.done["overtook"] += 1

    def _catch_up(self) -> None:
        """Load the batches that a crash left in the lake."""
        platform = self.platform
        last = load.head(platform.warehouse, platform.names)
        for manifest in ManifestLog(platform.ingestion).after(last):
            platform.process(manifest)
            platform.load(manifest)

    def _restart(self) -> None:
        """What a new process does: connect anew. The server rolls back what was open."""
        self.platform.source.close()
        self.platform.warehouse.close()
        self.platform.source = connect(settings.SOURCE_DSN)
        self.platform.warehouse = connect(settings.WAREHOUSE_DSN)
