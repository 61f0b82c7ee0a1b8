"""Names that look like settings but are not.

A misspelt setting would be ignored silently: if it names the source, an invented company would be
loaded instead and found equal. So a name that is close to a setting is refused before anything is
done, and so are lines of a `.env` file that would not be read as intended.
"""

from __future__ import annotations

import io
import logging
import os
import re
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from totesys_dagster import trust
from totesys_dagster.errors import SettingError

# This module says what is wrong with the file, in one sentence.
logging.getLogger("dotenv").setLevel(logging.ERROR)

PREFIX = "TOTESYS_"
# A name within this many edits of a setting is meant as that setting.
EDITS = 2

# Variables that Kubernetes sets for each service, possibly for one called `totesys`.
_OF_KUBERNETES = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)=.*"
    r"|\w+_PORT=(tcp|udp|sctp)://.*"
)
# Docker and others read a value of .env including its quotes, or the comment after it.
_QUOTES = tuple("\"'`“”‘’")
_COMPOSE = ("compose.yaml", "compose.yml", "docker-compose.yaml", "docker-compose.yml")
_COMMENT = re.compile(r"\s#(\s|$)")


def require_environment(
    environ: Mapping[str, str], settings: Collection[str], *, never_empty: Collection[str]
) -> None:
    """Refuse names within two edits of a setting, and values with quotes or comments of a file.

    An empty value counts as not set, except for the settings in `never_empty`. Raises SettingError.
    """
    for name, value in environ.items():
        if name in settings:
            _require_value("The environment", name, value)
            if name in never_empty and not value.strip():
                raise SettingError(
                    f"{name} is set, but empty: give it a value, or unset it for the embedded"
                    " default."
                )
        elif nearest := _meant(name, value, settings):
            raise _no_setting("The environment", name, nearest)


def require_file(path: Path, settings: Collection[str], environ: Mapping[str, str]) -> None:
    """Refuse a file `.env` that would not be read as intended.

    If it is missing, refuse a file elsewhere that was probably intended. Raises SettingError.
    """
    seen: dict[str, int] = {}
    for number, name, value, written in _lines(path, settings, environ):
        where = f"Line {number} of {path.absolute()}"
        trust.require_no_code(where, name)
        if name not in settings:
            if nearest := _meant_in_file(name, value, settings):
                raise _no_setting(where, name, nearest)
            continue
        if name in seen:
            raise SettingError(
                f"{where} sets {name} once more, after line {seen[name]}: take one of the two out."
            )
        seen[name] = number
        if not value.strip():
            raise SettingError(
                f"{where} gives {name} no value: write one, or take the line out for the default."
            )
        if written != value and not written.startswith(("'", '"')):
            raise SettingError(
                f"{where} has a comment after the value of {name}, which other programs would take"
                " for a part of it: give the comment a line of its own, or put the value in quotes."
            )
        _require_value(where, name, value)


def _require_value(where: str, name: str, value: str) -> None:
    value = value.strip()
    if value.startswith(_QUOTES):
        found = "begins with a quote"
    elif value.startswith(("export ", f"{name}=")):
        found = "begins with a name"
    elif _COMMENT.search(value):
        found = "ends with a comment"
    else:
        return
    raise SettingError(
        f"{where} gives {name} a value that {found}, which would be taken for a part of it: take"
        " that out."
    )


def _no_setting(where: str, name: str, nearest: str) -> SettingError:
    """The message. Text that does not look like a name may be a value, and is not shown."""
    shown = name if re.fullmatch(r"\w{1,60}", name) else "something"
    return SettingError(
        f"{where} sets {shown}, which is not a setting and would be ignored: the nearest is"
        f" {nearest}; correct the name, or take it out."
    )


def _lines(
    path: Path, settings: Collection[str], environ: Mapping[str, str]
) -> Iterator[tuple[int, str, str, str]]:
    """Number, name, value and raw value of each line of the file that sets something."""
    text = _text(path, environ)
    if text is None:
        _require_no_other(path, settings, environ)
        return

    from dotenv.parser import parse_stream  # imported late: production has no such file

    for line in parse_stream(io.StringIO(text)):
        written = line.original.string
        number = line.original.line + written[: -len(written.lstrip())].count("\n")
        if line.error:
            raise SettingError(
                f"Line {number} of {path.absolute()} cannot be read: write NAME=value, with the"
                " same quote at both ends of the value or with none."
            )
        if line.key is not None:
            yield number, line.key, line.value or "", written.partition("=")[2].strip()


