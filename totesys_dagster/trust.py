"""Whether a `.env` file can be trusted.

It is read from the directory in which a program is started, which may contain a stranger's files.
So the file must belong to the user, must not be writable by others, and must not decide which
programs or code to run.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

from totesys_dagster.errors import SettingError

# Names that decide which programs, libraries or code a process runs, or where it finds files that
# do: AWS profiles and psql's start files name commands, a dagster.yaml names modules.
_RUNS_CODE = re.compile(
    r"TOTESYS_POSTGRES_BIN|DAGSTER_HOME|DAGSTER_PROJECT_ENV_FILE_PATHS|DAGIT_\w+"
    r"|DAGSTER_(CLI|DAEMON|GRAPHQL|GRPC|WEBSERVER)_\w+|DG_\w+"
    r"|PATH|LD_\w+|DYLD_\w+|PYTHON\w*|VIRTUAL_ENV|CONDA_\w+|UV_\w+|PIP_\w+"
    r"|GCONV_PATH|LOCPATH|NLSPATH|GLIBC_TUNABLES|MALLOC_\w+|OPENSSL_\w+|SSLKEYLOGFILE"
    r"|IFS|ENV|BASH_ENV|SHELL|SHELLOPTS|PS4|TMPDIR|TEMP|TMP|XDG_\w+"
    r"|PAGER|EDITOR|VISUAL|BROWSER|LESS\w*|PSQL\w*|PGSYSCONFDIR|PGSERVICEFILE|PGSSLKEY"
    r"|AWS_CONFIG_FILE|AWS_SHARED_CREDENTIALS_FILE|AWS_DATA_PATH|BOTO_CONFIG"
    r"|GIT_\w+|PERL\w+|RUBY\w+|NODE_\w+|JAVA_\w+|JDK_\w+",
    re.IGNORECASE,
)


def require_own(path: Path, found: os.stat_result, environ: Mapping[str, str]) -> None:
    """Refuse a file that another user owns or may write. Raises SettingError."""
    user = os.geteuid()
    owners = {user, 0}
    if user == 0 and environ.get("SUDO_UID", "").isdigit():
        owners.add(int(environ["SUDO_UID"]))
    if found.st_uid not in owners:
        raise SettingError(
            f"{path.absolute()} belongs to another user (number {found.st_uid}), who could have"
            " this one connect anywhere: start in a directory of your own, or make the file yours."
        )
    if stat.S_IMODE(found.st_mode) & 0o022:
        raise SettingError(
            f"{path.absolute()} can be written by other users, who could have this one connect"
            f" anywhere: check its contents, then run `chmod go-w {path.name}` there."
        )


def require_no_code(where: str, name: str) -> None:
    """Refuse lines of the file that decide what is run. Raises SettingError."""
    if _RUNS_CODE.fullmatch(name.strip().removeprefix("export ").strip()):
        raise SettingError(
            f"{where} sets {name}, which decides what programs are run, and no file found in a"
            " directory may do that: take the line out, and set it in the environment."
        )
