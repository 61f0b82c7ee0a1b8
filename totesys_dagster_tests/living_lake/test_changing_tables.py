"""docs/changing-tables.md, done step by step as it is written, on a lake that lives."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from totesys_dagster_tests.conftest import Platform
from totesys_dagster_tests.living_lake.project import Project, living, prove

DOCUMENT = Path(__file__).parents[2] / "docs" / "changing-tables.md"
_BLOCK = re.compile(r"```(\w+)\n(.*?)```", re.DOTALL)
_PATH = re.compile(r"`(totesys_dagster/\S+\.py)`")


def steps() -> list[tuple[str, str, str]]:
    """The blocks of the document: language, the last path named before it, and content."""
    text = DOCUMENT.read_text()
    found = []
    for block in _BLOCK.finditer(text):
        paths = _PATH.findall(text[: block.start()])
        found.append((block[1], paths[-1] if paths else "", block[2]))
    return found


def patch(project: Project, path: str, diff: str) -> None:
    """Apply a diff whose lines stand once in the file."""
    lines = [(line[:1], line[1:]) for line in diff.splitlines()]
    before = "\n".join(text for sign, text in lines if sign != "+")
    after = "\n".join(text for sign, text in lines if sign != "-")
    project.edit(path.removeprefix("totesys_dagster/catalogue/"), before, after)


def is_done(path: str, content: str) -> bool:
    """Whether the module is there already, or has a line that the diff adds."""
    module = DOCUMENT.parents[1] / path
    added = [line[1:] for line in content.splitlines() if line.startswith("+") and line != "+"]
    there = module.read_text().splitlines() if module.exists() else []
    return bool({*added} & {*there} if added else there)


@pytest.fixture
def project(tmp_path: Path, platform: Platform) -> Project:
    """Skips the test where somebody has followed the document: nothing can be added twice."""
    for language, path, content in steps():
        if language in ("diff", "python") and is_done(path, content):
            pytest.skip(f"{path} is as the document makes it")
    return living(tmp_path, platform)


def test_tables_are_changed_as_the_document_says(project: Project) -> None:
    done = []
    for language, path, content in steps():
        if language == "diff":
            patch(project, path, content)
        elif language == "python":
            project.declare(path.removeprefix("totesys_dagster/catalogue/"), content)
        elif language == "sql":
            project.source(content)
        done.append(language)
    [printed] = project.commands(["migrate", "--print"])

    prove(project)

    assert done == ["sh", "diff", "diff", "diff", "sql", "python", "python"]
    assert "ADD COLUMN manager character varying" in printed.out
    assert "CREATE TABLE warehouse.dim_site" in printed.out
    assert project.rows("SELECT staff_id, manager FROM current_dim_staff ORDER BY 1") == [
        (1, "Shelley Levene"),
        (2, None),
    ]
    assert project.rows("SELECT path FROM current_dim_design ORDER BY design_id") == [
        "/usr/local/wooden-20220717-npgz.json",
        "/private/bronze-20221024-4dds.json",
    ]
    assert project.rows("SELECT site_id, site_name FROM current_dim_site") == [(1, "Hull")]
    assert project.rows(
        "SELECT design_name, sum(orders) FROM reports.revenue_by_design GROUP BY 1"
    ) == [("Bronze", 2)]
