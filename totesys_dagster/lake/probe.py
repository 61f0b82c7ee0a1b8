"""The proof that a zone creates an object only once, on which every commit depends.

Two captures can commit the same sequence at the same moment, and the zone decides which one wins. A
store that ignores `If-None-Match`, and such stores exist, accepts both writes: the log forks
unnoticed. So before anything else is written, eight writers create one object at the same moment:
exactly one must succeed, the others must hear that it exists, and all must read the same.

A zone that passed records this in an object whose name depends on the store and the location: a
lake that is copied elsewhere, or reached through another endpoint, is tested there. The proof's
object stays, like everything in a lake.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from typing import TypeVar

from totesys_dagster.lake.backend import Backend, Created
from totesys_dagster.lake.format import FORMAT

WRITERS = 8
# Within this many seconds a thread has started, however busy the machine is.
START_SECONDS = 60

Item = TypeVar("Item")
Answer = TypeVar("Answer")


class NotCreatedOnceError(Exception):
    """A backend failed the proof; the message says what it did."""


_proven: set[str] = set()
_lock = threading.Lock()


def require(backend: Backend) -> None:
    """Raise NotCreatedOnceError unless objects of the backend are created once.

    Raises BackendError when it cannot be used.
    """
    address = backend.address
    if address in _proven:
        return
    with _lock:
        if address not in _proven:
            key, data = _passed(address)
            if backend.read(key) != data:
                _prove(backend)
                backend.create(key, data)  # another first writer may have: it writes the same
            _proven.add(address)


def _passed(address: str) -> tuple[str, bytes]:
    """The object that says that a backend passed. Its content is compared as well: what answers
    every request with success has none of it."""
    name = sha256(address.encode()).hexdigest()[:16]
    content = {"format": FORMAT, "location": address, "passed": "an object is created once"}
    return f"probe/passed-{name}.json", (json.dumps(content, indent=1) + "\n").encode()


def _prove(backend: Backend) -> None:
    key = f"probe/{uuid.uuid4()}"
    contents = [
        f'{{"format": {FORMAT}, "writer": {writer}}}\n'.encode() for writer in range(WRITERS)
    ]

    def create(data: bytes) -> tuple[Created, bytes | None]:
        return backend.create(key, data), backend.read(key)

    with ThreadPoolExecutor(WRITERS) as pool:
        # The first look opens a connection for each writer, or they would create one by one.
        before = _together(pool, backend.read, [key] * WRITERS)
        answers = _together(pool, create, contents)
    fault = _fault(before, contents, answers)
    if fault:
        raise NotCreatedOnceError(fault)


def _together(
    pool: ThreadPoolExecutor, do: Callable[[Item], Answer], items: Sequence[Item]
) -> list[Answer]:
    """`do` of each item, all at the same moment."""
    start = threading.Barrier(len(items), timeout=START_SECONDS)

    def wait_and_do(item: Item) -> Answer:
        start.wait()
        return do(item)

    return [done.result() for done in [pool.submit(wait_and_do, item) for item in items]]


def _fault(
    before: Sequence[bytes | None],
    contents: Sequence[bytes],
    answers: Sequence[tuple[Created, bytes | None]],
) -> str | None:
    """What is wrong with the answers to the writers of `contents`, None when nothing is."""
    heard = [said for said, _ in answers]
    found = {content for _, content in answers}
    if any(content is not None for content in before):
        return "gave an object that nobody had written"
    if (count := heard.count(Created.YES)) > 1:
        return f"said yes to {count} of {WRITERS} simultaneous writers of one object"
    if None in found:
        return "could not give an object that it had said was there"
    if len(found) > 1 or not found <= {*contents}:
        return "gave different contents of an object that was written once"
    [kept] = [said for content, said in zip(contents, heard, strict=True) if content in found]
    if kept is Created.YES or (kept is Created.UNCERTAIN and Created.YES not in heard):
        return None
    if Created.YES in heard:
        return "kept another object than that of the one writer to which it said yes"
    return f"said to each of {WRITERS} writers of an object that it existed before"
