"""Which files `.env` are believed, and what they may say."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from totesys_dagster import settings
from totesys_dagster.errors import SettingError
from totesys_dagster.settings import require_known

ROOT = os.geteuid() == 0
STRANGER = 12345


def env(directory: Path, *lines: str, mode: int = 0o600) -> Path:
    path = directory / ".env"
    path.write_text("".join(f"{line}\n" for line in lines))
    path.chmod(mode)
    return path


@pytest.mark.parametrize("mode", [0o600, 0o400, 0o640, 0o644])
def test_own_file_is_believed(tmp_path: Path, mode: int) -> None:
    require_known({}, env(tmp_path, "TOTESYS_POLL_SECONDS=7", mode=mode))


@pytest.mark.parametrize("mode", [0o666, 0o646, 0o602, 0o660, 0o664, 0o620])
def test_file_that_others_may_write_is_refused(tmp_path: Path, mode: int) -> None:
    path = env(tmp_path, "TOTESYS_POLL_SECONDS=7", mode=mode)
    with pytest.raises(SettingError) as raised:
        require_known({}, path)
    assert str(raised.value) == (
        f"{path} can be written by other users, who could have this one connect anywhere:"
        " check its contents, then run `chmod go-w .env` there."
    )


@pytest.mark.skipif(not ROOT, reason="gives a file to another user")
def test_file_of_another_user_is_refused(tmp_path: Path) -> None:
    path = env(tmp_path, "TOTESYS_POLL_SECONDS=7")
    os.chown(path, STRANGER, STRANGER)
    for environ in ({}, {"SUDO_UID": "1"}, {"SUDO_UID": "x"}):
        with pytest.raises(SettingError, match=rf"belongs to another user \(number {STRANGER}\)"):
            require_known(environ, path)
    require_known({"SUDO_UID": str(STRANGER)}, path)


@pytest.mark.skipif(not ROOT, reason="gives a file to another user")
def test_link_to_the_file_of_another_user_is_refused(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    path = env(elsewhere, "TOTESYS_POLL_SECONDS=7")
    os.chown(path, STRANGER, STRANGER)
    link = tmp_path / ".env"
    link.symlink_to(path)
    with pytest.raises(SettingError, match="belongs to another user"):
        require_known({}, link)


@pytest.mark.parametrize(
    "name",
    [
        *("TOTESYS_POSTGRES_BIN", "PATH", "LD_PRELOAD", "LD_LIBRARY_PATH", "DYLD_INSERT_LIBRARIES"),
        *("PYTHONPATH", "PYTHONSTARTUP", "PYTHONHOME", "BASH_ENV", "SHELL", "GCONV_PATH"),
        *("PAGER", "PSQL_PAGER", "PSQLRC", "PSQL_EDITOR", "EDITOR", "PGSYSCONFDIR", "PGSSLKEY"),
        *("DAGSTER_HOME", "DAGSTER_WEBSERVER_PYTHON_FILE", "DAGSTER_PROJECT_ENV_FILE_PATHS"),
        *("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "OPENSSL_CONF", "TMPDIR", "path"),
        *("export LD_PRELOAD", "XDG_CONFIG_HOME", "SSLKEYLOGFILE"),
    ],
)
def test_file_names_no_code_that_is_run(tmp_path: Path, name: str) -> None:
    path = env(tmp_path, "# settings", f"{name}=/tmp/evil")
    with pytest.raises(SettingError) as raised:
        require_known({}, path)
    assert str(raised.value) == (
        f"Line 2 of {path} sets {name.removeprefix('export ')}, which decides what programs are"
        " run, and no file found in a directory may do that: take the line out, and set it in the"
        " environment."
    )


def test_file_sets_what_the_platform_connects_to(tmp_path: Path) -> None:
    names = {*settings.SETTINGS} - {settings.POSTGRES_BIN}
    others = ["AWS_PROFILE", "AWS_ACCESS_KEY_ID", "AWS_ENDPOINT_URL", "AWS_CA_BUNDLE", "PGHOST",
              "PGSSLROOTCERT", "DAGSTER_POSTGRES_HOST", "DAGSTER_CODE_PORT", "HTTPS_PROXY", "HOME",
              "DAGSTER_CELERY_BROKER", "DAGSTER_COMPUTE_BUCKET", "TZ"]  # fmt: skip
    require_known({}, env(tmp_path, *(f"{name}=1" for name in sorted([*names, *others]))))


def test_environment_may_name_programs() -> None:
    require_known({settings.POSTGRES_BIN: "/usr/lib/postgresql/17/bin", "PATH": "/bin"}, None)


def test_program_in_a_foreign_directory_is_not_run(tmp_path: Path) -> None:
    """The directory that a person happens to be in, with what somebody has put there."""
    ran = tmp_path / "ran"
    for name in ("postgres", "initdb"):
        (tmp_path / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (tmp_path / name).chmod(0o755)
    env(tmp_path, f"TOTESYS_POSTGRES_BIN={tmp_path}")
    done = subprocess.run(
        [sys.executable, "-m", "totesys_dagster.cli", "status"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("Error: Line 1 of ")
    assert not ran.exists()
