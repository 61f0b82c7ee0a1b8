"""The published page beside the UI: a real server, a real client, and a login before both."""

from __future__ import annotations

import asyncio
import datetime as dt
import http.client
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import httpx
import pytest
from starlette.responses import PlainTextResponse

from totesys_dagster import settings
from totesys_dagster.page.newest import key_of
from totesys_dagster.web.guard import Receive, Scope, Send
from totesys_dagster.web.reports import PATH, Reports, newest_page
from totesys_dagster_tests.web.conftest import HOST, Web

FRIDAY, MONDAY = dt.date(2024, 11, 15), dt.date(2024, 11, 18)
NEWEST = "<!doctype html><title>batch 10 of Monday</title>"
COOKIE = "session=eve"


@pytest.fixture(scope="module")
def published(web: Web) -> Web:
    """Three pages; the newest is neither the last that was written nor the greatest as text."""
    lake = web.processed()
    lake.put(key_of(MONDAY, 10), NEWEST.encode())
    lake.put(key_of(MONDAY, 9), b"batch 9 of Monday")
    lake.put(key_of(FRIDAY, 11), b"Friday, of another lake")
    lake.put("reports/page/zzz.html", b"no page")
    return web


class Login(BaseHTTPRequestHandler):
    """As a load balancer does it: who has no session is sent to log in, and nothing is asked."""

    web: Web

    def do_GET(self) -> None:
        if self.headers.get("Cookie") != COOKIE:
            self.send_response(302)
            self.send_header("Location", "https://login.example/")
            self.end_headers()
            return
        with httpx.Client() as client:
            headers = {"Host": self.headers["Host"], "Cookie": COOKIE}
            answer = client.get(f"{self.web.url}{self.path}", headers=headers)
        self.send_response(answer.status_code)
        for name in ("Content-Type", "Content-Security-Policy"):
            self.send_header(name, answer.headers.get(name, ""))
        self.end_headers()
        self.wfile.write(answer.content)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def login(published: Web) -> Iterator[str]:
    """The address of something that stands before the web server and has people log in."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("For", (Login,), {"web": published}))
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join(30)
    server.server_close()


def test_before_the_first_page_there_is_a_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(settings.INGESTION_URL, str(tmp_path / "ingestion"))
    monkeypatch.setenv(settings.PROCESSED_URL, str(tmp_path / "processed"))
    answer = newest_page()

    assert answer.status_code == 404
    assert bytes(answer.body).startswith(b"No page has been published yet")


def test_page_has_the_path_prefix_of_the_ui() -> None:
    async def ui(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("the UI")(scope, receive, send)

    async def ask(path: str) -> httpx.Response:
        transport = httpx.ASGITransport(Reports(ui, "/dagster"))
        async with httpx.AsyncClient(transport=transport, base_url="http://ui.example") as client:
            return await client.get(path)

    assert asyncio.run(ask(PATH)).text == "the UI"
    assert asyncio.run(ask("/dagster/reports/pages")).text == "the UI"
    said = asyncio.run(ask(f"/dagster{PATH}/x")).text
    assert said == "There is one page, the newest: /dagster/reports/page\n"


@pytest.mark.parametrize("path", [PATH, f"{PATH}/", f"{PATH}?day=2024-11-15"])
def test_newest_page_is_served_and_may_run_nothing(published: Web, path: str) -> None:
    answer = httpx.get(published.url + path)

    assert (answer.status_code, answer.text) == (200, NEWEST)
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    policy = answer.headers["content-security-policy"].split("; ")
    assert {"default-src 'none'", "frame-ancestors 'none'", "sandbox"} <= {*policy}
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-frame-options"] == "SAMEORIGIN"  # the guard stands before it
    assert httpx.head(published.url + path).content == b""


@pytest.mark.parametrize(
    "path",
    [
        f"{PATH}/{FRIDAY}/0000000011.html",
        f"{PATH}/{FRIDAY}",
        f"{PATH}/zzz.html",
        f"{PATH}/../../../log",
        f"{PATH}/..%2f..%2f..%2flog",
        f"{PATH}/%2e%2e/%2e%2e/%2e%2e/log",
        f"{PATH}//etc/passwd",
        f"{PATH}/%00",
    ],
)
def test_nothing_else_is_found_there(published: Web, path: str) -> None:
    """Sent as it is: a client that is polite would shorten it."""
    connection = http.client.HTTPConnection(published.place, timeout=30)
    connection.request("GET", path)
    answer = connection.getresponse()
    said = answer.read()
    connection.close()

    assert (answer.status, said) == (404, b"There is one page, the newest: /reports/page\n")


def test_page_is_read_only(published: Web) -> None:
    for method in ("POST", "PUT", "DELETE"):
        answer = httpx.request(method, published.url + PATH, json={})
        assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert httpx.get(published.url + PATH).text == NEWEST


def test_pages_of_others_cannot_read_it_but_may_link_to_it(published: Web) -> None:
    url = published.url + PATH
    asked = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"}
    link = {
        "Sec-Fetch-Site": "cross-site",
        "Sec-Fetch-Mode": "navigate",
        "Sec-Fetch-Dest": "document",
    }
    assert httpx.get(url, headers={"Host": "rebound.example"}).status_code == 403
    assert httpx.get(url, headers={"Origin": "http://evil.example"}).status_code == 403
    assert httpx.get(url, headers=asked).status_code == 403
    assert httpx.get(url, headers=link).status_code == 200


def test_page_stands_behind_the_login_of_the_ui(login: str) -> None:
    for path in ("/", PATH):
        answer = httpx.get(login + path, headers={"Host": HOST})
        assert (answer.status_code, answer.text) == (302, "")
    inside = httpx.get(login + PATH, headers={"Host": HOST, "Cookie": COOKIE})
    assert (inside.status_code, inside.text) == (200, NEWEST)
    assert "sandbox" in inside.headers["content-security-policy"]


def test_lake_out_of_reach_is_a_sentence_and_the_ui_goes_on(published: Web) -> None:
    lake = published.directory / "processed"
    away = lake.rename(lake.with_name("away"))
    lake.touch()
    try:
        answer = httpx.get(published.url + PATH)
        assert answer.status_code == 503
        assert answer.text.startswith("TOTESYS_PROCESSED_URL (file:///")
        assert published.ask("{version}")
    finally:
        lake.unlink()
        away.rename(lake)
