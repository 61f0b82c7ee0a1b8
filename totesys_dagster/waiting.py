"""Bounded waits: each has a limit, and says after two seconds what it is waiting for."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

# After how long a wait says what it is for.
QUIET_SECONDS = 2.0
LOOK_SECONDS = 0.05


def looks(what: str, seconds: float, pause: float = LOOK_SECONDS) -> Iterator[None]:
    """One turn for each look at `what` is waited for, with a pause after it, until `seconds` have
    passed; at least one, and the last one after the last pause.

    What should come of it in the end is said by who looks: nothing is raised here.
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
    """The same words for a block that waits by itself, for at most `seconds`."""
    timer = threading.Timer(QUIET_SECONDS, say, [what, seconds])
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()  # a process that is to be forked has no other thread


def say(what: str, seconds: float) -> None:
    """Tell on standard error what is waited for, and for how long at most."""
    if sys.stderr is not None:
        print(f"Waiting for {what}, {seconds:.0f} seconds at most …", file=sys.stderr, flush=True)
