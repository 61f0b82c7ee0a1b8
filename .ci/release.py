"""Say what is new in a release, or why a tag is none: release.yml calls this.

    python .ci/release.py v0.1.0     prints the section of CHANGELOG.md for that version

The tag must be that of the version in pyproject.toml, the changelog must have a section for it with
a date and an entry, and the archive of its state must be there, so that later releases are tested
with it.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def notes(tag: str, root: Path = ROOT) -> str:
    """The section of the changelog. Raises SystemExit with a sentence."""
    version = tomllib.loads((root / "pyproject.toml").read_text())["project"]["version"]
    if tag != f"v{version}":
        sys.exit(f"The tag is {tag}, but pyproject.toml has version {version}: tag v{version}.")
    head, text = _section((root / "CHANGELOG.md").read_text(), version)
    if not DATE.search(head):
        sys.exit(f"CHANGELOG.md has no date for {version}: write `## [{version}] - YYYY-MM-DD`.")
    if not text:
        sys.exit(f"CHANGELOG.md says nothing about {version}.")
    archive = root / "totesys_dagster_tests" / "releases" / f"{version}.tar.xz"
    if not archive.is_file():
        sys.exit(f"There is no archive of {version}: run `make archive` and commit it.")
    return text


def _section(changelog: str, version: str) -> tuple[str, str]:
    for section in changelog.split("\n## ")[1:]:
        head, _, text = section.partition("\n")
        if head.startswith(f"[{version}]"):
            return head, text.strip()
    sys.exit(f"CHANGELOG.md has no section `## [{version}]`.")


if __name__ == "__main__":
    print(notes(*sys.argv[1:]))
