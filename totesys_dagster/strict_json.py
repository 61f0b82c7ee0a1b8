"""Strict JSON for data from outside: no NaN, and no duplicate name in an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def hooks(
    number: Callable[[str], Any],
    not_a_number: Callable[[str], Exception],
    twice: Callable[[], Exception],
) -> dict[str, Any]:
    """Arguments for `json.loads`: `number` parses numbers from their text; NaN, which Python
    would accept, and a duplicate name, whose last value Python would take, raise the exceptions."""

    def refuse(name: str) -> Any:
        raise not_a_number(name)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            raise twice()
        return found

    return {
        "parse_int": number,
        "parse_float": number,
        "parse_constant": refuse,
        "object_pairs_hook": once,
    }
