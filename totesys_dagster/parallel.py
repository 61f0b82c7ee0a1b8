"""Parallel work in threads: reading, compressing and parsing release Python's global lock."""

from __future__ import annotations

import importlib
import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from typing import TypeVar

# How many heavy tasks run at once, each on a core and with memory of its own.
AT_ONCE = min(4, os.cpu_count() or 1)

Item = TypeVar("Item")
Result = TypeVar("Result")


def import_ahead(module: str) -> None:
    """Import a module in the background. A thread that imports it meanwhile waits for it, and gets
    its error, if any."""

    def work() -> None:
        with suppress(Exception):
            importlib.import_module(module)

    threading.Thread(target=work).start()


def ahead(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """Yield `work` of each item, in the order of the items, with up to `threads` more in progress.

    Results do not pile up: the next item starts when a result is taken. An exception of `work` is
    raised in place of its result; items that have not started by then never do.
    """
    waiting: deque[Future[Result]] = deque()
    pool = ThreadPoolExecutor(threads)
    try:
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > threads:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)
