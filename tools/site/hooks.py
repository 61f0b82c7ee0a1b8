"""The pages of the documentation site: the repository's documents where they are, so that their
links hold on GitHub and here, and a page for each public module that `mkdocs.yml` lists."""

from __future__ import annotations

import re
from importlib import resources
from pathlib import Path
from urllib.parse import unquote

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

ROOT = Path(__file__).parents[2]
MERMAID = "mermaid.js"
_LINK = re.compile(r"\]\(([^()\s:#]+)")
_API = re.compile(r"api/(.+)\.md$")
_TITLE = re.compile(r"^# ", re.MULTILINE)


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents with what they link to and show, the API pages, and Mermaid."""
    documents = [
        *ROOT.glob("*.md"),
        *ROOT.glob("docs/**/*.md"),
        ROOT / "benchmarks" / "README.md",
    ]
    linked = {path for document in documents for path in _linked(document)}
    for path in sorted({*documents, *linked, *ROOT.glob("docs/images/*")}):
        uri = path.relative_to(ROOT).as_posix()
        files.append(File.generated(config, uri, abs_src_path=str(path)))
    for name in _modules(config.nav):
        content = f"# {name}\n\n::: totesys_dagster.{name}\n"
        files.append(File.generated(config, f"api/{name}.md", content=content))
    mermaid = resources.files("mermaidx") / "assets" / MERMAID
    files.append(File.generated(config, MERMAID, content=mermaid.read_bytes()))
    return files


def on_post_page(output: str, page: Page, config: MkDocsConfig) -> str:
    """Give a page with a diagram Mermaid itself. Otherwise the theme would fetch it from a CDN."""
    if '<pre class="mermaid">' not in output:
        return output
    script = File.generated(config, MERMAID, content="").url_relative_to(page.file)
    return output.replace("</head>", f'<script src="{script}"></script></head>', 1)


def _linked(document: Path) -> set[Path]:
    """The files of the repository, other than documents, that a document links to."""
    links = (unquote(link) for link in _LINK.findall(document.read_text()))
    paths = {(document.parent / link).resolve() for link in links}
    return {path for path in paths if path.is_file() and path.suffix != ".md"}


def _modules(nav: object) -> list[str]:
    """The modules whose pages the navigation lists."""
    if isinstance(nav, str):
        return _API.findall(nav)
    if isinstance(nav, dict):
        nav = list(nav.values())
    return [name for child in nav for name in _modules(child)] if isinstance(nav, list) else []