def _text(path: Path, environ: Mapping[str, str]) -> str | None:
    """The content of the file, or None if it does not exist. Raises SettingError."""
    try:
        with path.open(encoding="utf-8") as file:
            trust.require_own(path, os.fstat(file.fileno()), environ)
            text = file.read()
    except FileNotFoundError:
        if not path.is_symlink():
            return None
        problem = "is a link to a file that does not exist"
    except UnicodeDecodeError:
        problem = "is not encoded in UTF-8"
    except OSError as error:
        problem = f"cannot be read ({error.strerror})"
    else:
        if "\0" not in text:
            return text
        problem = "is not encoded in UTF-8"
    raise SettingError(f"{path.absolute()} {problem}: put it right, or remove it.")


def _require_no_other(path: Path, settings: Collection[str], environ: Mapping[str, str]) -> None:
    """Refuse to continue if a .env in another directory has settings that are not set here."""
    here = path.absolute().parent
    homes = [Path(home)] if (home := environ.get("DAGSTER_HOME")) else []
    # A file beside a Compose file, as in deploy/, is for Compose.
    others = [home for home in homes if not any((home / name).exists() for name in _COMPOSE)]
    for directory in [*others, *here.parents]:
        names = _names(directory / path.name)
        missing = [name for name in settings if name in names and name not in environ]
        if missing:
            raise SettingError(
                f"{directory / path.name} sets {missing[0]}, but is not read: {path.name} is read"
                f" in the directory in which a program is started, here {here}; start it in the"
                " other one."
            )


def _names(path: Path) -> Collection[str]:
    """The names that a file sets; none if it cannot be read."""
    try:
        if path.is_file():
            from dotenv import dotenv_values

            return dotenv_values(path, interpolate=False).keys()
    except (OSError, UnicodeDecodeError):
        pass
    return ()


def _meant(name: str, value: str, settings: Collection[str]) -> str | None:
    """The setting that a name is meant as: the nearest within two edits, whatever its case."""
    if _OF_KUBERNETES.fullmatch(f"{name}={value}"):
        return None
    return _nearest(name.strip().removeprefix("export ").strip().upper(), settings, EDITS)


def _meant_in_file(name: str, value: str, settings: Collection[str]) -> str | None:
    """Like `_meant`, but for any name with the platform's prefix, or a setting without it."""
    if nearest := _meant(name, value, settings):
        return nearest
    # If a line has no =, all of it is the name.
    word = re.match(r"\W*(\w*)", name)
    upper = word[1].upper() if word else ""
    if upper.startswith(PREFIX):
        return None if _OF_KUBERNETES.fullmatch(f"{name}={value}") else _nearest(upper, settings)
    if upper == "HOME":
        return None
    return _nearest(PREFIX + upper, settings, 1 if len(upper) >= 10 else 0)


def _nearest(name: str, settings: Collection[str], most: int | None = None) -> str | None:
    """The setting with the fewest edits from a name, or None if there are more than `most`."""
    limit = 1000 if most is None else most
    edits, setting = min((_edits(name, setting, limit), setting) for setting in settings)
    return setting if edits <= limit else None


def _edits(left: str, right: str, most: int) -> int:
    """Letters to insert, remove, replace or swap with the next to turn `left` into `right`.

    Above `most`, the number is not exact.
    """
    # An edit changes the length by at most one, and the set of letters by at most two.
    if abs(len(left) - len(right)) > most or len(set(left) ^ set(right)) > 2 * most:
        return most + 1
    before: list[int] = []
    row: list[int] = [*range(len(right) + 1)]
    for i, a in enumerate(left, 1):
        before, last, row = row, before, [i]
        for j, b in enumerate(right, 1):
            edits = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                edits = min(edits, last[j - 2] + 1)
            row.append(edits)
    return row[-1]
