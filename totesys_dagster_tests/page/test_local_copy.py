"""The page as a file of this machine."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from totesys_dagster.errors import SettingError
from totesys_dagster.page import local_copy
from totesys_dagster_tests.conftest import Platform


def test_report_is_its_users_alone_and_takes_the_place_of_another(
    platform: Platform, tmp_path: Path
) -> None:
    """It names people, whatever the umask and the file that was there."""
    platform.first()
    page = tmp_path / "new" / "page.html"
    page.parent.mkdir()
    page.write_text("<p>old")
    page.chmod(0o644)
    with page.open() as reader:
        local_copy.write(platform.warehouse, platform.names, page)
        assert reader.read() == "<p>old"

    assert stat.S_IMODE(page.stat().st_mode) == 0o600
    assert page.read_text().startswith("<!doctype html>")
    assert list(page.parent.iterdir()) == [page]


@pytest.mark.long
def test_report_that_cannot_be_written_is_one_sentence(platform: Platform, tmp_path: Path) -> None:
    platform.first()
    (tmp_path / "file").touch()
    with pytest.raises(SettingError, match="file is a file: name a directory, or name"):
        local_copy.write(platform.warehouse, platform.names, tmp_path / "file" / "page.html")
