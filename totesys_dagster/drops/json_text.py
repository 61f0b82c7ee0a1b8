"""JSON Lines: an object on each line, whose numbers stay as written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from totesys_dagster import strict_json
from totesys_dagster.catalogue import FileContract
from totesys_dagster.drops.record import Number, Record


class _FaultyError(ValueError):
    """What is wrong with a line."""


def read_json(contract: FileContract, text: str) -> Iterator[Record]:
    """The records of a file, its values in the order of the contract."""
    expected = contract.column_names
    for number, line in enumerate(text.removesuffix("\n").split("\n"), start=1):
        try:
            found = _object(line.removesuffix("\r"))
            _require_names({*found}, {*expected})
            for name in expected:
                if isinstance(found[name], dict | list):
                    raise _FaultyError(f"{name} is not a single value")
        except _FaultyError as error:
            yield Record(number, (), line, str(error))
        else:
            yield Record(number, [found[name] for name in expected], line)


def _object(line: str) -> dict[str, Any]:
    if not line.strip():
        raise _FaultyError("the line is empty: remove it")
    try:
        found = _DECODER.decode(line)
    except _FaultyError:
        raise
    except (ValueError, RecursionError):
        raise _FaultyError("the line is not JSON") from None
    if not isinstance(found, dict):
        raise _FaultyError("the line is not an object of JSON")
    return found


def _require_names(found: set[str], expected: set[str]) -> None:
    if missing := sorted(expected - found):
        raise _FaultyError(f"{missing[0]} is not there: write null where there is none")
    if len(found) > len(expected):
        raise _FaultyError("the line has a name that its contract does not declare")


_DECODER = json.JSONDecoder(
    **strict_json.hooks(
        Number,
        lambda _: _FaultyError("NaN and Infinity are not JSON"),
        lambda: _FaultyError("a name stands twice in the line"),
    )
)
