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

# How many pieces of heavy work run at once, on as many cores; each needs its own memory.
AT_ONCE = min(4, os.cpu_count() or 1)

Item = TypeVar("Item")
Result = TypeVar("Result")


def import_ahead(module: str) -> None:
    """Import a module while this thread waits for something else; who imports it meanwhile waits
    for it. An error is left to that one."""

    def work() -> None:
        with suppress(Exception):
            importlib.import_module(module)

    threading.Thread(target=work).start()


def ahead(work: Callable[[Item], Result], items: Iterable[Item], threads: int) -> Iterator[Result]:
    """`work` of each item, in the order of the items, while up to `threads` more are at work.

    Results do not pile up: an item is begun when one before it has been taken. An exception comes
    in the place of its result; what was not begun by then never is.
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
