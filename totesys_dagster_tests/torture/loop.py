"""Torture without Dagster: one process that does all the work while ten writers write.

Beside them, the source's owner changes the catalogue and somebody changes the warehouse by hand;
the server loses what it had committed last, the host's clock jumps, and another version of the list
of currencies comes. The process crashes at random steps, loads old batches once more, and lets a
second capture overtake the first. Faster than the whole, and repeatable enough to try mutants of
the code with.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from typing import LiteralString

import psycopg
import pytest

from totesys_dagster import settings
from totesys_dagster.catalogue import currencies
from totesys_dagster.errors import CommitConflictError, SourceError
from totesys_dagster.ingestion import capture, changes, poll
from totesys_dagster.ingestion.poll import Poll, PollCursor
from totesys_dagster.lake.manifest import ManifestLog
from totesys_dagster.lake.store import Store
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster.orchestration import audits
from totesys_dagster.postgres.sessions import connect
from totesys_dagster.resources import Lake, SourceDatabase, Warehouse
from totesys_dagster.warehouse import audit, healing, ledger, table_load
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.torture import oracle, owner
from totesys_dagster_tests.torture.by_hand import ByHand
from totesys_dagster_tests.torture.judge import judge
from totesys_dagster_tests.torture.oracle import Log, Verdict
from totesys_dagster_tests.torture.owner import CHANGES, Owner
from totesys_dagster_tests.torture.writers import (
    NO_DAY,
    ODD_KEYS,
    Chance,
    Writer,
    edit_silently,
    favour,
    finish,
    mend_all,
)

WRITERS = 10
# Batches come several times a second, so a transaction of half a second is a long one.
PACE = 0.15
# What has to have happened before the torture may end: chance alone gives no guarantee of it.
ENOUGH = Counter(took=5, polled=5, reloaded=3, overtook=2, audited=1, by_hand=5, lost=1, jumped=3)
LONGEST_SECONDS = 240  # that of a machine with much else to do
SETTLING_SECONDS = 60
# How often the history is looked at while it is made, to end as soon as it is wrong; half of the
# time at most.
LOOK_SECONDS = 1.0
# The server tells what it counted at the latest when a session has ended, and a little late.
COUNTED_SECONDS = 1.2

# How long it takes until writers rest, but for the slowest.
RESTING_SECONDS = 0.3

# What is taken for an hour where every table is taken for a large one.
HOUR_OF_LARGE = dt.timedelta(seconds=4)

# What a capture says of a source that is not as it should be for a moment.
REFUSED = re.compile("row security|is a view|locked by a migration|deadlock detected")


class Crash(BaseException):
    """The process dies here. Not an Exception: nothing may handle it."""


@contextlib.contextmanager
def crashes(rng: random.Random) -> Iterator[None]:
    """Die before or after an object is written, between two tables of a load, or around an audit's
    comparison and what it asks for."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Store, "put", _deadly(Store.put, rng, 0.005))
        patch.setattr(table_load.TableLoader, "run", _deadly(table_load.TableLoader.run, rng, 0.08))
        patch.setattr(audit, "audit_source", _deadly(audit.audit_source, rng, 0.1))
        for module, probability in ((audits, 0.1), (healing, 0.02)):
            deadly = _deadly(healing.request_healing, rng, probability)
            patch.setattr(module, "request_healing", deadly)
        yield


def _deadly(
    function: Callable[..., object], rng: random.Random, probability: float
) -> Callable[..., object]:
    def call(*arguments: object, **options: object) -> object:
        if rng.random() < probability / 2:
            raise Crash
        result = function(*arguments, **options)
        if rng.random() < probability / 2:
            raise Crash
        return result

    return call


class Certainty(Chance):
    """Leaves nothing to chance, of a change that is done between two batches."""

    def __init__(self, seed: float, batch: Callable[[], object]) -> None:
        super().__init__(seed)
        self.batch = batch

    def wait_for_batches(self, *_: float) -> None:
        self.batch()

    def perhaps(self) -> bool:
        return True


class UnsettledError(Exception):
    """The platform does not come to rest, or has come to it too early."""


def _later_list() -> dict[str, str]:
    """What a package would say that came after the captures: it has forgotten the currencies that
    were withdrawn, and calls the others by other names."""
    withdrawn = currencies.WITHDRAWN
    known = _currencies()
    return {code: f"The {name}" for code, name in known.items() if code not in withdrawn}


_currencies = currencies.currencies


