"""What is pinned does not grow old unseen: each lock file is audited and renewed by itself."""

from __future__ import annotations

import json
import os
import re
import subprocess
from pathlib import Path

import pytest
import yaml

from totesys_dagster_tests.scripts import script

ROOT = Path(__file__).parents[2]
LOCKS = yaml.safe_load((ROOT / ".github" / "workflows" / "locks.yml").read_text())["jobs"]
PLATFORMS = {
    f"{system}_{cpu}" for system in ("linux", "darwin", "windows") for cpu in ("amd64", "arm64")
}


def locked() -> set[Path]:
    """Every lock file of Python there is."""
    found = set(ROOT.glob("*.lock")) | {*ROOT.glob(".github/*.lock")}
    assert len(found) >= 4
    return found


def test_every_lock_file_is_audited() -> None:
    assert set(script(ROOT / ".ci" / "audit.py").LOCKS) == locked()
    assert any("audit.py --strict" in step.get("run", "") for step in LOCKS["audit"]["steps"])


def test_audit_that_cannot_ask_fails_where_it_has_to(monkeypatch: pytest.MonkeyPatch) -> None:
    audit = script(ROOT / ".ci" / "audit.py")
    monkeypatch.setattr(audit, "silence", lambda: "no network")

    assert audit.main(strict=False) == 0
    assert audit.main(strict=True) == 1


def test_every_lock_file_is_renewed() -> None:
    """By the targets that the weekly workflow makes."""
    makefile = (ROOT / "Makefile").read_text()
    [made] = {
        step["run"] for step in LOCKS["propose"]["steps"] if "make lock" in step.get("run", "")
    }
    targets = [word for word in made.split() if word.startswith("lock")]
    recipes = "".join(re.findall(rf"^(?:{'|'.join(targets)}):.*\n((?:\t.*\n)+)", makefile, re.M))

    assert {ROOT / name for name in re.findall(r"-o (\S+)", recipes)} == locked()
    assert "UPGRADE=1" in made


def test_terraform_is_locked_for_the_machines_of_people() -> None:
    text = (ROOT / ".ci" / "terraform-lock").read_text()
    [platforms] = re.findall(r"^platforms=\((.+)\)$", text, re.M)

    assert set(platforms.split()) == PLATFORMS
    roots = {path.parent for path in (ROOT / "terraform").rglob(".terraform.lock.hcl")}
    roots = {path for path in roots if ".terraform" not in path.parts}
    named = [
        one for words in re.findall(r"^for root in (.+); do$", text, re.M) for one in words.split()
    ]
    assert {path for word in named for path in ROOT.glob(word)} == roots
    assert any(step.get("run") == ".ci/terraform-lock" for step in LOCKS["terraform"]["steps"])


# Proposals


def git(directory: Path, *words: str) -> str:
    """What git prints there."""
    return subprocess.run(
        ["git", *words], cwd=directory, check=True, capture_output=True, text=True
    ).stdout


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A clone with two lock files, and a program `gh` that notes what it is asked for."""
    here = tmp_path / "clone"
    (here / ".ci").mkdir(parents=True)
    (here / ".ci" / "propose").write_text((ROOT / ".ci" / "propose").read_text())
    (here / "requirements.lock").write_text("a==1\n")
    (here / "other.txt").write_text("1\n")
    git(tmp_path, "init", "--quiet", "--bare", "--initial-branch=main", "origin")
    git(here, "init", "--quiet", "--initial-branch=main")
    git(here, "add", ".")
    git(here, "-c", "user.name=a", "-c", "user.email=a@example.com", "commit", "--quiet", "-m", "1")
    git(here, "remote", "add", "origin", str(tmp_path / "origin"))
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "gh").write_text(
        "#!/bin/sh\n"
        'if [ "$2" = view ]; then echo "${STATE:-no pull request}"; exit; fi\n'
        f"printf '%s\\n' \"$@\" >> {tmp_path / 'asked'}\n"
    )
    (programs / "gh").chmod(0o700)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("HOME", str(tmp_path))
    return here


def propose(clone: Path) -> list[str]:
    """What GitHub is asked for."""
    words = ["locks", "Lock the newest", "They pass.", "*requirements*.lock"]
    subprocess.run(["bash", ".ci/propose", *words], cwd=clone, check=True, capture_output=True)
    asked = clone.parent / "asked"
    return asked.read_text().split("\n") if asked.exists() else []


def test_new_lock_files_are_proposed_and_nothing_else(clone: Path) -> None:
    for name in ("requirements.lock", "requirements-new.lock", "other.txt"):
        (clone / name).write_text("a==2\n")

    assert propose(clone)[:6] == ["pr", "create", "--head", "locks", "--title", "Lock the newest"]
    changed = git(clone.parent / "origin", "show", "--format=%s", "--name-only", "locks").split(
        "\n"
    )
    assert [line for line in changed if line] == [
        "Lock the newest",
        "requirements-new.lock",
        "requirements.lock",
    ]


def test_nothing_new_is_not_proposed(clone: Path) -> None:
    (clone / "other.txt").write_text("2\n")

    assert propose(clone) == []
    assert git(clone.parent / "origin", "branch") == ""


def test_open_proposal_is_renewed_and_not_doubled(
    clone: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (clone / "requirements.lock").write_text("a==2\n")
    propose(clone)
    (clone / "requirements.lock").write_text("a==3\n")
    before = propose(clone)
    monkeypatch.setenv("STATE", "OPEN")
    (clone / "requirements.lock").write_text("a==4\n")

    assert propose(clone) == before
    assert git(clone.parent / "origin", "show", "locks:requirements.lock") == "a==4\n"


def test_base_of_the_image_can_be_proposed() -> None:
    """Dependabot reads FROM lines, and no arguments."""
    dockerfile = (ROOT / "Dockerfile").read_text()
    bot = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())
    kinds = {one["package-ecosystem"] for one in bot["updates"]}

    bases = re.findall(r"^FROM (\S+)", dockerfile, re.M)
    assert len(bases) == 2
    assert len(set(bases)) == 1
    assert "@sha256:" in bases[0]
    assert "$" not in json.dumps(bases)
    assert {"docker", "github-actions", "terraform"} <= kinds
