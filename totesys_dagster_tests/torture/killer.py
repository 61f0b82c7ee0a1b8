"""What kills the processes of a world under torture, and starts them again.

It also sees to it that all steps come up: it changes the warehouse by hand, which has to be healed,
and lets the writers rest for a moment, or no audit would ever find a source in which nothing
changed.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import threading
import time
from collections import Counter

import psycopg

from totesys_dagster.local import stack
from totesys_dagster.local.server import SUPERUSER
from totesys_dagster_tests.torture import steps
from totesys_dagster_tests.torture.by_hand import ByHand
from totesys_dagster_tests.torture.steps import STEPS, order
from totesys_dagster_tests.torture.world import SOURCE_DATABASE, WAREHOUSE_DATABASE, World
from totesys_dagster_tests.torture.writers import finish_two_phase

# Beside the deaths that are ordered: how many of the runs are killed at random, and when. By run,
# not by time: on a busy machine, no run would come to its end.
KILLED_RUNS = 0.35
LATEST_KILL_SECONDS = 4
# How likely it is at each look that a server is killed. A daemon takes five seconds to start:
# killed more often, nothing would ever come to a later step.
KILLED_SERVERS = 0.06
# How many deaths more than at the rarest step a step may have and still be ordered, once every step
# was died at.
SPREAD = 2
# How likely it is at each look that the warehouse is changed by hand, while a death is ordered at a
# step of the healing.
CHANGED_BY_HAND = 0.3
# After how long a prepared transaction is one that nobody ends.
LEFT_SECONDS = 10


class Killer(threading.Thread):
    """Kills, restarts, and keeps count."""

    steps: tuple[str, ...] = STEPS
    # For so long at least the writers work between two rests, in which an audit is to die; and
    # every so often a table is rewritten then, which makes an audit due.
    busy_seconds, rewrite_seconds = 20.0, 4.0

    def __init__(
        self, tortured: World, seed: int, stop: threading.Event, rest: threading.Event
    ) -> None:
        super().__init__(daemon=True)
        self.world = tortured
        self.rng = random.Random(seed)
        self.stop = stop
        self.rest = rest
        self.busy_until, self.rewritten = time.monotonic() + self.busy_seconds, 0.0
        self.by_hand = ByHand(seed)
        self.kills: Counter[str] = Counter()
        self.times: list[float] = []
        self.known_runs: set[int] = set()
        self.doomed_runs: dict[int, float] = {}

    def kill_each_server(self) -> None:
        """Kill all that serves: chance may have left out some."""
        self._kill_fork_servers()
        self._kill_daemon()
        self._kill_code_server()
        self.stop_source()
        self.stop_warehouse()

    def run(self) -> None:
        servers = {
            self._kill_daemon: 1,
            self._kill_code_server: 1,
            self._kill_fork_servers: 1,
            self.stop_source: 3,
            self.stop_warehouse: 3,
        }
        while not self.stop.wait(self.rng.uniform(0.2, 1)):
            self.order_deaths()
            self.bring_about()
            self._kill_runs()
            if self.may_kill() and self.rng.random() < KILLED_SERVERS:
                [kill] = self.rng.choices(list(servers), list(servers.values()))
                kill()
            self.restart()

    def restart(self) -> None:
        """Start what is not running, as an operator's supervisor would."""
        for name in ("code server", "daemon"):
            self.world.start(name)

    def note(self, what: str) -> None:
        self.kills[what] += 1
        self.times.append(time.time())

    def order_deaths(self) -> None:
        """Order a death in each stage that has a step which was died at about least often of all.

        Of all steps, not of the stage's: deaths in an early one would starve a later one. Those in
        an audit come last, for nobody writes until they have, and no others are ordered meanwhile:
        they would keep the audits, and so the writers, waiting.
        """
        deaths = self.deaths()
        others = min(deaths[step] for step in self.steps if steps.stage(step) != "audit")
        fewest = min(deaths[step] for step in self.steps)
        most = fewest + SPREAD if fewest else 0
        for stage in dict.fromkeys(map(steps.stage, self.steps)):
            own = [step for step in self.steps if steps.stage(step) == stage]
            rarest = [step for step in own if deaths[step] <= most]
            if stage == "audit":
                rarest = [step for step in own if deaths[step] < others]
            elif self.rest.is_set():
                continue
            if rarest and not any(order(self.world.directory, step).exists() for step in own):
                order(self.world.directory, self.rng.choice(rarest)).touch()

    def bring_about(self) -> None:
        """Bring about what a death is ordered at, where that does not come by itself."""
        ordered = {
            steps.stage(step) for step in self.steps if order(self.world.directory, step).exists()
        }
        if "heal" in ordered and self.rng.random() < CHANGED_BY_HAND:
            self._change_by_hand()
        now = time.monotonic()
        if self.rest.is_set() and "audit" not in ordered:
            self.rest.clear()
            self.busy_until = now + self.busy_seconds
        elif "audit" in ordered and now > self.busy_until:
            self.rest.set()
        if self.rest.is_set() and now > self.rewritten + self.rewrite_seconds:
            self.rewritten = now
            self.rewrite()

    def _change_by_hand(self) -> None:
        # There is nothing to change before the first batch.
        with (
            contextlib.suppress(psycopg.Error),
            self.world.warehouse.connect(stack.ADMIN, WAREHOUSE_DATABASE) as warehouse,
        ):
            self.by_hand.change(warehouse)

    def rewrite(self) -> None:
        """Rewrite a table of the source, as far as others let, so that an audit is due."""
        with (
            contextlib.suppress(psycopg.Error),
            self.world.source.connect(SUPERUSER, SOURCE_DATABASE) as source,
        ):
            # What a stopped server left prepared holds locks, and no writer is there to end it.
            finish_two_phase(source, LEFT_SECONDS)
            source.execute("SET lock_timeout TO '1s'")
            source.execute("VACUUM FULL payment_type")

    def deaths(self) -> Counter[str]:
        """How often a process died at each step."""
        with contextlib.suppress(FileNotFoundError):
            lines = (self.world.directory / "deaths").read_text().splitlines()
            return Counter(line.partition("\t")[2] for line in lines)
        return Counter()

    def count(self) -> int:
        """How much was killed until now, in whichever way."""
        return sum(self.deaths().values()) + sum(self.kills.values())

    def may_kill(self) -> bool:
        """Random kills are half of all: with more, a busy machine never came to a late step."""
        return sum(self.kills.values()) <= sum(self.deaths().values())

    def _kill_runs(self) -> None:
        """Doom some of the new runs, and kill those whose time has come."""
        running = set(self.world.run_processes())
        for process in running - self.known_runs:
            if self.may_kill() and self.rng.random() < KILLED_RUNS:
                later = self.rng.uniform(0, LATEST_KILL_SECONDS)
                self.doomed_runs[process] = time.monotonic() + later
        self.known_runs = running
        for process, moment in list(self.doomed_runs.items()):
            if process not in running:
                del self.doomed_runs[process]
            elif moment < time.monotonic():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
                    self.note("a run")

    def _kill_daemon(self) -> None:
        self.world.kill("daemon")
        self.note("the daemon")

    def _kill_code_server(self) -> None:
        self.world.kill("code server")
        self.note("the code server")

    def _kill_fork_servers(self) -> None:
        """What runs are forked off is killed; the runs go on."""
        for process in self.world.fork_servers():
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
                self.note("a fork server")

    def stop_source(self) -> None:
        self.world.source.stop_immediately()
        self.note("the source")
        self.world.source.start()

    def stop_warehouse(self) -> None:
        self.world.warehouse.stop_immediately()
        self.note("the warehouse")
        self.world.warehouse.start()
