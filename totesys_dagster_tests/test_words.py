"""One word per idea: words that the glossary of ARCHITECTURE.md has replaced stay away."""

import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

TESTS = Path(__file__).parent
ROOT = TESTS.parent

# Each word that is gone, with the one that stands for it now. Underscores count as spaces.
RETIRED = {
    r"seal(s|ed|ing)?": "commit marker",
    r"pulse": "change token",
    r"known rows?": "test vector",
    r"(kept|keeps?|keeping) out": "quarantine",
    r"dead letters?": "quarantine",
    r"reject(s|ed|ion)?": "quarantine",
    r"(set|sets|setting) aside": "quarantine",
    r"outstanding": "in quarantine",
    r"(held|holds?|holding) back": "orphan",
    r"ingest(s|ed)?": "capture",
    r"batch (number|no)": "sequence",
    r"personal": "PII",
    r"told": "notified (of an incident), distinguished (told apart)",
    r"is over": "is resolved",
    r"poll memory|memory of (the|a) poll": "cursor",
}
# Other programs' words: a message of PostgreSQL's, a quota, what is not ours to rename.
OTHERS = re.compile(r"pg_hba\.conf rejects|is over its quota")

TEXTS = {".py", ".sql", ".md", ".toml", ".yaml", ".yml", ".tf", ".hcl", ".json", ".cfg"}
FOLDERS = (
    "totesys_dagster",
    "totesys_simulator",
    "docs",
    "deploy",
    "terraform",
    "benchmarks",
    "tools",
    ".github",
    ".ci",
    "totesys_dagster_tests",
)
# In the names and sentences of tests, these say what they always said.
PROSE = ("told", "is over")


def texts() -> Iterator[Path]:
    """The files that people read: code, SQL, documents and what is deployed."""
    yield from ROOT.glob("*.md")
    yield from ROOT.glob("*.yaml")
    yield from (ROOT / name for name in ("Makefile", "Dockerfile", ".env.example", ".ci/run"))
    for folder in FOLDERS:
        yield from (
            path
            for path in sorted((ROOT / folder).rglob("*"))
            if path.suffix in TEXTS
            and path != Path(__file__)
            and not {".terraform", "__pycache__"} & {*path.parts}
        )


@functools.cache
def read() -> list[tuple[Path, str]]:
    """The same, read once for all words."""
    return [(path, path.read_text()) for path in texts()]


def pattern(word: str) -> re.Pattern[str]:
    return re.compile(rf"(?<![a-z])({word})(?![a-z])", re.IGNORECASE)


def retired(text: str, word: str) -> list[str]:
    """The lines of a text that have a word."""
    if not re.search(word.replace(" ", "[_ ]"), text, re.IGNORECASE):
        return []
    lines = (OTHERS.sub("", line) for line in text.splitlines())
    return [line for line in lines if pattern(word).search(line.replace("_", " "))]


@pytest.mark.parametrize("word", RETIRED)
def test_word_that_was_replaced_does_not_come_back(word: str) -> None:
    found = {
        f"{path.relative_to(ROOT)}: {line.strip()}"
        for path, text in read()
        if word not in PROSE or TESTS not in path.parents
        for line in retired(text, word)
    }
    assert found == set(), f"write {RETIRED[word]} instead"


def test_word_is_found_in_a_name_and_in_a_sentence() -> None:
    text = "kept_out = 1\nRows that are kept out.\nThe doorkeeper outlives it.\n"
    assert retired(text, r"(kept|keeps?|keeping) out") == [
        "kept_out = 1",
        "Rows that are kept out.",
    ]
