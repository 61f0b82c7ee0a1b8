"""A page of another origin, open in a real browser, against the Dagster UI."""

from __future__ import annotations

import contextlib
import http.server
import json
import re
import shutil
import subprocess
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from totesys_dagster_tests.web.conftest import Web

CHROMIUM = next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))),
    None,
)

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium"),
]

PAGE = """<!doctype html><title>another site</title><pre id="found">nothing</pre>
<iframe id="frame" src="%(ui)s/runs"></iframe><form id="form" target="sink" method="post"
 enctype="text/plain" action="%(ui)s/graphql?query=%(stop)s"></form><iframe name="sink"></iframe>
<script>
const ui = %(ui)r, stop = %(mutation)s, found = {};
const tried = (name, promise) => promise.then(v => found[name] = v, e => found[name] = "failed");
const post = (type, mode) => fetch(ui + "/graphql", {method: "POST", mode, credentials: "include",
  headers: type ? {"Content-Type": type} : {}, body: JSON.stringify({query: stop})});
const opened = new Promise((yes, no) => {
  const s = new WebSocket(ui.replace("http", "ws") + "/graphql", "graphql-ws");
  s.onopen = () => yes("opened"); s.onerror = no;});
document.getElementById("form").submit();
const get = ui + "/graphql?query=" + encodeURIComponent(stop);
new Image().src = get;
navigator.sendBeacon(get, "x");
Promise.all([
  tried("json", post("application/json", "cors")),
  tried("text", post("text/plain", "no-cors").then(r => r.type)),
  tried("get", fetch(get, {mode: "no-cors"}).then(r => r.type)),
  tried("read", fetch(ui + "/graphql?query={version}").then(r => r.text())),
  tried("socket", opened),
]).then(() => setTimeout(() => {
  document.getElementById("found").textContent = JSON.stringify(found)}, 2000));
</script>"""


@contextlib.contextmanager
def site(directory: Path) -> Iterator[str]:
    """A web site of its own: the same machine, another port."""

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(
        ("127.0.0.1", 0), partial(Quiet, directory=str(directory))
    )
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()


def dom(url: str, profile: Path) -> str:
    """The document that Chromium has made of a page after some seconds."""
    assert CHROMIUM is not None
    done = subprocess.run(
        [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", f"--user-data-dir={profile}",
         "--no-proxy-server", "--timeout=15000", "--virtual-time-budget=15000", "--dump-dom", url],
        capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    return done.stdout


def test_foreign_page_neither_stops_a_sensor_nor_reads(web: Web, tmp_path: Path) -> None:
    from urllib.parse import quote

    before = web.sensor()
    assert before["status"] == "RUNNING"
    mutation = f'mutation {{stopSensor(id: "{before["state"]}") {{__typename}}}}'
    page = PAGE % {"ui": web.url, "stop": quote(mutation), "mutation": json.dumps(mutation)}
    (tmp_path / "attack.html").write_text(page)
    with site(tmp_path) as foreign:
        document = dom(f"{foreign}/attack.html", tmp_path / "profile")
    found = re.search(r'<pre id="found">(.*?)</pre>', document)
    assert found is not None
    assert json.loads(found[1].replace("&quot;", '"')) == {
        "json": "failed", "text": "opaque", "get": "opaque", "read": "failed", "socket": "failed",
    }  # fmt: skip
    assert web.sensor() == before, "a page of another origin has stopped the sensor"


def test_ui_works_in_a_browser(web: Web, tmp_path: Path) -> None:
    document = dom(f"{web.url}/automation", tmp_path / "profile")
    assert "ticking" in document, document[-2000:]
