"""The page in a real Chromium that may reach nothing.

CHROMIUM names the program where it is not /usr/bin/chromium; without one the tests skip and say so.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from decimal import Decimal
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from totesys_dagster import settings
from totesys_dagster.lake.store import Store
from totesys_dagster.page.answers import Aged
from totesys_dagster.page.newest import key_of
from totesys_dagster.page.render import page
from totesys_dagster.web.reports import HEADERS, newest_page
from totesys_dagster_tests.page.samples import NOON, answers, months

sync_api = pytest.importorskip(
    "playwright.sync_api", reason="Playwright is not installed: the page is not opened in a browser"
)
CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        not CHROMIUM.exists(),
        reason=f"there is no {CHROMIUM}: the page is not opened in a browser (set CHROMIUM)",
    ),
]

LONG = "Heard Island and McDonald Islands of the Democratic and Federal Republic"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page with names that are long, as a file."""
    whole = answers()
    countries = [*whole.countries, replace(whole.countries[0], country=LONG)]
    staff = [*whole.staff, replace(whole.staff[0], staff_name="Rigoberto VonRueden-" + "x" * 40)]
    path = tmp_path_factory.mktemp("page") / "page.html"
    path.write_text(page(replace(whole, countries=countries, staff=staff), staff_names=True))
    return path


class Window:
    """The page in a window, and what happened on the way."""

    def __init__(self, chromium: Any, file: Path, width: int, scheme: str = "light") -> None:
        self.context = chromium.new_context(
            viewport={"width": width, "height": 800},
            color_scheme=scheme,
            offline=True,
            bypass_csp=False,
        )
        self.page = self.context.new_page()
        self.requests: list[str] = []
        self.said: list[str] = []
        self.page.on("request", lambda request: self.requests.append(request.url))
        self.blocked: list[str] = []
        self.page.on("requestfailed", lambda request: self.blocked.append(request.failure))
        self.page.on("console", lambda message: self.said.append(message.text))
        self.page.goto(file.as_uri())

    def __enter__(self) -> Window:
        return self

    def __exit__(self, *_: object) -> None:
        self.context.close()

    def ask(self, script: str) -> Any:
        return self.page.evaluate(script)


def test_page_makes_no_request_and_no_noise(chromium: Any, file: Path) -> None:
    with Window(chromium, file, 1280) as window:
        assert window.requests == [file.as_uri()]
        assert window.said == []
        assert window.ask("document.scripts.length") == 0


def test_page_refuses_scripts_and_requests(chromium: Any, file: Path, tmp_path: Path) -> None:
    """Were there a hole in what makes it, this would be the second wall."""
    hole = "<script>document.title = 'taken'</script><img src='file:///x.png' onerror='alert(1)'>"
    changed = tmp_path / "changed.html"
    changed.write_text(file.read_text().replace("<main>", f"<main>{hole}"))
    with Window(chromium, changed, 1280) as window:
        assert window.ask("document.title") == "Terrific Totes, 15 Nov 2024, batch 7"
        assert window.blocked == ["csp"]
        assert sum("Content Security Policy" in text for text in window.said) == 3


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_page_fits_its_window(chromium: Any, file: Path, width: int) -> None:
    with Window(chromium, file, width) as window:
        window.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert window.ask("document.documentElement.scrollWidth") <= width
        shown = [
            window.page.locator(name).evaluate("one => getComputedStyle(one).display")
            for name in (".wide", ".narrow")
        ]
        assert shown == (["none", "block"] if width < 641 else ["block", "none"])


def test_many_currencies_scroll_in_their_table_alone(chromium: Any, tmp_path: Path) -> None:
    path = tmp_path / "page.html"
    codes = [f"X{letter}{letter}" for letter in "ABCDEFGH"]
    ages = [Aged("receivable", code, "31-60", 1, Decimal("235582433.84")) for code in codes]
    path.write_text(page(answers(months=months(3, codes), ageing=ages), staff_names=False))
    with Window(chromium, path, 390) as window:
        window.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
        assert window.ask("document.documentElement.scrollWidth") <= 390
        table = "[aria-label='Revenue by month and currency']"
        assert window.page.locator(table).evaluate("one => one.scrollWidth") > 390
    lines = """one => {
        const text = document.createRange();
        text.selectNodeContents(one);
        return text.getClientRects().length;
    }"""
    with Window(chromium, path, 1200) as window:
        bucket = window.page.locator(".ages tbody th", has_text="31-60").first
        assert bucket.evaluate(lines) == 1


