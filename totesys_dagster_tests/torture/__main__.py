"""The torture: the real platform under Dagster, while everything that can die is killed.

    python -m totesys_dagster_tests.torture --seconds 60 [--kills 1000] [--fork] [--store local|s3]

Writers do to the source what makes change capture hard; processes are killed at every step of the
protocol, at random, and with them the daemon, the code server and both databases. Then everything
is left alone until it has caught up, and the whole history in the warehouse is compared with an
oracle. The last line is the verdict.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import statistics
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import psycopg

from totesys_dagster import settings
from totesys_dagster.errors import TotesysError
from totesys_dagster.feeds.registry import FEEDS
from totesys_dagster.ingestion.poll import changed_tables
from totesys_dagster.lake.manifest import Manifest, ManifestLog
from totesys_dagster.lake.receipt import read_receipt, touched_stars
from totesys_dagster.lake.store import Store
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster.orchestration.audits import not_compared
from totesys_dagster.postgres.sessions import Names, connect
from totesys_dagster.warehouse import ledger
from totesys_dagster.warehouse.healing import full_reads_wanted
from totesys_dagster.warehouse.standing import standings
from totesys_dagster_tests.torture import oracle, world
from totesys_dagster_tests.torture.deliverer import Deliverer, all_is_delivered
from totesys_dagster_tests.torture.forked import ProcessKiller
from totesys_dagster_tests.torture.judge import judge
from totesys_dagster_tests.torture.killer import Killer
from totesys_dagster_tests.torture.oracle import Log, Noted
from totesys_dagster_tests.torture.steps import STEPS, order
from totesys_dagster_tests.torture.world import SOURCE_DATABASE, WAREHOUSE_DATABASE, World
from totesys_dagster_tests.torture.writers import Writer, finish, mend_all

WRITERS = 8
# Seconds between the transactions of a writer. A run that goes on until so many are killed lasts
# for an hour, and has versions enough at a slower pace; the machine is free for more kills then.
PAUSE, LONG_PAUSE = 0.05, 1.0
NAMES = Names("warehouse")
# A batch, and the versions that it was the first to see.
Arrival = tuple[Manifest, list[Noted]]
# How long the torture may go on beyond its time to have died at every step once.
OVERTIME_SECONDS = 600
# After a thousand kills hundreds of batches are to be loaded, on a busy machine in seconds each.
CATCH_UP_SECONDS = 1800


def torture(tortured: World, options: argparse.Namespace) -> tuple[Killer, list[Writer], Deliverer]:
    """Let all of them loose for `seconds`, and until enough steps were died at once.

    And until so many were killed, if that takes longer, but for `hours` at most.
    """
    calm, quiet, rest = threading.Event(), threading.Event(), threading.Event()
    pause, seed = LONG_PAUSE if options.kills else PAUSE, options.seed
    writers = [
        Writer(tortured.application_dsn, seed * 100 + n, pause, quiet, rest) for n in range(WRITERS)
    ]
    killer = (ProcessKiller if options.fork else Killer)(tortured, seed, calm, rest)
    deliverer = Deliverer(tortured.drops, seed, quiet)
    killer.restart()
    for thread in (*writers, killer):
        thread.start()
    if not options.fork:  # without Dagster, no sensor looks for files
        deliverer.start()
    began = time.monotonic()
    elapsed = 0.0
    while not _enough(options, elapsed, killer):
        time.sleep(1)
        if not killer.is_alive():
            raise RuntimeError("The killer has died itself: see above.")
        elapsed = time.monotonic() - began
        if sys.stderr.isatty() or round(elapsed) % 10 == 0:
            _show_progress(elapsed, killer, writers)
    calm.set()
    killer.join()
    killer.kill_each_server()
    quiet.set()
    for writer in writers:
        writer.join()
    if not options.fork:
        deliverer.join()
    for step in STEPS:
        order(tortured.directory, step).unlink(missing_ok=True)
    killer.restart()
    finish(tortured.application_dsn)
    mend_all(tortured.application_dsn)
    killer.rewrite()  # the last that was changed by hand is found by an audit, at the latest
    return killer, writers, deliverer


def _enough(options: argparse.Namespace, elapsed: float, killer: Killer) -> bool:
    if elapsed < options.seconds or (
        killer.count() < options.kills and elapsed < options.hours * 3600
    ):
        return False
    enough = len(killer.deaths()) >= _wanted(options, killer)
    return enough or elapsed > options.seconds + OVERTIME_SECONDS


def _wanted(options: argparse.Namespace, killer: Killer) -> int:
    """At how many steps a process has to have died."""
    return len(killer.steps) if options.steps is None else options.steps


def _show_progress(elapsed: float, killer: Killer, writers: list[Writer]) -> None:
    deaths = killer.deaths()
    print(
        f"\r{elapsed:5.0f} s: {sum(deaths.values())} deaths at {len(deaths)} of {len(killer.steps)}"
        f" steps, {sum(killer.kills.values())} other kills,"
        f" {sum(sum(writer.done.values()) for writer in writers)} transactions",
        end="" if sys.stderr.isatty() else "\n",
        file=sys.stderr,
    )


def caught_up(log: ManifestLog) -> bool:
    """Whether nothing is left to capture, to load, to audit or to heal, now that nobody writes.

    The source comes first: where it has nothing new, no batch follows the head that is read then.
    """
    with contextlib.suppress(TotesysError, psycopg.Error):
        with connect(settings.SOURCE_DSN) as connection:
            found = changed_tables(connection, log.store)
        if not all_is_delivered():
            return False
        head = log.head()
        if head is None or found.changed or found.audit_due:
            return False
        with connect(settings.WAREHOUSE_DSN) as connection:
            return (
                ledger.head(connection, NAMES) == head.sequence
                and not_compared(connection, NAMES, log) is None
                and not full_reads_wanted(connection, NAMES, standings(connection, NAMES))
            )
    return False


def recovery(tortured: World, kills: Sequence[float]) -> list[float]:
    """Seconds from each kill to the next batch that was loaded."""
    with tortured.warehouse.connect(SUPERUSER, WAREHOUSE_DATABASE) as connection:
        rows = connection.execute(
            "SELECT extract(epoch FROM loaded_at)::float FROM warehouse_bookkeeping.batch"
        ).fetchall()
    loads = [moment for (moment,) in rows]
    return [min(after) - kill for kill in kills if (after := [m for m in loads if m > kill])]


def freshness(tortured: World, arrivals: Sequence[Arrival]) -> list[float]:
    """Seconds from the commit of each transaction to the commit of the batch that brought it."""
    with tortured.warehouse.connect(SUPERUSER, WAREHOUSE_DATABASE) as connection:
        loaded = dict(
            connection.execute(
                "SELECT sequence, extract(epoch FROM loaded_at)::float"
                " FROM warehouse_bookkeeping.batch"
            ).fetchall()
        )
    ages = []
    with tortured.source.connect(SUPERUSER, SOURCE_DATABASE) as connection:
        for manifest, versions in arrivals:
            rows = connection.execute(
                "SELECT extract(epoch FROM pg_xact_commit_timestamp(xid::text::xid))::float"
                " FROM unnest(%s::bigint[]) AS xid",
                [list({version.xid % 2**32 for version in versions})],
            ).fetchall()
            ages += [loaded[manifest.sequence] - moment for (moment,) in rows if moment is not None]
    return ages


def orphans(log: ManifestLog, processed: Store) -> int:
    """Objects that killed processes left behind, which no manifest or receipt names."""
    named: set[str | None] = set()
    for manifest in log.after(0):
        for table in manifest.tables.values():
            named |= {entry.key for entry in table.objects}
            named |= {keys.key for keys in (table.keys, table.deleted_keys) if keys is not None}
        for star in touched_stars(manifest):
            receipt = read_receipt(processed, star, manifest)
            assert receipt is not None
            named |= {entry.key for entry in (*receipt.objects, *receipt.quarantine)}
    stored = [
        key
        for store in (log.store, processed)
        for kind in ("rows", "keys", "quarantine")
        for key in store.list(kind)
    ]
    feeds = tuple(f"{kind}/{feed.table.name}/" for kind in ("rows", "quarantine") for feed in FEEDS)
    return sum(key not in named and not key.startswith(feeds) for key in stored)


def percentiles(values: Sequence[float]) -> str:
    if len(values) < 2:
        return "none"
    return (
        f"p50 {statistics.median(values):.1f} s, p95 {statistics.quantiles(values, n=20)[-1]:.1f} s"
    )


def report(
    tortured: World,
    killer: Killer,
    writers: list[Writer],
    deliverer: Deliverer,
    seconds: float,
    wanted: int,
) -> int:
    """Print the figures and the verdict; the number of errors."""
    ingestion, processed = tortured.zones()
    log = ManifestLog(ingestion)
    try:
        world.wait_until(lambda: caught_up(log), CATCH_UP_SECONDS, "the catching up")
    except TimeoutError as error:
        print(f"VERDICT: FAILED, {error}")
        return 1
    tortured.stop()
    with psycopg.connect(tortured.application_dsn) as source:
        noted = Log(oracle.read_log(source))
    with tortured.warehouse.connect(SUPERUSER, WAREHOUSE_DATABASE) as warehouse:
        wrong = deliverer.wrong(warehouse)
    by_hand = killer.by_hand
    verdict = judge(noted, NAMES, ingestion, processed, by_hand=by_hand.rows)
    verdict.wrong_targets = len(wrong)
    verdict.examples += wrong
    manifests = list(log.after(0))
    [_, *arrivals] = [
        (manifest, versions) for manifest, _, versions in oracle.became_visible(noted, manifests)
    ]
    deaths = killer.deaths()
    for step in killer.steps:
        print(f"  {deaths[step]:4d} deaths  {step}")
    for what, count in sorted(killer.kills.items()):
        print(f"  {count:4d} kills of {what}")
    kinds = sum((writer.done for writer in writers), Counter())
    print(f"  transactions: {', '.join(f'{count} {kind}' for kind, count in kinds.most_common())}")
    print(
        f"  files: {len(list(deliverer.folder.iterdir()))} of {len(deliverer.files)} names that"
        f" were corrected and {deliverer.bad} bad ones\n"
        f"  changed by hand: {', '.join(f'{n} {what}' for what, n in sorted(by_hand.done.items()))}"
    )
    deltas = [
        t for m in manifests[1:] for t in m.tables.values() if t.changed and t.read == "delta"
    ]
    read = sum(table.rows for table in deltas)
    written = sum(len(versions) for _, versions in arrivals)
    times = [
        *killer.times,
        *(
            float(line.partition("\t")[0])
            for line in (tortured.directory / "deaths").read_text().splitlines()
        ),
    ]
    for example in verdict.examples[:5]:
        print(f"  {example[:2000]}")
    failed = verdict.errors or len(deaths) < wanted
    errors = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in verdict.counts.items())
    print(
        f"VERDICT: {'FAILED' if failed else 'PASSED'} after {seconds:.0f} s with"
        f" {killer.count()} kills"
        f" ({len(deaths)} of {len(killer.steps)} steps), {len(manifests)} batches,"
        f" {verdict.versions} versions ({written} rows written meanwhile):"
        f" {errors}; recovery"
        f" {percentiles(recovery(tortured, times))}; freshness"
        f" {percentiles(freshness(tortured, arrivals))}; {read / max(written, 1):.2f} rows read"
        f" per row changed; {orphans(log, processed)} orphan objects"
    )
    return int(bool(failed))


def main() -> int:
    parser = argparse.ArgumentParser(prog="torture", description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--kills", type=int, default=0, help="go on until so many were killed")
    parser.add_argument("--steps", type=int, help="die at so many steps, not at every one")
    parser.add_argument("--hours", type=float, default=3, help="but for so long at most")
    parser.add_argument("--store", choices=["local", "s3"], default="s3")
    parser.add_argument("--fork", action="store_true", help="without Dagster, and much faster")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    with (
        tempfile.TemporaryDirectory(prefix="torture-") as directory,
        world.created(Path(directory), options.store) as tortured,
    ):
        os.environ.update(tortured.environment())
        began = time.monotonic()
        killer, writers, deliverer = torture(tortured, options)
        seconds = time.monotonic() - began
        return report(tortured, killer, writers, deliverer, seconds, _wanted(options, killer))


if __name__ == "__main__":
    sys.exit(main())
