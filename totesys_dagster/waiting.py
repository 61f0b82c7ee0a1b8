"""Bounded waits: each has a limit, and says after two seconds what it is waiting for."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# A wait announces itself after this long.
QUIET_SECONDS = 2.0
LOOK_SECONDS = 0.05


def looks(what: str, seconds: float, pause: float = LOOK_SECONDS) -> Iterator[None]:
    """Yield once per attempt, with a pause after each, until `seconds` have passed; at least once,
    and once more after the last pause. After two seconds, say that `what` is waited for.

    Raises nothing: the caller decides what it means if no attempt succeeds.
    """
    begun, said = time.monotonic(), False
    while True:
        passed = time.monotonic() - begun
        if passed > QUIET_SECONDS and not said:
            said = True
            say(what, seconds)
        yield
        if passed >= seconds:
            return
        time.sleep(pause)


@contextmanager
def announced(what: str, seconds: float) -> Iterator[None]:
    """Say the same for a block that does the waiting, for at most `seconds`."""
    timer = threading.Timer(QUIET_SECONDS, say, [what, seconds])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # a process that will be forked must have no other thread


def say(what: str, seconds: float) -> None:
    """Print on standard error what is waited for, and for how long at most."""
    if sys.stderr is not None:
        print(f"Waiting for {what}, {seconds:.0f} seconds at most …", file=sys.stderr, flush=True)