def test_page_follows_light_and_dark(chromium: Any, file: Path) -> None:
    script = """[
        getComputedStyle(document.body).backgroundColor,
        getComputedStyle(document.querySelector('.wide .mark-rect path')).fill
    ]"""
    found = []
    for scheme in ("light", "dark"):
        with Window(chromium, file, 1280, scheme) as window:
            found.append(window.ask(script))

    assert found == [
        ["rgb(255, 255, 255)", "rgb(43, 102, 168)"],
        ["rgb(18, 22, 29)", "rgb(110, 168, 230)"],
    ]


def test_page_reads_the_same_where_the_web_server_sends_it(
    chromium: Any, file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its policy forbids all but what the page needs: style, and links within it."""
    monkeypatch.setenv(settings.INGESTION_URL, str(tmp_path / "ingestion"))
    monkeypatch.setenv(settings.PROCESSED_URL, str(tmp_path / "processed"))
    lake = Store((tmp_path / "processed").as_uri(), settings.PROCESSED_URL)
    lake.put(key_of(NOON.date(), 7), file.read_bytes())
    sent = newest_page()
    url = "http://ui.example/reports/page"
    with Window(chromium, file, 390) as window:
        window.context.set_offline(False)
        window.context.route(
            "**",
            lambda route: route.fulfill(
                body=bytes(sent.body), headers={**HEADERS, "content-type": "text/html"}
            ),
        )
        window.page.goto(url)
        window.page.click("a[href='#revenue_by_month'] >> nth=0")
        assert window.page.url == f"{url}#revenue_by_month"
        assert window.requests == [file.as_uri(), url]
        assert window.said == []
        assert window.ask("document.documentElement.scrollWidth") <= 390
        assert window.ask("getComputedStyle(document.querySelector('.wide')).display") == "none"


def test_page_is_printed_in_light_and_with_its_tables(chromium: Any, file: Path) -> None:
    with Window(chromium, file, 1280, "dark") as window:
        window.page.emulate_media(media="print")
        assert window.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
        heights = "[...document.querySelectorAll('.months')].map(one => one.offsetHeight > 50)"
        assert window.ask(heights) == [True, True, True]
        assert window.page.pdf(format="A4").startswith(b"%PDF")


@pytest.mark.parametrize(("width", "scheme"), [(1280, "light"), (1280, "dark"), (390, "light")])
def test_page_is_accessible(chromium: Any, file: Path, width: int, scheme: str) -> None:
    pytest.importorskip(
        "axe_playwright_python", reason="axe-core is not installed: accessibility is not checked"
    )
    axe = (resources.files("axe_playwright_python") / "axe.min.js").read_text()
    with Window(chromium, file, width, scheme) as window:
        window.ask("document.querySelectorAll('details').forEach(one => one.open = true)")
        window.ask(axe)
        found = window.ask("axe.run()")

    assert [f"{one['id']}: {one['nodes'][0]['html']}" for one in found["violations"]] == []
    assert len(found["passes"]) > 15


def test_text_of_the_picture_is_not_cut(chromium: Any, file: Path) -> None:
    """The renderer measures text with the font that the page has."""
    script = """selector => [...document.querySelectorAll(selector + ' text')].filter(one => {
        const text = one.getBoundingClientRect();
        const all = one.closest('svg').getBoundingClientRect();
        return text.left < all.left - 1 || text.right > all.right + 1;
    }).length"""
    for width, place in ((1280, ".wide"), (390, ".narrow"), (1280, ".map")):
        with Window(chromium, file, width) as window:
            assert window.page.evaluate(script, place) == 0
