"""The command line, `totesys`: `totesys --help` lists its commands.

Run it in the project's directory, where dagster.yaml is, or set DAGSTER_HOME. The embedded default
replaces every system that is not configured.
"""

from __future__ import annotations

import errno
import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import click
from dotenv import dotenv_values, load_dotenv

from totesys_dagster import files, private, settings
from totesys_dagster.errors import DeclarationError, SettingError, TotesysError
from totesys_dagster.interrupted import broken_off

AS_JSON = "--json"


def error_document(sentence: str) -> str:
    """The JSON document of an error, for standard output."""
    return json.dumps({"error": sentence}, indent=1)


# Importing the tables declares them, including those of contracts, which .env can name.
with suppress(OSError, UnicodeError):
    if _contracts := dotenv_values(Path(".env")).get(settings.CONTRACTS):
        os.environ.setdefault(settings.CONTRACTS, _contracts)

try:
    from totesys_dagster.commands import erase, look, mend, move, page, read, serve, try_out
except (DeclarationError, SettingError) as error:
    if AS_JSON in sys.argv:
        click.echo(error_document(str(error)))
    sys.exit(f"Error: {error}")

SECTIONS = {
    "Try it with an invented company": (try_out.demo, try_out.simulate, try_out.clean),
    "Take what changed": (move.run, move.audit),
    "Inspect lake and warehouse": (look.status, look.quarantine, look.verify),
    "Create or rebuild the warehouse": (mend.migrate, mend.rebuild),
    "Erase PII on request": (erase.erase,),
    "Read the warehouse": (page.report, read.psql, read.connect),
    "Serve the Dagster UI": (serve.dev, serve.web),
}


class _Sentence(click.ClickException):
    """An error of the platform: its sentence, wrapped between words on a terminal."""

    def show(self, file: IO[Any] | None = None) -> None:
        from totesys_dagster.commands.terminal import wrapped

        click.echo(wrapped(f"Error: {self.message}", sys.stderr), file=file, err=True)


class _ErrorAsJson(click.ClickException):
    """An error of a command with `--json`: standard output has it as a document, too."""

    def __init__(self, error: click.ClickException) -> None:
        super().__init__(error.format_message())
        self.exit_code = error.exit_code  # type: ignore[misc]  # of this error alone
        self._error = error

    def show(self, file: IO[Any] | None = None) -> None:
        click.echo(error_document(self.message))
        self._error.show(file)


@contextmanager
def _errors_as_json(ctx: click.Context) -> Iterator[None]:
    try:
        yield
    except click.ClickException as error:
        raise (_ErrorAsJson(error) if ctx.meta[AS_JSON] else error) from None


class _Cli(click.Group):
    """Ends a command with the one sentence of an error that a person can act on."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Note whether JSON is asked for: an error is a document even if the options are wrong."""
        ctx.meta[AS_JSON] = AS_JSON in args
        with _errors_as_json(ctx):
            return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        with _errors_as_json(ctx):
            return self._invoke(ctx)

    def _invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except TotesysError as error:
            raise _Sentence(str(error)) from None
        except OSError as error:
            if error.errno == errno.EPIPE:  # the reader of the report has closed the pipe
                raise
            reason, remedy = files.why(error)
            place = error.filename or "A file"
            raise _Sentence(f"{place} {reason}: {remedy}, then run again.") from None
        except Exception as error:
            if (sentence := broken_off(error)) is None:
                raise
            raise _Sentence(sentence) from None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands by purpose."""
        width = max(len(name) for name in self.list_commands(ctx))
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(f"{one.name:<{width}}", one.get_short_help_str(200)) for one in commands]
                )


@click.group(cls=_Cli, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="totesys-dagster")
def main() -> None:
    """Change capture from ToteSys into an immutable lake and a star-schema warehouse."""
    private.write_privately()
    settings.require_known(os.environ, Path(".env"))
    load_dotenv(Path(".env"))


for _commands in SECTIONS.values():
    for _command in _commands:
        main.add_command(_command)


if __name__ == "__main__":
    from totesys_dagster import entry

    entry.main()
