"""What runs only each night is listed for people."""

from __future__ import annotations

from pathlib import Path

TESTS = Path(__file__).parent
LISTED = (TESTS.parent / "CONTRIBUTING.md").read_text()


def test_every_file_with_long_tests_is_in_the_list() -> None:
    marked = ("mark.long", "by_night(", "any_binaries()", "CASES)")
    files = [
        path.name
        for path in TESTS.rglob("test_*.py")
        if path != Path(__file__) and any(word in path.read_text() for word in marked)
    ]

    assert len(files) > 20
    assert [name for name in files if name not in LISTED] == []
