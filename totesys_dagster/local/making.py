"""Creates the files of the embedded server, and replaces lost passwords."""

from __future__ import annotations

import shutil
from pathlib import Path

from totesys_dagster import files
from totesys_dagster.local.programs import Account, EmbeddedServerError

INITDB_SECONDS = 120
RESET_SECONDS = 120


def initialise(binaries: Path, data: Path, account: Account, superuser: str, password: str) -> None:
    """Create an empty cluster under another name and rename it: it exists completely or not at all.

    Raises EmbeddedServerError or OSError.
    """
    new = data.with_name("data.new")
    shutil.rmtree(new, ignore_errors=True)
    password_file = data.with_name("password.new")
    password_file.unlink(missing_ok=True)
    new.mkdir(mode=0o700)
    try:
        files.write_new(password_file, password.encode(), 0o600)
        if account.name is not None:
            for path in (new, password_file):
                shutil.chown(path, account.name, account.group)
        done = account.run(
            binaries / "initdb",
            *("--pgdata", new, "--username", superuser, "--pwfile", password_file),
            *("--auth", "scram-sha-256", "--encoding", "UTF8", "--locale", "C", "--no-sync"),
            seconds=INITDB_SECONDS,
            what="initdb, which makes the embedded PostgreSQL server",
        )
    finally:
        password_file.unlink(missing_ok=True)
    if done.returncode != 0:
        reason = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
        raise EmbeddedServerError(
            f"The embedded PostgreSQL server could not be set up in {data.parent} ({reason}):"
            " check that there is enough space and that the directory is writable."
        )
    files.move_directory(new, data)


def reset_passwords(
    binaries: Path, data: Path, account: Account, passwords: dict[str, str]
) -> None:
    """Give roles new passwords without knowing the old ones, while no server is running.

    Skips roles that do not exist. Raises EmbeddedServerError.
    """
    statements = [
        f"ALTER ROLE {role} PASSWORD '{password}'" for role, password in passwords.items()
    ]
    done = account.run(
        binaries / "postgres",
        *("--single", "-D", data, "template1"),
        seconds=RESET_SECONDS,
        what="new passwords of the embedded PostgreSQL server",
        input_="\n".join([*statements, ""]),
    )
    if done.returncode != 0:
        reason = (done.stderr.strip() or "no message").splitlines()[-1]
        raise EmbeddedServerError(
            f"The passwords of the embedded PostgreSQL server in {data.parent} were lost, and new"
            f" ones could not be set ({reason}); its data is intact: fix that, then run again."
        )
