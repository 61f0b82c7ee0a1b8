"""Which of many cases run in each landing; the others run each night."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def by_night(cases: Iterable[Any], *, but: Iterable[int]) -> list[Any]:
    """The cases for `parametrize`, all with the marker `long` but those at these places."""
    landing = {*but}
    return [case if place in landing else _long(case) for place, case in enumerate(cases)]


def _long(case: Any) -> Any:
    values = case if isinstance(case, tuple) else (case,)
    return pytest.param(*values, marks=pytest.mark.long)
