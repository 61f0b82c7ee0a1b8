"""The client against a server on loopback that does what public servers do."""

from __future__ import annotations

import datetime as dt
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from totesys_dagster.rates import client
from totesys_dagster.rates.client import Client

DAY = dt.date(2024, 11, 12)


class Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        kind = self.path.split("/")[1]
        if kind == "late":
            time.sleep(1)
        if kind == "loop":
            return self._send(302, b"", {"Location": self.path})
        if kind == "moved":
            return self._send(301, b"", {"Location": self.path.replace("moved", "good")})
        if kind == "drip":
            self._send(200, b"{", {"Content-Length": "1000"})
            for _ in range(20):
                time.sleep(0.1)
                self.wfile.write(b" ")
            return None
        if kind == "huge":
            return self._send(200, b"x" * (client.LARGEST_BODY + 1))
        if kind == "cut":
            return self._send(200, b"{", {"Content-Length": "100"})
        if kind == "encoded":
            return self._send(200, b"{}", {"Content-Encoding": "gzip"})
        if kind.isdigit():
            return self._send(int(kind), b"no")
        return self._send(200, self.path.encode())

    def _send(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | (headers or {})).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def url() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("kind", ["404", "500", "429", "loop", "huge", "cut", "late", "drip"])
def test_fallback_answers_for_what_fails(
    url: str, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client, "REQUEST_SECONDS", 0.5)
    asked = Client([f"{url}/{kind}", f"{url}/good/{{date}}"], sleep=lambda _: None)
    why, body = (answer for _, answer in zip(range(2), asked.answers(DAY), strict=False))

    assert isinstance(why, str)
    assert body == b"/good/2024-11-12"


def test_body_is_as_it_came_whatever_the_header_says(url: str) -> None:
    assert next(Client([f"{url}/encoded"]).answers(DAY)) == b"{}"


def test_redirect_is_followed(url: str) -> None:
    assert next(Client([f"{url}/moved/{{date}}"]).answers(DAY)) == b"/good/2024-11-12"


def test_redirect_to_an_address_without_encryption_is_not_followed() -> None:
    with pytest.raises(client._NoBodyError, match="without encryption"):
        client._require_body("https://example.com/a", "http://example.com/a", 200)


def test_failure_is_tried_again_and_has_an_end(url: str) -> None:
    pauses: list[float] = []
    asked = Client([f"{url}/500", f"{url}/404"], sleep=pauses.append)

    assert len([*asked.answers(DAY)]) == 4  # what is not there is not asked for again
    assert pauses == [*client.PAUSES]


def test_nobody_listens() -> None:
    asked = Client(["http://127.0.0.1:1/{date}"], sleep=lambda _: None)
    assert "cannot be reached" in str([*asked.answers(DAY)])
    assert asked.silent
