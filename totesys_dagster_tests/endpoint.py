"""An address that leads to several servers in turn, as the reader's endpoint of a cluster does."""

from __future__ import annotations

import itertools
import socket
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field


@dataclass
class Endpoint:
    """The port that a client connects to. `taken` has the server's port of each connection.

    `targets` are the ports of the servers, and `turn` the number of the next connection; both may
    be changed at any time.
    """

    port: int
    targets: Sequence[int]
    turn: int = 0
    taken: list[int] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def next(self) -> int:
        with self._lock:
            target = self.targets[self.turn % len(self.targets)]
            self.turn += 1
            self.taken.append(target)
            return target


@contextmanager
def endpoint(targets: Sequence[int]) -> Iterator[Endpoint]:
    """Pass each connection on to one of the ports, for the time of a block."""
    listener = socket.create_server(("127.0.0.1", 0), backlog=16)
    listener.settimeout(0.1)
    place, over = Endpoint(listener.getsockname()[1], targets), threading.Event()
    open_: list[socket.socket] = []

    def accept() -> None:
        while not over.is_set():
            with suppress(TimeoutError):
                client, _ = listener.accept()
                server = socket.create_connection(("127.0.0.1", place.next()))
                open_.extend((client, server))
                for one, other in itertools.permutations((client, server)):
                    threading.Thread(target=_pass_on, args=(one, other), daemon=True).start()

    thread = threading.Thread(target=accept, daemon=True)
    thread.start()
    try:
        yield place
    finally:
        over.set()
        thread.join()
        for one in (listener, *open_):
            one.close()


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    with suppress(OSError):
        while data := one.recv(65536):
            other.sendall(data)
    with suppress(OSError):
        other.shutdown(socket.SHUT_WR)
