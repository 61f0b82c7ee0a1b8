"""Links in documents, and from code to documents, lead to files and headings that exist."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import unquote

from totesys_dagster_tests.test_words import ROOT, TESTS, texts

FENCE = re.compile(r"^ *```.*?^ *```", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^()\s]+)\)|(?:href|src)=\"([^\"]+)\"")
ELSEWHERE = re.compile(r"[a-z]+:|/")
# A document, or one of its sections, as code names it: `docs/files.md`, README.md#settings.
NAMED = re.compile(r"(?<![\w/])((?:docs/|benchmarks/)?[\w-]+\.md)\b(?!\()(?:#([\w-]+))?")


def slug(heading: str) -> str:
    """The anchor that GitHub, and the documentation site, give a heading."""
    text = re.sub(r"\[([^]]*)\]\([^)]*\)|[`*]", r"\1", heading).strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@cache
def anchors(document: Path) -> frozenset[str]:
    text = FENCE.sub("", document.read_text())
    return frozenset(slug(found) for found in re.findall(r"^#+ (.*)$", text, re.MULTILINE))


def broken(target: Path, anchor: str) -> bool:
    if not target.exists():
        return True
    return bool(anchor) and (target.suffix != ".md" or anchor not in anchors(target))


def links(text: str) -> Iterator[tuple[str, str]]:
    """The relative links of a document: path and anchor."""
    for match in LINK.finditer(FENCE.sub("", text)):
        link = match[1] or match[2]
        if not ELSEWHERE.match(link):
            path, _, anchor = unquote(link).partition("#")
            yield path, anchor


def test_links_between_documents_lead_somewhere() -> None:
    documents = [path for path in texts() if path.suffix == ".md"]
    found = [
        (str(document.relative_to(ROOT)), path, anchor)
        for document in documents
        for path, anchor in links(document.read_text())
        if broken(document.parent / path if path else document, anchor)
    ]

    assert len(documents) > 10
    assert found == []


def test_documents_that_code_names_exist() -> None:
    found = [
        (str(path.relative_to(ROOT)), name)
        for path in texts()
        if path.suffix != ".md" and not {TESTS, ROOT / "tools"} & {*path.parents}
        for name, anchor in NAMED.findall(path.read_text())
        if not (path.parent / name).exists() and broken(ROOT / name, anchor)
    ]

    assert found == []


def test_every_document_is_in_the_navigation_of_the_site() -> None:
    """As the site's strict build asks, which no landing waits for."""
    listed = re.findall(r": (\S+\.md)$", (ROOT / "mkdocs.yml").read_text(), re.MULTILINE)
    documents = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), ROOT / "benchmarks/README.md"]
    pages = [page for page in listed if not page.startswith("api/")]
    modules = [page.removeprefix("api/").removesuffix(".md") for page in {*listed} - {*pages}]

    assert sorted(pages) == sorted(path.relative_to(ROOT).as_posix() for path in documents)
    assert [name for name in modules if not find_spec(f"totesys_dagster.{name}")] == []


def test_heading_gets_the_anchor_that_github_gives_it() -> None:
    assert slug("What it costs") == "what-it-costs"
    assert slug("The lake (`lake/`)") == "the-lake-lake"
    assert slug("Why not 1.3 times as fast as dlt") == "why-not-13-times-as-fast-as-dlt"
    assert list(
        links('[a](b.md#c) `x`\n```\n[no](d.md)\n```\n[e](https://f) <img src="g.png">')
    ) == [
        ("b.md", "c"),
        ("g.png", ""),
    ]
