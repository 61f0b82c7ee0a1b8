"""Who delivers files while everything is killed: sales targets that overlap, are corrected, and are
bad at times.

What the warehouse must hold in the end follows from the files alone: of each key the row of the
file that was written last, among those that have the key.
"""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

import psycopg

from totesys_dagster.drops.file_feeds import FILE_FEEDS
from totesys_dagster.drops.place import Drops
from totesys_dagster.orchestration.files import wanted
from totesys_dagster.resources import Lake, Warehouse

FOLDER = "sales_target"
HEADER = "month,office,currency_code,target_amount\n"
KEYS = [
    f"{month},{office},{currency}"
    for month in ("2025-01", "2025-02")
    for office in ("Leds", "Manchester", "Lübeck")
    for currency in ("EUR", "GBP")
]
NAMES = ("north.csv", "south #1.csv", "ü.csv")

Rows = dict[str, Decimal]


class Deliverer(threading.Thread):
    """Writes files into a directory until it is to stop: some at once, others in two pieces."""

    def __init__(self, drops: Path, seed: int, stop: threading.Event) -> None:
        super().__init__(name="deliverer", daemon=True)
        self.folder = drops / FOLDER
        self.folder.mkdir()
        self.rng = random.Random(seed)
        self.stop = stop
        self.files: dict[str, Rows] = {}  # the last that was written comes last
        self.bad = 0

    def run(self) -> None:
        while not self.stop.is_set():
            self.deliver()
            self.stop.wait(self.rng.uniform(0.3, 2))

    def deliver(self) -> None:
        """Write a file, in the place of another one of that name."""
        if self.rng.random() < 0.15:
            self.bad += 1
            self._write(self.folder / f"bad-{self.bad}.csv", f"{HEADER}2025-01,Leds,EUR,-1\n")
            return
        name = self.rng.choice(NAMES)
        keys = self.rng.sample(KEYS, self.rng.randint(1, len(KEYS)))
        rows = {key: Decimal(self.rng.randint(0, 10**8)) / 100 for key in keys}
        self.files.pop(name, None)
        self._write(
            self.folder / name, HEADER + "".join(f"{k},{amount}\n" for k, amount in rows.items())
        )
        self.files[name] = rows

    def _write(self, path: Path, text: str) -> None:
        half = len(text) // 2
        if self.rng.random() < 0.5:
            new = path.with_name(f".{path.name}")
            new.write_text(text, encoding="utf-8")
            new.rename(path)
            return
        with path.open("w", encoding="utf-8") as file:
            file.write(text[:half])
            file.flush()
            time.sleep(self.rng.uniform(0, 0.5))
            file.write(text[half:])

    def wrong(self, warehouse: psycopg.Connection) -> list[str]:
        """The keys of which the warehouse has another row than the files, each in a sentence."""
        expected: Rows = {}
        for rows in self.files.values():
            expected |= rows
        found = held(warehouse)
        return [
            f"The target {key} is {found.get(key)}, and the files say {expected.get(key)}."
            for key in sorted({*expected, *found})
            if expected.get(key) != found.get(key)
        ]


def held(warehouse: psycopg.Connection) -> Mapping[str, Decimal]:
    """The targets that the warehouse has now, by key."""
    return dict(
        warehouse.execute(
            "SELECT concat_ws(',', to_char(month, 'YYYY-MM'), office, currency_code), target_amount"
            " FROM warehouse.current_fact_sales_target"
        ).fetchall()
    )


def all_is_delivered() -> bool:
    """Whether no file waits that has come to rest, and all that was delivered is loaded."""
    drops = Drops()
    settled = all(drop.settled for drop in drops.all(FOLDER))
    [(contract, feed)] = FILE_FEEDS
    return settled and wanted(contract, feed, drops, Lake(), Warehouse()) is None
