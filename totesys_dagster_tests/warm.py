"""Processes of their own that find the libraries imported, which otherwise takes each two seconds.

They are forked from a server that has imported Dagster and its like, but nothing of the platform:
its modules read the settings and catalogue of the process that imports them.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

LIBRARIES = ["boto3", "dagster", "jinja2", "pandas", "psycopg", "pyarrow.parquet", "sqlalchemy"]
COMMAND_LINE = "from totesys_dagster.entry import main; main()"
LIMIT_SECONDS = 240

_CONTEXT = multiprocessing.get_context("forkserver")
_CONTEXT.set_forkserver_preload(LIBRARIES)


def run(
    program: str,
    *arguments: str,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """What `python -c program arguments` gives, but for the time that it takes to start."""
    with tempfile.TemporaryDirectory() as said:
        out, err = Path(said, "out"), Path(said, "err")
        process = _CONTEXT.Process(
            target=_play,
            args=(program, arguments, str(cwd or Path.cwd()), {**(env or os.environ)}, out, err),
        )
        process.start()
        process.join(LIMIT_SECONDS)
        if process.is_alive():
            process.kill()
            process.join()
            raise subprocess.TimeoutExpired(program, LIMIT_SECONDS)
        code = process.exitcode
        assert code is not None
        return subprocess.CompletedProcess(
            [program, *arguments], code, out.read_text(), err.read_text()
        )


def _play(
    program: str, arguments: tuple[str, ...], cwd: str, env: dict[str, str], out: Path, err: Path
) -> None:
    """Become that process: its streams, environment, directory, and import path."""
    for number, path in ((0, Path(os.devnull)), (1, out), (2, err)):
        file = os.open(path, os.O_RDONLY if number == 0 else os.O_WRONLY | os.O_CREAT, 0o600)
        os.dup2(file, number)
        os.close(file)
    os.environ.clear()
    os.environ.update(env)
    os.chdir(cwd)
    sys.dont_write_bytecode = bool(env.get("PYTHONDONTWRITEBYTECODE"))
    sys.argv = ["-c", *arguments]
    sys.path[:0] = [*filter(None, env.get("PYTHONPATH", "").split(os.pathsep))]
    code = compile(program, "<string>", "exec", dont_inherit=True)
    exec(code, {"__name__": "__main__"})
