"""An HTTP proxy on loopback that breaks chosen requests on their way to a real S3 server.

Each fault is used once, by the first request of its method that comes while it is the next one of
that method; the rule says what becomes of every other request, which passes unchanged without one.
The client signs the proxy's address as the host, and the host passes on as it came, so signatures
stay valid.
"""

from __future__ import annotations

import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from email.message import Message
from http.client import HTTPConnection, HTTPResponse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import ClassVar, Literal
from urllib.parse import urlsplit

from botocore.auth import S3SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from totesys_dagster_tests.object_store import ObjectStore

# What concerns one connection only, not what is asked or answered.
HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "expect"}

# What is left of a PUT whose condition is taken away.
SENT_ANYWAY = {"host", "content-type", "x-amz-checksum-sha256"}


@dataclass(frozen=True)
class Answer:
    """An answer in the server's place; the request does not reach the server."""

    status: int
    code: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    text: str = ""  # in the place of S3's XML

    @property
    def body(self) -> bytes:
        if self.text:
            return self.text.encode()
        if not self.code:
            return b""
        return (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{self.code}</Code>'
            f"<Message>This is a fault of the test.</Message></Error>"
        ).encode()


# `lost` drops the server's answer, `late` keeps it back until the client has given up, `cut` ends
# in the middle of the body, `reset` and `hang` happen before the server hears of the request. With
# `overwrite` the server does not hear of `If-None-Match`; `denied` says that the object existed
# before, whatever the server says, and `granted` that it did not.
Fault = (
    Answer
    | Literal["pass", "reset", "hang", "lost", "late", "cut", "overwrite", "denied", "granted"]
)

EXISTS = Answer(412, "PreconditionFailed")

# Gives the fault of a request by its method and path.
Rule = Callable[[str, str], Fault]


def passes(_method: str, _path: str) -> Fault:
    """The rule of a network without faults."""
    return "pass"


@dataclass
class Faults:
    """The faults that are still to come, per method, and the requests that came."""

    planned: dict[str, list[Fault]] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    checksums: list[str | None] = field(default_factory=list)  # of each PUT
    signers: list[str] = field(default_factory=list)  # the access key of each request
    targets: list[str] = field(default_factory=list)  # host and path of each request
    rule: Rule = passes
    lock: threading.RLock = field(default_factory=threading.RLock)
    writing: threading.Lock = field(default_factory=threading.Lock)
    over: threading.Event = field(default_factory=threading.Event)

    def plan(self, method: str, faults: Sequence[Fault]) -> None:
        with self.lock:
            self.planned[method] = list(faults)
            self.requests.clear()

    def next(self, method: str, path: str) -> Fault:
        with self.lock:
            self.requests.append(method)
            faults = self.planned.get(method)
            return faults.pop(0) if faults else self.rule(method, path)

    def note(self, headers: Message, path: str) -> None:
        with self.lock:
            _, _, credential = headers.get("Authorization", "").partition("Credential=")
            self.signers.append(credential.partition("/")[0])
            self.targets.append(f"{headers['Host']}{urlsplit(path).path}")

    def count(self, method: str) -> int:
        with self.lock:
            return self.requests.count(method)


@dataclass(frozen=True)
class Proxy:
    """A running proxy."""

    endpoint: str
    faults: Faults


@contextmanager
def running(upstream: str, tls: ssl.SSLContext | None = None) -> Iterator[Proxy]:
    """A proxy to the server at `upstream` for the time of a block; it speaks TLS if told how."""
    place = urlsplit(upstream)
    faults = Faults()

    class Handler(_Handler):
        target: ClassVar[tuple[str, int]] = (place.hostname or "", place.port or 80)
        plan: ClassVar[Faults] = faults

    server = _Server(("127.0.0.1", 0), Handler)
    if tls:
        server.socket = tls.wrap_socket(
            server.socket, server_side=True, do_handshake_on_connect=False
        )
    thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield Proxy(f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}", faults)
    finally:
        faults.over.set()
        server.shutdown()
        server.server_close()
        thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64  # of eight that connect at once, five fit, and the rest wait a second


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    target: ClassVar[tuple[str, int]]
    plan: ClassVar[Faults]

    def log_message(self, format: str, *arguments: object) -> None:
        """Nothing is logged: the test says what matters."""

    def _handle(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.plan.note(self.headers, self.path)
        fault = self.plan.next(self.command, self.path)
        if self.command == "PUT":
            self.plan.checksums.append(self.headers.get("x-amz-checksum-sha256"))
        if isinstance(fault, Answer):
            self._answer(fault.status, fault.headers, fault.body)
        elif fault == "reset":
            self._reset()
        elif fault == "hang":
            self._wait()
        else:
            self._forward(body, fault)

    do_GET = do_PUT = do_HEAD = do_POST = do_DELETE = _handle  # noqa: N815

    def _forward(self, body: bytes, fault: Fault) -> None:
        # Of those that create one object at once, SeaweedFS lets some wait a second for its lock.
        with self.plan.writing if self.command == "PUT" else nullcontext():
            status, headers, content = self._ask(body, fault)
        if fault == "lost":
            self._reset()
        elif fault == "late":
            self._wait()
        elif fault == "denied":
            self._answer(412, (), EXISTS.body)
        elif fault == "granted":
            self._answer(200, (("ETag", '"0"'),), b"")
        else:
            self._answer(status, headers, content, cut=fault == "cut")

    def _ask(self, body: bytes, fault: Fault) -> tuple[int, list[tuple[str, str]], bytes]:
        upstream = HTTPConnection(*self.target, timeout=30)
        try:
            upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
            headers = self._overwriting(body) if fault == "overwrite" else self.headers
            for name, value in headers.items():
                if name.lower() not in HOP_BY_HOP:
                    upstream.putheader(name, value)
            if body or self.command == "PUT":
                upstream.putheader("Content-Length", str(len(body)))
            upstream.endheaders(body or None)
            response = upstream.getresponse()
            return response.status, self._passed_on(response), response.read()
        finally:
            upstream.close()

    def _overwriting(self, body: bytes) -> Mapping[str, str]:
        """The headers of a PUT without a condition, signed anew."""
        request = AWSRequest(
            self.command,
            f"http://{self.headers['Host']}{self.path}",
            {name: value for name, value in self.headers.items() if name.lower() in SENT_ANYWAY},
            body,
        )
        account = Credentials(ObjectStore.access_key, ObjectStore.secret_key)
        S3SigV4Auth(account, "s3", "eu-west-2").add_auth(request)
        return dict(request.headers.items())

    def _passed_on(self, response: HTTPResponse) -> list[tuple[str, str]]:
        # The answer to HEAD tells the length of a body that it does not have.
        keep = {"content-length"} if self.command == "HEAD" else set()
        return [(k, v) for k, v in response.getheaders() if k.lower() not in HOP_BY_HOP - keep]

    def _answer(
        self, status: int, headers: Sequence[tuple[str, str]], body: bytes, *, cut: bool = False
    ) -> None:
        self.send_response_only(status)
        for name, value in headers:
            self.send_header(name, value)
        if self.command != "HEAD":
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body[: len(body) // 2] if cut else body)
        if cut:
            self.close_connection = True

    def _reset(self) -> None:
        """Hang up with a TCP reset instead of an orderly end."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.rfile.close()  # the socket closes with the last that reads from it
        self.connection.close()
        self.close_connection = True

    def _wait(self) -> None:
        """Say nothing for longer than any client of the tests waits."""
        self.plan.over.wait(10)
        self.close_connection = True
