"""Which requests the guard of the web server passes on."""

from __future__ import annotations

import asyncio
from collections.abc import MutableMapping
from typing import Any
from urllib.parse import quote

import pytest
from dagster_webserver.webserver import DagsterWebserver
from starlette.routing import Mount, Route, WebSocketRoute

from totesys_dagster import settings
from totesys_dagster.errors import SettingError
from totesys_dagster.web.guard import ENDPOINTS, Guard
from totesys_dagster.web.hosts import served_names

HERE = "127.0.0.1:3000"
JSON = {"Content-Type": "application/json"}
PAGE = {"Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
MUTATION = "mutation { stopRunningSchedule(id: 1) { __typename } }"


class Answer:
    """What a client gets: the status, the headers, and whether the application was asked."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: dict[str, str] = {}
        self.body = ""
        self.passed = False


def ask(
    path: str = "/runs",
    method: str = "GET",
    headers: dict[str, str] | list[tuple[str, str]] | None = None,
    *,
    kind: str = "http",
    host: str | None = HERE,
    server: str = "127.0.0.1",
) -> Answer:
    """What becomes of a request, before an application that answers 200 to all."""
    answer = Answer()
    path, _, query = path.partition("?")
    given = list(headers.items()) if isinstance(headers, dict) else headers or []
    given = ([("Host", host)] if host is not None else []) + given
    scope: dict[str, Any] = {
        "type": kind,
        "path": path,
        "query_string": query.encode(),
        "headers": [(name.lower().encode(), value.encode()) for name, value in given],
        "server": (server, 3000),
    }
    if kind == "http":
        scope["method"] = method

    async def application(_scope: Any, _receive: Any, reply: Any) -> None:
        answer.passed = True
        if kind == "http":
            await reply({"type": "http.response.start", "status": 200, "headers": []})
            await reply({"type": "http.response.body", "body": b"done"})

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b""}

    async def send(message: MutableMapping[str, Any]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {k.decode(): v.decode() for k, v in message["headers"]}
        elif message["type"] == "http.response.body":
            answer.body += message["body"].decode()
        else:
            assert message["type"] == "websocket.close"
            answer.status = 403

    asyncio.run(Guard(application, served_names())(scope, receive, send))
    return answer


@pytest.fixture(autouse=True)
def _no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (settings.WEB_HOSTS, settings.UI_URL):
        monkeypatch.delenv(name, raising=False)


# --- the host ---------------------------------------------------------------------------------

OWN = ["localhost", "localhost:3000", "LocalHost:8080", "localhost.", "localhost.:3000",
       "127.0.0.1", "127.0.0.1:", "127.3.2.1:3000", "[::1]", "[::1]:3000",
       "[0:0:0:0:0:0:0:1]:3000"]  # fmt: skip


@pytest.mark.parametrize("host", OWN)
def test_host_is_this_machine(host: str) -> None:
    assert ask(host=host).passed


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:3000", "evil.example.", "localhost.evil.example", "evilhost",
     "127.0.0.1.evil.example", "127.0.0.1.nip.io:3000", "0.0.0.0:3000", "10.0.0.5", "192.168.1.7",
     "[::]", "[fe80::1]:3000", "169.254.169.254", "localhost.localdomain", "app.localhost:3000"],
)  # fmt: skip
def test_another_host_is_refused(host: str) -> None:
    answer = ask(host=host)
    assert (answer.status, answer.passed) == (403, False)
    assert settings.WEB_HOSTS in answer.body


@pytest.mark.parametrize(
    "host",
    [None, "", " ", ":3000", "localhost:3000:1", "me@localhost", "localhost/", "localhost:x",
     "localhost:99999", "localhost, evil.example", "[::1", "::1", "[::1%25eth0]:3000",
     "[localhost]",
     "http://localhost", "*", "."],
)  # fmt: skip
def test_what_names_no_host_is_refused(host: str | None) -> None:
    assert ask(host=host).status in (400, 403)


def test_two_hosts_are_refused() -> None:
    assert ask(headers=[("Host", "evil.example")]).status == 400
    assert ask(headers=[("Host", HERE)]).status == 400


@pytest.mark.parametrize(
    "header", ["X-Forwarded-Host", "X-Forwarded-Server", "Forwarded", "X-Host", "X-Original-Host"]
)
def test_header_of_a_proxy_changes_nothing(header: str) -> None:
    value = "host=localhost" if header == "Forwarded" else "localhost:3000"
    assert ask(host="evil.example", headers={header: value}).status == 403
    assert ask(headers={header: "evil.example"}).passed


def test_load_balancer_may_look_after_the_server_by_its_address() -> None:
    assert ask("/server_info", host="10.0.3.7:3000", server="10.0.3.7").passed
    assert not ask("/server_info", host="10.0.3.8:3000", server="10.0.3.7").passed
    assert not ask("/graphql?query={version}", host="10.0.3.7:3000", server="10.0.3.7").passed
    assert not ask("/server_info", "POST", JSON, host="10.0.3.7", server="10.0.3.7").passed
    foreign = {"Origin": "http://evil.example"}
    assert not ask("/server_info", headers=foreign, host="10.0.3.7", server="10.0.3.7").passed


def test_setting_names_further_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.WEB_HOSTS, "dagster.example.com, [fd00::5]:3000 ,10.0.0.5")
    for host in (
        "dagster.example.com",
        "DAGSTER.example.com.:8443",
        "[fd00:0::5]:3000",
        "10.0.0.5:3",
    ):
        assert ask(host=host).passed, host
    for host in ("example.com", "a.dagster.example.com", "[fd00::5]:3001", "10.0.0.50"):
        assert not ask(host=host).passed, host
    assert ask().passed


def test_where_people_reach_the_ui_is_a_host(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.UI_URL, "https://dagster.example.com/")
    host = "dagster.example.com"
    assert ask(host=host).passed
    assert ask(host=f"{host}:443").passed
    assert ask("/graphql", "POST", {**JSON, "Origin": f"https://{host}"}, host=host).passed
    # Whoever is between a person and the network can make a page of that name without TLS.
    assert not ask("/graphql", "POST", {**JSON, "Origin": f"http://{host}"}, host=host).passed


@pytest.mark.parametrize(
    "value", ["*", "*.example.com", "https://a.example.com/path", "ftp://a", "a:b", "a b", "a@b"]
)
def test_setting_that_names_no_host_is_refused(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(settings.WEB_HOSTS, value)
    with pytest.raises(SettingError, match="which is no host: write names such as"):
        served_names()


# --- the page that asks -----------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1:3000", "localhost:3000", "[::1]:3000", "localhost"])
@pytest.mark.parametrize("kind", ["http", "websocket"])
def test_own_page_is_let_through(host: str, kind: str) -> None:
    headers = {**JSON, "Origin": f"http://{host}", "Sec-Fetch-Site": "same-origin"}
    assert ask("/graphql", "POST", headers, host=host, kind=kind).passed


FOREIGN = ["http://evil.example", "http://evil.example:3000", "http://localhost:3001", "null", "",
           "http://127.0.0.1", "http://localhost:3000", "https://127.0.0.1:3001", "file://",
           "http://127.0.0.1:3000.evil.example", "http://127.0.0.1:3000@evil.example",
           "http://127.0.0.1:3000/", "chrome-extension://127.0.0.1:3000", "127.0.0.1:3000",
           "http://127.0.0.1:3000 http://evil.example"]  # fmt: skip


@pytest.mark.parametrize("origin", FOREIGN)
@pytest.mark.parametrize(
    "path", ["/graphql", "/report_asset_materialization/a", "/", "/logs/a/out"]
)
def test_page_of_another_site_is_refused(origin: str, path: str) -> None:
    for method in ("GET", "POST", "OPTIONS", "PUT", "DELETE", "HEAD"):
        assert ask(path, method, {**JSON, "Origin": origin}).status == 403, method
    assert ask(path, headers={"Origin": origin}, kind="websocket").status == 403


def test_page_whose_name_was_led_here_is_refused() -> None:
    """DNS rebinding: for the browser, page and server are of one origin."""
    name = "rebound.example:3000"
    headers = {**JSON, "Origin": f"http://{name}", "Sec-Fetch-Site": "same-origin"}
    assert ask("/graphql", "POST", headers, host=name).status == 403
    assert ask("/graphql", headers=headers, host=name, kind="websocket").status == 403


def test_two_headers_of_one_meaning_are_refused() -> None:
    for name, values in {
        "Origin": ("http://127.0.0.1:3000", "http://evil.example"),
        "Sec-Fetch-Site": ("same-origin", "cross-site"),
        "Content-Type": ("application/json", "text/plain"),
    }.items():
        headers = [*JSON.items()] if name != "Content-Type" else []
        headers += [(name, value) for value in values]
        assert ask("/graphql", "POST", headers).status == 400, name


@pytest.mark.parametrize("site", ["cross-site", "same-site", "", "none, same-origin", "unknown"])
@pytest.mark.parametrize(
    "path",
    ["/", "/graphql?query={version}", "/logs/run/step/err", "/download_debug/1", "/js/main.js"],
)
def test_what_a_browser_fetches_for_another_site_is_refused(site: str, path: str) -> None:
    for mode, dest in [
        *(("no-cors", "script"), ("no-cors", "image"), ("cors", "empty")),
        *(("navigate", "iframe"), ("navigate", "object"), ("websocket", "empty")),
    ]:
        headers = {"Sec-Fetch-Site": site, "Sec-Fetch-Mode": mode, "Sec-Fetch-Dest": dest}
        assert ask(path, headers=headers).status == 403, (mode, dest)
    assert ask(path, "POST", {**JSON, **PAGE, "Sec-Fetch-Site": site}).status == 403


def test_link_in_a_mail_opens_a_page_of_the_ui() -> None:
    assert ask("/runs/1?tab=a", headers={**PAGE, "Sec-Fetch-Site": "cross-site"}).passed
    assert ask("/", headers={**PAGE, "Sec-Fetch-Site": "same-site"}).passed


@pytest.mark.parametrize("endpoint", ENDPOINTS)
def test_link_opens_nothing_but_pages(endpoint: str) -> None:
    for path in (endpoint, f"{endpoint}/a", f"/prefix{endpoint}/a"):
        assert ask(path, headers={**PAGE, "Sec-Fetch-Site": "cross-site"}).status == 403


def test_endpoints_are_all_that_the_application_has() -> None:
    """A new one of Dagster's has to be looked at: is it a page?"""
    server = object.__new__(DagsterWebserver)
    server._app_path_prefix = ""
    static = {route.path for route in server.build_static_routes()}
    routes = [r for r in server.build_routes() if isinstance(r, Route | Mount | WebSocketRoute)]
    others = {"/" + route.path.split("/")[1] for route in routes if route.path not in static} - {
        "/",
        "/{path:path}",
    }
    assert others == {*ENDPOINTS, "/server_info", "/dagit_info"}


def test_ui_is_shown_in_no_frame_of_others() -> None:
    headers = ask().headers
    assert headers["x-frame-options"] == "SAMEORIGIN"
    assert headers["cross-origin-resource-policy"] == "same-origin"
    assert headers["cross-origin-opener-policy"] == "same-origin"


# --- changes ----------------------------------------------------------------------------------


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "query",
    [MUTATION, f"query Q {{ version }} {MUTATION}", "subscription { a }", "\n# query\nmutation{a}",
     "fragment F on Query { version } mutation { a }", "\ufeffmutation M { a }", "type A { b: C }"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/graphql", "/graphql/", "/prefix/graphql"])
def test_nothing_is_changed_by_get(method: str, query: str, path: str) -> None:
    for more in ("", "&operationName=Q", "&query={version}"):
        answer = ask(f"{path}?query={quote(query)}{more}", method)
        assert (answer.status, answer.passed) == (405, False)
    assert not ask(f"{path}?query={{version}}&query={quote(query)}", method).passed


@pytest.mark.parametrize("query", ["{version}", "query Q { version }", "{", "[]", ""])
def test_get_asks(query: str) -> None:
    assert ask(f"/graphql?query={quote(query)}").passed


@pytest.mark.parametrize(
    "content",
    ["text/plain", "text/plain; charset=application/json", "application/x-www-form-urlencoded",
     "multipart/form-data; boundary=application/json", "text/plain;application/json", "", "json",
     "application/json, text/plain", "application/jsonp", "application/octet-stream", None],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/graphql?query={version}", "/report_asset_check/a", "/other"])
def test_what_a_browser_sends_unasked_is_no_change(content: str | None, path: str) -> None:
    headers = {} if content is None else {"Content-Type": content}
    for method in ("POST", "PUT", "DELETE", "PATCH"):
        assert ask(path, method, headers).status == 415


@pytest.mark.parametrize(
    "content", ["application/json", "Application/JSON; charset=utf-8", "application/graphql"]
)
def test_programs_send_changes_as_json(content: str) -> None:
    assert ask("/graphql", "POST", {"Content-Type": content}).passed
    assert ask("/report_asset_observation/a", "POST", {"Content-Type": content}).passed


def test_cookie_of_a_load_balancer_helps_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where a login stands before the server, a browser sends its cookie for any page."""
    monkeypatch.setenv(settings.UI_URL, "https://dagster.example.com")
    host = "dagster.example.com"
    balancer = {"Cookie": "AWSELBAuthSessionCookie-0=x", "X-Amzn-Oidc-Data": "x",
                "X-Forwarded-Proto": "https", "X-Forwarded-For": "10.1.1.1"}  # fmt: skip
    foreign = {**balancer, **JSON, "Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}
    own = {**balancer, **JSON, "Origin": f"https://{host}", "Sec-Fetch-Site": "same-origin"}
    assert ask("/graphql", "POST", own, host=host).passed
    assert ask("/graphql", headers=own, host=host, kind="websocket").passed
    assert not ask("/graphql", "POST", foreign, host=host).passed
    assert not ask("/graphql", headers=foreign, host=host, kind="websocket").passed
    assert not ask(f"/graphql?query={quote(MUTATION)}", headers=balancer, host=host).passed
