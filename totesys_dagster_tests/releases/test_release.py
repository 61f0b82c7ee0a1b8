"""What a release consists of: a tag that fits, and packages that hold what they must."""

from __future__ import annotations

import shutil
import subprocess
import tarfile
import zipfile
from collections.abc import Callable
from email import message_from_string
from pathlib import Path

import pytest
import yaml

from tools.archive import ROOT
from totesys_dagster_tests.scripts import script

RELEASE = script(ROOT / ".ci" / "release.py")
UV = ROOT / ".venv" / "bin" / "uv"
PACKAGE = "totesys_dagster"


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """What the workflow looks at, of a version that can be released."""
    (tmp_path / "pyproject.toml").write_text('[project]\nversion = "1.2.3"\n')
    (tmp_path / "CHANGELOG.md").write_text(
        "# Changelog\n\n## [1.2.3] - 2027-01-31\n\n### Fixed\n\n* One thing.\n\n"
        "## [1.2.2] - 2027-01-01\n\n* Another.\n"
    )
    archive = tmp_path / "totesys_dagster_tests" / "releases" / "1.2.3.tar.xz"
    archive.parent.mkdir(parents=True)
    archive.touch()
    return tmp_path


def test_section_of_the_changelog_is_the_text_of_the_release(repository: Path) -> None:
    assert RELEASE.notes("v1.2.3", repository) == "### Fixed\n\n* One thing."


def replaced(name: str, old: str, new: str) -> Callable[[Path], object]:
    return lambda at: (at / name).write_text((at / name).read_text().replace(old, new))


@pytest.mark.parametrize(
    ("tag", "harm", "reason"),
    [
        ("v1.2.4", lambda _: None, "pyproject.toml has version 1.2.3: tag v1.2.3"),
        ("1.2.3", lambda _: None, "pyproject.toml has version 1.2.3: tag v1.2.3"),
        ("v1.2.3", replaced("CHANGELOG.md", "2027-01-31", "unreleased"), "has no date for 1.2.3"),
        ("v1.2.3", replaced("CHANGELOG.md", "[1.2.3]", "[Unreleased]"), "has no section"),
        (
            "v1.2.3",
            replaced("CHANGELOG.md", "### Fixed\n\n* One thing.\n", ""),
            "says nothing about 1.2.3",
        ),
        ("v1.2.3", lambda at: shutil.rmtree(at / "totesys_dagster_tests"), "`make archive`"),
    ],
)
def test_tag_that_is_no_release_is_refused(
    repository: Path, tag: str, harm: Callable[[Path], object], reason: str
) -> None:
    harm(repository)
    with pytest.raises(SystemExit, match=reason):
        RELEASE.notes(tag, repository)


def test_nothing_is_published_before_the_tag_and_all_checks() -> None:
    jobs = yaml.safe_load((ROOT / ".github" / "workflows" / "release.yml").read_text())["jobs"]
    needs = {name: job.get("needs") for name, job in jobs.items()}

    assert needs == {
        "version": None,
        "checks": "version",
        "build": "checks",
        "attest": "build",
        "image": ["checks", "attest"],
        "publish": ["attest", "image"],
        "pypi": "publish",
    }
    assert jobs["checks"]["uses"] == "./.github/workflows/checks.yml"
    assert jobs["pypi"]["if"] == "vars.PYPI_PUBLISH == 'true'"


def tracked(folder: str) -> set[str]:
    """The files of the repository in a folder."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", folder]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return {name for name in done.stdout.splitlines() if (ROOT / name).exists()}


@pytest.fixture(scope="module")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel and the source distribution, built as the workflow does, without a network."""
    place = tmp_path_factory.mktemp("dist")
    command = [UV, "build", "--offline", "--quiet", "--out-dir", place, ROOT]
    subprocess.run(command, check=True)
    return place


def test_wheel_holds_the_package_and_nothing_else(packages: Path) -> None:
    """SQL, templates, contracts and data included, as each is a file of the package."""
    [wheel] = packages.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if not name.endswith("/")}
        [metadata] = [name for name in names if name.endswith("/METADATA")]
        text = message_from_string(archive.read(metadata).decode())
        [entry_points] = [name for name in names if name.endswith("/entry_points.txt")]
        commands = archive.read(entry_points).decode()

    assert {name for name in names if ".dist-info/" not in name} == tracked(PACKAGE)
    assert f"{PACKAGE}/py.typed" in names
    assert f"{PACKAGE}/warehouse/sql/0001_bookkeeping.sql" in names
    assert f"{PACKAGE}/page/templates/page.html" in names
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert "totesys = totesys_dagster.entry:main" in commands
    assert (text["Name"], text["License-Expression"]) == ("totesys-dagster", "Apache-2.0")


def test_source_distribution_has_no_tests(packages: Path) -> None:
    [source] = packages.glob("*.tar.gz")
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}

    assert tracked(PACKAGE) <= names
    assert not any("tests" in Path(name).parts[:1] or "_tests/" in name for name in names)
    assert {"pyproject.toml", "README.md", "LICENSE"} <= names
