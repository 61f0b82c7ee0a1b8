"""The members of a JSON object as they are written, so that one of them alone can be changed."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

# A name, and what follows its value. Numbers stay as they are written: of an integer Python refuses
# to read more than 4300 digits.
_NAME = re.compile(r"[ \t\r]*(\"(?:[^\"\\]|\\.)*\")[ \t\r]*:[ \t\r]*")
_AFTER = re.compile(r"[ \t\r]*([,}])")
_VALUE = json.JSONDecoder(parse_int=str, parse_float=str)


@dataclass(frozen=True)
class Member:
    """A member: its name, and where in the text it starts, its value starts, and both end."""

    name: str
    start: int
    value: int
    end: int


def members(text: str) -> list[Member] | None:
    """The members of the only JSON object in a line; None if it is not such an object."""
    found, at, after = [], 1, ","
    try:
        while after == ",":
            name = _NAME.match(text, at)
            if name is None:
                return None
            _, end = _VALUE.raw_decode(text, name.end())
            found.append(Member(json.loads(name[1]), name.start(1), name.end(), end))
            separator = _AFTER.match(text, end)
            if separator is None:
                return None
            after, at = separator[1], separator.end()
    except (ValueError, RecursionError):
        return None
    return found if text.startswith("{") and not text[at:].strip(" \t\r") else None
