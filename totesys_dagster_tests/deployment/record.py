"""Record what production logs in some stories, for test_mails.py to replay.

    python -m totesys_dagster_tests.deployment.record

The rehearsal's processes run with the commands and settings of production. A record is what the
log groups got, line by line, and which mails the platform itself sent meanwhile. What names a
machine is taken out, and what is long is cut. It takes ten minutes.
"""

from __future__ import annotations

import contextlib
import datetime as dt
import json
import os
import re
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from totesys_dagster.local import stack
from totesys_dagster_tests.deployment.replay import RECORDS, STORIES, Line, Record
from totesys_dagster_tests.rehearsal import __main__ as rehearsing
from totesys_dagster_tests.rehearsal import production, surroundings
from totesys_dagster_tests.rehearsal.__main__ import Rehearsal
from totesys_dagster_tests.rehearsal.production import Production
from totesys_dagster_tests.rehearsal.surroundings import Surroundings
from totesys_dagster_tests.torture.world import SOURCE_DATABASE, wait_until
from totesys_simulator import simulator

LONGEST = 160
ENOUGH_SECONDS = 1200
SETTLE_SECONDS = 20


class Stories:
    """What happens to production, each to its end."""

    def __init__(self, rehearsal: Rehearsal) -> None:
        self.rehearsal = rehearsal
        self.parts = rehearsal.parts
        self.inbox = rehearsal.around.inbox
        self.spoiled: list[tuple[int, str]] = []

    def quiet(self) -> None:
        """Nobody works in ToteSys."""
        time.sleep(60)

    def deployment(self) -> None:
        """Each service is replaced. The code location is away for a few seconds."""
        for part in ("code", "daemon", "web"):
            self.parts.stop(part)
            self.parts.start(part)
        time.sleep(SETTLE_SECONDS)

    def failed_run(self) -> None:
        """Rows beyond the limit stop a batch, again and again."""
        self.spoiled = self.rehearsal.spoil()

    def mended(self) -> None:
        """They are mended, and the limit is raised: a deployment. The rows are in quarantine then,
        which is news, until the batch with the mended ones has come."""
        self.rehearsal.mend(self.spoiled)
        self.settle("resolved")

    def killed_task(self) -> None:
        """A run that captures is killed, as for want of memory; Dagster starts it again."""
        self.rehearsal.moment()
        wait_until(self.kill_a_run, ENOUGH_SECONDS, "a run to kill")
        self.rehearsal.wait_for_arrival()
        time.sleep(SETTLE_SECONDS)

    def kill_a_run(self) -> bool:
        """Kill a run that is at work, if there is one."""
        for child in psutil.Process(self.parts.processes["daemon"].pid).children():
            with contextlib.suppress(psutil.NoSuchProcess):
                if "execute_run" in child.cmdline() and child.cpu_times().user > 0.5:
                    os.kill(child.pid, signal.SIGKILL)
                    return True
        return False

    def settle(self, word: str) -> None:
        """Wait for the mail that the incident is over."""
        wait_until(lambda: word in self.subjects()[-1].lower(), ENOUGH_SECONDS, f"{word} mail")
        time.sleep(SETTLE_SECONDS)

    def subjects(self) -> list[str]:
        return [str(mail["Subject"]) for mail in self.inbox.mails]


@contextlib.contextmanager
def recorded(stories: Stories, name: str) -> Iterator[None]:
    """Write what is logged in the block."""
    directory = stories.parts.directory
    begun = dt.datetime.now(dt.UTC)
    before = {log: log.stat().st_size for log in directory.glob("*.log")}
    mails = len(stories.inbox.mails)
    yield
    lines: list[Line] = []
    for log in sorted(directory.glob("*.log")):
        text = log.read_bytes()[before.get(log, 0) :].decode()
        lines += _lines(log.stem, text, begun, directory)
    lines.sort(key=lambda line: line.at)
    Record(name, tuple(thinned(lines)), tuple(stories.subjects()[mails:])).write()
    print(f"{name}: {len(lines)} lines, mails: {stories.subjects()[mails:]}", flush=True)


def _lines(group: str, text: str, begun: dt.datetime, directory: Path) -> Iterator[Line]:
    at = 0.0
    for line in filter(None, text.split("\n")):
        message = _anonymous(line, directory)
        with contextlib.suppress(ValueError):
            logged = json.loads(message)
            at = (dt.datetime.fromisoformat(logged["timestamp"]) - begun).total_seconds()
            message = json.dumps({name: _short(value) for name, value in logged.items()})
        yield Line(group, round(at, 1), message)


def thinned(lines: list[Line]) -> Iterator[Line]:
    """Without what the daemon says again and again, if it is no error."""
    said = set()
    for line in lines:
        with contextlib.suppress(ValueError):
            logged = json.loads(line.message)
            if line.group == "daemon" and logged["level"] == "info":
                if logged["event"] in said:
                    continue
                said.add(logged["event"])
        yield line


def _anonymous(line: str, directory: Path) -> str:
    line = line.replace(str(directory), "/opt/totesys")
    line = re.sub(r"[^\s\"']+/(site-packages|lib/python3)", r"/opt/totesys/\1", line)
    line = re.sub(r"[^\s\"']+/totesys_dagster/", "/opt/totesys/totesys_dagster/", line)
    return re.sub(r"localhost:\d+|127\.0\.0\.1:\d+", "code.totesys.internal:4000", line)


def _short(value: Any) -> Any:
    return value if isinstance(value, int) else str(value)[:LONGEST]


@contextlib.contextmanager
def little_business(around: Surroundings) -> Iterator[None]:
    """The newest orders in the place of two years': what is logged is the same."""
    with around.source.connect(stack.APPLICATION, SOURCE_DATABASE) as source:
        source.execute(
            "DELETE FROM payment WHERE payment_id < (SELECT max(payment_id) FROM payment)"
        )
        source.execute(
            "DELETE FROM transaction AS t"
            " WHERE NOT EXISTS (SELECT FROM payment AS p WHERE p.transaction_id = t.transaction_id)"
        )
        for order in ("sales_order", "purchase_order"):
            key = f"{order}_id"
            source.execute(
                f"DELETE FROM {order} AS o WHERE {key} < (SELECT max({key}) FROM {order})"
                f" AND NOT EXISTS (SELECT FROM transaction AS t WHERE t.{key} = o.{key})".encode()
            )
        simulator.business_day(source, seed=1)
    yield


def main() -> None:
    rehearsing.ARRIVAL_SECONDS = ENOUGH_SECONDS
    with (
        tempfile.TemporaryDirectory(prefix="record-") as name,
        surroundings.running(Path(name)) as around,
        little_business(around),
        production.running(Production(around)) as parts,
    ):
        rehearsal = Rehearsal(around, parts)
        rehearsal.wait_for_arrival()
        print("The first batch has arrived.", flush=True)
        time.sleep(SETTLE_SECONDS)
        stories = Stories(rehearsal)
        for story in STORIES:
            with recorded(stories, story):
                getattr(stories, story)()
    print(f"Records are in {RECORDS}.")


if __name__ == "__main__":
    main()
