"""Dagster's history in SQLite: created atomically, with open connections and all events in one
file.

Dagster creates its databases in place. Two processes that do so at once, such as `dagster dev` and
`totesys run` on a fresh clone, break them for good: two of four attempts with three processes ended
with "more than one head present". A process that is killed meanwhile leaves them half created.

Dagster opens and closes a database for each event, and the last to close it writes back the whole
WAL and removes it: 29 to 50 milliseconds per event on a busy machine, compared with 1.5 to 15 on an
open connection. It also keeps the events of each run in a separate file; an empty one takes 106 KB.
"""

import os
import shutil
import sqlite3
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import dagster as dg
import sqlalchemy as db
from watchdog.events import FileSystemEvent, PatternMatchingEventHandler

from totesys_dagster import files, private
from totesys_dagster.dagster_insides import (
    ConfigurableClassData,
    ConsolidatedSqliteEventLogStorage,
    DagsterSqliteStorage,
    DagsterStorage,
    SqliteRunStorage,
    SqliteScheduleStorage,
)
from totesys_dagster.dagster_schema import require_known
from totesys_dagster.local import locks

# How long one process waits for another's write, as in Dagster's own event storage.
BUSY_SECONDS = 30

LOG_SECONDS = 0.05

# Events take 0.5 to 3 KB each: with SQLite's default of 4 KB, a fifth of each page stays empty (168
# KB of history for an order, compared with 150).
PAGE_BYTES = 16_384

# How long another process may take to make the databases; it takes two seconds.
MAKING_SECONDS = 60
MAKING = "Dagster's databases, which another command makes"

# Events about values passed between steps: a quarter of a batch's events. Nothing reads them later:
# steps, assets and re-executions have their own events.
PASSING = {
    dg.DagsterEventType.LOADED_INPUT,
    dg.DagsterEventType.STEP_INPUT,
    dg.DagsterEventType.HANDLED_OUTPUT,
    dg.DagsterEventType.RESOURCE_INIT_STARTED,
    dg.DagsterEventType.RESOURCE_INIT_SUCCESS,
}

EVENTS = Path("history", "events")

# The directory in which dagster.yaml keeps Dagster's own files.
HOME = ".dagster"


def _address(base_dir: str, name: str) -> str:
    """The address of a database. Dagster's own ends the path at a `?`."""
    path = Path(base_dir).absolute() / f"{name}.db"
    place = f"file:{quote(os.fsencode(path))}"
    return db.URL.create("sqlite", database=place, query={"uri": "true"}).render_as_string()


for _storage in (ConsolidatedSqliteEventLogStorage, SqliteRunStorage, SqliteScheduleStorage):
    sys.modules[_storage.__module__].create_db_conn_string = _address  # type: ignore[attr-defined]

_engines: dict[str, db.Engine] = {}
_lock = threading.Lock()


def _engine(url: str) -> db.Engine:
    """The engine of a database, shared by all threads of this process; it keeps its connections."""
    with _lock:
        if url not in _engines:
            engine = db.create_engine(
                url,
                poolclass=db.QueuePool,
                max_overflow=-1,
                connect_args={"timeout": BUSY_SECONDS, "check_same_thread": False},
            )
            db.event.listen(engine, "connect", _configure)
            _engines[url] = engine
        return _engines[url]


def _configure(connection: Any, _record: object) -> None:
    # Safe in WAL mode: a power failure may lose the last events, but lake and ledger know their
    # batches.
    connection.execute("PRAGMA synchronous = NORMAL")


def _forget() -> None:
    """A fork opens its own connections. It does not close its parent's, which are in use."""
    global _lock  # noqa: PLW0603
    _lock = threading.Lock()
    _engines.clear()


os.register_at_fork(after_in_child=_forget)


class _Held:
    """A Dagster storage that keeps its connections open until it is disposed of."""

    _conn_string: str

    @contextmanager
    def connect(self) -> Iterator[db.Connection]:
        with _engine(self._conn_string).begin() as connection:
            yield connection

    def dispose(self) -> None:
        super().dispose()  # type: ignore[misc]
        _engine(self._conn_string).dispose()


class _Runs(_Held, SqliteRunStorage):
    pass


class _Schedules(_Held, SqliteScheduleStorage):
    pass


class _Events(_Held, ConsolidatedSqliteEventLogStorage):
    _connect = _Held.connect

    def _init_db(self) -> None:
        path = Path(self.get_db_path())  # type: ignore[no-untyped-call]
        files.make_directory(path.parent)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA page_size = {PAGE_BYTES}")
            connection.execute("PRAGMA journal_mode = WAL")  # writes the first page
        super()._init_db()  # type: ignore[no-untyped-call]

    def store_event(self, event: dg.EventLogEntry) -> None:
        if event.dagster_event_type not in PASSING:
            super().store_event(event)

    def watch(self, run_id: str, cursor: str | None, callback: Callable[..., Any]) -> None:
        first = self._obs is None
        super().watch(run_id, cursor, callback)  # type: ignore[no-untyped-call]
        if first and self._obs is not None:
            # While connections are open, new events are in the write-ahead log only.
            self._obs.schedule(_LogWatch(self), self._base_dir, recursive=True)


class _LogWatch(PatternMatchingEventHandler):
    def __init__(self, events: _Events) -> None:
        log = f"{events.get_db_path()}-wal"  # type: ignore[no-untyped-call]
        super().__init__(patterns=[log])
        self._events = events

    def on_modified(self, _event: FileSystemEvent) -> None:
        # The log is written a moment before its content can be read. Meanwhile, further events of
        # the same file are merged into one.
        time.sleep(LOG_SECONDS)
        self._events.on_modified()  # type: ignore[no-untyped-call]


class SqliteStorage(DagsterSqliteStorage):
    """Dagster's own storage, with the changes that this module describes."""

    def __init__(self, base_dir: str, inst_data: ConfigurableClassData | None = None) -> None:
        # Every process of Dagster comes here before it writes anything.
        private.write_privately()
        place = Path(base_dir)
        private.close_all(place.parent if place.parent.name == HOME else place)
        _make(place, _make_all)
        self.base_dir = base_dir
        self._run_storage = _Runs.from_local(str(place / "history"))
        self._event_log_storage = _Events(str(place / EVENTS))  # type: ignore[assignment]
        self._schedule_storage = _Schedules.from_local(str(place / "schedules"))
        self._inst_data = inst_data
        storages = (self._run_storage, self._event_log_storage, self._schedule_storage)
        require_known(storages, f"Dagster's history in {place}")
        DagsterStorage.__init__(self)  # type: ignore[no-untyped-call, arg-type]

    @classmethod
    def from_config_value(
        cls, inst_data: ConfigurableClassData | None, config_value: Mapping[str, Any]
    ) -> "SqliteStorage":
        return cls(config_value["base_dir"], inst_data)


def _make_all(place: Path) -> None:
    _Runs.from_local(str(place / "history")).dispose()
    _Events(str(place / EVENTS)).dispose()
    _Schedules.from_local(str(place / "schedules")).dispose()


def _make(place: Path, make: Callable[[Path], object]) -> None:
    """Create a directory under another name and rename it, unless it exists."""
    if place.exists():
        return
    files.make_directory(place.parent)
    lock = place.with_name(f"{place.name}.lock")
    with locks.exclusive(lock, MAKING_SECONDS, MAKING):
        if place.exists():
            return
        new = place.with_name(f"{place.name}.new")
        shutil.rmtree(new, ignore_errors=True)
        make(new)
        files.move_directory(new, place)
