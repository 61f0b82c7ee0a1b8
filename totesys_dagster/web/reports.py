"""The newest published page of the reports, at `/reports/page` of the web server.

Only those who may see the UI can see it: it is behind the same guard and, if the UI has a login,
the same login. It is read from the processed zone, where nothing can be requested by name.
"""

from __future__ import annotations

from starlette.concurrency import run_in_threadpool
from starlette.responses import HTMLResponse, PlainTextResponse, Response

from totesys_dagster import settings, zone_urls
from totesys_dagster.errors import TotesysError
from totesys_dagster.lake.store import Store
from totesys_dagster.page.newest import PATH, newest_key
from totesys_dagster.web.guard import Application, Receive, Scope, Send

# The page has the UI's address, so it must not run anything there, even if somebody changed it in
# the lake: a browser treats it as having no origin. Browsers do not cache it either.
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none';"
    " form-action 'none'; frame-ancestors 'none'; sandbox",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


class Reports:
    """An ASGI application before another, under its path prefix."""

    def __init__(self, application: Application, prefix: str = "") -> None:
        self._application = application
        self._path = prefix + PATH

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not f"{scope['path']}/".startswith(f"{self._path}/"):
            await self._application(scope, receive, send)
            return
        response = await self._answer(scope["method"], scope["path"])
        response.headers.update(HEADERS)
        await response(scope, receive, send)

    async def _answer(self, method: str, path: str) -> Response:
        if path not in (self._path, f"{self._path}/"):
            return PlainTextResponse(f"There is one page, the newest: {self._path}\n", 404)
        if method not in ("GET", "HEAD"):
            return PlainTextResponse("The page is read only.\n", 405, {"Allow": "GET, HEAD"})
        # In a thread, because a slow lake must not block the UI.
        return await run_in_threadpool(newest_page)


def newest_page() -> Response:
    """The newest page, or a sentence that says why there is none."""
    setting = settings.PROCESSED_URL
    try:
        processed = Store(zone_urls.zone_url(setting), setting)
        key = newest_key(processed)
        if key is None:
            return PlainTextResponse(
                "No page has been published yet: materialize reports/page, or wait for the"
                " evening of a business day.\n",
                404,
            )
        return HTMLResponse(processed.get(key))
    except TotesysError as error:
        return PlainTextResponse(f"{error}\n", 503)