class Torture:
    """A platform under torture. `run` it, then let the oracle judge.

    With `large`, every table is taken for a large one, and an hour for four seconds. Half of what
    is done is of the `favoured` writers, changes and steps; the changes come first, one by one.
    """

    def __init__(
        self,
        platform: Platform,
        seed: int,
        *,
        large: bool = False,
        favoured: Collection[object] = (),
    ) -> None:
        self.platform = platform
        self.rng = Chance(seed)
        self.large = large
        self.favoured = favoured
        self.crashes = 0
        self.done: Counter[str] = Counter()
        self.dsn = platform.server.dsn("totesys_application", platform.source_database)
        self.stop, self.rest = threading.Event(), threading.Event()
        self.owner = Owner(self.dsn, self.rng.random(), 0.3, self.stop, self.rest, PACE)
        self.by_hand = ByHand(self.rng.random())
        self.cursor = PollCursor()
        self.clock = dt.timedelta(0)
        self.lost: list[tuple[dt.datetime, list[oracle.Noted]]] = []
        self.early = Verdict()
        self._doing = {
            "polled": self._poll,
            "took": self._take,
            "reloaded": self._reload,
            "overtook": self._race,
            "audited": self._sleep,
            "by_hand": self._change_by_hand,
            "lost": self._crash_server,
            "jumped": self._jump,
        }
        owner.prepare(platform.application)
        oracle.install(platform.application)

    def run(self, seconds: float, *, at_most: bool = False, enough: bool = True) -> Verdict:
        """At least for `seconds`, and until `enough` has happened; with `at_most` only until it
        went wrong."""
        with pytest.MonkeyPatch.context() as patch:
            # Captures have the list from where they imported it.
            patch.setattr(currencies, "currencies", _later_list)
            self._configure("ALTER SYSTEM SET wal_writer_delay TO '10s'")
            if self.large:
                patch.setattr(changes, "LARGE_TABLE_ROWS", -1)
                patch.setattr(changes, "WHOLE_EVERY", HOUR_OF_LARGE)
                patch.setattr(changes, "WHOLE_AFTER_DELETES", HOUR_OF_LARGE * 0.75)
            try:
                return self._run(seconds, at_most=at_most, enough=enough)
            finally:
                self._configure("ALTER SYSTEM RESET wal_writer_delay")

    def _configure(self, statement: LiteralString) -> None:
        """With commits that take long to reach the disk, a crash loses some."""
        dsn = self.platform.server.dsn(SUPERUSER, "postgres")
        with psycopg.connect(dsn, autocommit=True) as admin:
            admin.execute(statement)
            admin.execute("SELECT pg_reload_conf()")

    def _run(self, seconds: float, *, at_most: bool, enough: bool) -> Verdict:
        self._do_favoured_changes()
        self._look()
        if self.early.errors:
            return self.early
        workers = [
            self.owner,
            *(
                Writer(
                    *(self.dsn, self.rng.random(), 0.03, self.stop, self.rest, PACE),
                    favoured=self.favoured,
                )
                for _ in range(WRITERS)
            ),
        ]
        for worker in workers:
            worker.start()
        began = look_at = time.monotonic()
        try:
            while (elapsed := time.monotonic() - began) < seconds or (
                enough and not self._enough()
            ):
                assert elapsed < LONGEST_SECONDS, f"only this happened: {self.happened}"
                self._step(late=elapsed > seconds)
                if at_most and time.monotonic() > look_at:
                    looked = time.monotonic()
                    self._look()
                    look_at = time.monotonic() + max(LOOK_SECONDS, time.monotonic() - looked)
                    if self.early.errors:
                        return self.early
        finally:
            self.stop.set()
            for worker in workers:
                worker.join()
        return self._end()

    def _do_favoured_changes(self) -> None:
        """There and back, with nobody else at work and batches between: chance may let another full
        read hide a change for minutes."""
        rng = Certainty(self.rng.random(), self._take_batch)
        for change in CHANGES:
            if change in self.favoured:
                for _ in range(2):
                    self._take_batch()
                    change(self.platform.application, rng)
                self._take_batch()

    def _take_batch(self) -> None:
        """Take a batch, for which something has to change, unless it is refused."""
        edit_silently(self.platform.application, self.rng)
        with self._refusing():
            self.platform.run()

    @property
    def happened(self) -> Counter[str]:
        return self.done + self.owner.done

    def _enough(self) -> bool:
        return self.done >= ENOUGH and all(self.owner.done[one.__name__] for one in CHANGES)

    def _lacks(self, what: str) -> bool:
        return self.done[what] < ENOUGH[what]

    def _look(self) -> None:
        """Judge what has been loaded, while all goes on."""
        platform = self.platform
        last = ledger.head(platform.warehouse, platform.names)
        if not last:
            return
        manifests = list(ManifestLog(platform.ingestion).after(0))[:last]
        with connect(settings.admin_setting()) as warehouse:
            self.early = oracle.judge(
                self._log(),
                warehouse,
                manifests,
                by_hand=self.by_hand.rows,
                healed=False,
                large=self.large,
            )

    def _log(self) -> Log:
        return Log(oracle.read_log(self.platform.application), self.lost)

    def _end(self) -> Verdict:
        """Settle with the rows that are bad, judge, and once more when they are mended."""
        finish(self.dsn)
        owner.leave_in_order(self.dsn)
        self._leave_something()
        self._settle()
        platform = self.platform
        manifests = list(ManifestLog(platform.ingestion).after(0))
        with connect(settings.admin_setting()) as warehouse:
            verdict = oracle.judge(
                self._log(), warehouse, manifests, by_hand=self.by_hand.rows, large=self.large
            )
        mend_all(self.dsn)
        self._settle()
        verdict.add(
            mended := judge(
                self._log(),
                platform.names,
                platform.ingestion,
                platform.processed,
                by_hand=self.by_hand.rows,
                large=self.large,
            )
        )
        verdict.versions = mended.versions
        return verdict

    def _leave_something(self) -> None:
        """Leave what is found only by looks that nothing but time asks for: a row that was changed
        by hand in a table with a bad one, and a deletion, just before the host's clock goes back.
        """
        platform = self.platform
        self._come_to_rest()
        bad, other = platform.application.execute(
            "SELECT payment_id FROM payment WHERE payment_date <> %s AND payment_id < %s LIMIT 2",
            [NO_DAY, ODD_KEYS],
        ).fetchall()
        platform.application.execute(
            "UPDATE payment SET payment_date = %s WHERE payment_id = %s", [NO_DAY, *bad]
        )
        self._come_to_rest()
        with connect(settings.admin_setting()) as warehouse:
            self.by_hand.edit(warehouse, "fact_payment", *other)
        self.clock = dt.timedelta(days=1)
        platform.application.execute(
            "DELETE FROM purchase_order WHERE purchase_order_id ="
            " (SELECT max(purchase_order_id) FROM purchase_order)"
        )
        with pytest.MonkeyPatch.context() as patch:
            # A large table has just been compared, and is not to be before the clock goes back.
            for name in ("WHOLE_EVERY", "WHOLE_AFTER_DELETES"):
                patch.setattr(changes, name, dt.timedelta(hours=1))
            self._poll()

    def _settle(self) -> None:
        """Come to rest, now that nobody writes, and again after an audit an hour later."""
        for hour in (1, 2):
            self._come_to_rest()
            platform = self.platform
            if poll.changed_tables(platform.source, platform.ingestion, whole=True).changed:
                raise UnsettledError("A change was left that no poll has found.")
            if hour == 1:
                self._audit()

    def _come_to_rest(self) -> None:
        """Go on until nothing is due any more, by a clock that is right."""
        self.clock = dt.timedelta(0)
        # Of large tables, an hour passes meanwhile: whatever is due then has to find nothing.
        enough = 3 if self.large else 2
        rest = HOUR_OF_LARGE.total_seconds() + 0.2 if self.large else COUNTED_SECONDS
        quiet, until = 0, time.monotonic() + SETTLING_SECONDS
        while quiet < enough:
            if time.monotonic() > until:
                raise UnsettledError("The platform does not come to rest.")
            self._catch_up()
            found = self._poll()
            due = found.changed or (found.audit_due and not self.large)
            quiet = 0 if due else quiet + 1
            if quiet == 1:
                time.sleep(rest)

    def _step(self, *, late: bool) -> None:
        """Do something by chance or, when it is getting late, what has not happened enough."""
        steps = {
            self._take: 4,
            self._poll: 4,
            self._reload: 2,
            self._race: 3,
            self._change_by_hand: 3,
            self._sleep: 1,
            self._crash_server: 0.5,
            self._jump: 1,
        }
        weights = favour(steps, [step for step in steps if step.__func__ in self.favoured])
        [step] = self.rng.choices(list(weights), list(weights.values()))
        if late:
            step = next((one for what, one in self._doing.items() if self._lacks(what)), step)
        try:
            with self._refusing(), crashes(self.rng):
                self._catch_up()
                step()
                if step in (self._take, self._poll):
                    self.owner.turn.set()
        except Crash:
            self.crashes += 1
            self._restart()

    @contextlib.contextmanager
    def _refusing(self) -> Iterator[None]:
        """A capture may be refused while the source is not as it should be."""
        try:
            yield
        except SourceError as error:
            if not REFUSED.search(str(error)):
                raise
            self.done["refused"] += 1

    def _take(self) -> None:
        self.done["took"] += self.platform.run() is not None

    def _poll(self) -> Poll:
        """What a sensor does at a tick."""
        platform = self.platform
        now = dt.datetime.now(dt.UTC) + self.clock
        found = poll.poll(platform.source, platform.ingestion, self.cursor, now)
        self.cursor = found.cursor
        if found.changed:
            self.done["polled"] += platform.run() is not None
        elif found.audit_due:
            self._audit()
        return found

    def _audit(self) -> None:
        found = audits.audit_all(SourceDatabase(), Lake(), Warehouse(), "audit")
        self.done["audited"] += found.reason is None

    def _sleep(self) -> None:
        """Nobody writes for a moment, so that every table can be audited."""
        self.rest.set()
        try:
            for _ in range(6):
                self._catch_up()
                self.platform.run()
                self._catch_up()
                before = self.done["audited"]
                self._audit()
                if self.done["audited"] > before:
                    break
                time.sleep(0.1)
        finally:
            self.rest.clear()

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

    def _change_by_hand(self) -> None:
        with connect(settings.admin_setting()) as warehouse:
            self.by_hand.change(warehouse)
        self.done["by_hand"] = self.by_hand.done.total()

    def _jump(self) -> None:
        """The host's clock jumps."""
        self.clock = self.rng.choice([-1, 0, 1]) * dt.timedelta(
            seconds=self.rng.choice([1, 600, 86_400])
        )
        self.done["jumped"] += 1

    def _crash_server(self) -> None:
        """A process of the server dies, and all others with it; the last commits are lost.

        Also those that the lake holds already, if the capture was the last that was done.
        """
        platform = self.platform
        if self.rng.random() < 0.7:
            self.rest.set()  # what somebody else flushes now is not lost
            try:
                time.sleep(RESTING_SECONDS)
                with self._no_wal_writer():
                    edit_silently(platform.application, self.rng)
                    platform.capture()
                    self._kill_server()
            finally:
                self.rest.clear()
        else:
            self._kill_server()
        self._recover()

    @contextlib.contextmanager
    def _no_wal_writer(self) -> Iterator[None]:
        """Nothing is flushed every few seconds, as on a busy machine a capture may take longer."""
        with psycopg.connect(self.platform.server.dsn(SUPERUSER, "postgres")) as admin:
            query = "SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'"
            [process] = admin.execute(query).fetchone() or [0]
        os.kill(process, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(process, signal.SIGCONT)

    def _kill_server(self) -> None:
        """Kill one of the server's processes, and note what it had committed."""
        platform = self.platform
        [started] = platform.application.execute("SELECT oracle.started()").fetchone() or [None]
        self.lost.append((started, oracle.read_log(platform.application)))
        os.kill(platform.application.info.backend_pid, signal.SIGKILL)

    def _recover(self) -> None:
        """Go on with the server that has recovered."""
        platform = self.platform
        head = ManifestLog(platform.ingestion).head()
        started, noted = self.lost[-1]
        platform.application.close()
        platform.application = self._recovered(started)
        self._restart()
        kept = {version.xid for version in oracle.read_log(platform.application)}
        self.done["lost"] += sum(version.xid not in kept for version in noted)
        if head is not None and self.rng.random() < 0.7:
            self._hand_out_ids(head.snapshot.xmax)
        self.done["crashed_server"] += 1

    def _recovered(self, before: dt.datetime) -> psycopg.Connection:
        """A connection to the server, once it has recovered from a crash."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            with contextlib.suppress(psycopg.OperationalError):
                connection = psycopg.connect(self.dsn, autocommit=True)
                if connection.execute("SELECT oracle.started()").fetchone() != (before,):
                    return connection
                connection.close()
            time.sleep(0.05)
        raise TimeoutError("The server does not recover.")

    def _hand_out_ids(self, until: int) -> None:
        """Let the transaction ids go on beyond those that were lost."""
        query = "SELECT pg_snapshot_xmax(pg_current_snapshot())::text::bigint"
        while self.platform.application.execute(query).fetchone() <= (until,):
            self.platform.application.execute("SELECT pg_current_xact_id()")

    def _catch_up(self) -> None:
        """Load the batches that a crash left in the lake, and ask for what audits want."""
        platform = self.platform
        last = ledger.head(platform.warehouse, platform.names)
        for manifest in ManifestLog(platform.ingestion).after(last):
            platform.process(manifest)
            platform.load(manifest)
        if last:
            healing.request_healing(platform.warehouse, platform.names, platform.ingestion)

    def _restart(self) -> None:
        """What a new process does: connect anew. The server rolls back what was open."""
        self.platform.source.close()
        self.platform.warehouse.close()
        self.platform.source = connect(settings.SOURCE_DSN)
        self.platform.warehouse = connect(settings.WAREHOUSE_DSN)
