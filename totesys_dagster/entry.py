"""The command `totesys` from start to end: Ctrl-C and SIGTERM end it with one word.

The exit status is what shells report for a command that a signal ended: 130 and 143. Whenever that
happens, files are complete or missing, and child processes that a command waits for end, too.
"""

from __future__ import annotations

import locale
import os
import signal
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from types import FrameType
from typing import Any, NoReturn

_SAID = {signal.SIGINT: "Interrupted.", signal.SIGTERM: "Terminated."}
_WAITING = (*_SAID, signal.SIGHUP)
# Python writes the number of each signal here, including those that Dagster handles.
_pipe = (-1, -1)
_numbers: list[int] = []


def main() -> None:
    """Run the command line."""
    _require_utf8()
    guard(_run)


def guard(run: Callable[[], int]) -> NoReturn:
    """Run a program, and exit with the status that it returns or that belongs to a signal."""
    global _pipe  # noqa: PLW0603
    _pipe = os.pipe()
    for end in _pipe:
        os.set_blocking(end, False)
    signal.set_wakeup_fd(_pipe[1], warn_on_full_buffer=False)
    for number in _SAID:
        signal.signal(number, _hear)
    # An interrupt in a destructor or in another thread would print a traceback.
    sys.unraisablehook = _quiet(sys.unraisablehook)
    threading.excepthook = _quiet(threading.excepthook)
    try:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _WAITING)  # `become` has blocked them
        status = run()
        if sys.stdout is not None:
            sys.stdout.flush()
    except BaseException:
        if _heard():  # whatever exception the interrupt became
            _end()
        raise
    if _heard():
        _end()
    sys.exit(status)


def become(command: list[str]) -> NoReturn:
    """Replace this program by another one. A signal that arrives meanwhile waits until that program
    unblocks it."""
    signal.pthread_sigmask(signal.SIG_BLOCK, _WAITING)
    if _heard():
        _end()
    os.execv(command[0], command)  # nosec B606


def _require_utf8() -> None:
    """Restart in Python's UTF-8 mode if the locale has another encoding (LC_ALL=C), so names and
    values are printed, and files are read, whatever the locale."""
    encoding = locale.getencoding().replace("-", "").lower()
    if encoding != "utf8" and not sys.flags.utf8_mode:
        os.environ["PYTHONUTF8"] = "1"  # for child processes as well
        os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])  # nosec B606


def _heard() -> list[int]:
    """The signals to end this command that have arrived, in order."""
    with suppress(BlockingIOError):
        _numbers.extend(number for number in os.read(_pipe[0], 1024) if number in _SAID)
    return _numbers


def _run() -> int:
    from totesys_dagster import cli

    return ended(lambda: cli.main(standalone_mode=False))


def ended(command: Callable[[], Any]) -> int:
    """Run a click command that leaves exiting to its caller. Returns the exit status."""
    import click

    try:
        return int(command() or 0)
    except click.Abort:
        return 1
    except click.ClickException as error:
        if not _heard():
            error.show()
        return error.exit_code
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)


def _hear(number: int, _frame: FrameType | None) -> None:
    if len(_heard()) > 1:  # a second one: the next command cleans up
        os._exit(128 + number)
    raise KeyboardInterrupt


def _end() -> NoReturn:
    """Exit immediately, without waiting for threads whose work nobody needs any more."""
    number = _heard()[0]
    if sys.stderr is not None:
        print(f"\n{_SAID[signal.Signals(number)]}", file=sys.stderr, flush=True)
    os._exit(128 + number)


def _quiet(hook: Callable[[Any], object]) -> Callable[[Any], object]:
    return lambda what: None if _heard() else hook(what)


if __name__ == "__main__":
    main()
