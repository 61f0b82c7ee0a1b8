"""Files of sales targets, and a platform that takes them."""

from __future__ import annotations

import datetime as dt
import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from totesys_dagster import settings
from totesys_dagster.catalogue import FileContract
from totesys_dagster.drops import deliver
from totesys_dagster.drops.deliver import Delivered
from totesys_dagster.drops.file_feeds import FILE_FEEDS
from totesys_dagster.drops.place import Drops
from totesys_dagster.feeds import load, verify
from totesys_dagster.feeds.feed import Feed, Outcome
from totesys_dagster.feeds.load import FeedLoad
from totesys_dagster.feeds.status import FeedStatus, feed_status
from totesys_dagster.lake.deliveries import Body, Delivery
from totesys_dagster.warehouse import schema
from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.lake.conftest import s3, s3_server

__all__ = ["s3", "s3_server"]

TARGETS: tuple[FileContract, Feed] = next(
    pair for pair in FILE_FEEDS if pair[1].name == "sales_target"
)
HEADER = "month,office,currency_code,target_amount\n"
LONG_AGO = time.time() - 3600


def outcome(body: bytes, name: str = "targets.csv", feed: Feed = TARGETS[1]) -> Outcome:
    """What a file gives."""
    delivery = Delivery(
        log=feed.name,
        sequence=1,
        run_id="test",
        observed_at=dt.datetime(2024, 11, 15, tzinfo=dt.UTC),
        name=name,
        identity={"size": str(len(body))},
        body=Body(key="body", bytes=len(body), sha256=""),
    )
    return feed.process(delivery, body, None)


@contextmanager
def closed(parent: Path) -> Iterator[Path]:
    """A directory that cannot be listed: a mode keeps users out, and a path that is too long even
    the superuser."""
    name = "closed" * 40
    path, folder = parent / name, os.open(parent, os.O_RDONLY)
    os.mkdir(name, mode=0o700 if os.geteuid() == 0 else 0, dir_fd=folder)
    while os.geteuid() == 0 and len(os.fspath(path)) < 4096:
        below = os.open(name, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        path, folder = path / name, below
        os.mkdir(name, dir_fd=folder)
    os.close(folder)
    try:
        yield path
    finally:
        (parent / name).chmod(0o700)
        shutil.rmtree(parent / name)


@dataclass
class Dropping:
    """A platform with a directory of drops, and what becomes of those of sales targets."""

    platform: Platform
    directory: Path
    _moment: float = field(default=LONG_AGO)

    @property
    def targets(self) -> Path:
        return self.directory / "sales_target"

    def drop(self, rows: str, name: str = "a.csv") -> Path:
        """Put a file there, a second after the one before."""
        path = self.targets / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(HEADER + rows)
        self._moment += 1
        os.utime(path, (self._moment, self._moment))
        return path

    def deliver(self) -> Delivered:
        contract, feed = TARGETS
        return deliver.deliver(feed, contract, Drops(), self.platform.ingestion, "test")

    def load(self) -> list[FeedLoad]:
        p = self.platform
        return [*load.load_all(p.warehouse, p.names, TARGETS[1], p.ingestion, p.processed)]

    def take(self) -> list[FeedLoad]:
        self.deliver()
        return self.load()

    def findings(self) -> list[str]:
        p = self.platform
        return verify.verify_feed(
            p.warehouse, p.names, TARGETS[1], p.ingestion, p.processed
        ).findings

    def status(self) -> FeedStatus:
        p = self.platform
        return feed_status(p.warehouse, p.names, TARGETS[1], p.ingestion, p.processed)

    def current(self) -> list[tuple[str, str, str]]:
        return self.platform.rows(
            "SELECT to_char(month, 'YYYY-MM'), office || ' ' || currency_code,"
            " target_amount::text FROM current_fact_sales_target ORDER BY 1, 2"
        )


@pytest.fixture
def dropping(platform: Platform, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Dropping:
    monkeypatch.setenv(settings.DROPS_URL, str(tmp_path / "drops"))
    (tmp_path / "drops").mkdir()
    schema.migrate(platform.warehouse, platform.names)
    return Dropping(platform, tmp_path / "drops")
