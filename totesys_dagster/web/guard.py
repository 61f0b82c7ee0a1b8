"""The guard in front of Dagster's web application: it accepts only requests of the UI's own pages.

Dagster's server has no login, and executes what any page in a browser sends: a mutation in the
query of a GET, or in a POST that a browser sends without a preflight request. Even behind a login,
the browser adds its cookie to such requests. So each request must name a host that is served here,
must not come from another page, and must not change anything by GET. Programs that name no page,
such as curl, are accepted: no stranger controls them.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any

from graphql import (
    FragmentDefinitionNode,
    GraphQLError,
    OperationDefinitionNode,
    OperationType,
    parse,
)
from starlette.datastructures import QueryParams
from starlette.responses import PlainTextResponse

from totesys_dagster import settings
from totesys_dagster.web.hosts import Name, Place, is_same_origin, is_served, parse_place

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

# Reveals versions, and nothing else.
HEALTH = "/server_info"
# Paths that are not pages of the UI: a test compares them with the routes of Dagster's application.
ENDPOINTS = (
    "/graphql",
    "/logs",
    "/notebook",
    "/dagit",
    "/download_debug",
    "/report_asset_materialization",
    "/report_asset_check",
    "/report_asset_observation",
)
# Before another page may send these, a browser asks the server, and Dagster's says no.
ASKED_FIRST = ("application/json", "application/graphql")

# No other site's page may show the UI in a frame, for people to click in, or use its answers.
HEADERS = {
    b"x-frame-options": b"SAMEORIGIN",
    b"cross-origin-resource-policy": b"same-origin",
    b"cross-origin-opener-policy": b"same-origin",
}


class RefusedError(Exception):
    """A refused request: an HTTP status and one sentence."""

    def __init__(self, status: int, sentence: str) -> None:
        super().__init__(sentence)
        self.status = status


class Guard:
    """An ASGI application in front of another."""

    def __init__(self, application: Application, names: tuple[Name, ...]) -> None:
        self._application = application
        self._names = names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._application(scope, receive, send)
            return
        try:
            judge(scope, self._names)
        except RefusedError as refused:
            await _answer(refused, scope, receive, send)
            return

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                given = list(message.get("headers", ()))
                present = {name.lower() for name, _ in given}
                given += [(name, value) for name, value in HEADERS.items() if name not in present]
                message["headers"] = given
            await send(message)

        await self._application(scope, receive, with_headers)


async def _answer(refused: RefusedError, scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await send({"type": "websocket.close", "code": 1008})  # not accepted yet: 403
        return
    response = PlainTextResponse(
        f"{refused}\n", refused.status, headers={"X-Content-Type-Options": "nosniff"}
    )
    await response(scope, receive, send)


def judge(scope: Scope, names: tuple[Name, ...]) -> None:
    """Raise RefusedError unless a request comes from the UI's own pages, or from no page."""
    method = scope.get("method", "GET")
    host = _host(scope, method, names)
    origin = _header(scope, b"origin")
    if origin is not None and not is_same_origin(origin, host, names):
        raise RefusedError(403, "This request comes from a page of another site, and is refused.")
    _require_own_page(scope, method)
    if scope["type"] == "websocket":
        return
    if method in ("GET", "HEAD"):
        _require_queries(scope)
    elif method != "OPTIONS":
        _require_asked_first(scope)


def _header(scope: Scope, name: bytes) -> str | None:
    """The only header of this name. A header that occurs twice can be read in two ways."""
    found = [value for key, value in scope["headers"] if key.lower() == name]
    if len(found) > 1:
        raise RefusedError(
            400, f"This request has several headers {name.decode()}, and is refused."
        )
    return found[0].decode("latin-1").strip() if found else None


def _host(scope: Scope, method: str, names: tuple[Name, ...]) -> Place:
    """The host that a request names. Anybody can write X-Forwarded-Host, so it is ignored."""
    text = _header(scope, b"host")
    host = parse_place(text or "")
    if host is None:
        raise RefusedError(400, "This request names no host, and is refused.")
    if is_served(host, names) or _is_health_check(scope, method, host):
        return host
    raise RefusedError(
        403,
        f"The Dagster UI is not served as {host.host}: add that name to {settings.WEB_HOSTS} if it"
        " leads here.",
    )


def _is_health_check(scope: Scope, method: str, host: Place) -> bool:
    """Whether this is a load balancer's health check, which addresses the server by IP."""
    here = scope.get("server")
    return (
        scope["type"] == "http"
        and method in ("GET", "HEAD")
        and scope["path"] == HEALTH
        and here is not None
        and host.host == str(here[0]).lower()
    )


def _require_own_page(scope: Scope, method: str) -> None:
    """Check what the browser says about the requesting page. A link to the UI may be anywhere, for
    instance in an alert, and opens a window of its own."""
    if _header(scope, b"sec-fetch-site") in (None, "same-origin", "none"):
        return
    opens_a_page = (
        scope["type"] == "http"
        and method in ("GET", "HEAD")
        and _header(scope, b"sec-fetch-mode") == "navigate"
        and _header(scope, b"sec-fetch-dest") == "document"
        and not any(f"{endpoint}/" in f"{scope['path']}/" for endpoint in ENDPOINTS)
    )
    if not opens_a_page:
        raise RefusedError(403, "This request comes from a page of another site, and is refused.")


def _require_queries(scope: Scope) -> None:
    """Refuse a GET that changes something: browsers send GETs from any page."""
    if not scope["path"].rstrip("/").endswith("/graphql"):
        return
    for text in QueryParams(scope["query_string"]).getlist("query"):
        if not _only_asks(text):
            raise RefusedError(
                405, "GraphQL over GET may only query, not change anything: send this by POST."
            )


def _only_asks(text: str) -> bool:
    """Whether a GraphQL document has only queries. Dagster refuses one with an error."""
    try:
        definitions = parse(text, no_location=True).definitions
    except GraphQLError:
        return True
    return all(
        isinstance(one, FragmentDefinitionNode)
        or (isinstance(one, OperationDefinitionNode) and one.operation is OperationType.QUERY)
        for one in definitions
    )


def _require_asked_first(scope: Scope) -> None:
    """Refuse the three content types that browsers send without asking, and that Dagster
    accepts."""
    content = (_header(scope, b"content-type") or "").partition(";")[0].strip().lower()
    if content not in ASKED_FIRST:
        raise RefusedError(415, "Changes are sent as application/json: set Content-Type to that.")
